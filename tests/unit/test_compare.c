/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/report/compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "base/err.h"
#include "bench/result.h"

static unsigned short dice[3];

static int start_dice(void **state) {
	memcpy(dice, (unsigned short[]){2026, 11, 22}, sizeof(dice));
	return 0;
}

/* Of the normal distribution, by Box and Muller. */
static double normal(void) {
	return sqrt(-2 * log(1 - erand48(dice))) * cos(2 * M_PI * erand48(dice));
}

/* What measurements look like: mostly close together, now and then far too slow. */
static double disturbed(void) {
	return erand48(dice) < 0.1 ? -5 * fabs(normal()) : normal();
}

static json_t *document(const char *figures) {
	char text[4096];
	json_t *doc;

	snprintf(text, sizeof(text),
		"{\"instrument\":\"rr\",\"command\":[\"weir\"],\"complete\":true,"
		"\"conditions\":{},\"warnings\":[],\"figures\":[%s]}",
		figures);
	doc = json_loads(text, 0, NULL);
	assert_non_null(doc);
	return doc;
}

/* Takes the documents over. */
static json_t *compared(json_t *a, json_t *b, const char *across, struct err *e) {
	const struct compare_side sides[2] = {{"first", a}, {"second", b}};
	json_t *doc = compare_results(sides, across, e);

	json_decref(a);
	json_decref(b);
	return doc;
}

static json_t *of(const char *a, const char *b, const char *across) {
	struct err e;
	json_t *doc = compared(document(a), document(b), across, &e);

	if (doc == NULL)
		fail_msg("%s", e.text);
	return doc;
}

static const json_t *figure(const json_t *doc, size_t i) {
	return json_array_get(json_object_get(doc, "figures"), i);
}

static const char *text_at(const json_t *v, const char *name) {
	const char *text = json_string_value(json_object_get(v, name));

	return text != NULL ? text : "null";
}

static const char *verdict(const json_t *doc, size_t i) {
	return text_at(figure(doc, i), "verdict");
}

static double real_at(const json_t *v, const char *name) {
	return json_number_value(json_object_get(v, name));
}

static void within(const char *what, double v, double least, double most) {
	if (!(v >= least && v <= most))
		fail_msg("%s is %.6g, not %.6g to %.6g", what, v, least, most);
}

#define FIGURE(name, labels, values)                                                      \
	"{\"name\":\"" name "\",\"unit\":\"1/s\",\"better\":\"more\",\"labels\":{" labels \
	"},\"values\":[" values "]}"

static void a_difference_is_told_with_its_size_and_who_is_better(void **state) {
	json_t *doc = of(FIGURE("rate", "", "100,101,99,100,102"),
		FIGURE("rate", "", "120,119,121,120,122"), NULL);
	const json_t *f = figure(doc, 0);

	assert_string_equal(verdict(doc, 0), "differs");
	assert_string_equal(text_at(f, "favours"), "b");
	within("difference", real_at(f, "difference"), 20 - 1e-9, 20 + 1e-9);
	within("relative", real_at(f, "relative"), 20 / 100.4 - 1e-9, 20 / 100.4 + 1e-9);
	within("median of a", real_at(json_object_get(f, "a"), "median"), 100, 100);
	within("median of b", real_at(json_object_get(f, "b"), "median"), 120, 120);
	within("repeats", real_at(json_object_get(f, "a"), "repeats"), 5, 5);
	json_decref(doc);
}

static void one_repeat_on_a_side_cannot_be_judged(void **state) {
	json_t *doc = of(FIGURE("rate", "", "100,101,99"), FIGURE("rate", "", "500"), NULL);

	assert_string_equal(verdict(doc, 0), "unknown");
	within("relative", real_at(figure(doc, 0), "relative"), 4, 4);
	assert_true(json_is_null(json_object_get(figure(doc, 0), "ci95")));
	within("tested", real_at(doc, "tested"), 0, 0);
	json_decref(doc);
}

static void figures_of_other_labels_are_in_one_only(void **state) {
	json_t *doc = of(FIGURE("rate", "\"mss\":\"100\"", "1,2") "," FIGURE("rate", "", "1,2"),
		FIGURE("rate", "", "1,2") "," FIGURE("rate", "\"mss\":\"1448\"", "1,2"), NULL);

	assert_int_equal(json_array_size(json_object_get(doc, "figures")), 3);
	assert_true(json_is_null(json_object_get(figure(doc, 0), "b")));
	assert_true(json_is_null(json_object_get(figure(doc, 0), "verdict")));
	assert_string_equal(verdict(doc, 1), "noise");
	assert_true(json_is_null(json_object_get(figure(doc, 2), "a")));
	json_decref(doc);
}

