/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/fair/fair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "bench/apart.h"
#include "bench/result.h"

static struct fair_options o;
static struct err e;

/* Splits at blanks. */
static int parse(const char *line) {
	static char text[512];
	char *argv[32], *rest = text, *word;
	int argc = 0;

	memset(&o, 0, sizeof(o));
	snprintf(text, sizeof(text), "fair %s", line);
	while ((word = strsep(&rest, " ")) != NULL)
		argv[argc++] = word;
	argv[argc] = NULL;
	return fair_options_parse(&o, argc, argv, &e);
}

static void without_options_all_given_endpoints_are_measured_with_both_loads(void **state) {
	assert_int_equal(parse("ns:a ns:b ns:c ns:srv"), 0);
	assert_false(o.made);
	assert_int_equal(o.nn, 1);
	assert_int_equal(o.n[0], 3);
	assert_string_equal(o.endpoint[2], "ns:c");
	assert_string_equal(o.server, "ns:srv");
	assert_true(o.load[FAIR_STREAM] && o.load[FAIR_RR] && o.noise[FAIR_QUIET]);
	assert_false(o.noise[FAIR_FRAMES] || o.rps[0] || o.rps[1]);
	assert_int_equal(o.queues[0], 0);
}

static void lists_are_taken_in_their_order(void **state) {
	assert_int_equal(parse("--through weir-ns --endpoints 64,1 --queues 16,2 --rps on "
			       "--load rr --noise 64b,none --flows 64"),
		0);
	assert_true(o.made && o.through[1] && !o.through[0]);
	assert_true(o.nn == 2 && o.n[0] == 64 && o.n[1] == 1);
	assert_true(o.nqueues == 2 && o.queues[0] == 16 && o.queues[1] == 2);
	assert_true(o.rps[1] && !o.rps[0] && o.load[FAIR_RR] && !o.load[FAIR_STREAM]);
	assert_true(o.noise[FAIR_QUIET] && o.noise[FAIR_64B] && !o.noise[FAIR_FRAMES]);
}

static void what_does_not_go_together_is_refused_with_the_reason(void **state) {
	static const char *const cases[][2] = {
		{"ns:srv", "which endpoints"},
		{"ns:a ns:b ns:a ns:s", "ns:a is there twice"},
		{"ns:a ns:b vm:s", "vm:s cannot serve several"},
		{"--through veth,e1000 --rps on", "not of the VMs of e1000"},
		{"--through veth ns:a", "'ns:a' is too much"},
		{"--through veth --endpoints 0", "'0' is no number of 1 to 64"},
		{"--through veth --endpoints 1,,2", "'' is no number"},
		{"--through veth --endpoints 1x", "'1x' is no number"},
		{"--through veth --queues 17", "'17' is no number of 1 to 16"},
		{"--through veth --rps yes", "there are: off, on"},
		{"--through veth --load udp", "there are: stream, rr"},
		{"--through veth --endpoints 3 --flows 128", "evenly to 3"},
		{"--through veth --to 10.0.0.1", "not of --through"},
		{"ns:a ns:s --endpoints 2", "there are 1"},
		{"ns:a ns:s --rps on", "are of what --through makes"},
		{"ns:a ns:s --noise 64b", "wants --neighbour"},
		{"ns:a ns:s --neighbour ns:n,ns:m", "goes with --noise"},
		{"ns:a ns:s --noise 64b --neighbour ns:n", "two namespaces"},
		{"ns:a ns:s --noise 64b --neighbour ns:n,eth0", "no namespace"},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(parse(cases[i][0]), -EINVAL);
		if (strstr(e.text, cases[i][1]) == NULL)
			fail_msg("%s: %s", cases[i][0], e.text);
	}
}

/* The median of the figure with this name and noise; NAN: there is none. */
static double figure(const json_t *doc, const char *name, const char *noise) {
	json_t *one;
	size_t i;

	json_array_foreach (json_object_get(doc, "figures"), i, one)
		if (strcmp(json_string_value(json_object_get(one, "name")), name) == 0 &&
			strcmp(json_string_value(
				       json_object_get(json_object_get(one, "labels"), "noise")),
				noise) == 0)
			return json_number_value(json_object_get(one, "median"));
	return NAN;
}

static void about(double got, double want) {
	if (!(fabs(got - want) <= 1e-9 * fabs(want)))
		fail_msg("%.12g, not %.12g", got, want);
}

/* Four endpoints of 40, 80, 120 and 160, beside noise half of that. */
static json_t *four(double least) {
	char *argv[] = {"bench", "fair", NULL};
	struct bench b = {.doc = result_new("fair", 2, argv)};
	struct fair_plan p = {.o = &o, .n = 4, .endpoint = {"a", "b", "c", "d"}};
	struct fair_figures *f;

	assert_int_equal(parse("ns:a ns:b ns:c ns:d ns:s --load rr --noise none,64b "
			       "--neighbour ns:n,ns:m"),
		0);
	f = fair_figures_new(&b, &p);
	assert_non_null(f);
	for (int noise = 0; noise < 2; noise++) {
		struct fair_found found = {
			.overlap = 1, .noise_sent = noise ? 1e6 : NAN, .noise_received = NAN};

		for (unsigned i = 0; i < 4; i++) {
			found.rate[i] = i == 0 ? least : 40.0 * (i + 1);
			found.rate[i] /= noise ? 2 : 1;
			found.total += found.rate[i];
			for (int k = 0; k < 2; k++) // of one alone no median is known
				hist_add(fair_latency(f, noise ? FAIR_64B : FAIR_QUIET, i),
					1000 * (i + 1));
		}
		fair_found_add(f, FAIR_RR, noise ? FAIR_64B : FAIR_QUIET, 0, &found);
	}
	fair_figures_end(f);
	return b.doc;
}

