/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "forward/fdb.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* A MAC that nobody made by hand: the number in the last octets, as guests count them up. */
static uint64_t mac_of(uint32_t i) {
	return 0x5452 | (uint64_t)(i & 0xff) << 40 | (uint64_t)(i >> 8 & 0xff) << 32 |
	       (uint64_t)(i >> 16 & 0xff) << 24;
}

static uint64_t key_of(uint32_t i) {
	return fdb_key(1, mac_of(i));
}

static uint32_t used_of(const struct fdb *t, uint16_t port) {
	uint64_t refused, moves;
	uint32_t used;

	fdb_port_stats(t, port, &used, &refused, &moves);
	return used;
}

static uint16_t lookup(const struct fdb *t, uint64_t key, uint32_t now_s) {
	return fdb_lookup(t, key, fdb_prefetch(t, key), now_s);
}

static enum fdb_learned learn(struct fdb *t, uint64_t key, uint16_t port, uint32_t now_s) {
	return fdb_learn(t, key, fdb_prefetch(t, key), port, now_s);
}

static int with_table(void **state) {
	*state = fdb_new(4096, 300);
	return *state == NULL;
}

static int without_table(void **state) {
	fdb_free(*state);
	return 0;
}

static void what_was_learned_is_found_on_its_port(void **state) {
	struct fdb *t = *state;

	assert_int_equal(lookup(t, key_of(1), 10), OUT_NONE);
	assert_int_equal(learn(t, key_of(1), 7, 10), FDB_NEW);
	assert_int_equal(learn(t, key_of(1), 7, 10), FDB_KNOWN);
	assert_int_equal(lookup(t, key_of(1), 10), 7);
	assert_int_equal(used_of(t, 7), 1);
}

static void a_mac_may_be_on_different_ports_in_different_networks(void **state) {
	struct fdb *t = *state;

	assert_int_equal(learn(t, fdb_key(0, mac_of(1)), 7, 10), FDB_NEW);
	assert_int_equal(learn(t, fdb_key(4095, mac_of(1)), 8, 10), FDB_NEW);
	assert_int_equal(lookup(t, fdb_key(0, mac_of(1)), 10), 7);
	assert_int_equal(lookup(t, fdb_key(4095, mac_of(1)), 10), 8);
	assert_int_equal(lookup(t, fdb_key(1, mac_of(1)), 10), OUT_NONE);
}

static void a_station_that_moves_takes_its_entry_and_its_count_along(void **state) {
	struct fdb *t = *state;
	uint64_t refused, moves;
	uint32_t used;

	learn(t, key_of(1), 7, 10);
	assert_int_equal(learn(t, key_of(1), 8, 10), FDB_MOVED);
	assert_int_equal(lookup(t, key_of(1), 10), 8);
	assert_int_equal(used_of(t, 7), 0);
	fdb_port_stats(t, 8, &used, &refused, &moves);
	assert_int_equal(used, 1);
	assert_int_equal(moves, 1);
}

static void a_move_to_a_port_whose_allowance_is_used_up_is_refused(void **state) {
	struct fdb *t = *state;
	struct fdb_stats st;

	fdb_set_port_max(t, 8, 1);
	learn(t, key_of(1), 7, 10);
	learn(t, key_of(2), 8, 10);
	assert_int_equal(learn(t, key_of(1), 8, 10), FDB_LIMIT);
	assert_int_equal(lookup(t, key_of(1), 10), 7);
	assert_int_equal(used_of(t, 7), 1);
	assert_int_equal(used_of(t, 8), 1);
	fdb_stats(t, &st);
	assert_int_equal(st.refused_limit, 1);
	assert_int_equal(st.moves, 0);
}

static void an_entry_is_forgotten_after_its_age_of_silence_and_not_before(void **state) {
	struct fdb *t = *state;

	fdb_set_age(t, 5);
	learn(t, key_of(1), 7, 10);
	assert_int_equal(lookup(t, key_of(1), 15), 7);
	assert_int_equal(lookup(t, key_of(1), 16), OUT_NONE);
	/* Seen again in time. */
	assert_int_equal(learn(t, key_of(1), 7, 15), FDB_KNOWN);
	assert_int_equal(lookup(t, key_of(1), 20), 7);
	/* Too late: learned anew, also when another port does. */
	assert_int_equal(learn(t, key_of(1), 7, 30), FDB_NEW);
	assert_int_equal(learn(t, key_of(1), 8, 40), FDB_NEW);
	assert_int_equal(lookup(t, key_of(1), 40), 8);
	assert_int_equal(used_of(t, 7), 0);
	assert_int_equal(used_of(t, 8), 1);
}

