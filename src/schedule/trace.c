/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "schedule/push.h"
#include "schedule/worker.h"

/* One frame through the datapath's own stages, on the control thread, up to the point where its
 * receivers are known. */

/* A batch of one, as a port's rx would have made it: a private head, the rest in place. */
static void batch_of(struct batch *b, const uint8_t *bytes, uint32_t len) {
	struct frame *f = &b->f[0];

	memset(f, 0, sizeof(*f));
	b->n = 1;
	b->bytes = len;
	f->head = b->room[0];
	f->len = len;
	f->head_len = len < FRAME_HEAD_FIRST ? (uint16_t)len : FRAME_HEAD_FIRST;
	memcpy(f->head, bytes, f->head_len);
	b->nsegs = b->ngso = 0;
	if (len > f->head_len) {
		b->segs[b->nsegs++] = (struct seg){
			.base = (uint8_t *)bytes + f->head_len, .len = len - f->head_len};
		f->segs = b->segs;
		f->nsegs = 1;
	}
}

/* Would the receiver get it now? */
static enum drop deliverable(const struct port *p, const struct txq *t, const struct frame *f) {
	if (!atomic_load_explicit(&t->active, memory_order_relaxed))
		return DROP_PORT_DOWN;
	return f->len > p->mtu + 18u ? DROP_TOO_BIG : DROP_NONE;
}

int worker_trace(const struct snapshot *s, uint16_t port, const uint8_t *bytes, uint32_t len,
	struct trace_out *out, unsigned max, enum drop *drop, struct explain *ex) {
	struct batch *b = aligned_alloc(64, sizeof(*b)); // its rooms are aligned
	struct push push = {0};
	struct timespec ts;
	unsigned n = 0;

	*drop = DROP_NONE;
	if (b == NULL || push_init(&push) < 0) {
		free(b);
		return -ENOMEM;
	}
	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	batch_of(b, bytes, len);
	EXPLAIN(ex, "pull", "%u bytes enter at port %u, %u of them private", len, port,
		b->f[0].head_len);
	fwd_parse(s->fwd, b, port, ex);
	fwd_verdict(s->fwd, b, port, (uint32_t)ts.tv_sec, ex);
	push_group(&push, s, b, port, ex);
	*drop = b->f[0].drop;
	for (; n < push.n && n < max; n++) {
		const struct group *g = &push.groups[n];

		out[n] = (struct trace_out){.port = g->port,
			.queue = g->t->index,
			.tag = g->it[0].tag,
			.drop = deliverable(g->t->port, g->t, &b->f[0])};
	}
	push_reset(&push);
	push_fini(&push);
	free(b);
	return (int)n;
}
