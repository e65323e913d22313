/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>

#include "forward_bed.h"

/* The ports a flooded frame reaches, as a set of bits. */
static unsigned reached(const struct frame *f, uint16_t in) {
	const struct fwd_net *net = &fw->nets[f->net];
	unsigned set = 0;

	assert_out(f, OUT_FLOOD);
	for (unsigned i = 0; i < net->nmembers; i++)
		if (fwd_admits(fw, in, net->members[i], f->net) == DROP_NONE)
			set |= 1u << net->members[i];
	return set;
}

#define BIT(p) (1u << (p))

static void an_unknown_unicast_frame_is_flooded_to_every_other_port_of_its_network(void **state) {
	const struct frame *f = send_to(BLUE1, B, A, UNTAGGED);

	assert_int_equal(f->net, BLUE);
	assert_int_equal(reached(f, BLUE1), BIT(BLUE2) | BIT(PINNED) | BIT(BLUE_ISO1) |
						    BIT(BLUE_ISO2) | BIT(TRUNK) | BIT(TRUNK_BLUE));
	f = send_to(GREY1, B, A, UNTAGGED);
	assert_int_equal(f->net, GREY);
	assert_int_equal(reached(f, GREY1), BIT(TRUNK_GREY));
}

static void broadcast_and_multicast_are_flooded_within_the_network_only(void **state) {
	assert_int_equal(reached(send_to(GREEN1, BROADCAST, A, UNTAGGED), GREEN1),
		BIT(TRUNK) | BIT(TRUNK_BLUE) | BIT(TRUNK_GREY));
	assert_int_equal(reached(send_to(TRUNK, GROUP, A, 200), TRUNK),
		BIT(GREEN1) | BIT(TRUNK_BLUE) | BIT(TRUNK_GREY));
}

static void a_learned_unicast_destination_gets_the_frame_alone(void **state) {
	send_to(BLUE2, BROADCAST, B, UNTAGGED);
	assert_out(send_to(BLUE1, B, A, UNTAGGED), BLUE2);
	assert_out(send_to(BLUE2, A, B, UNTAGGED), BLUE1);
	/* But not from another network. */
	assert_out(send_to(GREEN1, B, C, UNTAGGED), OUT_FLOOD);
}

static void a_station_that_moved_is_reached_where_it_is_now(void **state) {
	send_to(BLUE2, BROADCAST, B, UNTAGGED);
	send_to(TRUNK, BROADCAST, B, 100);
	assert_out(send_to(BLUE1, B, A, UNTAGGED), TRUNK);
}

static void an_entry_that_aged_is_flooded_again(void **state) {
	struct frame *f;

	send_to(BLUE2, BROADCAST, B, UNTAGGED);
	f = begin(B, A, UNTAGGED);
	fwd_parse(fw, &batch, BLUE1, NULL);
	fwd_verdict(fw, &batch, BLUE1, NOW + 301, NULL);
	assert_out(f, OUT_FLOOD);
}

static void a_frame_to_the_port_it_came_from_is_dropped(void **state) {
	send_to(TRUNK, BROADCAST, B, 100);
	assert_dropped(send_to(TRUNK, B, A, 100), DROP_SAME_PORT);
	assert_int_equal(fwd_admits(fw, TRUNK, TRUNK, BLUE), DROP_SAME_PORT);
	/* Known by the frame itself, when it may not be learned. */
	fdb_set_port_max(fdb, BLUE1, 0);
	assert_dropped(send_to(BLUE1, A, A, UNTAGGED), DROP_SAME_PORT);
}

static void a_pinned_port_sends_from_its_own_mac_only(void **state) {
	assert_dropped(send_to(PINNED, B, A, UNTAGGED), DROP_MAC_PINNED);
	assert_int_equal(
		fdb_lookup(fdb, fdb_key(BLUE, A), fdb_hash(fdb, fdb_key(BLUE, A)), NOW), OUT_NONE);
	assert_dropped(send_to(PINNED, B, 0, UNTAGGED), DROP_MAC_PINNED);
	assert_out(send_to(PINNED, B, PIN, UNTAGGED), OUT_FLOOD);
	assert_out(send_to(BLUE1, PIN, A, UNTAGGED), PINNED);
}

