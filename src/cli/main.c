/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "control/config.h"

static const struct command *const commands[] = {
	&cmd_switch,
	&cmd_apply,
	&cmd_port,
	&cmd_network,
	&cmd_show,
	&cmd_top,
	&cmd_trace,
	&cmd_capture,
	&cmd_bench,
	&cmd_nic,
	&cmd_vf,
	&cmd_pci,
	&cmd_host,
	&cmd_export,
};
enum { NCOMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void print_overview(FILE *f) {
	fputs("weir: carries and measures the traffic of virtual machines, and prepares their "
	      "host\n\n"
	      "usage: weir [--api PATH] COMMAND [ARGUMENTS]\n\n",
		f);
	for (int i = 0; i < NCOMMANDS; i++)
		fprintf(f, "  %-9s %s\n", commands[i]->name, commands[i]->brief);
	fprintf(f,
		"  %-9s %s\n\n"
		"  --api PATH   socket of the switch to talk to; else WEIR_API, else %s\n"
		"  --version    print the version\n\n"
		"'weir COMMAND --help' tells more of one. Exit status: 0 done, 1 refused or "
		"failed, 2 usage.\n",
		"help", "this text, or that of a command", CONFIG_API_DEFAULT);
}

/* argv[0] is the command. */
static int help_of(const struct command *c, int argc, char **argv) {
	if (c->show_help != NULL)
		return c->show_help(c, argc, argv);
	cli_help(c);
	return STATUS_DONE;
}

static const struct command *find(const char *name) {
	for (int i = 0; i < NCOMMANDS; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static int unknown(const char *name) {
	fprintf(stderr, "weir: no such command '%s'; there are:", name);
	for (int i = 0; i < NCOMMANDS; i++)
		fprintf(stderr, " %s%s", commands[i]->name, i + 1 < NCOMMANDS ? "," : "\n");
	return STATUS_USAGE;
}

static int help(int argc, char **argv) {
	const struct command *c = argc > 1 ? find(argv[1]) : NULL;

	if (argc > 1 && c == NULL)
		return unknown(argv[1]);
	if (c != NULL)
		return help_of(c, argc - 1, argv + 1);
	print_overview(stdout);
	return STATUS_DONE;
}

static int run(int argc, char **argv) {
	const struct command *c = find(argv[0]);

	if (strcmp(argv[0], "help") == 0 || strcmp(argv[0], "--help") == 0 ||
		strcmp(argv[0], "-h") == 0)
		return help(argc, argv);
	if (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "-V") == 0) {
		puts("weir " WEIR_VERSION);
		return STATUS_DONE;
	}
	if (argv[0][0] == '-') {
		fprintf(stderr, "weir: no such option '%s'; see 'weir help'\n", argv[0]);
		return STATUS_USAGE;
	}
	if (c == NULL)
		return unknown(argv[0]);
	if (cli_flag(&argc, argv, "help") || cli_flag(&argc, argv, "h"))
		return help_of(c, argc, argv);
	return c->run(c, argc, argv);
}

int main(int argc, char **argv) {
	const char *env = getenv("WEIR_API");
	int bad = 0, status;
	const char *api;

	api = cli_option(&argc, argv, "api", &bad);
	if (bad || (api != NULL && api[0] == '\0')) {
		fputs("weir: --api wants the path of a socket; see 'weir help'\n", stderr);
		return STATUS_USAGE;
	}
	cli_api_given = api;
	cli_api = api != NULL ? api : env != NULL && env[0] != '\0' ? env : NULL;
	if (argc < 2) {
		print_overview(stderr);
		return STATUS_USAGE;
	}
	status = run(argc - 1, argv + 1);
	if (fflush(stdout) != 0 && status == STATUS_DONE)
		return cli_fail("standard output: %m");
	return status;
}
