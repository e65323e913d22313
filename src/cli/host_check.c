/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>

#include "base/err.h"
#include "cli/checks.h"
#include "cli/output.h"
#include "host/check/check.h"

const char host_check_help[] =
	"\n"
	"A linter: each finding has a severity, what it is about, what it rests on and what to "
	"do.\n"
	"An error does not work or harms others, a warning works but not as one would wish, a note "
	"is\n"
	"good to know. What cannot be told from here is not said. Exit status 1 when there is an "
	"error.\n"
	"\n"
	"  --only RULES   these rules alone, with commas between\n"
	"  --rules        list the rules; with -j as JSON\n"
	"  --state DIR    where journal and owners are kept (default " STORE_DEFAULT ",\n"
	"                 of a recorded tree DIR/var/lib/weir/host)\n" HOST_ARGS_HELP;

static int list_rules(bool json) {
	static const struct column columns[] = {
		{"RULE", "rule", CELL_TEXT},
		{"FINDS", "finds", CELL_TEXT},
		{NULL},
	};
	json_t *rows = json_array();

	for (const struct check_rule *r = check_rules; r->name != NULL; r++)
		json_array_append_new(
			rows, json_pack("{s:s, s:s}", "rule", r->name, "finds", r->brief));
	if (json)
		output_json(stdout, rows);
	else
		output_table(stdout, columns, rows);
	json_decref(rows);
	return STATUS_DONE;
}

static void print_json(const struct findings *f) {
	json_t *list = json_array(), *v;

	for (unsigned i = 0; i < f->n; i++)
		json_array_append_new(list, finding_json(&f->of[i]));
	v = json_pack("{s:i, s:i, s:i, s:o}", "errors", (int)f->count[SEVERITY_ERROR], "warnings",
		(int)f->count[SEVERITY_WARNING], "notes", (int)f->count[SEVERITY_NOTE], "findings",
		list);
	output_json(stdout, v);
	json_decref(v);
}

static void print_finding(const struct finding *f) {
	struct finding clean = *f; // file names and configuration lines are others'

	output_clean(clean.subject);
	output_clean(clean.evidence);
	output_clean(clean.remedy);
	printf("  %s: %s [%s]\n", clean.subject, clean.evidence, clean.rule);
	if (clean.remedy[0] != '\0')
		printf("    -> %s\n", clean.remedy);
}

static void print_text(const struct findings *f) {
	enum severity last = SEVERITY_GOOD;

	for (unsigned i = 0; i < f->n; i++) {
		if (f->of[i].severity != last)
			printf("%s%ss: %u\n", i > 0 ? "\n" : "", severity_name(f->of[i].severity),
				f->count[f->of[i].severity]);
		last = f->of[i].severity;
		print_finding(&f->of[i]);
	}
	if (f->n == 0)
		puts("nothing found");
}

static int check(const struct command *c, const struct host_args *with, const char *state,
	const char *only) {
	char in_tree[PATH_MAX];
	struct findings f = {.n = 0};
	struct users *users;
	struct host h;
	struct err e;
	int rc;

	if (state == NULL && with->root.recorded) {
		snprintf(in_tree, sizeof(in_tree), "%s" STORE_DEFAULT, with->root.at);
		state = in_tree;
	}
	if (host_read(&h, &with->root, &e) < 0)
		return cli_fail("%s", e.text);
	h.state = state;
	users = users_read(&h);
	rc = users != NULL ? check_run(&f, &h, users, only, &e)
			   : err_set(&e, ENOMEM, "no memory to see who uses what");
	users_free(users);
	host_free(&h);
	if (rc == -EINVAL)
		return cli_usage(c, "--only: %s", e.text);
	if (rc < 0)
		return cli_fail("%s", e.text);
	if (with->json)
		print_json(&f);
	else
		print_text(&f);
	rc = f.count[SEVERITY_ERROR] > 0 ? STATUS_REFUSED : STATUS_DONE;
	findings_free(&f);
	return rc;
}

int host_check(const struct command *c, int argc, char **argv) {
	struct host_args with;
	const char *only, *state;
	bool rules;
	int bad = 0, status = host_args_take(&with, c, &argc, argv, false);

	if (status >= 0)
		return status;
	only = cli_option(&argc, argv, "only", &bad);
	if (bad)
		return cli_usage(c, "--only wants names of rules; --rules lists them");
	state = cli_option(&argc, argv, "state", &bad);
	if (bad)
		return cli_usage(c, "--state wants a folder");
	rules = cli_flag(&argc, argv, "rules");
	if (argc > 1)
		return cli_usage(c, "what is '%s'? it takes options alone", argv[1]);
	return rules ? list_rules(with.json) : check(c, &with, state, only);
}
