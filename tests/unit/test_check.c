/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>

#include "check_bed.h"
#include "host/check/iommu.h"

/* Rules about the host, its physical functions and their places. */

static void a_tidy_host_has_no_findings(void **state) {
	silent();
}

static void an_unknown_rule_is_refused_and_one_alone_can_be_run(void **state) {
	struct err e;

	assert_int_equal(check_run(&bed.found, &bed.host, bed.users, "mtu,iomu", &e), -EINVAL);
	assert_string_equal(e.text, "no such rule 'iomu'; --rules lists them");
	link_of("eth1")->flags = 0;
	link_of("eth0v2")->mtu = 9001;
	assert_int_equal(check_run(&bed.found, &bed.host, bed.users, "iommu,mtu", &e), 0);
	assert_int_equal(bed.found.n, 1);
	assert_string_equal(bed.found.of[0].rule, "mtu");
}

static void findings_are_sorted_by_severity(void **state) {
	link_of("eth1")->flags = 0; // a warning
	link_of("eth0")->flags = 0; // an error
	fn(PF0)->autoprobe = true; // a note
	link_of("eth0v2")->mtu = 9001; // a warning
	check();
	assert_int_equal(bed.found.n, 4);
	assert_int_equal(bed.found.count[SEVERITY_WARNING], 2);
	assert_int_equal(bed.found.count[SEVERITY_NOTE], 1);
	assert_int_equal(bed.found.of[0].severity, SEVERITY_ERROR);
	assert_string_equal(bed.found.of[1].rule, "pf-down");
	assert_string_equal(bed.found.of[2].rule, "mtu");
	assert_int_equal(bed.found.of[3].severity, SEVERITY_NOTE);
}

/* As `fires`, without the groups that the tree has. */
static void iommu_off(const char *evidence, const char *remedy) {
	char groups[PATH_MAX], away[PATH_MAX + 8];

	snprintf(groups, sizeof(groups), "%.400s/sys/kernel/iommu_groups", bed.root.at);
	snprintf(away, sizeof(away), "%s.away", groups);
	assert_int_equal(rename(groups, away), 0);
	check();
	assert_int_equal(rename(away, groups), 0);
	if (bed.found.n == 1 && strcmp(bed.found.of[0].rule, "iommu") == 0 &&
		bed.found.of[0].severity == SEVERITY_ERROR &&
		strstr(bed.found.of[0].evidence, evidence) != NULL &&
		strstr(bed.found.of[0].remedy, remedy) != NULL)
		return;
	show();
	fail_msg("due is: ...%s... -> ...%s...", evidence, remedy);
}

static void an_iommu_that_the_bios_hides_is_to_be_turned_on_there(void **state) {
	put("/sys/firmware/acpi/tables/DMAR", NULL);
	iommu_off("no ACPI table DMAR", "turn on Intel VT-d");
	put("/proc/cpuinfo", "vendor_id\t: AuthenticAMD\n");
	iommu_off("no ACPI table IVRS", "turn on IOMMU (AMD-Vi");
}

static void an_iommu_that_the_kernel_was_not_asked_for_needs_its_argument(void **state) {
	put("/proc/cmdline", "BOOT_IMAGE=/vmlinuz ro quiet\n");
	iommu_off("the kernel was not asked for it", "intel_iommu=on");
}

static void an_iommu_that_was_forbidden_needs_the_word_taken_out(void **state) {
	put("/proc/cmdline", "ro intel_iommu=off\n");
	iommu_off("told so: intel_iommu=off", "take intel_iommu=off from");
	put("/proc/cmdline", "ro intel_iommu=on iommu=off\n");
	iommu_off("told so: iommu=off", "take iommu=off from");
	put("/proc/cpuinfo", "vendor_id\t: AuthenticAMD\n");
	put("/proc/cmdline", "ro amd_iommu=off\n");
	iommu_off("told so: amd_iommu=off", "take amd_iommu=off from");
}

static void an_iommu_that_all_asked_for_needs_a_look_at_dmesg(void **state) {
	iommu_off("the firmware offers VT-d", "dmesg");
	put("/proc/cpuinfo", "CPU implementer\t: 0x41\n");
	put("/sys/firmware/acpi/tables/IORT", "x");
	iommu_off("the firmware offers SMMU", "CONFIG_ARM_SMMU_V3");
}

