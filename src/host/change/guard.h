/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_GUARD_H
#define WEIR_HOST_GUARD_H

#include "host/change/change.h"

/* Whether a list of changes would take something from somebody: VFs that are in use or have an owner go,
 * a driver is taken from what is in use, a link goes down that the operator comes in by, a function goes to
 * vfio-pci whose IOMMU group others are in. 0, or -EBUSY (-EOPNOTSUPP without an IOMMU) with who has it and
 * the remedy. Looks through the processes of the host. */

struct err;
struct host;

int guard_changes(const struct host *h, const struct changes *l, struct err *e);

#endif
