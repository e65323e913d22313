/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_FRAME_TRIAL_H
#define WEIR_BENCH_FRAME_TRIAL_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench/frames/frame_port.h"
#include "bench/frames/frame_shape.h"
#include "bench/hist.h"

/* Offers frames of a shape at a rate between two endpoints and says what became of them. A bed is the
 * two endpoints, open; trials run on it one after the other. */

struct err;
struct frame_bed;

struct frame_bed_want {
	const int *cpus; /* one generator thread each, which runs there; NULL: `threads` anywhere */
	unsigned threads; /* 1..FRAME_QUEUES_MAX */
	const int *sink_cpus; /* the same for the sinks (1 or 2): one takes both endpoints */
	unsigned sinks;
	bool both; /* frames also go from the second endpoint to the first */
	unsigned frame_max; /* of all trials */
};

/* Opens both; starts DPDK's runtime when one of them wants it. 0 or a negative errno with a sentence. */
int frame_bed_open(struct frame_bed **out, const char *a, const char *b,
	const struct frame_bed_want *want, struct err *e);
void frame_bed_close(struct frame_bed *bed);
/* The speed in bit/s of the medium behind the endpoint; 0: there is none. */
uint64_t frame_bed_link(const struct frame_bed *bed, unsigned side);
/* The only MAC to which frames reach the endpoint, 0 or 1; all zero: frames to any do. */
const uint8_t *frame_bed_mac(const struct frame_bed *bed, unsigned side);

struct frame_trial {
	const struct frame_shape *shape;
	double rate; /* frames/s in each direction; 0: as fast as the port takes them */
	uint64_t frames; /* so many in each direction, then it ends; 0: no limit */
	uint64_t time_ns; /* at most so long */
	/* Then, without a pause, at another rate (RFC 2544 section 26.5); then_ns 0: it ends. `rate` is not
	 * 0 when there is such a second part. */
	double then_rate;
	uint64_t then_ns;
	uint64_t
		learn_ns; /* after the learning frames, for switches to learn: RFC 2544 section 23 */
	uint64_t settle_ns; /* after the last frame: waits for what is still on its way */
	uint64_t late_ns; /* older frames count as late */
	/* Called some times a second with the seconds left; NULL: nobody. */
	void (*progress)(void *arg, double left_s);
	/* Called at the beginning of sending and at its end, while all threads still run; NULL: nobody. */
	void (*sending)(void *arg, bool begins);
	void *arg;
};

enum frame_limit {
	FRAME_HELD, /* everything was offered as asked: within 0.1 % */
	FRAME_LIMIT_PORT, /* the port took no more */
	FRAME_LIMIT_CPU, /* the generator could make no more */
	FRAME_LIMIT_TAKEN, /* its CPU was taken away, or it was made to wait */
};

/* One direction. offered: what the rate called for in the time (at rate 0: what was sent). sent: what
 * the port took. received: different frames of those at the other end. lost = sent - received. */
struct frame_count {
	uint64_t offered, sent, received, lost, duplicated, reordered, late, unknown;
	uint64_t
		early; /* received before they were sent, as the CPUs' counters have it; latency 0 */
	double early_max_s; /* by which at most */
	double seconds; /* of sending */
	/* With a second part: from its beginning until the last frame that was lost, or not sent, was
	 * due. 0: none was after it; as exact as the generator held the rate. */
	double lost_until_s;
	enum frame_limit limit;
	uint64_t refusals; /* times that the port took less than it was handed */
	double away_s,
		away_max_s; /* generator threads not running: gaps of over 100 us, together; longest */
	/* From the moment that a frame was handed to the driver; and, with a rate, from when it was due, with
	 * what was not sent among the lost. */
	struct hist latency, from_due;
};

/* One endpoint, as a receiver. */
struct frame_arrivals {
	uint64_t total; /* every frame: the sum of what is told apart */
	uint64_t foreign; /* none of this trial's */
	uint64_t learning; /* of this trial, only to show where a MAC is */
	uint64_t astray; /* of this trial, but meant for the other endpoint */
	uint64_t missed; /* the port had them and the sink did not take them in time */
	uint64_t learning_sent; /* by this endpoint */
	double away_max_s; /* the longest the sink did not look */
};

struct frame_outcome {
	struct frame_count direction[2]; /* A to B; B to A, when both */
	unsigned directions;
	struct frame_arrivals at[2]; /* A, B */
	bool interrupted; /* bench_stopped: counts hold for the time until then */
};

/* Runs one trial; *out is filled also when it was interrupted or an endpoint vanished. 0; -ECANCELED:
 * interrupted; -ENOMEM; another negative errno with a sentence: an endpoint is gone. */
int frame_trial_run(struct frame_bed *bed, const struct frame_trial *t, struct frame_outcome *out,
	struct err *e);

#endif
