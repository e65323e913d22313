/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_UNIT_WORKER_BED_H
#define WEIR_TESTS_UNIT_WORKER_BED_H

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
#include "frame/offload.h"
#include "schedule/push.h"
#include "schedule/sched.h"
#include "schedule/worker.h"

/* Workers with ports that live in this program: what one is given to send comes out of rx, what it gets
 * is counted in tx. */

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
	uint32_t len; /* of its frames; 0: FRAME */
	uint16_t gso_size; /* not 0: they are to be segmented so */
	uint32_t turn_bytes, turn_copies; /* of the turn under way, and the most of any */
	uint32_t most_bytes, most_copies;
	_Atomic uint64_t uncut, captured;
	bool owed; /* frames were pulled and not yet given back: what others got must not be shown */
	atomic_uint too_early; /* how often it was */
	atomic_uint inside, mixed; /* workers in a turn of the queue; how often there were two */
};

static struct box box[PORTS];
static struct fdb *fdb;
static _Thread_local struct box *turn_of; /* whose frames a worker has */

static inline struct box *of(struct port *p) {
	return (struct box *)p;
}

static inline unsigned box_rx(struct rxq *q, struct batch *b, unsigned budget) {
	struct box *x = of(q->port);
	unsigned n = 0;

	b->n = b->nsegs = b->ngso = 0;
	b->bytes = 0;
	for (; n < budget && x->sent + n < x->to_send && b->bytes < BATCH_BYTES; n++) {
		struct frame *f = &b->f[n];

		memset(f, 0, sizeof(*f));
		f->head = b->room[n];
		f->len = x->len != 0 ? x->len : FRAME;
		f->head_len = FRAME;
		if (x->gso_size != 0)
			f->ol = (struct offload){
				.flags = 1, .gso_type = 1, .gso_size = x->gso_size};
		b->ngso += x->gso_size != 0;
		memset(f->head, 0, FRAME);
		memcpy(f->head, &x->dst, 6);
		f->head[6] = 2;
		f->head[11] = (uint8_t)(q->port->id + 1);
		b->bytes += f->len;
	}
	b->n = (uint16_t)n;
	x->holding = n > 0;
	x->owed = n > 0;
	x->turn_bytes = x->turn_copies = 0;
	turn_of = n > 0 ? x : NULL;
	if (n > 0 && atomic_fetch_add(&x->inside, 1) != 0)
		x->mixed++;
	return n;
}

/* Nothing is sent before box_done says so: the rest will come again. */
static inline void box_keep(struct rxq *q, struct batch *b, unsigned from) {
	assert_in_range(from, 0, b->n - 1);
}

static inline void box_done(struct rxq *q, struct batch *b) {
	struct box *x = of(q->port);

	if (x->slow)
		usleep(100);
	x->owed = false;
	x->sent += b->n;
	x->done += b->n;
}

static inline void box_rx_end(struct rxq *q) {
	struct box *x = of(q->port);

	x->most_bytes = x->turn_bytes > x->most_bytes ? x->turn_bytes : x->most_bytes;
	x->most_copies = x->turn_copies > x->most_copies ? x->turn_copies : x->most_copies;
	of(q->port)->holding = false;
	atomic_fetch_sub(&of(q->port)->inside, 1);
}

static inline bool box_begin(struct txq *t) {
	rte_spinlock_lock(&t->lock);
	return true;
}

static inline void box_tx(struct txq *t, const struct tx_item *it, unsigned n) {
	of(t->port)->in_batch += n;
	for (unsigned i = 0; i < n; i++) {
		turn_of->turn_bytes += it[i].f->len;
		of(t->port)->uncut += (it[i].f->flags & FRAME_UNCUT) != 0;
	}
	turn_of->turn_copies += n;
}

static inline void box_publish(struct txq *t) {
	if (turn_of != NULL && turn_of->owed)
		turn_of->too_early++;
	of(t->port)->got += of(t->port)->in_batch;
	of(t->port)->in_batch = 0;
}

static inline void box_end(struct txq *t) {
	rte_spinlock_unlock(&t->lock);
}

static inline bool box_arm(struct rxq *q) {
	struct box *x = of(q->port);

	x->armed++;
	return x->sent < x->to_send;
}

static inline void box_disarm(struct rxq *q) {
	uint64_t n;

	(void)!read(of(q->port)->kick, &n, sizeof(n));
}

static inline int box_fd(struct rxq *q) {
	return of(q->port)->kick;
}

static struct port_ops ops = {.kind = "box",
	.steps = 1,
	.rx_keep = box_keep,
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

static inline void kick(struct box *x) {
	uint64_t one = 1;

	(void)!write(x->kick, &one, sizeof(one));
}

static inline int set_up(void **state) {
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

static inline int tear_down(void **state) {
	for (unsigned i = 0; i < PORTS; i++)
		close(box[i].kick);
	fdb_free(fdb);
	return 0;
}

/* A snapshot with the ports of `mask` in one network, dealt to n workers. */
static inline struct snapshot *snapshot_of(unsigned mask, unsigned n) {
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

static inline int cpus_here(int *cpus, int max) {
	cpu_set_t set;
	int n = 0;

	sched_getaffinity(0, sizeof(set), &set);
	for (int i = 0; i < CPU_SETSIZE && n < max; i++)
		if (CPU_ISSET(i, &set))
			cpus[n++] = i;
	return n;
}

static inline struct workers *start(unsigned n, enum idle_mode idle) {
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
static inline void reaches(const _Atomic uint64_t *at, uint64_t want) {
	for (unsigned i = 0; i < 10000 && *at < want; i++)
		usleep(1000);
	assert_int_equal(*at, want);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