static void figures_of_unequal_rates_are_what_their_formulas_say(void **state) {
	json_t *doc = four(40), *one;

	about(figure(doc, "transactions", "none"), 400);
	about(figure(doc, "skew", "none"), 1.2);
	about(figure(doc, "cv", "none"), sqrt(0.2));
	about(figure(doc, "jain", "none"), 100.0 / 120);
	about(figure(doc, "skew", "64b"), 1.2);
	about(figure(doc, "lost to noise", "64b"), 0.5);
	about(figure(doc, "noise sent", "64b"), 1e6);
	assert_true(isnan(figure(doc, "latency p99", "none"))); // of eight
	assert_true(isnan(figure(doc, "lost to noise", "none")));
	assert_true(isnan(figure(doc, "noise sent", "none")));
	one = json_array_get(json_object_get(doc, "endpoints"), 0);
	about(json_number_value(json_object_get(json_object_get(one, "values"), "d")), 160);
	json_decref(doc);
}

static void latencies_are_told_of_each_endpoint_and_of_all(void **state) {
	json_t *doc = four(40), *one;
	unsigned found = 0;
	size_t i;

	json_array_foreach (json_object_get(doc, "endpoints"), i, one) {
		const json_t *values = json_object_get(one, "values");

		if (strcmp(json_string_value(json_object_get(one, "name")), "latency p50") != 0)
			continue;
		found++;
		for (int k = 0; k < 4; k++) {
			char name[2] = {(char)('a' + k)};
			double v = json_number_value(json_object_get(values, name));

			assert_true(fabs(v - 1e-6 * (k + 1)) <= HIST_ERROR * v);
		}
	}
	assert_int_equal(found, 2);
	assert_int_equal(json_array_size(json_object_get(doc, "latencies")), 2);
	json_array_foreach (json_object_get(doc, "latencies"), i, one)
		assert_int_equal(json_integer_value(json_object_get(one, "count")), 8);
	json_decref(doc);
}

static void an_endpoint_that_vanished_leaves_the_others_but_no_sum(void **state) {
	json_t *doc = four(NAN), *one;

	assert_true(isnan(figure(doc, "transactions", "none")));
	assert_true(isnan(figure(doc, "jain", "none")));
	one = json_object_get(json_array_get(json_object_get(doc, "endpoints"), 0), "values");
	assert_true(json_is_null(json_object_get(one, "a")));
	about(json_number_value(json_object_get(one, "b")), 80);
	json_decref(doc);
}

/* A bed of one endpoint, of rate 100; what comes of it after one measurement. */
static json_t *one_endpoint(const char *line, enum fair_load load, enum fair_noise noise,
	json_t *cpu, uint64_t answered, uint64_t lost) {
	char *argv[] = {"bench", "fair", NULL};
	struct bench b = {.doc = result_new("fair", 2, argv)};
	struct fair_plan p = {.o = &o, .n = 1, .endpoint = {"a"}};
	struct fair_found found = {.rate = {100},
		.total = 100,
		.rtt = NAN,
		.overlap = 1,
		.noise_sent = NAN,
		.noise_received = NAN,
		.cpu = cpu};
	struct fair_figures *f;

	assert_int_equal(parse(line), 0);
	f = fair_figures_new(&b, &p);
	assert_non_null(f);
	for (uint64_t i = 0; i < answered; i++)
		hist_add(fair_latency(f, noise, 0), 1000);
	if (lost > 0)
		hist_lose(fair_latency(f, noise, 0), lost, 1000000);
	fair_found_add(f, load, noise, 0, &found);
	fair_figures_end(f);
	return b.doc;
}

#define NOISY "ns:a ns:s --neighbour ns:n,ns:m --noise 64b --load "

/* Of three CPUs half a one is the generator's own: it makes frames. Its system calls are where the path
 * begins, and what else has that name is no part of it. */
