/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_CLI_WANTS_H
#define WEIR_CLI_WANTS_H

#include "cli/hosts.h"
#include "host/change/journal.h"
#include "host/want/plan.h"

/* What the commands with a desired state have in common: `weir host plan|apply|verify|undo|watch FILE`. */

struct desired {
	struct want *want;
	struct host host;
	struct aims aims;
	char command
		[COMMAND_MAX]; /* "host apply /etc/weir/host.yaml": what journal and lock call it */
};

/* Takes the options and FILE alone; of the change options only --state where not `changes`. -1 when all is
 * well, else an exit status. */
int desired_args(
	struct host_args *a, const struct command *c, int *argc, char **argv, bool changes);

/* Reads FILE and the host, and puts one against the other. Exit status; STATUS_DONE: `d` is to be given to
 * desired_free. */
int desired_read(struct desired *d, const struct host_args *a, const char *file);
void desired_free(struct desired *d);
/* What an apply of FILE is called, wherever it is called from. */
void desired_command(char command[COMMAND_MAX], const char *file);

/* VFs that are left alone, a line each; or as a new list. */
void left_print(const struct aims *a, const struct plan *p);
json_t *left_list(const struct aims *a, const struct plan *p);

int host_plan(const struct command *c, int argc, char **argv);
int host_apply(const struct command *c, int argc, char **argv);
int host_verify(const struct command *c, int argc, char **argv);
int host_undo(const struct command *c, int argc, char **argv);
int host_watch(const struct command *c, int argc, char **argv);
extern const char host_plan_help[], host_apply_help[], host_verify_help[], host_undo_help[],
	host_watch_help[];

#endif
