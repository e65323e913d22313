/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "bench/apart.h"
#include "bench/paths/paths.h"
#include "bench/result.h"

/* A path from its making to its end, in a process of its own. */

enum { BOOT_MS = 60000, BOOT_EACH_MS = 5000 };

void paths_end_guests(struct guest **guests, unsigned n) {
	for (unsigned i = 0; i < n; i++) {
		guest_end(guests[i]);
		guests[i] = NULL;
	}
}

static int start_guest(const struct path *p, const struct paths_plan *plan, struct path_bed *bed,
	unsigned i, struct guest **guest, struct err *e) {
	struct guest_spec spec = {.nnics = 1};
	int ret;

	snprintf(spec.name, sizeof(spec.name), "vm%u", i + 1);
	path_mac(i, spec.nics[0].mac, sizeof(spec.nics[0].mac));
	path_address(i, spec.nics[0].address, sizeof(spec.nics[0].address));
	ret = p->nic(bed, i, &spec, e);
	if (ret < 0)
		return ret;
	*guest = guest_start(plan->image, &spec, bed->accel, e);
	return *guest != NULL ? 0 : -EAGAIN;
}

int paths_prepare(struct bench *b, const char *kernel, struct paths_plan *plan,
	struct guest_image **image, struct err *e) {
	struct err why;

	if (path_has(guest_program(), "qemu-system-x86", e) < 0)
		return -ENOENT;
	*image = guest_image_new(kernel, plan->function, plan->nfunctions, e);
	if (*image == NULL)
		return -ENOENT;
	bench_progress(b, -1, "a VM boots for a try");
	plan->image = *image;
	plan->accel = guest_accel(*image, &why);
	if (plan->accel == NULL)
		return err_set(e, ECANCELED, "interrupted");
	plan->emulated = strncmp(plan->accel, "tcg", 3) == 0;
	if (why.text[0] != '\0')
		result_warn(b->doc, "VMs do not boot with KVM here (%s)", why.text);
	if (plan->emulated)
		result_warn(b->doc,
			"the VMs are emulated: figures of paths with VMs compare with each "
			"other, not with those of real hardware");
	return 0;
}

int paths_boot(struct bench *b, const struct path *p, const struct paths_plan *plan,
	struct path_bed *bed, struct guest **guests, struct err *e) {
	int ret = 0, limit = BOOT_MS + BOOT_EACH_MS * (int)plan->n;

	bench_progress(b, -1, "path %s: %u VMs boot", p->name, plan->n);
	bed->intx = guest_needs_intx(bed->accel);
	for (unsigned i = 0; i < plan->n && ret == 0; i++)
		ret = start_guest(p, plan, bed, i, &guests[i], e);
	for (unsigned i = 0; i < plan->n && ret == 0; i++)
		ret = guest_wait(guests[i], limit, e);
	if (ret < 0)
		paths_end_guests(guests, plan->n);
	return ret;
}

int paths_measure(
	struct bench *b, const struct path *path, const struct paths_plan *plan, struct err *e) {
	struct path_bed bed = {.n = plan->n, .accel = plan->accel, .pci = plan->pci};
	struct guest *guests[PATH_GUESTS_MAX] = {NULL};
	int ret;

	ret = apart_enter(e);
	if (ret < 0)
		return ret;
	ret = path->setup(&bed, e);
	if (ret == 0 && path->nic != NULL)
		ret = paths_boot(b, path, plan, &bed, guests, e);
	if (ret == 0)
		ret = paths_figures(b, path, plan, &bed, guests, e);
	paths_end_guests(guests, plan->n);
	path_end(&bed);
	return ret; // descriptors go with this process
}
