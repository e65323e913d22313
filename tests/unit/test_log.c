/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

/* What reaches the log of what others say, and how much of it. */

static char said[256 << 10];

/* Standard error goes to a file until `told`. */
static int real = -1;

static void listen_up(void) {
	FILE *f = tmpfile();

	assert_non_null(f);
	real = dup(STDERR_FILENO);
	dup2(fileno(f), STDERR_FILENO);
	fclose(f);
}

static unsigned told(void) {
	off_t size = lseek(STDERR_FILENO, 0, SEEK_CUR);
	unsigned lines = 0;
	ssize_t n = pread(STDERR_FILENO, said, sizeof(said) - 1, 0);

	said[n > 0 ? n : 0] = '\0';
	dup2(real, STDERR_FILENO);
	close(real);
	assert_true(size < (off_t)sizeof(said));
	for (const char *p = said; *p != '\0'; p++)
		lines += *p == '\n';
	return lines;
}

static void a_flood_about_a_port_is_counted_and_told_in_one_line(void **state) {
	listen_up();
	for (int i = 0; i < 21000; i++)
		log_limited(LOG_L_WARN, "port vm1", "shut: ended after %d bytes of a message", i);
	log_limited(LOG_L_WARN, "port vm2", "shut: ended after 3 bytes of a message");
	log_limited(LOG_L_WARN, "port vm1", "shut: no memory");
	log_flush(true);
	assert_int_equal(told(), 5 + 1 + 1 + 1);
	assert_non_null(strstr(said, "port vm1: shut: ended after 0 bytes of a message\n"));
	assert_non_null(strstr(said, "port vm1: 20995 more of these in 0 s: shut: ended after "
				     "20999 bytes of a message\n"));
	assert_non_null(strstr(said, "port vm2: shut: ended after 3 bytes"));
	assert_non_null(strstr(said, "port vm1: shut: no memory\n"));
}

static void who_varies_the_reason_gets_no_further(void **state) {
	unsigned lines;

	listen_up();
	for (int i = 0; i < 21000; i++) // words, not numbers
		log_limited(LOG_L_WARN, "port vm1", "shut: by %c%c%c", 'a' + i % 26,
			'a' + i / 26 % 26, 'a' + i / 676);
	log_limited(LOG_L_WARN, "port vm2", "shut: no memory");
	log_flush(true);
	lines = told();
	assert_true(lines > 8 && lines <= 16);
	assert_non_null(strstr(said, "port vm1: 20987 more of other kinds in 0 s\n"));
	assert_non_null(strstr(said, "port vm2: shut: no memory\n"));
}

static void many_subjects_are_bounded_and_none_is_forgotten(void **state) {
	char subject[32];
	unsigned sum = 0, n;

	listen_up();
	for (int i = 0; i < 400; i++) {
		snprintf(subject, sizeof(subject), "port p%d", i);
		for (int k = 0; k < 7; k++)
			log_limited(LOG_L_WARN, subject, "shut");
	}
	log_flush(true);
	assert_int_equal(told(), 400 * 6);
	for (const char *p = said; (p = strstr(p, " more of these")) != NULL; p++) {
		assert_int_equal(sscanf(p - 1, "%u", &n), 1);
		sum += n;
	}
	assert_int_equal(sum, 400 * 2);
}

static void nothing_that_a_terminal_obeys_reaches_the_log(void **state) {
	listen_up();
	log_warn("port vm1: refused %s", "\x1b]0;owned\x07\x1b[2J\nfoo\r\xc2\x9b"
					 "31m\xff");
	assert_int_equal(told(), 1);
	assert_non_null(strstr(said, "port vm1: refused ?]0;owned??[2J?foo??31m?\n"));
}

static void words_of_all_languages_stay_as_they_are(void **state) {
	static const struct {
		const char *from, *to;
	} cases[] = {{"", ""},
		{"Gr\u00fc\u00dfe \u6771\u4eac \U0001f30a",
			"Gr\u00fc\u00dfe \u6771\u4eac \U0001f30a"},
		{"a\tb\x7f", "a?b?"}, {"\xc0\x8a", "??"}, {"\xe2\x82", "??"},
		{"\xed\xa0\x80", "???"}, {"x\u202ey", "x?y"}, {"x\u2028y", "x?y"},
		{"\xf4\x90\x80\x80", "????"}};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[64];

		strcpy(text, cases[i].from);
		text_clean(text);
		assert_string_equal(text, cases[i].to);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flood_about_a_port_is_counted_and_told_in_one_line),
		cmocka_unit_test(who_varies_the_reason_gets_no_further),
		cmocka_unit_test(many_subjects_are_bounded_and_none_is_forgotten),
		cmocka_unit_test(nothing_that_a_terminal_obeys_reaches_the_log),
		cmocka_unit_test(words_of_all_languages_stay_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
