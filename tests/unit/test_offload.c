/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "packet.h"

enum { NEEDS = VIRTIO_NET_HDR_F_NEEDS_CSUM };

static struct packet pkt;
static uint8_t flat[PACKET_MAX];

static void sums_agree_with_known_vectors(void **state) {
	/* RFC 1071, section 3; a published IPv4 header with checksum b861. */
	static const uint8_t rfc[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	static const uint8_t ip[] = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
		0x00, 0x00, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};

	for (unsigned cut = 0; cut <= 8; cut++) {
		struct csum c = {0};

		csum_add(&c, rfc, cut);
		csum_add(&c, rfc + cut, 8 - cut);
		assert_int_equal(rte_be_to_cpu_16(csum_fold(c.sum)), 0xddf2);
	}
	for (unsigned cut = 0; cut <= 20; cut++) {
		struct csum c = {0};

		csum_add(&c, ip, cut);
		csum_add(&c, ip + cut, 20 - cut);
		assert_int_equal(rte_be_to_cpu_16(csum_value(&c)), 0xb861);
	}
}

static void sums_agree_with_the_obvious_way_over_pieces_of_any_length(void **state) {
	for (unsigned round = 0; round < 300; round++) {
		uint32_t len = round < 20 ? round : round == 20 ? PACKET_MAX : rnd(PACKET_MAX);
		uint8_t fill = rnd(4);
		struct csum c = {0};

		for (uint32_t i = 0; i < len; i++)
			pkt.bytes[i] = fill == 0 ? 0xff : rnd(256);
		for (uint32_t off = 0; off < len;) {
			uint32_t n = rnd(rnd(2) ? 20 : 5000);

			n = n > len - off ? len - off : n;
			csum_add(&c, pkt.bytes + off, n);
			off += n;
		}
		assert_int_equal(rte_be_to_cpu_16(csum_fold(c.sum)), ref_sum(0, pkt.bytes, len));
	}
}

static void partial_checksums_are_completed_over_any_layout(void **state) {
	for (unsigned round = 0; round < 3000; round++) {
		struct recipe r = {.version = rnd(2) ? 4 : 6,
			.proto = rnd(2) ? IPPROTO_TCP : IPPROTO_UDP,
			.ip_options = rnd(4) * 4,
			.tcp_options = rnd(11) * 4,
			.payload = rnd(round % 50 ? 3000 : 65000)};
		struct rig g;

		packet_make(&pkt, &r);
		rig_load(&g, pkt.bytes, pkt.len, rnd(30), 18 + rnd(120), rnd(30));
		g.f.ol = (struct offload){.flags = NEEDS,
			.csum_start = pkt.l4,
			.csum_offset = r.proto == IPPROTO_TCP ? 16 : 6};
		assert_int_equal(frame_parse(&g.f), DROP_NONE);
		assert_int_equal(offload_check(&g.f, g.room_end), DROP_NONE);
		assert_false(offload_fits(&g.f, 0));
		offload_csum(&g.f);
		assert_false(offload_any(&g.f.ol));
		assert_true(offload_fits(&g.f, 0));
		assert_int_equal(flatten(&g.f, flat), pkt.len);
		assert_int_equal(
			ref_sum(ref_pseudo(r.version, flat + pkt.l3, r.proto, pkt.len - pkt.l4),
				flat + pkt.l4, pkt.len - pkt.l4),
			0xffff);
		put16(flat + pkt.l4 + (r.proto == IPPROTO_TCP ? 16 : 6), 0);
		put16(pkt.bytes + pkt.l4 + (r.proto == IPPROTO_TCP ? 16 : 6), 0);
		assert_memory_equal(flat, pkt.bytes, pkt.len); /* and nothing else was touched */
		rig_free(&g);
	}
}

static void a_udp_checksum_of_zero_is_sent_as_ffff(void **state) {
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP};

	for (unsigned i = 0; i < 2; i++) {
		struct recipe r = {.version = 4, .proto = protos[i], .payload = 2};
		unsigned field = protos[i] == IPPROTO_UDP ? 6 : 16, sum;
		struct rig g;

		packet_make(&pkt, &r);
		put16(pkt.bytes + pkt.payload, 0);
		sum = ref_sum(0, pkt.bytes + pkt.l4, pkt.len - pkt.l4);
		put16(pkt.bytes + pkt.payload, ~sum & 0xffff); /* all together now 0xffff */
		rig_load(&g, pkt.bytes, pkt.len, 0, 64, 1);
		g.f.ol = (struct offload){
			.flags = NEEDS, .csum_start = pkt.l4, .csum_offset = field};
		assert_int_equal(frame_parse(&g.f), DROP_NONE);
		assert_int_equal(offload_check(&g.f, g.room_end), DROP_NONE);
		offload_csum(&g.f);
		assert_int_equal(
			get16(g.f.head + pkt.l4 + field), protos[i] == IPPROTO_UDP ? 0xffff : 0);
		rig_free(&g);
	}
}

