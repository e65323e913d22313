/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "cli/checks.h"
#include "cli/wants.h"

/* `weir host`: all functions of this host together. */

static const struct subcommand table[] = {
	{"plan", "FILE [--force] [-j] [--sysfs DIR] [--state DIR]",
		"Print what would change to bring this host to a file", host_plan_help, host_plan},
	{"apply", "FILE|--resume [--dry-run] [--force] [--wait TIME] [-j]",
		"Bring this host to a file, all or nothing", host_apply_help, host_apply},
	{"verify", "FILE [-j] [--sysfs DIR] [--state DIR]",
		"Tell what is no longer as a file wants it, and why", host_verify_help,
		host_verify},
	{"undo", "[FILE] [--id N] [--dry-run] [--force] [--wait TIME] [-j]",
		"Take back what the last command changed", host_undo_help, host_undo},
	{"watch", "FILE [--every TIME] [--state DIR]",
		"Keep this host as a file wants it, as a service", host_watch_help, host_watch},
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
