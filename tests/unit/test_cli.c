/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "cli/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/output.h"

/* What a function prints. */
static char *table(const struct column *c, const char *rows) {
	json_t *v = json_loads(rows, 0, NULL);
	char *text;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	assert_non_null(v);
	output_table(f, c, v);
	fclose(f);
	json_decref(v);
	return text;
}

static const struct column columns[] = {
	{"NAME", "name", CELL_TEXT},
	{"FRAMES", "rx.frames", CELL_COUNT},
	{"BUSY", "busy", CELL_PERCENT},
	{"NOTE", "note", CELL_TEXT},
	{NULL},
};

static void columns_are_aligned_and_empty_ones_left_out(void **state) {
	char *text = table(columns, "[{\"name\":\"a\",\"rx\":{\"frames\":1234567},\"busy\":0.5},"
				    "{\"name\":\"longer\",\"rx\":{\"frames\":7},\"busy\":0.031}]");

	assert_string_equal(text, "NAME    FRAMES   BUSY\n"
				  "a        1.23M  50.0%\n"
				  "longer       7   3.1%\n");
	free(text);
}

static void control_characters_do_not_reach_the_terminal(void **state) {
	char *text = table(columns, "[{\"name\":\"a\\u001b[2Jb\",\"note\":\"x\\ny\"}]");

	assert_string_equal(text, "NAME    NOTE\na?[2Jb  x?y\n");
	free(text);
}

static void letters_of_two_bytes_are_one_place_wide(void **state) {
	char *text = table(columns, "[{\"name\":\"\\u00fc\\u00fc\",\"note\":\"1\"},{\"name\":"
				    "\"abcd\",\"note\":\"2\"}]");

	assert_string_equal(text, "NAME  NOTE\n\xc3\xbc\xc3\xbc    1\nabcd  2\n");
	free(text);
}

static void numbers_keep_three_digits(void **state) {
	static const struct {
		double v;
		const char *count, *bits, *bytes;
	} cases[] = {
		{0, "0", "0bit/s", "0B"},
		{999, "999", "999bit/s", "999B"},
		{1000, "1.00k", "1.00kbit/s", "1000B"},
		{1024, "1.02k", "1.02kbit/s", "1.00KiB"},
		{12345, "12.3k", "12.3kbit/s", "12.1KiB"},
		{999960, "1.00M", NULL, NULL},
		{123456789, "123M", "123Mbit/s", "118MiB"},
		{9.41e9, "9.41G", "9.41Gbit/s", "8.76GiB"},
	};
	char buf[OUTPUT_NUM];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_string_equal(output_count(cases[i].v, buf), cases[i].count);
		if (cases[i].bits == NULL)
			continue;
		assert_string_equal(output_bits(cases[i].v, buf), cases[i].bits);
		assert_string_equal(output_bytes(cases[i].v, buf), cases[i].bytes);
	}
}

static void a_difference_is_one_line_a_change(void **state) {
	json_t *diff = json_loads(
		"[{\"op\":\"add\",\"what\":\"port\",\"name\":\"vm3\",\"to\":{\"tap\":\"eth0\","
		"\"queues\":2}},"
		"{\"op\":\"remove\",\"what\":\"network\",\"name\":\"red\",\"from\":{\"vlan\":3}},"
		"{\"op\":\"change\",\"what\":\"port\",\"name\":\"vm1\",\"how\":\"reopen\","
		"\"from\":{\"mtu\":1500,\"mac\":null},\"to\":{\"mtu\":9000,\"mac\":\"02:00:00:00:"
		"00:01\"}},"
		"{\"op\":\"change\",\"what\":\"idle\",\"name\":\"idle\",\"how\":\"in place\","
		"\"from\":\"adaptive\",\"to\":\"busy\"}]",
		0, NULL);
	char *text;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	output_diff(f, diff);
	fclose(f);
	assert_string_equal(text,
		"+ port vm3: tap=eth0 queues=2\n"
		"- network red\n"
		"~ port vm1: mtu=1500 mac=none -> mtu=9000 mac=02:00:00:00:00:01 (reopen)\n"
		"~ idle: adaptive -> busy\n");
	free(text);
	json_decref(diff);
}

