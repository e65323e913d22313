/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "worker_bed.h"

/* What a turn may cost, in bytes and copies; nothing of what it leaves is lost, and nothing comes twice. */

/* Box 0 sends n frames to everybody, in turns of one worker; all others get each of them once. */
static struct worker_stats flood(uint64_t n) {
	struct workers *w = start(1, IDLE_BUSY);
	struct worker_stats st;

	box[0].to_send = n;
	workers_publish(w, snapshot_of(0x3f, 1));
	for (unsigned i = 1; i < PORTS; i++)
		reaches(&box[i].got, n);
	reaches(&box[0].done, n);
	usleep(1000);
	for (unsigned i = 1; i < PORTS; i++)
		assert_int_equal(box[i].got, n);
	workers_stats(w, 0, &st);
	workers_stop(w);
	assert_int_equal(box[0].rx.c.frames, n);
	assert_int_equal(st.frames, n);
	return st;
}

/* 64 small frames to five receivers are more than a turn may cost. */
static void a_turn_ends_by_copies_and_the_rest_comes_in_the_next(void **state) {
	struct worker_stats st = flood(64 * 100);

	assert_in_range(box[0].most_copies, 64, TURN_STEPS_MAX);
	assert_in_range(st.turns, 102, 200);
	assert_int_equal(box[0].rx.c.bytes, 64 * 100 * FRAME);
}

static void a_turn_ends_by_bytes(void **state) {
	box[0].len = 9014;
	flood(1000);
	assert_in_range(box[0].most_bytes, TURN_BYTES_MAX, TURN_BYTES_MAX + 9014);
}

/* To each of five in turn: nobody is left out, and nobody gets it twice. */
static void a_flood_that_costs_more_than_a_turn_goes_on_in_the_next(void **state) {
	struct worker_stats st;

	box[0].len = FRAME_LEN_MAX;
	st = flood(100);
	assert_in_range(box[0].most_copies, 1, 2); // 96 KiB are reached by the second
	assert_int_equal(st.turns, 250); // some with the last of a frame and the first of the next
	ops.steps = TURN_STEPS_MAX; // as if each copy were as dear as a turn
	tear_down(state);
	set_up(state);
	st = flood(100);
	ops.steps = 1;
	assert_int_equal(box[0].most_copies, 1);
	assert_int_equal(st.turns, 500);
}

/* A flood that is to go on, whose destination a frame of its own made known meanwhile. */
static void a_flooded_frame_does_not_come_again_to_a_destination_learned_since(void **state) {
	static struct batch b = {.n = 1};
	struct snapshot *s = snapshot_of(0x3f, 1);
	struct push p;

	assert_int_equal(push_init(&p), 0);
	b.f[0] = (struct frame){.head = b.room[0], .len = FRAME, .out = OUT_FLOOD};
	ops.steps = TURN_STEPS_MAX / 2;
	assert_int_equal(push_group(&p, s, &b, 0, NULL), 0);
	assert_int_equal(p.n, 2);
	assert_int_equal(p.done, 0);
	assert_int_equal(p.resume, 3); // ports 1 and 2 have it
	for (uint16_t out = 1; out < PORTS; out++) {
		push_reset(&p);
		p.resume = 3;
		b.f[0].out = out;
		assert_int_equal(push_group(&p, s, &b, 0, NULL), 1);
		assert_int_equal(p.done, 1);
		assert_int_equal(p.n, out >= 3);
	}
	ops.steps = 1;
	push_reset(&p);
	push_fini(&p);
	snapshot_free(s);
}

static void segments_are_counted_where_they_are_cut(void **state) {
	struct worker_stats st;

	box[0].len = FRAME_LEN_MAX;
	box[0].gso_size = 60000; // two pieces, a checksum for each
	st = flood(100);
	assert_int_equal(box[0].most_copies, 1);
	assert_int_equal(st.turns, 500);
	assert_int_equal(box[1].uncut, 0);
	tear_down(state);
	set_up(state);
	box[0].len = FRAME_LEN_MAX;
	box[0].gso_size = 60000;
	for (unsigned i = 0; i < PORTS; i++)
		box[i].tx.caps = CAP_CSUM | CAP_TSO4;
	st = flood(100);
	assert_int_equal(box[0].most_copies, 2);
	tear_down(state);
	set_up(state);
	box[0].len = 14000;
	box[0].gso_size = 140; // 100 pieces for each of five
	flood(100);
	assert_int_equal(box[1].uncut, 100);
}