static void a_vm_gets_its_iommu_from_its_hypervisor(void **state) {
	put("/sys/firmware/acpi/tables/DMAR", NULL);
	put("/proc/cpuinfo", "vendor_id\t: GenuineIntel\nflags\t: fpu hypervisor lm\n");
	iommu_off("itself a virtual machine", "intel-iommu");
}

static void groups_that_vfio_made_without_an_iommu_do_not_count(void **state) {
	char text[64];
	struct finding f;

	iommu_judge(&bed.root, &f);
	assert_int_equal(f.severity, SEVERITY_GOOD);
	for (int i = 0; i < 100; i++) { // all that the tree has
		snprintf(text, sizeof(text), "/sys/kernel/iommu_groups/%d", i);
		if (root_has(&bed.root, "%s", text)) {
			strcat(text, "/name");
			put(text, "vfio-noiommu\n");
		}
	}
	assert_int_equal(bed.puts, 10);
	iommu_judge(&bed.root, &f);
	assert_int_equal(f.severity, SEVERITY_ERROR);
}

static void without_anything_to_pass_through_a_missing_iommu_is_a_note(void **state) {
	struct root r;
	struct err e;

	tree_make(&r, "tidy", "");
	bed_forget();
	tree_put(&r, "/sys/bus/pci/devices/" PF0 "/sriov_numvfs", "0\n");
	tree_put(&r, "/sys/bus/pci/devices/" PF1 "/sriov_numvfs", "0\n");
	for (int i = 0; i < 2; i++) {
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%.400s/sys/bus/pci/devices/0000:04:10.%d/driver",
			r.at, 2 * i);
		assert_int_equal(unlink(path), 0);
		tree_put(&r,
			i > 0 ? "/sys/bus/pci/devices/0000:04:10.2/driver_override"
			      : "/sys/bus/pci/devices/0000:04:10.0/driver_override",
			"(null)\n");
	}
	tree_put(&r, "/sys/kernel/irq/24/chip_name", "PCI-MSI\n");
	tree_put(&r, "/sys/kernel/irq/25/chip_name", "PCI-MSI\n");
	assert_int_equal(host_read(&bed.host, &r, &e), 0);
	bed.users = users_read(&bed.host);
	fires("interrupts", SEVERITY_NOTE, "host", "not remapped", "x2APIC");
	tree_gone(&r);
}

static void interrupts_that_are_not_remapped_are_an_error(void **state) {
	put("/sys/kernel/irq/24/chip_name", "PCI-MSI\n");
	put("/sys/kernel/irq/25/chip_name", "PCI-MSI\n");
	fires("interrupts", SEVERITY_ERROR, "host", "(the IOMMU could)", "x2APIC");
	put("/sys/class/iommu/dmar0/intel-iommu/ecap", "f020d7\n"); // without bit 3
	fires("interrupts", SEVERITY_ERROR, "host", "(the IOMMU cannot)", "x2APIC");
	put("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y\n");
	fires("interrupts", SEVERITY_WARNING, "host", "told to allow that", "x2APIC");
}

static void interrupts_of_which_nothing_is_told_are_no_finding(void **state) {
	put("/sys/kernel/irq/24/chip_name", NULL);
	put("/sys/kernel/irq/25/chip_name", NULL);
	silent();
	put("/sys/class/iommu/dmar0/intel-iommu/ecap", NULL);
	silent();
}

static void a_module_of_vfio_that_is_not_loaded_is_a_warning(void **state) {
	char module[PATH_MAX];

	snprintf(module, sizeof(module), "%.400s/sys/module/vfio_iommu_type1", bed.root.at);
	assert_int_equal(rmdir(module), 0);
	silent(); // whether it could be loaded is not told
	put("/proc/sys/kernel/osrelease", "6.1.0-37-amd64\n");
	put("/lib/modules/6.1.0-37-amd64/kernel/drivers/vfio/vfio_iommu_type1.ko.xz", "x");
	fires("vfio", SEVERITY_WARNING, "host", "vfio_iommu_type1 is not loaded",
		"modprobe vfio-pci");
	unlink(bed.put[bed.puts - 1]);
	fires("vfio", SEVERITY_ERROR, "host", "has no vfio_iommu_type1", "CONFIG_VFIO_PCI");
	assert_int_equal(mkdir(module, 0755), 0);
	silent();
}

