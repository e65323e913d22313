/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/frames/search.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bench/result.h"
#include "device.h"

#define MILLION 1e6

static struct search searched(struct device *d, const char *preset, double max) {
	struct err e = {.text = ""};
	struct search s = {.goal = search_preset(preset, NULL)->goal,
		.min = max / 1000,
		.max = max,
		.fn = device_trial,
		.arg = d};

	if (search_run(&s, &e) != 0)
		fail_msg("%s: %s", preset, e.text);
	assert_int_equal(s.n, d->trials);
	return s;
}

static void within(const char *what, double v, double least, double most) {
	if (!(v >= least && v <= most))
		fail_msg("%s is %.9g, not %.9g to %.9g", what, v, least, most);
}

/* The four goals and six points of RFC 9971 appendix C: what the trials at one rate say. At the last two
 * points its table calls the fourth goal's rate a lower bound, with 43 % and 27 % of bad seconds where
 * 20 % are allowed; by its code (appendix A), which is what counts, that is an upper bound. */
static void a_rate_is_judged_as_in_the_example_of_rfc_9971(void **state) {
	static const struct goal goals[] = {
		{.final_s = 60, .sum_s = 60},
		{.final_s = 60, .sum_s = 120, .exceed = 0.5},
		{.final_s = 1, .sum_s = 120, .loss = 0.005, .exceed = 0.5},
		{.final_s = 60, .sum_s = 60, .loss = 0.005, .exceed = 0.2},
	};
	static const struct {
		unsigned n;
		double seconds;
		uint64_t lost; /* of 1000 */
		enum bound want[4];
	} points[] = {
		{59, 1, 0, {BOUND_UNDECIDED, BOUND_UNDECIDED, BOUND_UNDECIDED, BOUND_UNDECIDED}},
		{1, 1, 10, {BOUND_UPPER, BOUND_UNDECIDED, BOUND_UNDECIDED, BOUND_UNDECIDED}},
		{59, 1, 10, {BOUND_UPPER, BOUND_UNDECIDED, BOUND_UNDECIDED, BOUND_UPPER}},
		{1, 1, 0, {BOUND_UPPER, BOUND_UNDECIDED, BOUND_LOWER, BOUND_UPPER}},
		{1, 60, 1, {BOUND_UPPER, BOUND_UNDECIDED, BOUND_LOWER, BOUND_UPPER}},
		{1, 60, 0, {BOUND_UPPER, BOUND_LOWER, BOUND_LOWER, BOUND_UPPER}},
	};
	struct trial t[128] = {0};
	unsigned n = 0;

	assert_int_equal(goal_classify(&goals[0], MILLION, t, 0), BOUND_UNDECIDED);
	for (unsigned p = 0; p < 6; p++) {
		for (unsigned i = 0; i < points[p].n; i++)
			t[n++] = (struct trial){.rate = MILLION,
				.seconds = points[p].seconds,
				.offered = 1000,
				.lost = points[p].lost};
		for (unsigned g = 0; g < 4; g++)
			if (goal_classify(&goals[g], MILLION, t, n) != points[p].want[g])
				fail_msg("point %u, goal %u: %d", p + 1, g + 1,
					(int)goal_classify(&goals[g], MILLION, t, n));
	}
	assert_int_equal(goal_classify(&goals[2], MILLION / 2, t, n), BOUND_UNDECIDED);
}

static void every_preset_finds_a_sharp_limit_within_its_width(void **state) {
	static const double limits[] = {0.9999, 0.75, 0.5, 0.1234, 0.011};

	for (const struct preset *p = search_presets; p->name != NULL; p++)
		for (unsigned i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
			double limit = limits[i] * 14 * MILLION;
			struct device d = {.limit = limit, .seed = {1, 2, 3}};
			struct search s = searched(&d, p->name, 14 * MILLION);
			double lossy = limit / (1 - p->goal.loss); /* loses just what is allowed */

			if (lossy >= s.max) {
				assert_int_equal(s.end, SEARCH_AT_MAX);
			} else {
				char text[256];

				assert_int_equal(s.end, SEARCH_FOUND);
				within(p->name, s.lower, lossy * (1 - p->goal.width), lossy + 1);
				within(p->name, s.upper, lossy - 1, lossy / (1 - p->goal.width));
				assert_true(
					s.upper - s.lower <= s.upper * p->goal.width * 1.000001);
				within(p->name, s.throughput, s.lower * (1 - p->goal.loss),
					s.lower);
				assert_false(s.generator);
				assert_false(search_remark(&s, text, sizeof(text)));
			}
			assert_true(d.highest <= 14 * MILLION && d.lowest >= 14000);
			search_fini(&s);
		}
}

