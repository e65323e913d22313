/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_NATIVE_H
#define WEIR_HOST_NATIVE_H

#include "host/pci.h"

struct err;
struct host;

/* The kernel's own driver of a function, the one that it would have of itself: of VFs by their PF's driver
 * (drivers.h), else what modprobe knows of the device (not for a recorded tree). -ENOENT with a sentence. */
int driver_native(const struct host *h, const struct pci_function *f, char driver[PCI_DRIVER_MAX],
	struct err *e);

#endif
