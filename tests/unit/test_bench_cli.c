/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/report/csv.h"
#include "cli/bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/result.h"

/* `weir bench` with an instrument of the test's own, which does what its argument says. */

static struct bench seen; /* what the instrument was given */
static unsigned calls;

struct work {
	struct series rate;
	const char *what;
};

static int once(struct bench *b, unsigned i, void *arg, struct err *e) {
	struct work *w = arg;

	calls++;
	if (strcmp(w->what, "interrupt") == 0 && i == 2)
		raise(SIGINT);
	if (strcmp(w->what, "fail") == 0 && i == 2)
		return err_set(e, ECONNRESET, "endpoint vm1 vanished");
	// The first are far apart: repeats alone bring them together.
	return series_add(
		&w->rate, strcmp(w->what, "wild") == 0 ? i % 2 * 1e9 : 1e9 + 1e8 / (i + 1));
}

static bool narrow(void *arg, double fraction) {
	return series_narrow(&((struct work *)arg)->rate, fraction);
}

static int probe(struct bench *b, int argc, char **argv, struct err *e) {
	static struct work w;
	int ret;

	seen = *b;
	calls = 0;
	w.rate.n = 0;
	w.what = argc > 1 ? argv[1] : "";
	if (strcmp(w.what, "bad") == 0)
		return err_set(e, EINVAL, "no such endpoint 'x'");
	if (strcmp(w.what, "refused") == 0)
		return err_set(e, EACCES, "no right to make namespaces");
	ret = bench_repeat(b, once, narrow, &w, e);
	result_figure(b->doc, "rate", "bit/s", "more", json_pack("{s:s}", "path", "veth"), &w.rate);
	return ret;
}

static const struct instrument instrument = {"probe", "[WHAT]", "Probe", "", probe};
static const struct instrument *const instruments[] = {&instrument, NULL};

static int tell_words(const struct command *c, int argc, char **argv) {
	printf("%s has %d words, the last is %s\n", c->name, argc, argv[argc - 1]);
	return STATUS_DONE;
}

static const struct command tool = {"bench words", "", "", "", tell_words};
static const struct command *const tools[] = {&tool, NULL};

/* Nobody else is about, but from a document each time; its CPUs are stolen when asked to be. */
static bool thief;

static json_t *conditions(void) {
	static unsigned looks;

	looks++;
	return json_pack("{s:i, s:f, s:[], s:{s:f, s:f}}", "cpus", 4, "load", 0.0, "others",
		"counters", "seconds", (double)looks, "stolen", thief ? looks * 0.5 : 0.0);
}

static char out[65536], errors[4096];

static void read_back(FILE *f, char *buf, size_t size) {
	size_t n;

	rewind(f);
	n = fread(buf, 1, size - 1, f);
	buf[n] = '\0';
}

/* Runs `weir LINE`; what it prints is in out and errors. */
static int bench(const char *line) {
	static const struct command c = {.name = "bench"};
	static const struct bench_face face = {instruments, tools, conditions};
	FILE *o = tmpfile(), *e = tmpfile();
	int was_out = dup(STDOUT_FILENO), was_err = dup(STDERR_FILENO);
	char copy[256], *argv[32];
	int argc = 0, status;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *p = strtok(copy, " "); p != NULL; p = strtok(NULL, " "))
		argv[argc++] = p;
	argv[argc] = NULL;
	fflush(stdout);
	dup2(fileno(o), STDOUT_FILENO);
	dup2(fileno(e), STDERR_FILENO);
	bench_stopped = 0;
	status = bench_command(&c, &face, argc, argv);
	bench_stopped = 0;
	fflush(stdout);
	dup2(was_out, STDOUT_FILENO);
	dup2(was_err, STDERR_FILENO);
	close(was_out);
	close(was_err);
	read_back(o, out, sizeof(out));
	read_back(e, errors, sizeof(errors));
	fclose(o);
	fclose(e);
	return status;
}

static json_t *bench_json(const char *line, int want) {
	int status = bench(line);
	json_t *doc = json_loads(out, 0, NULL);

	if (status != want || doc == NULL)
		fail_msg("status %d: %s%s", status, out, errors);
	return doc;
}

static const char *text_at(const json_t *doc, const char *key) {
	return json_string_value(json_object_get(doc, key));
}

static void an_instrument_gets_the_defaults_and_what_is_asked_for(void **state) {
	assert_int_equal(bench("bench probe"), STATUS_DONE);
	assert_int_equal(seen.repeat, 5);
	assert_true(seen.until == 0);
	assert_int_equal(seen.time_ns, 10000000000);
	assert_int_equal(seen.omit_ns, 1000000000);
	assert_false(seen.quiet);
	assert_int_equal(calls, 5);

	assert_int_equal(
		bench("bench --repeat 7 probe --time=250ms --omit 0s --quiet"), STATUS_DONE);
	assert_int_equal(seen.repeat, 7);
	assert_int_equal(seen.time_ns, 250000000);
	assert_int_equal(seen.omit_ns, 0);
	assert_true(seen.quiet);
	assert_int_equal(calls, 7);
}

