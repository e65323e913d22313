/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/paths/path.h"

/* A virtual function for each guest: the card is the switch. They are of one card when none are named, since
 * the first that are bound to vfio-pci are taken. */

static int possible(struct path_bed *b, struct err *e) {
	return path_pci_possible(b, true, e);
}

static int setup(struct path_bed *b, struct err *e) {
	return path_pci_possible(b, true, e);
}

const struct path path_vf = {
	"vf", "SR-IOV virtual functions, one a guest", possible, setup, path_pci_nic};
