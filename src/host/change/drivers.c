/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/change/drivers.h"

#include <stddef.h>
#include <string.h>

#include "host/pci.h"

#define UP_TO_LINK "it needs a link, and at most its speed"

static const struct driver drivers[] = {
	{.name = "igb",
		.vf_driver = "igbvf",
		.vfs_max = 7,
		.mac_rebind = true,
		.trust = true,
		.rate_limits = UP_TO_LINK},
	{.name = "ixgbe",
		.vf_driver = "ixgbevf",
		.vfs_max = 63,
		.mac_rebind = true,
		.trust = true,
		.link_state = true,
		.rate_limits = "it needs a 10 Gbit/s link, and 11 to 10000 Mbit/s"},
	{.name = "i40e",
		.vf_driver = "iavf",
		.trust = true,
		.link_state = true,
		.rate_limits = UP_TO_LINK},
	{.name = "ice",
		.vf_driver = "iavf",
		.order = ORDER_BEFORE_VFS,
		.min_rate = true,
		.trust = true,
		.link_state = true,
		.qinq = true,
		.rate_limits = UP_TO_LINK},
	{.name = "mlx5_core",
		.vf_driver = "mlx5_core",
		.order = ORDER_UNBOUND,
		.mac_rebind = true,
		.min_rate = true,
		.trust = true,
		.link_state = true,
		.qinq = true},
	{.name = "bnxt_en",
		.vf_driver = "bnxt_en",
		.order = ORDER_AFTER_VFS,
		.min_rate = true,
		.trust = true,
		.link_state = true,
		.rate_limits = UP_TO_LINK},
};

const struct driver *driver_find(const char *name) {
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (strcmp(drivers[i].name, name) == 0)
			return &drivers[i];
	return NULL;
}

bool driver_gives_away(const char *name) {
	return pci_driver_is_vfio(name) || pci_driver_is_uio(name) || strcmp(name, "pci-stub") == 0;
}