static void a_static_mac_cannot_be_stolen(void **state) {
	assert_int_equal(fdb_add_static(fdb, fdb_key(BLUE, PIN), PINNED), 0);
	assert_dropped(send_to(BLUE1, B, PIN, UNTAGGED), DROP_MAC_STOLEN);
	assert_out(send_to(BLUE2, PIN, A, UNTAGGED), PINNED);
	/* In another network it is another station. */
	assert_out(send_to(GREEN1, B, PIN, UNTAGGED), OUT_FLOOD);
}

static void a_source_that_is_zero_or_a_group_is_dropped_and_not_learned(void **state) {
	struct fdb_stats st;

	assert_dropped(send_to(BLUE1, B, 0, UNTAGGED), DROP_SOURCE_BAD);
	assert_dropped(send_to(BLUE1, B, GROUP, UNTAGGED), DROP_SOURCE_BAD);
	assert_dropped(send_to(BLUE1, B, BROADCAST, UNTAGGED), DROP_SOURCE_BAD);
	fdb_stats(fdb, &st);
	assert_int_equal(st.used, 0);
}

static void the_sixteen_link_local_groups_are_not_forwarded_and_their_neighbours_are(void **state) {
	for (uint64_t last = 0; last < 16; last++)
		assert_dropped(
			send_to(BLUE1, 0xc28001ULL | last << 40, A, UNTAGGED), DROP_LINK_LOCAL);
	assert_out(send_to(BLUE1, 0xc28001ULL | 16ULL << 40, A, UNTAGGED), OUT_FLOOD);
	assert_out(send_to(BLUE1, 0x01c28001ULL, A, UNTAGGED), OUT_FLOOD);
	assert_out(send_to(BLUE1, 0xc28003ULL, A, UNTAGGED), OUT_FLOOD);
}

static void a_port_at_its_limit_still_sends_but_is_not_learned(void **state) {
	fdb_set_port_max(fdb, BLUE2, 1);
	send_to(BLUE2, BROADCAST, B, UNTAGGED);
	assert_out(send_to(BLUE2, BROADCAST, C, UNTAGGED), OUT_FLOOD);
	assert_out(send_to(BLUE1, C, A, UNTAGGED), OUT_FLOOD);
	assert_out(send_to(BLUE1, B, A, UNTAGGED), BLUE2);
}

static void a_tag_on_an_access_port_is_refused_unless_it_only_carries_a_priority(void **state) {
	struct frame *f;

	assert_dropped(send_to(BLUE1, B, A, 100), DROP_VLAN_NOT_MEMBER);
	assert_dropped(send_to(BLUE1, B, A, 200), DROP_VLAN_NOT_MEMBER);
	f = send_to(BLUE1, B, A, 5 << 13);
	assert_out(f, OUT_FLOOD);
	assert_int_equal(f->net, BLUE);
	assert_int_equal(fwd_egress_tag(fw, TRUNK, f), 0x81000000u | 5 << 13 | 100);
}

static void a_trunk_tells_its_networks_apart_by_tag(void **state) {
	assert_int_equal(send_to(TRUNK, B, A, 100)->net, BLUE);
	assert_int_equal(send_to(TRUNK, B, A, 0xe000 | 200)->net, GREEN);
	assert_dropped(send_to(TRUNK, B, A, 300), DROP_VLAN_NOT_MEMBER);
	assert_dropped(send_to(TRUNK, B, A, 4095), DROP_VLAN_NOT_MEMBER);
	assert_dropped(send_to(TRUNK_GREY, B, A, 100), DROP_VLAN_NOT_MEMBER);
}

static void untagged_frames_on_a_trunk_belong_to_its_native_network_or_to_none(void **state) {
	assert_dropped(send_to(TRUNK, B, A, UNTAGGED), DROP_UNTAGGED);
	assert_dropped(send_to(TRUNK, B, A, 7 << 13), DROP_UNTAGGED);
	assert_int_equal(send_to(TRUNK_BLUE, B, A, UNTAGGED)->net, BLUE);
	assert_int_equal(send_to(TRUNK_BLUE, B, A, 7 << 13)->net, BLUE);
	assert_int_equal(send_to(TRUNK_GREY, B, A, UNTAGGED)->net, GREY);
}

static void the_native_networks_own_tag_is_accepted_too(void **state) {
	struct frame *f = send_to(TRUNK_BLUE, B, A, 100);

	assert_out(f, OUT_FLOOD);
	assert_int_equal(f->net, BLUE);
}

