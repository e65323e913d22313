/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_SCHEDULE_PUSH_H
#define WEIR_SCHEDULE_PUSH_H

#include "schedule/worker.h"

/* From verdicts to receivers: the frames of a batch grouped by the queue they leave on. Belongs to
 * one worker. */

struct group {
	struct txq *t;
	uint16_t port;
	uint16_t n;
	bool open; /* between tx_begin and tx_end */
	struct tx_item it[BATCH_MAX];
};

struct push {
	unsigned n; /* groups of this batch */
	uint16_t *slot; /* [PORTS_MAX * QUEUES_MAX], group + 1 of a queue; 0: none */
	uint32_t *order; /* groups by port and queue: the order of locks */
	struct group *groups; /* [PORTS_MAX * QUEUES_MAX], touched as needed */
};

/* 0 or -ENOMEM. */
int push_init(struct push *p);
void push_fini(struct push *p);

/* Sorts the live frames of `b`, which entered at port `in`, into groups; books frames that have
 * nowhere to go to their drop reason (f->drop). Returns how many are left. */
unsigned push_group(
	struct push *p, const struct snapshot *s, struct batch *b, uint16_t in, struct explain *ex);
/* Copies every group into its receiver: begin, tx. */
void push_copy(struct push *p);
/* Shows the receivers what they got. */
void push_publish(struct push *p);
/* After a memory fence: notifies, unlocks, and forgets the groups. */
void push_end(struct push *p);
/* Forgets the groups without delivering. */
void push_reset(struct push *p);

#endif
