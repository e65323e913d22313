/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/result.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/conditions.h"
#include "bench/hostcpu.h"

static char *const command[] = {"bench", "probe", "--repeat", "3", NULL};

static json_t *fresh(void) {
	return result_new("probe", 4, (char **)(uintptr_t)command);
}

static json_t *path_label(const char *path) {
	return json_pack("{s:s}", "path", path);
}

/* A document with something in each of its lists. */
static json_t *full(void) {
	static const struct series rate = {.n = 3, .v = {9e9, 10e9, 11e9}};
	static const struct series once = {.n = 1, .v = {5}};
	static char *const names[] = {"vm1", "vm2"};
	static const double times[] = {1, 2}, values[] = {95, 105};
	static struct hist h;
	pid_t self = getpid();
	const char *role = "sender";
	struct hostcpu *cpu = hostcpu_begin(&self, &role, 1);
	json_t *doc = fresh(), *cost;

	hist_reset(&h);
	for (uint64_t i = 1; i < 100000; i += 7)
		hist_add(&h, i);
	json_object_set_new(doc, "conditions", conditions_collect());
	result_figure(doc, "rate", "bit/s", "more", path_label("veth"), &rate);
	result_figure(doc, "retransmits", "", "less", NULL, &once);
	result_latency(doc, "reply", "closed", path_label("veth"), &h);
	result_endpoints(doc, "rate", "bit/s", NULL, names, values, 2);
	cost = hostcpu_end(cpu);
	hostcpu_per(cost, 1e9, 1e6);
	result_cpu(doc, path_label("veth"), cost);
	result_interval(doc, "rate", "bit/s", NULL, times, values, 2);
	result_warn(doc, "the generator was the limit");
	result_finish(doc);
	return doc;
}

static const json_t *only(const json_t *doc, const char *list) {
	assert_int_equal(json_array_size(json_object_get(doc, list)), 1);
	return json_array_get(json_object_get(doc, list), 0);
}

static double at(const json_t *v, const char *key) {
	assert_true(json_is_number(json_object_get(v, key)));
	return json_number_value(json_object_get(v, key));
}

static void a_figure_has_its_values_and_what_describes_them(void **state) {
	static const struct series rate = {.n = 3, .v = {9e9, 11e9, 10e9}};
	json_t *doc = fresh();
	const json_t *one;

	result_figure(doc, "rate", "bit/s", "more", path_label("veth"), &rate);
	one = only(doc, "figures");
	assert_true(at(one, "median") == 10e9 && at(one, "mean") == 10e9);
	assert_true(at(one, "min") == 9e9 && at(one, "max") == 11e9 && at(one, "sd") == 1e9);
	assert_true(fabs(at(one, "ci95") - 4.30265 / sqrt(3) * 1e9) < 1e5);
	assert_true(json_number_value(json_array_get(json_object_get(one, "values"), 1)) == 11e9);
	assert_string_equal(json_string_value(json_object_get(one, "better")), "more");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(one, "labels"), "path")), "veth");
	json_decref(doc);
}

static void what_has_no_number_is_null(void **state) {
	static const struct series one_value = {.n = 1, .v = {5}};
	static const struct series broken = {.n = 2, .v = {NAN, 1}};
	json_t *doc = fresh(), *list = json_object_get(doc, "figures");
	char *text;

	result_figure(doc, "a", "", "", NULL, &one_value);
	result_figure(doc, "b", "", "", NULL, &broken);
	assert_true(json_is_null(json_object_get(json_array_get(list, 0), "ci95")));
	assert_true(json_is_null(
		json_array_get(json_object_get(json_array_get(list, 1), "values"), 0)));
	text = json_dumps(doc, 0);
	assert_non_null(text);
	free(text);
	json_decref(doc);
}

static void what_was_not_measured_adds_nothing(void **state) {
	static const struct series none;
	static struct hist h;
	json_t *doc = fresh();

	hist_reset(&h);
	result_figure(doc, "rate", "bit/s", "more", path_label("veth"), &none);
	result_latency(doc, "reply", "open", path_label("veth"), &h);
	result_endpoints(doc, "rate", "bit/s", path_label("veth"), NULL, NULL, 0);
	result_cpu(doc, path_label("veth"), NULL);
	result_interval(doc, "rate", "bit/s", path_label("veth"), NULL, NULL, 0);
	assert_int_equal(json_array_size(json_object_get(doc, "figures")), 0);
	assert_int_equal(json_array_size(json_object_get(doc, "latencies")), 0);
	assert_int_equal(json_array_size(json_object_get(doc, "endpoints")), 0);
	assert_int_equal(json_array_size(json_object_get(doc, "cpu")), 0);
	assert_int_equal(json_array_size(json_object_get(doc, "intervals")), 0);
	json_decref(doc);
}

