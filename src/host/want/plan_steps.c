/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/want/plan_steps.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "host/change/drivers.h"

/* What differs, brought into steps. The links of all PFs that shall be up come first: some drivers take rates
 * only with a carrier, which takes its time, and may come from another port of this host. For each PF:
 *
 *   MTU
 *   autoprobe          off while VFs are made whose driver must not see them yet: it would read the MAC
 *                      that they have before they get theirs, or it is not the one that shall have them
 *   VFs, eswitch       in the order of the PF's driver (changes_eswitch)
 *   each VF            its owner, so that the record has what was before; its attributes; its driver
 *   autoprobe          as it shall stay
 *   link down          last, where it is wanted
 *
 * and whole devices at the end. Undoing goes the same way back. */

struct steps {
	const struct look *k;
	struct plan *p;
};

static int add(
	struct steps *s, enum attr a, const char *slot, int vf, const char *from, const char *to) {
	return changes_put(&s->p->changes, a, slot, vf, from, to, s->k->e);
}

static const struct drift *drift_of(
	const struct steps *s, const char *slot, int vf, enum attr a, unsigned from) {
	for (unsigned i = from; i < s->p->ndrift; i++) {
		const struct drift *d = &s->p->drift[i];

		if (d->attr == a && d->vf == vf && strcmp(d->slot, slot) == 0)
			return d;
	}
	return NULL;
}

static int add_drift(struct steps *s, const struct drift *d) {
	return d != NULL ? add(s, d->attr, d->slot, d->vf, d->is, d->want) : 0;
}

/* All VFs of a PF go: none may belong to somebody FILE does not name. Who uses them is guard.h's. */
static int spare_vfs(struct steps *s, const struct aim_pf *t, const struct aim *aims, unsigned n) {
	char owner[ATTR_TEXT_MAX];

	for (unsigned vf = 0, i = 0; !s->k->o.force && vf < t->fn->vfs; vf++) {
		const struct aim *mine = i < n && aims[i].vf == (int)vf ? &aims[i++] : NULL;
		int rc = attr_get(s->k->h, ATTR_OWNER, t->fn->slot, (int)vf, owner, s->k->e);

		if (rc < 0)
			return rc;
		if (strcmp(owner, "none") == 0 ||
			(mine != NULL && strcmp(owner, mine->want.owner) == 0))
			continue;
		return err_set(s->k->e, EBUSY,
			"VF %u of %s belongs to %s and would go when %s gets other VFs; release it "
			"first "
			"with 'weir vf release %s', or say --force",
			vf, t->fn->slot, owner, t->fn->slot,
			pci_vf(&s->k->h->pci, t->fn, (int)vf)->slot);
	}
	return 0;
}

/* Whether the VFs that come must not meet their driver before they are ready for it. */
static bool holds(const struct steps *s, const struct aim *t, unsigned n) {
	for (; n > 0; t++, n--)
		if ((t->want.stated & (WANT_MAC | WANT_DRIVER)) != 0)
			return true;
	return false;
}

/* A VF that is made: its owner, its attributes, its driver. `driver`: what it would have had of itself, but
 * was held off; NULL: it is not held off. */
static int fresh_vf(struct steps *s, const struct aim *t, const char *driver) {
	char want[ATTR_TEXT_MAX];
	int rc = 0;

	if ((t->want.stated & WANT_OWNER) != 0)
		rc = add(s, ATTR_OWNER, t->fn->slot, t->vf, "none", t->want.owner);
	if (rc == 0)
		rc = look_fresh(&s->p->changes, s->k, t);
	if (rc == 0 && (t->want.stated & WANT_DRIVER) == 0)
		return driver != NULL ? add(s, ATTR_DRIVER, t->fn->slot, t->vf, "none", driver) : 0;
	if (rc == 0)
		rc = look_driver(s->k, t, NULL, want);
	return rc == 0 ? add(s, ATTR_DRIVER, t->fn->slot, t->vf, "none", want) : rc;
}

