/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/hist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Against exact sorting: for each distribution the same values go into a histogram and an array. */

enum { VALUES = 100000 };

static uint64_t values[VALUES];
static struct hist all, other, third;

/* xorshift64: the same values in every run. */
static uint64_t seed;

static double uniform(void) {
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return ((double)(seed >> 11) + 0.5) / 9007199254740992.0;
}

static uint64_t small(void) {
	return (uint64_t)(uniform() * 300);
}
static uint64_t even(void) {
	return 10000 + (uint64_t)(uniform() * 90000);
}
static uint64_t exponential(void) {
	return (uint64_t)(-log(uniform()) * 25000);
}
static uint64_t lognormal(void) {
	double normal = sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());

	return (uint64_t)exp(10 + 1.5 * normal);
}
/* Most are quick, one in five hundred waits for a timer. */
static uint64_t two_humps(void) {
	return uniform() < 0.002 ? 4000000 + even() : 20000 + (uint64_t)(uniform() * 3000);
}
static uint64_t one_value(void) {
	return 123456789;
}
static uint64_t all_magnitudes(void) {
	return (uint64_t)exp2(uniform() * 62.9);
}

static const struct {
	const char *name;
	uint64_t (*draw)(void);
} distributions[] = {
	{"small", small},
	{"even", even},
	{"exponential", exponential},
	{"lognormal", lognormal},
	{"two humps", two_humps},
	{"one value", one_value},
	{"all magnitudes", all_magnitudes},
};
enum { NDISTRIBUTIONS = sizeof(distributions) / sizeof(distributions[0]) };

