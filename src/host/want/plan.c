/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/want/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mac.h"
#include "base/yaml.h"
#include "host/change/drivers.h"
#include "host/change/native.h"
#include "host/want/plan_steps.h"
#include "host/want/want_resolve.h"

/* What differs. An attribute is compared as text in its one form (change.h); one that FILE does not state
 * is nobody's business. */

static const struct {
	enum attr attr;
	unsigned keys; /* of enum want_key: any of them states it */
} vf_attrs[] = {
	{ATTR_MAC, WANT_MAC},
	{ATTR_VLAN, WANT_VLAN | WANT_QOS | WANT_PROTO},
	{ATTR_RATE, WANT_MIN_RATE | WANT_MAX_RATE},
	{ATTR_SPOOFCHK, WANT_SPOOFCHK},
	{ATTR_TRUST, WANT_TRUST},
	{ATTR_STATE, WANT_STATE},
	{ATTR_RSS_QUERY, WANT_RSS_QUERY},
};

static const char *on_off_word(bool on) {
	return on ? "on" : "off";
}

/* What a VF shall have, "" where FILE does not say. */
static void vf_text(const struct want_vf *v, enum attr a, char text[ATTR_TEXT_MAX]) {
	static const char *const states[] = {"auto", "enable", "disable"};
	int n;

	switch (a) {
	case ATTR_MAC:
		mac_format(v->mac, text);
		break;
	case ATTR_VLAN:
		n = snprintf(text, ATTR_TEXT_MAX, "%u", v->vlan);
		if (v->qos != 0)
			n += snprintf(text + n, (size_t)(ATTR_TEXT_MAX - n), " qos %u", v->qos);
		if (v->proto == 0x88a8)
			snprintf(text + n, (size_t)(ATTR_TEXT_MAX - n), " proto 802.1ad");
		break;
	case ATTR_RATE:
		snprintf(text, ATTR_TEXT_MAX, "min %u max %u", v->min_rate, v->max_rate);
		break;
	case ATTR_SPOOFCHK:
		snprintf(text, ATTR_TEXT_MAX, "%s", on_off_word(v->spoofchk));
		break;
	case ATTR_TRUST:
		snprintf(text, ATTR_TEXT_MAX, "%s", on_off_word(v->trust));
		break;
	case ATTR_STATE:
		snprintf(text, ATTR_TEXT_MAX, "%s", states[v->state]);
		break;
	case ATTR_RSS_QUERY:
		snprintf(text, ATTR_TEXT_MAX, "%s", on_off_word(v->rss_query));
		break;
	default:
		text[0] = '\0';
	}
}

/* What every driver gives that has no say in the matter. */
static bool neutral(enum attr a, const char *want) {
	switch (a) {
	case ATTR_VLAN:
		return strcmp(want, "0") == 0;
	case ATTR_RATE:
		return strcmp(want, "min 0 max 0") == 0;
	case ATTR_STATE:
		return strcmp(want, "auto") == 0;
	case ATTR_ESWITCH:
		return strcmp(want, "legacy") == 0;
	default:
		return strcmp(want, "off") == 0;
	}
}

static int add_drift(struct plan *p, const struct drift *d, struct err *e) {
	if ((p->ndrift & (p->ndrift - 1)) == 0) {
		unsigned room = p->ndrift > 0 ? 2 * p->ndrift : 1;
		struct drift *more = realloc(p->drift, room * sizeof(*more));

		if (more == NULL)
			return err_set(e, ENOMEM, "no memory for %u differences", room);
		p->drift = more;
	}
	p->drift[p->ndrift++] = *d;
	return 0;
}

/* Puts the line of FILE before a sentence. */
static int say_where(
	const struct look *k, const struct aim *t, const char *slot, enum attr a, int rc) {
	const json_t *mark = NULL, *pfs = yaml_member(k->a->want->marks, "pfs");

	if (t != NULL)
		mark = aim_mark(k->a, t, a == ATTR_RATE ? "max-rate" : attr_name(a));
	for (unsigned i = 0; t == NULL && i < k->a->npfs; i++)
		if (strcmp(k->a->pf[i].fn->slot, slot) == 0)
			mark = yaml_member(yaml_member(pfs, k->a->pf[i].want->name), attr_name(a));
	err_prefix(k->e, "%s:%d: ", k->a->want->file, yaml_line(mark));
	return rc;
}

