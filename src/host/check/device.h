/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_DEVICE_H
#define WEIR_HOST_DEVICE_H

#include <stdint.h>

#include "host/check/finding.h"
#include "host/host.h"

/* Whether a function, physical or virtual, can be handed to a guest by VFIO. */

enum device_check {
	DEVICE_IOMMU, /* it is on, and the function is in a group */
	DEVICE_GROUP, /* nobody else in it stands in the way */
	DEVICE_USE, /* the host does not need it */
	DEVICE_RESET, /* it can be brought back to a known state between two guests */
	DEVICE_MEMORY, /* the guest's memory can be locked */
	DEVICE_VFIO, /* the kernel's modules */
	DEVICE_INTERRUPTS, /* a guest cannot forge them */
	DEVICE_CHECKS
};

struct device {
	const struct host *host;
	const struct users *users; /* NULL: whether it is in use is not looked at */
	const struct pci_function *f;
	/* Others that are taken in the same go and so do not stand in the way of f's group. */
	const struct pci_function *const *with;
	unsigned nwith;
	uint64_t memory; /* of the guest, bytes; 0: not told */
};

/* Fills `out`; SEVERITY_ERROR: it cannot be passed through, as things are. */
void device_judge(const struct device *d, enum device_check what, struct finding *out);

/* 0 when none of `checks` (bits 1 << DEVICE_USE ...) is an error; else the first that is, as a sentence
 * with evidence and remedy: -EBUSY for use and group, -EOPNOTSUPP for what the host lacks. What `weir pci
 * bind` asks before it takes a function from its driver. */
int device_refuse(const struct device *d, unsigned checks, struct err *e);

/* The DMA of a group's member can go on beside a guest: bridges, functions without driver, and those that
 * vfio or a stub holds. */
bool device_harmless(const struct pci_function *member);

#endif
