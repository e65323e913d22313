/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/frames/search.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* The throughput search is an MLRsearch (RFC 9971) with one goal.
 *
 * A rate is judged by all trials made at it: it is a lower bound when it is sure to hold the goal, an
 * upper bound when it is sure not to, whatever the seconds still missing to the goal's sum might say
 * (goal_classify). Rates are tried in rounds. A round has a goal of its own, with shorter trials, fewer
 * of them and a greater width, and leaves its bounds to the next as the rates to begin with; the last
 * round has the goal itself. So short trials find the place and long ones confirm it.
 *
 * Within a round, the next rate is: the bounds handed down, if still undecided; with no lower bound,
 * what the upper one let through, but at least a step below it; with a lower bound far from the upper,
 * a step above it; and else the middle. A step is the width at first and doubles with each use. A limit
 * close to the first guess is found in a handful of trials, one far from it in no more than twice the
 * logarithm of the range. All steps are ratios, as the width is.
 *
 * A round's bounds only move towards each other, and a rate is decided after sum / length trials: it
 * ends, however the device behaves. */

enum { ROUNDS_MAX = 5 };
#define ROUND_FACTOR 8.0 /* how much longer the next round's trials are at most */
#define ROUNDING     1e-9

double trial_loss(const struct trial *t) {
	return t->offered > 0 ? (double)t->lost / (double)t->offered : 0;
}

enum bound goal_classify(const struct goal *g, double rate, const struct trial *t, unsigned n) {
	double full_good = 0, full_bad = 0, short_good = 0, short_bad = 0;
	double bad, whole, allowed;

	for (unsigned i = 0; i < n; i++) {
		bool full = t[i].seconds >= g->final_s * (1 - ROUNDING);
		bool good = trial_loss(&t[i]) <= g->loss;

		if (t[i].rate == rate)
			*(full         ? good ? &full_good : &full_bad
				: good ? &short_good
				       : &short_bad) += t[i].seconds;
	}
	/* Short good trials never speak for a rate, they only make up for short bad ones. */
	bad = full_bad + fmax(0, short_bad - short_good * g->exceed / (1 - g->exceed));
	whole = fmax(full_good + bad, g->sum_s);
	allowed = whole * g->exceed * (1 + ROUNDING);
	if (bad > allowed)
		return BOUND_UPPER;
	return whole - full_good <= allowed ? BOUND_LOWER : BOUND_UNDECIDED;
}

/* The bounds that matter under a goal: 0 where there is none. */
static void bounds(const struct search *s, const struct goal *g, double *lower, double *upper) {
	double up = INFINITY, low = 0;

	for (unsigned i = 0; i < s->n; i++)
		if (s->trials[i].rate < up &&
			goal_classify(g, s->trials[i].rate, s->trials, s->n) == BOUND_UPPER)
			up = s->trials[i].rate;
	for (unsigned i = 0; i < s->n; i++)
		if (s->trials[i].rate < up && s->trials[i].rate > low &&
			goal_classify(g, s->trials[i].rate, s->trials, s->n) == BOUND_LOWER)
			low = s->trials[i].rate;
	*lower = low;
	*upper = isinf(up) ? 0 : up;
}

/* What went through at a rate in the last trial there, as a rate at which the goal's loss is lost. */
static double let_through(const struct search *s, double rate) {
	for (unsigned i = s->n; i-- > 0;)
		if (s->trials[i].rate == rate)
			return rate * (1 - trial_loss(&s->trials[i])) / (1 - s->goal.loss);
	return rate;
}

/* Rates are whole numbers of frames/s: shorter in a table, and bursts are sought by the same search. */
static double between(double rate, double lower, double upper) {
	return fmin(fmax(floor(rate), lower + 1), upper - 1);
}

struct round {
	struct goal goal;
	double width; /* as a difference of logarithms */
	double step; /* likewise */
	double hint[2]; /* the bounds of the round before, lower and upper; 0: none */
};

/* The rate to try next; 0: the round is over. */
static double next_rate(const struct search *s, struct round *r) {
	double lower, upper, step = r->step, rate;

	bounds(s, &r->goal, &lower, &upper);
	for (unsigned i = 0; i < 2; i++) {
		double h = r->hint[i];

		if (h > lower && (upper == 0 || h < upper) &&
			goal_classify(&r->goal, h, s->trials, s->n) == BOUND_UNDECIDED)
			return h;
	}
	if (upper == 0 && lower == 0)
		return s->max;
	if (upper == 0 ? lower >= s->max : upper <= s->min)
		return 0;
	if (lower == 0) {
		rate = let_through(s, upper);
		if (rate > upper * exp(-step)) {
			rate = upper * exp(-step);
			r->step *= 2;
		}
		return between(rate, s->min - 1, upper);
	}
	if (upper != 0 && (log(upper / lower) <= r->width * (1 + ROUNDING) || upper - lower <= 1))
		return 0;
	if (upper != 0 && log(upper / lower) <= 2 * step)
		return between(sqrt(upper * lower), lower, upper);
	r->step *= 2;
	return between(lower * exp(step), lower, upper != 0 ? upper : s->max + 1);
}

static int try_once(struct search *s, double rate, double seconds, struct err *e) {
	struct trial t = {0}, *grown = reallocarray(s->trials, s->n + 1, sizeof(*grown));
	int ret;

	if (grown == NULL)
		return err_set(e, ENOMEM, "no memory for the %uth trial of a search", s->n + 1);
	s->trials = grown;
	ret = s->fn(s->arg, rate, seconds, &t, NULL, e);
	if (ret != 0)
		return ret;
	/* The trials of one rate are found by it, and their length must lead to a decision: both are what
	 * was asked for, to the bit. */
	t.rate = rate;
	t.seconds = seconds;
	t.pass = trial_loss(&t) <= s->goal.loss;
	s->trials[s->n++] = t;
	s->seconds += t.seconds;
	return 0;
}

