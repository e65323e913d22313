/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/change/drivers.h"
#include "host/host.h"
#include "host/prove/prove_plan.h"

/* Two free VFs, A and B, go with their interfaces into namespaces of their own; the PF's interface stays
 * where it is, and is only listened to and sent by. One list of changes leads through all settings and
 * back to the beginning, and between its steps stand the acts that send frames:
 *
 *     (bind both) (neutral: no VLAN, no rate, no spoof check, no trust)
 *         enter; plain frames, broadcast, foreign MACs, forged MAC, rate without limit
 *     A rate 10             rate
 *     A spoofchk on         own and forged MAC
 *     A, B vlan 4094        one VLAN
 *     B vlan 4093           two VLANs
 *     A spoofchk on         A tags for B's VLAN
 *     B link disabled       nothing arrives
 *     B link auto           all arrives again; leave
 *     (as it was) */

enum { VLAN_TOP = 4094 };

/* Nobody owns it, and nothing uses it. */
static bool is_free(const struct host *h, const struct users *u, const struct pci_function *pf,
	const struct pci_function *vf) {
	char owner[ATTR_TEXT_MAX];
	struct use use;

	users_of(u, vf, &use);
	return use.kind == USE_FREE &&
	       attr_get(h, ATTR_OWNER, pf->slot, vf->vf, owner, NULL) == 0 &&
	       strcmp(owner, "none") == 0;
}

static int choose(struct prove *p, const struct users *u, struct err *e) {
	unsigned n = 0;

	for (unsigned i = 0; i < p->pf->vfs && n < PROVE_PAIR; i++) {
		const struct pci_function *vf = pci_vf(&p->h->pci, p->pf, (int)i);

		if (vf != NULL && is_free(p->h, u, p->pf, vf))
			p->vf[n++] = vf;
	}
	if (n == PROVE_PAIR)
		return 0;
	if (p->pf->vfs == 0)
		return err_set(e, EBUSY,
			"%s has no VFs, and it takes two to prove it; make them with 'weir vf "
			"create %s 2', or for the time being with --create",
			p->pf->slot, p->pf->slot);
	return err_set(e, EBUSY,
		"of the %u VFs of %s %u %s free, and it takes two that nobody owns or uses to "
		"prove it; 'weir vf list %s' says who has them",
		p->pf->vfs, p->pf->slot, n, n == 1 ? "is" : "are", p->pf->slot);
}

static int suits(const struct prove *p, struct err *e) {
	const struct devlink *d = devlinks_at(&p->h->devlinks, p->pf->slot);
	const struct link *link = host_link(p->h, p->pf);

	if (p->pf->vfs_total == 0)
		return err_set(e, EINVAL,
			"%s has no SR-IOV; 'weir nic list' shows which functions do", p->pf->slot);
	if (link == NULL)
		return err_set(e, ENODEV,
			"%s has no interface here (driver %s); its own driver has to have it",
			p->pf->slot, p->pf->driver[0] != '\0' ? p->pf->driver : "none");
	if (d != NULL && d->mode == ESWITCH_SWITCHDEV)
		return err_set(e, EOPNOTSUPP,
			"%s is in switchdev mode, where the rules of its switch decide and not the "
			"settings of VFs: there is nothing to prove",
			p->pf->slot);
	if (!(link->flags & IFF_UP))
		return err_set(e, ENETDOWN,
			"%s is down, and its VFs with it; 'ip link set %s up' first", link->name,
			link->name);
	return 0;
}

/* VLANs that no VF of this PF is in, from the top. */
static void choose_vlans(struct prove *p) {
	const struct link *link = host_link(p->h, p->pf);
	unsigned vlan = VLAN_TOP + 1;

	for (unsigned i = 0; i < PROVE_PAIR; i++) {
		bool taken;

		do {
			taken = false;
			vlan--;
			for (unsigned k = 0; k < link->nvfs; k++)
				taken = taken || link->vf[k].vlan == vlan;
		} while (taken && vlan > 1);
		p->vlan[i] = vlan;
	}
}

