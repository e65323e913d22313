/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/vf.h"

/* `weir vf create`, `delete` and `bind`. */

static const struct pci_function *find_pf(const struct host *h, const char *word, struct err *e) {
	const struct pci_function *f = host_find(h, word, e);

	if (f != NULL && pci_is_vf(f)) {
		err_set(e, 0, "%s is a VF itself, of PF %s; name that", f->slot,
			h->pci.fn[f->pf].slot);
		return NULL;
	}
	return f;
}

int vf_create(const struct command *c, int argc, char **argv) {
	char number[ATTR_TEXT_MAX], mode[ATTR_TEXT_MAX];
	const struct pci_function *pf;
	struct functions f;
	struct err e;
	int bad = 0, status, rc;
	const char *eswitch = cli_option(&argc, argv, "eswitch", &bad);

	if (bad)
		return cli_usage(c, "--eswitch wants legacy or switchdev");
	status = functions_open(&f, c, &argc, argv, true, 2, 2);
	if (status < 0 && attr_parse(ATTR_VFS, argv[2], number, &e) < 0)
		status = cli_usage(c, "%s", e.text);
	if (status < 0 && eswitch != NULL && attr_parse(ATTR_ESWITCH, eswitch, mode, &e) < 0)
		status = cli_usage(c, "--eswitch: %s", e.text);
	if (status < 0) {
		unsigned n = (unsigned)strtoul(number, NULL, 10);

		pf = find_pf(&f.host, argv[1], &e);
		if (pf == NULL)
			rc = -1;
		else if (eswitch != NULL)
			rc = changes_eswitch(&f.l, &f.host, pf, n, mode, &e);
		else
			rc = changes_vfs(&f.l, &f.host, pf, n, &e);
		status = rc < 0 ? cli_fail("%s", e.text)
				: host_args_change(&f.args, "vf create", &f.l);
	}
	functions_close(&f);
	return status;
}

int vf_delete(const struct command *c, int argc, char **argv) {
	const struct pci_function *pf;
	struct functions f;
	struct err e;
	int status = functions_open(&f, c, &argc, argv, true, 1, 1);

	if (status < 0) {
		pf = find_pf(&f.host, argv[1], &e);
		status = pf == NULL || changes_vfs(&f.l, &f.host, pf, 0, &e) < 0
				 ? cli_fail("%s", e.text)
				 : host_args_change(&f.args, "vf delete", &f.l);
	}
	functions_close(&f);
	return status;
}

int vf_bind(const struct command *c, int argc, char **argv) {
	struct vfs_named v = {.n = 0};
	struct functions f;
	struct err e;
	int at = 1, status = functions_open(&f, c, &argc, argv, true, 2, 3), rc;

	if (status < 0) {
		rc = vfs_named(&v, &f.host, argc - 1, argv, &at, &e);
		if (rc == 0 && at != argc - 1)
			status = cli_usage(c, "'%s' is too much: %s", argv[at], c->args);
		for (unsigned i = 0; rc == 0 && status < 0 && i < v.n; i++)
			rc = functions_bind(&f, v.vf[i], argv[argc - 1], &e);
		if (status < 0)
			status = rc < 0 ? cli_fail("%s", e.text)
					: host_args_change(&f.args, "vf bind", &f.l);
	}
	functions_close(&f);
	return status;
}