static void a_driver_other_than_the_override_is_a_warning(void **state) {
	strcpy(fn_vf(PF0, 2)->wanted, "vfio-pci");
	fn(PF0)->autoprobe = false;
	check();
	assert_int_equal(bed.found.n, 2); // it is for a guest then, and has no MAC address
	assert_string_equal(bed.found.of[0].rule, "driver-override");
	assert_string_equal(
		bed.found.of[0].evidence, "driver_override asks for vfio-pci, and ixgbevf has it");
	assert_string_equal(bed.found.of[1].rule, "spoof-zero-mac");
	vf_of("eth0", 2)->mac = 0x0a0400005452;
	fn_vf(PF0, 2)->driver[0] = '\0';
	fires("driver-override", SEVERITY_WARNING, "0000:04:10.4", "no driver has it",
		"weir pci bind 0000:04:10.4 vfio-pci");
}

static void a_group_of_a_guest_and_the_host_is_an_error(void **state) {
	fn_vf(PF0, 0)->group = 24; // that of its PF, which ixgbe has
	fires("group-shared", SEVERITY_ERROR, "group 24", "vfio refuses what it has of it", "ACS");
}

static void a_group_of_several_vfs_is_a_warning(void **state) {
	fn_vf(PF1, 0)->group = fn_vf(PF1, 1)->group;
	fires("group-shared", SEVERITY_WARNING, "group 81",
		"0000:84:10.0 (ixgbevf), 0000:84:10.2 (ixgbevf)", "ACS");
}

static void a_group_that_is_wholly_at_vfio_is_a_note_and_bridges_do_not_count(void **state) {
	fn_vf(PF0, 0)->group = fn_vf(PF0, 1)->group;
	fires("group-shared", SEVERITY_NOTE, "group 61", "all go to one guest", "nothing");
	fn_vf(PF0, 0)->group = 1; // with the root port
	silent();
}

/* The resource file with its lines for VFs (7 to 12) as given. */
static void resources(const char *first, const char *fourth) {
	char text[2048] = "";
	static const char none[] = "0x0000000000000000 0x0000000000000000 0x0000000000000000\n";

	for (int i = 0; i < 13; i++)
		strcat(text, i == 7 ? first : i == 10 ? fourth : none);
	put("/sys/bus/pci/devices/" PF0 "/resource", text);
}

static void registers_of_vfs_without_an_address_are_an_error(void **state) {
	static const char none[] = "0x0000000000000000 0x0000000000000000 0x0000000000000000\n";
	static const char good[] = "0x00000000dfb00000 0x00000000dfbfffff 0x0000000000140204\n";
	static const char lost[] = "0x0000000000000000 0x00000000000fffff 0x0000000020140204\n";

	resources(good, none);
	silent();
	resources(none, none);
	fires("mmio", SEVERITY_ERROR, PF0, "the registers of its VFs have no address",
		"pci=realloc");
	resources(good, lost);
	fires("mmio", SEVERITY_ERROR, PF0, "some registers of its VFs have no address",
		"pci=realloc");
	put("/proc/cmdline", "ro intel_iommu=on pci=realloc\n");
	fires("mmio", SEVERITY_ERROR, PF0, "some registers",
		"pci=realloc is there and did not help");
}

static void fewer_vfs_on_the_bus_than_were_made_are_an_error(void **state) {
	fn(PF1)->vfs = 3;
	fires("vf-count", SEVERITY_ERROR, PF1, "3 VFs were made, 2 of them are on the bus", "anew");
}

static void vfs_beyond_what_the_driver_serves_are_a_warning(void **state) {
	link_of("eth1")->nvfs = 1;
	check();
	assert_int_equal(bed.found.n, 1);
	fires("vf-count", SEVERITY_WARNING, PF1, "its driver ixgbe serves 1", "weir vf create");
}

static void vfs_beyond_what_the_device_can_have_are_an_error(void **state) {
	fn(PF1)->vfs_total = 1;
	fires("vf-count", SEVERITY_ERROR, PF1, "it has 2 VFs, its device and driver can have 1",
		"weir vf create 0000:84:00.0 1");
}