static void what_the_noise_takes_to_make_frames_is_no_cost(void **state) {
	static const char cpu[] = "{\"seconds\":2,\"cpus\":4,\"busy\":3,\"threads\":["
				  "{\"role\":\"noise\",\"name\":\"generator\",\"pid\":7,\"tid\":7,"
				  "\"busy\":0.9,\"waited\":0,\"user\":0.5},"
				  "{\"role\":\"endpoint\",\"name\":\"weir\",\"pid\":8,\"tid\":8,"
				  "\"busy\":0.4,\"waited\":0,\"user\":0.4}]}";
	json_t *doc = one_endpoint(NOISY "rr", FAIR_RR, FAIR_64B, json_loads(cpu, 0, NULL), 2, 0);
	const json_t *one;

	about(figure(doc, "host CPUs busy", "64b"), 2.5);
	about(figure(doc, "host CPU a transaction", "64b"), 2.5 / 100);
	json_decref(doc);
	doc = one_endpoint(NOISY "stream", FAIR_STREAM, FAIR_64B, json_loads(cpu, 0, NULL), 0, 0);
	about(figure(doc, "host CPU a Gbit", "64b"), 2.5 / 100 * 1e9);
	one = json_array_get(json_object_get(doc, "cpu"), 0);
	about(json_number_value(json_object_get(one, "spun")), 0.5);
	about(json_number_value(json_object_get(one, "busy")), 3);
	about(json_number_value(json_object_get(one, "per_gbit")), 2.5 / 100 * 1e9);
	json_decref(doc);
}

/* One in ten thousand is the last quantile that is told. */
static void requests_that_never_came_back_are_warned_of_from_one_in_ten_thousand(void **state) {
	static const struct {
		uint64_t answered, lost;
		const char *said;
	} cases[] = {{9999, 0, NULL}, {10000, 1, NULL}, {9999, 1, "up to 0.01 % of the requests"},
		{1, 1, "up to 50 % of the requests"}};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *doc = one_endpoint("ns:a ns:s --load rr", FAIR_RR, FAIR_QUIET, NULL,
			cases[i].answered, cases[i].lost);
		const char *said =
			json_string_value(json_array_get(json_object_get(doc, "warnings"), 0));

		assert_int_equal(said != NULL, cases[i].said != NULL);
		if (said != NULL && strstr(said, cases[i].said) == NULL)
			fail_msg("no '%s' in '%s'", cases[i].said, said);
		json_decref(doc);
	}
}

/* Rounds say the same with numbers of their own. Once is enough, and what they were up to is the greatest. */
static void of_warnings_of_the_rounds_the_worst_stays(void **state) {
	json_t *doc = apart_doc(), *all = json_object_get(doc, "warnings");

	apart_warn(doc, "path a", "of 4 up to 2 % were lost");
	apart_warn(doc, "path a", "of 4 up to 10 % were lost");
	apart_warn(doc, "path a", "of 4 up to 0.5 % were lost");
	apart_warn(doc, NULL, "it carried 3 of 4");
	apart_warn(doc, NULL, "it carried 9 of 4");
	assert_int_equal(json_array_size(all), 2);
	assert_string_equal(
		json_string_value(json_array_get(all, 0)), "path a: of 4 up to 10 % were lost");
	assert_string_equal(json_string_value(json_array_get(all, 1)), "it carried 3 of 4");
	json_decref(doc);
}

/* What docs/measuring.md says of one scatter at 2 and at 64 endpoints, of seeded normal rates. */
static void skew_grows_with_the_number_of_endpoints_and_cv_does_not(void **state) {
	static const struct {
		unsigned n;
		double ratio; /* of skew to the scatter of each rate */
	} cases[] = {{2, 1.13}, {4, 2.06}, {8, 2.85}, {16, 3.53}, {32, 4.09}, {64, 4.74}};
	enum { TIMES = 2000 };
	unsigned short dice[3] = {2026, 11, 28};

	for (unsigned c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		double skew = 0, cv = 0, v[64];
		unsigned n = cases[c].n;

		for (int t = 0; t < TIMES; t++) {
			for (unsigned i = 0; i < n; i++)
				v[i] = 100 + sqrt(-2 * log(1 - erand48(dice))) *
						     cos(2 * M_PI * erand48(dice));
			skew += spread_skew(v, n) * 100 / TIMES;
			cv += pow(spread_cv(v, n) * 100, 2) / TIMES;
		}
		if (fabs(skew / cases[c].ratio - 1) > 0.05)
			fail_msg("of %u: %.3f, not %.3f", n, skew, cases[c].ratio);
		// Of these, not of a sample: (n - 1) / n of the variance.
		if (fabs(cv * n / (n - 1.0) - 1) > 0.1)
			fail_msg("of %u: a variance of %.3f", n, cv * n / (n - 1.0));
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_options_all_given_endpoints_are_measured_with_both_loads),
		cmocka_unit_test(lists_are_taken_in_their_order),
		cmocka_unit_test(what_does_not_go_together_is_refused_with_the_reason),
		cmocka_unit_test(figures_of_unequal_rates_are_what_their_formulas_say),
		cmocka_unit_test(latencies_are_told_of_each_endpoint_and_of_all),
		cmocka_unit_test(an_endpoint_that_vanished_leaves_the_others_but_no_sum),
		cmocka_unit_test(what_the_noise_takes_to_make_frames_is_no_cost),
		cmocka_unit_test(
			requests_that_never_came_back_are_warned_of_from_one_in_ten_thousand),
		cmocka_unit_test(of_warnings_of_the_rounds_the_worst_stays),
		cmocka_unit_test(skew_grows_with_the_number_of_endpoints_and_cv_does_not),
	};

	return cmocka_run_group_tests_name("fair", tests, NULL, NULL);
}
