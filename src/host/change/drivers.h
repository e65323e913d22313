/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_DRIVERS_H
#define WEIR_HOST_DRIVERS_H

#include <stdbool.h>

/* What the kernel's drivers of PFs do that sysfs and netlink do not tell, as data. igb was tried,
 * ixgbe and the eswitch of ice were read in their sources; the others are from their documentation. */

/* When the eswitch may change to switchdev and back. */
enum eswitch_order {
	ORDER_NONE, /* the driver has no eswitch to speak of */
	ORDER_BEFORE_VFS, /* only while there is no VF */
	ORDER_AFTER_VFS, /* only while there are VFs */
	ORDER_UNBOUND, /* with VFs that no driver has: created without autoprobe, given away afterwards */
};

struct driver {
	const char *name; /* of the PF's driver */
	const char *vf_driver; /* of its VFs on this host */
	unsigned vfs_max; /* the driver's own bound, 0: the device's */
	enum eswitch_order order;
	bool mac_rebind; /* a VF's driver learns of a new MAC only when it is bound anew */
	bool min_rate, trust, link_state, qinq; /* can be set */
	const char *
		rate_limits; /* what a max rate must keep to, for messages; NULL: nothing special */
};

/* It holds a function for somebody else (a guest, a program), so that the host itself does not use it. */
bool driver_gives_away(const char *name);

const struct driver *driver_find(const char *name); /* NULL: we know nothing of it */

#endif