static char *words(const char *line) {
	char copy[256], *argv[16];
	int argc = 0;
	struct err e;
	json_t *o;
	char *text;

	strcpy(copy, line);
	for (char *p = strtok(copy, " "); p != NULL; p = strtok(NULL, " "))
		argv[argc++] = p;
	if (words_parse(&o, argc, argv, &e) < 0)
		return strdup(e.text);
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return text;
}

static void words_become_what_they_look_like(void **state) {
	static const char *const cases[][2] = {
		{"queues=2 network=blue", "{\"queues\":2,\"network\":\"blue\"}"},
		{"queues 2 isolated true", "{\"queues\":2,\"isolated\":true}"},
		{"mac=02:00:00:00:00:01 link=down",
			"{\"mac\":\"02:00:00:00:00:01\",\"link\":\"down\"}"},
		{"trunk=blue", "{\"trunk\":[\"blue\"]}"},
		{"trunk=blue,green native=blue",
			"{\"trunk\":[\"blue\",\"green\"],\"native\":\"blue\"}"},
		{"trunk=[blue,7]", "{\"trunk\":[\"blue\",7]}"},
		{"mac= trunk=", "{\"mac\":null,\"trunk\":null}"},
		{"vlan=010", "{\"vlan\":\"010\"}"},
		{"vhost-user=/a=b", "{\"vhost-user\":\"/a=b\"}"},
		{"mtu", "'mtu' has no value; write mtu=VALUE"},
		{"=3", "'=3' is no key=value"},
		{"mtu=1 mtu=2", "'mtu' is given twice"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = words(cases[i][0]);

		assert_string_equal(text, cases[i][1]);
		free(text);
	}
}

static int compose(const char *line, uint8_t *frame, struct err *e) {
	char copy[512], *argv[32];
	int argc = 0;

	strcpy(copy, line);
	for (char *p = strtok(copy, " "); p != NULL; p = strtok(NULL, " "))
		argv[argc++] = p;
	return compose_frame(argc, argv, frame, e);
}

static void hex_is_read_with_and_without_separators(void **state) {
	static uint8_t frame[COMPOSE_MAX + 64];
	struct err e;

	assert_int_equal(compose("ffffffffffff 02:00:00-00:00:01 0806", frame, &e), 14);
	assert_memory_equal(frame, "\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\x01\x08\x06", 14);
	assert_int_equal(compose("fff", frame, &e), -EINVAL);
	assert_int_equal(compose("ffxx", frame, &e), -EINVAL);
	assert_int_equal(compose("@/no/such/file", frame, &e), -ENOENT);
}

static void an_arp_request_in_words_is_one_on_the_wire(void **state) {
	static const uint8_t want[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 7, 0x81,
		0, 0, 100, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 7, 10, 0, 0, 1, 0, 0, 0, 0,
		0, 0, 10, 0, 0, 2};
	static uint8_t frame[COMPOSE_MAX + 64];
	struct err e;

	assert_int_equal(compose("eth src=02:00:00:00:00:07 dst=ff:ff:ff:ff:ff:ff vlan=100 "
				 "arp op=request spa=10.0.0.1 tpa=10.0.0.2",
				 frame, &e),
		60);
	assert_memory_equal(frame, want, 60);
}

static unsigned sum_of(const uint8_t *p, unsigned n, unsigned s) {
	for (unsigned i = 0; i < n; i += 2)
		s += (unsigned)p[i] << 8 | (i + 1 < n ? p[i + 1] : 0);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static void a_udp_datagram_in_words_has_right_lengths_and_checksums(void **state) {
	static uint8_t frame[COMPOSE_MAX + 64];
	struct err e;

	assert_int_equal(
		compose("eth ipv4 src=10.0.0.1 dst=10.0.0.2 ttl=3 udp sport=5000 dport=53 len=101",
			frame, &e),
		14 + 20 + 8 + 101);
	assert_memory_equal(frame + 12, "\x08\x00\x45", 3);
	assert_int_equal(frame[16] << 8 | frame[17], 129);
	assert_int_equal(frame[22], 3);
	assert_int_equal(frame[23], 17);
	assert_int_equal(frame[38] << 8 | frame[39], 109);
	assert_int_equal(sum_of(frame + 14, 20, 0), 0xffff);
	assert_int_equal(sum_of(frame + 34, 109, sum_of(frame + 26, 8, 17 + 109)), 0xffff);
}

static void wrong_words_for_a_frame_are_named(void **state) {
	static const char *const cases[][2] = {
		{"eth colour=red", "'colour=red'"},
		{"eth src=02:00", "'02:00' is no valid src of eth"},
		{"eth vlan=4096", "'4096' is no valid vlan"},
		{"eth udp", "'udp' goes behind 'ipv4'"},
		{"eth arp ipv4", "exclude"},
		{"eth eth", "twice"},
		{"eth ipv4 len=65001", "'65001' is no valid len"},
		{"eth ipv4 ttl=-1", "'-1' is no valid ttl"},
	};
	static uint8_t frame[COMPOSE_MAX + 64];
	struct err e;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(compose(cases[i][0], frame, &e), -EINVAL);
		assert_non_null(strstr(e.text, cases[i][1]));
	}
}

static void options_are_found_anywhere_and_taken_out(void **state) {
	char *argv[] = {"show", "--api", "/a", "ports", "-j", "--file=x", "--", "--api", NULL};
	int argc = 8, bad = 0;

	assert_string_equal(cli_option(&argc, argv, "api", &bad), "/a");
	assert_string_equal(cli_option(&argc, argv, "file", &bad), "x");
	assert_int_equal(cli_flag(&argc, argv, "j"), 1);
	assert_int_equal(cli_flag(&argc, argv, "j"), 0);
	assert_null(cli_option(&argc, argv, "api", &bad));
	assert_int_equal(bad, 0);
	assert_int_equal(argc, 4);
	assert_string_equal(argv[1], "ports");

	char *last[] = {"show", "--api", NULL};
	argc = 2;
	assert_null(cli_option(&argc, last, "api", &bad));
	assert_int_equal(bad, 1);
}

static void of_an_option_that_is_given_again_the_last_value_counts(void **state) {
	char *argv[] = {"bench", "--time", "1s", "-j", "x", "--time=2s", "-o", "a", "-j", "-o", "b",
		"--quiet", "--quiet", NULL};
	int argc = 13, bad = 0;

	assert_string_equal(cli_option(&argc, argv, "time", &bad), "2s");
	assert_string_equal(cli_option(&argc, argv, "o", &bad), "b");
	assert_int_equal(cli_flag(&argc, argv, "j"), 1);
	assert_int_equal(cli_flag(&argc, argv, "quiet"), 1);
	assert_int_equal(bad, 0);
	assert_int_equal(argc, 2);
	assert_null(argv[2]);

	char *last[] = {"show", "--api", "/a", "--api", NULL};
	argc = 4;
	assert_null(cli_option(&argc, last, "api", &bad));
	assert_int_equal(bad, 1);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_aligned_and_empty_ones_left_out),
		cmocka_unit_test(control_characters_do_not_reach_the_terminal),
		cmocka_unit_test(letters_of_two_bytes_are_one_place_wide),
		cmocka_unit_test(numbers_keep_three_digits),
		cmocka_unit_test(a_difference_is_one_line_a_change),
		cmocka_unit_test(words_become_what_they_look_like),
		cmocka_unit_test(hex_is_read_with_and_without_separators),
		cmocka_unit_test(an_arp_request_in_words_is_one_on_the_wire),
		cmocka_unit_test(a_udp_datagram_in_words_has_right_lengths_and_checksums),
		cmocka_unit_test(wrong_words_for_a_frame_are_named),
		cmocka_unit_test(options_are_found_anywhere_and_taken_out),
		cmocka_unit_test(of_an_option_that_is_given_again_the_last_value_counts),
	};

	return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
