/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/check/device.h"

#include <errno.h>

#include "check_bed.h"

/* Whether a function can be passed through: VF 2 of a tidy host can, and each thing that is taken away or put
 * in its way is said. */

enum { VF2_GROUP = 62 };
static struct device device;
static struct finding judged;

static int open_device(void **state) {
	bed_open(state);
	device = (struct device){.host = &bed.host, .users = bed.users, .f = fn_vf(PF0, 2)};
	return 0;
}

static void is(enum device_check what, enum severity s, const char *evidence, const char *remedy) {
	device_judge(&device, what, &judged);
	if (judged.severity == s && strstr(judged.evidence, evidence) != NULL &&
		strstr(judged.remedy, remedy) != NULL &&
		strcmp(judged.subject, device.f->slot) == 0)
		return;
	fail_msg("%s: %s -> %s; due is %s: ...%s... -> ...%s...", severity_name(judged.severity),
		judged.evidence, judged.remedy, severity_name(s), evidence, remedy);
}

static void a_spare_vf_of_a_tidy_host_can_be_passed_through(void **state) {
	struct err e;

	put("/sys/bus/pci/devices/0000:04:10.4/reset_method", "flr\n");
	is(DEVICE_IOMMU, SEVERITY_GOOD, "the IOMMU is on", "");
	is(DEVICE_GROUP, SEVERITY_GOOD, "group 62 has nothing else in it", "");
	is(DEVICE_USE, SEVERITY_GOOD, "not in use", "");
	is(DEVICE_RESET, SEVERITY_GOOD, "(flr)", "");
	is(DEVICE_VFIO, SEVERITY_GOOD, "are loaded", "");
	is(DEVICE_INTERRUPTS, SEVERITY_GOOD, "interrupts are remapped", "");
	assert_int_equal(device_refuse(&device, (1u << DEVICE_CHECKS) - 1, &e), 0);
}

static void a_group_is_spoilt_by_a_driver_of_the_host_not_by_bridges(void **state) {
	static const char *const quiet[] = {"", "vfio-pci", "mlx5_vfio_pci", "pci-stub"};
	struct pci_function *other = fn("0000:00:1f.3");
	struct err e;

	other->group = VF2_GROUP;
	is(DEVICE_GROUP, SEVERITY_ERROR, "group 62 is shared with 0000:00:1f.3 (i801_smbus)",
		"give it to vfio-pci too");
	assert_int_equal(device_refuse(&device, 1u << DEVICE_GROUP, &e), -EBUSY);
	assert_non_null(strstr(e.text, "0000:04:10.4: group 62 is shared with 0000:00:1f.3"));
	assert_non_null(strstr(e.text, "ACS"));
	assert_int_equal(device_refuse(&device, 1u << DEVICE_USE, &e), 0);
	for (size_t i = 0; i < sizeof(quiet) / sizeof(quiet[0]); i++) {
		strcpy(other->driver, quiet[i]);
		is(DEVICE_GROUP, SEVERITY_WARNING, "all of it goes to one guest",
			"different guests");
	}
	other->group = 40;
	fn("0000:00:02.0")->group = VF2_GROUP; // a root port, of pcieport
	is(DEVICE_GROUP, SEVERITY_GOOD, "nothing else but bridges", "");
	fn("0000:00:02.0")->group = 1;
	fn("0000:00:1f.0")->group = VF2_GROUP; // a bridge too, but its driver moves data
	is(DEVICE_GROUP, SEVERITY_ERROR, "0000:00:1f.0 (lpc_ich)", "");
}

static void what_is_taken_in_the_same_go_does_not_spoil_a_group(void **state) {
	const struct pci_function *both[] = {fn_vf(PF0, 2), fn_vf(PF0, 3)};

	fn_vf(PF0, 3)->group = VF2_GROUP;
	is(DEVICE_GROUP, SEVERITY_ERROR, "0000:04:10.6 (ixgbevf)", "");
	device.with = both;
	device.nwith = 2;
	is(DEVICE_GROUP, SEVERITY_WARNING, "also has 0000:04:10.6", "");
}

static void a_function_outside_all_groups_is_an_error(void **state) {
	struct err e;

	fn_vf(PF0, 2)->group = -1;
	is(DEVICE_IOMMU, SEVERITY_ERROR, "in no group", "another slot");
	assert_int_equal(device_refuse(&device, 1u << DEVICE_IOMMU, &e), -EOPNOTSUPP);
	is(DEVICE_GROUP, SEVERITY_NOTE, "no groups", "");
}