static void count_capture(void *arg, struct port *p, int dir, const struct frame *f, uint32_t tag) {
	if (dir == 0)
		of(p)->captured++;
}

static void a_frame_that_waits_for_the_next_turn_is_captured_once(void **state) {
	struct workers *w = start(1, IDLE_BUSY);

	box[0].to_send = 6400;
	atomic_store(&box[0].port.capture, true);
	workers_set_capture(w, count_capture, NULL);
	workers_publish(w, snapshot_of(0x3f, 1));
	reaches(&box[5].got, 6400);
	reaches(&box[0].done, 6400);
	workers_stop(w);
	assert_int_equal(box[0].captured, 6400);
}

static void a_turn_ends_by_what_its_captures_copy(void **state) {
	for (unsigned i = 0; i < 2; i++) {
		if (i > 0) {
			tear_down(state);
			set_up(state);
		}
		box[0].len = 1514;
		atomic_store(&box[i].port.capture, 16); // of those who send, of one who receives
		flood(1000);
		// A frame is copied by five receivers and sixteen captures.
		assert_in_range(box[0].most_copies, 15, 5 * (TURN_BYTES_MAX / (21 * 1514) + 1));
	}
}

/* What its sender's captures copy of one frame may come to more than a turn by itself. */
static void a_turn_whose_captures_cost_too_much_gets_on_by_one_receiver(void **state) {
	static const struct {
		uint32_t len;
		uint16_t gso_size;
		unsigned captures;
	} dear[] = {{FRAME_LEN_MAX, 0, 2}, {FRAME_LEN_MAX, 60000, 2}, {9014, 0, 16}};

	for (unsigned i = 0; i < sizeof(dear) / sizeof(dear[0]); i++) {
		if (i > 0) {
			tear_down(state);
			set_up(state);
		}
		box[0].len = dear[i].len;
		box[0].gso_size = dear[i].gso_size;
		atomic_store(&box[0].port.capture, dear[i].captures);
		assert_int_equal(flood(10).turns, 10 * (PORTS - 1));
		assert_int_equal(box[0].most_copies, 1);
	}
}

static void turns_that_take_too_long_are_counted(void **state) {
	struct workers *w = start(1, IDLE_BUSY);
	struct worker_stats st;

	box[0].slow = true; // 100 us more
	box[0].to_send = 64 * 50;
	workers_publish(w, snapshot_of(0x3, 1));
	reaches(&box[1].got, 64 * 50);
	usleep(1000);
	workers_stats(w, 0, &st);
	workers_stop(w);
	assert_true(st.longest_turn >= workers_hz() / 10000);
	assert_int_equal(st.longest_turn, box[0].rx.c.longest_turn);
	assert_int_equal(st.long_turns, box[0].rx.c.long_turns);
	assert_int_equal(st.long_turns > 0, st.longest_turn > TURN_CYCLES_MAX);
	assert_int_equal(box[1].rx.c.longest_turn, 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		T(a_turn_ends_by_copies_and_the_rest_comes_in_the_next),
		T(a_turn_ends_by_bytes),
		T(a_flood_that_costs_more_than_a_turn_goes_on_in_the_next),
		T(a_flooded_frame_does_not_come_again_to_a_destination_learned_since),
		T(segments_are_counted_where_they_are_cut),
		T(a_frame_that_waits_for_the_next_turn_is_captured_once),
		T(a_turn_ends_by_what_its_captures_copy),
		T(a_turn_whose_captures_cost_too_much_gets_on_by_one_receiver),
		T(turns_that_take_too_long_are_counted),
	};

	return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