/* No kernel knows what is behind 9100, so none can cut it; a checksum is a sum over bytes anywhere. */
static void frames_of_the_old_service_tags_cannot_be_segmented_but_summed_up(void **state) {
	struct recipe r = {.version = 4,
		.proto = IPPROTO_TCP,
		.inner_tags = 1,
		.tpid = 0x9100,
		.payload = 900};
	struct rig g;

	for (unsigned gso = 0; gso < 2; gso++) {
		packet_make(&pkt, &r);
		rig_load(&g, pkt.bytes, pkt.len, 0, 64, 3);
		g.f.ol = (struct offload){.flags = NEEDS,
			.gso_type = gso ? VIRTIO_NET_HDR_GSO_TCPV4 : 0,
			.gso_size = gso ? 100 : 0,
			.csum_start = pkt.l4,
			.csum_offset = 16};
		assert_int_equal(frame_parse(&g.f), DROP_SERVICE_TAG);
		assert_int_equal(
			offload_check(&g.f, g.room_end), gso ? DROP_OFFLOAD_BAD : DROP_NONE);
		if (!gso) {
			offload_csum(&g.f);
			flatten(&g.f, flat);
			assert_int_equal(
				ref_sum(ref_pseudo(4, flat + pkt.l3, IPPROTO_TCP, pkt.len - pkt.l4),
					flat + pkt.l4, pkt.len - pkt.l4),
				0xffff);
		}
		rig_free(&g);
	}
}

/* What offload_check says to `ol` on the packet in pkt. */
static enum drop check(struct offload ol, struct offload *after) {
	struct rig g;
	enum drop d;

	rig_load(&g, pkt.bytes, pkt.len, 0, 18 + rnd(60), 20);
	g.f.ol = ol;
	assert_int_equal(frame_parse(&g.f), DROP_NONE);
	d = offload_check(&g.f, g.room_end);
	if (after)
		*after = g.f.ol;
	rig_free(&g);
	return d;
}

static void a_checksum_field_outside_the_frame_or_over_judged_headers_is_refused(void **state) {
	struct recipe r = {.version = 4, .proto = IPPROTO_TCP, .payload = 400};

	packet_make(&pkt, &r);
	for (unsigned start = 0; start < 600; start++)
		for (unsigned off = 0; off < 600; off++) {
			/* its own checksum, or behind the TCP header (a tunnel) inside the private room */
			bool good = (start == 34 && off == 16) ||
				    (start >= 54 && start + off + 2 <= 256);
			struct offload ol = {
				.flags = NEEDS, .csum_start = start, .csum_offset = off};

			if (start > 80 && off > 30 && off < 100)
				continue;
			if (check(ol, NULL) != (good ? DROP_NONE : DROP_OFFLOAD_BAD))
				fail_msg("start %u offset %u", start, off);
		}
	for (unsigned i = 0; i < 2000; i++) {
		struct offload ol = {.flags = NEEDS,
			.csum_start = 65535 - rnd(400),
			.csum_offset = 65535 - rnd(400)};

		assert_int_equal(check(ol, NULL), DROP_OFFLOAD_BAD);
	}
}

static void a_field_at_the_very_end_of_a_short_frame_is_inside_it(void **state) {
	struct recipe r = {.version = 4, .proto = IPPROTO_UDP, .payload = 10};
	struct offload ol = {.flags = NEEDS};

	packet_make(&pkt, &r);
	ol.csum_start = pkt.payload;
	ol.csum_offset = 8;
	assert_int_equal(check(ol, NULL), DROP_NONE);
	ol.csum_offset = 9;
	assert_int_equal(check(ol, NULL), DROP_OFFLOAD_BAD);
}

