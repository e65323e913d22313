/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "bench/frames/rfc2544_options.h"
#include "bench/frames/search.h"
#include "device.h"

#define MILLION 1e6

static const struct preset *quick(void) {
	return search_preset("quick", NULL);
}

static void near(double v, double want, double part) {
	if (fabs(v - want) > want * part)
		fail_msg("%.9g is not within %g of %.9g", v, part, want);
}

static void loss_is_measured_from_the_greatest_rate_down_until_twice_none_is_lost(void **state) {
	struct device d = {.limit = 0.65 * MILLION};
	struct trial t[LOSS_TRIALS];
	unsigned n;

	assert_int_equal(search_loss(quick(), MILLION, device_trial, &d, t, &n, NULL), 0);
	assert_int_equal(n, 6); /* 100, 90, 80, 70 lose; 60 and 50 do not */
	for (unsigned i = 0; i < n; i++) {
		near(t[i].rate, MILLION * (10 - i) / 10, 1e-9);
		assert_int_equal(t[i].pass, i >= 4);
	}
	near(trial_loss(&t[0]), 0.35, 1e-6);
	near(trial_loss(&t[3]), 0.05 / 0.7, 1e-4);
}

static void a_device_that_always_loses_is_measured_down_to_a_tenth(void **state) {
	struct device d = {.floor_loss = 0.1};
	struct trial t[LOSS_TRIALS];
	unsigned n;

	assert_int_equal(search_loss(quick(), MILLION, device_trial, &d, t, &n, NULL), 0);
	assert_int_equal(n, LOSS_TRIALS);
	near(t[LOSS_TRIALS - 1].rate, MILLION / 10, 1e-9);
	near(trial_loss(&t[9]), 0.1, 0.05);
}

/* While a burst comes in the device forwards: only the corrected figure is its buffer. */
static void back_to_back_finds_a_buffer_of_known_size(void **state) {
	static const double buffers[] = {16, 1000, 20000}, shares[] = {0.1, 0.5, 0.9};

	for (unsigned b = 0; b < 3; b++)
		for (unsigned i = 0; i < 3; i++) {
			struct device d = {.limit = 10 * MILLION * shares[i], .buffer = buffers[b]};
			struct burst found;

			assert_int_equal(search_burst(quick(), 10 * MILLION, d.limit, device_trial,
						 &d, &found, NULL),
				0);
			assert_int_equal(found.times, quick()->burst_times);
			assert_false(found.unbounded);
			near(found.frames, buffers[b] / (1 - shares[i]), 0.001 + 1 / found.frames);
			near(found.corrected_frames, buffers[b], 0.001 + 1 / buffers[b]);
			near(found.seconds, found.frames / (10 * MILLION), 1e-9);
			near(found.corrected_s, found.corrected_frames / (10 * MILLION), 1e-9);
			assert_true(found.least == found.most);
			assert_true(d.lowest == d.highest && d.highest == 10 * MILLION);
		}
}

static void bursts_are_told_each_in_steps_up_to_the_longest(void **state) {
	struct preset p = *quick();
	struct device d = {.limit = MILLION, .buffer = 1000, .noise = 0.05, .seed = {1, 2, 3}};
	struct burst found;
	double sum = 0;

	p.burst_times = BURST_TIMES;
	p.burst_step = 7;
	p.burst_s = 0.01;
	assert_int_equal(search_burst(&p, 2 * MILLION, MILLION, device_trial, &d, &found, NULL), 0);
	assert_int_equal(found.times, BURST_TIMES);
	assert_true(found.longest == floor(20000.0 / 7) * 7 && found.step == 7);
	for (unsigned i = 0; i < found.times; i++) {
		assert_true(fmod(found.values[i], 7) == 0);
		assert_true(found.values[i] >= found.least && found.values[i] <= found.most);
		sum += found.values[i];
	}
	near(found.frames, sum / BURST_TIMES, 1e-9);
	assert_true(found.least < found.most);
	// The same frames at another rate at which they came.
	search_burst_correct(&found, 4 * MILLION, MILLION);
	near(found.corrected_s, found.frames / (4 * MILLION) * 0.75, 1e-9);
	for (const struct preset *each = search_presets; each->name != NULL; each++)
		assert_true(each->burst_times <= BURST_TIMES);
}

