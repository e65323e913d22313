/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/change/attr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "host/change/owner.h"
#include "host/host.h"

/* Each attribute: its name, and whose it is. Values as text are attr_text.c's, those of sysfs attr_pci.c's, those of netlink attr_link.c's. */

enum of { OF_FUNCTION, OF_PF, OF_LINK, OF_VF, OF_WEIR };

static const struct {
	const char *name;
	enum of of;
} attrs[ATTR_COUNT] = {
	[ATTR_DRIVER] = {"driver", OF_FUNCTION},
	[ATTR_OVERRIDE] = {"override", OF_FUNCTION},
	[ATTR_VFS] = {"vfs", OF_PF},
	[ATTR_AUTOPROBE] = {"autoprobe", OF_PF},
	[ATTR_ESWITCH] = {"eswitch", OF_PF},
	[ATTR_UP] = {"link", OF_LINK},
	[ATTR_MTU] = {"mtu", OF_LINK},
	[ATTR_MAC] = {"mac", OF_VF},
	[ATTR_VLAN] = {"vlan", OF_VF},
	[ATTR_RATE] = {"rate", OF_VF},
	[ATTR_SPOOFCHK] = {"spoofchk", OF_VF},
	[ATTR_TRUST] = {"trust", OF_VF},
	[ATTR_STATE] = {"link-state", OF_VF},
	[ATTR_RSS_QUERY] = {"rss-query", OF_VF},
	[ATTR_OWNER] = {"owner", OF_WEIR},
};

const char *attr_name(enum attr a) {
	return a < ATTR_COUNT ? attrs[a].name : "?";
}

enum attr attr_by_name(const char *name) {
	enum attr a = 0;

	while (a < ATTR_COUNT && strcmp(attrs[a].name, name) != 0)
		a++;
	return a;
}

bool attr_of_vf(enum attr a) {
	return a < ATTR_COUNT && attrs[a].of == OF_VF;
}

char *attr_what(const char *slot, int vf, char buf[ATTR_WHAT_MAX]) {
	if (vf >= 0)
		snprintf(buf, ATTR_WHAT_MAX, "%s vf %d", slot, vf);
	else
		snprintf(buf, ATTR_WHAT_MAX, "%s", slot);
	return buf;
}

const struct pci_function *attr_function(
	const struct host *h, const char *slot, int vf, struct err *e) {
	const struct pci_function *f = pci_at(&h->pci, slot);
	const struct pci_function *v;

	if (f == NULL) {
		err_set(e, ENODEV,
			"there is no PCI function %s on this host; 'weir nic list' shows what "
			"there "
			"is",
			slot);
		return NULL;
	}
	if (vf < 0)
		return f;
	v = pci_vf(&h->pci, f, vf);
	if (v == NULL && f->vfs == 0)
		err_set(e, ENODEV, "%s has no VFs; 'weir vf create %s N' makes some", slot, slot);
	else if (v == NULL)
		err_set(e, ENODEV, "%s has no VF %d; it has %u, counted from 0", slot, vf, f->vfs);
	return v;
}

static int pf_get(const struct host *h, enum attr a, const struct pci_function *f,
	char text[ATTR_TEXT_MAX], struct err *e) {
	const struct devlink *d;

	if (a == ATTR_ESWITCH) {
		d = devlinks_at(&h->devlinks, f->slot);
		if (d == NULL || d->mode == ESWITCH_NONE)
			return err_set(e, EOPNOTSUPP,
				"%s has no eswitch (driver %s): it switches as it always did",
				f->slot, f->driver[0] != '\0' ? f->driver : "none");
		snprintf(text, ATTR_TEXT_MAX, "%s",
			d->mode == ESWITCH_SWITCHDEV ? "switchdev" : "legacy");
		return 0;
	}
	if (f->vfs_total == 0)
		return err_set(e, EOPNOTSUPP,
			"%s cannot have VFs: it has no SR-IOV capability; if the card should have "
			"it, enable SR-IOV in the BIOS and in the card's own setup",
			f->slot);
	if (a == ATTR_VFS)
		snprintf(text, ATTR_TEXT_MAX, "%u", f->vfs);
	else
		snprintf(text, ATTR_TEXT_MAX, "%s", on_off(f->autoprobe));
	return 0;
}

int attr_get(const struct host *h, enum attr a, const char *slot, int vf, char text[ATTR_TEXT_MAX],
	struct err *e) {
	const struct pci_function *f;

	text[0] = '\0';
	if (a >= ATTR_COUNT)
		return err_set(e, EINVAL, "no such attribute");
	f = attr_function(h, slot, vf, e);
	if (f == NULL)
		return -ENODEV;
	switch (attrs[a].of) {
	case OF_FUNCTION: {
		const char *name = a == ATTR_DRIVER ? f->driver : f->wanted;

		snprintf(text, ATTR_TEXT_MAX, "%s", name[0] != '\0' ? name : "none");
		return 0;
	}
	case OF_PF:
		return pf_get(h, a, f, text, e);
	case OF_LINK:
	case OF_VF:
		return link_attr_get(h, a, pci_at(&h->pci, slot), vf, text, e);
	case OF_WEIR:
		return owner_get(h, f, text, e);
	}
	return 0;
}

static int pci_attr_set(const struct host *h, const struct change *c, struct err *e) {
	const struct pci_function *f = attr_function(h, c->slot, c->vf, e);
	unsigned n;

	if (f == NULL)
		return -ENODEV;
	if (c->attr == ATTR_DRIVER)
		return driver_bind(h, f, c->to, e);
	if (c->attr == ATTR_OVERRIDE)
		return override_set(h, f, c->to, e);
	if (c->attr == ATTR_AUTOPROBE)
		return autoprobe_set(h, f, strcmp(c->to, "on") == 0, e);
	if (sscanf(c->to, "%u", &n) != 1)
		return err_set(e, EINVAL, "'%s' is no number of VFs", c->to);
	return vfs_set(h, f, n, e);
}

int attr_set(const struct host *h, const struct change *c, struct err *e) {
	const struct pci_function *pf;

	if (c->attr >= ATTR_COUNT)
		return err_set(e, EINVAL, "no such attribute");
	if (c->attr == ATTR_OWNER) {
		const struct changes alone = {NULL, 0};

		return owner_set(h, c, &alone, e);
	}
	if (attrs[c->attr].of == OF_FUNCTION || c->attr == ATTR_VFS || c->attr == ATTR_AUTOPROBE)
		return pci_attr_set(h, c, e);
	pf = attr_function(h, c->slot, -1, e);
	return pf != NULL ? link_attr_set(h, c, pf, e) : -ENODEV;
}
