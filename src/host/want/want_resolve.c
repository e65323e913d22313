/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mac.h"
#include "base/yaml.h"
#include "host/want/want.h"
#include "host/want/want_resolve.h"

/* From names to functions. First the PFs, then a table with a place for each VF that there will be: single
 * VFs and pools with numbers take theirs, pools without take what is left, defaults the rest. Then what
 * concerns several of them: addresses and rates (want_judge.c). */

struct resolve {
	struct schema s;
	struct aims *a;
	const struct want *w;
	const struct host *h;
	struct aim *table; /* fn NULL: nobody speaks of that VF */
	unsigned *first; /* of each PF, in the table */
};

static const json_t *mark_of(
	const struct resolve *r, const char *map, const char *name, const char *key) {
	const json_t *entry = yaml_member(yaml_member(r->w->marks, map), name);
	const json_t *mark = key != NULL ? yaml_member(entry, key) : NULL;

	return mark != NULL ? mark : entry;
}

static void where(struct resolve *r, const char *what, const char *name) {
	snprintf(r->s.where, sizeof(r->s.where), "%s %s: ", what, name);
}

/* "8086:10c9"; an address has a dot. */
static bool ids_of(const char *word, unsigned *vendor, unsigned *device) {
	int n = 0;

	return strchr(word, '.') == NULL && sscanf(word, "%4x:%4x%n", vendor, device, &n) == 2 &&
	       word[n] == '\0' && isxdigit((unsigned char)word[0]) && strlen(word) == 9;
}

/* Marks in `hit` (a flag a function) what a word means. */
static int match_word(
	struct resolve *r, const char *word, const json_t *mark, bool pfs, bool *hit) {
	const struct pci *p = &r->h->pci;
	const struct pci_function *f;
	unsigned vendor, device, found = 0;
	struct err why;

	if (!ids_of(word, &vendor, &device)) {
		f = host_find(r->h, word, &why);
		if (f == NULL)
			return schema_fail(&r->s, ENODEV, mark, "%s", why.text);
		hit[f - p->fn] = true;
		return 0;
	}
	for (unsigned i = 0; i < p->n; i++) {
		f = &p->fn[i];
		if (f->vendor != vendor || f->device != device || (pfs && pci_is_vf(f)))
			continue;
		hit[i] = true;
		found++;
	}
	return found > 0 ? 0
			 : schema_fail(&r->s, ENODEV, mark,
				   "no function is %s; `weir nic list` shows what there is", word);
}

static int match_all(struct resolve *r, char *const *match, unsigned n, const json_t *mark,
	bool pfs, bool *hit) {
	int rc = 0;

	memset(hit, 0, r->h->pci.n * sizeof(*hit));
	for (unsigned i = 0; rc == 0 && i < n; i++)
		rc = match_word(r, match[i], mark, pfs, hit);
	return rc;
}

static int judge_pf(struct resolve *r, const struct want_pf *w, const struct pci_function *f) {
	const json_t *at = mark_of(r, "pfs", w->name, "match");

	if (pci_is_vf(f))
		return schema_fail(&r->s, EINVAL, at,
			"%s is a virtual function (VF %d of %s); name its PF, and the VF under "
			"vfs: or "
			"pools:",
			f->slot, f->vf, r->h->pci.fn[f->pf].slot);
	for (unsigned i = 0; i < r->a->npfs; i++)
		if (r->a->pf[i].fn == f)
			return schema_fail(&r->s, EINVAL, at,
				"%s is also what pf %s matches; one entry may speak of it", f->slot,
				r->a->pf[i].want->name);
	if ((w->stated & WANT_VFS) != 0 && w->vfs > f->vfs_total)
		return schema_fail(&r->s, ERANGE, mark_of(r, "pfs", w->name, "vfs"),
			f->vfs_total > 0 ? "vfs is %u; %s (%s) can have at most %u"
					 : "vfs is %u; %s (%s) has no SR-IOV capability, so %u",
			w->vfs, f->slot, f->driver[0] != '\0' ? f->driver : "no driver",
			f->vfs_total);
	return 0;
}