static void a_fragment_or_a_broken_packet_has_no_checksum_to_complete(void **state) {
	struct recipe r = {.version = 4, .proto = IPPROTO_UDP, .payload = 100};
	struct offload ol = {.flags = NEEDS, .csum_start = 34, .csum_offset = 6};

	packet_make(&pkt, &r);
	assert_int_equal(check(ol, NULL), DROP_NONE);
	put16(pkt.bytes + 20, 0x2000);
	assert_int_equal(check(ol, NULL), DROP_OFFLOAD_BAD);
	put16(pkt.bytes + 20, 0);
	pkt.bytes[14] = 0x41;
	assert_int_equal(check(ol, NULL), DROP_OFFLOAD_BAD);
	put16(pkt.bytes + 12, 0x88b5); /* not IP: nothing there was judged */
	assert_int_equal(check(ol, NULL), DROP_NONE);
	ol.csum_start = 13; /* but MACs and ethertype were */
	assert_int_equal(check(ol, NULL), DROP_OFFLOAD_BAD);
	ol.csum_start = 0;
	assert_int_equal(check(ol, NULL), DROP_OFFLOAD_BAD);
}

static void segmentation_requests_that_do_not_match_the_frame_are_refused(void **state) {
	const struct {
		int version;
		uint8_t proto;
		struct offload ol;
		enum drop want;
	} cases[] = {
		{4, IPPROTO_TCP, {NEEDS, 1, 0, 1000, 34, 16}, DROP_NONE},
		{4, IPPROTO_TCP, {NEEDS, 0x81, 0, 1000, 34, 16}, DROP_NONE},
		{4, IPPROTO_UDP, {NEEDS, 3, 65535, 1000, 34, 6}, DROP_NONE},
		{6, IPPROTO_TCP, {NEEDS, 4, 1, 1000, 54, 16}, DROP_NONE},
		{6, IPPROTO_TCP, {NEEDS, 0x84, 1, 1000, 54, 16}, DROP_NONE},
		{6, IPPROTO_UDP, {NEEDS, 3, 1, 1000, 54, 6}, DROP_NONE},
		{4, IPPROTO_TCP, {NEEDS, 1, 0, 0, 34, 16}, DROP_OFFLOAD_BAD}, /* size 0 */
		{4, IPPROTO_TCP, {0, 1, 0, 1000, 34, 16}, DROP_OFFLOAD_BAD}, /* no checksum */
		{4, IPPROTO_TCP, {2, 1, 0, 1000, 34, 16}, DROP_OFFLOAD_BAD},
		{4, IPPROTO_TCP, {NEEDS, 4, 0, 1000, 34, 16}, DROP_OFFLOAD_BAD}, /* v6 of v4 */
		{6, IPPROTO_TCP, {NEEDS, 1, 0, 1000, 54, 16}, DROP_OFFLOAD_BAD},
		{4, IPPROTO_TCP, {NEEDS, 3, 0, 1000, 34, 16}, DROP_OFFLOAD_BAD}, /* UDP of TCP */
		{4, IPPROTO_UDP, {NEEDS, 1, 0, 1000, 34, 6}, DROP_OFFLOAD_BAD},
		{4, IPPROTO_UDP, {NEEDS, 0x83, 0, 1000, 34, 6}, DROP_OFFLOAD_BAD}, /* ECN of UDP */
		{4, IPPROTO_TCP, {NEEDS, 0x80, 0, 1000, 34, 16},
			DROP_OFFLOAD_BAD}, /* ECN of nothing */
		{4, IPPROTO_TCP, {NEEDS, 2, 0, 1000, 34, 16}, DROP_OFFLOAD_BAD}, /* unknown */
		{4, IPPROTO_UDP, {NEEDS, 5, 0, 1000, 34, 6}, DROP_OFFLOAD_BAD},
		{4, IPPROTO_TCP, {NEEDS, 0x7f, 0, 1000, 34, 16}, DROP_OFFLOAD_BAD},
		{4, IPPROTO_TCP, {NEEDS, 1, 0, 1000, 54, 16}, DROP_OFFLOAD_BAD}, /* elsewhere */
		{4, IPPROTO_TCP, {NEEDS, 1, 0, 1000, 34, 6}, DROP_OFFLOAD_BAD},
		{4, IPPROTO_TCP, {NEEDS, 1, 0, 1000, 26, 8}, DROP_OFFLOAD_BAD},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct recipe r = {
			.version = cases[i].version, .proto = cases[i].proto, .payload = 5000};
		struct offload after;

		packet_make(&pkt, &r);
		if (check(cases[i].ol, &after) != cases[i].want)
			fail_msg("case %u", i);
		if (cases[i].want == DROP_NONE)
			assert_int_equal(after.hdr_len, pkt.payload);
	}
}