static void a_warning_is_said_once_and_the_first_reason_is_kept(void **state) {
	json_t *doc = fresh();

	for (int i = 0; i < 3; i++)
		result_warn(doc, "CPU %d was busy", i % 2);
	assert_int_equal(json_array_size(json_object_get(doc, "warnings")), 2);
	assert_true(json_is_true(json_object_get(doc, "complete")));
	result_incomplete(doc, "endpoint %s vanished", "vm1");
	result_incomplete(doc, "interrupted");
	assert_true(json_is_false(json_object_get(doc, "complete")));
	assert_string_equal(
		json_string_value(json_object_get(doc, "why_incomplete")), "endpoint vm1 vanished");
	json_decref(doc);
}

static void the_time_it_took_is_from_new_to_finish(void **state) {
	const struct timespec nap = {.tv_nsec = 50000000};
	struct timespec before, after;
	json_t *doc;
	double most;

	clock_gettime(CLOCK_MONOTONIC, &before);
	doc = fresh();
	nanosleep(&nap, NULL);
	result_finish(doc);
	clock_gettime(CLOCK_MONOTONIC, &after);
	most = (double)(after.tv_sec - before.tv_sec) +
	       (double)(after.tv_nsec - before.tv_nsec) / 1e9;
	assert_true(at(doc, "seconds") >= 0.049); // it began at a whole millisecond
	assert_true(at(doc, "seconds") <= most + 0.002);
	json_decref(doc);
}

static void without_memory_for_the_document_nothing_crashes(void **state) {
	static const struct series rate = {.n = 1, .v = {5}};

	result_figure(NULL, "rate", "bit/s", "more", path_label("veth"), &rate);
	result_cpu(NULL, path_label("veth"), json_object());
	result_warn(NULL, "x");
	result_incomplete(NULL, "x");
	result_finish(NULL);
}

static void a_document_is_written_whole_or_not_at_all(void **state) {
	char dir[] = "result-XXXXXX", path[64];
	json_t *doc = fresh(), *read;
	struct err e;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(result_write(doc, dir, &e), 0);
	snprintf(path, sizeof(path), "%s/result.json", dir);
	read = json_load_file(path, 0, NULL);
	remove(path);
	// Where the name is taken by a folder that is not empty, nothing of the attempt stays.
	assert_int_equal(mkdir(path, 0700), 0);
	assert_true(result_write(doc, dir, &e) < 0);
	assert_non_null(strstr(e.text, path));
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_true(json_equal(doc, read));
	assert_int_equal(result_write(doc, "/proc/nowhere", &e), -ENOENT);
	json_decref(read);
	json_decref(doc);
}

/* The exit status of tests/lib/valid-result; what it says is shown unless it is expected to. */
static int validate(const json_t *doc, bool quiet) {
	char line[512];
	FILE *f;

	snprintf(line, sizeof(line), "'%s/tests/lib/valid-result'%s", getenv("WEIR_SOURCE"),
		quiet ? " >/dev/null" : " >&2");
	f = popen(line, "we");
	assert_non_null(f);
	json_dumpf(doc, f, 0);
	return pclose(f);
}

static void a_document_is_as_its_schema_says(void **state) {
	json_t *doc;

	if (getenv("WEIR_SOURCE") == NULL)
		skip(); // by hand; meson and tests/run set it
	doc = full();
	assert_int_equal(validate(doc, false), 0);
	// And the schema tells wrong from right.
	json_object_set_new(
		json_array_get(json_object_get(doc, "figures"), 0), "unit", json_string("Gbit/s"));
	assert_int_not_equal(validate(doc, true), 0);
	json_decref(doc);
}

static void warns(const double *v, unsigned n, const char *unit, const char *better, bool want) {
	json_t *doc = result_new("probe", 0, NULL), *warnings;
	struct series s = {.n = 0};

	for (unsigned i = 0; i < n; i++)
		series_add(&s, v[i]);
	result_figure(
		doc, "throughput", unit, better, json_pack("{s:s}", "direction", "a to b"), &s);
	result_agreement(doc);
	warnings = json_object_get(doc, "warnings");
	assert_int_equal(json_array_size(warnings), want);
	if (want)
		assert_non_null(strstr(json_string_value(json_array_get(warnings, 0)),
			"of throughput (direction a to b) they are 1e+09 to 2e+09 bit/s, with a "
			"standard deviation of 40 % of the mean"));
	json_decref(doc);
}

static void repeats_that_do_not_agree_are_warned_of(void **state) {
	static const double apart[] = {1e9, 2e9, 1e9, 1e9}, close[] = {1e9, 1.1e9, 1e9, 1.05e9};

	warns(apart, 4, "bit/s", "more", true);
	warns(close, 4, "bit/s", "more", false);
	warns(apart, 1, "bit/s", "more", false);
	warns(apart, 4, "s", "less", false);
	warns(apart, 4, "bit/s", "", false); // it keeps the books
}

