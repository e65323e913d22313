/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/vf.h"
#include "host/change/native.h"

int functions_open(struct functions *f, const struct command *c, int *argc, char **argv,
	bool changes, int min, int max) {
	const char *stray;
	struct err e;
	int status;

	*f = (struct functions){0};
	status = host_args_take(&f->args, c, argc, argv, changes);
	if (status >= 0)
		return status;
	stray = cli_stray(*argc, argv);
	if (stray != NULL)
		return cli_usage(c, "no such option '%s'", stray);
	if (*argc - 1 < min)
		return cli_usage(c, "something is missing: %s", c->args);
	if (max > 0 && *argc - 1 > max)
		return cli_usage(c, "'%s' is too much: %s", argv[max + 1], c->args);
	if (host_read(&f->host, &f->args.root, &e) < 0)
		return cli_fail("%s", e.text);
	f->host.state = f->args.state;
	return -1;
}

void functions_close(struct functions *f) {
	changes_free(&f->l);
	host_free(&f->host);
}

int functions_bind(
	struct functions *f, const struct pci_function *fn, const char *driver, struct err *e) {
	const struct pci_function *pf = pci_is_vf(fn) ? &f->host.pci.fn[fn->pf] : fn;
	const char *was = fn->wanted[0] != '\0' ? fn->wanted : "none";
	char to[ATTR_TEXT_MAX], native[PCI_DRIVER_MAX];
	bool own = strcmp(driver, "kernel") == 0;
	int rc, vf = pci_is_vf(fn) ? fn->vf : -1;

	if (own && driver_native(&f->host, fn, native, e) < 0)
		return -ENOENT;
	rc = attr_parse(ATTR_DRIVER, own ? native : driver, to, e);
	// Its own driver finds it without being named.
	if (rc == 0)
		rc = changes_put(&f->l, ATTR_OVERRIDE, pf->slot, vf, was, own ? "none" : to, e);
	if (rc == 0)
		rc = changes_put(&f->l, ATTR_DRIVER, pf->slot, vf,
			fn->driver[0] != '\0' ? fn->driver : "none", to, e);
	return rc;
}

static int name_one(struct vfs_named *v, const struct pci_function *vf, struct err *e) {
	for (unsigned i = 0; i < v->n; i++)
		if (v->vf[i] == vf)
			return err_set(e, EINVAL, "%s is named twice", vf->slot);
	if (v->n == VFS_NAMED_MAX)
		return err_set(e, E2BIG, "more than %d VFs in one call", VFS_NAMED_MAX);
	v->vf[v->n++] = vf;
	return 0;
}

/* "0-3,6" of a PF, or "all". */
static int name_numbers(struct vfs_named *v, const struct host *h, const struct pci_function *pf,
	const char *text, struct err *e) {
	const char *p = text;
	unsigned first = 0, last = pf->vfs - 1;
	int rc = 0, end;

	if (pf->vfs == 0)
		return err_set(e, ENODEV, "%s has no VFs; 'weir vf create %s N' makes some",
			pf->slot, pf->slot);
	do {
		end = 0;
		if (strcmp(p, "all") == 0 && p == text)
			end = 3;
		else if (sscanf(p, "%5u%n", &first, &end) != 1 || !isdigit((unsigned char)*p))
			return err_set(e, EINVAL,
				"'%s' are no numbers of VFs; write 3, 0-3,6 or all", text);
		else if (p[end] != '-')
			last = first;
		else if (!isdigit((unsigned char)p[end + 1]) ||
			 sscanf(p, "%*5u-%5u%n", &last, &end) != 1 || last < first)
			return err_set(e, EINVAL,
				"'%s' are no numbers of VFs; write 3, 0-3,6 or all", text);
		if (last >= pf->vfs)
			return err_set(e, ENODEV, "%s has no VF %u; it has %u, counted from 0",
				pf->slot, last, pf->vfs);
		for (unsigned i = first; i <= last && rc == 0; i++) {
			const struct pci_function *vf = pci_vf(&h->pci, pf, (int)i);

			rc = vf != NULL
				     ? name_one(v, vf, e)
				     : err_set(e, ENODEV, "VF %u of %s is not there", i, pf->slot);
		}
		p += end;
	} while (rc == 0 && *p++ == ',');
	if (rc == 0 && p[-1] != '\0')
		return err_set(
			e, EINVAL, "'%s' are no numbers of VFs; write 3, 0-3,6 or all", text);
	return rc;
}

int vfs_named(
	struct vfs_named *v, const struct host *h, int argc, char **argv, int *at, struct err *e) {
	const struct pci_function *f = host_find(h, argv[*at], e);

	if (f == NULL)
		return -ENODEV;
	if (pci_is_vf(f)) {
		*at += 1;
		return name_one(v, f, e);
	}
	if (f->vfs_total == 0)
		return err_set(e, EINVAL, "%s is neither a VF nor can it have some", argv[*at]);
	if (*at + 1 >= argc || strchr(argv[*at + 1], '=') != NULL)
		return err_set(
			e, EINVAL, "which VFs of %s? say 3, 0-3,6 or all behind it", argv[*at]);
	*at += 2;
	return name_numbers(v, h, f, argv[*at - 1], e);
}
