/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_IOMMU_H
#define WEIR_HOST_IOMMU_H

#include <stdbool.h>

#include "host/check/finding.h"
#include "host/root.h"

/* What passthrough asks of the host as a whole: an IOMMU that is on, interrupts that are remapped, the
 * kernel's vfio. Each fills evidence, severity and remedy of a finding (rule and subject are the
 * caller's). */

/* IOMMU groups are there. Those of vfio's own mode without an IOMMU do not count. */
bool iommu_on(const struct root *r);

void iommu_judge(const struct root *r, struct finding *f);
void iommu_judge_interrupts(const struct root *r, struct finding *f);
void iommu_judge_vfio(const struct root *r, struct finding *f);

/* The first word of the kernel's command line that is `name` or "name=...", copied to buf; false: none. */
bool kernel_word(const struct root *r, const char *name, char *buf, size_t size);

#endif
