/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "base/pages.h"
#include "forward/fdb.h"
#include "port/vhost.h"
#include "schedule/push.h"

/* What a worker's turn costs a frame, in TSC cycles by stage, with nobody else there: two ports, each
 * a guest in this program's memory that gives back its buffers by moving an index, and the datapath's
 * own functions in the worker's order. One thread, so nothing here waits for another CPU, and under
 * `valgrind --tool=callgrind --toggle-collect=turn` instructions can be counted, which no other load
 * on the machine changes.
 *
 *     turn_bench [FRAME-BYTES [TURNS]]
 *
 * Of many short rounds the median is given, and the least, which is what a machine with other work to
 * do comes to when it is left alone. */

enum { RING = 1024, STRIDE = 2368, ROUNDS = 101, STAGES = 5 };

static const char *const names[STAGES] = {"pull", "parse", "verdict", "push", "notify"};

/* What vring_used and vring_avail begin with; their entries follow. */
struct ring_head {
	uint16_t flags, idx;
};

/* One of a guest's rings, with its buffers. */
struct guest_ring {
	struct vring_desc desc[RING];
	struct ring_head used;
	struct vring_used_elem used_ring[RING + 1];
	struct ring_head avail;
	uint16_t avail_ring[RING + 1];
	uint8_t buffer[RING][STRIDE];
};

struct guest {
	struct port port;
	struct vhost_dev dev;
	struct vhost_rx *rx;
	struct vhost_tx *tx;
	struct guest_ring *sends, *receives;
};

static struct guest guests[2];
static struct snapshot *snap;
static struct push push;
static struct batch *batch;
static uint64_t spent[STAGES];

static void ring_make(
	struct guest *g, struct ring *v, struct guest_ring *r, uint16_t flags, uint32_t len) {
	for (unsigned i = 0; i < RING; i++) {
		r->desc[i] = (struct vring_desc){
			.addr = (uintptr_t)r->buffer[i], .len = len, .flags = flags};
		r->avail_ring[i] = (uint16_t)i;
	}
	v->desc = r->desc;
	v->avail = (struct vring_avail *)&r->avail;
	v->used = (struct vring_used *)&r->used;
	v->mem = &g->dev.mem;
	v->dev = &g->dev;
	v->size = RING;
	v->hdr_len = 12;
	v->mergeable = v->indirect = true;
	v->len_max = 9018;
	v->callfd = -1;
	v->stage = NULL;
	r->avail.idx = RING;
}

/* A port whose guest sends frames of `len` bytes from its own MAC to the other's. */
static void guest_make(unsigned i, uint32_t len) {
	struct guest *g = &guests[i];

	g->sends = pages_new(sizeof(*g->sends));
	g->receives = pages_new(sizeof(*g->receives));
	g->rx = pages_new(sizeof(*g->rx));
	g->tx = pages_new(sizeof(*g->tx));
	if (g->sends == NULL || g->receives == NULL || g->rx == NULL || g->tx == NULL)
		abort();
	g->dev.port = &g->port;
	g->dev.wake = -1;
	// Guest addresses are ours here: one region that holds everything.
	g->dev.mem = (struct gmem){
		.n = 1, .r = {{.gpa = 4096, .size = 1ull << 47, .hva = (uint8_t *)4096}}};
	ring_make(g, &g->rx->v, g->sends, 0, 12 + len);
	ring_make(g, &g->tx->v, g->receives, VRING_DESC_F_WRITE, 2176);
	for (unsigned f = 0; f < RING; f++) {
		uint8_t *eth = g->sends->buffer[f] + 12;

		memset(eth, 0xa5, len);
		memcpy(eth,
			(uint8_t[]){2, 0, 0, 0, 0, (uint8_t)!i, 2, 0, 0, 0, 0, (uint8_t)i, 8, 0},
			14);
	}
	g->port =
		(struct port){.id = (uint16_t)i, .queues = 1, .mtu = 9000, .ops = &vhost_port_ops};
	g->port.rxq[0] = &g->rx->q;
	g->port.txq[0] = &g->tx->q;
	g->rx->q.port = g->tx->q.port = &g->port;
	atomic_store(&g->rx->q.active, true);
	atomic_store(&g->tx->q.active, true);
	snap->ports[i] = &g->port;
	fwd_set_access(snap->fwd, (uint16_t)i, 0, false, 0);
}