static void a_worker_whose_clock_is_an_instant_behind_forgets_nothing(void **state) {
	struct fdb *t = *state;

	learn(t, key_of(1), 7, 10);
	assert_int_equal(lookup(t, key_of(1), 9), 7);
	assert_int_equal(learn(t, key_of(1), 7, 9), FDB_KNOWN);
}

static void ageing_frees_what_is_old_within_sixteen_calls(void **state) {
	struct fdb *t = *state;
	struct fdb_stats st;

	fdb_set_age(t, 5);
	for (uint32_t i = 0; i < 1000; i++)
		learn(t, key_of(i), 7, i < 600 ? 10 : 14);
	assert_int_equal(fdb_add_static(t, key_of(5000), 7), 0);
	for (unsigned i = 0; i < 16; i++)
		fdb_age(t, 16);
	fdb_stats(t, &st);
	assert_int_equal(st.used, 401);
	assert_int_equal(used_of(t, 7), 400);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(lookup(t, key_of(i), 16), i < 600 ? OUT_NONE : 7);
}

static void a_static_entry_neither_ages_nor_moves_nor_counts_as_learned(void **state) {
	struct fdb *t = *state;

	assert_int_equal(fdb_add_static(t, key_of(1), 7), 0);
	assert_int_equal(used_of(t, 7), 0);
	assert_int_equal(lookup(t, key_of(1), 1000000), 7);
	assert_int_equal(learn(t, key_of(1), 8, 10), FDB_STATIC);
	assert_int_equal(learn(t, key_of(1), 7, 10), FDB_KNOWN);
	assert_int_equal(learn(t, key_of(1), 7, 10), FDB_KNOWN);
	assert_int_equal(lookup(t, key_of(1), 1000000), 7);
	fdb_set_port_max(t, 7, 0);
	assert_int_equal(learn(t, key_of(1), 7, 11), FDB_KNOWN);
}

static void a_mac_used_twice_is_refused(void **state) {
	struct fdb *t = *state;

	assert_int_equal(fdb_add_static(t, key_of(1), 7), 0);
	assert_int_equal(fdb_add_static(t, key_of(1), 7), 0);
	assert_int_equal(fdb_add_static(t, key_of(1), 8), -EEXIST);
	assert_int_equal(fdb_add_static(t, fdb_key(2, mac_of(1)), 8), 0);
	assert_int_equal(lookup(t, key_of(1), 10), 7);
}

static void a_static_entry_takes_the_place_of_a_learned_one(void **state) {
	struct fdb *t = *state;
	struct fdb_stats st;

	learn(t, key_of(1), 7, 10);
	assert_int_equal(fdb_add_static(t, key_of(1), 8), 0);
	assert_int_equal(lookup(t, key_of(1), 10), 8);
	assert_int_equal(used_of(t, 7), 0);
	fdb_stats(t, &st);
	assert_int_equal(st.used, 1);
	fdb_del_static(t, key_of(1));
	assert_int_equal(lookup(t, key_of(1), 10), OUT_NONE);
	assert_int_equal(learn(t, key_of(1), 7, 10), FDB_NEW);
	fdb_del_static(t, key_of(1));
	assert_int_equal(lookup(t, key_of(1), 10), 7);
}

static void static_entries_are_bounded_by_the_size_of_the_table(void **state) {
	struct fdb *t = fdb_new(16, 300);

	assert_non_null(t);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(fdb_add_static(t, key_of(i), 7), 0);
	assert_int_equal(fdb_add_static(t, key_of(16), 7), -ENOSPC);
	assert_int_equal(fdb_add_static(t, key_of(3), 7), 0);
	fdb_free(t);
}