static void a_sharp_limit_costs_few_trials(void **state) {
	static const struct {
		const char *preset;
		unsigned trials;
		double seconds;
	} most[] = {
		{"rfc2544", 12, 140}, /* one full trial that passes, and the way to it */
		{"tst009", 8, 480},
		{"csit-ndr", 34, 34},
		{"csit-pdr", 34, 34},
		{"quick", 14, 10},
	};

	for (unsigned i = 0; i < sizeof(most) / sizeof(most[0]); i++) {
		struct device d = {.limit = 3.3 * MILLION, .seed = {1, 2, 3}};
		struct search s = searched(&d, most[i].preset, 14 * MILLION);

		within(most[i].preset, s.n, 4, most[i].trials);
		within(most[i].preset, s.seconds, 2, most[i].seconds);
		assert_true(s.seconds > d.seconds * 0.999 && s.seconds < d.seconds * 1.001);
		search_fini(&s);
	}
}

/* The device loses a twentieth at its limit and less below: half a percent where the exponential says so. */
static void a_soft_limit_is_found_where_the_allowed_loss_is_reached(void **state) {
	for (unsigned short seed = 0; seed < 20; seed++) {
		struct device d = {.limit = 2 * MILLION, .soft = 0.05, .steep = 40, .seed = {seed}};
		struct search s = searched(&d, "csit-pdr", 2.2 * MILLION);
		double place = 2 * MILLION * (1 + log(0.005 / 0.05) / 40);

		assert_int_equal(s.end, SEARCH_FOUND);
		within("soft limit", s.lower, place * (1 - 1.1 * 0.005), place * (1 + 0.1 * 0.005));
		search_fini(&s);
	}
}

/* Seldom losses are seen only by long trials: the chance to see none must be even at what was found. */
static void rare_losses_are_found_by_the_long_trials(void **state) {
	double sum = 0;

	for (unsigned short seed = 0; seed < 50; seed++) {
		struct device d = {.limit = MILLION, .soft = 1e-6, .steep = 60, .seed = {seed, 7}};
		struct search s = searched(&d, "rfc2544", 2 * MILLION);

		assert_int_equal(s.end, SEARCH_FOUND);
		sum += 60 * s.lower * 1e-6 * exp(60 * (s.lower / MILLION - 1));
		search_fini(&s);
	}
	within("losses to be expected in a minute at what was found", sum / 50, 0.05, 1.5);
}

/* The limit of a trial varies by 0.3 %, and every tenth trial is spoiled. */
static unsigned found_within_width(const char *preset, double truth, struct device like) {
	unsigned near = 0;

	for (unsigned short seed = 0; seed < 100; seed++) {
		struct device d = like;
		struct search s;

		d.seed[0] = seed;
		d.seed[1] = 99;
		s = searched(&d, preset, 10 * MILLION);
		near += s.end == SEARCH_FOUND && fabs(s.lower - truth) <= truth * s.goal.width;
		search_fini(&s);
	}
	return near;
}

static void noise_is_seen_through_in_95_of_100_searches(void **state) {
	struct device noisy = {.limit = 4 * MILLION, .noise = 0.003, .spoiled = 0.1};
	unsigned ndr = found_within_width("csit-ndr", 4 * MILLION, noisy);
	unsigned pdr = found_within_width("csit-pdr", 4 * MILLION / (1 - 0.005), noisy);

	print_message("# csit-ndr: %u of 100 within the width, csit-pdr: %u\n", ndr, pdr);
	within("searches within the width (csit-ndr)", ndr, 95, 100);
	within("searches within the width (csit-pdr)", pdr, 95, 100);
}

/* The same with a single trial a rate shows that it is the repeats that do it. */
static void a_spoiled_trial_is_tried_again_by_tst009_and_not_by_rfc2544(void **state) {
	struct device spoiled = {.limit = 4 * MILLION, .spoiled = 0.1};
	unsigned tst009 = found_within_width("tst009", 4 * MILLION, spoiled);
	unsigned rfc2544 = found_within_width("rfc2544", 4 * MILLION, spoiled);

	print_message("# tst009: %u of 100 within the width, rfc2544: %u\n", tst009, rfc2544);
	within("searches within the width (tst009)", tst009, 90, 100);
	assert_true(rfc2544 < tst009);
}

