/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>

static struct series s;

static void fill(const double *v, unsigned n) {
	s.n = 0;
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(series_add(&s, v[i]), 0);
}

static void about(double got, double want, double within) {
	if (!(fabs(got - want) <= within))
		fail_msg("%.9g, not %.9g within %g", got, want, within);
}

static void a_series_is_described_in_the_usual_words(void **state) {
	static const double v[] = {2, 4, 4, 4, 5, 5, 7, 9};

	fill(v, 8);
	about(series_median(&s), 4.5, 0);
	about(series_mean(&s), 5, 0);
	about(series_sd(&s), sqrt(32.0 / 7), 1e-12);
	about(series_min(&s), 2, 0);
	about(series_max(&s), 9, 0);
	fill(v, 5);
	about(series_median(&s), 4, 0);
}

static void the_order_of_measuring_is_kept(void **state) {
	static const double v[] = {3, 1, 2};

	fill(v, 3);
	about(series_median(&s), 2, 0);
	assert_true(s.v[0] == 3 && s.v[1] == 1 && s.v[2] == 2);
}

static void nothing_and_one_value_have_no_spread(void **state) {
	static const double one = 7;

	fill(NULL, 0);
	about(series_median(&s), 0, 0);
	about(series_mean(&s), 0, 0);
	about(series_sd(&s), 0, 0);
	assert_true(isinf(series_ci95(&s)));
	assert_false(series_narrow(&s, 0.5));
	fill(&one, 1);
	about(series_median(&s), 7, 0);
	about(series_sd(&s), 0, 0);
	assert_true(isinf(series_ci95(&s)));
	assert_false(series_narrow(&s, 0.5));
}

static void a_full_series_takes_no_more(void **state) {
	s.n = 0;
	for (int i = 0; i < SERIES_MAX; i++)
		assert_int_equal(series_add(&s, i), 0);
	assert_int_equal(series_add(&s, 1), -ENOSPC);
	assert_int_equal(s.n, SERIES_MAX);
	about(series_median(&s), (SERIES_MAX - 1) / 2.0, 0);
}

/* The half width is t sd / sqrt(n), so the t it was made with can be taken out of it again. */
static void the_interval_is_as_wide_as_tables_of_students_t_say(void **state) {
	static const struct {
		unsigned df;
		double t;
	} table[] = {{1, 12.7062}, {2, 4.30265}, {3, 3.18245}, {4, 2.77645}, {5, 2.57058},
		{6, 2.44691}, {7, 2.36462}, {8, 2.30600}, {9, 2.26216}, {10, 2.22814},
		{11, 2.20099}, {15, 2.13145}, {20, 2.08596}, {29, 2.04523}, {30, 2.04227},
		{40, 2.02108}, {60, 2.00030}, {100, 1.98397}, {120, 1.97993}, {999, 1.96234}};

	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		unsigned n = table[i].df + 1;

		s.n = 0;
		for (unsigned k = 0; k < n; k++)
			series_add(&s, 100 + (k * 37 % 11));
		about(series_ci95(&s) / series_sd(&s) * sqrt(n), table[i].t, 6e-5 * table[i].t);
	}
}

static void a_small_spread_on_a_large_mean_is_not_cancelled_out(void **state) {
	static const double v[] = {1e15 + 1, 1e15 + 2, 1e15 + 3};

	fill(v, 3);
	about(series_sd(&s), 1, 1e-9);
}

static void narrow_is_measured_by_the_mean(void **state) {
	static const double v[] = {99, 100, 101}; // sd 1: t(2) / sqrt(3) is 2.484

	fill(v, 3);
	assert_true(series_narrow(&s, 0.0249));
	assert_false(series_narrow(&s, 0.0248));
	for (unsigned i = 0; i < 3; i++)
		s.v[i] = -v[i];
	assert_true(series_narrow(&s, 0.0249));
}

