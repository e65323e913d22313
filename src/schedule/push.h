/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_SCHEDULE_PUSH_H
#define WEIR_SCHEDULE_PUSH_H

#include "schedule/worker.h"

/* From verdicts to receivers: the frames of a batch grouped by the queue they leave on. Belongs to
 * one worker.
 *
 * Here it is known what a batch will cost: floods and segmentation make many copies of one frame.
 * When that comes to what a turn may cost, the rest of the batch is left to the next turn of the
 * queue, and of a flood that alone costs more, the receivers that are still to come. Each turn gets on by
 * one frame, or one receiver of it, at the least. */

enum {
	/* Bytes copied by floods and for captures, and copied or summed up for segmentation frames: what
	 * the largest plain batch copies. The frame that reaches it is the last. */
	TURN_BYTES_MAX = BATCH_BYTES,
	/* Copies, in those of a small frame to a guest (port_ops.steps). Each receiver counts for
	 * STEPS_RECEIVER more: its lock, its ring's index and its interrupt cost so many. A batch of 64
	 * to one TAP comes to it with its last frame, to one guest never. */
	TURN_STEPS_MAX = 320,
	STEPS_RECEIVER = 4,
};

struct group {
	struct txq *t;
	uint16_t port;
	uint16_t n;
	bool open; /* between tx_begin and tx_end */
	struct tx_item it[BATCH_MAX];
};

struct push {
	unsigned n; /* groups of this batch */
	unsigned done; /* frames of the batch that this turn finishes */
	/* Flooded frame `done` goes on (before push_group: frame 0 does) at ports with at least this id; 0:
	 * at the first. */
	uint16_t resume;
	uint32_t bytes, steps; /* what the turn costs: TURN_BYTES_MAX, TURN_STEPS_MAX */
	uint16_t *slot; /* [PORTS_MAX * QUEUES_MAX], group + 1 of a queue; 0: none */
	uint32_t *order; /* groups by port and queue: the order of locks */
	struct group *groups; /* [PORTS_MAX * QUEUES_MAX], touched as needed */
};

/* 0 or -ENOMEM. */
int push_init(struct push *p);
void push_fini(struct push *p);

/* Sorts the live frames of `b`, which entered at port `in`, into groups, up to what a turn may cost;
 * books frames that have nowhere to go to their drop reason (f->drop). Sets p->done and p->resume:
 * what is left is to be kept (port_ops.rx_keep). Returns how many of those done are live. With `ex`
 * set all is sorted, whatever it costs. */
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
