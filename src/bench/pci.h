/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_PCI_H
#define WEIR_BENCH_PCI_H

#include <stdbool.h>

#include "host/pci.h"

/* PCI functions that guests can be given. They have to be bound to vfio-pci already: taking them from their
 * driver is an operator's decision. */

struct err;
struct root;

enum { PCI_WANTED_MAX = 64 };

struct pci_wish {
	bool vf; /* virtual functions; else whole devices */
	unsigned n; /* so many, at most PCI_WANTED_MAX */
	const char *given; /* their addresses with commas between; NULL: the first that are there */
};

/* Fills `found` with their full addresses ("0000:01:10.0"). 0; -errno with a sentence that says what is
 * missing: no such function, not one of that kind, no IOMMU, not bound, too few. */
int pci_find(const struct root *r, const struct pci_wish *w,
	char found[PCI_WANTED_MAX][PCI_SLOT_MAX], struct err *e);

#endif