static void trials_and_seconds_stay_within_what_the_preset_says(void **state) {
	static const struct device hard[] = {
		{.limit = 3 * MILLION},
		{.limit = 0.02 * MILLION},
		{.limit = 3 * MILLION, .noise = 0.003, .spoiled = 0.1},
		{.limit = 3 * MILLION, .noise = 0.05, .spoiled = 0.3},
		{.limit = 3 * MILLION, .collapse = 0.01},
		{.limit = 3 * MILLION, .buffer = 100000},
		{.limit = 3 * MILLION, .soft = 1e-6, .steep = 10},
		{.floor_loss = 1e-7},
		{.floor_loss = 1e-3},
		{.spoiled = 0.5},
		{.limit = 3 * MILLION, .generator = 2 * MILLION},
		{.limit = 0},
	};

	for (const struct preset *p = search_presets; p->name != NULL; p++) {
		unsigned most = 0;
		double longest = 0;

		for (unsigned i = 0; i < sizeof(hard) / sizeof(hard[0]); i++)
			for (unsigned short seed = 0; seed < 10; seed++) {
				struct device d = hard[i];
				struct search s;

				d.seed[0] = seed;
				s = searched(&d, p->name, 10 * MILLION);
				most = s.n > most ? s.n : most;
				longest = fmax(longest, s.seconds);
				search_fini(&s);
			}
		print_message("# %s: at most %u trials, %.0f s\n", p->name, most, longest);
		within(p->name, most, 1, p->trials_most);
		within(p->name, longest, 1, p->seconds_most);
	}
}

static void a_device_that_loses_at_all_rates_has_no_throughput(void **state) {
	struct device d = {.floor_loss = 0.01, .seed = {5}};
	struct search s = searched(&d, "csit-pdr", MILLION);
	char text[256];

	assert_int_equal(s.end, SEARCH_NONE);
	assert_true(s.lower == 0 && s.throughput == 0 && s.upper == 1000);
	assert_true(search_remark(&s, text, sizeof(text)));
	assert_string_equal(
		text, "no rate passed: even 1000 frames/s lost more than the 0.5 % allowed");
	search_fini(&s);
}

static void a_path_that_carries_nothing_is_said_to_be_one(void **state) {
	struct device d = {.floor_loss = 1};
	struct search s = searched(&d, "quick", MILLION);
	char text[256];

	assert_int_equal(s.end, SEARCH_NONE);
	assert_true(search_remark(&s, text, sizeof(text)));
	assert_ptr_equal(strstr(text, "nothing arrived: not one frame of "), text);
	search_fini(&s);
}

static void a_generator_that_cannot_reach_the_rate_is_named_as_the_limit(void **state) {
	struct device d = {.limit = 5 * MILLION, .generator = 2 * MILLION, .seed = {5}};
	struct search s = searched(&d, "quick", 10 * MILLION);
	char text[256];

	assert_int_equal(s.end, SEARCH_FOUND);
	within("what the generator can do", s.lower, 1.99 * MILLION, 2 * MILLION);
	assert_true(s.generator);
	assert_true(search_remark(&s, text, sizeof(text)));
	assert_ptr_equal(strstr(text, "the generator was the limit: at "), text);
	search_fini(&s);

	d = (struct device){.limit = 1.9 * MILLION, .generator = 2 * MILLION, .seed = {5}};
	s = searched(&d, "quick", 10 * MILLION);
	within("what the device can do", s.lower, 1.89 * MILLION, 1.9 * MILLION);
	assert_false(s.generator);
	search_fini(&s);
}

static void a_limit_above_the_greatest_rate_is_said_to_be_there(void **state) {
	struct device d = {.limit = 5 * MILLION, .seed = {5}};
	struct search s = searched(&d, "rfc2544", MILLION);
	char text[256];

	assert_int_equal(s.end, SEARCH_AT_MAX);
	assert_true(s.lower == MILLION && s.upper == 0 && s.throughput == MILLION);
	assert_true(search_remark(&s, text, sizeof(text)));
	assert_string_equal(text,
		"the greatest rate offered, 1e+06 frames/s, passed: the limit is there or above; "
		"raise --max-rate to find it");
	assert_int_equal(s.n, 3); /* 1 s, 8 s, 60 s */
	search_fini(&s);
}

