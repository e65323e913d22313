/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "cli/output.h"

static char *table(const char *text) {
	json_t *doc = json_loads(text, 0, NULL);
	char *out;
	size_t n;
	FILE *f = open_memstream(&out, &n);

	assert_non_null(doc);
	bench_table(f, doc);
	fclose(f);
	json_decref(doc);
	return out;
}

static void prints(const char *doc, const char *want) {
	char *got = table(doc);

	assert_string_equal(got, want);
	free(got);
}

static void labels_that_all_have_are_told_once(void **state) {
	prints("{\"complete\":true,\"figures\":["
	       "{\"name\":\"rate\",\"unit\":\"bit/"
	       "s\",\"labels\":{\"path\":\"veth\",\"mss\":\"100\"},"
	       "\"values\":[1e9],\"median\":1e9,\"mean\":1e9,\"min\":1e9,\"max\":1e9,\"sd\":0.0,"
	       "\"ci95\":null},"
	       "{\"name\":\"rate\",\"unit\":\"bit/"
	       "s\",\"labels\":{\"path\":\"veth\",\"mss\":\"1448\"},"
	       "\"values\":[9e9,9.2e9],\"median\":9.1e9,\"mean\":9.1e9,\"min\":9e9,\"max\":9.2e9,"
	       "\"sd\":0.141e9,\"ci95\":1.27e9}]}",
		"of: path=veth\n"
		"\n"
		"FIGURE  OF            MEDIAN         MIN         MAX        MEAN    95 %    SD  "
		"REPEATS\n"
		"rate    mss=100   1.00Gbit/s                                                      "
		"    1\n"
		"rate    mss=1448  9.10Gbit/s  9.00Gbit/s  9.20Gbit/s  9.10Gbit/s  \u00b114.0%  "
		"1.5%        2\n");
}

static void a_latency_is_told_in_units_of_its_size(void **state) {
	prints("{\"complete\":true,\"latencies\":[{\"name\":\"reply\",\"labels\":{},\"mode\":"
	       "\"open\",\"count\":1234567,\"min\":950,\"max\":1500000000,\"mean\":1.0,\"p50\":"
	       "12345,"
	       "\"p90\":99960,\"p99\":999960,\"p99.9\":3200000,\"p99.99\":45000000}]}",
		"LATENCY  MODE  COUNT    MIN     P50    P90     P99   P99.9  P99.99   MAX\n"
		"reply    open  1.23M  950ns  12.3us  100us  1.00ms  3.20ms  45.0ms  1.5s\n");
}

static void a_quantile_that_is_not_known_is_no_number(void **state) {
	prints("{\"complete\":true,\"latencies\":[{\"name\":\"reply\",\"labels\":{},\"mode\":"
	       "\"open\",\"count\":20,\"min\":1000,\"max\":9000,\"mean\":1.0,\"p50\":2000,"
	       "\"p90\":8000,\"p99\":null,\"p99.9\":null,\"p99.99\":null}]}",
		"LATENCY  MODE  COUNT     MIN     P50     P90  P99  P99.9  P99.99     MAX\n"
		"reply    open     20  1.00us  2.00us  8.00us    -      -       -  9.00us\n");
}

static void what_was_lost_is_more_than_the_timeout(void **state) {
	prints("{\"complete\":true,\"latencies\":[{\"name\":\"reply\",\"labels\":{},\"mode\":"
	       "\"open\",\"count\":20,\"min\":1000,\"max\":9000,\"mean\":1.0,\"p50\":2000,"
	       "\"p90\":null,\"p99\":null,\"p99.9\":null,\"p99.99\":null,\"lost\":9,"
	       "\"timeout\":200000000,\"beyond\":[\"p90\",\"p99\",\"max\"]}]}",
		"LATENCY  MODE  COUNT     MIN     P50      P90      P99  P99.9  P99.99      MAX\n"
		"reply    open     20  1.00us  2.00us  > 200ms  > 200ms      -       -  > 200ms\n");
	prints("{\"complete\":true,\"figures\":[{\"name\":\"p99\",\"unit\":\"s\",\"labels\":{},"
	       "\"better\":\"less\",\"values\":[0.5,null,null],\"median\":null,\"mean\":null,"
	       "\"min\":0.5,\"max\":null,\"sd\":null,\"ci95\":null,\"above\":1}]}",
		"FIGURE  MEDIAN    MIN   MAX  REPEATS\n"
		"p99       > 1s  500ms  > 1s        3\n");
}

static void of_endpoints_the_least_and_the_most_are_named(void **state) {
	prints("{\"complete\":true,\"endpoints\":[{\"name\":\"rate\",\"unit\":\"1/"
	       "s\",\"labels\":{},"
	       "\"values\":{\"vm1\":9000,\"vm2\":11000,\"vm3\":10000},\"skew\":0.2,\"cv\":0.0816,"
	       "\"jain\":0.99338}]}",
		"ENDPOINTS  NUMBER     MEAN  LEAST        MOST          SKEW    CV    JAIN\n"
		"rate            3  10.0k/s  vm1 9.00k/s  vm2 11.0k/s  20.0%  8.2%  0.9934\n");
}