static void a_flushed_port_loses_its_entries_and_nobody_elses(void **state) {
	struct fdb *t = *state;

	for (uint32_t i = 0; i < 500; i++)
		learn(t, key_of(i), i % 2 ? 7 : 8, 10);
	fdb_add_static(t, key_of(1000), 7);
	fdb_add_static(t, key_of(1001), 8);
	fdb_flush_port(t, 7, false);
	for (uint32_t i = 0; i < 500; i++)
		assert_int_equal(lookup(t, key_of(i), 10), i % 2 ? OUT_NONE : 8);
	assert_int_equal(used_of(t, 7), 0);
	assert_int_equal(used_of(t, 8), 250);
	assert_int_equal(lookup(t, key_of(1000), 10), 7);
	fdb_flush_port(t, 7, true);
	assert_int_equal(lookup(t, key_of(1000), 10), OUT_NONE);
	assert_int_equal(lookup(t, key_of(1001), 10), 8);
	assert_int_equal(fdb_add_static(t, key_of(1000), 8), 0);
}

static void a_flushed_network_loses_its_learned_entries_and_no_others(void **state) {
	struct fdb *t = *state;

	learn(t, fdb_key(0, mac_of(1)), 7, 10);
	learn(t, fdb_key(1, mac_of(1)), 7, 10);
	fdb_add_static(t, fdb_key(0, mac_of(2)), 7);
	fdb_flush_net(t, 0);
	assert_int_equal(lookup(t, fdb_key(0, mac_of(1)), 10), OUT_NONE);
	assert_int_equal(lookup(t, fdb_key(1, mac_of(1)), 10), 7);
	assert_int_equal(lookup(t, fdb_key(0, mac_of(2)), 10), 7);
	assert_int_equal(used_of(t, 7), 1);
}

static void a_port_that_invents_100000_sources_costs_its_neighbour_nothing(void **state) {
	struct fdb *t = fdb_new(FDB_MAX_DEFAULT, 300);
	uint64_t refused, moves;
	uint32_t used;

	assert_non_null(t);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(learn(t, fdb_key(1, mac_of(i) | 1 << 16), 8, 10), FDB_NEW);
	for (uint32_t i = 0; i < 100000; i++)
		assert_int_equal(
			learn(t, key_of(i), 7, 10), i < FDB_PORT_MAX_DEFAULT ? FDB_NEW : FDB_LIMIT);
	fdb_port_stats(t, 7, &used, &refused, &moves);
	assert_int_equal(used, FDB_PORT_MAX_DEFAULT);
	assert_int_equal(refused, 100000 - FDB_PORT_MAX_DEFAULT);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(lookup(t, fdb_key(1, mac_of(i) | 1 << 16), 10), 8);
	for (uint32_t i = 1000; i < FDB_PORT_MAX_DEFAULT; i++)
		assert_int_equal(learn(t, fdb_key(1, mac_of(i) | 1 << 16), 8, 10), FDB_NEW);
	fdb_free(t);
}

static void ports_that_fill_the_table_together_leave_their_neighbours_a_reserve(void **state) {
	struct fdb *t = fdb_new(8 * PORTS_MAX, 300);
	struct fdb_stats st;

	assert_non_null(t);
	for (uint32_t i = 0; i < 16 * PORTS_MAX; i++)
		assert_int_equal(learn(t, key_of(i), (uint16_t)(i % 4), 10),
			i < 8 * PORTS_MAX ? FDB_NEW : FDB_FULL);
	fdb_stats(t, &st);
	assert_int_equal(st.used, 8 * PORTS_MAX);
	assert_int_equal(st.refused_full, 8 * PORTS_MAX);
	for (uint32_t i = 0; i < 9; i++)
		assert_int_equal(
			learn(t, fdb_key(2, mac_of(i)), 9, 10), i < 8 ? FDB_NEW : FDB_FULL);
	assert_int_equal(fdb_add_static(t, fdb_key(2, mac_of(100)), 9), 0);
	fdb_free(t);
}