static void repeats_go_on_until_the_interval_is_narrow(void **state) {
	json_t *doc = bench_json("bench probe --until 2% -j", STATUS_DONE);
	json_t *rate = json_array_get(json_object_get(doc, "figures"), 0);
	double mean = json_number_value(json_object_get(rate, "mean"));

	// With t from a table, t sd / sqrt(n) of 1 + 0.1 / i is 2.13 % of the mean at 9, 1.93 % at 10.
	assert_int_equal(calls, 10 + UNTIL_MORE);
	assert_true(json_number_value(json_object_get(rate, "ci95")) <= 0.02 * mean);
	assert_int_equal(json_array_size(json_object_get(doc, "warnings")), 0);
	json_decref(doc);

	assert_int_equal(bench("bench probe --until 50%"), STATUS_DONE);
	assert_int_equal(calls, 10 + UNTIL_MORE);
	assert_int_equal(bench("bench probe --until 50% --repeat 11"), STATUS_DONE);
	assert_int_equal(calls, 11 + UNTIL_MORE);
	assert_int_equal(bench("bench probe --until 50% --repeat 11 --repeat-max 12"), STATUS_DONE);
	assert_int_equal(calls, 12);
	doc = bench_json("bench probe --until 50% --repeat 6 -j", STATUS_DONE);
	assert_int_equal(calls, 6 + UNTIL_MORE);
	assert_non_null(
		strstr(json_string_value(json_array_get(json_object_get(doc, "warnings"), 0)),
			"fewer than 10 repeats"));
	json_decref(doc);
}

static void repeats_that_stay_wide_end_at_their_limit_with_a_warning(void **state) {
	json_t *doc = bench_json("bench probe wild --until 1% --repeat-max 9 -j", STATUS_DONE);

	assert_int_equal(calls, 9);
	assert_string_equal(json_string_value(json_array_get(json_object_get(doc, "warnings"), 1)),
		"after 9 repeats the 95 % interval is still wider than 1 % of the mean");
	json_decref(doc);
}

static void the_table_tells_the_figure_in_short_words(void **state) {
	assert_int_equal(bench("bench probe"), STATUS_DONE);
	assert_string_equal(out,
		"of: path=veth\n"
		"\n"
		"FIGURE      MEDIAN         MIN         MAX        MEAN   95 %    SD  REPEATS\n"
		"rate    1.03Gbit/s  1.02Gbit/s  1.10Gbit/s  1.05Gbit/s  \u00b13.9%  3.1%        "
		"5\n");
	assert_string_equal(errors, "");
}

static void interrupted_what_was_measured_is_printed_and_marked_incomplete(void **state) {
	json_t *doc = bench_json("bench probe interrupt -j", STATUS_REFUSED);

	assert_int_equal(calls, 3);
	assert_true(json_is_false(json_object_get(doc, "complete")));
	assert_string_equal(text_at(doc, "why_incomplete"), "interrupted");
	assert_int_equal(json_array_size(json_object_get(
				 json_array_get(json_object_get(doc, "figures"), 0), "values")),
		3);
	json_decref(doc);
	assert_int_equal(bench("bench probe interrupt"), STATUS_REFUSED);
	assert_non_null(strstr(out, "\nincomplete: interrupted\n"));
	assert_non_null(strstr(out, "1.03Gbit/s"));
}

static void failed_half_way_what_was_measured_is_printed_and_the_reason_said(void **state) {
	json_t *doc = bench_json("bench probe fail -j", STATUS_REFUSED);

	assert_string_equal(text_at(doc, "why_incomplete"), "endpoint vm1 vanished");
	assert_string_equal(errors, "weir: bench probe: endpoint vm1 vanished\n");
	assert_int_equal(json_array_size(json_object_get(doc, "figures")), 1);
	json_decref(doc);
}

static void failed_at_once_only_the_reason_is_said(void **state) {
	assert_int_equal(bench("bench probe refused -j"), STATUS_REFUSED);
	assert_string_equal(out, "");
	assert_string_equal(errors, "weir: bench probe: no right to make namespaces\n");
}

static void what_spoils_the_figures_is_told_with_them(void **state) {
	json_t *doc;

	thief = true;
	doc = bench_json("bench probe -j", STATUS_DONE);
	assert_string_equal(json_string_value(json_array_get(json_object_get(doc, "warnings"), 0)),
		"a hypervisor took 0.50 CPUs away on average (steal)");
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(doc, "conditions"), "cpus")), 4);
	json_decref(doc);
	assert_int_equal(bench("bench probe"), STATUS_DONE);
	thief = false;
	assert_non_null(
		strstr(out, "\nwarning: a hypervisor took 0.50 CPUs away on average (steal)\n"));
}

static void a_tool_gets_its_words_as_they_are(void **state) {
	assert_int_equal(bench("bench words -j --time x"), STATUS_DONE);
	assert_string_equal(out, "bench words has 4 words, the last is x\n");
}

