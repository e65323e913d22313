/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/pci.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

/* A tree like that of sysfs: one card with two virtual functions, one without, and a disk. */

static char sys[] = "/tmp/weir-pci.XXXXXX";

static void put(const char *function, const char *file, const char *text) {
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", sys, function);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/%s", sys, function, file);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void point(const char *function, const char *name, const char *to) {
	char path[300];

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/%s", sys, function, name);
	unlink(path);
	assert_int_equal(symlink(to, path), 0);
}

static int make(void **state) {
	char path[100];

	assert_non_null(mkdtemp(sys));
	for (int i = 0; i < 3; i++) {
		static const char *const dirs[] = {"bus", "bus/pci", "bus/pci/devices"};

		snprintf(path, sizeof(path), "%s/%s", sys, dirs[i]);
		mkdir(path, 0755);
	}
	return 0;
}

static int gone(const char *path, const struct stat *st, int flag, struct FTW *at) {
	return remove(path);
}

static int unmake(void **state) {
	return nftw(sys, gone, 8, FTW_DEPTH | FTW_PHYS);
}

static char found[PCI_WANTED_MAX][PCI_ADDRESS];

static void refuses(bool vf, unsigned n, const char *given, const char *why) {
	struct pci_wish w = {.vf = vf, .n = n, .given = given};
	struct err e;

	assert_true(pci_find(sys, &w, found, &e) < 0);
	if (strstr(e.text, why) == NULL)
		fail_msg("'%s' does not say '%s'", e.text, why);
}

static void finds(bool vf, unsigned n, const char *given, const char *first, const char *last) {
	struct pci_wish w = {.vf = vf, .n = n, .given = given};
	struct err e = {""};

	if (pci_find(sys, &w, found, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(found[0], first);
	assert_string_equal(found[n - 1], last);
}

#define DISK "0000:00:01.0"
#define CARD "0000:00:02.0"
#define PF   "0000:03:00.0"
#define VF1  "0000:03:10.0"
#define VF2  "0000:03:10.2"

static void each_reason_is_said(void **state) {
	put(DISK, "class", "0x010000\n");
	refuses(true, 2, NULL, "no network card here has SR-IOV");
	refuses(false, 2, NULL, "no network card on the PCI bus");
	put(CARD, "class", "0x020000\n");
	refuses(false, 1, NULL, "there is no IOMMU");
	put(PF, "class", "0x020000\n");
	put(PF, "sriov_totalvfs", "7\n");
	refuses(true, 2, NULL, "1 network cards have SR-IOV, and no virtual functions");
	for (int i = 0; i < 2; i++) {
		put(i == 0 ? VF1 : VF2, "class", "0x020000\n");
		point(i == 0 ? VF1 : VF2, "physfn", "../" PF);
	}
	refuses(true, 2, NULL, "there is no IOMMU");
	refuses(true, 2, VF1 "," VF2, "no IOMMU group");
	point(VF1, "iommu_group", "../../../../kernel/iommu_groups/1");
	refuses(true, 2, VF1, "no IOMMU group"); // the link leads nowhere
}

static void those_bound_to_vfio_are_found(void **state) {
	char group[100];

	snprintf(group, sizeof(group), "%s/bus", sys);
	point(VF1, "iommu_group", group);
	point(VF2, "iommu_group", group);
	point(VF1, "driver", "../../drivers/vfio-pci");
	refuses(true, 2, NULL, "of 2 functions of the kind 1 are bound");
	refuses(true, 2, "03:10.0,03:10.2", VF2 " is not bound to vfio-pci");
	point(VF2, "driver", "../../drivers/vfio-pci");
	finds(true, 2, NULL, VF1, VF2);
	finds(true, 2, "03:10.2,0000:03:10.0", VF2, VF1);
	refuses(true, 4, "03:10.2,03:10.0", "--pci names 2 functions; each of the 4 VMs");
	refuses(false, 1, VF1, "is a virtual function; path passthrough takes the other kind");
	refuses(true, 1, DISK, "no such network function");
	refuses(true, 1, "nonsense", "no such network function");
	point(CARD, "iommu_group", group);
	point(CARD, "driver", "../../drivers/e1000");
	refuses(false, 1, CARD, "is not bound to vfio-pci");
	point(CARD, "driver", "../../drivers/vfio-pci");
	finds(false, 1, "00:02.0", CARD, CARD);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_reason_is_said),
		cmocka_unit_test(those_bound_to_vfio_are_found),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
