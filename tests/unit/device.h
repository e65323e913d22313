/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef TESTS_UNIT_DEVICE_H
#define TESTS_UNIT_DEVICE_H

/* A simulated device with a known answer, and a generator with a limit, behind bench/frames/search.h's trial
 * function. All chance comes from the seed. */

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "bench/frames/search.h"

struct device {
	double limit; /* frames/s that it forwards; 0: as many as come */
	double buffer; /* frames it holds back when more come; they arrive after the trial */
	double floor_loss; /* this part of all frames is lost, at random, at any rate */
	/* At a rate r the part soft * exp(steep * (r / limit - 1)) is lost, at random, below the limit
	 * and above it: a limit that is not sharp. */
	double soft, steep;
	double noise; /* the limit of one trial is this part of it (standard deviation) off */
	double spoiled; /* this part of the trials loses a frame in a thousand for no reason */
	double collapse; /* overloaded, it forwards this part of its limit; 0: all of it */
	double generator; /* frames/s it can send; 0: any rate */
	double recovers_s; /* goes on losing so long after an overload */
	unsigned vanish_after; /* the trial after so many is interrupted; 0: none is */
	unsigned short seed[3];
	unsigned trials;
	double seconds, lowest, highest; /* all trials together; of the rates asked for */
};

static inline double device_gauss(struct device *d) {
	double u = 1 - erand48(d->seed), v = erand48(d->seed);

	return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

/* How many of n are hit, each with chance p: exact enough for n p of any size. */
static inline double device_hits(struct device *d, double n, double p) {
	double mean = n * fmin(p, 1), product = erand48(d->seed), least = exp(-mean), hits = 0;

	if (mean > 30)
		return fmin(
			n, fmax(0, round(mean + sqrt(mean * (1 - fmin(p, 1))) * device_gauss(d))));
	for (; product > least; hits++)
		product *= erand48(d->seed);
	return fmin(n, hits);
}

static inline int device_trial(void *arg, double rate, double seconds, struct trial *out,
	struct hist *latency, struct err *e) {
	struct device *d = arg;
	double sent = round(rate * seconds), through, part = d->floor_loss;

	if (d->vanish_after > 0 && d->trials == d->vanish_after)
		return err_set(e, ECANCELED, "interrupted");
	d->lowest = d->trials == 0 ? rate : fmin(d->lowest, rate);
	d->highest = fmax(d->highest, rate);
	d->trials++;
	d->seconds += seconds;
	*out = (struct trial){.rate = rate, .seconds = seconds, .offered = (uint64_t)sent};
	if (d->generator > 0)
		sent = fmin(sent, floor(d->generator * seconds));
	through = sent;
	if (d->limit > 0) {
		double now = d->limit * (1 + d->noise * device_gauss(d));

		if (sent > now * seconds + d->buffer)
			through = floor(
				now * (d->collapse > 0 ? d->collapse : 1) * seconds + d->buffer);
		part += d->soft * exp(d->steep * (sent / seconds / d->limit - 1));
	}
	if (erand48(d->seed) < d->spoiled)
		part += 0.001;
	through -= device_hits(d, through, part);
	out->sent = (uint64_t)sent;
	out->received = (uint64_t)through;
	out->lost = out->offered - out->received;
	return 0;
}

static inline int device_fall(void *arg, double high, double high_s, double low, double low_s,
	double *last_loss, struct err *e) {
	struct device *d = arg;

	d->highest = high;
	d->lowest = low;
	*last_loss = high > d->limit ? fmin(d->recovers_s, low_s) : 0;
	return low < d->limit ? 0 : err_set(e, EINVAL, "this device never recovers at that rate");
}

#endif
