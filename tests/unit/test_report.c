/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bench/report/csv.h"
#include "bench/report/report.h"

static char *csv(unsigned table, const json_t *doc) {
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	csv_write(f, table, doc);
	fclose(f);
	return text;
}

static void a_field_is_quoted_when_it_holds_what_parts_fields(void **state) {
	static const struct {
		const char *text, *field;
	} cases[] = {{"", ""}, {"vm1", "vm1"}, {"a,b", "\"a,b\""},
		{"say \"x\"", "\"say \"\"x\"\"\""}, {"two\nlines", "\"two\nlines\""},
		{" edge", "\" edge\""}, {"-5", "-5"}, {"+1.5e-3", "+1.5e-3"}, {"=1+1", "\"'=1+1\""},
		{"+x", "\"'+x\""}, {"-1+cmd", "\"'-1+cmd\""}, {"-5-", "\"'-5-\""},
		{"@SUM(A1)", "\"'@SUM(A1)\""}, {"\tx", "\"'\tx\""}, {"\r=1", "\"'\r=1\""},
		{"=\"a\"", "\"'=\"\"a\"\"\""}, {"a=b", "a=b"}};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = NULL;
		size_t len;
		FILE *f = open_memstream(&text, &len);

		csv_field(f, cases[i].text);
		fclose(f);
		assert_string_equal(text, cases[i].field);
		free(text);
	}
}

static void each_label_of_a_kind_has_a_column(void **state) {
	json_t *doc = json_pack("{s:[{s:s,s:s,s:{s:s},s:[f,f],s:f},{s:s,s:{s:s}}]}", "figures",
		"name", "rate", "unit", "bit/s", "labels", "path", "a,b", "values", 1.5, 2.0,
		"median", 1.75, "name", "cost", "labels", "mss", "100");
	char *text = csv(0, doc);

	assert_string_equal(text,
		"name,unit,better,median,mean,min,max,sd,ci95,values,label.path,label.mss\r\n"
		"rate,bit/s,,1.75,,,,,,1.5 2,\"a,b\",\r\n"
		"cost,,,,,,,,,,,100\r\n");
	free(text);
	json_decref(doc);
}

/* Several numbers in a cell are no number: a spreadsheet would subtract them. Words are joined, then quoted. */
static void a_list_is_one_cell_and_no_formula(void **state) {
	json_t *doc = json_pack("{s:[{s:s,s:[f,f]},{s:s,s:[f]},{s:s,s:[f,f]},{s:s,s:[]}],"
				"s:[{s:s,s:{s:[s,s]},s:[{s:i}]}]}",
		"figures", "name", "a", "values", -0.1, -0.2, "name", "b", "values", -0.1, "name",
		"c", "values", 0.1, -0.2, "name", "d", "values", "searches", "name", "e", "goal",
		"changed", "time 1s", "say \"x\", y", "trials", "rate", 1);
	char *text = csv(0, doc), *searches = csv(7, doc);

	assert_non_null(strstr(text, "\r\na,,,,,,,,,\"'-0.1 -0.2\"\r\n"));
	assert_non_null(strstr(text, "\r\nb,,,,,,,,,-0.1\r\n"));
	assert_non_null(strstr(text, "\r\nc,,,,,,,,,0.1 -0.2\r\n"));
	assert_non_null(strstr(text, "\r\nd,,,,,,,,,\r\n"));
	assert_non_null(strstr(searches, ",\"time 1s say \"\"x\"\", y\","));
	free(text);
	free(searches);
	json_decref(doc);
}

static void a_search_says_its_loads_and_waits(void **state) {
	json_t *doc = json_pack("{s:[{s:s,s:{s:i,s:i,s:f,s:f,s:i},s:[{s:i}]}]}", "searches", "name",
		"throughput", "goal", "min_load", 40, "max_load", 9000, "learn_wait", 0.005, "wait",
		0.1, "rest", 7, "trials", "rate", 1);
	char *text = csv(7, doc);

	assert_non_null(
		strstr(text, ",goal.width,goal.min_load,goal.max_load,goal.load,goal.result,"
			     "goal.learn_wait,goal.wait,goal.rest,"));
	assert_non_null(strstr(text, ",40,9000,,,0.005,0.1,7,"));
	free(text);
	json_decref(doc);
}

static void what_was_lost_is_more_than_the_timeout(void **state) {
	json_t *doc =
		json_pack("{s:[{s:s,s:n,s:n,s:f,s:f}],s:[{s:s,s:i,s:n,s:n,s:i,s:i,s:i,s:[s,s]}]}",
			"figures", "name", "p99", "median", "mean", "min", 0.5, "above", 1.0,
			"latencies", "name", "reply", "count", 7, "p50", "p90", "max", 9, "lost", 3,
			"timeout", 5000, "beyond", "p90", "max");
	char *text = csv(0, doc), *latencies = csv(1, doc);

	assert_non_null(strstr(text, "\r\np99,,,>1,,0.5,,,,\r\n"));
	assert_non_null(strstr(latencies, "\r\nreply,,7,,,,>5000,,,,>5000,,3,5000"));
	free(text);
	free(latencies);
	json_decref(doc);
}

static void series_buckets_and_endpoints_have_a_line_a_value(void **state) {
	json_t *doc = json_pack("{s:[{s:s,s:[i,i],s:[f,f]}],s:[{s:s,s:[[i,i]]}],s:[{s:s,s:{s:f}}]}",
		"intervals", "name", "r", "times", 1, 2, "values", 0.1, 4.0, "latencies", "name",
		"l", "buckets", 128, 7, "endpoints", "name", "e", "values", "vm1", 3.5);
	char *intervals = csv(6, doc), *buckets = csv(2, doc), *endpoints = csv(3, doc);

	assert_string_equal(intervals, "name,unit,time,value\r\nr,,1,0.1\r\nr,,2,4\r\n");
	assert_string_equal(buckets, "name,mode,from_ns,count\r\nl,,128,7\r\n");
	assert_string_equal(
		endpoints, "name,unit,skew,cv,jain,endpoint,value\r\ne,,,,,vm1,3.5\r\n");
	free(intervals);
	free(buckets);
	free(endpoints);
	json_decref(doc);
}

static void no_name_in_a_document_ends_its_script(void **state) {
	const char *name = "</script><!--<script>\u2028@CSS@";
	json_t *doc = json_pack("{s:s}", "instrument", name), *back;
	size_t len;
	char *page = report_page(doc, &len);
	char *begin = strstr(page, "id=\"result\">") + strlen("id=\"result\">");
	char *end = strstr(begin, "</script>");

	assert_int_equal(strlen(page), len);
	*end = '\0';
	assert_null(strchr(begin, '<'));
	assert_null(strstr(begin, "\u2028"));
	back = json_loads(begin, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(back, "instrument")), name);
	assert_non_null(strstr(end + 1, "Chart.js v3"));
	assert_non_null(strstr(end + 1, "function figuresPlot"));
	json_decref(back);
	json_decref(doc);
	free(page);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_field_is_quoted_when_it_holds_what_parts_fields),
		cmocka_unit_test(each_label_of_a_kind_has_a_column),
		cmocka_unit_test(a_list_is_one_cell_and_no_formula),
		cmocka_unit_test(a_search_says_its_loads_and_waits),
		cmocka_unit_test(what_was_lost_is_more_than_the_timeout),
		cmocka_unit_test(series_buckets_and_endpoints_have_a_line_a_value),
		cmocka_unit_test(no_name_in_a_document_ends_its_script),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