int prove_add(struct prove *p, unsigned i, enum attr a, const char *to, struct err *e) {
	char *now = p->now[i][a];
	int rc;

	if (now[0] == '\0')
		return 0; // what the driver does not tell cannot be brought back either
	rc = changes_put(&p->l, a, p->pf->slot, p->vf[i]->vf, now, to, e);
	snprintf(now, ATTR_TEXT_MAX, "%s", to);
	return rc;
}

static void then(struct prove *p, void (*run)(struct prove *p)) {
	p->act[p->nacts++] = (struct prove_act){p->l.n, run};
}

/* Settings under which everything passes, in the order they are made and, from the end, put back. */
static const struct {
	enum attr attr;
	const char *neutral;
} settings[] = {
	{ATTR_VLAN, "0"},
	{ATTR_RATE, "min 0 max 0"},
	{ATTR_SPOOFCHK, "off"},
	{ATTR_TRUST, "off"},
	{ATTR_STATE, "auto"},
};
enum { SETTINGS = sizeof(settings) / sizeof(settings[0]) };

/* The kernel driver that gives a VF an interface. */
static int find_driver(const struct prove *p, char driver[ATTR_TEXT_MAX], struct err *e) {
	const struct driver *d = driver_find(p->pf->driver);

	if (d == NULL)
		return err_set(e, EOPNOTSUPP,
			"weir does not know the driver of the VFs of %s (%s); bind two of them to "
			"it first",
			p->pf->slot, p->pf->driver);
	snprintf(driver, ATTR_TEXT_MAX, "%s", d->vf_driver);
	return 0;
}

/* Has it an interface, which its driver made? */
bool prove_interface(const struct prove *p, unsigned i, char name[IFNAMSIZ]) {
	char **names;
	int n = root_names(&p->h->root, &names, "/sys/bus/pci/devices/%s/net", p->vf[i]->slot);

	if (n > 0)
		snprintf(name, IFNAMSIZ, "%s", names[0]);
	if (n >= 0)
		root_names_free(names, n);
	return n > 0;
}

static int begin_list(struct prove *p, struct err *e) {
	char driver[ATTR_TEXT_MAX], name[IFNAMSIZ];
	int rc = 0;

	for (unsigned i = 0; i < PROVE_PAIR && rc == 0; i++) {
		if (prove_interface(p, i, name))
			continue;
		rc = find_driver(p, driver, e);
		if (rc == 0)
			rc = prove_add(p, i, ATTR_DRIVER, driver, e);
	}
	for (unsigned i = 0; i < PROVE_PAIR; i++)
		for (unsigned k = 0; k < SETTINGS && rc == 0; k++)
			rc = prove_add(p, i, settings[k].attr, settings[k].neutral, e);
	return rc;
}

static int end_list(struct prove *p, struct err *e) {
	int rc = 0;

	for (int i = PROVE_PAIR - 1; i >= 0; i--) {
		for (int k = SETTINGS - 1; k >= 0 && rc == 0; k--)
			rc = prove_add(
				p, (unsigned)i, settings[k].attr, p->was[i][settings[k].attr], e);
		if (rc == 0)
			rc = prove_add(p, (unsigned)i, ATTR_DRIVER, p->was[i][ATTR_DRIVER], e);
	}
	return rc;
}

/* One setting and its act; neutral again. */
static int with(struct prove *p, unsigned i, enum attr a, const char *to,
	void (*run)(struct prove *p), struct err *e) {
	char back[ATTR_TEXT_MAX];
	int rc;

	memcpy(back, p->now[i][a], sizeof(back));
	rc = prove_add(p, i, a, to, e);
	then(p, run);
	return rc == 0 ? prove_add(p, i, a, back, e) : rc;
}

static bool taken(const struct prove *p, enum prove_what w) {
	return p->r.refused[w][0] == '\0' && p->r.untestable[w][0] == '\0';
}

