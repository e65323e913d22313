/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Tags that count VLANs of their own, and tags behind tags. */
#include <errno.h>
#include <string.h>

#include "forward_bed.h"

/* Sends a frame with these types and VLAN ids behind its MACs. */
static struct frame *send_tags(
	uint16_t in, const uint16_t *tpid, const uint16_t *vid, unsigned n, struct explain *ex) {
	struct frame *f = begin(B, A, UNTAGGED);
	uint8_t *p = f->head + 12;

	for (unsigned i = 0; i < n; i++, p += 4)
		memcpy(p, (uint8_t[]){tpid[i] >> 8, tpid[i] & 0xff, vid[i] >> 8, vid[i] & 0xff}, 4);
	memcpy(p, (uint8_t[]){0x08, 0x00}, 2);
	judge(in, ex);
	return f;
}

enum { C_TAG = 0x8100, S_TAG = 0x88a8 };

/* Both ids are those of networks, so that a tag that is taken for another is seen to be. */
static const struct {
	const char *what;
	uint16_t in, tpid[2], vid[2];
	unsigned tags;
	enum drop drop; /* without and */
	enum drop drop_qinq; /* with qinq */
	uint16_t net;
	unsigned left; /* tags that are left as payload */
} tagged[] = {
	{"an S-tag on an access port", BLUE1, {S_TAG}, {200}, 1, DROP_SERVICE_TAG, DROP_NONE, BLUE,
		1},
	{"an S-tag with id 0", BLUE1, {S_TAG}, {0}, 1, DROP_SERVICE_TAG, DROP_NONE, BLUE, 1},
	{"9100 on an access port", BLUE1, {0x9100}, {200}, 1, DROP_SERVICE_TAG, DROP_NONE, BLUE, 1},
	{"9200 on an access port", BLUE1, {0x9200}, {200}, 1, DROP_SERVICE_TAG, DROP_NONE, BLUE, 1},
	{"9300 on an access port", BLUE1, {0x9300}, {200}, 1, DROP_SERVICE_TAG, DROP_NONE, BLUE, 1},
	{"an S-tag on a trunk", TRUNK, {S_TAG}, {100}, 1, DROP_SERVICE_TAG, DROP_UNTAGGED},
	{"an S-tag on a trunk with a native network", TRUNK_BLUE, {S_TAG}, {200}, 1,
		DROP_SERVICE_TAG, DROP_NONE, BLUE, 1},
	{"9100 on a trunk with a native network", TRUNK_GREY, {0x9100}, {200}, 1, DROP_SERVICE_TAG,
		DROP_NONE, GREY, 1},
	{"88a8/8100 on an access port", BLUE1, {S_TAG, C_TAG}, {100, 200}, 2, DROP_SERVICE_TAG,
		DROP_NONE, BLUE, 2},
	{"88a8/8100 on a trunk", TRUNK_BLUE, {S_TAG, C_TAG}, {100, 200}, 2, DROP_SERVICE_TAG,
		DROP_NONE, BLUE, 2},
	{"8100/88a8 on a trunk", TRUNK, {C_TAG, S_TAG}, {100, 200}, 2, DROP_SERVICE_TAG, DROP_NONE,
		BLUE, 1},
	{"8100/9100 on a trunk", TRUNK, {C_TAG, 0x9100}, {200, 100}, 2, DROP_SERVICE_TAG, DROP_NONE,
		GREEN, 1},
	{"8100/88a8 on an access port", BLUE1, {C_TAG, S_TAG}, {100, 200}, 2, DROP_SERVICE_TAG,
		DROP_VLAN_NOT_MEMBER},
	{"a priority tag before an S-tag", BLUE1, {C_TAG, S_TAG}, {0, 200}, 2, DROP_SERVICE_TAG,
		DROP_NONE, BLUE, 1},
	{"8100/8100 on a trunk", TRUNK, {C_TAG, C_TAG}, {100, 200}, 2, DROP_NONE, DROP_NONE, BLUE,
		1},
	{"8100/8100 on an access port", BLUE1, {C_TAG, C_TAG}, {200, 100}, 2, DROP_VLAN_NOT_MEMBER,
		DROP_VLAN_NOT_MEMBER},
	{"a priority tag before another tag", BLUE1, {C_TAG, C_TAG}, {0, 200}, 2, DROP_NONE,
		DROP_NONE, BLUE, 1},
	{"a priority tag before another tag on a trunk", TRUNK_BLUE, {C_TAG, C_TAG}, {0, 200}, 2,
		DROP_NONE, DROP_NONE, BLUE, 1},
	{"a priority tag on a trunk without a native network", TRUNK, {C_TAG}, {0}, 1,
		DROP_UNTAGGED, DROP_UNTAGGED},
};

