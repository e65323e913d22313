/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_CLI_HOSTS_H
#define WEIR_CLI_HOSTS_H

#include <stdbool.h>

#include "cli/cli.h"
#include "host/change/apply.h"
#include "host/change/store.h"
#include "host/host.h"

/* What the commands that prepare the host (nic, vf, pci, host, export) have in common: their options, and
 * how changes are shown and made. */

struct host_args {
	struct root root;
	bool json, dry; /* -j, --dry-run */
	bool force; /* --force */
	/* --state DIR, NULL: the default; of a recorded tree what it has of weir's own records */
	const char *state;
	char recorded_state[sizeof((struct root){0}.at) + sizeof(STORE_DEFAULT)];
	unsigned wait_ms; /* --wait DURATION for another weir, default 10 s */
};

#define HOST_ARGS_HELP            \
	"  -j             JSON\n" \
	"  --sysfs DIR    look at a recorded tree (DIR/sys, ...) instead of this host\n"
#define HOST_CHANGE_HELP                                                                 \
	"  --dry-run      print what would change, change nothing\n"                     \
	"  --force        also change what is in use, or was changed by somebody else\n" \
	"  --wait TIME    for another weir that is changing this host (default 10s)\n"   \
	"  --state DIR    where journal and owners are kept (default " STORE_DEFAULT ")\n"

/* Takes them out of argv (the change options only where `changes`). -1 when all is well, else the exit
 * status to return, after the sentence. */
int host_args_take(
	struct host_args *a, const struct command *c, int *argc, char **argv, bool changes);

/* Makes the changes, unless --dry-run, and prints them ("0000:01:00.0 vf 3  vlan  0 -> 100"; with -j
 * {"changes": [...], "done": bool, "transaction": what undo takes, 0: none}). A recorded tree is never
 * changed; with --dry-run it is judged all the same whether they would be begun. Exit status. */
int host_args_change(const struct host_args *a, const char *command, const struct changes *l);
/* The same, with members of `more` (NULL: none; taken over) in the JSON. */
int host_args_change_with(
	const struct host_args *a, const char *command, const struct changes *l, json_t *more);
/* Only the printing. */
void host_args_show(const struct host_args *a, const struct changes *l, bool done, json_t *more);
/* How the engine is called with these arguments. */
struct apply host_args_apply(const struct host_args *a, const char *command);
/* The same for a command that picked a function itself: it is named first ({"function": ...} with -j). */
int host_args_change_of(
	const struct host_args *a, const char *command, const struct changes *l, const char *slot);

/* One of a command's subcommands: table with NULL name at its end. */
struct subcommand {
	const char *name, *args, *brief;
	const char *help; /* whole lines, NULL: none */
	int (*run)(const struct command *c, int argc, char **argv); /* argv[0] is its name */
};
int subcommand_run(const struct command *c, const struct subcommand *table, int argc, char **argv);
int subcommand_help(const struct command *c, const struct subcommand *table, int argc, char **argv);

#endif