static void a_tag_is_pushed_on_trunks_only_and_not_for_the_native_network(void **state) {
	struct frame *f = send_to(BLUE1, B, A, UNTAGGED);

	assert_int_equal(fwd_egress_tag(fw, TRUNK, f), 0x81000064);
	assert_int_equal(fwd_egress_tag(fw, TRUNK_BLUE, f), 0);
	assert_int_equal(fwd_egress_tag(fw, BLUE2, f), 0);
	f = send_to(TRUNK, B, A, 200);
	assert_int_equal(fwd_egress_tag(fw, GREEN1, f), 0);
	assert_int_equal(fwd_egress_tag(fw, TRUNK_BLUE, f), 0x810000c8);
	assert_int_equal(fwd_egress_tag(fw, TRUNK_GREY, f), 0x810000c8);
	f = send_to(GREY1, B, A, UNTAGGED);
	assert_int_equal(fwd_egress_tag(fw, TRUNK_GREY, f), 0);
}

static void priority_bits_survive_from_trunk_to_trunk(void **state) {
	const struct frame *f = send_to(TRUNK, B, A, 0xb000 | 200);

	assert_int_equal(fwd_egress_tag(fw, TRUNK_GREY, f), 0x81000000u | 0xb000 | 200);
}

/* A tag hidden behind a priority tag or behind the native network's must not choose the network at
 * the other end of a trunk. */
static void a_hidden_tag_never_leaves_a_trunk_as_the_outermost(void **state) {
	static const uint8_t hidden[] = {0x81, 0x00, 0x00, 200};
	static const struct {
		uint16_t in, out;
		int tci;
		uint32_t tag;
	} way[] = {{BLUE1, TRUNK_BLUE, 0, 0x81000064},
		{TRUNK, TRUNK_BLUE, 0x6000 | 100, 0x81006064}, {GREY1, TRUNK_GREY, 0, 0x81000000},
		{BLUE1, BLUE2, 0, 0}};

	for (unsigned i = 0; i < sizeof(way) / sizeof(way[0]); i++) {
		struct frame *f = begin(B, A, way[i].tci);

		memcpy(f->head + 16, hidden, sizeof(hidden));
		judge(way[i].in, NULL);
		assert_out(f, OUT_FLOOD);
		assert_int_equal(fwd_egress_tag(fw, way[i].out, f), way[i].tag);
	}
}

static void isolated_ports_reach_only_those_that_are_not(void **state) {
	unsigned open = BIT(BLUE1) | BIT(BLUE2) | BIT(PINNED) | BIT(TRUNK) | BIT(TRUNK_BLUE);

	assert_int_equal(reached(send_to(BLUE_ISO1, BROADCAST, A, UNTAGGED), BLUE_ISO1), open);
	assert_int_equal(reached(send_to(BLUE_ISO2, BROADCAST, B, UNTAGGED), BLUE_ISO2), open);
	assert_dropped(send_to(BLUE_ISO1, B, A, UNTAGGED), DROP_ISOLATED);
	assert_dropped(send_to(BLUE_ISO2, A, B, UNTAGGED), DROP_ISOLATED);
	assert_out(send_to(BLUE1, B, C, UNTAGGED), BLUE_ISO2);
	assert_out(send_to(BLUE_ISO2, C, B, UNTAGGED), BLUE1);
	assert_int_equal(fwd_admits(fw, BLUE_ISO1, BLUE_ISO2, BLUE), DROP_ISOLATED);
	assert_int_equal(fwd_admits(fw, BLUE1, BLUE_ISO2, BLUE), DROP_NONE);
	assert_int_equal(fwd_admits(fw, BLUE_ISO1, BLUE1, BLUE), DROP_NONE);
}

static void a_flood_that_reaches_nobody_is_dropped_by_name(void **state) {
	struct fwd *only = fwd_new(fdb, 2, 1), *mine = fw;
	struct frame *f;

	assert_dropped(send_to(LONELY, BROADCAST, A, UNTAGGED), DROP_NO_DESTINATION);
	assert_dropped(send_to(LONELY, B, A, UNTAGGED), DROP_NO_DESTINATION);
	assert_non_null(only);
	fwd_set_net(only, 0, 0);
	fwd_set_access(only, 0, 0, true, 0);
	fwd_set_access(only, 1, 0, true, 0);
	assert_int_equal(fwd_seal(only), 0);
	fw = only;
	f = send_to(0, BROADCAST, A, UNTAGGED);
	fw = mine;
	fwd_free(only);
	assert_dropped(f, DROP_NO_DESTINATION);
}

