/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "host/export/export.h"
#include "host/want/want.h"

/* With the file of `weir host apply` at hand, what it says of a VF counts, and not what the VF has just
 * now: VLAN, MAC, owner; and it knows what the host does not, Neutron's physical networks and Nova's
 * aliases. Words can then be its names. */

static const struct aim *aim_of(const struct export *x, const struct pci_function *fn) {
	const struct pci_function *pf = pci_is_vf(fn) ? &x->host->pci.fn[fn->pf] : fn;
	int vf = pci_is_vf(fn) ? fn->vf : -1;

	for (unsigned i = 0; x->aims != NULL && i < x->aims->naims; i++)
		if (x->aims->aim[i].fn == pf && x->aims->aim[i].vf == vf)
			return &x->aims->aim[i];
	return NULL;
}

const char *export_file_owner(const struct export *x, const struct pci_function *fn) {
	const struct aim *t = aim_of(x, fn);

	return t != NULL && t->want.stated & WANT_OWNER ? t->want.owner : NULL;
}

bool export_file_device(const struct export *x, const struct pci_function *fn) {
	const struct aim *t = aim_of(x, fn);

	return t != NULL && t->device != NULL;
}

/* What FILE states of a VF, put over what it has; true: that was something else. */
static bool put_over(struct link_vf *vf, const struct want_vf *want) {
	struct link_vf had = *vf;

	if (want->stated & WANT_MAC) {
		vf->mac = want->mac;
		vf->has |= VF_HAS_MAC;
	}
	if (want->stated & WANT_VLAN)
		vf->vlan = want->vlan;
	if (want->stated & WANT_QOS)
		vf->qos = want->qos;
	if (want->stated & WANT_PROTO)
		vf->proto = want->proto;
	if (want->stated & (WANT_MIN_RATE | WANT_MAX_RATE)) {
		vf->min_rate = want->min_rate;
		vf->max_rate = want->max_rate;
	}
	if (want->stated & WANT_SPOOFCHK) {
		vf->spoofchk = want->spoofchk;
		vf->has |= VF_HAS_SPOOFCHK;
	}
	if (want->stated & WANT_TRUST) {
		vf->trust = want->trust;
		vf->has |= VF_HAS_TRUST;
	}
	return had.mac != vf->mac || had.vlan != vf->vlan || had.qos != vf->qos ||
	       had.spoofchk != vf->spoofchk || had.trust != vf->trust;
}

void export_file_overlay(struct export *x, struct export_function *f) {
	const struct aim *t = aim_of(x, f->fn);
	const char *alias;

	for (unsigned i = 0; x->aims != NULL && i < x->aims->npfs && f->physnet == NULL; i++)
		if (x->aims->pf[i].fn == f->pf && x->aims->pf[i].want->physnet[0] != '\0')
			f->physnet = x->aims->pf[i].want->physnet;
	if (t == NULL)
		return;
	if (f->pf != NULL && put_over(&f->vf, &t->want))
		x->behind = true;
	alias = t->pool != NULL     ? t->pool->alias
		: t->single != NULL ? t->single->alias
		: t->device != NULL ? t->device->alias
				    : "";
	if (f->name == NULL && alias[0] != '\0')
		f->name = alias;
}

/* The function an aim means, once it is there. */
static const struct pci_function *there(
	const struct export *x, const struct aim *t, struct err *e) {
	const struct pci_function *vf;

	if (t->vf < 0)
		return t->fn;
	vf = pci_vf(&x->host->pci, t->fn, t->vf);
	if (vf == NULL)
		err_set(e, ENOENT,
			"%s has VF %d of %s, which has %u VFs now; 'weir host apply %s' makes them",
			x->aims->want->file, t->vf, t->fn->slot, t->fn->vfs, x->aims->want->file);
	return vf;
}

/* Whether `word` names it: its pool, or itself. */
static bool is_named(const struct aim *t, const char *word) {
	const char *name = t->pool != NULL     ? t->pool->name
			   : t->single != NULL ? t->single->name
			   : t->device != NULL ? t->device->name
					       : "";

	return word == NULL || strcmp(name, word) == 0;
}

/* Of the PFs of an entry, all VFs that are nobody's. How many PFs, or a negative errno. */
static int add_pfs(struct export *x, const char *word, struct err *e) {
	int named = 0, rc = 0;

	for (unsigned i = 0; i < x->aims->npfs && rc >= 0; i++) {
		const struct aim_pf *pf = &x->aims->pf[i];

		if (word != NULL && strcmp(pf->want->name, word) != 0)
			continue;
		named++;
		for (unsigned k = 0; k < pf->fn->vfs && rc >= 0; k++) {
			const struct pci_function *vf = pci_vf(&x->host->pci, pf->fn, (int)k);

			rc = vf != NULL ? export_add_function(x, vf, true, e) : 0;
		}
	}
	return rc < 0 ? rc : named;
}

int export_file_add(struct export *x, const char *word, struct err *e) {
	int named = 0, rc;

	for (unsigned i = 0; i < x->aims->naims; i++) {
		const struct aim *t = &x->aims->aim[i];
		const struct pci_function *fn;

		if (!is_named(t, word) || (word == NULL && t->vf < 0 && x->vfs_only))
			continue;
		fn = there(x, t, e);
		if (fn == NULL)
			return -ENOENT;
		// What is meant by its own name is so also when somebody has it.
		rc = export_add_function(x, fn, word == NULL || t->pool != NULL, e);
		if (rc < 0)
			return rc;
		named++;
	}
	rc = x->whole ? 0 : add_pfs(x, word, e);
	if (rc < 0)
		return rc;
	named += rc;
	if ((named > 0 || word == NULL) && x->n == 0)
		return err_set(e, ENOENT,
			"%s%s%s has nothing that is nobody's; name an owner to export what is "
			"theirs",
			word != NULL ? word : "", word != NULL ? " of " : "", x->aims->want->file);
	return named;
}