/* Compares one attribute with what is wanted. */
static int look_at(struct plan *p, const struct look *k, const struct aim *t, const char *slot,
	int vf, enum attr a, const char *want) {
	struct drift d = {.attr = a, .aim = t, .vf = vf};
	int rc;

	snprintf(d.slot, sizeof(d.slot), "%s", slot);
	snprintf(d.want, sizeof(d.want), "%s", want);
	rc = attr_get(k->h, a, slot, vf, d.is, k->e);
	if (rc == -EOPNOTSUPP && neutral(a, want))
		return 0;
	if (rc < 0)
		return say_where(k, t, slot, a, rc);
	if (strcmp(d.is, want) == 0 || (k->o.skip != NULL && k->o.skip(k->o.ctx, &d)))
		return 0;
	return add_drift(p, &d, k->e);
}

static int look_pf(struct plan *p, const struct look *k, const struct aim_pf *t) {
	const struct {
		enum attr attr;
		unsigned key;
		const char *want;
	} rows[] = {
		{ATTR_UP, WANT_UP, t->want->up ? "up" : "down"},
		{ATTR_MTU, WANT_MTU, NULL},
		{ATTR_AUTOPROBE, WANT_AUTOPROBE, on_off_word(t->want->autoprobe)},
		{ATTR_ESWITCH, WANT_ESWITCH,
			t->want->eswitch == ESWITCH_SWITCHDEV ? "switchdev" : "legacy"},
		{ATTR_VFS, WANT_VFS, NULL},
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(rows) / sizeof(rows[0]); i++) {
		char number[16];

		if ((t->want->stated & rows[i].key) == 0)
			continue;
		snprintf(number, sizeof(number), "%u",
			rows[i].attr == ATTR_MTU ? t->want->mtu : t->vfs);
		rc = look_at(p, k, NULL, t->fn->slot, -1, rows[i].attr,
			rows[i].want != NULL ? rows[i].want : number);
	}
	return rc;
}

int look_driver(
	const struct look *k, const struct aim *t, const char *has, char want[ATTR_TEXT_MAX]) {
	const struct driver *d = t->vf >= 0 ? driver_find(t->fn->driver) : NULL;
	char by[WANT_NAME_MAX + 16];

	if (strcmp(t->want.driver, "kernel") != 0)
		snprintf(want, ATTR_TEXT_MAX, "%s", t->want.driver);
	else if (d != NULL && d->vf_driver != NULL)
		snprintf(want, ATTR_TEXT_MAX, "%s", d->vf_driver);
	else if (has != NULL && strcmp(has, "none") != 0 && !driver_gives_away(has))
		snprintf(want, ATTR_TEXT_MAX, "%s", has);
	else if (t->vf >= 0 || driver_native(k->h, t->fn, want, NULL) < 0)
		return err_set(k->e, EINVAL,
			"%s: driver is 'kernel', and weir does not know which that is for %s of "
			"%s; "
			"name it",
			aim_name(k->a, t, by, sizeof(by)), t->vf >= 0 ? "VFs" : "the function",
			t->fn->slot);
	return 0;
}

static int look_owner(struct plan *p, const struct look *k, const struct aim *t) {
	return (t->want.stated & WANT_OWNER) != 0
		       ? look_at(p, k, t, t->fn->slot, t->vf, ATTR_OWNER, t->want.owner)
		       : 0;
}

static int look_bound(struct plan *p, const struct look *k, const struct aim *t) {
	char has[ATTR_TEXT_MAX], want[ATTR_TEXT_MAX];
	int rc = 0;

	if ((t->want.stated & WANT_DRIVER) == 0)
		return 0;
	// What a bind by hand left there would be the kernel's choice at the next probe.
	if (strcmp(t->want.driver, "kernel") == 0)
		rc = look_at(p, k, t, t->fn->slot, t->vf, ATTR_OVERRIDE, "none");
	if (rc == 0)
		rc = attr_get(k->h, ATTR_DRIVER, t->fn->slot, t->vf, has, k->e);
	if (rc == 0)
		rc = look_driver(k, t, has, want);
	return rc == 0 ? look_at(p, k, t, t->fn->slot, t->vf, ATTR_DRIVER, want) : rc;
}

/* 1: it is somebody else's, and stays so. */
static int look_left(struct plan *p, const struct look *k, const struct aim *t) {
	char owner[ATTR_TEXT_MAX];
	struct left *more;
	int rc = attr_get(k->h, ATTR_OWNER, t->fn->slot, t->vf, owner, k->e);

	if (rc < 0 || strcmp(owner, "none") == 0 || k->o.force ||
		((t->want.stated & WANT_OWNER) != 0 && strcmp(owner, t->want.owner) == 0))
		return rc;
	more = realloc(p->left, (p->nleft + 1) * sizeof(*more));
	if (more == NULL)
		return err_set(k->e, ENOMEM, "no memory for what is left alone");
	p->left = more;
	p->left[p->nleft].aim = t;
	memcpy(p->left[p->nleft++].owner, owner, sizeof(owner));
	return 1;
}

