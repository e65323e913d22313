/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/units.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

typedef int read_fn(const char *, uint64_t *, struct err *);

static void reads(read_fn *fn, const char *text, uint64_t want) {
	struct err e = {.text = ""};
	uint64_t v = 0;

	if (fn(text, &v, &e) != 0)
		fail_msg("%s was refused: %s", text, e.text);
	assert_int_equal(v, want);
}

static void refuses(read_fn *fn, const char *text, int code, const char *sentence) {
	struct err e = {.text = ""};
	uint64_t v;

	assert_int_equal(fn(text, &v, &e), -code);
	assert_string_equal(e.text, sentence);
	assert_int_equal(fn(text, &v, NULL), -code);
}

static void a_duration_is_read_in_each_unit(void **state) {
	reads(units_duration, "7ns", 7);
	reads(units_duration, "250us", 250000);
	reads(units_duration, "10ms", 10000000);
	reads(units_duration, "5s", 5000000000);
	reads(units_duration, "0.5s", 500000000);
	reads(units_duration, "3m", 180000000000);
	reads(units_duration, "1h", 3600000000000);
	reads(units_duration, "0s", 0);
}

static void a_duration_without_unit_is_refused(void **state) {
	refuses(units_duration, "10", EINVAL,
		"'10' has no unit; write the duration like 250us, 10ms, 5s, 3m or 1h");
}

static void what_is_no_duration_is_refused(void **state) {
	static const char tail[] = "write it like 250us, 10ms, 5s, 3m or 1h";
	static const char *const bad[] = {"", "s", "-1s", "+1s", " 1s", "1 s", "1s ", ".5s", "1.s",
		"1S", "1sec", "1e3s", "0x1s", "1.2.3s", "inf"};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = {.text = ""};
		uint64_t v;

		if (units_duration(bad[i], &v, &e) != -EINVAL || strstr(e.text, tail) == NULL)
			fail_msg("\"%s\": %s", bad[i], e.text);
	}
}

static void a_number_that_does_not_fit_is_refused_and_never_wraps(void **state) {
	refuses(units_duration, "99999999999h", ERANGE,
		"'99999999999h' is too large a duration for 64 bits");
	refuses(units_size, "1234567890123456789", ERANGE,
		"'1234567890123456789' has more than 18 digits; write it with a larger unit");
	refuses(units_duration, "0.5ns", ERANGE,
		"'0.5ns' is too small a duration to be told from zero");
	reads(units_duration, "5124095h", 18446742000000000000u);
	refuses(units_duration, "5124096h", ERANGE,
		"'5124096h' is too large a duration for 64 bits");
}

static void a_size_is_read_in_decimal_and_binary_units(void **state) {
	reads(units_size, "64", 64);
	reads(units_size, "64B", 64);
	reads(units_size, "9kB", 9000);
	reads(units_size, "64KiB", 65536);
	reads(units_size, "2MiB", 2097152);
	reads(units_size, "1GiB", 1073741824);
	reads(units_size, "1.5KiB", 1536);
	refuses(units_size, "64kb", EINVAL,
		"'64kb' is no size; write it like 1500, 9kB, 64KiB, 2MiB or 1GiB");
}

static void a_rate_is_read_in_each_unit(void **state) {
	reads(units_rate, "9.6kbit", 9600);
	reads(units_rate, "100Mbit", 100000000);
	reads(units_rate, "1Gbit", 1000000000);
	reads(units_rate, "1bit", 1);
	refuses(units_rate, "1000", EINVAL,
		"'1000' has no unit; write the rate like 9.6kbit, 100Mbit or 1Gbit");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_duration_is_read_in_each_unit),
		cmocka_unit_test(a_duration_without_unit_is_refused),
		cmocka_unit_test(what_is_no_duration_is_refused),
		cmocka_unit_test(a_number_that_does_not_fit_is_refused_and_never_wraps),
		cmocka_unit_test(a_size_is_read_in_decimal_and_binary_units),
		cmocka_unit_test(a_rate_is_read_in_each_unit),
	};

	return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
