/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schedule/worker.h"

/* Snapshots, and the dealing of queues to workers.
 *
 * A queue stays with its worker unless moving it makes the busiest worker at least a tenth less
 * busy: a queue that moves leaves its rings behind in another CPU's cache. New queues go to the
 * worker with the least load. With no load known, the number of queues decides. */

struct snapshot *snapshot_new(void) {
	return calloc(1, sizeof(struct snapshot));
}

void snapshot_free(struct snapshot *s) {
	if (s == NULL)
		return;
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		free(s->queues[i]);
	if (s->fwd != NULL)
		fwd_free(s->fwd);
	free(s);
}

struct deal {
	struct rxq *q;
	uint64_t load;
	int worker;
};

static int heavier_first(const void *a, const void *b) {
	const struct deal *x = a, *y = b;

	if (x->load != y->load)
		return x->load < y->load ? 1 : -1;
	if (x->q->port->id != y->q->port->id)
		return x->q->port->id < y->q->port->id ? -1 : 1;
	return (int)x->q->index - (int)y->q->index;
}

static unsigned least(const uint64_t *load, unsigned n) {
	unsigned at = 0;

	for (unsigned i = 1; i < n; i++)
		if (load[i] < load[at])
			at = i;
	return at;
}

static unsigned most(const uint64_t *load, unsigned n) {
	unsigned at = 0;

	for (unsigned i = 1; i < n; i++)
		if (load[i] > load[at])
			at = i;
	return at;
}

/* Moves queues from the busiest worker to the idlest while that helps enough. */
static void even_out(struct deal *d, unsigned n, uint64_t *load, unsigned workers) {
	for (unsigned round = 0; round < n; round++) {
		unsigned from = most(load, workers), to = least(load, workers);
		struct deal *best = NULL;
		uint64_t best_peak = load[from] - load[from] / 10;

		for (unsigned i = 0; i < n; i++) {
			uint64_t a = load[from] - d[i].load, b = load[to] + d[i].load;
			uint64_t peak = a > b ? a : b;

			if (d[i].worker == (int)from && peak < best_peak) {
				best = &d[i];
				best_peak = peak;
			}
		}
		if (best == NULL)
			return;
		load[from] -= best->load;
		load[to] += best->load;
		best->worker = (int)to;
	}
}

int snapshot_deal(struct snapshot *s, unsigned workers) {
	uint64_t load[WORKERS_MAX] = {0};
	unsigned n = 0, at = 0;
	struct deal *d;

	for (unsigned p = 0; p < PORTS_MAX; p++)
		n += s->ports[p] != NULL ? s->ports[p]->queues : 0;
	d = calloc(n + 1, sizeof(*d));
	if (d == NULL)
		return -ENOMEM;
	for (unsigned p = 0; p < PORTS_MAX; p++) {
		for (unsigned i = 0; s->ports[p] != NULL && i < s->ports[p]->queues; i++) {
			struct rxq *q = s->ports[p]->rxq[i];
			uint64_t cycles = __atomic_load_n(&q->c.cycles, __ATOMIC_RELAXED);

			d[at++] = (struct deal){.q = q,
				.load = cycles - q->dealt +
					1000, // so that idle queues spread out too
				.worker = q->worker < (int)workers ? q->worker : -1};
			q->dealt = cycles;
		}
	}
	qsort(d, n, sizeof(*d), heavier_first);
	for (unsigned i = 0; i < n; i++)
		if (d[i].worker >= 0)
			load[d[i].worker] += d[i].load;
	for (unsigned i = 0; i < n; i++) {
		if (d[i].worker >= 0)
			continue;
		d[i].worker = (int)least(load, workers);
		load[d[i].worker] += d[i].load;
	}
	even_out(d, n, load, workers);
	for (unsigned w = 0; w < WORKERS_MAX; w++) {
		free(s->queues[w]);
		s->nqueues[w] = 0;
		s->queues[w] = w < workers ? calloc(n + 1, sizeof(struct rxq *)) : NULL;
		if (w < workers && s->queues[w] == NULL) {
			free(d);
			return -ENOMEM;
		}
	}
	for (unsigned i = 0; i < n; i++) {
		d[i].q->worker = d[i].worker;
		s->queues[d[i].worker][s->nqueues[d[i].worker]++] = d[i].q;
	}
	free(d);
	return 0;
}

/* A queue moved when the deal of `s` (queue->worker) gives it to another worker than the one that has it
 * in `was`. Its worker is marked below -1 meanwhile. */
static unsigned mark_moved(const struct snapshot *was) {
	unsigned n = 0;

	for (unsigned w = 0; w < WORKERS_MAX; w++) {
		for (unsigned i = 0; i < was->nqueues[w]; i++) {
			struct rxq *q = was->queues[w][i];

			if (q->worker < 0 || q->worker == (int)w)
				continue;
			q->worker = -2 - q->worker;
			n++;
		}
	}
	return n;
}

static void unmark(const struct snapshot *was) {
	for (unsigned w = 0; w < WORKERS_MAX; w++)
		for (unsigned i = 0; i < was->nqueues[w]; i++)
			if (was->queues[w][i]->worker < -1)
				was->queues[w][i]->worker = -2 - was->queues[w][i]->worker;
}

struct snapshot *snapshot_without_moved(const struct snapshot *s, const struct snapshot *was) {
	struct snapshot *rest = NULL;

	if (mark_moved(was) > 0)
		rest = snapshot_new();
	if (rest == NULL) {
		unmark(was);
		return NULL;
	}
	memcpy(rest->ports, s->ports, sizeof(rest->ports));
	rest->fwd = s->fwd;
	for (unsigned w = 0; w < WORKERS_MAX; w++) {
		if (s->nqueues[w] == 0)
			continue;
		rest->queues[w] = calloc(s->nqueues[w], sizeof(struct rxq *));
		for (unsigned i = 0; rest->queues[w] != NULL && i < s->nqueues[w]; i++)
			if (s->queues[w][i]->worker >= 0)
				rest->queues[w][rest->nqueues[w]++] = s->queues[w][i];
	}
	unmark(was);
	return rest;
}
