/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "cli/output.h"
#include "cli/vf.h"
#include "host/prove/prove.h"

/* weir vf prove */

enum { PROVE_VFS = 2 }; /* that it takes */

static volatile sig_atomic_t stop;

static void on_signal(int number) {
	stop = number;
}

/* From here on a signal means: come to an end, but put all back. */
static void catch_signals(void) {
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction s = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &s, NULL);
}

static const char *words(enum prove_verdict v) {
	return v == PROVE_NOT_ENFORCED ? "accepted but not enforced" : prove_verdict_name(v);
}

static void print_table(const json_t *known) {
	static const struct column columns[] = {
		{"PROTECTION", "what", CELL_TEXT},
		{"VERDICT", "verdict", CELL_TEXT},
		{"FRAMES THAT ARRIVED, OR WHY NOT", "text", CELL_TEXT},
		{NULL},
	};
	const json_t *findings = json_object_get(known, "findings"), *f;
	json_t *rows = json_array();

	for (enum prove_what w = 0; w < PROVE_WHATS; w++) {
		f = json_object_get(findings, prove_what_name(w));
		json_array_append_new(rows, json_pack("{s:s, s:s, s:O}", "what", prove_what_name(w),
						    "verdict", words(prove_verdict(known, w)),
						    "text", json_object_get(f, "text")));
	}
	output_table(stdout, columns, rows);
	json_decref(rows);
}

static struct apply applying(const struct host_args *a) {
	return (struct apply){.root = &a->root,
		.state = a->state,
		.command = "vf prove",
		.wait_ms = a->wait_ms,
		.force = a->force};
}

static int read_again(struct functions *f, struct err *e) {
	int rc;

	host_free(&f->host);
	rc = host_read(&f->host, &f->args.root, e);
	f->host.state = f->args.state;
	return rc;
}

/* So many VFs: two, or none again. What they have changed meanwhile, MACs that their driver chose. */
static int make_vfs(struct functions *f, const char *slot, unsigned n, struct err *e) {
	struct apply with = applying(&f->args);
	int rc = read_again(f, e);

	changes_free(&f->l);
	f->l = (struct changes){0};
	if (rc == 0)
		rc = changes_vfs(&f->l, &f->host, pci_at(&f->host.pci, slot), n, e);
	if (rc == 0)
		rc = apply_changes(&with, &f->l, NULL, e);
	return rc == 0 ? read_again(f, e) : rc;
}

/* With the VFs that there are. --dry-run prints, and *known stays NULL. */
static int prove(struct functions *f, const char *slot, json_t **known, struct err *e) {
	struct apply with = applying(&f->args);
	struct users *u = users_read(&f->host);
	struct prove *p = NULL;
	int rc = u == NULL ? err_set(e, ENOMEM, "out of memory")
			   : prove_plan(&p, &f->host, u, pci_at(&f->host.pci, slot), e);

	users_free(u);
	if (rc == 0 && f->args.dry)
		host_args_change(&f->args, with.command, prove_changes(p));
	else if (rc == 0)
		rc = prove_run(p, &with, &stop, known, e);
	prove_free(p);
	return rc;
}

static int prove_and_keep(struct functions *f, const char *slot, struct err *e) {
	json_t *known = NULL;
	int rc = prove(f, slot, &known, e);

	if (rc == 0 && known != NULL)
		rc = store_put(f->args.state, "proved", slot, known, e);
	if (rc == 0 && known != NULL && f->args.json)
		output_json(stdout, known);
	else if (rc == 0 && known != NULL)
		print_table(known);
	json_decref(known);
	return rc;
}

static int with_own_vfs(struct functions *f, const char *slot, struct err *e) {
	struct err later;
	int rc = make_vfs(f, slot, PROVE_VFS, e), back;

	if (rc < 0)
		return rc;
	rc = prove_and_keep(f, slot, e);
	back = make_vfs(f, slot, 0, &later);
	if (rc < 0 || back == 0)
		return rc;
	*e = later;
	return back;
}

static int run(struct functions *f, const struct pci_function *pf, bool create, struct err *e) {
	char slot[PCI_SLOT_MAX];
	int rc;

	memcpy(slot, pf->slot, sizeof(slot));
	create = create && pf->vfs == 0 && pf->vfs_total >= PROVE_VFS;
	if (f->args.root.recorded && !f->args.dry)
		return err_set(e, EROFS,
			"%s is a recorded tree, by which no frames can be sent; --dry-run prints "
			"what would change",
			f->args.root.at);
	if (create && f->args.dry) {
		rc = changes_vfs(&f->l, &f->host, pf, PROVE_VFS, e);
		if (rc == 0)
			host_args_change(&f->args, "vf prove", &f->l);
		return rc;
	}
	catch_signals();
	return create ? with_own_vfs(f, slot, e) : prove_and_keep(f, slot, e);
}

int vf_prove(const struct command *c, int argc, char **argv) {
	bool create = cli_flag(&argc, argv, "create") != 0;
	struct functions f;
	struct err e;
	int status = functions_open(&f, c, &argc, argv, true, 1, 1);

	if (status < 0) {
		const struct pci_function *pf = host_find(&f.host, argv[1], &e);

		status = pf == NULL || run(&f, pf, create, &e) < 0 ? cli_fail("%s", e.text)
								   : STATUS_DONE;
	}
	functions_close(&f);
	return status;
}