static void a_burst_is_of_frames_of_one_size(void **state) {
	char sizes[] = "--size=60,imix";
	char *mixed[] = {"rfc2544", "if:a", "if:b", sizes, "--procedure=burst"};
	char *given[] = {"rfc2544", "if:a", "if:b", "--burst-max=500ms", "--burst-step=8",
		"--procedure=burst"};
	struct rfc2544_options o;
	struct err e;

	assert_int_equal(rfc2544_options_parse(&o, 5, mixed, 0, &e), -EINVAL);
	assert_non_null(strstr(e.text, "frames of one size"));
	assert_int_equal(rfc2544_options_parse(&o, 6, given, 0, &e), 0);
	assert_true(o.preset.burst_s == 0.5 && o.preset.burst_step == 8);
}

static void a_buffer_greater_than_the_longest_burst_is_said_to_be_so(void **state) {
	struct device d = {.limit = MILLION, .buffer = 1e9};
	struct burst found;

	assert_int_equal(
		search_burst(quick(), 10 * MILLION, MILLION, device_trial, &d, &found, NULL), 0);
	assert_true(found.unbounded);
	near(found.frames, 10 * MILLION * quick()->burst_s, 1e-9);
}

static void back_to_back_is_refused_where_no_buffer_fills(void **state) {
	struct device d = {.limit = 0};
	struct burst found;
	struct err e = {.text = ""};

	assert_int_equal(
		search_burst(quick(), MILLION, MILLION, device_trial, &d, &found, &e), -EINVAL);
	assert_string_equal(e.text,
		"back-to-back frames need a throughput below the rate they come at: "
		"it is 1e+06 of 1e+06 frames/s, so no buffer fills");
	assert_int_equal(d.trials, 0);
}

static void recovery_is_the_time_until_the_last_loss_after_an_overload(void **state) {
	const struct preset *p = search_preset("rfc2544", NULL);
	struct device d = {.limit = MILLION, .recovers_s = 0.75};
	double seconds[8] = {-1, -1, -1, -1};

	assert_int_equal(
		search_recovery(p, 2 * MILLION, MILLION, device_fall, &d, seconds, NULL), 0);
	for (unsigned i = 0; i < p->recovery_times; i++)
		assert_true(seconds[i] == 0.75);
	assert_true(seconds[p->recovery_times] == -1);
	near(d.highest, 1.1 * MILLION, 1e-9);
	near(d.lowest, 0.55 * MILLION, 1e-9);
	/* The medium's rate is the most that can be offered. */
	assert_int_equal(
		search_recovery(p, 1.05 * MILLION, MILLION, device_fall, &d, seconds, NULL), 0);
	near(d.highest, 1.05 * MILLION, 1e-9);
}

static void a_time_is_that_of_every_trial_but_bursts(void **state) {
	char *given[][5] = {{"rfc2544", "if:a", "if:b", "--preset=csit-pdr"},
		{"rfc2544", "if:a", "if:b", "--preset=csit-pdr"}};
	struct rfc2544_options o;
	struct err e;

	assert_int_equal(rfc2544_options_parse(&o, 4, given[0], 0, &e), 0);
	assert_true(o.preset.goal.final_s == 1 && o.preset.latency_s == 10);
	assert_int_equal(rfc2544_options_parse(&o, 4, given[1], 3000000000, &e), 0);
	near(o.preset.goal.initial_s, 3, 1e-9);
	near(o.preset.goal.final_s, 3, 1e-9);
	near(o.preset.goal.sum_s, 63, 1e-9); // as many trials as by the book
	assert_true(o.preset.goal.loss == 0.005 && o.preset.goal.exceed == 0.5);
	assert_true(o.preset.latency_s == 3 && o.preset.loss_s == 3);
	assert_true(o.preset.overload_s == 3 && o.preset.relief_s == 3);
	assert_true(o.preset.burst_s == search_preset("csit-pdr", NULL)->burst_s);
}

/* RFC 2544 section 23: 2 s after the learning frames, 2 s for what is late, 5 s for the device. */
static void the_standards_wait_for_learning_as_they_ask(void **state) {
	static const struct {
		const char *name;
		uint64_t learn_ns, wait_ns;
	} presets[] = {{"rfc2544", 2000000000, 2000000000}, {"tst009", 2000000000, 2000000000},
		{"csit-ndr", 5000000, 200000000}, {"quick", 5000000, 100000000}};
	struct rfc2544_options o;
	struct err e;

	for (unsigned i = 0; i < 4; i++) {
		char *given[] = {
			"rfc2544", "if:a", "if:b", "--preset", (char *)presets[i].name, NULL};
		char *shorter[] = {"rfc2544", "if:a", "if:b", "--learn-wait=7ms", "--preset",
			(char *)presets[i].name, NULL};

		assert_int_equal(rfc2544_options_parse(&o, 5, given, 0, &e), 0);
		near(o.preset.learn_s * 1e9, (double)presets[i].learn_ns, 1e-9);
		near(o.preset.wait_s * 1e9, (double)presets[i].wait_ns, 1e-9);
		assert_int_equal(rfc2544_options_parse(&o, 6, shorter, 0, &e), 0);
		near(o.preset.learn_s, 0.007, 1e-9);
	}
}

