/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <math.h>

#include "base/err.h"
#include "bench/frames/search.h"

/* The procedures of RFC 2544 section 26 besides throughput and latency. */

#define LOSS_STEP   0.1 /* of the greatest rate; section 26.3 allows no greater one */
#define RELIEF      0.5 /* of the overload; section 26.5 */
#define BURST_WIDTH 0.001
#define FULL_RATE   0.999 /* of the greatest rate: a throughput there leaves nothing to buffer */

int search_loss(const struct preset *p, double max, trial_fn *fn, void *arg,
	struct trial trials[LOSS_TRIALS], unsigned *n, struct err *e) {
	*n = 0;
	while (*n < LOSS_TRIALS) {
		struct trial *t = &trials[*n];
		double rate = max * (1 - LOSS_STEP * *n);
		int ret;

		*t = (struct trial){0};
		ret = fn(arg, rate, p->loss_s, t, NULL, e);
		if (ret != 0)
			return ret;
		t->pass = t->lost == 0;
		(*n)++;
		if (*n >= 2 && t->pass && t[-1].pass)
			break;
	}
	return 0;
}

/* A burst is a trial at the greatest rate whose length is the burst's; to the search its "rate" is the
 * number of frames, in steps. */
struct burst_trial {
	trial_fn *fn;
	void *arg;
	double max, step;
};

static int burst_once(void *arg, double frames, double seconds, struct trial *out,
	struct hist *latency, struct err *e) {
	struct burst_trial *b = arg;

	return b->fn(b->arg, b->max, frames * b->step / b->max, out, latency, e);
}

int search_burst(const struct preset *p, double max, double throughput, trial_fn *fn, void *arg,
	struct burst *out, struct err *e) {
	struct burst_trial b = {.fn = fn, .arg = arg, .max = max, .step = fmax(1, p->burst_step)};
	double share = throughput / max;

	double most = fmax(1, floor(max * p->burst_s / b.step));

	*out = (struct burst){.least = INFINITY, .longest = most * b.step};
	if (share >= FULL_RATE)
		return err_set(e, EINVAL,
			"back-to-back frames need a throughput below the rate they come at: it is "
			"%.6g of "
			"%.6g frames/s, so no buffer fills",
			throughput, max);
	for (unsigned i = 0; i < p->burst_times; i++) {
		struct search s = {
			.goal = {.initial_s = 1, .final_s = 1, .sum_s = 1, .width = BURST_WIDTH},
			.min = 1,
			.max = most,
			.fn = burst_once,
			.arg = &b,
		};
		int ret = search_run(&s, e);

		search_fini(&s);
		if (ret != 0)
			return ret;
		out->unbounded |= s.end == SEARCH_AT_MAX;
		s.lower *= b.step;
		out->values[out->times] = s.lower;
		out->frames += (s.lower - out->frames) / ++out->times;
		out->least = fmin(out->least, s.lower);
		out->most = fmax(out->most, s.lower);
	}
	out->step = fmax(b.step, out->frames * BURST_WIDTH);
	search_burst_correct(out, max, throughput);
	return 0;
}

void search_burst_correct(struct burst *out, double rate, double throughput) {
	out->seconds = out->frames / rate;
	out->corrected_s = out->seconds * (1 - throughput / rate);
	out->corrected_frames = out->corrected_s * rate;
}

int search_recovery(const struct preset *p, double max, double throughput, fall_fn *fn, void *arg,
	double *seconds, struct err *e) {
	double high = fmin(throughput * RECOVERY_OVERLOAD, max);

	for (unsigned i = 0; i < p->recovery_times; i++) {
		int ret = fn(arg, high, p->overload_s, high * RELIEF, p->relief_s, &seconds[i], e);

		if (ret != 0)
			return ret;
	}
	return 0;
}