static int make_anew(struct steps *s, const struct aim_pf *t, const struct aim *aims, unsigned n) {
	const struct drift *mode = drift_of(s, t->fn->slot, -1, ATTR_ESWITCH, 0);
	const struct drift *probe = drift_of(s, t->fn->slot, -1, ATTR_AUTOPROBE, 0);
	const struct driver *d = driver_find(t->fn->driver);
	struct pci_function fn = *t->fn; // as it is when its VFs come
	bool finally = (t->want->stated & WANT_AUTOPROBE) != 0 ? t->want->autoprobe : fn.autoprobe;
	const char *was = fn.autoprobe ? "on" : "off";
	bool hold = t->vfs > 0 && finally && (holds(s, aims, n) || mode != NULL) && d != NULL;
	int rc = spare_vfs(s, t, aims, n);

	if (rc == 0 && hold)
		rc = add(s, ATTR_AUTOPROBE, fn.slot, -1, was, "off");
	else if (rc == 0)
		rc = add_drift(s, probe);
	fn.autoprobe = finally && !hold;
	if (rc == 0 && mode != NULL)
		rc = changes_eswitch(&s->p->changes, s->k->h, &fn, t->vfs, mode->want, s->k->e);
	else if (rc == 0)
		rc = changes_vfs(&s->p->changes, s->k->h, &fn, t->vfs, s->k->e);
	for (unsigned vf = 0, i = 0; rc == 0 && vf < t->vfs; vf++) {
		bool meant = i < n && aims[i].vf == (int)vf;

		if (meant)
			rc = fresh_vf(s, &aims[i], hold ? d->vf_driver : NULL);
		else if (hold)
			rc = add(s, ATTR_DRIVER, fn.slot, (int)vf, "none", d->vf_driver);
		i += meant;
	}
	return rc == 0 && hold ? add(s, ATTR_AUTOPROBE, fn.slot, -1, "off", "on") : rc;
}

/* What differs in VFs that are there, or in devices; it stands in the order in which it is changed. */
static int change_all(struct steps *s, int pf, unsigned *at) {
	int rc = 0;

	for (; rc == 0 && *at < s->p->ndrift; (*at)++) {
		const struct drift *d = &s->p->drift[*at];

		if (d->aim == NULL || d->aim->pf != pf)
			break;
		rc = add_drift(s, d);
	}
	return rc;
}

static int steps_pf(struct steps *s, unsigned pf, unsigned *at) {
	const struct aim_pf *t = &s->k->a->pf[pf];
	const char *slot = t->fn->slot;
	const struct drift *link, *mtu, *probe;
	unsigned first = 0, n = 0;
	int rc;

	link = drift_of(s, slot, -1, ATTR_UP, *at);
	mtu = drift_of(s, slot, -1, ATTR_MTU, *at);
	probe = drift_of(s, slot, -1, ATTR_AUTOPROBE, *at);
	while (*at < s->p->ndrift && s->p->drift[*at].aim == NULL &&
		strcmp(s->p->drift[*at].slot, slot) == 0)
		(*at)++;
	while (first < s->k->a->naims && s->k->a->aim[first].pf != (int)pf)
		first++;
	while (first + n < s->k->a->naims && s->k->a->aim[first + n].pf == (int)pf)
		n++;
	rc = add_drift(s, mtu);
	if (rc == 0 && look_anew(s->p, t))
		rc = make_anew(s, t, &s->k->a->aim[first], n);
	else if (rc == 0)
		rc = add_drift(s, probe);
	if (rc == 0)
		rc = change_all(s, (int)pf, at);
	if (rc == 0 && link != NULL && strcmp(link->want, "down") == 0)
		rc = add_drift(s, link);
	return rc;
}

static int links_up(struct steps *s) {
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < s->p->ndrift; i++)
		if (s->p->drift[i].attr == ATTR_UP && strcmp(s->p->drift[i].want, "up") == 0)
			rc = add_drift(s, &s->p->drift[i]);
	return rc;
}

int plan_make(struct plan *p, const struct aims *a, const struct host *h,
	const struct plan_options *o, struct err *e) {
	const struct look k = {.a = a, .h = h, .o = *o, .e = e};
	struct steps s = {.k = &k, .p = p};
	unsigned at = 0;
	int rc = look_all(p, &k);

	if (rc == 0)
		rc = links_up(&s);
	for (unsigned i = 0; rc == 0 && i < a->npfs; i++)
		rc = steps_pf(&s, i, &at);
	if (rc == 0)
		rc = change_all(&s, -1, &at);
	if (rc != 0)
		plan_free(p);
	return rc;
}
