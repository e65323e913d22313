/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_DEVLINK_H
#define WEIR_HOST_DEVLINK_H

#include <stddef.h>

/* The eswitch of NICs that have one, over devlink (generic netlink). */

struct root;

enum eswitch { ESWITCH_NONE, ESWITCH_LEGACY, ESWITCH_SWITCHDEV };

struct devlink {
	char slot[16]; /* PCI address of the PF */
	enum eswitch mode; /* ESWITCH_NONE: the driver has no eswitch to speak of */
	char inline_mode[16], encap[8]; /* "" where not told */
	char firmware[64]; /* running version, "": not told */
};

struct devlinks {
	struct devlink *dev;
	unsigned n;
};

/* A kernel without devlink, or a recorded tree without devlink.nl: none, and 0. */
int devlinks_read(const struct root *r, struct devlinks *d);
void devlinks_free(struct devlinks *d);
const struct devlink *devlinks_at(const struct devlinks *d, const char *slot); /* NULL: none */
int devlinks_decode(struct devlinks *d, const void *bytes, size_t len);

/* 0, the kernel's errno (negative), -ETIMEDOUT. */
int devlink_set_eswitch(const char *slot, enum eswitch mode, unsigned limit_ms);

#endif