/* As run_turn in src/schedule/worker.c. */
__attribute__((noinline)) static unsigned turn(struct guest *g) {
	const struct port_ops *ops = g->port.ops;
	struct rxq *q = &g->rx->q;
	uint64_t t[STAGES + 1];
	unsigned n;

	t[0] = rte_rdtsc();
	n = ops->rx(q, batch, BATCH_MAX);
	t[1] = rte_rdtsc();
	fwd_parse(snap->fwd, batch, g->port.id, NULL);
	t[2] = rte_rdtsc();
	fwd_verdict(snap->fwd, batch, g->port.id, 1, NULL);
	push_group(&push, snap, batch, g->port.id, NULL);
	t[3] = rte_rdtsc();
	push_copy(&push);
	t[4] = rte_rdtsc();
	ops->rx_done(q, batch);
	push_publish(&push);
	atomic_thread_fence(memory_order_seq_cst);
	ops->rx_end(q);
	push_end(&push);
	t[5] = rte_rdtsc();
	for (unsigned i = 0; i < STAGES; i++)
		spent[i] += t[i + 1] - t[i];
	return n;
}

static int by_value(const void *a, const void *b) {
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
	const uint32_t len = argc > 1 ? (uint32_t)atoi(argv[1]) : 64;
	const unsigned turns = argc > 2 ? (unsigned)atoi(argv[2]) : 2000;
	double cycles[STAGES + 1][ROUNDS];
	struct fdb *fdb = fdb_new(1024, 300);

	if (len < 14 || len > 2048 || turns == 0) {
		fprintf(stderr, "usage: turn_bench [FRAME-BYTES, 14 to 2048 [TURNS]]\n");
		return 2;
	}
	snap = snapshot_new();
	batch = pages_new(sizeof(*batch));
	if (fdb == NULL || snap == NULL || batch == NULL || push_init(&push) < 0)
		abort();
	snap->fwd = fwd_new(fdb, 2, 1);
	fwd_set_net(snap->fwd, 0, 0);
	for (unsigned i = 0; i < 2; i++) {
		fdb_set_port_max(fdb, (uint16_t)i, 16);
		guest_make(i, len);
	}
	fwd_seal(snap->fwd);
	for (unsigned r = 0; r < ROUNDS; r++) {
		uint64_t frames = 0;

		memset(spent, 0, sizeof(spent));
		for (unsigned i = 0; i < turns; i++) {
			frames += turn(&guests[i % 2]);
			for (unsigned g = 0; g < 2; g++) {
				guests[g].sends->avail.idx = guests[g].sends->used.idx + RING;
				guests[g].receives->avail.idx = guests[g].receives->used.idx + RING;
			}
		}
		cycles[STAGES][r] = 0;
		for (unsigned s = 0; s < STAGES; s++) {
			cycles[s][r] = (double)spent[s] / (double)frames;
			cycles[STAGES][r] += cycles[s][r];
		}
	}
	if (guests[0].tx->q.c.frames + guests[1].tx->q.c.frames !=
		(uint64_t)ROUNDS * turns * BATCH_MAX)
		printf("not every frame was delivered: %lu and %lu\n", guests[0].tx->q.c.frames,
			guests[1].tx->q.c.frames);
	printf("%u B, cycles a frame, median (least):", len);
	for (unsigned s = 0; s <= STAGES; s++) {
		qsort(cycles[s], ROUNDS, sizeof(double), by_value);
		printf("  %s %.1f (%.1f)", s < STAGES ? names[s] : "all", cycles[s][ROUNDS / 2],
			cycles[s][0]);
	}
	printf("\n");
	return 0;
}
