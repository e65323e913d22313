/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/stats.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is no more beside the mean is the arithmetic's doing. */
#define ROUNDING 1e-12
/* From this variance on the normal distribution has the ranks of a binomial one to within one of them. */
#define BINOMIAL_LARGE 1e4
/* 95 % of the normal distribution lie within so many standard deviations. */
#define NORMAL_95 1.959964
/* 80 % of it lie below so many. */
#define NORMAL_80 0.841621

int series_add(struct series *s, double v) {
	if (s->n >= SERIES_MAX)
		return -ENOSPC;
	s->v[s->n++] = v;
	return 0;
}

static int ascending(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double series_median(const struct series *s) {
	double sorted[SERIES_MAX];
	unsigned half = s->n / 2;

	if (s->n == 0)
		return 0;
	memcpy(sorted, s->v, s->n * sizeof(*sorted));
	qsort(sorted, s->n, sizeof(*sorted), ascending);
	return s->n % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

static double mean_of(const double *v, unsigned n) {
	double sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += v[i];
	return n > 0 ? sum / n : 0;
}

/* Sum of the squared distances from the mean: in two passes, so that nothing cancels out. */
static double squares_of(const double *v, unsigned n) {
	double mean = mean_of(v, n), sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += (v[i] - mean) * (v[i] - mean);
	return sum;
}

static double least_of(const double *v, unsigned n) {
	double least = n > 0 ? v[0] : 0;

	for (unsigned i = 1; i < n; i++)
		least = fmin(least, v[i]);
	return least;
}

static double greatest_of(const double *v, unsigned n) {
	double greatest = n > 0 ? v[0] : 0;

	for (unsigned i = 1; i < n; i++)
		greatest = fmax(greatest, v[i]);
	return greatest;
}

double series_mean(const struct series *s) {
	return mean_of(s->v, s->n);
}

double series_sd(const struct series *s) {
	return s->n < 2 ? 0 : sqrt(squares_of(s->v, s->n) / (s->n - 1));
}

double series_min(const struct series *s) {
	return least_of(s->v, s->n);
}

double series_max(const struct series *s) {
	return greatest_of(s->v, s->n);
}

/* The continued fraction of the incomplete beta function (DLMF 8.17.22), from its far end. Where x is
 * below (a + 1) / (a + b + 2), so many terms give every digit of a double. */
static double beta_fraction(double x, double a, double b) {
	double f = 1;

	for (int m = 12 + (int)(7 * sqrt(fmax(a, b))); m >= 0; m--) {
		f = 1 + (m + 1) * (b - m - 1) * x / ((a + 2 * m + 1) * (a + 2 * m + 2)) / f;
		f = 1 - (a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)) / f;
	}
	return 1 / f;
}

/* I_x(a, b), the regularised incomplete beta function, x + y = 1. */
static double beta_within(double x, double y, double a, double b) {
	double front;

	if (x > (a + 1) / (a + b + 2))
		return 1 - beta_within(y, x, b, a);
	front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(y));
	return front / a * beta_fraction(x, a, b);
}

double student_outside(double t, double df) {
	double square = t * t;

	if (isinf(square))
		return 0;
	return beta_within(df / (df + square), square / (df + square), df / 2, 0.5);
}

/* The t with all but the fraction `outside` between -t and t, by bisection; df of at least 1. */
static double student_t(double outside, double df) {
	double low = 0, high = 16;

	while (student_outside(high, df) > outside)
		high *= 2;
	for (int i = 0; i < 44; i++) {
		double mid = (low + high) / 2;

		if (student_outside(mid, df) > outside)
			low = mid;
		else
			high = mid;
	}
	return (low + high) / 2;
}

static double student_t95(double df) {
	return student_t(0.05, df);
}

double series_ci95(const struct series *s) {
	return s->n < 2 ? INFINITY : student_t95(s->n - 1) * series_sd(s) / sqrt(s->n);
}

bool series_narrow(const struct series *s, double fraction) {
	return series_ci95(s) <= fraction * fabs(series_mean(s));
}

double spread_skew(const double *v, unsigned n) {
	double mean = mean_of(v, n);

	return mean != 0 ? (greatest_of(v, n) - least_of(v, n)) / mean : NAN;
}