static void an_interrupted_search_keeps_its_trials(void **state) {
	struct device d = {.limit = MILLION, .vanish_after = 3};
	struct search s = {.goal = search_presets[0].goal,
		.min = 1,
		.max = 2 * MILLION,
		.fn = device_trial,
		.arg = &d};
	struct err e = {.text = ""};

	assert_int_equal(search_run(&s, &e), -ECANCELED);
	assert_int_equal(s.n, 3);
	assert_true(s.trials[0].rate == 2 * MILLION && !s.trials[0].pass);
	assert_true(s.upper > 0);
	search_fini(&s);
}

static void a_range_that_is_none_is_refused(void **state) {
	struct search s = {.goal = search_presets[0].goal, .min = 10, .max = 5};
	struct err e = {.text = ""};

	assert_int_equal(search_run(&s, &e), -EINVAL);
	assert_string_equal(e.text,
		"10 to 5 frames/s is no range to search; the least rate must be "
		"above 0 and not above the greatest");
}

static void an_unknown_preset_is_refused_with_the_names(void **state) {
	struct err e = {.text = ""};

	assert_null(search_preset("ndr", &e));
	assert_string_equal(e.text,
		"no preset is called 'ndr'; there are: rfc2544, tst009, csit-ndr, "
		"csit-pdr, quick");
	assert_string_equal(search_preset("csit-pdr", &e)->name, "csit-pdr");
}

static void the_document_keeps_every_trial_of_a_search(void **state) {
	static const struct trial trials[] = {
		{.rate = 2000,
			.seconds = 1,
			.offered = 2000,
			.sent = 1900,
			.received = 1500,
			.lost = 500},
		{.rate = 1500,
			.seconds = 2,
			.offered = 3000,
			.sent = 3000,
			.received = 3000,
			.pass = true},
	};
	json_t *doc = result_new("rfc2544", 0, NULL), *one, *t;

	result_search(
		doc, "throughput", "frame/s", json_pack("{s:s}", "size", "64"), trials, 2, 1500);
	result_search(doc, "throughput", "frame/s", NULL, trials, 1, 0);
	one = json_array_get(json_object_get(doc, "searches"), 0);
	assert_int_equal(json_array_size(json_object_get(one, "trials")), 2);
	assert_true(json_number_value(json_object_get(one, "result")) == 1500);
	t = json_array_get(json_object_get(one, "trials"), 0);
	assert_true(json_number_value(json_object_get(t, "loss")) == 0.25);
	assert_int_equal(json_integer_value(json_object_get(t, "sent")), 1900);
	assert_string_equal(json_string_value(json_object_get(t, "verdict")), "fail");
	t = json_array_get(json_object_get(one, "trials"), 1);
	assert_string_equal(json_string_value(json_object_get(t, "verdict")), "pass");
	one = json_array_get(json_object_get(doc, "searches"), 1);
	assert_true(json_is_null(json_object_get(one, "result")));
	json_decref(doc);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rate_is_judged_as_in_the_example_of_rfc_9971),
		cmocka_unit_test(every_preset_finds_a_sharp_limit_within_its_width),
		cmocka_unit_test(a_sharp_limit_costs_few_trials),
		cmocka_unit_test(a_soft_limit_is_found_where_the_allowed_loss_is_reached),
		cmocka_unit_test(rare_losses_are_found_by_the_long_trials),
		cmocka_unit_test(noise_is_seen_through_in_95_of_100_searches),
		cmocka_unit_test(a_spoiled_trial_is_tried_again_by_tst009_and_not_by_rfc2544),
		cmocka_unit_test(trials_and_seconds_stay_within_what_the_preset_says),
		cmocka_unit_test(a_device_that_loses_at_all_rates_has_no_throughput),
		cmocka_unit_test(a_path_that_carries_nothing_is_said_to_be_one),
		cmocka_unit_test(a_generator_that_cannot_reach_the_rate_is_named_as_the_limit),
		cmocka_unit_test(a_limit_above_the_greatest_rate_is_said_to_be_there),
		cmocka_unit_test(an_interrupted_search_keeps_its_trials),
		cmocka_unit_test(a_range_that_is_none_is_refused),
		cmocka_unit_test(an_unknown_preset_is_refused_with_the_names),
		cmocka_unit_test(the_document_keeps_every_trial_of_a_search),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
