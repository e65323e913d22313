/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "check_bed.h"

/* Rules about what other programs do with VFs: NetworkManager, systemd, ifupdown, cloud-init, and whoever sets
 * their number. Spare VFs have interfaces: eth0v2, eth0v3, eth1v0, eth1v1. */

#define NM "/etc/NetworkManager/"

static void check_two(const char *rule, const char *first, const char *second) {
	check();
	if (bed.found.n == 2 && strcmp(bed.found.of[0].rule, rule) == 0 &&
		strcmp(bed.found.of[1].rule, rule) == 0 &&
		strstr(bed.found.of[0].evidence, first) != NULL &&
		strstr(bed.found.of[1].evidence, second) != NULL)
		return;
	show();
	fail_msg("due are two of %s: ...%s..., ...%s...", rule, first, second);
}

static void networkmanager_that_manages_vfs_is_a_warning(void **state) {
	put(NM "NetworkManager.conf", "[main]\nplugins=keyfile\n");
	silent(); // it does not run
	put("/run/NetworkManager/system-connections", "");
	check_two("networkmanager", "manages 2 interfaces of VFs (eth0v2, eth0v3)",
		"(eth1v0, eth1v1)");
}

static void what_networkmanager_leaves_alone_is_no_finding(void **state) {
	static const char *const specs[] = {"driver:ixgbevf", "interface-name:eth*v*",
		"interface-name:=eth0v2;eth0v3;interface-name:eth1v?", "type:ethernet", "*",
		"mac:02:09:c0:00:00:02;mac:02:09:C0:00:00:03,interface-name:eth1*"};
	char text[256];

	put("/run/NetworkManager/system-connections", "");
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		snprintf(text, sizeof(text), "# ours\n[keyfile]\nunmanaged-devices = %s\n",
			specs[i]);
		put(NM "conf.d/vfs.conf", text);
		silent();
	}
	put(NM "conf.d/vfs.conf", "[keyfile]\nunmanaged-devices=*;except:interface-name:eth0v3\n");
	fires("networkmanager", SEVERITY_WARNING, PF0, "1 interfaces of VFs (eth0v3)",
		"driver:ixgbevf");
	put(NM "conf.d/vfs.conf", "[device-vfs]\nmatch-device=driver:ixgbevf\nmanaged=0\n");
	silent();
	put(NM "conf.d/vfs.conf", "[device-vfs]\nmatch-device=driver:ixgbevf\nmanaged=1\n");
	check_two("networkmanager", "eth0v2", "eth1v0");
	put(NM "conf.d/xfs.conf", "[keyfile]\nunmanaged-devices+=driver:ixgbe*\n");
	silent();
}

static void what_a_running_manager_says_comes_before_its_files(void **state) {
	char path[64];

	put("/run/NetworkManager/system-connections", "");
	put(NM "conf.d/vfs.conf", "[keyfile]\nunmanaged-devices=driver:ixgbevf\n");
	snprintf(path, sizeof(path), "/run/NetworkManager/devices/%d", link_of("eth0v2")->index);
	put(path, "[device]\nmanaged=true\n");
	fires("networkmanager", SEVERITY_WARNING, PF0, "(eth0v2)", "unmanaged-devices");
	put(path, "[device]\nmanaged=false\n");
	put(NM "conf.d/vfs.conf", "[keyfile]\nunmanaged-devices=interface-name:eth1v*\n");
	snprintf(path, sizeof(path), "/run/udev/data/n%d", link_of("eth0v3")->index);
	put(path, "E:ID_BUS=pci\nE:NM_UNMANAGED=1\n");
	silent();
}

