/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_FRAME_SINK_H
#define WEIR_BENCH_FRAME_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/hist.h"

/* What arrived of one stream: each sequence number once, twice, or not at all, in what order, how old.
 * One thread. */

enum {
	/* Sequence numbers behind the highest one in which a second copy is known as such: two megabytes,
	 * a second of 16 million frames. */
	FRAME_WINDOW = 1 << 24,
};

/* When frames are due, in ticks since the beginning: one a tick's part, from `then` on another. */
struct frame_plan {
	double each, then_each; /* ticks between two; each 0: whenever there is room */
	uint64_t then;
	double before; /* how many are due before `then` */
};

struct frame_stream {
	uint64_t received; /* different ones */
	uint64_t duplicated; /* copies beside the first */
	/* RFC 4737, type-P-reordered: an earlier sequence number than the next expected of its flow. */
	uint64_t reordered;
	uint64_t late; /* received, but older than `late_ticks` */
	uint64_t unknown; /* so far behind that they may be copies; among the received */
	uint64_t
		early; /* received before they were sent, if two CPUs' counters are to be believed */
	uint64_t early_max; /* ticks, by which at most */
	uint64_t late_ticks;
	double ns_per_tick;
	struct hist latency; /* of the received; those that came early have 0 */
	struct hist from_due; /* the same, from when each was due */
	struct frame_plan plan;
	uint64_t due; /* number of the latest frame to be due, those given up included */

	uint64_t top; /* one more than the highest so far */
	uint64_t gone; /* one more than the last number that left the window without having come */
	uint64_t *window; /* a bit each, FRAME_WINDOW of them */
	uint64_t *expected; /* of each flow: one more than its highest */
	unsigned flows; /* sequence number s belongs to flow s % flows */
};

/* 0 or -ENOMEM. */
int frame_stream_init(
	struct frame_stream *s, unsigned flows, uint64_t late_ticks, double ns_per_tick);
void frame_stream_fini(struct frame_stream *s);

/* A frame with this number (modulo 2^32), `ticks` after it was sent; negative: before. True: the first with it. */
bool frame_stream_take(struct frame_stream *s, uint32_t seq, int64_t ticks);
/* The same frame when it is the first: number `due` (modulo 2^32) of what the plan has, `at` ticks after the
 * beginning. */
void frame_stream_due(struct frame_stream *s, uint32_t due, int64_t at, int64_t ticks);

/* One more than the highest number below `sent` that did not come; 0: all came. */
uint64_t frame_stream_last_lost(const struct frame_stream *s, uint64_t sent);

#endif