static void labels_can_be_passed_over(void **state) {
	json_t *doc = of(FIGURE("rate", "\"to\":\"x\",\"mss\":\"9\"", "1,2") "," FIGURE(
				 "rate", "\"to\":\"y\",\"mss\":\"9\"", "5,6"),
		FIGURE("rate", "\"to\":\"p\",\"mss\":\"9\"", "1,2") "," FIGURE(
			"rate", "\"to\":\"q\",\"mss\":\"9\"", "5,6"),
		"via,to");

	assert_int_equal(json_array_size(json_object_get(doc, "figures")), 2);
	for (size_t i = 0; i < 2; i++) {
		within("difference", real_at(figure(doc, i), "difference"), 0, 0);
		assert_int_equal(json_object_size(json_object_get(figure(doc, i), "labels")), 1);
	}
	json_decref(doc);
}

#define P99(values, more)                                                                        \
	"{\"name\":\"p99\",\"unit\":\"s\",\"better\":\"less\",\"labels\":{},\"values\":[" values \
	"]" more "}"

/* Nothing is said of repeats with what was lost left out of them. */
static void a_quantile_among_the_lost_is_told_and_not_judged(void **state) {
	json_t *doc = of(P99("0.1,null,0.11,null,null", ",\"above\":1"),
		P99("0.5,0.51,0.5,0.52,0.5", ""), NULL);
	const json_t *a = json_object_get(figure(doc, 0), "a");

	assert_string_equal(verdict(doc, 0), "unknown");
	assert_true(json_number_value(json_object_get(a, "above")) == 1);
	assert_true(json_is_null(json_object_get(a, "median")));
	assert_int_equal(json_integer_value(json_object_get(a, "repeats")), 5);
	assert_true(json_is_null(json_object_get(figure(doc, 0), "difference")));
	json_decref(doc);
}

static void costs_and_skew_of_the_repeats_are_figures(void **state) {
	json_t *a = document(""), *b = document(""), *doc;
	struct err e;

	for (int side = 0; side < 2; side++) {
		json_t *cpu = json_array(), *latencies = json_array();

		for (int i = 0; i < 4; i++)
			json_array_append_new(cpu,
				json_pack("{s:{s:s%, s:s}, s:f}", "labels", "repeat", &"1234"[i],
					(size_t)1, "path", "veth", "busy", 1 + side + 0.01 * i));
		json_array_append_new(latencies,
			json_pack("{s:s, s:{}, s:i}", "name", "reply", "labels", "p50", 1000));
		json_object_set_new(side == 0 ? a : b, "cpu", cpu);
		json_object_set_new(side == 0 ? a : b, "latencies", latencies);
	}
	doc = compared(a, b, NULL, &e);
	assert_string_equal(text_at(figure(doc, 0), "name"), "host CPUs busy");
	assert_string_equal(verdict(doc, 0), "differs");
	assert_string_equal(text_at(figure(doc, 0), "favours"), "a");
	within("repeats", real_at(json_object_get(figure(doc, 0), "b"), "repeats"), 4, 4);
	assert_int_equal(json_object_size(json_object_get(figure(doc, 0), "labels")), 1);
	assert_string_equal(text_at(figure(doc, 1), "name"), "reply p50");
	assert_string_equal(verdict(doc, 1), "unknown"); // all repeats together are one value
	json_decref(doc);
}

