/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/path.h"

/* Ways that this version cannot set up: they are listed with the reason, so that a table of paths says
 * what it leaves out, and why. */

/* Is there an SR-IOV function under /sys/bus/pci that could give VFs? */
static bool has_sriov(void) {
	DIR *d = opendir("/sys/bus/pci/devices");
	struct dirent *at;
	bool found = false;

	while (d != NULL && !found && (at = readdir(d)) != NULL) {
		char path[400];

		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/sriov_totalvfs", at->d_name);
		found = access(path, F_OK) == 0;
	}
	if (d != NULL)
		closedir(d);
	return found;
}

static bool has_iommu(void) {
	DIR *d = opendir("/sys/kernel/iommu_groups");
	struct dirent *at;
	bool found = false;

	while (d != NULL && !found && (at = readdir(d)) != NULL)
		found = at->d_name[0] != '.';
	if (d != NULL)
		closedir(d);
	return found;
}

static int af_xdp_possible(struct path_bed *b, struct err *e) {
	return err_set(e, EOPNOTSUPP,
		"weir has no AF_XDP port yet, and QEMU has a netdev af-xdp from 8.2 on only");
}

static int vf_possible(struct path_bed *b, struct err *e) {
	if (!has_sriov())
		return err_set(e, ENODEV, "no PCI device here has SR-IOV");
	if (!has_iommu())
		return err_set(e, ENODEV,
			"there is no IOMMU (intel_iommu=on or amd_iommu=on on the kernel's command "
			"line)");
	return err_set(e, EOPNOTSUPP, "weir does not hand out VFs yet");
}

static int passthrough_possible(struct path_bed *b, struct err *e) {
	if (!has_iommu())
		return err_set(e, ENODEV,
			"there is no IOMMU (intel_iommu=on or amd_iommu=on on the kernel's command "
			"line)");
	return err_set(e, EOPNOTSUPP, "weir does not take NICs from the host yet");
}

const struct path path_af_xdp = {"af-xdp", "AF_XDP", af_xdp_possible, NULL, NULL};
const struct path path_vf = {"vf", "SR-IOV virtual function", vf_possible, NULL, NULL};
const struct path path_passthrough = {
	"passthrough", "the whole PCI device", passthrough_possible, NULL, NULL};