/* In the order in which it is changed: the owner's record has what was before, and a driver finds what it
 * reads when it is bound. */
static int look_aim(struct plan *p, const struct look *k, const struct aim *t) {
	int rc = look_left(p, k, t);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = look_owner(p, k, t);
	for (size_t i = 0; rc == 0 && t->vf >= 0 && i < sizeof(vf_attrs) / sizeof(vf_attrs[0]);
		i++) {
		char want[ATTR_TEXT_MAX];

		if ((t->want.stated & vf_attrs[i].keys) == 0)
			continue;
		vf_text(&t->want, vf_attrs[i].attr, want);
		rc = look_at(p, k, t, t->fn->slot, t->vf, vf_attrs[i].attr, want);
	}
	return rc == 0 ? look_bound(p, k, t) : rc;
}

/* The attributes of a VF that is to come; nothing is known of it but what its PF's driver can. */
int look_fresh(struct changes *l, const struct look *k, const struct aim *t) {
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(vf_attrs) / sizeof(vf_attrs[0]); i++) {
		char to[ATTR_TEXT_MAX];

		if ((t->want.stated & vf_attrs[i].keys) == 0)
			continue;
		vf_text(&t->want, vf_attrs[i].attr, to);
		rc = changes_put(l, vf_attrs[i].attr, t->fn->slot, t->vf, "", to, k->e);
	}
	return rc;
}

bool look_anew(const struct plan *p, const struct aim_pf *t) {
	for (unsigned i = 0; i < p->ndrift; i++)
		if (strcmp(p->drift[i].slot, t->fn->slot) == 0 && p->drift[i].vf < 0 &&
			(p->drift[i].attr == ATTR_VFS || p->drift[i].attr == ATTR_ESWITCH))
			return true;
	return false;
}

int look_all(struct plan *p, const struct look *k) {
	const struct aims *a = k->a;
	unsigned next = 0;
	int rc = 0;

	*p = (struct plan){0};
	for (unsigned i = 0; rc == 0 && i < a->npfs; i++) {
		bool anew;

		rc = look_pf(p, k, &a->pf[i]);
		anew = look_anew(p, &a->pf[i]);
		for (; rc == 0 && next < a->naims && a->aim[next].pf == (int)i; next++)
			if (!anew)
				rc = look_aim(p, k, &a->aim[next]);
	}
	for (; rc == 0 && next < a->naims; next++)
		rc = look_aim(p, k, &a->aim[next]);
	if (rc != 0)
		plan_free(p);
	return rc;
}

int plan_look(struct plan *p, const struct aims *a, const struct host *h, struct err *e) {
	const struct look k = {.a = a, .h = h, .e = e};

	return look_all(p, &k);
}

void plan_free(struct plan *p) {
	free(p->drift);
	free(p->left);
	changes_free(&p->changes);
	*p = (struct plan){0};
}

static json_t *about(const char *slot, int vf) {
	json_t *v = json_pack("{s:s}", "function", slot);

	if (vf >= 0)
		json_object_set_new(v, "vf", json_integer(vf));
	return v;
}

json_t *drift_json(const struct aims *a, const struct drift *d) {
	char by[WANT_NAME_MAX + 16] = "";
	json_t *v = about(d->slot, d->vf);

	json_object_set_new(v, "attribute", json_string(attr_name(d->attr)));
	json_object_set_new(v, "is", json_string(d->is));
	json_object_set_new(v, "want", json_string(d->want));
	if (d->aim != NULL)
		aim_name(a, d->aim, by, sizeof(by));
	for (unsigned i = 0; d->aim == NULL && i < a->npfs; i++)
		if (strcmp(a->pf[i].fn->slot, d->slot) == 0)
			snprintf(by, sizeof(by), "pf %s", a->pf[i].want->name);
	json_object_set_new(v, "by", json_string(by));
	return v;
}

json_t *left_json(const struct aims *a, const struct left *l) {
	char by[WANT_NAME_MAX + 16];
	json_t *v = about(l->aim->fn->slot, l->aim->vf);

	json_object_set_new(v, "owner", json_string(l->owner));
	json_object_set_new(v, "by", json_string(aim_name(a, l->aim, by, sizeof(by))));
	return v;
}
