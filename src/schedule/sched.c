/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "schedule/sched.h"

#include <stdlib.h>

/* Round robin: every queue in turn, a full batch each. Whose batch cost as much as several of others
 * (fragments to a TAP are a system call each) sits out as many rounds, so that a neighbour who asks for a
 * fifth of the worker has it. */

enum {
	QUANTUM = 50000, /* cycles; a full batch of 1514-byte frames to a guest is 35,000 */
	REST_MAX = 10, /* rounds; the worker may have lost its CPU in the middle of a turn */
};

struct sched {
	struct rxq *const *q;
	unsigned n, next;
};

struct sched *sched_new(void) {
	return calloc(1, sizeof(struct sched));
}

void sched_free(struct sched *s) {
	free(s);
}

void sched_assign(struct sched *s, struct rxq *const *q, unsigned n) {
	s->q = q;
	s->n = n;
	if (s->next >= n)
		s->next = 0;
}

static struct rxq *take_next(struct sched *s) {
	struct rxq *q = s->q[s->next];

	if (++s->next == s->n)
		s->next = 0;
	return q;
}

struct turn sched_next(struct sched *s) {
	struct turn t = {0};

	if (s->n == 0)
		return t;
	t.q = take_next(s);
	while (t.q->rest > 0) { // ends within REST_MAX rounds
		t.q->rest--;
		t.q = take_next(s);
	}
	t.budget = BATCH_MAX;
	return t;
}

void sched_ran(struct sched *s, struct rxq *q, unsigned frames, uint64_t bytes, uint64_t cycles) {
	const uint64_t rounds = cycles / QUANTUM;

	q->rest = (uint16_t)(rounds < REST_MAX ? rounds : REST_MAX);
}
