/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
/* Workers, turns and snapshots, with ports that live in this program: what one is given to send
 * comes out of rx, what it gets is counted in tx. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "forward/fdb.h"
#include "schedule/sched.h"
#include "schedule/worker.h"

enum { FRAME = 100, PORTS = 6 };

struct box {
	struct port port;
	struct rxq rx;
	struct txq tx;
	int kick;
	uint64_t dst;
	_Atomic uint64_t to_send, sent, done, got, armed;
	uint64_t in_batch;
	bool holding; /* between rx and rx_done */
	bool slow;
	bool owed; /* frames were pulled and not yet given back: what others got must not be shown */
	atomic_uint too_early; /* how often it was */
	atomic_uint inside, mixed; /* workers in a turn of the queue; how often there were two */
};

static struct box box[PORTS];
static struct fdb *fdb;
static _Thread_local struct box *turn_of; /* whose frames a worker has */

static struct box *of(struct port *p) {
	return (struct box *)p;
}

static unsigned box_rx(struct rxq *q, struct batch *b, unsigned budget) {
	struct box *x = of(q->port);
	unsigned n = 0;

	b->n = b->nsegs = 0;
	b->bytes = 0;
	for (; n < budget && x->sent + n < x->to_send; n++) {
		struct frame *f = &b->f[n];

		memset(f, 0, sizeof(*f));
		f->head = b->room[n];
		f->len = FRAME;
		f->head_len = FRAME;
		memset(f->head, 0, FRAME);
		memcpy(f->head, &x->dst, 6);
		f->head[6] = 2;
		f->head[11] = (uint8_t)(q->port->id + 1);
		b->bytes += FRAME;
	}
	b->n = (uint16_t)n;
	x->holding = n > 0;
	x->owed = n > 0;
	turn_of = n > 0 ? x : NULL;
	if (n > 0 && atomic_fetch_add(&x->inside, 1) != 0)
		x->mixed++;
	return n;
}

static void box_done(struct rxq *q, struct batch *b) {
	struct box *x = of(q->port);

	if (x->slow)
		usleep(100);
	x->owed = false;
	x->sent += b->n;
	x->done += b->n;
}

static void box_rx_end(struct rxq *q) {
	of(q->port)->holding = false;
	atomic_fetch_sub(&of(q->port)->inside, 1);
}

static bool box_begin(struct txq *t) {
	rte_spinlock_lock(&t->lock);
	return true;
}

static void box_tx(struct txq *t, const struct tx_item *it, unsigned n) {
	of(t->port)->in_batch += n;
}

static void box_publish(struct txq *t) {
	if (turn_of != NULL && turn_of->owed)
		turn_of->too_early++;
	of(t->port)->got += of(t->port)->in_batch;
	of(t->port)->in_batch = 0;
}

static void box_end(struct txq *t) {
	rte_spinlock_unlock(&t->lock);
}

static bool box_arm(struct rxq *q) {
	struct box *x = of(q->port);

	x->armed++;
	return x->sent < x->to_send;
}

static void box_disarm(struct rxq *q) {
	uint64_t n;

	(void)!read(of(q->port)->kick, &n, sizeof(n));
}

static int box_fd(struct rxq *q) {
	return of(q->port)->kick;
}

static const struct port_ops ops = {.kind = "box",
	.rx = box_rx,
	.rx_done = box_done,
	.rx_end = box_rx_end,
	.tx_begin = box_begin,
	.tx = box_tx,
	.tx_publish = box_publish,
	.tx_end = box_end,
	.arm = box_arm,
	.disarm = box_disarm,
	.fd = box_fd};

static void kick(struct box *x) {
	uint64_t one = 1;

	(void)!write(x->kick, &one, sizeof(one));
}

static int set_up(void **state) {
	fdb = fdb_new(1024, 300);
	for (unsigned i = 0; i < PORTS; i++) {
		struct box *x = &box[i];

		memset(x, 0, sizeof(*x));
		x->port.id = (uint16_t)i;
		x->port.queues = 1;
		x->port.mtu = 1500;
		x->port.ops = &ops;
		x->port.rxq[0] = &x->rx;
		x->port.txq[0] = &x->tx;
		x->rx.port = x->tx.port = &x->port;
		x->rx.worker = -1;
		x->dst = UINT64_MAX; // broadcast
		x->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		fdb_set_port_max(fdb, (uint16_t)i, 16);
	}
	return 0;
}

static int tear_down(void **state) {
	for (unsigned i = 0; i < PORTS; i++)
		close(box[i].kick);
	fdb_free(fdb);
	return 0;
}

/* A snapshot with the ports of `mask` in one network, dealt to n workers. */
static struct snapshot *snapshot_of(unsigned mask, unsigned n) {
	struct snapshot *s = snapshot_new();

	s->fwd = fwd_new(fdb, PORTS, 1);
	assert_int_equal(fwd_set_net(s->fwd, 0, 0), 0);
	for (unsigned i = 0; i < PORTS; i++) {
		if (!(mask >> i & 1))
			continue;
		s->ports[i] = &box[i].port;
		assert_int_equal(fwd_set_access(s->fwd, (uint16_t)i, 0, false, 0), 0);
	}
	assert_int_equal(fwd_seal(s->fwd), 0);
	assert_int_equal(snapshot_deal(s, n), 0);
	return s;
}

static int cpus_here(int *cpus, int max) {
	cpu_set_t set;
	int n = 0;

	sched_getaffinity(0, sizeof(set), &set);
	for (int i = 0; i < CPU_SETSIZE && n < max; i++)
		if (CPU_ISSET(i, &set))
			cpus[n++] = i;
	return n;
}

static struct workers *start(unsigned n, enum idle_mode idle) {
	int cpus[8];
	struct workers *w;
	struct err e;

	assert_true(cpus_here(cpus, (int)n) >= 1);
	for (unsigned i = 1; i < n; i++) // on one CPU too, if there is no more
		if (cpus_here(cpus, (int)n) <= (int)i)
			cpus[i] = cpus[0];
	if (workers_start(&w, cpus, n, idle, &e) != 0)
		fail_msg("%s", e.text);
	return w;
}

/* Waits up to 10 s until what *at counts reaches `want`. */
static void reaches(const _Atomic uint64_t *at, uint64_t want) {
	for (unsigned i = 0; i < 10000 && *at < want; i++)
		usleep(1000);
	assert_int_equal(*at, want);
}

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

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
	const struct CMUnitTest tests[] = {
		T(queues_without_load_are_spread_evenly),
		T(the_heaviest_queues_do_not_share_a_worker),
		T(a_queue_moves_only_when_that_evens_the_load),
		T(turns_go_round),
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
