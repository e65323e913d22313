/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_OWNER_H
#define WEIR_HOST_OWNER_H

#include "host/change/change.h"

/* Who has a VF, and what it was before: STATE/owners/SLOT.json
 *
 *   {"owner": "vm7", "since": "2026-11-22T08:00:00Z", "boot": "...", "node": 4711,
 *    "changes": [{"attribute": "mac", "function": PF, "vf": 3, "from": before, "to": since then}, ...]}
 *
 * `changes` has every attribute of the VF that can be told, also those that stayed as they were, so that a
 * release finds the way back from whatever was done since. A record is of one life of a VF: `node` is the
 * inode of its folder in sysfs, which no VF that is created later has; after a restart `boot` differs. */

struct err;
struct host;
struct pci_function;
struct root;
struct use;

/* "vm7", or "none" also where the record is of an earlier life of the VF. */
int owner_get(const struct host *h, const struct pci_function *f, char text[ATTR_TEXT_MAX],
	struct err *e);

/* Writes or removes the record; what the list changes of the same VF is what it will be since then. */
int owner_set(const struct host *h, const struct change *c, const struct changes *l, struct err *e);

/* The changes that give a VF back in the state its record has, its owner at the end. Refused where it is no
 * longer the one that was recorded: -ENOENT no owner, -EPERM another owner than `owner` (NULL: any), -ESTALE
 * it was created anew, or its MAC is not the one that was set, or -EBUSY `use` says who has it open. With
 * `force` only the first of these counts. Appends. */
int owner_release(struct changes *l, const struct host *h, const struct pci_function *vf,
	const char *owner, const struct use *use, bool force, struct err *e);

/* A locally administered MAC for a VF that nothing on this host has: made of the owner's name, so that the
 * same owner gets the same again where it can. */
void owner_mac(const struct host *h, const char *owner, char text[ATTR_TEXT_MAX]);

/* The id of this start of the host, "" when it cannot be told (a recorded tree without it). */
enum { BOOT_MAX = 40 };
char *boot_read(const struct root *r, char buf[BOOT_MAX]);

#endif