/* What is left of the tags stands where it stood, and a tag that is hidden by none on a trunk gets one
 * in front. */
static void check_tagged(unsigned i, bool qinq) {
	const struct frame *f =
		send_tags(tagged[i].in, tagged[i].tpid, tagged[i].vid, tagged[i].tags, NULL);
	const enum drop want = qinq ? tagged[i].drop_qinq : tagged[i].drop;
	const unsigned taken = tagged[i].tags - tagged[i].left;
	const uint8_t *p = f->head + 12;

	if (f->drop != want)
		fail_msg("%s%s: %s", tagged[i].what, qinq ? ", qinq" : "", drop_name(f->drop));
	if (want != DROP_NONE)
		return;
	assert_int_equal(f->net, tagged[i].net);
	for (unsigned k = taken; k < tagged[i].tags; k++, p += 4) {
		assert_int_equal(be16_get(p), tagged[i].tpid[k]);
		assert_int_equal(be16_get(p + 2), tagged[i].vid[k]);
	}
	assert_int_equal(be16_get(p), 0x0800);
	assert_int_equal(fwd_egress_tag(fw, BLUE2, f), 0);
	if (f->net == BLUE)
		assert_int_equal(fwd_egress_tag(fw, TRUNK, f), 0x81000064);
	if (f->net == BLUE)
		assert_int_equal(fwd_egress_tag(fw, TRUNK_BLUE, f), 0x81000064);
	if (f->net == GREY)
		assert_int_equal(fwd_egress_tag(fw, TRUNK_GREY, f), 0x81000000);
}

static void a_service_tag_is_refused_or_payload_and_never_taken_for_a_tag(void **state) {
	for (unsigned qinq = 0; qinq < 2; qinq++) {
		for (uint16_t port = 0; port < PORTS; port++)
			assert_int_equal(
				fwd_set_qinq(fw, port, qinq), port == ABSENT ? -EINVAL : 0);
		for (unsigned i = 0; i < sizeof(tagged) / sizeof(tagged[0]); i++)
			check_tagged(i, qinq);
	}
	assert_int_equal(fwd_set_qinq(fw, PORTS, true), -EINVAL);
}

static void a_trace_tells_of_service_tags_what_the_datapath_does(void **state) {
	static struct explain ex;

	for (unsigned i = 0; i < 2 * sizeof(tagged) / sizeof(tagged[0]); i++) {
		const unsigned k = i / 2;
		struct frame was;
		bool told = false;

		assert_int_equal(fwd_set_qinq(fw, tagged[k].in, i & 1), 0);
		was = *send_tags(tagged[k].in, tagged[k].tpid, tagged[k].vid, tagged[k].tags, NULL);
		ex.n = 0;
		send_tags(tagged[k].in, tagged[k].tpid, tagged[k].vid, tagged[k].tags, &ex);
		assert_int_equal(batch.f[0].drop, was.drop);
		assert_int_equal(batch.f[0].net, was.net);
		for (unsigned s = 0; s < ex.n; s++)
			told |= strstr(ex.step[s].text, i & 1 ? "carries it as payload"
							      : "does not say qinq: true") != NULL;
		assert_int_equal(told, tagged[k].drop == DROP_SERVICE_TAG);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		T(a_service_tag_is_refused_or_payload_and_never_taken_for_a_tag),
		T(a_trace_tells_of_service_tags_what_the_datapath_does),
#undef T
	};

	return cmocka_run_group_tests_name("service tags", tests, NULL, NULL);
}