static void who_uses_a_device_is_said_with_the_way_out(void **state) {
	device.f = fn_vf(PF0, 0);
	is(DEVICE_USE, SEVERITY_ERROR, "in use: QEMU web1, pid 2100", "2100");
	device.users = NULL;
	is(DEVICE_USE, SEVERITY_GOOD, "not looked at", "");
	device.users = bed.users;
	device.f = fn(PF1);
	is(DEVICE_USE, SEVERITY_ERROR, "2 virtual functions", "weir vf delete " PF1);
	fn(PF0)->vfs = 0;
	device.f = fn(PF0);
	is(DEVICE_USE, SEVERITY_ERROR, "taking it would cut you off", "console");
}

static void how_a_device_is_reset_is_judged(void **state) {
	static const char path[] = "/sys/bus/pci/devices/0000:04:10.4/";
	char file[128];

	is(DEVICE_RESET, SEVERITY_NOTE, "not told", "");
	bed.host.root.recorded = false;
	is(DEVICE_RESET, SEVERITY_WARNING, "cannot be reset", "firmware");
	snprintf(file, sizeof(file), "%sreset", path);
	put(file, "");
	is(DEVICE_RESET, SEVERITY_GOOD, "does not tell how", "");
	snprintf(file, sizeof(file), "%sreset_method", path);
	put(file, "pm bus\n");
	is(DEVICE_RESET, SEVERITY_NOTE, "by pm bus only, which may leave", "");
	put(file, "bus\n");
	is(DEVICE_RESET, SEVERITY_NOTE, "by bus only", "");
	put(file, "device_specific bus\n");
	is(DEVICE_RESET, SEVERITY_GOOD, "by itself", "");
}

static void the_guests_memory_has_to_be_there_and_to_be_locked(void **state) {
	is(DEVICE_MEMORY, SEVERITY_NOTE, "may lock 8 MiB", "LimitMEMLOCK");
	device.memory = 4ull << 30;
	is(DEVICE_MEMORY, SEVERITY_NOTE, "the guest needs more", "LimitMEMLOCK");
	device.memory = 40ull << 30;
	is(DEVICE_MEMORY, SEVERITY_WARNING, "40960 MiB will be locked, and 34048 are free", "less");
	device.memory = 64ull << 30;
	is(DEVICE_MEMORY, SEVERITY_ERROR, "the guest has 65536 MiB, this host 64000", "less");
	device.memory = 4ull << 30;
	put("/proc/self/limits",
		"Max processes 1 1 processes\n"
		"Max locked memory         unlimited            unlimited            bytes\n"
		"Max address space         12                   12                   bytes\n");
	is(DEVICE_MEMORY, SEVERITY_GOOD, "without limit", "");
	put("/proc/self/limits", "Max locked memory         6442450944    6442450944     bytes\n");
	is(DEVICE_MEMORY, SEVERITY_GOOD, "memory may be locked", "");
	put("/sys/module/vfio_iommu_type1/parameters/dma_entry_limit", "65535\n");
	is(DEVICE_MEMORY, SEVERITY_GOOD, "memory may be locked", "");
	put("/sys/module/vfio_iommu_type1/parameters/dma_entry_limit", "64\n");
	is(DEVICE_MEMORY, SEVERITY_GOOD, "64 mappings only (dma_entry_limit)", "");
}

static void a_finding_is_json_without_a_remedy_where_none_is_due(void **state) {
	json_t *v;

	device_judge(&device, DEVICE_USE, &judged);
	v = finding_json(&judged);
	assert_string_equal(json_string_value(json_object_get(v, "rule")), "use");
	assert_string_equal(json_string_value(json_object_get(v, "severity")), "good");
	assert_null(json_object_get(v, "remedy"));
	json_decref(v);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_device, bed_close)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(a_spare_vf_of_a_tidy_host_can_be_passed_through),
		TEST(a_group_is_spoilt_by_a_driver_of_the_host_not_by_bridges),
		TEST(what_is_taken_in_the_same_go_does_not_spoil_a_group),
		TEST(a_function_outside_all_groups_is_an_error),
		TEST(who_uses_a_device_is_said_with_the_way_out),
		TEST(how_a_device_is_reset_is_judged),
		TEST(the_guests_memory_has_to_be_there_and_to_be_locked),
		TEST(a_finding_is_json_without_a_remedy_where_none_is_due),
	};

	return cmocka_run_group_tests(tests, bed_make, bed_unmake);
}