static void networkd_that_configures_vfs_is_a_warning(void **state) {
	put("/etc/systemd/network/10-all.network", "[Match]\nName=eth*\n[Network]\nDHCP=yes\n");
	silent(); // it does not run
	put("/run/systemd/netif/state", "");
	check_two("networkd", "(eth0v2, eth0v3) by /etc/systemd/network/10-all.network", "eth1v0");
	put("/etc/systemd/network/05-vfs.network",
		"[Match]\nDriver=ixgbevf\n[Link]\nUnmanaged=yes\n");
	silent();
	unlink(bed.put[bed.puts - 1]);
	put("/etc/systemd/network/10-all.network",
		"[Match]\nName=eth0 eth1\n[Network]\nDHCP=yes\n");
	silent();
	put("/etc/systemd/network/10-all.network", "[Match]\nMACAddress=02:09:c0:00:00:02\n");
	silent(); // matched by what is not looked at
}

static void networkd_knows_interfaces_by_all_their_names(void **state) {
	struct link *l = link_of("eth0v2");

	put("/run/systemd/netif/state", "");
	put("/etc/systemd/network/10-all.network", "[Match]\nName=uplink*\n[Network]\nDHCP=yes\n");
	silent();
	l->altname = calloc(1, sizeof(*l->altname));
	assert_non_null(l->altname);
	l->naltnames = 1;
	strcpy(*l->altname, "uplink-of-vm7");
	fires("networkd", SEVERITY_WARNING, PF0, "(eth0v2) by /etc/systemd/network/10-all.network",
		"Unmanaged=yes");
	unlink(bed.put[bed.puts - 1]);
	put("/etc/systemd/network/10-up.link", "[Match]\nOriginalName=uplink*\n[Link]\nName=x\n");
	silent();
}

static void networkds_own_word_comes_first(void **state) {
	char path[64];

	put("/run/systemd/netif/state", "");
	snprintf(path, sizeof(path), "/run/systemd/netif/links/%d", link_of("eth0v2")->index);
	put(path, "# This is private data.\nADMIN_STATE=configured\nNETWORK_FILE=/run/x.network\n");
	fires("networkd", SEVERITY_WARNING, PF0, "1 interfaces of VFs (eth0v2) by /run/x.network",
		"Unmanaged=yes");
	put(path, "ADMIN_STATE=unmanaged\n");
	silent();
}

static void a_link_file_that_names_all_vfs_alike_is_a_warning(void **state) {
	put("/etc/systemd/network/10-up.link", "[Match]\nDriver=ixgbe*\n[Link]\nName=uplink\n");
	fires("networkd", SEVERITY_WARNING, "/etc/systemd/network/10-up.link",
		"it names 4 interfaces of VFs (eth0v2, eth0v3, eth1v0, eth1v1) 'uplink'", "Path=");
	put("/etc/systemd/network/10-up.link", "[Match]\nDriver=ixgbe\n[Link]\nName=uplink\n");
	silent();
	put("/etc/systemd/network/10-up.link", "[Match]\nDriver=ixgbe*\n[Link]\nMTUBytes=9000\n");
	silent();
}

static void interfaces_that_bring_up_a_guests_vf_are_a_warning(void **state) {
	put("/etc/network/interfaces", "auto lo\nallow-hotplug eth0v2\niface eth0v2 inet dhcp\n");
	silent(); // a spare one: somebody means that
	put("/var/lib/weir/host/owners/0000:04:10.4.json", "{\"owner\": \"vm7\"}");
	vf_of("eth0", 2)->mac = 0x020004005452;
	fires("ifupdown", SEVERITY_WARNING, PF0 " vf 2", "brings up eth0v2",
		"/etc/network/interfaces");
	put("/etc/network/interfaces", "auto lo\n");
	silent();
	put("/etc/network/interfaces.d/vfs", "auto eth1 /eth0v*\n");
	fires("ifupdown", SEVERITY_WARNING, PF0 " vf 2", "\"auto eth1 /eth0v*\"",
		"interfaces.d/vfs");
}

