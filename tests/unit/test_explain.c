/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <string.h>

#include "forward_bed.h"

/* What the datapath says of its decisions when it is asked. */

static void assert_said(const struct explain *ex, const char *text) {
	for (unsigned i = 0; i < ex->n; i++)
		if (strcmp(ex->step[i].text, text) == 0)
			return;
	for (unsigned i = 0; i < ex->n; i++)
		print_error("%s: %s\n", ex->step[i].stage, ex->step[i].text);
	fail_msg("nobody said \"%s\"", text);
}

static void trace(struct explain *ex, uint16_t in, uint64_t dst, uint64_t src, int tci) {
	*ex = (struct explain){0};
	begin(dst, src, tci);
	judge(in, ex);
}

static void each_decision_is_explained_with_the_values_that_decided(void **state) {
	static struct explain ex;

	trace(&ex, TRUNK_BLUE, B, A, UNTAGGED);
	assert_said(&ex, "untagged frame: network 0 (native of port 7)");
	assert_said(&ex, "source 52:54:00:00:00:0a is new and would be learned on port 7");
	assert_said(&ex, "destination 52:54:00:00:00:0b is unknown in network 0");
	assert_said(&ex, "flooded to 6 other ports of network 0");
	trace(&ex, TRUNK, B, A, 100);
	assert_said(&ex, "tag 100: network 0 (trunk port 6)");
	trace(&ex, TRUNK, B, A, 300);
	assert_said(&ex, "tag 300: no network of trunk port 6 has it");
	trace(&ex, TRUNK, B, A, UNTAGGED);
	assert_said(&ex, "untagged frame: trunk port 6 has no native network");
	trace(&ex, BLUE1, B, A, 100);
	assert_said(&ex, "tag 100: port 0 is an access port and takes no tags");
	trace(&ex, PINNED, B, A, UNTAGGED);
	assert_said(&ex, "source 52:54:00:00:00:0a: port 2 may send from 52:54:00:00:00:99 only");
	trace(&ex, BLUE1, B, 0, UNTAGGED);
	assert_said(&ex, "source 00:00:00:00:00:00 is zero");
	trace(&ex, BLUE1, 0xc28001, A, UNTAGGED);
	assert_said(&ex, "destination 01:80:c2:00:00:00 stays on its link");
	send_to(BLUE_ISO1, BROADCAST, B, UNTAGGED);
	trace(&ex, BLUE_ISO2, B, A, UNTAGGED);
	assert_said(&ex, "destination 52:54:00:00:00:0b is on port 3");
	assert_said(&ex, "ports 4 and 3 are both isolated");
	trace(&ex, BLUE1, BROADCAST, B, UNTAGGED);
	assert_said(&ex, "source 52:54:00:00:00:0b was on port 3 and would move to port 0");
	fdb_set_port_max(fdb, BLUE1, 0);
	trace(&ex, BLUE1, BROADCAST, C, UNTAGGED);
	assert_said(&ex,
		"source 52:54:00:00:00:0c would not be learned: port 0 holds 0 MACs, all it may");
	fdb_add_static(fdb, fdb_key(BLUE, PIN), PINNED);
	trace(&ex, BLUE1, BROADCAST, PIN, UNTAGGED);
	assert_said(&ex, "source 52:54:00:00:00:99 belongs to port 2 and none other");
	trace(&ex, LONELY, BROADCAST, A, UNTAGGED);
	assert_said(&ex, "network 3 has no other port that port 10 reaches");
}

static void tracing_decides_like_the_datapath_and_changes_nothing(void **state) {
	static const uint64_t macs[] = {A, B, C, PIN, 0, GROUP, BROADCAST, 0xc28001};
	static struct explain ex;
	enum { MACS = sizeof(macs) / sizeof(macs[0]) };

	fdb_add_static(fdb, fdb_key(BLUE, PIN), PINNED);
	send_to(BLUE2, BROADCAST, B, UNTAGGED);
	for (unsigned i = 0; i < PORTS * MACS * MACS * 3; i++) {
		uint16_t in = (uint16_t)(i % PORTS);
		uint64_t dst = macs[i / PORTS % MACS], src = macs[i / PORTS / MACS % MACS];
		int tci = (int[]){UNTAGGED, 100, 200}[i / PORTS / MACS / MACS];
		struct fdb_stats before, after;
		struct frame was;

		fdb_stats(fdb, &before);
		trace(&ex, in, dst, src, tci);
		was = batch.f[0];
		assert_true(ex.n > 0);
		fdb_stats(fdb, &after);
		assert_memory_equal(&before, &after, sizeof(after));
		send_to(in, dst, src, tci);
		assert_int_equal(batch.f[0].drop, was.drop);
		assert_int_equal(batch.f[0].out, was.out);
		assert_int_equal(batch.f[0].net, was.net);
	}
}

static void an_explanation_that_is_full_takes_no_more(void **state) {
	static struct explain ex;

	for (unsigned i = 0; i < EXPLAIN_STEPS + 5; i++)
		explain_step(&ex, "a stage with a long name", "%0300u", i);
	assert_int_equal(ex.n, EXPLAIN_STEPS);
	assert_int_equal(strlen(ex.step[EXPLAIN_STEPS - 1].text), EXPLAIN_TEXT - 1);
}

int main(void) {
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		T(each_decision_is_explained_with_the_values_that_decided),
		T(tracing_decides_like_the_datapath_and_changes_nothing),
		T(an_explanation_that_is_full_takes_no_more),
#undef T
	};

	return cmocka_run_group_tests_name("explain", tests, NULL, NULL);
}