static void skew_cv_and_jain_of_neighbours_are_what_their_formulas_say(void **state) {
	static const double equal[] = {5, 5, 5, 5}, tenth[] = {95, 105}, one[] = {8, 0, 0, 0};

	about(spread_skew(equal, 4), 0, 0);
	about(spread_cv(equal, 4), 0, 0);
	about(spread_jain(equal, 4), 1, 1e-12);

	about(spread_skew(tenth, 2), 0.1, 1e-12);
	about(spread_cv(tenth, 2), 0.05, 1e-12);
	about(spread_jain(tenth, 2), 40000.0 / (2 * (9025 + 11025)), 1e-12);

	about(spread_skew(one, 4), 4, 1e-12);
	about(spread_cv(one, 4), sqrt(3), 1e-12);
	about(spread_jain(one, 4), 0.25, 1e-12);

	// Where there is nothing, nothing is shared out evenly or unevenly.
	assert_true(isnan(spread_skew(NULL, 0)) && isnan(spread_skew(one + 1, 3)));
	assert_true(isnan(spread_cv(NULL, 0)) && isnan(spread_cv(one + 1, 3)));
	assert_true(isnan(spread_jain(NULL, 0)) && isnan(spread_jain(one + 1, 3)));
}

/* By mpmath 1.2, betainc(df/2, 1/2, 0, df/(df+t^2), regularized=True), with 30 digits. */
static void what_lies_outside_of_t_is_what_mpmath_says(void **state) {
	static const struct {
		double t, df, p;
	} table[] = {{0, 3, 1}, {0.5, 1, 0.704832764699133}, {1, 1.5, 0.45113536727671},
		{2, 2.5, 0.157391495757966}, {2.776445, 4, 0.0500000053820916},
		{3.3, 4.37, 0.0262403514120859}, {-3.3, 4.37, 0.0262403514120859},
		{1, 8, 0.346593507087334}, {0.01, 8, 0.992266164589914},
		{5, 8, 0.00105282579336654}, {12, 8, 2.14386674768877e-6},
		{40, 7.2, 1.00820668293492e-9}, {2.1, 17.9, 0.0501728824771738},
		{0.7, 250.5, 0.484576873163707}, {3, 100.25, 0.0034060422124316},
		{1.96, 1998, 0.0501346000304523}, {4, 1998, 6.564910089181e-5},
		{30, 1.01, 0.0205436151158451}, {1e6, 1, 6.36619772367369e-7}};

	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		about(student_outside(table[i].t, table[i].df), table[i].p, 1e-11 * table[i].p);
	about(student_outside(1e300, 3), 0, 0);
	about(student_outside(INFINITY, 3), 0, 0);
	assert_true(isnan(student_outside(NAN, 3)));
}

static struct welch welch_of(const double *a, unsigned na, const double *b, unsigned nb) {
	static struct series other;

	fill(b, nb);
	other = s;
	fill(a, na);
	return series_welch(&s, &other);
}

/* By mpmath too, from Welch's and Satterthwaite's formulas. */
static void two_means_are_compared_as_mpmath_does(void **state) {
	static const double a[] = {
		27.5, 21, 19, 23.6, 17, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19, 21.7, 21.4};
	static const double b[] = {27.1, 22, 20.8, 23.4, 23.4, 23.5, 25.8, 22, 24.8, 20.2, 21.9,
		22.1, 22.9, 30.5, 31.5};
	static const double few[] = {9.41, 9.38, 9.43};
	static const double more[] = {9.10, 9.31, 9.22, 9.27, 9.05, 9.40};
	struct welch w = welch_of(a, 15, b, 15);

	about(w.difference, 3.30666666666667, 1e-12);
	about(w.p, 0.00654140668930969, 1e-12);
	about(w.ci95, 2.30301295271864, 1e-10);
	w = welch_of(few, 3, more, 6); // 5.69 degrees of freedom
	about(w.difference, -0.181666666666667, 1e-12);
	about(w.p, 0.0183694530321286, 1e-12);
	about(w.ci95, 0.137702877531587, 1e-10);
}

static void what_cannot_be_compared_has_no_p(void **state) {
	static const double v[] = {1, 2, 3}, huge[] = {-1e308, 1e308, 1e308};

	assert_true(isnan(welch_of(v, 1, v, 3).p));
	assert_true(isnan(welch_of(v, 3, v, 1).p));
	about(welch_of(v, 1, v + 2, 1).difference, 2, 0);
	assert_true(isinf(welch_of(v, 1, v, 3).ci95));
	assert_true(isnan(welch_of(v, 3, huge, 3).p));
	assert_true(isnan(welch_of(huge, 3, huge, 3).p));
}