static void rounds_become_one_figure_and_one_distribution(void **state) {
	static const double first[] = {4, 6}, second[] = {8};
	json_t *doc = result_new("probe", 0, NULL), *figures, *latencies, *have;
	struct series s = {.n = 0};
	struct hist *h = malloc(sizeof(*h));

	for (int round = 0; round < 2; round++) {
		s.n = 0;
		for (int i = 0; i < 2 - round; i++)
			series_add(&s, round == 0 ? first[i] : second[i]);
		result_figure(doc, "rate", "1/s", "more", NULL, &s);
		hist_reset(h);
		hist_add(h, 100 + 100 * (unsigned)round);
		result_latency(doc, "reply", "closed", NULL, h);
	}
	free(h);
	figures = json_object_get(doc, "figures");
	have = json_array_get(figures, 0);
	result_more_values(have, json_array_get(figures, 1));
	assert_int_equal(json_array_size(json_object_get(have, "values")), 3);
	assert_true(json_number_value(json_object_get(have, "mean")) == 6);
	assert_true(json_number_value(json_object_get(have, "max")) == 8);
	assert_true(json_number_value(json_object_get(have, "sd")) == 2);
	assert_true(result_narrow(doc, 0.5) == false); // the other one has no interval
	json_array_remove(figures, 1);
	assert_true(result_narrow(doc, 0.83)); // 4.303 * 2 / sqrt(3) beside 6
	assert_false(result_narrow(doc, 0.82));

	latencies = json_object_get(doc, "latencies");
	have = json_array_get(latencies, 0);
	result_more_latencies(have, json_array_get(latencies, 1));
	assert_int_equal(json_integer_value(json_object_get(have, "count")), 2);
	assert_int_equal(json_integer_value(json_object_get(have, "max")), 200);
	assert_int_equal(json_integer_value(json_object_get(have, "p50")), 100);
	result_more_latencies(have, json_array_get(figures, 0)); // no latency
	assert_int_equal(json_integer_value(json_object_get(have, "count")), 2);
	json_decref(doc);
}

/* In a round in which nothing came back there is not even a mean; it counts all the same. */
static void what_was_lost_in_a_round_stays_among_the_others(void **state) {
	json_t *doc = result_new("probe", 0, NULL), *list, *have;
	struct hist *h = malloc(sizeof(*h));

	for (int round = 0; round < 2; round++) {
		struct series s = {.n = 1, .v = {round == 0 ? 0.1 : INFINITY}, .above = 0.2};

		result_figure(doc, "p99", "s", "less", NULL, &s);
		hist_reset(h);
		if (round == 0)
			hist_add(h, 100);
		else
			hist_lose(h, 3, 200);
		result_latency(doc, "reply", "closed", NULL, h);
	}
	free(h);
	list = json_object_get(doc, "figures");
	have = json_array_get(list, 0);
	assert_null(json_object_get(have, "above"));
	for (int i = 0; i < 2; i++)
		result_more_values(have, json_array_get(list, 1));
	assert_int_equal(json_array_size(json_object_get(have, "values")), 3);
	assert_true(json_is_null(json_array_get(json_object_get(have, "values"), 2)));
	assert_true(json_is_null(json_object_get(have, "median")));
	assert_true(json_number_value(json_object_get(have, "above")) == 0.2);

	list = json_object_get(doc, "latencies");
	have = json_array_get(list, 1);
	assert_true(json_is_null(json_object_get(have, "mean")));
	result_more_latencies(have, have);
	assert_true(json_is_null(json_object_get(have, "mean")));
	result_more_latencies(json_array_get(list, 0), have);
	have = json_array_get(list, 0);
	assert_int_equal(json_integer_value(json_object_get(have, "count")), 1);
	assert_int_equal(json_integer_value(json_object_get(have, "lost")), 6);
	assert_int_equal(json_array_size(json_object_get(have, "beyond")), 6);
	assert_true(json_number_value(json_object_get(have, "mean")) == 100);
	json_decref(doc);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rounds_become_one_figure_and_one_distribution),
		cmocka_unit_test(what_was_lost_in_a_round_stays_among_the_others),
		cmocka_unit_test(repeats_that_do_not_agree_are_warned_of),
		cmocka_unit_test(a_figure_has_its_values_and_what_describes_them),
		cmocka_unit_test(what_has_no_number_is_null),
		cmocka_unit_test(what_was_not_measured_adds_nothing),
		cmocka_unit_test(a_warning_is_said_once_and_the_first_reason_is_kept),
		cmocka_unit_test(the_time_it_took_is_from_new_to_finish),
		cmocka_unit_test(without_memory_for_the_document_nothing_crashes),
		cmocka_unit_test(a_document_is_written_whole_or_not_at_all),
		cmocka_unit_test(a_document_is_as_its_schema_says),
	};

	return cmocka_run_group_tests_name("result", tests, NULL, NULL);
}