static void cloud_init_that_writes_network_configuration_is_noted(void **state) {
	put("/etc/cloud/cloud.cfg", "users: []\n");
	fires("cloud-init", SEVERITY_NOTE, "/etc/cloud/cloud.cfg", "(4 are there)", "disabled");
	put("/etc/cloud/cloud.cfg.d/99-net.cfg", "network: {config: disabled}\n");
	silent();
	put("/etc/cloud/cloud.cfg.d/99-net.cfg", NULL);
	put("/proc/cmdline", "ro cloud-init=disabled\n");
	silent();
	put("/proc/cmdline", NULL);
	put("/etc/cloud/cloud-init.disabled", "");
	silent();
}

static void others_that_set_the_number_of_vfs_are_a_warning(void **state) {
	static const struct {
		const char *file, *line;
	} cases[] = {
		{"/etc/udev/rules.d/80-vf.rules",
			"ACTION==\"add\", KERNEL==\"eth0\", ATTR{device/sriov_numvfs}=\"4\""},
		{"/etc/modprobe.d/ixgbe.conf", "options ixgbe max_vfs=4,4"},
		{"/etc/systemd/network/10-a.link", "SR-IOVVirtualFunctions=4"},
		{"/etc/systemd/system/vfs.service",
			"ExecStart=/bin/sh -c 'echo 4 > /sys/class/net/eth0/device/sriov_numvfs'"},
		{"/etc/netplan/10.yaml", "      virtual-function-count: 4"},
		{"/etc/rc.local", "echo 4 > /sys/class/net/eth0/device/sriov_numvfs"},
		{"/etc/tmpfiles.d/vf.conf", "w /sys/class/net/eth0/device/sriov_numvfs - - - - 4"},
	};
	char many[256], *number;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put(cases[i].file, cases[i].line);
		fires("vf-source", SEVERITY_WARNING, cases[i].file, "it sets the number of VFs too",
			"weir host apply");
		snprintf(many, sizeof(many), "%s", cases[i].line);
		number = strrchr(many, '4');
		if (strstr(many, "echo 4") != NULL)
			number = strstr(many, "echo 4") + 5;
		memmove(number + 2, number + 1, strlen(number));
		memcpy(number, "64", 2);
		put(cases[i].file, many);
		check();
		assert_int_equal(bed.found.n, 2);
		assert_string_equal(bed.found.of[0].rule, "vf-count");
		assert_int_equal(bed.found.of[0].severity, SEVERITY_ERROR);
		assert_non_null(strstr(bed.found.of[0].evidence, "it asks for 64 VFs"));
		put(cases[i].file, "# sriov_numvfs max_vfs virtual-function-count\n");
		silent();
	}
}

static void a_line_that_is_no_utf8_is_json_all_the_same(void **state) {
	json_t *v;

	put("/etc/modprobe.d/ixgbe.conf", "options ixgbe max_vfs=4 alias=\xff\xfe\n");
	fires("vf-source", SEVERITY_WARNING, "/etc/modprobe.d/ixgbe.conf", "alias=\xff", "");
	v = finding_json(&bed.found.of[0]);
	assert_non_null(strstr(json_string_value(json_object_get(v, "evidence")), "alias=??"));
	json_decref(v);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		BED_TEST(networkmanager_that_manages_vfs_is_a_warning),
		BED_TEST(what_networkmanager_leaves_alone_is_no_finding),
		BED_TEST(what_a_running_manager_says_comes_before_its_files),
		BED_TEST(networkd_that_configures_vfs_is_a_warning),
		BED_TEST(networkd_knows_interfaces_by_all_their_names),
		BED_TEST(networkds_own_word_comes_first),
		BED_TEST(a_link_file_that_names_all_vfs_alike_is_a_warning),
		BED_TEST(interfaces_that_bring_up_a_guests_vf_are_a_warning),
		BED_TEST(cloud_init_that_writes_network_configuration_is_noted),
		BED_TEST(others_that_set_the_number_of_vfs_are_a_warning),
		BED_TEST(a_line_that_is_no_utf8_is_json_all_the_same),
	};

	return cmocka_run_group_tests(tests, bed_make, bed_unmake);
}
