/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "schedule/sched.h"

#include <stdlib.h>

/* Round robin: every queue in turn, a full batch each. */

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

struct turn sched_next(struct sched *s) {
	struct turn t = {0};

	if (s->n == 0)
		return t;
	t.q = s->q[s->next];
	t.budget = BATCH_MAX;
	if (++s->next == s->n)
		s->next = 0;
	return t;
}

void sched_ran(struct sched *s, struct rxq *q, unsigned frames, uint64_t bytes, uint64_t cycles) {
	// Round robin has no memory.
}