/* Counted-up MACs, MACs that differ in the first octets, and in bits far apart. */
static uint64_t shaped(unsigned shape, uint32_t i) {
	switch (shape) {
	case 0:
		return key_of(i);
	case 1:
		return fdb_key(1, (uint64_t)i << 1);
	case 2:
		return fdb_key(1, (uint64_t)(i & 0xff) << 8 | (uint64_t)(i >> 8) << 32);
	default:
		return fdb_key((uint16_t)(i & 0xfff), 0x5452 | (uint64_t)(i >> 12) << 40);
	}
}

static void a_table_takes_all_it_admits_whatever_the_macs_look_like(void **state) {
	for (uint32_t max = 1; max <= 65536; max = max * 3 + 1)
		for (unsigned shape = 0; shape < 4; shape++) {
			struct fdb *t = fdb_new(max, 300);
			uint32_t n = max < 65536 ? max : 65536;

			assert_non_null(t);
			fdb_set_port_max(t, 3, n);
			for (uint32_t i = 0; i < n; i++)
				if (learn(t, shaped(shape, i), 3, 10) != FDB_NEW)
					fail_msg("shape %u: %u of %u was not learned", shape, i, n);
			for (uint32_t i = 0; i < n; i++)
				assert_int_equal(lookup(t, shaped(shape, i), 10), 3);
			fdb_free(t);
		}
}

static void what_learning_would_do_is_told_and_not_done(void **state) {
	struct fdb *t = *state;
	struct fdb_stats st;

	assert_int_equal(fdb_would_learn(t, key_of(1), 7, 10), FDB_NEW);
	assert_int_equal(lookup(t, key_of(1), 10), OUT_NONE);
	learn(t, key_of(1), 7, 10);
	assert_int_equal(fdb_would_learn(t, key_of(1), 7, 10), FDB_KNOWN);
	assert_int_equal(fdb_would_learn(t, key_of(1), 8, 10), FDB_MOVED);
	fdb_set_port_max(t, 8, 0);
	assert_int_equal(fdb_would_learn(t, key_of(1), 8, 10), FDB_LIMIT);
	fdb_add_static(t, key_of(2), 7);
	assert_int_equal(fdb_would_learn(t, key_of(2), 8, 10), FDB_STATIC);
	fdb_stats(t, &st);
	assert_int_equal(st.used, 2);
	assert_int_equal(st.refused_limit, 0);
	assert_int_equal(lookup(t, key_of(1), 10), 7);
}

struct seen {
	unsigned n, statics;
	uint32_t oldest;
	unsigned stop_at;
};

static bool note(const struct fdb_entry *e, void *arg) {
	struct seen *s = arg;

	assert_int_equal(e->net, 1);
	assert_int_equal(e->port, e->is_static ? 8 : 7);
	s->n++;
	s->statics += e->is_static;
	if (e->age_s > s->oldest)
		s->oldest = e->age_s;
	return s->n != s->stop_at;
}

static void a_walk_tells_every_live_entry_once(void **state) {
	struct fdb *t = *state;
	struct seen all = {0}, some = {.stop_at = 5};

	fdb_set_age(t, 20);
	for (uint32_t i = 0; i < 100; i++)
		learn(t, key_of(i), 7, i < 10 ? 10 : 20 + i % 10);
	fdb_add_static(t, key_of(1000), 8);
	fdb_walk(t, 35, note, &all);
	assert_int_equal(all.n, 91);
	assert_int_equal(all.statics, 1);
	assert_int_equal(all.oldest, 15);
	fdb_walk(t, 35, note, &some);
	assert_int_equal(some.n, 5);
}

static void a_size_out_of_range_is_refused(void **state) {
	assert_null(fdb_new(0, 300));
	assert_null(fdb_new((1 << 20) + 1, 300));
}

/* The table against a list that is obviously right. */

enum { KEYS = 600, PORTS = 5, STEPS = 200000, AGE = 20 };

struct station {
	bool there, is_static;
	uint16_t port;
	uint32_t seen;
};

static struct station station[KEYS];

static bool alive(const struct station *s, uint32_t now) {
	return s->there && (s->is_static || now - s->seen <= AGE);
}

