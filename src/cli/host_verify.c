/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/output.h"
#include "cli/wants.h"
#include "host/want/drift.h"

const char host_verify_help[] =
	"\n"
	"Prints each attribute that is not as FILE wants it, and where it can be told, why. Exit\n"
	"status 1 when there is one.\n"
	"\n"
	"  FILE           desired state, see weir-host.yaml(5)\n"
	"  --state DIR    where journal and owners are kept (default " STORE_DEFAULT
	")\n" HOST_ARGS_HELP;

/* {"function", "vf", "attribute", "is", "want", "by", "why"}, and "who" for the table. */
static json_t *rows_of(const struct desired *d, const struct plan *p) {
	json_t *rows = json_array(), *memory = drift_memory(&d->host);

	for (unsigned i = 0; i < p->ndrift; i++) {
		json_t *row = drift_json(&d->aims, &p->drift[i]);
		char why[160];

		drift_why(memory, &d->host, &p->drift[i], why, sizeof(why));
		json_object_set_new(row, "why", why[0] != '\0' ? json_string(why) : json_null());
		json_array_append_new(rows, row);
	}
	json_decref(memory);
	return rows;
}

static void print_text(const struct desired *d, const struct plan *p, json_t *rows) {
	static const struct column columns[] = {
		{"FUNCTION", "who", CELL_TEXT},
		{"ATTRIBUTE", "attribute", CELL_TEXT},
		{"IS", "is", CELL_TEXT},
		{"WANTED", "want", CELL_TEXT},
		{"BY", "by", CELL_TEXT},
		{"WHY", "why", CELL_TEXT},
		{NULL},
	};
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		char who[PCI_SLOT_MAX + 16];

		snprintf(who, sizeof(who), p->drift[i].vf >= 0 ? "%s vf %d" : "%s",
			p->drift[i].slot, p->drift[i].vf);
		json_object_set_new(row, "who", json_string(who));
	}
	if (p->ndrift == 0)
		puts("as wanted");
	else
		output_table(stdout, columns, rows);
	left_print(&d->aims, p);
}

int host_verify(const struct command *c, int argc, char **argv) {
	struct host_args a;
	struct desired d;
	struct plan p;
	struct err e;
	json_t *rows, *v;
	int status = desired_args(&a, c, &argc, argv, false);

	if (status >= 0)
		return status;
	status = desired_read(&d, &a, argv[1]);
	if (status != STATUS_DONE)
		return status;
	if (plan_look(&p, &d.aims, &d.host, &e) < 0) {
		desired_free(&d);
		return cli_fail("%s", e.text);
	}
	rows = rows_of(&d, &p);
	if (a.json) {
		v = json_pack("{s:O, s:o}", "drift", rows, "left", left_list(&d.aims, &p));
		output_json(stdout, v);
		json_decref(v);
	} else {
		print_text(&d, &p, rows);
	}
	status = p.ndrift > 0 ? STATUS_REFUSED : STATUS_DONE;
	json_decref(rows);
	plan_free(&p);
	desired_free(&d);
	return status;
}

const char host_undo_help[] =
	"\n"
	"Takes back the newest transaction that is not taken back yet, also one that was cut off:\n"
	"what each attribute was before is written again, in the opposite order.\n"
	"\n"
	"  FILE           only if it was an apply of this file\n"
	"  --id N         that transaction\n" HOST_CHANGE_HELP HOST_ARGS_HELP;

/* The newest transaction that undo would take; 0: none. */
static unsigned newest(const struct host_args *a, char command[COMMAND_MAX]) {
	const char *state = store_folder(a->state);
	unsigned id = 0;

	while ((id = journal_before(state, id)) != 0) {
		struct journal j;
		struct err ignored;

		if (journal_open(&j, state, id, &ignored) < 0)
			continue;
		snprintf(command, COMMAND_MAX, "%s", j.command);
		journal_close(&j);
		if (j.end == END_APPLIED || j.end == END_NONE)
			return id;
	}
	return 0;
}

static int of_file(const struct host_args *a, const char *file, unsigned *id) {
	char command[COMMAND_MAX], found[COMMAND_MAX] = "";

	desired_command(command, file);
	*id = newest(a, found);
	if (*id == 0)
		return cli_fail("nothing was changed that could be taken back");
	if (strcmp(command, found) != 0)
		return cli_fail(
			"the last transaction (%u) was '%s', not of %s; leave FILE out to take "
			"it back, or name one with --id",
			*id, found, file);
	return STATUS_DONE;
}

static int take_id(const struct command *c, int *argc, char **argv, unsigned *id) {
	int bad = 0;
	const char *text = cli_option(argc, argv, "id", &bad);
	unsigned long n = 0;
	char *end;

	if (text != NULL)
		n = strtoul(text, &end, 10);
	if (bad || (text != NULL && (n == 0 || n > UINT32_MAX || *end != '\0' || text[0] == '-')))
		return cli_usage(c, "--id wants the number of a transaction, 1 or more");
	*id = (unsigned)n;
	return -1;
}

int host_undo(const struct command *c, int argc, char **argv) {
	struct changes back = {0};
	struct host_args a;
	struct apply with;
	struct err e;
	unsigned id = 0;
	int status = host_args_take(&a, c, &argc, argv, true);

	if (status < 0)
		status = take_id(c, &argc, argv, &id);
	if (status >= 0)
		return status;
	if (cli_stray(argc, argv) != NULL)
		return cli_usage(c, "no such option '%s'", cli_stray(argc, argv));
	if (argc > 2 || (argc == 2 && id != 0))
		return cli_usage(c, "give a FILE, or --id N, or neither");
	if (a.root.recorded)
		return cli_fail("%s is a recorded tree, which is never changed", a.root.at);
	status = argc == 2 ? of_file(&a, argv[1], &id) : STATUS_DONE;
	if (status != STATUS_DONE)
		return status;
	with = host_args_apply(&a, "host undo");
	if (apply_undo(&with, id, &back, &e) < 0 ||
		(!a.dry && apply_undo(&with, id, NULL, &e) < 0)) {
		changes_free(&back);
		return cli_fail("%s", e.text);
	}
	host_args_show(&a, &back, !a.dry, NULL);
	changes_free(&back);
	return STATUS_DONE;
}
