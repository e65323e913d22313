/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/vf.h"
#include "host/change/drivers.h"
#include "host/change/owner.h"
#include "host/change/store.h"

/* `weir vf alloc` and `release`. */

enum { NODE_ANY = -2 };

struct alloc {
	const char *owner, *driver;
	int node; // NODE_ANY: wherever the PFs are
	struct wants wants;
};

/* The NUMA node of a CPU, -1: not told. */
static int node_of_cpu(const struct root *r, unsigned cpu) {
	char **names;
	int n = root_names(r, &names, "/sys/devices/system/cpu/cpu%u", cpu), node = -1;

	for (int i = 0; i < n; i++)
		if (strncmp(names[i], "node", 4) == 0 && isdigit((unsigned char)names[i][4]))
			node = atoi(names[i] + 4);
	if (n >= 0)
		root_names_free(names, n);
	return node;
}

/* The one node that all CPUs of "4-7,9" are on. */
static int node_of_cpus(const struct root *r, const char *text, int *node, struct err *e) {
	const char *p = text;
	unsigned first, last;
	int end;

	*node = NODE_ANY;
	do {
		end = 0;
		if (!isdigit((unsigned char)*p) || sscanf(p, "%4u%n", &first, &end) != 1)
			return err_set(e, EINVAL, "'%s' is no list of CPUs; write 4-7,9", text);
		last = first;
		if (p[end] == '-' && sscanf(p, "%*4u-%4u%n", &last, &end) != 1)
			return err_set(e, EINVAL, "'%s' is no list of CPUs; write 4-7,9", text);
		for (unsigned cpu = first; cpu <= last; cpu++) {
			int its = node_of_cpu(r, cpu);

			if (its < 0)
				return err_set(
					e, ENOENT, "this host has no CPU %u with a NUMA node", cpu);
			if (*node != NODE_ANY && *node != its)
				return err_set(e, EINVAL,
					"the CPUs %s are on the NUMA nodes %d and %d; a VF is near "
					"one "
					"of them only, say which with --numa",
					text, *node, its);
			*node = its;
		}
		p += end;
	} while (*p++ == ',');
	return p[-1] == '\0' ? 0 : err_set(e, EINVAL, "'%s' is no list of CPUs; write 4-7,9", text);
}

/* Takes the options of its own; -1 or an exit status. */
static int take_options(
	struct alloc *a, const struct command *c, int *argc, char **argv, const char **cpus) {
	const char *numa;
	int bad = 0;

	a->owner = cli_option(argc, argv, "owner", &bad);
	a->driver = cli_option(argc, argv, "driver", &bad);
	numa = cli_option(argc, argv, "numa", &bad);
	*cpus = cli_option(argc, argv, "cpus", &bad);
	for (int i = 0; i < WANTS; i++)
		a->wants.value[i] = cli_option(argc, argv, wants_names[i], &bad);
	if (bad)
		return cli_usage(c, "an option at the end has no value");
	if (a->owner == NULL)
		return cli_usage(c, "whose will it be? say --owner NAME");
	if (numa != NULL && *cpus != NULL)
		return cli_usage(c, "--numa and --cpus say the same twice; give one");
	a->node = NODE_ANY;
	if (numa != NULL &&
		(!isdigit((unsigned char)numa[0]) || sscanf(numa, "%4d", &a->node) != 1))
		return cli_usage(c, "--numa wants the number of a node, not '%s'", numa);
	if (a->wants.value[0] == NULL)
		a->wants.value[0] = "auto"; // mac
	return -1;
}

/* How the VFs that were looked at are not to be had. */
struct reasons {
	unsigned vfs, owned, used, far;
};

static bool is_free(const struct functions *f, const struct users *u, const struct pci_function *vf,
	int node, struct reasons *r) {
	char owner[ATTR_TEXT_MAX];
	struct use use;

	r->vfs++;
	if (owner_get(&f->host, vf, owner, NULL) < 0 || strcmp(owner, "none") != 0)
		return r->owned++, false;
	users_of(u, vf, &use);
	if (use.kind != USE_FREE)
		return r->used++, false;
	if (node != NODE_ANY && vf->numa >= 0 && vf->numa != node)
		return r->far++, false;
	return true;
}

/* Nobody has set it up for a guest; an owner need not be on record for that. */
static bool is_plain(const struct host *h, const struct pci_function *vf) {
	const struct link_vf *set = host_vf(h, vf);

	return vf->wanted[0] == '\0' && !driver_gives_away(vf->driver) &&
	       (set == NULL || (set->vlan == 0 && set->min_rate == 0 && set->max_rate == 0));
}