static int resolve_pfs(struct resolve *r, bool *hit) {
	struct aims *a = r->a;
	int rc = 0;

	a->pf = calloc(r->h->pci.n + 1, sizeof(*a->pf));
	if (a->pf == NULL)
		return value_no_memory(&r->s);
	for (unsigned i = 0; i < r->w->npfs; i++) {
		const struct want_pf *w = &r->w->pfs[i];

		where(r, "pf", w->name);
		rc = match_all(
			r, w->match, w->nmatch, mark_of(r, "pfs", w->name, "match"), true, hit);
		for (unsigned j = 0; rc == 0 && j < r->h->pci.n; j++) {
			const struct pci_function *f = &r->h->pci.fn[j];

			if (!hit[j])
				continue;
			rc = judge_pf(r, w, f);
			a->pf[a->npfs++] = (struct aim_pf){
				.want = w,
				.fn = f,
				.vfs = (w->stated & WANT_VFS) != 0 ? w->vfs : f->vfs,
			};
		}
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* A place for each VF of each PF, and for each function as a device. */
static int make_table(struct resolve *r) {
	struct aims *a = r->a;
	unsigned n = 0;

	r->first = calloc(a->npfs + 1, sizeof(*r->first));
	for (unsigned i = 0; r->first != NULL && i < a->npfs; i++) {
		r->first[i] = n;
		n += a->pf[i].vfs;
	}
	a->naims = n;
	r->table = a->aim = calloc(n + r->h->pci.n + 1, sizeof(*a->aim));
	return r->first != NULL && a->aim != NULL ? 0 : value_no_memory(&r->s);
}

/* What is stated nearer overrides what is stated further away. */
static void put_defaults(struct want_vf *v, const struct want_vf *d) {
	unsigned take = d->stated & ~v->stated;

#define TAKE(key, member)        \
	if ((take & (key)) != 0) \
	v->member = d->member
	TAKE(WANT_VLAN, vlan);
	TAKE(WANT_QOS, qos);
	TAKE(WANT_PROTO, proto);
	TAKE(WANT_MIN_RATE, min_rate);
	TAKE(WANT_MAX_RATE, max_rate);
	TAKE(WANT_SPOOFCHK, spoofchk);
	TAKE(WANT_TRUST, trust);
	TAKE(WANT_STATE, state);
	TAKE(WANT_RSS_QUERY, rss_query);
#undef TAKE
	if ((take & WANT_DRIVER) != 0)
		memcpy(v->driver, d->driver, sizeof(v->driver));
	v->stated |= take;
}

static struct aim *place(struct resolve *r, unsigned pf, unsigned vf, const struct want_vf *v) {
	struct aim *t = &r->table[r->first[pf] + vf];

	t->fn = r->a->pf[pf].fn;
	t->vf = (int)vf;
	t->pf = (int)pf;
	t->want = *v;
	put_defaults(&t->want, &r->a->pf[pf].want->vf);
	return t;
}

static int taken(struct resolve *r, unsigned pf, unsigned vf, const json_t *mark) {
	const struct aim_pf *p = &r->a->pf[pf];
	char by[AIM_NAME_MAX];

	if (vf >= p->vfs)
		return schema_fail(&r->s, ERANGE, mark,
			"VF %u of %s is beyond the %u that it will have; raise vfs: of pf %s or "
			"leave "
			"it out",
			vf, p->fn->slot, p->vfs, p->want->name);
	if (r->table[r->first[pf] + vf].fn != NULL)
		return schema_fail(&r->s, EINVAL, mark,
			"VF %u of %s is also in %s; leave it out of one of them", vf, p->fn->slot,
			aim_name(r->a, &r->table[r->first[pf] + vf], by, sizeof(by)));
	return 0;
}

static int resolve_single(struct resolve *r, const struct want_single *v) {
	const json_t *mark = mark_of(r, "vfs", v->name, "vf");
	unsigned found = 0, pf = 0;
	int rc;

	where(r, "vf", v->name);
	for (unsigned i = 0; i < r->a->npfs; i++)
		if (strcmp(r->a->pf[i].want->name, v->pf) == 0) {
			found++;
			pf = i;
		}
	if (found > 1)
		return schema_fail(&r->s, EINVAL, mark_of(r, "vfs", v->name, "pf"),
			"pf %s matches %u functions; a single VF needs an entry that matches one",
			v->pf, found);
	rc = taken(r, pf, v->number, mark);
	if (rc == 0)
		place(r, pf, v->number, &v->vf)->single = v;
	return rc;
}

/* The VFs of one PF. Without numbers: what is left. */
static int pool_on(struct resolve *r, const struct want_pool *p, unsigned pf, unsigned *n) {
	const json_t *mark = mark_of(r, "pools", p->name, "vfs");

	for (unsigned vf = 0; vf < (p->range ? WANT_VFS_MAX : r->a->pf[pf].vfs); vf++) {
		struct aim *t;

		if (p->range && (p->vfs[vf / 64] >> vf % 64 & 1) == 0)
			continue;
		if (!p->range && r->table[r->first[pf] + vf].fn != NULL)
			continue;
		if (p->range) {
			int rc = taken(r, pf, vf, mark);

			if (rc != 0)
				return rc;
		}
		t = place(r, pf, vf, &p->vf);
		t->pool = p;
		if (*n < p->nmacs)
			t->want.mac = p->macs[*n];
		if (*n < p->nowners) {
			t->want.stated |= WANT_OWNER;
			snprintf(t->want.owner, sizeof(t->want.owner), "%s", p->owners[*n]);
		}
		(*n)++;
	}
	return 0;
}

static int resolve_pool(struct resolve *r, const struct want_pool *p) {
	unsigned n = 0;
	int rc = 0;

	where(r, "pool", p->name);
	for (unsigned i = 0; i < p->npfs; i++)
		for (unsigned j = 0; rc == 0 && j < r->a->npfs; j++)
			if (strcmp(r->a->pf[j].want->name, p->pfs[i]) == 0)
				rc = pool_on(r, p, j, &n);
	if (rc != 0)
		return rc;
	if (n == 0)
		return schema_fail(&r->s, ERANGE, mark_of(r, "pools", p->name, NULL),
			"no VF is left for it; give its PFs more by vfs:, or others fewer");
	if (p->nmacs > 0 && p->nmacs < n)
		return schema_fail(&r->s, ERANGE, mark_of(r, "pools", p->name, "macs"),
			"macs has %u addresses for %u VFs; give each one, or a mac-prefix",
			p->nmacs, n);
	if (p->nowners > n)
		return schema_fail(&r->s, ERANGE, mark_of(r, "pools", p->name, "owners"),
			"owners has %u names for %u VFs; each owner needs one", p->nowners, n);
	return 0;
}

static int resolve_device(struct resolve *r, const struct want_device *d, bool *hit) {
	const json_t *mark = mark_of(r, "devices", d->name, "match");
	struct aims *a = r->a;
	int rc;

	where(r, "device", d->name);
	rc = match_all(r, d->match, d->nmatch, mark, false, hit);
	for (unsigned i = 0; rc == 0 && i < r->h->pci.n; i++) {
		const struct pci_function *f = &r->h->pci.fn[i];

		if (!hit[i])
			continue;
		if (pci_is_vf(f))
			return schema_fail(&r->s, EINVAL, mark,
				"%s is a virtual function (VF %d of %s); name it under vfs:",
				f->slot, f->vf, r->h->pci.fn[f->pf].slot);
		for (unsigned j = 0; j < a->npfs; j++)
			if (a->pf[j].fn == f)
				return schema_fail(&r->s, EINVAL, mark,
					"%s is also what pf %s matches; a PF that is given away "
					"has no "
					"VFs",
					f->slot, a->pf[j].want->name);
		for (unsigned j = 0; j < a->naims; j++)
			if (a->aim[j].fn == f && a->aim[j].vf < 0)
				return schema_fail(&r->s, EINVAL, mark,
					"%s is also what device %s matches; one entry may speak of "
					"it",
					f->slot, a->aim[j].device->name);
		a->aim[a->naims++] =
			(struct aim){.fn = f, .vf = -1, .pf = -1, .device = d, .want = d->vf};
	}
	return rc;
}

static int resolve_vfs(struct resolve *r) {
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < r->w->nvfs; i++)
		rc = resolve_single(r, &r->w->vfs[i]);
	for (int numbered = 1; numbered >= 0; numbered--)
		for (unsigned i = 0; rc == 0 && i < r->w->npools; i++)
			if (r->w->pools[i].range == (numbered == 1))
				rc = resolve_pool(r, &r->w->pools[i]);
	for (unsigned i = 0; rc == 0 && i < r->a->npfs; i++)
		for (unsigned j = 0; j < r->a->pf[i].vfs; j++)
			if (r->table[r->first[i] + j].fn == NULL &&
				r->a->pf[i].want->vf.stated != 0)
				place(r, i, j, &(struct want_vf){0});
	return rc;
}

static void drop_empty(struct aims *a) {
	unsigned n = 0;

	for (unsigned i = 0; i < a->naims; i++)
		if (a->aim[i].fn != NULL)
			a->aim[n++] = a->aim[i];
	a->naims = n;
}

int want_resolve(struct aims *a, const struct want *w, const struct host *h, struct err *e) {
	struct resolve r = {.s = {.file = w->file, .e = e}, .a = a, .w = w, .h = h};
	bool *hit = calloc(h->pci.n + 1, sizeof(*hit));
	int rc;

	*a = (struct aims){.want = w};
	if (hit == NULL)
		return value_no_memory(&r.s);
	rc = resolve_pfs(&r, hit);
	if (rc == 0)
		rc = make_table(&r);
	if (rc == 0)
		rc = resolve_vfs(&r);
	for (unsigned i = 0; rc == 0 && i < w->ndevices; i++)
		rc = resolve_device(&r, &w->devices[i], hit);
	if (rc == 0) {
		drop_empty(a);
		r.s.where[0] = '\0';
		rc = want_judge(&r.s, a, h);
	}
	free(hit);
	free(r.first);
	if (rc != 0)
		aims_free(a);
	return rc;
}

void aims_free(struct aims *a) {
	free(a->pf);
	free(a->aim);
	*a = (struct aims){0};
}

char *aim_name(const struct aims *a, const struct aim *t, char *buf, size_t size) {
	if (t->pool != NULL)
		snprintf(buf, size, "pool %s", t->pool->name);
	else if (t->single != NULL)
		snprintf(buf, size, "vf %s", t->single->name);
	else if (t->device != NULL)
		snprintf(buf, size, "device %s", t->device->name);
	else
		snprintf(buf, size, "defaults of %s", a->pf[t->pf].want->name);
	return buf;
}
