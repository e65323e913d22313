/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_STATS_H
#define WEIR_BENCH_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

/* What repeats and neighbours tell. */

enum { SERIES_MAX = 1000 };

struct series {
	unsigned n;
	double v[SERIES_MAX]; /* in the order measured */
	double above; /* a value that is INFINITY is only known to be more than this */
};

/* -ENOSPC when full. */
int series_add(struct series *s, double v);
/* Of an empty series each of these is 0. */
double series_median(const struct series *s);
double series_mean(const struct series *s);
double series_sd(const struct series *s); /* of the sample; 0 below two values */
double series_min(const struct series *s);
double series_max(const struct series *s);
/* Half the width of the 95 % confidence interval of the mean (Student's t); INFINITY below two. */
double series_ci95(const struct series *s);
/* Is that interval at most `fraction` of the mean on each side? */
bool series_narrow(const struct series *s, double fraction);

/* How likely chance alone puts a value of Student's distribution with `df` >= 1 degrees of freedom,
 * which need not be whole, outside of -t to t. */
double student_outside(double t, double df);

/* Do two series, of any spread each, have one mean? (Welch 1947, degrees of freedom by Satterthwaite) */
struct welch {
	double difference; /* the mean of b less that of a */
	double ci95; /* half the width of its 95 % confidence interval; INFINITY: not known */
	/* How likely repeats of one mean lie so far apart. NAN: cannot be told, since a series has fewer
	 * than two values or too large ones. Without any spread in either Student has nothing to say;
	 * then it is how likely chance alone deals the values out like that. */
	double p;
	double se, df; /* of Student's distribution for the difference; 0: there is none */
};
struct welch series_welch(const struct series *a, const struct series *b);
/* The least difference of two means that repeats with this spread would show as one, on level `level`, in
 * four of five cases. NAN: without any spread nobody can say. */
double welch_findable(const struct welch *w, double level);

/* Holm's correction (1979): multiplies each *p[i], none of them NAN, so that with those that are still
 * at most 5 % the chance of one or more false alarms among all n is at most 5 %, however they hang
 * together. Sorts p. */
void holm(double **p, unsigned n);

/* Between which of n values in ascending order, the first being number 1, the q-quantile of what they were
 * drawn from lies in at least 95 % of cases, whatever the distribution (order statistics, DLMF 8.17.5;
 * H. A. David, H. N. Nagaraja, "Order Statistics", 2003, 7.1). 0: so few values bound it not on that side.
 * It takes them for independent of each other. */
struct ranks {
	uint64_t low, high;
};
struct ranks quantile_ranks(uint64_t n, double q);

/* Of several endpoints in the same interval: (max - min) / mean; standard deviation / mean; Jain's
 * index (sum x)^2 / (n sum x^2), 1 when all are equal. NAN where nothing was moved: that is shared out
 * neither evenly nor unevenly. */
double spread_skew(const double *v, unsigned n);
double spread_cv(const double *v, unsigned n);
double spread_jain(const double *v, unsigned n);

#endif