static int add_vlans(struct prove *p, struct err *e) {
	char one[ATTR_TEXT_MAX], two[ATTR_TEXT_MAX];
	int rc;

	snprintf(one, sizeof(one), "%u", p->vlan[0]);
	snprintf(two, sizeof(two), "%u", p->vlan[1]);
	rc = prove_add(p, 0, ATTR_VLAN, one, e);
	if (rc == 0)
		rc = prove_add(p, 1, ATTR_VLAN, one, e);
	then(p, act_one_vlan);
	if (rc == 0)
		rc = prove_add(p, 1, ATTR_VLAN, two, e);
	then(p, act_two_vlans);
	if (rc == 0)
		rc = taken(p, PROVE_SPOOFCHK) ? with(p, 0, ATTR_SPOOFCHK, "on", act_tag, e)
					      : (then(p, act_tag), 0);
	for (unsigned i = 0; i < PROVE_PAIR && rc == 0; i++)
		rc = prove_add(p, i, ATTR_VLAN, "0", e);
	return rc;
}

static int add_settings(struct prove *p, struct err *e) {
	char rate[ATTR_TEXT_MAX];
	int rc = 0;

	if (taken(p, PROVE_RATE)) {
		snprintf(rate, sizeof(rate), "min 0 max %u", p->r.limit);
		rc = with(p, 0, ATTR_RATE, rate, act_rate_limited, e);
	}
	if (rc == 0 && taken(p, PROVE_SPOOFCHK))
		rc = with(p, 0, ATTR_SPOOFCHK, "on", act_spoof, e);
	if (rc == 0 && taken(p, PROVE_VLAN))
		rc = add_vlans(p, e);
	if (rc == 0 && taken(p, PROVE_STATE)) {
		rc = with(p, 1, ATTR_STATE, "disable", act_link_disabled, e);
		then(p, act_link_auto);
	}
	return rc;
}

int prove_list(struct prove *p, struct err *e) {
	int rc;

	changes_free(&p->l);
	p->nacts = p->acted = 0;
	memcpy(p->now, p->was, sizeof(p->now));
	rc = begin_list(p, e);
	then(p, act_enter);
	then(p, act_neutral);
	if (rc == 0)
		rc = add_settings(p, e);
	then(p, act_leave);
	return rc == 0 ? end_list(p, e) : rc;
}

/* What the two have now. */
static void look(struct prove *p) {
	static const enum attr all[] = {
		ATTR_DRIVER, ATTR_VLAN, ATTR_RATE, ATTR_SPOOFCHK, ATTR_TRUST, ATTR_STATE};

	for (unsigned i = 0; i < PROVE_PAIR; i++)
		for (unsigned k = 0; k < sizeof(all) / sizeof(all[0]); k++)
			if (attr_get(p->h, all[k], p->pf->slot, p->vf[i]->vf, p->was[i][all[k]],
				    NULL) < 0)
				p->was[i][all[k]][0] = '\0';
}

int prove_plan(struct prove **out, const struct host *h, const struct users *u,
	const struct pci_function *pf, struct err *e) {
	struct prove *p = calloc(1, sizeof(*p));
	int rc;

	*out = NULL;
	if (p == NULL)
		return err_set(e, ENOMEM, "out of memory");
	p->h = h;
	p->pf = pf;
	p->r.free_rate = p->r.limited_rate = -1;
	p->r.limit = PROVE_LIMIT;
	for (unsigned i = 0; i < PROVE_PAIR; i++)
		p->place[i].home = p->place[i].away = -1;
	air_init(&p->air, NULL);
	rc = suits(p, e);
	if (rc == 0)
		rc = choose(p, u, e);
	if (rc == 0) {
		choose_vlans(p);
		look(p);
		rc = prove_list(p, e);
	}
	if (rc < 0) {
		prove_free(p);
		return rc;
	}
	*out = p;
	return 0;
}

void prove_free(struct prove *p) {
	if (p != NULL)
		changes_free(&p->l);
	free(p);
}

const struct changes *prove_changes(const struct prove *p) {
	return &p->l;
}
