/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdio.h>

#include "base/err.h"
#include "cli/hosts.h"
#include "cli/output.h"

/* As rows of a table; what goes with its VF is counted below it. */
static json_t *rows_of(const struct changes *l) {
	json_t *rows = json_array();

	for (unsigned i = 0; i < l->n; i++) {
		const struct change *c = &l->c[i];
		char who[PCI_SLOT_MAX + 16], what[2 * ATTR_TEXT_MAX + 8];

		if (c->implied)
			continue;
		if (c->vf >= 0)
			snprintf(who, sizeof(who), "%s vf %d", c->slot, c->vf);
		else
			snprintf(who, sizeof(who), "%s", c->slot);
		snprintf(what, sizeof(what), "%s -> %s", c->from[0] != '\0' ? c->from : "new",
			c->to);
		json_array_append_new(rows, json_pack("{s:s, s:s, s:s}", "who", who, "attr",
						    attr_name(c->attr), "change", what));
	}
	return rows;
}

static void print_table(const struct changes *l) {
	static const struct column columns[] = {
		{"FUNCTION", "who", CELL_TEXT},
		{"ATTRIBUTE", "attr", CELL_TEXT},
		{"CHANGE", "change", CELL_TEXT},
		{NULL},
	};
	json_t *rows = rows_of(l);
	size_t implied = l->n - json_array_size(rows);

	if (l->n == 0)
		puts("nothing to change");
	else
		output_table(stdout, columns, rows);
	if (implied > 0)
		printf("%zu settings of VFs go with them (-j lists them)\n", implied);
	json_decref(rows);
}

/* {"changes": [...], "done": made, not only planned, "transaction": what undo takes, 0: none} */
static void print_json(const struct changes *l, bool done, unsigned id, const json_t *more) {
	json_t *list = json_array(), *v;

	for (unsigned i = 0; i < l->n; i++)
		json_array_append_new(list, change_json(&l->c[i]));
	v = json_pack("{s:o, s:b, s:i}", "changes", list, "done", done, "transaction", (int)id);
	json_object_update(v, (json_t *)(uintptr_t)more);
	output_json(stdout, v);
	json_decref(v);
}

static void show(
	const struct host_args *a, const struct changes *l, bool done, unsigned id, json_t *more) {
	if (a->json)
		print_json(l, done, id, more);
	else
		print_table(l);
	json_decref(more);
}

void host_args_show(const struct host_args *a, const struct changes *l, bool done, json_t *more) {
	show(a, l, done, 0, more);
}

struct apply host_args_apply(const struct host_args *a, const char *command) {
	return (struct apply){.root = &a->root,
		.state = a->state,
		.command = command,
		.wait_ms = a->wait_ms,
		.force = a->force};
}

/* Makes them, or with --dry-run judges whether they would be begun. Exit status. */
static int make(
	const struct host_args *a, const char *command, const struct changes *l, unsigned *id) {
	struct apply with = host_args_apply(a, command);
	struct err e;

	*id = 0;
	if (!a->dry && a->root.recorded)
		return cli_fail("%s is a recorded tree, which is never changed; --dry-run prints "
				"what would change",
			a->root.at);
	if (l->n > 0 && (a->dry ? apply_check(&with, l, &e) : apply_changes(&with, l, id, &e)) < 0)
		return cli_fail("%s", e.text);
	return STATUS_DONE;
}

int host_args_change_with(
	const struct host_args *a, const char *command, const struct changes *l, json_t *more) {
	unsigned id;
	int status = make(a, command, l, &id);

	if (status == STATUS_DONE)
		show(a, l, !a->dry, id, more);
	else
		json_decref(more);
	return status;
}

int host_args_change_of(
	const struct host_args *a, const char *command, const struct changes *l, const char *slot) {
	unsigned id;
	int status = make(a, command, l, &id);

	if (status != STATUS_DONE)
		return status;
	if (!a->json)
		puts(slot);
	show(a, l, !a->dry, id, json_pack("{s:s}", "function", slot));
	return STATUS_DONE;
}

int host_args_change(const struct host_args *a, const char *command, const struct changes *l) {
	return host_args_change_with(a, command, l, NULL);
}