static void a_bad_option_is_one_sentence_and_status_2(void **state) {
	static const char *const cases[][2] = {
		{"bench probe bad", "bench probe: no such endpoint 'x'; "},
		{"bench probe --repeat 0",
			"bench probe: --repeat wants a number of 1 to 1000, not '0'; "},
		{"bench probe --repeat 1001", "not '1001'; "},
		{"bench probe --repeat -1", "not '-1'; "},
		{"bench probe --repeat 5x", "not '5x'; "},
		{"bench probe --until 1", "--until wants more than 0% and up to 50%, not '1'; "},
		{"bench probe --until 0%", "not '0%'; "},
		{"bench probe --until 51%", "not '51%'; "},
		{"bench probe --until nan%", "not 'nan%'; "},
		{"bench probe --repeat-max 9", "--repeat-max goes with --until; give that too; "},
		{"bench probe --until 1% --repeat 9 --repeat-max 8",
			"--repeat-max 8 is less than --repeat 9; "},
		{"bench probe --time 5", "--time: '5' has no unit; "},
		{"bench probe --time 1ms", "--time wants 10ms to 24h, not '1ms'; "},
		{"bench probe --omit 25h", "--omit wants 0s to 24h, not '25h'; "},
		{"bench probe -o", "bench probe: -o wants a value; "},
		{"bench probe --time", "bench probe: --time wants a value; "},
		{"bench porbe", "bench: no such instrument 'porbe'; there are: probe, words; "},
		{"bench", "bench: measure what? there are: probe, words; "},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int status = bench(cases[i][0]);

		if (status != STATUS_USAGE || strstr(errors, cases[i][1]) == NULL ||
			strchr(errors, '\n') != errors + strlen(errors) - 1 || out[0] != '\0')
			fail_msg("%s: status %d: %s", cases[i][0], status, errors);
	}
}

static void the_result_is_written_into_a_directory_that_is_made(void **state) {
	char base[] = "bench-XXXXXX", line[128], path[64];
	json_t *doc, *command;

	assert_non_null(mkdtemp(base));
	snprintf(line, sizeof(line), "bench probe interrupt -o %s/new", base);
	assert_int_equal(bench(line), STATUS_REFUSED);
	snprintf(path, sizeof(path), "%s/new/result.json", base);
	doc = json_load_file(path, 0, NULL);
	remove(path);
	snprintf(path, sizeof(path), "%s/new/index.html", base);
	assert_int_equal(remove(path), 0);
	for (unsigned i = 0; i < CSV_TABLES; i++) {
		snprintf(path, sizeof(path), "%s/new/%s", base, csv_name(i));
		remove(path);
	}
	snprintf(path, sizeof(path), "%s/new", base);
	rmdir(path);
	assert_int_equal(rmdir(base), 0); // and nothing else was in it
	assert_non_null(doc);
	assert_string_equal(text_at(doc, "schema"), "weir-bench");
	assert_string_equal(text_at(doc, "instrument"), "probe");
	assert_true(json_is_false(json_object_get(doc, "complete")));
	command = json_object_get(doc, "command");
	assert_int_equal(json_array_size(command), 6);
	assert_string_equal(json_string_value(json_array_get(command, 0)), "weir");
	assert_string_equal(json_string_value(json_array_get(command, 4)), "-o");
	json_decref(doc);
}

static void a_directory_that_cannot_be_written_to_is_refused_before_measuring(void **state) {
	calls = 0;
	assert_int_equal(bench("bench probe -o /proc/nothing/here"), STATUS_REFUSED);
	assert_string_equal(
		errors, "weir: bench probe: -o /proc/nothing/here: No such file or directory\n");
	assert_int_equal(bench("bench probe -o /dev/null"), STATUS_REFUSED);
	assert_string_equal(errors, "weir: bench probe: -o /dev/null: Not a directory\n");
	assert_int_equal(calls, 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_instrument_gets_the_defaults_and_what_is_asked_for),
		cmocka_unit_test(repeats_go_on_until_the_interval_is_narrow),
		cmocka_unit_test(repeats_that_stay_wide_end_at_their_limit_with_a_warning),
		cmocka_unit_test(the_table_tells_the_figure_in_short_words),
		cmocka_unit_test(interrupted_what_was_measured_is_printed_and_marked_incomplete),
		cmocka_unit_test(failed_half_way_what_was_measured_is_printed_and_the_reason_said),
		cmocka_unit_test(failed_at_once_only_the_reason_is_said),
		cmocka_unit_test(what_spoils_the_figures_is_told_with_them),
		cmocka_unit_test(a_tool_gets_its_words_as_they_are),
		cmocka_unit_test(a_bad_option_is_one_sentence_and_status_2),
		cmocka_unit_test(the_result_is_written_into_a_directory_that_is_made),
		cmocka_unit_test(a_directory_that_cannot_be_written_to_is_refused_before_measuring),
	};

	return cmocka_run_group_tests_name("bench_cli", tests, NULL, NULL);
}