static void the_cost_of_all_repeats_is_their_mean(void **state) {
	prints("{\"complete\":true,\"cpu\":["
	       "{\"labels\":{\"repeat\":\"1\",\"path\":\"veth\"},\"cpus\":4,\"busy\":1.0,\"parts\":"
	       "{"
	       "\"user\":0.25,\"softirq\":0.75,\"steal\":0.001},\"busiest\":{\"cpu\":2,\"busy\":0."
	       "5},"
	       "\"per_gbit\":0.1},"
	       "{\"labels\":{\"repeat\":\"2\",\"path\":\"veth\"},\"cpus\":4,\"busy\":2.0,\"parts\":"
	       "{"
	       "\"user\":0.75,\"softirq\":1.25,\"steal\":0.001},\"busiest\":{\"cpu\":3,\"busy\":0."
	       "9},"
	       "\"per_gbit\":0.3},"
	       "{\"labels\":{\"path\":\"bridge\"},\"cpus\":4,\"busy\":3.0,\"parts\":{\"user\":3.0},"
	       "\"busiest\":{\"cpu\":0,\"busy\":0.25}}]}",
		"HOST CPU          BUSY  USER  SOFTIRQ  BUSIEST    S/GBIT\n"
		"path=veth    1.50 of 4  0.50     1.00  CPU 3 90%     0.2\n"
		"path=bridge  3.00 of 4  3.00           CPU 0 25%        \n");
}

/* Where nothing was left of what was busy nobody knows what a Gbit cost: that repeat has no such value. */
static void a_cost_that_a_repeat_does_not_know_is_not_in_the_mean(void **state) {
	prints("{\"complete\":true,\"cpu\":["
	       "{\"labels\":{\"repeat\":\"1\"},\"cpus\":4,\"busy\":1.0,\"parts\":{\"user\":1.0},"
	       "\"per_gbit\":0.1},"
	       "{\"labels\":{\"repeat\":\"2\"},\"cpus\":4,\"busy\":2.0,\"parts\":{}},"
	       "{\"labels\":{\"repeat\":\"3\"},\"cpus\":4,\"busy\":3.0,\"parts\":{},"
	       "\"per_gbit\":0.3,\"per_mframes\":0.5}]}",
		"HOST CPU       BUSY  USER  S/GBIT  S/MFRAME\n"
		"all       2.00 of 4  0.33     0.2       0.5\n");
}

static void warnings_and_the_reason_of_an_early_end_come_last_and_clean(void **state) {
	prints("{\"complete\":false,\"why_incomplete\":\"vm1\\u001b[2J vanished\",\"warnings\":["
	       "\"the generator was the limit\"]}",
		"warning: the generator was the limit\n"
		"incomplete: vm1?[2J vanished\n");
}

static void a_document_with_nothing_in_it_prints_nothing(void **state) {
	prints("{\"complete\":true,\"figures\":[],\"cpu\":[],\"warnings\":[]}", "");
}

static void a_value_is_written_with_its_unit_and_a_prefix(void **state) {
	static const struct {
		double v;
		const char *unit, *text;
	} cases[] = {
		{9.41e9, "bit/s", "9.41Gbit/s"},
		{65536, "byte", "64.0KiB"},
		{14880952, "frame/s", "14.9Mframe/s"},
		{12345, "1/s", "12.3k/s"},
		{0.97, "", "0.97"},
		{0.99921, "", "0.9992"},
		{-0.0002, "", "-0.0002"},
		{0, "s", "0ns"},
		{12.3e-6, "s", "12.3us"},
		{0.00099996, "s", "1.00ms"},
		{0.9994, "s", "999ms"},
		{0.9996, "s", "1s"},
		{61.25, "s", "61.2s"},
	};
	char buf[64];

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(
			output_unit(cases[i].v, cases[i].unit, buf, sizeof(buf)), cases[i].text);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels_that_all_have_are_told_once),
		cmocka_unit_test(a_latency_is_told_in_units_of_its_size),
		cmocka_unit_test(a_quantile_that_is_not_known_is_no_number),
		cmocka_unit_test(what_was_lost_is_more_than_the_timeout),
		cmocka_unit_test(of_endpoints_the_least_and_the_most_are_named),
		cmocka_unit_test(the_cost_of_all_repeats_is_their_mean),
		cmocka_unit_test(a_cost_that_a_repeat_does_not_know_is_not_in_the_mean),
		cmocka_unit_test(warnings_and_the_reason_of_an_early_end_come_last_and_clean),
		cmocka_unit_test(a_document_with_nothing_in_it_prints_nothing),
		cmocka_unit_test(a_value_is_written_with_its_unit_and_a_prefix),
	};

	return cmocka_run_group_tests_name("bench_table", tests, NULL, NULL);
}
