/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_SCHEDULE_SCHED_H
#define WEIR_SCHEDULE_SCHED_H

#include <stdint.h>

#include "port/port.h"

/* Whose queue is pulled next, and for how much: the one decision of sharing (law 2). Everything the
 * worker knows about it goes through these calls, so a fair scheduler replaces sched.c and nothing
 * else. All calls are made by the one worker that owns the sched. */

struct sched;

struct turn {
	struct rxq *q; /* NULL: there is no queue at all */
	unsigned budget; /* frames, 1..BATCH_MAX */
};

struct sched *sched_new(void);
void sched_free(struct sched *s);

/* The queues this worker has from now on; called when a new snapshot is taken up. State of queues
 * that stay is kept. The array must live until the next call. */
void sched_assign(struct sched *s, struct rxq *const *q, unsigned n);

/* Next turn. */
struct turn sched_next(struct sched *s);

/* What the turn came to. `cycles` of the TSC, all stages. */
void sched_ran(struct sched *s, struct rxq *q, unsigned frames, uint64_t bytes, uint64_t cycles);

#endif