static void conditions_that_differ_are_listed_but_for_fleeting_ones(void **state) {
	json_t *a = document(FIGURE("rate", "", "1,2")), *b = json_deep_copy(a), *doc, *list;
	struct err e;

	json_object_set_new(a, "conditions",
		json_pack("{s:s, s:f, s:{s:s, s:s}, s:{s:{s:i, s:i}}}", "kernel", "6.1", "load",
			0.5, "versions", "weir", "0.1", "dpdk", "22", "hugepages", "2048kB",
			"total", 8, "free", 3));
	json_object_set_new(b, "conditions",
		json_pack("{s:s, s:f, s:{s:s, s:s}, s:{s:{s:i, s:i}}, s:b}", "kernel", "6.2",
			"load", 1.5, "versions", "weir", "0.2", "dpdk", "22", "hugepages", "2048kB",
			"total", 8, "free", 7, "smt", true));
	json_object_set_new(b, "command", json_pack("[s, s, s, s]", "weir", "-j", "-o", "dir"));
	doc = compared(a, b, NULL, &e);
	list = json_object_get(doc, "conditions");
	assert_int_equal(json_array_size(list), 3);
	assert_string_equal(text_at(json_array_get(list, 0), "name"), "kernel");
	assert_string_equal(text_at(json_array_get(list, 0), "b"), "6.2");
	assert_string_equal(text_at(json_array_get(list, 1), "name"), "versions.weir");
	assert_string_equal(text_at(json_array_get(list, 2), "name"), "smt");
	json_decref(doc);
}

/* What the compared halves are made of: `n` repeats a side of each of five figures, from one
 * distribution; those of side B are `shift` more. */
static json_t *drawn(unsigned n, double (*draw)(void), double shift) {
	json_t *doc = document(""), *figures = json_object_get(doc, "figures");

	for (int f = 0; f < 5; f++) {
		json_t *values = json_array();

		for (unsigned i = 0; i < n; i++)
			json_array_append_new(values, json_real(100 + f + draw() + shift));
		json_array_append_new(
			figures, json_pack("{s:s, s:s, s:s, s:{s:s%}, s:o}", "name", "rate", "unit",
					 "1/s", "better", "more", "labels", "n", &"12345"[f],
					 (size_t)1, "values", values));
	}
	return doc;
}

/* In how many of `times` comparisons at least one figure "differs"; in *each, of all figures. */
static double alarms(unsigned times, unsigned n, double (*draw)(void), double shift, double *each) {
	unsigned any = 0, all = 0;

	for (unsigned i = 0; i < times; i++) {
		json_t *a = drawn(n, draw, 0);
		json_t *doc = compared(a, drawn(n, draw, shift), NULL, NULL);
		unsigned here = 0;

		for (size_t f = 0; f < 5; f++)
			here += strcmp(verdict(doc, f), "differs") == 0;
		any += here > 0;
		all += here;
		json_decref(doc);
	}
	*each = all / (5.0 * times);
	return (double)any / times;
}

/* The two halves of one measurement. Of 1500 pairs 5 % alarm give or take 1.7 (three sigma); that some
 * do shows that the test is not deaf. */
static void halves_of_one_measurement_alarm_in_no_more_than_5_of_100(void **state) {
	double each;

	within("alarms", alarms(1500, 5, normal, 0, &each), 0.015, 0.067);
	within("alarms of ten repeats", alarms(500, 10, normal, 0, &each), 0.01, 0.08);
	within("alarms of a disturbed path", alarms(500, 5, disturbed, 0, &each), 0, 0.08);
}

/* Four standard deviations with five repeats a side, seven times the standard error of a difference of
 * sqrt(2/5): t of 8 degrees of freedom reaches what Holm asks of the first of five figures, 3.36, with
 * less than 1 in 100 missed. Half of one deviation is mostly missed, and must be. */
static void a_shift_of_known_size_is_found(void **state) {
	double each;

	alarms(300, 5, normal, 4, &each);
	within("found of 4 sd", each, 0.97, 1);
	alarms(300, 20, normal, 1.5, &each);
	within("found of 1.5 sd in 20 repeats", each, 0.97, 1);
	alarms(300, 5, normal, 0.5, &each);
	within("found of 0.5 sd", each, 0.005, 0.2);
}

static void the_interval_holds_the_true_difference_in_95_of_100(void **state) {
	unsigned held = 0;

	for (int i = 0; i < 600; i++) {
		json_t *a = drawn(5, normal, 0),
		       *doc = compared(a, drawn(5, normal, 2), NULL, NULL);

		for (size_t f = 0; f < 5; f++)
			held += fabs(real_at(figure(doc, f), "difference") - 2) <=
				real_at(figure(doc, f), "ci95");
		json_decref(doc);
	}
	within("held", held / 3000.0, 0.935, 0.97);
}