static void a_pf_that_is_down_is_worse_where_guests_have_its_vfs(void **state) {
	link_of("eth1")->flags = IFF_BROADCAST;
	fires("pf-down", SEVERITY_WARNING, PF1,
		"eth1 is down, and with it its 2 VFs (0 for guests)", "ip link set eth1 up");
	link_of("eth1")->flags = IFF_UP; // nobody misses the carrier
	silent();
	link_of("eth0")->flags = IFF_BROADCAST;
	link_of("eth1")->flags = IFF_UP | IFF_RUNNING;
	fires("pf-down", SEVERITY_ERROR, PF0, "(2 for guests)", "ip link set eth0 up");
	link_of("eth0")->flags = IFF_UP;
	fires("pf-down", SEVERITY_NOTE, PF0, "eth0 has no carrier",
		"weir vf set " PF0 " N link-state=enable");
}

static void an_mtu_above_that_of_the_pf_is_a_warning(void **state) {
	link_of("eth0v2")->mtu = 9000; // as eth0
	silent();
	link_of("eth1v0")->mtu = 1501;
	fires("mtu", SEVERITY_WARNING, PF1 " vf 0", "eth1v0 has MTU 1501",
		"ip link set eth1 mtu 1501");
}

static void autoprobe_is_noted_where_vfs_are_for_vfio(void **state) {
	fn(PF1)->autoprobe = true; // whose VFs are the host's
	silent();
	fn(PF0)->autoprobe = true;
	fires("autoprobe", SEVERITY_NOTE, PF0, "2 of its 4 VFs are for vfio", "autoprobe");
}

static void a_desired_state_that_cannot_be_is_an_error(void **state) {
	put("/etc/weir/host.yaml", "pfs: {eth0: {vfs: 63}}\n");
	silent();
	put("/etc/weir/host.yaml", "pfs:\n  eth0: {vfs: 64}\n");
	fires("desired-state", SEVERITY_ERROR, "/etc/weir/host.yaml",
		"/etc/weir/host.yaml:2: ", "weir host plan");
	put("/etc/weir/host.yaml", "pfs: {eth9: {vfs: 4}}\n");
	fires("desired-state", SEVERITY_ERROR, "/etc/weir/host.yaml", "eth9", "weir host plan");
	put("/etc/weir/host.yaml", "pfs: {eth0: {vfz: 4}}\n");
	fires("desired-state", SEVERITY_ERROR, "/etc/weir/host.yaml", "vfz", "weir host plan");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		BED_TEST(a_tidy_host_has_no_findings),
		BED_TEST(an_unknown_rule_is_refused_and_one_alone_can_be_run),
		BED_TEST(findings_are_sorted_by_severity),
		BED_TEST(an_iommu_that_the_bios_hides_is_to_be_turned_on_there),
		BED_TEST(an_iommu_that_the_kernel_was_not_asked_for_needs_its_argument),
		BED_TEST(an_iommu_that_was_forbidden_needs_the_word_taken_out),
		BED_TEST(an_iommu_that_all_asked_for_needs_a_look_at_dmesg),
		BED_TEST(a_vm_gets_its_iommu_from_its_hypervisor),
		BED_TEST(groups_that_vfio_made_without_an_iommu_do_not_count),
		BED_TEST(without_anything_to_pass_through_a_missing_iommu_is_a_note),
		BED_TEST(interrupts_that_are_not_remapped_are_an_error),
		BED_TEST(interrupts_of_which_nothing_is_told_are_no_finding),
		BED_TEST(a_module_of_vfio_that_is_not_loaded_is_a_warning),
		BED_TEST(a_driver_other_than_the_override_is_a_warning),
		BED_TEST(a_group_of_a_guest_and_the_host_is_an_error),
		BED_TEST(a_group_of_several_vfs_is_a_warning),
		BED_TEST(a_group_that_is_wholly_at_vfio_is_a_note_and_bridges_do_not_count),
		BED_TEST(registers_of_vfs_without_an_address_are_an_error),
		BED_TEST(fewer_vfs_on_the_bus_than_were_made_are_an_error),
		BED_TEST(vfs_beyond_what_the_driver_serves_are_a_warning),
		BED_TEST(vfs_beyond_what_the_device_can_have_are_an_error),
		BED_TEST(a_pf_that_is_down_is_worse_where_guests_have_its_vfs),
		BED_TEST(an_mtu_above_that_of_the_pf_is_a_warning),
		BED_TEST(autoprobe_is_noted_where_vfs_are_for_vfio),
		BED_TEST(a_desired_state_that_cannot_be_is_an_error),
	};

	return cmocka_run_group_tests(tests, bed_make, bed_unmake);
}
