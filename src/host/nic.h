/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_NIC_H
#define WEIR_HOST_NIC_H

#include <jansson.h>

/* What a network interface of this namespace takes over for the CPUs, as ethtool would say it:
 * {"device", "driver", "mtu", "offloads": {"rx-checksum", "tx-checksum", "sg", "tso", "gso", "gro", "lro":
 *  bool}, "queues": {"rx", "tx", "combined"}, "ring": {"rx", "tx"}}
 * What the driver does not tell is null, or absent among the offloads. NULL: there is no such interface, or
 * no memory. */
json_t *nic_json(const char *device);

#endif
