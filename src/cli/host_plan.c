/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/output.h"
#include "cli/wants.h"
#include "host/change/guard.h"
#include "host/want/drift.h"

void desired_command(char command[COMMAND_MAX], const char *file) {
	char *full = realpath(file, NULL);

	snprintf(command, COMMAND_MAX, "host apply %s", full != NULL ? full : file);
	free(full);
}

int desired_read(struct desired *d, const struct host_args *a, const char *file) {
	struct err e;

	*d = (struct desired){0};
	desired_command(d->command, file);
	if (want_load(&d->want, file, &e) < 0)
		return cli_fail("%s", e.text);
	if (host_read(&d->host, &a->root, &e) < 0) {
		want_free(d->want);
		return cli_fail("%s", e.text);
	}
	d->host.state = a->state;
	if (want_resolve(&d->aims, d->want, &d->host, &e) == 0)
		return STATUS_DONE;
	desired_free(d);
	return cli_fail("%s", e.text);
}

void desired_free(struct desired *d) {
	aims_free(&d->aims);
	host_free(&d->host);
	want_free(d->want);
}

void left_print(const struct aims *a, const struct plan *p) {
	for (unsigned i = 0; i < p->nleft; i++) {
		char by[WANT_NAME_MAX + 16];

		printf("%s vf %d belongs to %s and is left alone (%s)\n", p->left[i].aim->fn->slot,
			p->left[i].aim->vf, p->left[i].owner,
			aim_name(a, p->left[i].aim, by, sizeof(by)));
	}
}

json_t *left_list(const struct aims *a, const struct plan *p) {
	json_t *list = json_array();

	for (unsigned i = 0; i < p->nleft; i++)
		json_array_append_new(list, left_json(a, &p->left[i]));
	return list;
}

int desired_args(
	struct host_args *a, const struct command *c, int *argc, char **argv, bool changes) {
	int bad = 0, status = host_args_take(a, c, argc, argv, changes);
	const char *state;

	if (status >= 0)
		return status;
	state = changes ? NULL : cli_option(argc, argv, "state", &bad);
	if (bad)
		return cli_usage(c, "--state wants a folder");
	if (state != NULL)
		a->state = state;
	if (cli_stray(*argc, argv) != NULL)
		return cli_usage(c, "no such option '%s'", cli_stray(*argc, argv));
	if (*argc != 2)
		return cli_usage(c, "give one FILE with the desired state");
	return -1;
}

const char host_plan_help[] =
	"\n"
	"Prints the changes in the order in which 'weir host apply' makes them, attribute by\n"
	"attribute, or that there is nothing to change. Exit status 1 when apply would refuse "
	"them,\n"
	"for something is in use or belongs to somebody else.\n"
	"\n"
	"  FILE           desired state, see weir-host.yaml(5)\n"
	"  --force        plan also what takes a VF from its owner\n"
	"  --state DIR    where journal and owners are kept (default " STORE_DEFAULT
	")\n" HOST_ARGS_HELP;

int host_plan(const struct command *c, int argc, char **argv) {
	struct host_args a;
	struct desired d;
	struct plan p;
	struct err e;
	bool force = cli_flag(&argc, argv, "force");
	int status = desired_args(&a, c, &argc, argv, false), rc;

	if (status >= 0)
		return status;
	status = desired_read(&d, &a, argv[1]);
	if (status != STATUS_DONE)
		return status;
	rc = plan_make(&p, &d.aims, &d.host, &(struct plan_options){.force = force}, &e);
	if (rc == 0) {
		host_args_show(
			&a, &p.changes, false, json_pack("{s:o}", "left", left_list(&d.aims, &p)));
		if (!a.json)
			left_print(&d.aims, &p);
		if (!force)
			rc = guard_changes(&d.host, &p.changes, &e);
		plan_free(&p);
	}
	desired_free(&d);
	return rc < 0 ? cli_fail("%s", e.text) : status;
}

const char host_apply_help[] =
	"\n"
	"Makes the changes that 'weir host plan' prints, reads each back, and takes all of them "
	"back\n"
	"when one fails. An apply of FILE that was cut off is gone on with first; one of "
	"something\n"
	"else has to be taken back ('weir host undo') or gone on with (--resume).\n"
	"\n"
	"  FILE           desired state, see weir-host.yaml(5)\n"
	"  --resume       go on with whatever was cut off, without a FILE\n" HOST_CHANGE_HELP
		HOST_ARGS_HELP;

/* What was cut off and is called `command` (NULL: whatever it is) is finished. */
static int resume(const struct host_args *a, const char *command, bool *resumed) {
	const struct apply with =
		host_args_apply(a, command != NULL ? command : "host apply --resume");
	char cut[COMMAND_MAX];
	unsigned id;
	struct err e;
	int rc;

	*resumed = false;
	if (a->root.recorded)
		return STATUS_DONE;
	rc = apply_pending(&with, &id, cut, sizeof(cut), &e);
	if (rc > 0 && (command == NULL || strcmp(command, cut) == 0)) {
		*resumed = true;
		fprintf(stderr, "weir: transaction %u (%s) was cut off in the middle; %s\n", id,
			cut, a->dry ? "it would be gone on with first" : "going on with it");
		rc = a->dry ? 0 : apply_resume(&with, &e);
	}
	return rc < 0 ? cli_fail("%s", e.text) : STATUS_DONE;
}

/* What is remembered is not worth failing for: the changes are made. */
static void remember(const struct host_args *a, const struct desired *d) {
	struct host h;
	struct err e;

	if (host_read(&h, &a->root, &e) == 0) {
		struct aims aims;

		h.state = a->state;
		if (want_resolve(&aims, d->want, &h, &e) == 0) {
			if (drift_remember(&aims, &h, &e) < 0)
				fprintf(stderr, "weir: %s\n", e.text);
			aims_free(&aims);
		}
		host_free(&h);
	}
}

static int apply_file(const struct host_args *a, const char *file) {
	struct desired d;
	struct plan p;
	struct err e;
	int status = desired_read(&d, a, file);

	if (status != STATUS_DONE)
		return status;
	if (plan_make(&p, &d.aims, &d.host, &(struct plan_options){.force = a->force}, &e) < 0) {
		desired_free(&d);
		return cli_fail("%s", e.text);
	}
	status = host_args_change_with(
		a, d.command, &p.changes, json_pack("{s:o}", "left", left_list(&d.aims, &p)));
	if (status == STATUS_DONE && !a->json)
		left_print(&d.aims, &p);
	if (status == STATUS_DONE && !a->dry)
		remember(a, &d);
	plan_free(&p);
	desired_free(&d);
	return status;
}

int host_apply(const struct command *c, int argc, char **argv) {
	bool any = cli_flag(&argc, argv, "resume"), resumed;
	char command[COMMAND_MAX];
	struct host_args a;
	int status;

	if (!any) {
		status = desired_args(&a, c, &argc, argv, true);
		if (status >= 0)
			return status;
		desired_command(command, argv[1]);
		status = resume(&a, command, &resumed);
		return status == STATUS_DONE ? apply_file(&a, argv[1]) : status;
	}
	status = host_args_take(&a, c, &argc, argv, true);
	if (status >= 0)
		return status;
	if (argc > 1)
		return cli_usage(c, "--resume goes on with what was cut off; it takes no FILE");
	status = resume(&a, NULL, &resumed);
	if (status == STATUS_DONE && !resumed)
		return cli_fail("nothing was cut off; there is nothing to go on with");
	return status;
}
