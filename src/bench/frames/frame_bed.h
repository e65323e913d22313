/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_FRAME_BED_H
#define WEIR_BENCH_FRAME_BED_H

#include <stdatomic.h>

#include "bench/frames/frame_sink.h"
#include "bench/frames/frame_trial.h"

/* Inside of a trial: frame_trial.c starts and judges, frame_send.c and frame_receive.c are its threads. */

enum { FRAME_AWAY_US = 100 }; /* a loop that takes longer was not running */

struct frame_bed {
	struct frame_port *port[2];
	struct frame_bed_want want;
	uint16_t nonce; /* of the next trial */
};

/* Whose turn it is: which flow, which size of the pattern, and with which this round of flows began. */
struct frame_turn {
	uint32_t flow, place, first;
};

/* What one generator thread sends in one direction: a stream. */
struct frame_lane {
	struct frame_port *port;
	unsigned queue;
	uint32_t magic;
	uint8_t stream;
	struct frame_template *templates; /* [flows][sizes] */
	unsigned flows;
	const struct frame_shape *shape;
	double per_tick; /* frames; 0: as many as possible */
	double then_per_tick; /* the same from the tick `then` on */
	uint64_t then; /* since the beginning; UINT64_MAX: never */
	uint64_t limit, backlog; /* frames at most; frames it may catch up with */
	/* its thread's */
	uint64_t passed; /* sent or given up */
	uint64_t sent, refusals;
	uint64_t sent_before,
		gave_up; /* of `sent`, before `then`; tick of the last that it gave up */
	struct frame_turn next;
	uint64_t due; /* at the end */
};

struct frame_sender {
	struct frame_run *run;
	struct frame_lane lane[2];
	unsigned lanes;
	int cpu; /* -1: any */
	uint64_t away, away_max, ended; /* ticks; ended: when it stopped */
	uint64_t first; /* tick of the first turn */
};

struct frame_receiver {
	struct frame_run *run;
	struct frame_port *port[2];
	unsigned index[2], ports; /* which endpoint each is */
	int cpu;
	uint64_t away_max;
};

struct frame_run {
	uint32_t magic;
	unsigned
		streams; /* each direction has threads of them: stream / threads is the direction */
	unsigned threads;
	struct frame_stream *stream;
	struct frame_arrivals at[2];
	atomic_uint ready, ended; /* threads that run; generators that are done */
	atomic_int error; /* the first negative errno of any thread */
	atomic_int culprit; /* of which endpoint */
	_Atomic uint64_t begin, end; /* ticks of sending; begin 0: not yet */
	atomic_bool stop, leave, finish; /* sending; being there; receiving */
};

/* The threads; arg is a frame_sender or frame_receiver. */
void *frame_send_thread(void *arg);
void *frame_receive_thread(void *arg);

/* Templates and counters of a lane; its port, queue, stream, magic are set. 0 or -ENOMEM. */
int frame_lane_init(struct frame_lane *l, const struct frame_trial *t, unsigned direction,
	unsigned thread, unsigned threads);
void frame_lane_fini(struct frame_lane *l);
/* When they are due, for who receives them. */
struct frame_plan frame_lane_plan(const struct frame_lane *l);
/* How many frames are due so many ticks after the beginning. */
uint64_t frame_lane_due(const struct frame_lane *l, uint64_t ticks);
/* Seconds from `then` until the last frame was due that was lost or given up, in all `ticks`; 0: none
 * was. `in` is what arrived. */
double frame_lane_lost_until(
	const struct frame_lane *l, const struct frame_stream *in, uint64_t ticks);

/* Sends, from the first queue of a port, one frame from each MAC of its side. How many; a negative
 * errno: the port is gone. Before its generator thread runs. */
int64_t frame_learn(
	struct frame_port *p, const struct frame_shape *s, unsigned side, uint32_t magic);

/* A port failed: the first that says so ends the trial. */
void frame_run_fail(struct frame_run *r, int code, unsigned endpoint);
/* Ties the calling thread to a CPU; -1: to none. */
void frame_pin(int cpu);

#endif
