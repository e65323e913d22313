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

	about(spread_skew(NULL, 0), 0, 0);
	about(spread_cv(NULL, 0), 0, 0);
	about(spread_jain(one + 1, 3), 0, 0);
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
	};

	return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
