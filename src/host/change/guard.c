/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/change/guard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "host/change/attr.h"
#include "host/change/drivers.h"
#include "host/change/owner.h"
#include "host/check/device.h"
#include "host/host.h"

struct guard {
	const struct host *h;
	const struct changes *l;
	const struct users *users;
};

/* Whether somebody would miss the function; `harm`: what is about to happen to it. */
static int check_use(
	const struct guard *g, const struct pci_function *f, const char *harm, struct err *e) {
	struct use use;

	users_of(g->users, f, &use);
	if (use.kind == USE_FREE || use.kind == USE_UNKNOWN)
		return 0;
	if (use.lifeline)
		return err_set(e, EBUSY,
			"%s %s, which would cut you off from this host: %s; come in by another "
			"way, or "
			"say --force",
			f->slot, harm, use.text);
	return err_set(e, EBUSY, "%s %s, but is in use: %s%s%s; end that first, or say --force",
		f->slot, harm, use.name, use.name[0] != '\0' && use.text[0] != '\0' ? ", " : "",
		use.text);
}

/* Whether the list itself takes the owner away, by a change of its own. */
static bool lets_go(const struct guard *g, const struct pci_function *vf) {
	for (unsigned i = 0; i < g->l->n; i++) {
		const struct change *c = &g->l->c[i];

		if (c->attr == ATTR_OWNER && !c->implied && strcmp(c->to, "none") == 0 &&
			attr_function(g->h, c->slot, c->vf, NULL) == vf)
			return true;
	}
	return false;
}

/* VFs that are there now and go. */
static int check_vfs(
	const struct guard *g, const struct pci_function *pf, const char *harm, struct err *e) {
	for (unsigned i = 0; i < pf->vfs; i++) {
		const struct pci_function *vf = pci_vf(&g->h->pci, pf, (int)i);
		char owner[ATTR_TEXT_MAX];
		int rc = vf != NULL ? check_use(g, vf, harm, e) : 0;

		if (rc == 0 && vf != NULL)
			rc = owner_get(g->h, vf, owner, e);
		if (rc < 0)
			return rc;
		if (vf != NULL && strcmp(owner, "none") != 0 && !lets_go(g, vf))
			return err_set(e, EBUSY,
				"%s (vf %u of %s) %s, but belongs to %s; 'weir vf release %s' "
				"gives it "
				"back, or say --force",
				vf->slot, i, pf->slot, harm, owner, vf->slot);
	}
	return 0;
}

/* What else the list gives to vfio, so that it does not stand in the group's way. */
static int check_group(const struct guard *g, const struct pci_function *f, struct err *e) {
	const struct pci_function **with = calloc(g->l->n, sizeof(const struct pci_function *));
	struct device d = {.host = g->h, .f = f, .with = with};
	int rc;

	if (with == NULL)
		return err_set(e, ENOMEM, "no memory for %u changes", g->l->n);
	for (unsigned i = 0; i < g->l->n; i++) {
		const struct change *c = &g->l->c[i];

		if (c->attr == ATTR_DRIVER &&
			(pci_driver_is_vfio(c->to) || strcmp(c->to, "none") == 0))
			with[d.nwith] = attr_function(g->h, c->slot, c->vf, NULL);
		if (with[d.nwith] != NULL)
			d.nwith++;
	}
	rc = device_refuse(&d, 1u << DEVICE_IOMMU | 1u << DEVICE_GROUP, e);
	free(with);
	return rc;
}

static int check_driver(const struct guard *g, const struct change *c, struct err *e) {
	const struct pci_function *f = attr_function(g->h, c->slot, c->vf, NULL);
	int rc = 0;

	if (f == NULL || strcmp(f->driver, c->to) == 0)
		return 0; // a VF that is still to come
	if (f->driver[0] != '\0')
		rc = check_use(g, f, "would lose its driver", e);
	if (rc == 0)
		rc = check_vfs(g, f, "would go with its PF's driver", e);
	return rc == 0 && pci_driver_is_vfio(c->to) ? check_group(g, f, e) : rc;
}

/* Drivers that are bound anew for it. */
static int check_mac(const struct guard *g, const struct change *c, struct err *e) {
	const struct pci_function *pf = attr_function(g->h, c->slot, -1, NULL);
	const struct pci_function *vf = attr_function(g->h, c->slot, c->vf, NULL);
	const struct driver *d = pf != NULL ? driver_find(pf->driver) : NULL;
	char now[ATTR_TEXT_MAX];

	if (vf == NULL || d == NULL || !d->mac_rebind || strcmp(vf->driver, d->vf_driver) != 0)
		return 0;
	if (attr_get(g->h, ATTR_MAC, c->slot, c->vf, now, NULL) == 0 && strcmp(now, c->to) == 0)
		return 0;
	return check_use(g, vf, "needs its driver bound anew for another MAC", e);
}

static int check(const struct guard *g, const struct change *c, struct err *e) {
	const struct pci_function *f = attr_function(g->h, c->slot, -1, NULL);
	int rc = 0;

	if (f == NULL || c->implied)
		return 0;
	switch (c->attr) {
	case ATTR_VFS:
		return f->vfs > 0 && (unsigned)atoi(c->to) != f->vfs
			       ? check_vfs(g, f, "would go", e)
			       : 0;
	case ATTR_DRIVER:
		return check_driver(g, c, e);
	case ATTR_MAC:
		return check_mac(g, c, e);
	case ATTR_ESWITCH:
		rc = check_vfs(g, f, "would be reset with the eswitch", e);
		return rc == 0 ? check_use(g, f, "would be reset with the eswitch", e) : rc;
	case ATTR_UP:
		return strcmp(c->to, "down") == 0 ? check_use(g, f, "would go down", e) : 0;
	default:
		return 0;
	}
}

int guard_changes(const struct host *h, const struct changes *l, struct err *e) {
	struct users *users = users_read(h);
	struct guard g = {h, l, users};
	int rc = 0;

	if (users == NULL)
		return err_set(e, ENOMEM, "no memory to look who uses what");
	for (unsigned i = 0; i < l->n && rc == 0; i++)
		rc = check(&g, &l->c[i], e);
	users_free(users);
	return rc;
}
