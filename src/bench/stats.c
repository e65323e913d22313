/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/stats.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* The part of Student's distribution with `df` degrees of freedom that lies between -t and t, where
 * tan(angle) = t / sqrt(df): for whole df a finite sum (Abramowitz and Stegun, 26.7.3 and 26.7.4). */
static double student_within(double angle, unsigned df) {
	double c2 = cos(angle) * cos(angle), term, sum = 0;
	unsigned k = df % 2 ? 1 : 0;

	term = k ? cos(angle) : 1;
	for (; k + 2 <= df; k += 2) {
		sum += term;
		term *= c2 * (k + 1) / (k + 2);
	}
	sum *= sin(angle);
	return df % 2 ? 2 / M_PI * (angle + sum) : sum;
}

/* The t with 95 % between -t and t, by bisection. */
static double student_t95(unsigned df) {
	double low = 0, high = M_PI / 2;

	for (int i = 0; i < 60; i++) {
		double mid = (low + high) / 2;

		if (student_within(mid, df) < 0.95)
			low = mid;
		else
			high = mid;
	}
	return sqrt(df) * tan((low + high) / 2);
}

double series_ci95(const struct series *s) {
	return s->n < 2 ? INFINITY : student_t95(s->n - 1) * series_sd(s) / sqrt(s->n);
}

bool series_narrow(const struct series *s, double fraction) {
	return series_ci95(s) <= fraction * fabs(series_mean(s));
}

double spread_skew(const double *v, unsigned n) {
	double mean = mean_of(v, n);

	return mean != 0 ? (greatest_of(v, n) - least_of(v, n)) / mean : 0;
}

double spread_cv(const double *v, unsigned n) {
	double mean = mean_of(v, n);

	return mean != 0 ? sqrt(squares_of(v, n) / n) / mean : 0;
}

double spread_jain(const double *v, unsigned n) {
	double sum = 0, squares = 0;

	for (unsigned i = 0; i < n; i++) {
		sum += v[i];
		squares += v[i] * v[i];
	}
	return squares > 0 ? sum * sum / (n * squares) : 0;
}