static void an_entry_of_a_port_that_left_the_network_is_not_believed(void **state) {
	fdb_add_static(fdb, fdb_key(BLUE, B), GREEN1);
	assert_out(send_to(BLUE1, B, A, UNTAGGED), OUT_FLOOD);
	fdb_add_static(fdb, fdb_key(BLUE, C), PORTS + 5);
	assert_out(send_to(BLUE1, C, A, UNTAGGED), OUT_FLOOD);
}

static void a_port_that_is_not_there_is_a_member_of_nothing(void **state) {
	assert_dropped(send_to(ABSENT, B, A, UNTAGGED), DROP_UNTAGGED);
	assert_dropped(send_to(ABSENT, B, A, 100), DROP_VLAN_NOT_MEMBER);
	for (uint16_t net = 0; net < NETS; net++) {
		assert_false(fwd_member(fw, ABSENT, net));
		assert_false(fwd_member(fw, PORTS, net));
	}
	assert_false(fwd_member(fw, BLUE1, NETS));
	assert_false(fwd_member(fw, BLUE1, NET_NONE));
	assert_false(fwd_member(fw, ABSENT, NET_NONE));
}

static void member_lists_are_ascending_and_agree_with_membership(void **state) {
	for (uint16_t net = 0; net < NETS; net++) {
		const struct fwd_net *n = &fw->nets[net];
		unsigned members = 0, next = 0;

		for (uint16_t port = 0; port < PORTS; port++) {
			if (!fwd_member(fw, port, net))
				continue;
			assert_true(next < n->nmembers);
			assert_int_equal(n->members[next++], port);
			members++;
		}
		assert_int_equal(n->nmembers, members);
	}
	assert_int_equal(fw->nets[BLUE].nopen, 5);
}

static void what_cannot_be_built_is_refused(void **state) {
	struct fwd *w = fwd_new(NULL, 2, 4);
	const uint16_t twice[] = {0, 1}, none[] = {2}, missing[] = {3};

	assert_non_null(w);
	assert_null(fwd_new(NULL, PORTS_MAX + 1, 1));
	assert_null(fwd_new(NULL, 1, NETS_MAX + 1));
	assert_int_equal(fwd_set_net(w, 0, 4095), -EINVAL);
	assert_int_equal(fwd_set_net(w, 4, 1), -EINVAL);
	assert_int_equal(fwd_set_net(w, 0, 4094), 0);
	assert_int_equal(fwd_set_net(w, 1, 4094), 0);
	assert_int_equal(fwd_set_net(w, 2, 0), 0);
	assert_int_equal(fwd_set_access(w, 2, 0, false, 0), -EINVAL);
	assert_int_equal(fwd_set_access(w, 0, 3, false, 0), -EINVAL);
	assert_int_equal(fwd_set_trunk(w, 0, twice, 2, NET_NONE, false, 0), -EINVAL);
	assert_int_equal(fwd_set_trunk(w, 0, none, 1, NET_NONE, false, 0), -EINVAL);
	assert_int_equal(fwd_set_trunk(w, 0, missing, 1, NET_NONE, false, 0), -EINVAL);
	assert_int_equal(fwd_set_trunk(w, 0, none, 1, 3, false, 0), -EINVAL);
	assert_int_equal(fwd_set_trunk(w, 2, none, 1, 2, false, 0), -EINVAL);
	assert_int_equal(fwd_set_trunk(w, 0, none, 1, 2, false, 0), 0);
	assert_int_equal(fwd_set_access(w, 0, 0, false, 0), 0);
	assert_int_equal(fwd_seal(w), 0);
	assert_int_equal(w->nets[0].nmembers, 1);
	assert_int_equal(w->nets[2].nmembers, 0);
	fwd_free(w);
}

static void each_frame_of_a_batch_is_judged_for_itself(void **state) {
	send_to(BLUE2, BROADCAST, B, UNTAGGED);
	batch.n = 0;
	for (unsigned i = 0; i < BATCH_MAX; i++)
		switch (i % 4) {
		case 0:
			put(B, A, UNTAGGED);
			break;
		case 1:
			put(C, 0, UNTAGGED);
			break;
		case 2:
			put(C, A, UNTAGGED);
			break;
		case 3:
			put(B, C, UNTAGGED)->drop = DROP_OFFLOAD_BAD;
			break;
		}
	judge(BLUE1, NULL);
	for (unsigned i = 0; i < BATCH_MAX; i++) {
		const struct frame *f = &batch.f[i];

		assert_int_equal(f->drop, ((enum drop[]){DROP_NONE, DROP_SOURCE_BAD, DROP_NONE,
						  DROP_OFFLOAD_BAD})[i % 4]);
		if (f->drop == DROP_NONE)
			assert_int_equal(f->out, i % 4 == 0 ? BLUE2 : OUT_FLOOD);
	}
}

