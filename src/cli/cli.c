/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "cli/output.h"

const char *cli_api, *cli_api_given;

/* What is in the text may come from a file or a peer: no escape sequence of theirs reaches a terminal. */
int cli_fail(const char *fmt, ...) {
	char text[2 * ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	output_clean(text);
	fprintf(stderr, "weir: %s\n", text);
	return STATUS_REFUSED;
}

int cli_usage(const struct command *c, const char *fmt, ...) {
	va_list ap;

	fprintf(stderr, "weir: %s: ", c->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see 'weir %s --help'\n", c->name);
	return STATUS_USAGE;
}

void cli_help(const struct command *c) {
	printf("usage: weir %s %s\n\n%s.\n%s", c->name, c->args, c->brief, c->help);
}

static void take_out(int *argc, char **argv, int at, int n) {
	memmove(argv + at, argv + at + n, sizeof(*argv) * (size_t)(*argc - at - n));
	*argc -= n;
	argv[*argc] = NULL;
}

/* Where `--name`, `--name=...` or `-n` stands, -1: nowhere. Nothing after "--" is an option. */
static int find_option(int argc, char **argv, const char *name, bool with_value) {
	size_t n = strlen(name);

	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		const char *a = argv[i];

		if (n == 1 && a[0] == '-' && a[1] == name[0] && a[2] == '\0')
			return i;
		if (n > 1 && strncmp(a, "--", 2) == 0 && strncmp(a + 2, name, n) == 0 &&
			(a[2 + n] == '\0' || (with_value && a[2 + n] == '=')))
			return i;
	}
	return -1;
}

/* Takes the option at `at` out of argv; its value, NULL: it has none. */
static const char *take_option(int *argc, char **argv, int at) {
	const char *value = strncmp(argv[at], "--", 2) == 0 ? strchr(argv[at], '=') : NULL;

	if (value != NULL) {
		take_out(argc, argv, at, 1);
		return value + 1;
	}
	value = argv[at + 1]; // argv ends with NULL
	take_out(argc, argv, at, value != NULL ? 2 : 1);
	return value;
}

const char *cli_option(int *argc, char **argv, const char *name, int *bad) {
	const char *value = NULL;
	int at;

	while ((at = find_option(*argc, argv, name, true)) >= 0) {
		value = take_option(argc, argv, at);
		if (value == NULL)
			*bad = 1;
	}
	return value;
}

int cli_flag(int *argc, char **argv, const char *name) {
	int at, found = 0;

	while ((at = find_option(*argc, argv, name, false)) >= 0) {
		take_out(argc, argv, at, 1);
		found = 1;
	}
	return found;
}

const char *cli_stray(int argc, char **argv) {
	for (int i = 1; i < argc; i++)
		if (argv[i][0] == '-' && argv[i][1] != '\0')
			return argv[i];
	return NULL;
}