/* 40 figures, of which one by itself would alarm. */
static void one_of_many_is_a_perhaps(void **state) {
	json_t *a = document(""), *b, *doc;

	for (int i = 0; i < 40; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%d", i);
		json_array_append_new(json_object_get(a, "figures"),
			json_pack("{s:s, s:s, s:s, s:{}, s:[i, i, i]}", "name", name, "unit", "",
				"better", "less", "labels", "values", 10, 11, 12));
	}
	b = json_deep_copy(a);
	json_object_set_new(json_array_get(json_object_get(b, "figures"), 7), "values",
		json_pack("[i, i, i]", 13, 14, 15));
	doc = compared(a, b, NULL, NULL);
	assert_string_equal(verdict(doc, 6), "noise");
	assert_string_equal(verdict(doc, 7), "perhaps");
	within("tested", real_at(doc, "tested"), 40, 40);
	json_decref(doc);
}

/* Of the five figures of side B the first is that much more that it should be found in four of five cases:
 * by the noncentral distribution of Student's t with 8 degrees of freedom, of which 80 % lie beyond 3.355 (1 %
 * of the central one), about 4.36 sqrt(2/5); Welch's are somewhat fewer, and it takes somewhat more. */
static void what_could_have_been_found_is_found_so_often(void **state) {
	enum { TIMES = 600 };
	static const double SHIFT = 2.85;
	double findable = 0;
	unsigned found = 0;

	for (int i = 0; i < TIMES; i++) {
		json_t *a = drawn(5, normal, 0), *b = drawn(5, normal, 0), *doc, *values, *v;
		size_t k;

		values =
			json_object_get(json_array_get(json_object_get(b, "figures"), 0), "values");
		json_array_foreach (values, k, v)
			json_real_set(v, json_real_value(v) + SHIFT);
		doc = compared(a, b, NULL, NULL);
		found += strcmp(verdict(doc, 0), "differs") == 0;
		findable += real_at(figure(doc, 0), "findable");
		json_decref(doc);
	}
	within("found", (double)found / TIMES, 0.74, 0.86);
	within("findable on average", findable / TIMES, SHIFT * 0.95, SHIFT * 1.05);
}

/* A difference in one figure is found beside one more, and not beside a hundred; that those keep the books
 * must not matter. */
static void figures_that_keep_the_books_hide_nothing(void **state) {
	json_t *a = document(FIGURE("rate", "", "100,101,99,100,102")), *b, *doc;

	for (int i = 0; i < 1000; i++)
		json_array_append_new(json_object_get(a, "figures"),
			json_pack("{s:s, s:s, s:s, s:{s:s%}, s:[i, i, i]}", "name", "offered",
				"unit", "", "better", "", "labels", "n", &"0123456789"[i % 10],
				(size_t)1, "values", 10, 11, 12));
	b = json_deep_copy(a);
	json_object_set_new(json_array_get(json_object_get(b, "figures"), 0), "values",
		json_pack("[i, i, i, i, i]", 103, 104, 102, 103, 105));
	doc = compared(a, b, NULL, NULL);
	within("tested", real_at(doc, "tested"), 1, 1);
	assert_string_equal(verdict(doc, 0), "differs");
	assert_string_equal(verdict(doc, 1), "untested");
	assert_true(json_is_null(json_object_get(figure(doc, 1), "p")));
	json_decref(doc);
}

static void skew_is_not_tested_across_numbers_of_endpoints(void **state) {
	static const char few[] = FIGURE("skew", "\"endpoints\":\"2\"", "1,2,3") "," FIGURE(
		"cv", "\"endpoints\":\"2\"", "1,2,3");
	static const char many[] = FIGURE("skew", "\"endpoints\":\"64\"", "11,12,13") "," FIGURE(
		"cv", "\"endpoints\":\"64\"", "11,12,13");
	json_t *doc = of(few, many, "endpoints");

	assert_string_equal(verdict(doc, 0), "untested");
	assert_string_equal(verdict(doc, 1), "differs");
	json_decref(doc);
	doc = of(few, few, NULL);
	assert_string_equal(verdict(doc, 0), "noise");
	json_decref(doc);
}

/* N endpoints at rates that are like in all repeats, in three of them. */
static json_t *shared(const char *label, const char *number, double skew) {
	json_t *list = json_array();

	for (int i = 0; i < 3; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:{s:s}, s:f, s:f}", "name", "throughput",
				      "unit", "bit/s", "labels", label, number, "skew",
				      skew + i / 100.0, "cv", skew + i / 100.0));
	return json_pack("{s:s, s:[], s:o}", "instrument", "rr", "figures", "endpoints", list);
}