/* Runs of frames between the same stations are judged once; what starts a run must be a verdict. */
static void a_frame_does_not_inherit_a_verdict_that_was_never_given(void **state) {
	const struct frame *f;

	batch.n = 0;
	put(0xc28001, A, UNTAGGED);
	f = put(0, A, UNTAGGED);
	judge(GREEN1, NULL);
	assert_dropped(&batch.f[0], DROP_LINK_LOCAL);
	assert_out(f, OUT_FLOOD);

	send_to(BLUE2, BROADCAST, B, UNTAGGED);
	batch.n = 0;
	put(B, A, UNTAGGED);
	put(B, A, UNTAGGED);
	put(GROUP, 0, UNTAGGED);
	put(B, 0, UNTAGGED);
	put(B, A, UNTAGGED);
	put(A, A, UNTAGGED);
	put(B, C, UNTAGGED);
	judge(BLUE1, NULL);
	assert_out(&batch.f[0], BLUE2);
	assert_out(&batch.f[1], BLUE2);
	assert_dropped(&batch.f[2], DROP_SOURCE_BAD);
	assert_dropped(&batch.f[3], DROP_SOURCE_BAD);
	assert_out(&batch.f[4], BLUE2);
	assert_dropped(&batch.f[5], DROP_SAME_PORT);
	assert_out(&batch.f[6], BLUE2);
}

static void a_run_ends_where_the_network_changes(void **state) {
	send_to(BLUE2, BROADCAST, B, UNTAGGED);
	send_to(GREEN1, BROADCAST, B, UNTAGGED);
	batch.n = 0;
	for (unsigned i = 0; i < 8; i++)
		put(B, A, i & 2 ? 200 : 100);
	judge(TRUNK, NULL);
	for (unsigned i = 0; i < 8; i++)
		assert_out(&batch.f[i], i & 2 ? GREEN1 : BLUE2);
}

static void a_runt_is_dropped_before_anything_is_read_from_it(void **state) {
	struct frame *f = begin(B, A, UNTAGGED);

	f->len = f->head_len = 13;
	judge(BLUE1, NULL);
	assert_dropped(f, DROP_RUNT);
}

int main(void) {
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		T(an_unknown_unicast_frame_is_flooded_to_every_other_port_of_its_network),
		T(broadcast_and_multicast_are_flooded_within_the_network_only),
		T(a_learned_unicast_destination_gets_the_frame_alone),
		T(a_station_that_moved_is_reached_where_it_is_now),
		T(an_entry_that_aged_is_flooded_again),
		T(a_frame_to_the_port_it_came_from_is_dropped),
		T(a_pinned_port_sends_from_its_own_mac_only),
		T(a_static_mac_cannot_be_stolen),
		T(a_source_that_is_zero_or_a_group_is_dropped_and_not_learned),
		T(the_sixteen_link_local_groups_are_not_forwarded_and_their_neighbours_are),
		T(a_port_at_its_limit_still_sends_but_is_not_learned),
		T(a_tag_on_an_access_port_is_refused_unless_it_only_carries_a_priority),
		T(a_trunk_tells_its_networks_apart_by_tag),
		T(untagged_frames_on_a_trunk_belong_to_its_native_network_or_to_none),
		T(the_native_networks_own_tag_is_accepted_too),
		T(a_tag_is_pushed_on_trunks_only_and_not_for_the_native_network),
		T(priority_bits_survive_from_trunk_to_trunk),
		T(a_hidden_tag_never_leaves_a_trunk_as_the_outermost),
		T(isolated_ports_reach_only_those_that_are_not),
		T(a_flood_that_reaches_nobody_is_dropped_by_name),
		T(an_entry_of_a_port_that_left_the_network_is_not_believed),
		T(a_port_that_is_not_there_is_a_member_of_nothing),
		T(member_lists_are_ascending_and_agree_with_membership),
		T(what_cannot_be_built_is_refused),
		T(each_frame_of_a_batch_is_judged_for_itself),
		T(a_frame_does_not_inherit_a_verdict_that_was_never_given),
		T(a_run_ends_where_the_network_changes),
		T(a_runt_is_dropped_before_anything_is_read_from_it),
#undef T
	};

	return cmocka_run_group_tests_name("forward", tests, NULL, NULL);
}