static void what_means_nothing_is_cleared(void **state) {
	struct recipe r = {.version = 4, .proto = IPPROTO_TCP, .payload = 50};
	struct offload ol = {0xfe, 0, 99, 99, 99, 99}, after;

	packet_make(&pkt, &r);
	assert_int_equal(check(ol, &after), DROP_NONE);
	assert_memory_equal(&after, &(struct offload){0}, sizeof(after));
}

static void a_receiver_that_knows_no_checksums_is_not_told_of_valid_ones(void **state) {
	struct recipe r = {.version = 4, .proto = IPPROTO_TCP, .payload = 50};
	struct rig g;

	packet_make(&pkt, &r);
	rig_load(&g, pkt.bytes, pkt.len, 0, 64, 1);
	g.f.ol.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	offload_csum(&g.f);
	assert_true(offload_fits(&g.f, 0));
	assert_int_equal(flatten(&g.f, flat), pkt.len);
	assert_memory_equal(flat, pkt.bytes, pkt.len);
	rig_free(&g);
}

static void a_receiver_gets_only_what_it_negotiated(void **state) {
	static const struct {
		struct offload ol;
		unsigned need;
	} cases[] = {
		{{0}, 0},
		{{.flags = VIRTIO_NET_HDR_F_DATA_VALID}, CAP_CSUM},
		{{.flags = NEEDS}, CAP_CSUM},
		{{.flags = NEEDS, .gso_type = 1}, CAP_CSUM | CAP_TSO4},
		{{.flags = NEEDS, .gso_type = 0x81}, CAP_CSUM | CAP_TSO4 | CAP_ECN},
		{{.flags = NEEDS, .gso_type = 4}, CAP_CSUM | CAP_TSO6},
		{{.flags = NEEDS, .gso_type = 0x84}, CAP_CSUM | CAP_TSO6 | CAP_ECN},
		{{.flags = NEEDS, .gso_type = 3}, CAP_CSUM | CAP_UFO},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (unsigned caps = 0; caps < 32; caps++) {
			struct frame f = {.ol = cases[i].ol};

			assert_int_equal(offload_fits(&f, caps), (cases[i].need & ~caps) == 0);
		}
}

/* Law 3: the sender changes its memory after the judgement; the headers stay the judged ones and
 * the checksum is a sum of what lies there now, wrong or not, in its place. */
static void a_guest_that_rewrites_its_memory_changes_only_its_own_checksum(void **state) {
	struct recipe r = {.version = 6, .proto = IPPROTO_TCP, .payload = 700};
	struct rig g;

	packet_make(&pkt, &r);
	rig_load(&g, pkt.bytes, pkt.len, 0, 18, 9);
	g.f.ol = (struct offload){.flags = NEEDS, .csum_start = pkt.l4, .csum_offset = 16};
	assert_int_equal(frame_parse(&g.f), DROP_NONE);
	assert_int_equal(offload_check(&g.f, g.room_end), DROP_NONE);
	rig_rewrite(&g, 0xff);
	offload_csum(&g.f);
	assert_int_equal(flatten(&g.f, flat), pkt.len);
	assert_int_equal(get32(flat + pkt.l4 + 4), get32(pkt.bytes + pkt.l4 + 4));
	put16(flat + pkt.l4 + 16, get16(pkt.bytes + pkt.l4 + 16));
	assert_memory_equal(flat, pkt.bytes, pkt.payload);
	rig_free(&g);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_agree_with_known_vectors),
		cmocka_unit_test(sums_agree_with_the_obvious_way_over_pieces_of_any_length),
		cmocka_unit_test(partial_checksums_are_completed_over_any_layout),
		cmocka_unit_test(a_udp_checksum_of_zero_is_sent_as_ffff),
		cmocka_unit_test(frames_of_the_old_service_tags_cannot_be_segmented_but_summed_up),
		cmocka_unit_test(
			a_checksum_field_outside_the_frame_or_over_judged_headers_is_refused),
		cmocka_unit_test(a_field_at_the_very_end_of_a_short_frame_is_inside_it),
		cmocka_unit_test(a_fragment_or_a_broken_packet_has_no_checksum_to_complete),
		cmocka_unit_test(segmentation_requests_that_do_not_match_the_frame_are_refused),
		cmocka_unit_test(what_means_nothing_is_cleared),
		cmocka_unit_test(a_receiver_that_knows_no_checksums_is_not_told_of_valid_ones),
		cmocka_unit_test(a_receiver_gets_only_what_it_negotiated),
		cmocka_unit_test(a_guest_that_rewrites_its_memory_changes_only_its_own_checksum),
	};

	return cmocka_run_group_tests_name("offload", tests, NULL, NULL);
}
