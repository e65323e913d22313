/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "schedule/push.h"

#include <errno.h>
#include <stdlib.h>

#include "base/pages.h"
#include "frame/offload.h"

/* Nearly every batch has one receiver, and then grouping is one comparison a frame. With several,
 * groups are ordered by port and queue before any lock is taken, so that two workers that flood at
 * the same time cannot wait for each other. */

enum { GROUPS_MAX = PORTS_MAX * QUEUES_MAX };

/* One piece of memory: what small batches touch of it lies at its beginning, side by side. */
struct room {
	uint16_t slot[GROUPS_MAX];
	uint32_t order[GROUPS_MAX];
	struct group groups[GROUPS_MAX];
};

int push_init(struct push *p) {
	struct room *r = pages_new(sizeof(*r));

	if (r == NULL)
		return -ENOMEM;
	p->n = 0;
	p->resume = 0;
	p->slot = r->slot;
	p->order = r->order;
	p->groups = r->groups;
	return 0;
}

void push_fini(struct push *p) {
	pages_free(p->slot, sizeof(struct room));
	p->slot = NULL;
}

static struct group *group_of(struct push *p, struct txq *t) {
	const unsigned key = t->port->id * QUEUES_MAX + t->index;
	struct group *g;

	if (p->slot[key] != 0)
		return &p->groups[p->slot[key] - 1];
	g = &p->groups[p->n++];
	p->slot[key] = (uint16_t)p->n;
	p->steps += STEPS_RECEIVER;
	g->t = t;
	g->port = t->port->id;
	g->n = 0;
	g->open = false;
	return g;
}

static inline void add(struct group *g, const struct snapshot *s, struct frame *f) {
	// NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a run has a group before it goes on
	g->it[g->n].f = f;
	g->it[g->n].tag = fwd_egress_tag(s->fwd, g->port, f);
	g->n++;
}

static bool spent(const struct push *p) {
	return p->bytes >= TURN_BYTES_MAX || p->steps >= TURN_STEPS_MAX;
}

static unsigned captures_of(const struct port *p) {
	return atomic_load_explicit(&p->capture, memory_order_relaxed);
}

/* The pieces in which the frame goes to the queue: more than one when the receiver has it cut. */
static uint32_t pieces_of(const struct txq *t, const struct frame *f, bool *completed) {
	*completed = offload_any(&f->ol) && !(f->flags & FRAME_UNCUT) &&
		     !offload_fits(f, atomic_load_explicit(&t->caps, memory_order_relaxed));
	return *completed && f->ol.gso_type != 0 ? gso_estimate(f) : 1;
}

/* Would the frame, which is cut, take the turn past what it may cost? Not when it is the first. */
static bool passes(const struct push *p, const struct txq *t, const struct frame *f) {
	bool completed;
	const uint32_t pieces = pieces_of(t, f, &completed);

	return pieces > 1 && p->steps > 0 &&
	       p->steps + pieces * t->port->ops->steps > TURN_STEPS_MAX;
}

/* What the frame costs at the queue of the group. Plain frames to one receiver are not counted by bytes:
 * BATCH_BYTES has seen to those. */
static void charge(struct push *p, const struct group *g, const struct frame *f) {
	const struct port *port = g->t->port;
	bool completed;

	p->steps += pieces_of(g->t, f, &completed) * port->ops->steps;
	p->bytes += f->len * (1 + captures_of(port));
	if (completed)
		p->bytes += f->len; // once for the checksum, once for the copy
}

/* Frame i and those behind it that go out of the same port, when that has one queue and adds no tags:
 * most of a batch. `dear`: bytes are to be counted, frame by frame. Returns how many. */
static inline unsigned add_run(struct push *p, struct group *g, const struct snapshot *s,
	struct batch *b, unsigned i, bool dear) {
	const uint16_t out = b->f[i].out;
	struct tx_item *it = &g->it[g->n];
	unsigned n = 0;

	if (__builtin_expect(dear || captures_of(s->ports[out]) > 0, 0)) {
		add(g, s, &b->f[i]);
		charge(p, g, &b->f[i]);
		return 1;
	}
	if (s->fwd->ports[out].trunk || s->ports[out]->flow_queue != NULL) {
		add(g, s, &b->f[i]);
		p->steps += s->ports[out]->ops->steps;
		return 1;
	}
	do {
		it[n] = (struct tx_item){.f = &b->f[i + n]};
		n++;
	} while (i + n < b->n && b->f[i + n].out == out && b->f[i + n].drop == DROP_NONE);
	g->n += n;
	p->steps += n * s->ports[out]->ops->steps;
	return n;
}

/* The queue on which frame i leaves through port `out`. */
static struct txq *queue_for(const struct snapshot *s, struct batch *b, unsigned i, uint16_t out) {
	struct port *port = s->ports[out];

	if (port->flow_queue != NULL)
		return port_pick_txq(port, &b->f[i], b->room[i] + FRAME_HEAD_MAX);
	return port->txq[0];
}

