/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/pci.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "host/root.h"

/* A tree like that of sysfs: one card with two virtual functions, one without, and a disk. */

static struct root host = {.at = "/tmp/weir-pci.XXXXXX", .recorded = true};

static void put(const char *function, const char *file, const char *text) {
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s", host.at, function);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/%s", host.at, function, file);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void point(const char *function, const char *name, const char *to) {
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/%s", host.at, function, name);
	unlink(path);
	assert_int_equal(symlink(to, path), 0);
}

static int make(void **state) {
	char path[PATH_MAX];

	assert_non_null(mkdtemp(host.at));
	for (int i = 0; i < 4; i++) {
		static const char *const dirs[] = {
			"sys", "sys/bus", "sys/bus/pci", "sys/bus/pci/devices"};

		snprintf(path, sizeof(path), "%s/%s", host.at, dirs[i]);
		mkdir(path, 0755);
	}
	return 0;
}

static int gone(const char *path, const struct stat *st, int flag, struct FTW *at) {
	return remove(path);
}

static int unmake(void **state) {
	return nftw(host.at, gone, 8, FTW_DEPTH | FTW_PHYS);
}

static char found[PCI_WANTED_MAX][PCI_SLOT_MAX];

static void refuses(bool vf, unsigned n, const char *given, const char *why) {
	struct pci_wish w = {.vf = vf, .n = n, .given = given};
	struct err e;

	assert_true(pci_find(&host, &w, found, &e) < 0);
	if (strstr(e.text, why) == NULL)
		fail_msg("'%s' does not say '%s'", e.text, why);
}

static void finds(bool vf, unsigned n, const char *given, const char *first, const char *last) {
	struct pci_wish w = {.vf = vf, .n = n, .given = given};
	struct err e = {""};

	if (pci_find(&host, &w, found, &e) < 0)
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
}

static void those_bound_to_vfio_are_found(void **state) {
	static const char group[] = "../../../../kernel/iommu_groups/1";

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

static void an_address_has_one_form_however_it_is_written(void **state) {
	static const char *const bad[] = {"", "1", "01:10", "01:10.8", "01:20.0", "01:10.0 ",
		"x:10.0", "-1:10.0", "0000:01:10.0.0", "0000:001:10.0", "eth0", "8086:10fb"};
	char slot[PCI_SLOT_MAX];

	assert_true(pci_slot("1:10.0", slot));
	assert_string_equal(slot, "0000:01:10.0");
	assert_true(pci_slot("00AF:01:1f.7", slot));
	assert_string_equal(slot, "00af:01:1f.7");
	assert_true(pci_slot("10000:e1:00.0", slot));
	assert_string_equal(slot, "10000:e1:00.0");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (pci_slot(bad[i], slot))
			fail_msg("'%s' is taken for %s", bad[i], slot);
}

static void a_function_is_read_with_all_that_sysfs_tells(void **state) {
	const struct pci_function *pf, *vf;
	char name[128];
	struct err e;
	struct pci p;

	put(PF, "vendor", "0x8086\n");
	put(PF, "device", "0x10fb\n");
	put(PF, "subsystem_vendor", "0x15d9\n");
	put(PF, "subsystem_device", "0x0611\n");
	put(PF, "numa_node", "1\n");
	put(PF, "sriov_numvfs", "2\n");
	put(PF, "sriov_totalvfs", "63\n");
	put(PF, "sriov_vf_device", "10ed\n");
	put(PF, "sriov_drivers_autoprobe", "0\n");
	put(PF, "driver_override", "(null)\n");
	put(VF1, "numa_node", "-1\n");
	put(VF1, "driver_override", "vfio-pci\n");
	point(PF, "virtfn0", "../" VF2); // numbers need not follow addresses
	point(PF, "virtfn1", "../" VF1);
	assert_int_equal(pci_read(&host, &p, &e), 0);
	pf = pci_at(&p, "3:00.0");
	vf = pci_at(&p, VF1);
	assert_int_equal(pf->vendor, 0x8086);
	assert_int_equal(pf->device, 0x10fb);
	assert_int_equal(pf->subvendor, 0x15d9);
	assert_int_equal(pf->subdevice, 0x0611);
	assert_int_equal(pf->numa, 1);
	assert_int_equal(pf->vfs, 2);
	assert_int_equal(pf->vfs_total, 63);
	assert_int_equal(pf->vf_device, 0x10ed);
	assert_false(pf->autoprobe);
	assert_string_equal(pf->wanted, "");
	assert_int_equal(pf->group, -1);
	assert_false(pci_is_vf(pf));
	assert_string_equal(vf->wanted, "vfio-pci");
	assert_int_equal(vf->group, 1);
	assert_int_equal(vf->numa, -1);
	assert_int_equal(vf->vf, 1);
	assert_ptr_equal(&p.fn[vf->pf], pf);
	assert_ptr_equal(pci_vf(&p, pf, 0), pci_at(&p, VF2));
	assert_null(pci_vf(&p, pf, 2));
	assert_null(pci_at(&p, "0000:04:00.0"));
	assert_non_null(strstr(pci_name(&p, pf, name, sizeof(name)), "82599"));
	assert_string_equal(pci_name(&p, vf, name, sizeof(name)), "Device 0000:0000");
	pci_fini(&p);
}

static void what_no_kernel_would_say_is_not_believed(void **state) {
	static const char *const odd[] = {"", "\n", "x\n", "-1\n", "0x\n", "99999999999999999999\n",
		"4294967295\n", "70000\n"};
	const struct pci_function *pf;
	struct err e;
	struct pci p;

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		put(PF, "sriov_numvfs", odd[i]);
		put(PF, "sriov_totalvfs", i % 2 ? odd[i] : "63\n");
		put(PF, "numa_node", odd[i]);
		put(PF, "sriov_vf_device", odd[i]);
		assert_int_equal(pci_read(&host, &p, &e), 0);
		pf = pci_at(&p, PF);
		assert_int_equal(pf->vfs, 0);
		assert_true(pf->vfs_total == 0 || pf->vfs_total == 63);
		assert_null(pci_vf(&p, pf, 0));
		pci_fini(&p);
	}
	point(VF1, "physfn", "../0000:77:00.0"); // a PF that is not there
	point(VF2, "physfn", "../nonsense");
	assert_int_equal(pci_read(&host, &p, &e), 0);
	assert_false(pci_is_vf(pci_at(&p, VF1)) || pci_is_vf(pci_at(&p, VF2)));
	pci_fini(&p);
}

static void without_a_pci_bus_the_sentence_says_so(void **state) {
	struct root none = {.at = "/proc/self", .recorded = true};
	struct err e;
	struct pci p;

	assert_int_equal(pci_read(&none, &p, &e), -ENOENT);
	assert_non_null(strstr(e.text, "no PCI bus here"));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_reason_is_said),
		cmocka_unit_test(those_bound_to_vfio_are_found),
		cmocka_unit_test(an_address_has_one_form_however_it_is_written),
		cmocka_unit_test(a_function_is_read_with_all_that_sysfs_tells),
		cmocka_unit_test(what_no_kernel_would_say_is_not_believed),
		cmocka_unit_test(without_a_pci_bus_the_sentence_says_so),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