static void a_skew_of_any_figure_is_not_tested_across_numbers(void **state) {
	static const char *const counting[] = {"endpoints", "pairs", "flows"};

	for (unsigned i = 0; i < sizeof(counting) / sizeof(counting[0]); i++) {
		json_t *doc = compared(shared(counting[i], "2", 0.1),
			shared(counting[i], "64", 0.5), counting[i], NULL);

		assert_string_equal(json_string_value(json_object_get(figure(doc, 0), "name")),
			"throughput skew");
		assert_string_equal(verdict(doc, 0), "untested");
		assert_true(json_is_null(json_object_get(figure(doc, 0), "favours")));
		assert_string_equal(verdict(doc, 1), "differs"); // the cv
		json_decref(doc);
	}
}

static void refused(const char *a, const char *b, const char *want) {
	struct err e = {.text = ""};

	assert_null(compared(json_loads(a, 0, NULL), json_loads(b, 0, NULL), NULL, &e));
	if (strstr(e.text, want) == NULL)
		fail_msg("no '%s' in '%s'", want, e.text);
}

#define DOC(figures) "{\"instrument\":\"rr\",\"figures\":" figures "}"

static void what_is_no_result_is_refused_in_a_sentence(void **state) {
	static const char good[] = DOC("[" FIGURE("rate", "", "1,2") "]");
	static const struct {
		const char *doc, *want;
	} cases[] = {
		{"[]", "does not say of what instrument"},
		{"{\"instrument\":7}", "does not say of what instrument"},
		{"{\"instrument\":\"stream\"}", "only results of one instrument"},
		{DOC("[]"), "no figure in common; when only labels"},
		{DOC("7"), "no figure in common"},
		{DOC("[7]"), "figure 1 is none: it wants a name"},
		{DOC("[{\"name\":1}]"), "figure 1 is none: it wants a name"},
		{DOC("[" FIGURE("rate", "\"a\":7", "1") "]"), "labels that are strings"},
		{DOC("[" FIGURE("rate", "", "") "]"), "1 to 1000 numbers"},
		{DOC("[" FIGURE("rate", "", "\"1\"") "]"), "1 to 1000 numbers"},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		refused(good, cases[i].doc, cases[i].want);
		refused(cases[i].doc, good, cases[i].want);
	}
}

static void numbers_too_large_to_reckon_with_are_not_judged(void **state) {
	json_t *doc = of(FIGURE("rate", "", "1e308,-1e308,1e308"),
		FIGURE("rate", "", "null,1e308,9223372036854775807"), NULL);

	assert_string_equal(verdict(doc, 0), "unknown");
	assert_true(json_is_null(json_object_get(figure(doc, 0), "p")));
	json_decref(doc);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_difference_is_told_with_its_size_and_who_is_better),
		cmocka_unit_test(one_repeat_on_a_side_cannot_be_judged),
		cmocka_unit_test(figures_of_other_labels_are_in_one_only),
		cmocka_unit_test(labels_can_be_passed_over),
		cmocka_unit_test(a_quantile_among_the_lost_is_told_and_not_judged),
		cmocka_unit_test(costs_and_skew_of_the_repeats_are_figures),
		cmocka_unit_test(conditions_that_differ_are_listed_but_for_fleeting_ones),
		cmocka_unit_test_setup(
			halves_of_one_measurement_alarm_in_no_more_than_5_of_100, start_dice),
		cmocka_unit_test_setup(a_shift_of_known_size_is_found, start_dice),
		cmocka_unit_test_setup(
			the_interval_holds_the_true_difference_in_95_of_100, start_dice),
		cmocka_unit_test(one_of_many_is_a_perhaps),
		cmocka_unit_test_setup(what_could_have_been_found_is_found_so_often, start_dice),
		cmocka_unit_test(figures_that_keep_the_books_hide_nothing),
		cmocka_unit_test(skew_is_not_tested_across_numbers_of_endpoints),
		cmocka_unit_test(a_skew_of_any_figure_is_not_tested_across_numbers),
		cmocka_unit_test(what_is_no_result_is_refused_in_a_sentence),
		cmocka_unit_test(numbers_too_large_to_reckon_with_are_not_judged),
	};

	return cmocka_run_group_tests_name("compare", tests, NULL, NULL);
}