/* Every member of the network that the frame may go to, from the port with id `from` on. False: the turn
 * ended before the last of them, p->resume says where. */
static __attribute__((noinline)) bool flood(struct push *p, const struct snapshot *s,
	struct batch *b, unsigned i, uint16_t in, uint16_t from, struct explain *ex) {
	struct frame *f = &b->f[i];
	const struct fwd_net *net = &s->fwd->nets[f->net];
	enum drop why = from == 0 ? DROP_NO_DESTINATION : DROP_NONE;

	// As many pieces as a turn has room for go to all who need them, more to nobody.
	if (f->ol.gso_type != 0 && gso_estimate(f) * (net->nmembers - 1u) > TURN_STEPS_MAX)
		f->flags |= FRAME_UNCUT;
	for (unsigned m = 0; m < net->nmembers; m++) {
		const uint16_t out = net->members[m];
		enum drop no;

		if (out == in || out < from)
			continue;
		no = fwd_admits(s->fwd, in, out, f->net);
		if (no != DROP_NONE) {
			EXPLAIN(ex, "push", "not to port %u: %s", out, drop_text(no));
			if (why == DROP_NO_DESTINATION)
				why = no;
			continue;
		}
		struct txq *t = queue_for(s, b, i, out);
		// The first receiver of a turn gets it, whatever its captures cost: else no turn would get on.
		if (ex == NULL && p->n > 0 && (spent(p) || passes(p, t, f))) {
			p->resume = out;
			return false;
		}
		struct group *g = group_of(p, t);
		add(g, s, f);
		charge(p, g, f);
		why = DROP_NONE;
	}
	f->drop = why;
	return true;
}

unsigned push_group(struct push *p, const struct snapshot *s, struct batch *b, uint16_t in,
	struct explain *ex) {
	const unsigned captures = captures_of(s->ports[in]);
	const bool dear = b->ngso != 0 || captures > 0;
	uint16_t from = p->resume;
	unsigned live = 0, i;

	p->bytes = p->steps = 0;
	p->resume = 0;
	for (i = 0; i < b->n && (!spent(p) || ex != NULL); from = 0) {
		struct frame *f = &b->f[i];

		p->bytes += f->len * captures;
		if (__builtin_expect(f->drop != DROP_NONE, 0)) {
			i++;
			continue;
		}
		if (__builtin_expect(f->out < from, 0)) {
			// A flood no more: its destination was learned since, and had the frame.
			i++;
			live++;
			continue;
		}
		if (__builtin_expect(f->out == OUT_FLOOD, 0)) {
			if (!flood(p, s, b, i, in, from, ex))
				break;
			i++;
			live += f->drop == DROP_NONE;
			continue;
		}
		struct txq *t = queue_for(s, b, i, f->out);
		if (__builtin_expect(dear, 0) && ex == NULL && passes(p, t, f))
			break;
		unsigned n = add_run(p, group_of(p, t), s, b, i, dear);
		live += n;
		i += n;
	}
	p->done = i;
	return live;
}

static int by_queue(const void *a, const void *b, void *arg) {
	const struct group *ga = &((struct push *)arg)->groups[*(const uint32_t *)a];
	const struct group *gb = &((struct push *)arg)->groups[*(const uint32_t *)b];
	const uint32_t ka = (uint32_t)ga->port * QUEUES_MAX + ga->t->index;
	const uint32_t kb = (uint32_t)gb->port * QUEUES_MAX + gb->t->index;

	return ka < kb ? -1 : ka > kb;
}

void push_copy(struct push *p) {
	for (unsigned i = 0; i < p->n; i++)
		p->order[i] = i;
	if (p->n > 1)
		qsort_r(p->order, p->n, sizeof(p->order[0]), by_queue, p);
	for (unsigned i = 0; i < p->n; i++) {
		struct group *g = &p->groups[p->order[i]];
		const struct port_ops *ops = g->t->port->ops;

		g->open = ops->tx_begin(g->t);
		if (g->open)
			ops->tx(g->t, g->it, g->n);
		else // the one counter written without the lock: the queue is at rest
			__atomic_fetch_add(&g->t->c.drops[DROP_PORT_DOWN], g->n, __ATOMIC_RELAXED);
	}
}

void push_publish(struct push *p) {
	for (unsigned i = 0; i < p->n; i++)
		if (p->groups[i].open)
			p->groups[i].t->port->ops->tx_publish(p->groups[i].t);
}

void push_end(struct push *p) {
	for (unsigned i = 0; i < p->n; i++)
		if (p->groups[i].open)
			p->groups[i].t->port->ops->tx_end(p->groups[i].t);
	push_reset(p);
}

void push_reset(struct push *p) {
	for (unsigned i = 0; i < p->n; i++) {
		const struct txq *t = p->groups[i].t;

		p->slot[t->port->id * QUEUES_MAX + t->index] = 0;
	}
	p->n = 0;
}