double spread_cv(const double *v, unsigned n) {
	double mean = mean_of(v, n);

	return mean != 0 ? sqrt(squares_of(v, n) / n) / mean : NAN;
}

double spread_jain(const double *v, unsigned n) {
	double sum = 0, squares = 0;

	for (unsigned i = 0; i < n; i++) {
		sum += v[i];
		squares += v[i] * v[i];
	}
	return squares > 0 ? sum * sum / (n * squares) : NAN;
}

/* Of two series without spread: how likely chance alone deals the na + nb values out so that all of one
 * kind are on one side, 2 / (na + nb over na). */
static double dealt_apart(unsigned na, unsigned nb) {
	return fmin(1, 2 * exp(lgamma(na + 1) + lgamma(nb + 1) - lgamma(na + nb + 1)));
}

struct welch series_welch(const struct series *a, const struct series *b) {
	double ma = series_mean(a), mb = series_mean(b), sa = series_sd(a), sb = series_sd(b);
	double va = sa * sa / a->n, vb = sb * sb / b->n, se = sqrt(va + vb), part = va / (va + vb);
	struct welch w = {.difference = mb - ma, .ci95 = INFINITY, .p = NAN};
	double df = 1 / (part * part / (a->n - 1.0) + (1 - part) * (1 - part) / (b->n - 1.0));

	if (a->n < 2 || b->n < 2 || !isfinite(w.difference) || !isfinite(se))
		return w;
	if (se <= ROUNDING * fmax(fabs(ma), fabs(mb))) {
		w.ci95 = 0;
		w.p = fabs(w.difference) <= ROUNDING * fmax(fabs(ma), fabs(mb))
			      ? 1
			      : dealt_apart(a->n, b->n);
		return w;
	}
	w.ci95 = student_t95(df) * se;
	w.se = se;
	w.df = df;
	w.p = student_outside(w.difference / se, df);
	return w;
}

/* How likely at least k of n lie below the q-quantile; k of 1 to n. */
static double at_least_below(double k, double n, double q) {
	return beta_within(q, 1 - q, k, n - k + 1);
}

/* The least k of 1 to n + 1 that so many below the quantile reach in at most 2.5 % of cases. */
static double rank_exceeded(double n, double q) {
	double low = 0, high = n + 1;

	while (high - low > 1) {
		double mid = floor((low + high) / 2);

		if (at_least_below(mid, n, q) > 0.025)
			low = mid;
		else
			high = mid;
	}
	return high;
}

struct ranks quantile_ranks(uint64_t n, double q) {
	double all = (double)n, spread = sqrt(all * q * (1 - q)), low, high;
	struct ranks r = {0, 0};

	if (n == 0 || !(q > 0 && q < 1))
		return r;
	if (spread * spread > BINOMIAL_LARGE) {
		low = floor(all * q - NORMAL_95 * spread);
		high = ceil(all * q + NORMAL_95 * spread) + 1;
	} else {
		// Seen from above, what is below the quantile is above that of 1 - q.
		high = rank_exceeded(all, q);
		low = all + 1 - rank_exceeded(all, 1 - q);
	}
	r.low = low >= 1 ? (uint64_t)low : 0;
	r.high = high <= all ? (uint64_t)high : 0;
	return r;
}

double welch_findable(const struct welch *w, double level) {
	double t;

	if (!(w->se > 0) || !(level > 0 && level < 1))
		return NAN;
	// The noncentral distribution of Student's t, nearly normal (Abramowitz and Stegun, 26.7.10).
	t = student_t(level, w->df);
	return (t * (1 - 1 / (4 * w->df)) + NORMAL_80 * sqrt(1 + t * t / (2 * w->df))) * w->se;
}

static int by_p(const void *a, const void *b) {
	return ascending(*(const double *const *)a, *(const double *const *)b);
}

void holm(double **p, unsigned n) {
	double least = 0;

	qsort(p, n, sizeof(*p), by_p);
	for (unsigned i = 0; i < n; i++)
		least = *p[i] = fmax(least, fmin(1, *p[i] * (n - i)));
}
