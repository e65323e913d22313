/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "worker_bed.h"

/* Dealing, snapshots, turns and the sleep of workers. */

static void queues_without_load_are_spread_evenly(void **state) {
	struct snapshot *s = snapshot_of(0x3f, 3);

	for (unsigned w = 0; w < 3; w++)
		assert_int_equal(s->nqueues[w], 2);
	snapshot_free(s);
}

static void the_heaviest_queues_do_not_share_a_worker(void **state) {
	struct snapshot *s;

	box[2].rx.c.cycles = 9000000;
	box[4].rx.c.cycles = 8000000;
	s = snapshot_of(0x3f, 2);
	assert_int_not_equal(box[2].rx.worker, box[4].rx.worker);
	snapshot_free(s);
}

static void a_queue_moves_only_when_that_evens_the_load(void **state) {
	int before[PORTS];
	struct snapshot *s = snapshot_of(0x3f, 2);

	snapshot_free(s);
	for (unsigned i = 0; i < PORTS; i++) {
		before[i] = box[i].rx.worker;
		box[i].rx.c.cycles += 1000000 + i * 1000; // all nearly the same
	}
	s = snapshot_of(0x3f, 2);
	for (unsigned i = 0; i < PORTS; i++)
		assert_int_equal(box[i].rx.worker, before[i]);
	snapshot_free(s);
	// Now all the work is on one worker's queues: one of them goes over.
	for (unsigned i = 0; i < PORTS; i++)
		box[i].rx.c.cycles += before[i] == 0 ? 5000000 : 0;
	s = snapshot_of(0x3f, 2);
	unsigned moved = 0;
	for (unsigned i = 0; i < PORTS; i++)
		moved += before[i] == 0 && box[i].rx.worker == 1;
	assert_int_equal(moved, 1);
	snapshot_free(s);
}

static void turns_go_round(void **state) {
	struct rxq *q[] = {&box[0].rx, &box[1].rx, &box[2].rx};
	struct sched *s = sched_new();

	assert_null(sched_next(s).q);
	sched_assign(s, q, 3);
	for (unsigned i = 0; i < 9; i++) {
		struct turn t = sched_next(s);

		assert_ptr_equal(t.q, q[i % 3]);
		assert_true(t.budget >= 1 && t.budget <= BATCH_MAX);
	}
	sched_assign(s, q, 1);
	assert_ptr_equal(sched_next(s).q, q[0]);
	sched_free(s);
}

/* Who took the worker for five rounds sits out five; alone, or among his like, nobody waits. */
static void a_dear_turn_is_paid_by_sitting_out(void **state) {
	enum { QUANTUM = 50000, DEAR = 5 };
	struct rxq *q[] = {&box[0].rx, &box[1].rx};
	struct sched *s = sched_new();

	q[0]->rest = q[1]->rest = 0;
	sched_assign(s, q, 2);
	for (unsigned i = 0; i < 3; i++) {
		assert_ptr_equal(sched_next(s).q, q[0]);
		sched_ran(s, q[0], 1, 65535, DEAR * QUANTUM);
		for (unsigned k = 0; k <= DEAR; k++) {
			assert_ptr_equal(sched_next(s).q, q[1]);
			sched_ran(s, q[1], BATCH_MAX, BATCH_MAX * 64, QUANTUM - 1);
		}
	}
	for (unsigned i = 0; i < 6; i++) {
		assert_ptr_equal(sched_next(s).q, q[i % 2]);
		sched_ran(s, q[i % 2], 1, 65535,
			UINT64_MAX); // a turn without its CPU is ten at the most
	}
	sched_assign(s, q, 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_ptr_equal(sched_next(s).q, q[0]);
		sched_ran(s, q[0], 1, 65535, DEAR * QUANTUM);
	}
	q[0]->rest = q[1]->rest = 0;
	sched_free(s);
}

static void a_queue_that_moves_is_never_with_two_workers(void **state) {
	struct workers *w = start(2, IDLE_BUSY);

	for (unsigned i = 0; i < 2; i++) {
		box[i].slow = true;
		box[i].to_send = UINT64_MAX;
	}
	for (unsigned n = 0; n < 60; n++) {
		box[0].rx.worker = (int)(n % 2);
		box[1].rx.worker = (int)((n + 1) % 2);
		box[0].rx.dealt = box[0].rx.c.cycles; // nothing to even out
		box[1].rx.dealt = box[1].rx.c.cycles;
		workers_publish(w, snapshot_of(0x3, 2));
		assert_int_equal(workers_snapshot(w)->nqueues[0], 1);
		assert_int_equal(workers_snapshot(w)->nqueues[1], 1);
		assert_ptr_equal(workers_snapshot(w)->queues[n % 2][0], &box[0].rx);
		usleep(300);
	}
	workers_stop(w);
	assert_int_equal(box[0].mixed + box[1].mixed, 0);
	assert_true(box[0].sent > 0 && box[1].sent > 0);
}

static void a_sleeping_worker_wakes_at_a_kick(void **state) {
	struct workers *w = start(1, IDLE_INTERRUPT);
	struct worker_stats st;

	workers_publish(w, snapshot_of(0x3, 1));
	usleep(50000);
	workers_stats(w, 0, &st);
	assert_true(st.sleeps >= 1);
	box[0].to_send = 1000;
	kick(&box[0]);
	reaches(&box[1].got, 1000);
	workers_stats(w, 0, &st);
	assert_int_equal(st.frames, 1000);
	assert_int_equal(st.queues, 2);
	workers_stop(w);
	assert_int_equal(box[0].rx.c.frames, 1000);
	assert_int_equal(box[0].rx.c.bytes, 1000 * FRAME);
	assert_int_equal(box[0].got, 0);
}