/* The first free one that is plain, else the first free one. */
static const struct pci_function *pick(const struct functions *f, const struct users *u, int argc,
	char **argv, int node, struct err *e) {
	const struct pci_function *second = NULL;
	struct reasons r = {0};

	for (int i = 1; i < argc; i++) {
		const struct pci_function *pf = host_find(&f->host, argv[i], e);

		if (pf == NULL)
			return NULL;
		if (pci_is_vf(pf) || pf->vfs_total == 0) {
			err_set(e, EINVAL, "%s is no PF that could have VFs", argv[i]);
			return NULL;
		}
		for (unsigned n = 0; n < pf->vfs; n++) {
			const struct pci_function *vf = pci_vf(&f->host.pci, pf, (int)n);

			if (vf == NULL || !is_free(f, u, vf, node, &r))
				continue;
			if (is_plain(&f->host, vf))
				return vf;
			if (second == NULL)
				second = vf;
		}
	}
	if (second != NULL)
		return second;
	err_set(e, EBUSY,
		"no VF is free: of %u, %u have an owner, %u are in use, %u are on another NUMA "
		"node than "
		"asked for; 'weir vf list' shows them, 'weir vf create' makes more",
		r.vfs, r.owned, r.used, r.far);
	return NULL;
}

static int add_alloc(
	struct functions *f, const struct alloc *a, const struct pci_function *vf, struct err *e) {
	char owner[ATTR_TEXT_MAX];
	int rc = attr_parse(ATTR_OWNER, a->owner, owner, e);

	if (rc == 0 && strcmp(owner, "none") == 0)
		rc = err_set(e, EINVAL, "'none' is nobody; give --owner a name");
	// First, so that the record has the VF as it was.
	if (rc == 0)
		rc = changes_put(
			&f->l, ATTR_OWNER, f->host.pci.fn[vf->pf].slot, vf->vf, "none", owner, e);
	if (rc == 0 && a->driver != NULL)
		rc = functions_bind(f, vf, a->driver, e);
	return rc == 0 ? wants_add(f, &a->wants, vf, owner, e) : rc;
}

int vf_alloc(const struct command *c, int argc, char **argv) {
	const struct pci_function *vf = NULL;
	struct users *users = NULL;
	struct functions f = {0};
	struct alloc a = {0};
	const char *cpus;
	struct err e;
	int status = take_options(&a, c, &argc, argv, &cpus);

	if (status < 0)
		status = functions_open(&f, c, &argc, argv, true, 1, 0);
	if (status < 0 && cpus != NULL && node_of_cpus(&f.host.root, cpus, &a.node, &e) < 0)
		status = cli_fail("--cpus: %s", e.text);
	if (status < 0) {
		users = users_read(&f.host);
		vf = users != NULL ? pick(&f, users, argc, argv, a.node, &e) : NULL;
		if (vf == NULL || add_alloc(&f, &a, vf, &e) < 0)
			status = cli_fail("%s", users != NULL ? e.text : "no memory");
	}
	if (status < 0)
		status = host_args_change_of(&f.args, "vf alloc", &f.l, vf->slot);
	users_free(users);
	functions_close(&f);
	return status;
}

static int release_one(struct functions *f, const struct users *u, const struct pci_function *vf,
	const char *owner, struct err *e) {
	struct use use;

	users_of(u, vf, &use);
	return owner_release(&f->l, &f->host, vf, owner, &use, f->args.force, e);
}

/* All that an owner has. */
static int release_all(
	struct functions *f, const struct users *u, const char *owner, struct err *e) {
	unsigned found = 0;
	int rc = 0;

	for (unsigned i = 0; i < f->host.pci.n && rc == 0; i++) {
		const struct pci_function *vf = &f->host.pci.fn[i];
		char has[ATTR_TEXT_MAX];

		if (!pci_is_vf(vf))
			continue;
		rc = owner_get(&f->host, vf, has, e);
		if (rc < 0 || strcmp(has, owner) != 0)
			continue;
		found++;
		rc = release_one(f, u, vf, owner, e);
	}
	if (rc == 0 && found == 0)
		rc = err_set(
			e, ENOENT, "%.60s has no VF; 'weir vf list' shows who has which", owner);
	return rc;
}

static int release(struct functions *f, const char *owner, int argc, char **argv, struct err *e) {
	struct vfs_named v = {.n = 0};
	struct users *u = users_read(&f->host);
	int at = 1, rc = 0;

	if (u == NULL)
		rc = err_set(e, ENOMEM, "no memory");
	while (rc == 0 && at < argc)
		rc = vfs_named(&v, &f->host, argc, argv, &at, e);
	if (rc == 0 && argc == 1 && owner != NULL)
		rc = release_all(f, u, owner, e);
	for (unsigned i = 0; rc == 0 && i < v.n; i++)
		rc = release_one(f, u, v.vf[i], owner, e);
	users_free(u);
	return rc;
}

int vf_release(const struct command *c, int argc, char **argv) {
	struct functions f = {0};
	struct err e;
	int bad = 0, status;
	const char *owner = cli_option(&argc, argv, "owner", &bad);

	if (bad)
		return cli_usage(c, "--owner wants a name");
	status = functions_open(&f, c, &argc, argv, true, owner != NULL ? 0 : 1, 0);
	if (status < 0)
		status = release(&f, owner, argc, argv, &e) < 0
				 ? cli_fail("%s", e.text)
				 : host_args_change(&f.args, "vf release", &f.l);
	functions_close(&f);
	return status;
}
