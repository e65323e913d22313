/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "cli/hosts.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/units.h"

enum { WAIT_DEFAULT_MS = 10000, WAIT_MAX_H = 24 };
#define NS_PER_MS 1000000ULL

/* "10s" to milliseconds. Exit status. */
static int take_wait(struct host_args *a, const struct command *c, const char *text) {
	uint64_t ns;
	struct err e;

	if (units_duration(text, &ns, &e) < 0)
		return cli_usage(c, "--wait: %s", e.text);
	if (ns > WAIT_MAX_H * 3600 * 1000 * NS_PER_MS)
		return cli_usage(c, "--wait wants 0s to %dh, not '%.40s'", WAIT_MAX_H, text);
	a->wait_ms = (unsigned)(ns / NS_PER_MS);
	return STATUS_DONE;
}

int host_args_take(
	struct host_args *a, const struct command *c, int *argc, char **argv, bool changes) {
	const char *sysfs, *wait = NULL;
	struct err e;
	int bad = 0;

	*a = (struct host_args){.wait_ms = WAIT_DEFAULT_MS};
	a->json = cli_flag(argc, argv, "j") | cli_flag(argc, argv, "json");
	sysfs = cli_option(argc, argv, "sysfs", &bad);
	if (bad)
		return cli_usage(c, "--sysfs wants the folder of a recorded tree");
	if (changes) {
		a->dry = cli_flag(argc, argv, "dry-run");
		a->force = cli_flag(argc, argv, "force");
		a->state = cli_option(argc, argv, "state", &bad);
		if (bad)
			return cli_usage(c, "--state wants a folder");
		wait = cli_option(argc, argv, "wait", &bad);
		if (bad)
			return cli_usage(c, "--wait wants a duration such as 10s");
	}
	if (wait != NULL && take_wait(a, c, wait) != STATUS_DONE)
		return STATUS_USAGE;
	if (root_open(&a->root, sysfs, &e) < 0)
		return cli_fail("%s", e.text);
	if (a->root.recorded && a->state == NULL) {
		snprintf(a->recorded_state, sizeof(a->recorded_state), "%s%s", a->root.at,
			STORE_DEFAULT);
		a->state = a->recorded_state;
	}
	return -1;
}

static const struct subcommand *find(const struct subcommand *table, const char *name) {
	for (; table->name != NULL; table++)
		if (strcmp(table->name, name) == 0)
			return table;
	return NULL;
}

static int unknown(const struct command *c, const struct subcommand *table, const char *name) {
	char list[256];
	size_t n = 0;

	for (; table->name != NULL && n < sizeof(list); table++)
		n += (size_t)snprintf(
			list + n, sizeof(list) - n, "%s%s", n > 0 ? ", " : "", table->name);
	if (name == NULL)
		return cli_usage(c, "do what? there are: %s", list);
	return cli_usage(c, "no such subcommand '%s'; there are: %s", name, list);
}

/* The command as its subcommand sees it, so that it is named in messages. */
static struct command as(
	const struct command *c, const struct subcommand *s, char *name, size_t size) {
	struct command of = *c;

	snprintf(name, size, "%s %s", c->name, s->name);
	of.name = name;
	of.args = s->args;
	of.brief = s->brief;
	of.help = s->help != NULL ? s->help : "";
	return of;
}

int subcommand_run(const struct command *c, const struct subcommand *table, int argc, char **argv) {
	const struct subcommand *s = argc > 1 ? find(table, argv[1]) : NULL;
	struct command of;
	char name[64];

	if (s == NULL)
		return unknown(c, table, argc > 1 ? argv[1] : NULL);
	of = as(c, s, name, sizeof(name));
	return s->run(&of, argc - 1, argv + 1);
}

int subcommand_help(
	const struct command *c, const struct subcommand *table, int argc, char **argv) {
	const struct subcommand *s = argc > 1 ? find(table, argv[1]) : NULL;
	struct command of;
	char name[64];
	int width = 8;

	if (s == NULL && argc > 1 && argv[1][0] != '-')
		return unknown(c, table, argv[1]);
	if (s != NULL) {
		of = as(c, s, name, sizeof(name));
		cli_help(&of);
		return STATUS_DONE;
	}
	cli_help(c);
	for (const struct subcommand *t = table; t->name != NULL; t++)
		width = (int)strlen(t->name) > width ? (int)strlen(t->name) : width;
	for (; table->name != NULL; table++)
		printf("  %-*s %s\n", width, table->name, table->brief);
	return STATUS_DONE;
}
