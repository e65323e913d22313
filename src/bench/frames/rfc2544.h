/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_RFC2544_H
#define WEIR_BENCH_RFC2544_H

#include <jansson.h>

#include "bench/bench.h"
#include "bench/frames/frame_trial.h"
#include "bench/frames/rfc2544_options.h"
#include "bench/frames/search.h"
#include "bench/stats.h"

/* Inside of `weir bench rfc2544`: rfc2544.c makes trials and finds the throughput, rfc2544_procedures.c has
 * what is measured around it. One thread. */

struct err;

struct rfc2544 {
	struct bench *b;
	const struct rfc2544_options *o;
	struct frame_bed *bed;
	struct frame_shape shape;
	const char *size; /* as given */
	double max; /* frames/s */
	struct frame_outcome *outcome; /* of the last trial; large */
	const char *doing; /* for the progress line */
	double rate; /* of the trial under way */
	const struct search *search; /* it belongs to; NULL: none */
	struct series lower, upper, conditional, found, bits;
	double throughput; /* frames/s: the median of `found`, which is reported; what others are parts of */
	unsigned overloads; /* falls in which something was lost */
	unsigned again,
		kept; /* spoiled trials that were made again; those that count all the same */
};

/* Labels of a figure of the size under way. */
json_t *rfc2544_labels(const struct rfc2544 *s);
/* A figure of one value. */
void rfc2544_figure(
	const struct rfc2544 *s, const char *name, const char *unit, const char *better, double v);
/* Makes a trial, and again when it was spoiled here, and fills the counts of `out`; s->outcome has the rest. */
int rfc2544_try(struct rfc2544 *s, struct frame_trial *t, struct trial *out, struct err *e);
/* The same for search.h; arg is the struct rfc2544. */
int rfc2544_trial(void *arg, double rate, double seconds, struct trial *out, struct hist *latency,
	struct err *e);

/* A search for throughput, ready to run. */
struct search rfc2544_search(struct rfc2544 *s);
/* Writes its trials and its goal to the result, as NAME, and gives what was found: what was delivered at the
 * lower bound (conditional), or the bound. */
double rfc2544_found(
	const struct rfc2544 *s, const struct search *x, const char *name, bool conditional);

/* The procedures besides throughput, which they want to be there. */
int rfc2544_latency(struct rfc2544 *s, struct err *e);
int rfc2544_loads(struct rfc2544 *s, struct err *e);
int rfc2544_loss(struct rfc2544 *s, struct err *e);
int rfc2544_burst(struct rfc2544 *s, struct err *e);
int rfc2544_recovery(struct rfc2544 *s, struct err *e);

#endif
