/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "cli/checks.h"

/* `weir host`: all functions of this host together. */

static const struct subcommand table[] = {
	{"check", "[--only RULE,...] [-j] [--sysfs DIR] | --rules",
		"Find what is wrong with this host's functions", host_check_help, host_check},
	{NULL},
};

static int run(const struct command *c, int argc, char **argv) {
	return subcommand_run(c, table, argc, argv);
}

static int show_help(const struct command *c, int argc, char **argv) {
	return subcommand_help(c, table, argc, argv);
}

const struct command cmd_host = {
	"host",
	"SUBCOMMAND ...",
	"Prepare this host for VMs on virtual functions",
	"\n",
	run,
	show_help,
};
