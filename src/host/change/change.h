/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_CHANGE_H
#define WEIR_HOST_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "host/pci.h"

/* Everything weir changes on a host is an attribute of a function, and every attribute has a value that
 * can be written as text, read back and compared. A change is from one value to another; a plan is a list
 * of changes; undoing it is the same list from its end, with from and to exchanged. `weir vf set`, `weir
 * pci bind` and `weir host apply` differ only in how they come to their list.
 *
 * A change is made only where its `from` stands, is done where its `to` stands already, and is refused
 * where somebody else has put a third value meanwhile. */

struct err;
struct host;

enum attr {
	/* of a function (vf -1: named by its slot; else VF number vf of that PF) */
	ATTR_DRIVER, /* "vfio-pci", "igbvf", "none"; leaves driver_override as it stands */
	ATTR_OVERRIDE, /* driver_override: a driver's name, "none"; who is bound stays bound */
	/* of a PF */
	ATTR_VFS, /* "0" to the device's total */
	ATTR_AUTOPROBE, /* "on", "off": VFs get a driver of themselves */
	ATTR_ESWITCH, /* "legacy", "switchdev" */
	ATTR_UP, /* "up", "down" */
	ATTR_MTU, /* "1500" */
	/* of a VF, kept by its PF's driver */
	ATTR_MAC, /* "52:54:00:00:00:01", all zeros: none */
	ATTR_VLAN, /* "0": none; "100", "100 qos 3", "100 qos 3 proto 802.1ad" */
	ATTR_RATE, /* "min 0 max 1000", Mbit/s, 0: none; the kernel sets both at once */
	ATTR_SPOOFCHK, /* "on", "off" */
	ATTR_TRUST, /* "on", "off" */
	ATTR_STATE, /* "auto", "enable", "disable" */
	ATTR_RSS_QUERY, /* "on", "off" */
	/* weir's own record of a VF (store.h) */
	ATTR_OWNER, /* "vm7", "none" */
	ATTR_COUNT
};

enum { ATTR_TEXT_MAX = 64 };

struct change {
	enum attr attr;
	char slot[PCI_SLOT_MAX]; /* of the PF for VFs, else of the function itself */
	int vf; /* -1: the function itself */
	/* It happens by itself with the change of ATTR_VFS that follows (a VF's attributes go with the VF):
	 * nothing is written, but undoing writes it. */
	bool implied;
	/* from "": not known yet, for the VF comes with a change before this one. It is made whatever stands
	 * there, which the journal notes; without a journal its way back (to "") is nothing: the VF goes. */
	char from[ATTR_TEXT_MAX], to[ATTR_TEXT_MAX];
};

struct changes {
	struct change *c;
	unsigned n;
};

/* Appends a copy. -ENOMEM with its sentence. */
int changes_add(struct changes *l, const struct change *c, struct err *e);
/* Appends the change of one attribute; nothing when `from` is `to`. -ENOMEM with its sentence. */
int changes_put(struct changes *l, enum attr a, const char *slot, int vf, const char *from,
	const char *to, struct err *e);
void changes_free(struct changes *l);
/* The way back: reversed, from and to exchanged. */
int changes_reverse(const struct changes *l, struct changes *back, struct err *e);

/* Its name in YAML, JSON and messages: "driver", "override", "vfs", "autoprobe", "eswitch", "link", "mtu",
 * "mac", "vlan", "rate", "spoofchk", "trust", "link-state", "rss-query", "owner"; ATTR_COUNT: unknown. */
const char *attr_name(enum attr a);
enum attr attr_by_name(const char *name);

/* Whether the attribute is one of VFs that a PF's driver keeps (ATTR_MAC to ATTR_RSS_QUERY). */
bool attr_of_vf(enum attr a);

/* The value now, as text. 0; -ENODEV: no such function or VF; -EOPNOTSUPP: the driver does not tell it;
 * with a sentence. */
int attr_get(const struct host *h, enum attr a, const char *slot, int vf, char text[ATTR_TEXT_MAX],
	struct err *e);

/* A user's value in its canonical text (rates with units, VLAN words in any order, "on"/"yes"/true):
 * -EINVAL or -ERANGE with value, range and remedy. Judges the value alone, not the host. */
int attr_parse(enum attr a, const char *value, char text[ATTR_TEXT_MAX], struct err *e);

/* Makes the change in the kernel (not the comparison with `from`, nor the reading back, which are
 * apply's). Waits until it is so: VFs have appeared, a driver is bound. Explains the kernel's refusal:
 * what it means for this attribute and driver, and the remedy. */
int attr_set(const struct host *h, const struct change *c, struct err *e);

/* The changes that lead a PF from the VFs it has to `n`: the attributes of those that go (implied), 0 in
 * between, as the kernel wants it. All VFs go on the way, so those that come back have the driver's
 * defaults again. -ERANGE when device or driver cannot have so many. Appends; nothing when it has `n`. */
int changes_vfs(struct changes *l, const struct host *h, const struct pci_function *pf, unsigned n,
	struct err *e);
/* The same together with an eswitch mode ("legacy", "switchdev"), in the order that the PF's driver wants
 * (drivers.h): before there are VFs, or with VFs that no driver has. */
int changes_eswitch(struct changes *l, const struct host *h, const struct pci_function *pf,
	unsigned n, const char *mode, struct err *e);

json_t *change_json(const struct change *c);
int change_parse(struct change *c, const json_t *v, struct err *e);

#endif
