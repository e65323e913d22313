/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "cli/hosts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the host's commands have in common. What goes to a standard stream comes back as text. */

static const struct command command = {.name = "vf", .args = "", .brief = "Tests", .help = ""};

enum { WORDS = 16 };
static char *words[WORDS];
static int nwords;

static void line(const char *text) {
	static char copy[256];

	snprintf(copy, sizeof(copy), "%s", text);
	nwords = 0;
	for (char *w = strtok(copy, " "); w != NULL; w = strtok(NULL, " "))
		words[nwords++] = w;
	words[nwords] = NULL;
}

/* Runs with the stream `fd` in a file, whose text it returns. */
static char *said(int fd, int (*run)(void), int *status) {
	static char text[2048];
	FILE *file = tmpfile();
	int old = dup(fd);
	size_t n;

	assert_non_null(file);
	fflush(stdout);
	dup2(fileno(file), fd);
	*status = run();
	fflush(stdout);
	dup2(old, fd);
	close(old);
	rewind(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

static struct host_args args;

static int take_change(void) {
	return host_args_take(&args, &command, &nwords, words, true);
}

static int take_look(void) {
	return host_args_take(&args, &command, &nwords, words, false);
}

static void options_are_taken_wherever_they_stand(void **state) {
	int status;

	line("set --wait 250ms eth0 -j --state /var/x vlan=3 --dry-run --force");
	said(STDERR_FILENO, take_change, &status);
	assert_int_equal(status, -1);
	assert_true(args.json && args.dry && args.force);
	assert_int_equal(args.wait_ms, 250);
	assert_string_equal(args.state, "/var/x");
	assert_string_equal(args.root.at, "");
	assert_false(args.root.recorded);
	assert_int_equal(nwords, 3);
	assert_string_equal(words[2], "vlan=3");
}

static void by_default_another_weir_is_waited_for_and_nothing_is_forced(void **state) {
	int status;

	line("set eth0");
	said(STDERR_FILENO, take_change, &status);
	assert_int_equal(status, -1);
	assert_false(args.json || args.dry || args.force);
	assert_int_equal(args.wait_ms, 10000);
	assert_null(args.state);
}

static void a_command_that_only_looks_has_no_options_of_change(void **state) {
	int status;

	line("list --force");
	said(STDERR_FILENO, take_look, &status);
	assert_int_equal(status, -1);
	assert_string_equal(cli_stray(nwords, words), "--force");
}

static void bad_options_are_one_sentence(void **state) {
	static const struct {
		const char *line, *says;
		int status;
	} bad[] = {
		{"set --wait soon", "weir: vf: --wait: ", STATUS_USAGE},
		{"set --wait 25h", "--wait wants 0s to 24h, not '25h'; see 'weir vf --help'",
			STATUS_USAGE},
		{"set --wait", "--wait wants a duration such as 10s", STATUS_USAGE},
		{"set --state", "--state wants a folder", STATUS_USAGE},
		{"set --sysfs", "--sysfs wants the folder of a recorded tree", STATUS_USAGE},
		{"set --sysfs /proc/self", "there is no /proc/self/sys; --sysfs names a folder",
			STATUS_REFUSED},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int status;
		char *text;

		line(bad[i].line);
		text = said(STDERR_FILENO, take_change, &status);
		assert_int_equal(status, bad[i].status);
		if (strstr(text, bad[i].says) == NULL)
			fail_msg("'%s' does not say '%s'", text, bad[i].says);
		assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	}
}

static int run_bind(const struct command *c, int argc, char **argv) {
	return argc == 2 && strcmp(argv[0], "bind") == 0 ? cli_usage(c, "not %s", argv[1]) : 9;
}

static const struct subcommand table[] = {
	{"bind", "PF VF", "Binds", "\n  more\n", run_bind},
	{"list", "", "Lists", NULL, run_bind},
	{NULL},
};

static int dispatch(void) {
	return subcommand_run(&command, table, nwords, words);
}

static int help(void) {
	return subcommand_help(&command, table, nwords, words);
}

static void a_subcommand_is_named_in_its_messages(void **state) {
	int status;

	line("vf bind eth0");
	assert_string_equal(said(STDERR_FILENO, dispatch, &status),
		"weir: vf bind: not eth0; see 'weir vf bind --help'\n");
	assert_int_equal(status, STATUS_USAGE);
	line("vf bend");
	assert_string_equal(said(STDERR_FILENO, dispatch, &status),
		"weir: vf: no such subcommand 'bend'; there are: bind, list; see 'weir vf "
		"--help'\n");
	assert_int_equal(status, STATUS_USAGE);
	line("vf");
	assert_string_equal(said(STDERR_FILENO, dispatch, &status),
		"weir: vf: do what? there are: bind, list; see 'weir vf --help'\n");
	assert_int_equal(status, STATUS_USAGE);
}

static void each_subcommand_has_help(void **state) {
	int status;

	line("vf bind");
	assert_string_equal(said(STDOUT_FILENO, help, &status),
		"usage: weir vf bind PF VF\n\nBinds.\n\n  more\n");
	assert_int_equal(status, STATUS_DONE);
	line("vf");
	assert_string_equal(said(STDOUT_FILENO, help, &status),
		"usage: weir vf \n\nTests.\n  bind     Binds\n  list     Lists\n");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_taken_wherever_they_stand),
		cmocka_unit_test(by_default_another_weir_is_waited_for_and_nothing_is_forced),
		cmocka_unit_test(a_command_that_only_looks_has_no_options_of_change),
		cmocka_unit_test(bad_options_are_one_sentence),
		cmocka_unit_test(a_subcommand_is_named_in_its_messages),
		cmocka_unit_test(each_subcommand_has_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