static void a_preset_that_was_changed_says_what_of_it(void **state) {
	static const struct {
		const char *options[4], *label;
		uint64_t time_ns;
	} cases[] = {
		{{"--preset=rfc2544"}, "rfc2544", 0},
		{{"--preset=rfc2544", "--wait=2s", "--learn-wait=2s"}, "rfc2544", 0},
		{{"--preset=rfc2544"}, "rfc2544, changed: time 1s", 1000000000},
		{{"--preset=tst009", "--wait=250ms"}, "tst009, changed: wait 0.25s", 0},
		{{"--preset=csit-pdr", "--wait=0s", "--learn-wait=10ms"},
			"csit-pdr, changed: time 0.5s, wait 0s, learn-wait 0.01s", 500000000},
		{{"--preset=rfc2544", "--max-rate=max", "--burst-step=1"}, "rfc2544", 0},
		{{"--preset=rfc2544", "--max-rate=9k", "--burst-step=3"},
			"rfc2544, changed: max-rate 9000 frame/s, burst-step 3", 0},
		{{"--max-rate=40%"}, "quick, changed: max-rate 40%", 0},
		{{"--wait=1s", "--learn-wait=1s", "--burst-max=1s"},
			"quick, changed: time 3s, wait 1s, learn-wait 1s, burst-max 1s",
			3000000000},
		// The trials of the search alone are as by the book then, those of latency are not.
		{{"--preset=rfc2544"}, "rfc2544, changed: time 60s", 60000000000},
	};
	struct rfc2544_options o;
	struct err e;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *given[8] = {"rfc2544", "if:a", "if:b"};
		int n = 3;

		for (unsigned k = 0; cases[i].options[k] != NULL; k++)
			given[n++] = (char *)cases[i].options[k];
		assert_int_equal(rfc2544_options_parse(&o, n, given, cases[i].time_ns, &e), 0);
		assert_string_equal(o.label, cases[i].label);
	}
	assert_int_equal(o.nchanged, 1);
	assert_string_equal(o.changed[0], "time 60s");
}

/* RFC 9971's name for what CSIT reports. */
static void csit_presets_report_what_was_delivered(void **state) {
	for (const struct preset *p = search_presets; p->name != NULL; p++)
		assert_int_equal(p->conditional, strncmp(p->name, "csit-", 5) == 0);
}

static void an_interrupted_procedure_says_so(void **state) {
	struct device d = {.limit = 0.5 * MILLION, .buffer = 100, .vanish_after = 2};
	struct trial t[LOSS_TRIALS];
	struct burst found;
	unsigned n;

	assert_int_equal(search_loss(quick(), MILLION, device_trial, &d, t, &n, NULL), -ECANCELED);
	assert_int_equal(n, 2);
	assert_int_equal(search_burst(quick(), MILLION, d.limit, device_trial, &d, &found, NULL),
		-ECANCELED);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			loss_is_measured_from_the_greatest_rate_down_until_twice_none_is_lost),
		cmocka_unit_test(a_device_that_always_loses_is_measured_down_to_a_tenth),
		cmocka_unit_test(back_to_back_finds_a_buffer_of_known_size),
		cmocka_unit_test(bursts_are_told_each_in_steps_up_to_the_longest),
		cmocka_unit_test(a_burst_is_of_frames_of_one_size),
		cmocka_unit_test(a_buffer_greater_than_the_longest_burst_is_said_to_be_so),
		cmocka_unit_test(back_to_back_is_refused_where_no_buffer_fills),
		cmocka_unit_test(recovery_is_the_time_until_the_last_loss_after_an_overload),
		cmocka_unit_test(a_time_is_that_of_every_trial_but_bursts),
		cmocka_unit_test(the_standards_wait_for_learning_as_they_ask),
		cmocka_unit_test(a_preset_that_was_changed_says_what_of_it),
		cmocka_unit_test(csit_presets_report_what_was_delivered),
		cmocka_unit_test(an_interrupted_procedure_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
