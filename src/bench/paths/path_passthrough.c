/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/paths/path.h"

/* A network card of its own for each guest. What is between two of them is outside of this host: a cable, or a
 * switch. */

static int possible(struct path_bed *b, struct err *e) {
	return path_pci_possible(b, false, e);
}

static int setup(struct path_bed *b, struct err *e) {
	return path_pci_possible(b, false, e);
}

const struct path path_passthrough = {
	"passthrough", "whole network cards, one a guest", possible, setup, path_pci_nic};