static void every_stage_is_booked_and_they_add_up(void **state) {
	struct workers *w = start(1, IDLE_BUSY);
	struct worker_stats st;
	uint64_t sum = 0;

	box[0].to_send = 50000;
	workers_publish(w, snapshot_of(0x7, 1));
	reaches(&box[2].got, 50000);
	usleep(10000);
	workers_stats(w, 0, &st);
	for (unsigned i = 0; i < STAGE_COUNT; i++) {
		assert_true(st.stage_cycles[i] > 0);
		sum += st.stage_cycles[i];
	}
	assert_int_equal(sum, st.busy_cycles);
	assert_int_equal(box[0].rx.c.cycles, st.busy_cycles);
	assert_true(st.busy_cycles <= st.cycles);
	workers_stop(w);
}

/* A switch that is killed in between then loses frames, and never delivers one twice. */
static void a_sender_has_its_frames_back_before_a_receiver_sees_them(void **state) {
	struct workers *w = start(1, IDLE_BUSY);

	box[0].to_send = 50000;
	workers_publish(w, snapshot_of(0x7, 1));
	reaches(&box[1].got, 50000);
	workers_stop(w);
	assert_int_equal(box[0].too_early, 0);
}

static void two_workers_that_flood_each_others_ports_do_not_wait_for_ever(void **state) {
	struct workers *w = start(2, IDLE_BUSY);
	uint64_t each = 20000;

	for (unsigned i = 0; i < PORTS; i++)
		box[i].to_send = each;
	workers_publish(w, snapshot_of(0x3f, 2));
	for (unsigned i = 0; i < PORTS; i++)
		reaches(&box[i].got, each * (PORTS - 1));
	workers_stop(w);
}

static void a_port_that_goes_is_not_touched_after_publish_returned(void **state) {
	struct workers *w = start(2, IDLE_ADAPTIVE);

	box[0].to_send = box[1].to_send = UINT64_MAX; // for ever
	for (unsigned round = 0; round < 200; round++) {
		uint64_t got;

		workers_publish(w, snapshot_of(0x7, 2));
		workers_publish(w, snapshot_of(0x3, 2));
		got = box[2].got;
		assert_false(box[2].holding);
		usleep(200);
		assert_int_equal(box[2].got, got);
		assert_int_equal(box[2].in_batch, 0);
	}
	workers_stop(w);
	// The others lost nothing: each got what the other sent.
	assert_int_equal(box[0].got, box[1].done);
	assert_int_equal(box[1].got, box[0].done);
}

// The third snapshot often lies where the first one lay, which is all the worker still knows of it.
static void a_worker_that_slept_through_two_snapshots_runs_from_the_last(void **state) {
	struct workers *w = start(1, IDLE_INTERRUPT);

	for (unsigned round = 0; round < 200; round++) {
		uint64_t got = box[1].got;

		workers_publish(w, snapshot_of(0x3, 1));
		usleep(500);
		workers_publish(w, snapshot_of(0x1, 1));
		workers_publish(w, snapshot_of(0x6, 1));
		box[2].to_send++;
		kick(&box[2]);
		reaches(&box[1].got, got + 1);
	}
	workers_stop(w);
}

static void a_cpu_that_does_not_exist_is_named(void **state) {
	struct workers *w;
	struct err e;
	int cpu = 4000;

	assert_true(workers_start(&w, &cpu, 1, IDLE_ADAPTIVE, &e) < 0);
	assert_null(w);
	assert_non_null(strstr(e.text, "CPU 4000"));
	assert_non_null(strstr(e.text, "there are: "));
}

static void a_trace_names_receivers_and_sends_nothing(void **state) {
	struct snapshot *s = snapshot_of(0x7, 1);
	struct trace_out out[8];
	struct explain *ex = calloc(1, sizeof(*ex));
	uint8_t frame[FRAME] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1};
	enum drop drop;

	atomic_store(&box[1].tx.active, true);
	assert_int_equal(worker_trace(s, 0, frame, sizeof(frame), out, 8, &drop, ex), 2);
	assert_int_equal(drop, DROP_NONE);
	assert_int_equal(out[0].port, 1);
	assert_int_equal(out[0].drop, DROP_NONE);
	assert_int_equal(out[1].port, 2);
	assert_int_equal(out[1].drop, DROP_PORT_DOWN); // nobody attached
	assert_true(ex->n >= 3);
	assert_int_equal(box[1].got + box[2].got, 0);
	frame[0] = 2; // unknown, and nothing was learned by the first
	frame[5] = 1;
	assert_int_equal(worker_trace(s, 0, frame, sizeof(frame), out, 8, &drop, ex), 2);
	free(ex);
	snapshot_free(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		T(queues_without_load_are_spread_evenly),
		T(the_heaviest_queues_do_not_share_a_worker),
		T(a_queue_moves_only_when_that_evens_the_load),
		T(turns_go_round),
		T(a_dear_turn_is_paid_by_sitting_out),
		T(a_queue_that_moves_is_never_with_two_workers),
		T(a_sleeping_worker_wakes_at_a_kick),
		T(every_stage_is_booked_and_they_add_up),
		T(a_sender_has_its_frames_back_before_a_receiver_sees_them),
		T(two_workers_that_flood_each_others_ports_do_not_wait_for_ever),
		T(a_port_that_goes_is_not_touched_after_publish_returned),
		T(a_worker_that_slept_through_two_snapshots_runs_from_the_last),
		T(a_cpu_that_does_not_exist_is_named),
		T(a_trace_names_receivers_and_sends_nothing),
	};

	return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