static void expect_learn(struct fdb *t, uint32_t i, uint16_t port, uint32_t now) {
	struct station *s = &station[i];
	enum fdb_learned want = FDB_NEW;

	if (alive(s, now) && s->port == port)
		want = FDB_KNOWN;
	else if (alive(s, now))
		want = s->is_static ? FDB_STATIC : FDB_MOVED;
	assert_int_equal(fdb_would_learn(t, key_of(i), port, now), want);
	assert_int_equal(learn(t, key_of(i), port, now), want);
	if (want != FDB_STATIC)
		*s = (struct station){true, s->is_static && want == FDB_KNOWN, port, now};
}

static void expect_flush(struct fdb *t, uint16_t port, bool with_static) {
	fdb_flush_port(t, port, with_static);
	for (uint32_t i = 0; i < KEYS; i++)
		if (station[i].port == port && (with_static || !station[i].is_static))
			station[i].there = false;
}

static void expect_static(struct fdb *t, uint32_t i, uint16_t port, uint32_t now) {
	struct station *s = &station[i];
	bool taken = s->there && s->is_static && s->port != port;

	assert_int_equal(fdb_add_static(t, key_of(i), port), taken ? -EEXIST : 0);
	if (!taken)
		*s = (struct station){true, true, port, now};
}

static void any_sequence_of_operations_agrees_with_a_plain_list(void **state) {
	struct fdb *t = fdb_new(KEYS, AGE);
	uint32_t now = 1000;
	struct fdb_stats st;

	assert_non_null(t);
	srandom(20260101);
	for (unsigned step = 0; step < STEPS; step++) {
		uint32_t i = (uint32_t)random() % KEYS, what = (uint32_t)random() % 1000;
		uint16_t port = (uint16_t)(random() % PORTS);

		if (what < 500)
			expect_learn(t, i, port, now);
		else if (what < 900)
			assert_int_equal(lookup(t, key_of(i), now),
				alive(&station[i], now) ? station[i].port : OUT_NONE);
		else if (what < 950)
			now += what % 2;
		else if (what < 975)
			fdb_age(t, now);
		else if (what < 985)
			expect_static(t, i, port, now);
		else if (what < 996) {
			fdb_del_static(t, key_of(i));
			station[i].there &= !station[i].is_static;
		} else
			expect_flush(t, port, what % 2);
	}
	for (unsigned i = 0; i < 16; i++)
		fdb_age(t, now);
	for (uint16_t port = 0; port < PORTS; port++) {
		uint32_t want = 0;

		for (uint32_t i = 0; i < KEYS; i++)
			want += alive(&station[i], now) && !station[i].is_static &&
				station[i].port == port;
		assert_int_equal(used_of(t, port), want);
	}
	for (uint16_t port = 0; port < PORTS; port++)
		fdb_flush_port(t, port, true);
	fdb_stats(t, &st);
	assert_int_equal(st.used, 0);
	fdb_free(t);
}

int main(void) {
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, with_table, without_table)
		T(what_was_learned_is_found_on_its_port),
		T(a_mac_may_be_on_different_ports_in_different_networks),
		T(a_station_that_moves_takes_its_entry_and_its_count_along),
		T(a_move_to_a_port_whose_allowance_is_used_up_is_refused),
		T(an_entry_is_forgotten_after_its_age_of_silence_and_not_before),
		T(a_worker_whose_clock_is_an_instant_behind_forgets_nothing),
		T(ageing_frees_what_is_old_within_sixteen_calls),
		T(a_static_entry_neither_ages_nor_moves_nor_counts_as_learned),
		T(a_mac_used_twice_is_refused),
		T(a_static_entry_takes_the_place_of_a_learned_one),
		T(static_entries_are_bounded_by_the_size_of_the_table),
		T(a_flushed_port_loses_its_entries_and_nobody_elses),
		T(a_flushed_network_loses_its_learned_entries_and_no_others),
		T(a_port_that_invents_100000_sources_costs_its_neighbour_nothing),
		T(ports_that_fill_the_table_together_leave_their_neighbours_a_reserve),
		T(a_table_takes_all_it_admits_whatever_the_macs_look_like),
		T(what_learning_would_do_is_told_and_not_done),
		T(a_walk_tells_every_live_entry_once),
		T(a_size_out_of_range_is_refused),
		T(any_sequence_of_operations_agrees_with_a_plain_list),
#undef T
	};

	return cmocka_run_group_tests_name("fdb", tests, NULL, NULL);
}