static int run_round(struct search *s, struct round *r, struct err *e) {
	double rate;

	while ((rate = next_rate(s, r)) != 0)
		do {
			int ret = try_once(s, rate, r->goal.final_s, e);

			if (ret != 0)
				return ret;
		} while (goal_classify(&r->goal, rate, s->trials, s->n) == BOUND_UNDECIDED);
	return 0;
}

static int by_loss(const void *a, const void *b) {
	double x = trial_loss(a), y = trial_loss(b);

	return (x > y) - (x < y);
}

/* RFC 9971 appendix B: of the trials at the lower bound, the loss that is exceeded for no longer than
 * the goal lets trials exceed; seconds not measured count as lost. */
static double conditional(const struct search *s, double rate) {
	struct trial *full = calloc(s->n, sizeof(*full));
	double whole = 0, remaining, loss = 1;
	unsigned n = 0;

	if (full == NULL)
		return rate;
	for (unsigned i = 0; i < s->n; i++)
		if (s->trials[i].rate == rate &&
			s->trials[i].seconds >= s->goal.final_s * (1 - ROUNDING)) {
			full[n++] = s->trials[i];
			whole += s->trials[i].seconds;
		}
	qsort(full, n, sizeof(*full), by_loss);
	remaining = fmax(whole, s->goal.sum_s) * (1 - s->goal.exceed);
	for (unsigned i = 0; i < n && (i == 0 || remaining > ROUNDING); i++) {
		loss = trial_loss(&full[i]);
		remaining -= full[i].seconds;
	}
	free(full);
	return remaining > ROUNDING * s->goal.sum_s ? 0 : rate * (1 - loss);
}

/* Was it the generator that failed at the upper bound? It was when most of the bad trials there would
 * have been good ones, had no more been asked for than was sent. */
static bool generator_was_limit(const struct search *s) {
	unsigned bad = 0, unsent = 0;

	for (unsigned i = 0; i < s->n; i++) {
		const struct trial *t = &s->trials[i];

		if (t->rate != s->upper || t->pass)
			continue;
		bad++;
		unsent += (double)(t->sent - t->received) <= s->goal.loss * (double)t->sent;
	}
	return bad > 0 && 2 * unsent > bad;
}

static void conclude(struct search *s) {
	bounds(s, &s->goal, &s->lower, &s->upper);
	s->end = s->lower == 0 ? SEARCH_NONE : s->upper == 0 ? SEARCH_AT_MAX : SEARCH_FOUND;
	s->throughput = s->lower > 0 ? conditional(s, s->lower) : 0;
	s->generator = s->upper > 0 && generator_was_limit(s);
}

static unsigned plan(const struct goal *g, struct round rounds[ROUNDS_MAX]) {
	double seconds = g->initial_s;
	unsigned n = 0;

	for (; n < ROUNDS_MAX - 1 && (seconds < g->final_s || n == 0); seconds *= ROUND_FACTOR)
		rounds[n++].goal = (struct goal){.final_s = fmin(seconds, g->final_s),
			.sum_s = fmin(seconds, g->final_s),
			.loss = g->loss,
			.exceed = g->exceed};
	rounds[n++].goal = *g;
	for (unsigned i = 0; i < n; i++) {
		rounds[i].width = -log1p(-g->width) * (i + 1 < n ? 2 : 1);
		rounds[i].step = rounds[i].width;
	}
	return n;
}

int search_run(struct search *s, struct err *e) {
	struct round rounds[ROUNDS_MAX] = {0};
	unsigned n;
	int ret = 0;

	s->min = ceil(s->min);
	s->max = floor(s->max);
	if (!(s->min >= 1 && s->min <= s->max && isfinite(s->max)))
		return err_set(e, EINVAL,
			"%g to %g frames/s is no range to search; the least rate must be above 0 "
			"and not "
			"above the greatest",
			s->min, s->max);
	n = plan(&s->goal, rounds);
	for (unsigned i = 0; i < n && ret == 0; i++) {
		if (i > 0)
			bounds(s, &rounds[i - 1].goal, &rounds[i].hint[0], &rounds[i].hint[1]);
		ret = run_round(s, &rounds[i], e);
	}
	conclude(s);
	return ret;
}

void search_fini(struct search *s) {
	free(s->trials);
	s->trials = NULL;
	s->n = 0;
}

static bool nothing_arrived(const struct search *s) {
	for (unsigned i = 0; i < s->n; i++)
		if (s->trials[i].received > 0)
			return false;
	return s->n > 0;
}

bool search_remark(const struct search *s, char *text, size_t size) {
	if (nothing_arrived(s))
		snprintf(text, size, "nothing arrived: not one frame of %u trials", s->n);
	else if (s->generator)
		snprintf(text, size,
			"the generator was the limit: at %.6g frames/s it could not send all it "
			"was asked "
			"for, and what it sent arrived; the path may carry more than was found",
			s->upper);
	else if (s->end == SEARCH_AT_MAX)
		snprintf(text, size,
			"the greatest rate offered, %.6g frames/s, passed: the limit is there or "
			"above; "
			"raise --max-rate to find it",
			s->max);
	else if (s->end == SEARCH_NONE)
		snprintf(text, size,
			"no rate passed: even %.6g frames/s lost more than the %.6g %% allowed",
			s->upper, s->goal.loss * 100);
	else
		return false;
	return true;
}