/* Five zeros against five ones: 2 of the 252 ways to deal them out are as far apart. */
static void without_any_spread_only_the_number_of_repeats_counts(void **state) {
	static const double v[] = {0.1, 0.1, 0.1, 0.1, 0.1}, w[] = {0.3, 0.3, 0.3, 0.3, 0.3};
	struct welch same = welch_of(v, 5, v, 3), apart = welch_of(v, 5, w, 5);

	about(same.p, 1, 0);
	about(apart.p, 2.0 / 252, 1e-12);
	about(apart.difference, 0.2, 1e-12);
	about(welch_of(v, 3, w, 3).p, 0.1, 1e-12);
}

static void holms_correction_steps_down_from_the_least(void **state) {
	double p[] = {0.03, 0.005, 0.04, 0.6, 0.01}, *all[] = {p, p + 1, p + 2, p + 3, p + 4};

	holm(all, 5);
	about(p[1], 0.025, 1e-15); // 5 times
	about(p[4], 0.04, 1e-15); // 4 times
	about(p[0], 0.09, 1e-15); // 3 times
	about(p[2], 0.09, 1e-15); // twice is 0.08, but no less than one before
	about(p[3], 0.6, 1e-15);
	holm(all, 0);
}

/* By summing the binomial distribution up, in a plain loop; and known ends: below 36,887 values none has
 * p99.99 below it in 97.5 % of cases, since 0.9999^n is more than 0.025. */
static void the_ranks_of_a_quantile_are_those_of_the_binomial_distribution(void **state) {
	static const struct {
		unsigned n;
		double q;
	} cases[] = {{1, 0.5}, {5, 0.5}, {6, 0.5}, {20, 0.5}, {99, 0.9}, {1000, 0.99},
		{3000, 0.999}, {4000, 0.999}};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned n = cases[i].n, low = 0, high = 0;
		double q = cases[i].q, below = 0;
		struct ranks r = quantile_ranks(n, q);

		for (unsigned k = 0; k < n; k++) { // below: so many or fewer lie below the quantile
			below += exp(lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0) +
				     k * log(q) + (n - k) * log(1 - q));
			low = below <= 0.025 ? k + 1 : low;
			if (high == 0 && 1 - below <= 0.025)
				high = k + 1;
		}
		assert_int_equal(r.low, low);
		assert_int_equal(r.high, high);
	}
	assert_int_equal(quantile_ranks(36886, 0.9999).high, 0);
	assert_int_equal(quantile_ranks(36887, 0.9999).high, 36887);
	about((double)quantile_ranks(4000000, 0.99).low, 3960000 - 390.03, 1);
	about((double)quantile_ranks(4000000, 0.99).high, 3960000 + 391.03, 1);
	assert_int_equal(quantile_ranks(0, 0.5).low, 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_series_is_described_in_the_usual_words),
		cmocka_unit_test(the_order_of_measuring_is_kept),
		cmocka_unit_test(nothing_and_one_value_have_no_spread),
		cmocka_unit_test(a_full_series_takes_no_more),
		cmocka_unit_test(the_interval_is_as_wide_as_tables_of_students_t_say),
		cmocka_unit_test(a_small_spread_on_a_large_mean_is_not_cancelled_out),
		cmocka_unit_test(narrow_is_measured_by_the_mean),
		cmocka_unit_test(skew_cv_and_jain_of_neighbours_are_what_their_formulas_say),
		cmocka_unit_test(what_lies_outside_of_t_is_what_mpmath_says),
		cmocka_unit_test(two_means_are_compared_as_mpmath_does),
		cmocka_unit_test(what_cannot_be_compared_has_no_p),
		cmocka_unit_test(without_any_spread_only_the_number_of_repeats_counts),
		cmocka_unit_test(holms_correction_steps_down_from_the_least),
		cmocka_unit_test(the_ranks_of_a_quantile_are_those_of_the_binomial_distribution),
	};

	return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
