/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_PATHS_H
#define WEIR_BENCH_PATHS_H

#include <stdint.h>

#include "bench/bench.h"
#include "bench/paths/path.h"

/* Between the parts of `weir bench paths`. */

struct paths_plan {
	unsigned n; /* VMs */
	uint64_t rate; /* bit/s at which host CPU is compared */
	const char *pci; /* --pci */
	unsigned nfunctions; /* PCI functions whose drivers the VMs need, of all paths */
	char function[2 * PATH_GUESTS_MAX][PCI_SLOT_MAX];
	const struct guest_image *image;
	const char *accel;
	bool emulated;
};

/* What VMs boot from (the caller's to free, also when it fails; NULL: the host's kernel) and with: sets
 * image, accel and emulated. Warns when they are emulated. */
int paths_prepare(struct bench *b, const char *kernel, struct paths_plan *plan,
	struct guest_image **image, struct err *e);

/* Makes the path in this process, which is a child for this purpose alone, measures it and fills b->doc.
 * As instrument.run. */
int paths_measure(
	struct bench *b, const struct path *path, const struct paths_plan *plan, struct err *e);

/* Boots plan->n VMs on a path that is set up, all together. 0; negative errno with a sentence, and none runs. */
int paths_boot(struct bench *b, const struct path *path, const struct paths_plan *plan,
	struct path_bed *bed, struct guest **guests, struct err *e);
void paths_end_guests(struct guest **guests, unsigned n);

/* The part of it on a path that is up: guests[] (plan->n, NULL without VMs) are booted. */
int paths_figures(struct bench *b, const struct path *path, const struct paths_plan *plan,
	const struct path_bed *bed, struct guest *const *guests, struct err *e);

#endif