static int ascending(const void *a, const void *b) {
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void draw(unsigned which, struct hist *h) {
	seed = 88172645463325252u + which;
	hist_reset(h);
	for (int i = 0; i < VALUES; i++) {
		values[i] = distributions[which].draw();
		hist_add(h, values[i]);
	}
}

static void every_quantile_is_within_the_stated_error_of_exact_sorting(void **state) {
	static const double odd[] = {0, 0.00001, 0.999, 0.9999, 0.99999, 1};

	for (unsigned d = 0; d < NDISTRIBUTIONS; d++) {
		draw(d, &all);
		qsort(values, VALUES, sizeof(values[0]), ascending);
		for (unsigned i = 0; i < 1000 + sizeof(odd) / sizeof(odd[0]); i++) {
			double q = i < 1000 ? i / 1000.0 : odd[i - 1000];
			long rank = lround(q * VALUES); // a whole number, but for rounding
			uint64_t exact = values[rank > 0 ? rank - 1 : 0];
			uint64_t got = hist_quantile(&all, q);

			if (fabs((double)got - (double)exact) > HIST_ERROR * (double)exact)
				fail_msg("%s, quantile %g: %llu, exactly %llu",
					distributions[d].name, q, (unsigned long long)got,
					(unsigned long long)exact);
		}
	}
}

static void count_least_greatest_and_sum_are_exact(void **state) {
	for (unsigned d = 0; d < NDISTRIBUTIONS; d++) {
		double sum = 0;

		draw(d, &all);
		for (int i = 0; i < VALUES; i++)
			sum += (double)values[i];
		qsort(values, VALUES, sizeof(values[0]), ascending);
		assert_int_equal(all.count, VALUES);
		assert_int_equal(all.min, values[0]);
		assert_int_equal(all.max, values[VALUES - 1]);
		assert_true(all.sum == sum);
		assert_int_equal(hist_quantile(&all, 0), values[0]);
		assert_int_equal(hist_quantile(&all, 1), values[VALUES - 1]);
	}
}

static void what_json_cannot_hold_becomes_the_largest_it_can(void **state) {
	hist_reset(&all);
	hist_add(&all, UINT64_MAX);
	hist_add(&all, 1ULL << 63);
	assert_int_equal(all.min, INT64_MAX);
	assert_int_equal(hist_quantile(&all, 0.5), INT64_MAX);
}

static void an_empty_histogram_has_no_quantile(void **state) {
	hist_reset(&all);
	assert_int_equal(hist_quantile(&all, 0), 0);
	assert_int_equal(hist_quantile(&all, 0.5), 0);
	assert_int_equal(hist_quantile(&all, 1), 0);
}

static void merging_two_is_adding_the_values_of_both(void **state) {
	hist_reset(&third);
	draw(2, &all);
	for (int i = 0; i < VALUES; i++)
		hist_add(&third, values[i]);
	draw(4, &other);
	for (int i = 0; i < VALUES; i++)
		hist_add(&third, values[i]);
	hist_merge(&all, &other);
	assert_int_equal(all.count, third.count);
	assert_int_equal(all.min, third.min);
	assert_int_equal(all.max, third.max);
	assert_true(all.sum == third.sum);
	assert_memory_equal(all.bucket, third.bucket, sizeof(all.bucket));

	hist_reset(&other);
	hist_merge(&other, &all);
	hist_merge(&all, &third);
	assert_memory_equal(&other, &third, sizeof(other));
	assert_int_equal(all.count, 4 * VALUES);
}

static void a_histogram_goes_to_json_and_comes_back_the_same(void **state) {
	for (unsigned d = 0; d < NDISTRIBUTIONS; d++) {
		json_t *v, *again;
		char *text;

		draw(d, &all);
		v = hist_json(&all);
		text = json_dumps(v, JSON_COMPACT);
		again = json_loads(text, 0, NULL);
		assert_int_equal(hist_load(&other, again), 0);
		assert_int_equal(other.count, all.count);
		assert_int_equal(other.min, all.min);
		assert_int_equal(other.max, all.max);
		assert_true(fabs(other.sum - all.sum) <= 1e-9 * all.sum);
		assert_memory_equal(other.bucket, all.bucket, sizeof(all.bucket));
		assert_int_equal(json_integer_value(json_object_get(again, "p99.9")),
			hist_quantile(&all, 0.999));
		json_decref(v);
		json_decref(again);
		free(text);
	}
	hist_reset(&all);
	json_t *empty = hist_json(&all);

	assert_int_equal(hist_load(&other, empty), 0);
	assert_memory_equal(&other, &all, sizeof(all));
	json_decref(empty);
}

static void a_histogram_that_contradicts_itself_is_refused(void **state) {
	static const char *const bad[] = {
		"{}",
		"[]",
		"{\"count\":1,\"min\":5,\"max\":5,\"mean\":5.0}",
		"{\"count\":2,\"min\":5,\"max\":5,\"mean\":5.0,\"buckets\":[[5,1]]}",
		"{\"count\":2,\"min\":5,\"max\":5,\"mean\":5.0,\"buckets\":[[5,1],[5,1]]}",
		"{\"count\":1,\"min\":5,\"max\":5,\"mean\":5.0,\"buckets\":[[5]]}",
		"{\"count\":1,\"min\":5,\"max\":5,\"mean\":5.0,\"buckets\":[[-5,1]]}",
		"{\"count\":-1,\"min\":5,\"max\":5,\"mean\":5.0,\"buckets\":[[5,-1]]}",
		"{\"count\":1,\"min\":257,\"max\":257,\"mean\":257.0,\"buckets\":[[257,1]]}",
		"{\"count\":1,\"min\":6,\"max\":5,\"mean\":5.0,\"buckets\":[[5,1]]}",
		"{\"count\":1,\"min\":5,\"max\":6,\"mean\":5.0,\"buckets\":[[5,1]]}",
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *v = json_loads(bad[i], 0, NULL);

		assert_non_null(v);
		if (hist_load(&other, v) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(other.count, 0);
		json_decref(v);
	}
}

static const char *const names[] = {"p50", "p90", "p99", "p99.9", "p99.99"};
static const double quantiles[] = {0.5, 0.9, 0.99, 0.999, 0.9999};
enum { NNAMES = 5 };

static void a_quantile_of_too_few_values_is_not_their_maximum_but_absent(void **state) {
	static const uint64_t least[NNAMES] = {2, 10, 100, 1000, 10000};

	for (unsigned i = 0; i < NNAMES; i++) {
		hist_reset(&all);
		for (uint64_t n = 1; n <= least[i]; n++) {
			hist_add(&all, n);
			assert_int_equal(hist_knows(&all, quantiles[i]), n == least[i]);
		}
		for (uint64_t n = least[i] - 1; n <= least[i]; n++) {
			json_t *v;

			hist_reset(&all);
			for (uint64_t k = 1; k <= n; k++)
				hist_add(&all, k);
			v = hist_json(&all);
			assert_int_equal(
				json_is_integer(json_object_get(v, names[i])), n == least[i]);
			assert_int_equal(json_is_null(json_object_get(v, names[i])), n < least[i]);
			json_decref(v);
		}
	}
	hist_reset(&all);
	assert_false(hist_knows(&all, 1));
}

/* Of a bound that is not there nothing is asked: then it is at infinity. */
static bool holds(const json_t *v, unsigned i, double truth) {
	const json_t *low = json_object_get(json_object_get(v, "low"), names[i]);
	const json_t *high = json_object_get(json_object_get(v, "high"), names[i]);

	return (json_is_null(low) || json_number_value(low) <= truth * (1 + HIST_ERROR)) &&
	       (json_is_null(high) || json_number_value(high) >= truth * (1 - HIST_ERROR));
}

/* Exponential values of mean 25000, whose quantile q is -ln(1 - q) 25000. Order statistics are discrete, so
 * the interval is a little wider than it has to be; with 1000 values that of p99.9 has no upper bound. */
static void the_interval_of_a_quantile_holds_the_true_one_in_95_of_100(void **state) {
	enum { TIMES = 1000 };
	unsigned held[NNAMES] = {0};

	seed = 20261122;
	for (int t = 0; t < TIMES; t++) {
		json_t *v;

		hist_reset(&all);
		for (int k = 0; k < 1000; k++)
			hist_add(&all, exponential());
		v = hist_json(&all);
		for (unsigned i = 0; i < NNAMES; i++)
			held[i] += holds(v, i, -log(1 - quantiles[i]) * 25000);
		assert_true(json_is_integer(json_object_get(json_object_get(v, "high"), "p99")));
		assert_true(json_is_null(json_object_get(json_object_get(v, "high"), "p99.9")));
		json_decref(v);
	}
	for (unsigned i = 0; i < NNAMES; i++)
		if (held[i] < 0.94 * TIMES || (i < 3 && held[i] > 0.99 * TIMES))
			fail_msg("%s: held %u of %d times", names[i], held[i], TIMES);
}

/* 1000 values of 1 to 1000 ns, and so many lost: the quantile at rank r of all is value r, if there is one. */
static void what_was_lost_is_above_every_value(void **state) {
	static const uint64_t lost[] = {0, 1, 10, 100, 1000, 100000};

	for (unsigned k = 0; k < sizeof(lost) / sizeof(lost[0]); k++) {
		json_t *v, *beyond;
		unsigned told = 0;

		hist_reset(&all);
		hist_reset(&other);
		for (uint64_t n = 1; n <= 1000; n++)
			hist_add(n % 2 ? &all : &other, n);
		hist_lose(&all, lost[k] / 2, 7000);
		hist_lose(&other, lost[k] - lost[k] / 2, 5000);
		hist_merge(&all, &other);
		v = hist_json(&all);
		assert_int_equal(hist_load(&other, v), 0);
		assert_true(other.lost == lost[k] && other.timeout == (lost[k] > 0 ? 5000 : 0));
		beyond = json_object_get(v, "beyond");
		for (unsigned i = 0; i < NNAMES; i++) {
			uint64_t rank =
				(uint64_t)ceil(quantiles[i] * (1000 + (double)lost[k]) - 1e-9);
			const json_t *q = json_object_get(v, names[i]);

			assert_int_equal(hist_beyond(&all, quantiles[i]), rank > 1000);
			told += rank > 1000;
			if (rank > 1000)
				assert_true(json_is_null(q) && !hist_knows(&all, quantiles[i]));
			else if (json_is_number(q))
				assert_true(fabs(json_number_value(q) - (double)rank) <=
					    HIST_ERROR * (double)rank + 0.5);
		}
		assert_int_equal(json_array_size(beyond), lost[k] > 0 ? told + 1 : 0);
		assert_int_equal(hist_beyond(&all, 1), lost[k] > 0);
		assert_int_equal(json_integer_value(json_object_get(v, "max")), 1000);
		json_decref(v);
	}
	hist_reset(&all);
	hist_lose(&all, 3, 5000);
	assert_true(hist_beyond(&all, 0.5) && !hist_knows(&all, 0.5));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_quantile_is_within_the_stated_error_of_exact_sorting),
		cmocka_unit_test(count_least_greatest_and_sum_are_exact),
		cmocka_unit_test(what_json_cannot_hold_becomes_the_largest_it_can),
		cmocka_unit_test(an_empty_histogram_has_no_quantile),
		cmocka_unit_test(merging_two_is_adding_the_values_of_both),
		cmocka_unit_test(a_histogram_goes_to_json_and_comes_back_the_same),
		cmocka_unit_test(a_histogram_that_contradicts_itself_is_refused),
		cmocka_unit_test(a_quantile_of_too_few_values_is_not_their_maximum_but_absent),
		cmocka_unit_test(the_interval_of_a_quantile_holds_the_true_one_in_95_of_100),
		cmocka_unit_test(what_was_lost_is_above_every_value),
	};

	return cmocka_run_group_tests_name("hist", tests, NULL, NULL);
}
