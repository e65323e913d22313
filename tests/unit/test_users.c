/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/host.h"

#include "host_tree.h"

/* Who uses a function, on the hosts of tests/host/trees. */

static char trees[32];

static int make_trees(void **state) {
	trees_make(trees);
	return 0;
}

static int remove_trees(void **state) {
	trees_gone(trees);
	return 0;
}

static struct use use_in(const struct root *r, const char *slot) {
	const struct pci_function *f;
	struct users *u;
	struct err e = {""};
	struct host h;
	struct use use;

	if (host_read(&h, r, &e) < 0)
		fail_msg("%s", e.text);
	u = users_read(&h);
	assert_non_null(u);
	f = pci_at(&h.pci, slot);
	assert_non_null(f);
	users_of(u, f, &use);
	users_free(u);
	host_free(&h);
	return use;
}

static struct use use_of(const char *name, const char *slot) {
	struct root r;

	trees_open(&r, trees, name);
	return use_in(&r, slot);
}

/* Of eth4, as the operator comes by such an ssh connection. */
static struct use use_from(const char *connection) {
	char text[128];
	struct root r;

	trees_open(&r, trees, "users");
	snprintf(text, sizeof(text), "SSH_CONNECTION=%s", connection);
	tree_put(&r, "/proc/self/environ", text);
	return use_in(&r, "04:00.0");
}

static void is(struct use u, enum use_kind kind, const char *text, bool lifeline) {
	assert_string_equal(u.text, text);
	assert_int_equal(u.kind, kind);
	assert_int_equal(u.lifeline, lifeline);
}

static void a_vm_is_named_as_libvirt_or_qemu_name_it(void **state) {
	struct use u = use_of("ixgbe", "04:10.0");

	is(u, USE_VM, "libvirt domain web1, pid 2100", false);
	assert_string_equal(u.name, "web1");
	assert_int_equal(u.pid, 2100);
	is(use_of("ixgbe", "04:10.2"), USE_VM, "QEMU lab, pid 2200", false);
	is(use_of("i40e", "5e:02.2"), USE_VM, "QEMU db1, pid 3100", false); // by iommufd
}

static void a_dpdk_process_is_found_by_group_uio_and_verbs(void **state) {
	is(use_of("ixgbe", "04:10.4"), USE_DPDK, "DPDK process dpdk-testpmd, pid 2300", false);
	is(use_of("noiommu", "01:00.1"), USE_DPDK, "DPDK process l3fwd, pid 5100", false);
	is(use_of("mlx5", "01:00.3"), USE_DPDK, "DPDK process dpdk-testpmd, pid 4100", false);
	is(use_of("users", "02:00.0"), USE_PROCESS, "process router, pid 2500", false);
}

static void another_process_is_just_named(void **state) {
	is(use_of("i40e", "5e:02.3"), USE_PROCESS, "process spdk_tgt, pid 3200", false);
}

static void what_nobody_has_is_free(void **state) {
	is(use_of("ixgbe", "04:10.6"), USE_FREE, "bound to vfio-pci", false);
	is(use_of("ixgbe", "04:11.0"), USE_FREE, "no driver", false);
	is(use_of("ixgbe", "04:11.2"), USE_FREE, "", false); // a link-local address is no use
	is(use_of("i40e", "5e:02.0"), USE_FREE, "", false);
	is(use_of("ixgbe", "08:00.0"), USE_UNKNOWN, "bound to nvidia", false);
}

static void an_interface_in_use_says_for_what(void **state) {
	is(use_of("ixgbe", "04:00.0"), USE_NETDEV, "192.0.2.10/24, default route", true);
	is(use_of("i40e", "5e:02.1"), USE_NETDEV, "macvtap macvtap0", false);
	is(use_of("i40e", "5e:00.1"), USE_NETDEV,
		"bond bond0, bridge br0 (192.0.2.20/24, 2001:db8::20/64, default route)", true);
	is(use_of("ice", "17:00.0"), USE_NETDEV, "vlan ens2f0.5 (192.0.2.30/24, default route)",
		true);
	is(use_of("users", "01:00.0"), USE_NETDEV,
		"198.51.100.1/24, 198.51.100.2/24, 1 more addresses, 1 route", false);
}

static void addresses_of_open_vswitch_count_for_the_cards_in_it(void **state) {
	is(use_of("mlx5", "01:00.0"), USE_NETDEV,
		"openvswitch ovs-system, openvswitch ovs-sriov (192.168.50.1/24)", false);
	is(use_of("users", "03:00.0"), USE_NETDEV,
		"openvswitch ovs-system, openvswitch ovs-br (192.168.50.1/24, default route)",
		true);
}

static void the_operators_ssh_session_is_a_lifeline_though_sudo_forgot_it(void **state) {
	is(use_of("ixgbe", "04:00.1"), USE_NETDEV,
		"1 route, bridge br0 (198.51.100.1/24, your ssh session)", true);
	is(use_from("2001:db8::9 50000 2001:db8::5 22"), USE_NETDEV,
		"2001:db8::5/64, your ssh session", true);
	is(use_from("fe80::9%eth4 50000 fe80::5%eth4 22"), USE_NETDEV,
		"2001:db8::5/64, your ssh session", true);
	is(use_from("2001:db8::9 50000 2001:db8::6 22"), USE_NETDEV, "2001:db8::5/64", false);
	is(use_from("nonsense"), USE_NETDEV, "2001:db8::5/64", false);
}

static void an_interface_in_another_namespace_is_seen_by_its_absence(void **state) {
	is(use_of("mlx5", "01:01.2"), USE_NAMESPACE, "its interface is in another namespace",
		false);
	is(use_of("igb", "00:04.0"), USE_FREE, "no interface", false);
	is(use_of("users", "05:00.0"), USE_NAMESPACE, "its interface is in another namespace",
		false); // of its virtio device
}

static void disks_are_in_use_for_mounts_swap_and_what_stands_on_them(void **state) {
	is(use_of("ixgbe", "06:00.0"), USE_STORAGE, "/boot/efi on nvme0n1p1, / on dm-0", true);
	is(use_of("ixgbe", "07:00.0"), USE_FREE, "nvme1n1 is not in use", false);
	is(use_of("noiommu", "09:00.0"), USE_STORAGE, "swap on nvme0n1p2", false);
	is(use_of("users", "11:00.0"), USE_STORAGE, "md0 stands on nvme1n1", false);
	is(use_of("users", "12:00.0"), USE_VM, "nvme2n1 open in disk, pid 2601", false);
	is(use_of("users", "13:00.0"), USE_PROCESS, "nvme3n1 open in dd, pid 2602", false);
	is(use_of("users", "14:00.0"), USE_FREE, "nvme4n1 is not in use", false);
}

static void a_disk_is_not_called_free_when_mounts_cannot_be_read(void **state) {
	struct root r;
	char path[PATH_MAX];

	trees_open(&r, trees, "noiommu");
	snprintf(path, sizeof(path), "%s/proc/self/mountinfo", r.at);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(use_in(&r, "09:00.0").kind, USE_UNKNOWN);
}

static void a_disk_of_several_controllers_is_found_by_its_subsystem(void **state) {
	is(use_of("users", "15:00.0"), USE_STORAGE, "nvme5n1 is not in use, /srv on nvme5n2",
		false);
}

static void a_process_with_a_name_of_any_bytes_does_no_harm(void **state) {
	struct root r;
	struct host h;
	struct users *u;
	struct err e;
	json_t *v;

	trees_open(&r, trees, "users");
	tree_put(&r, "/proc/2700/cmdline", "/x/\xff\xfe\x1b[2J");
	assert_int_equal(host_read(&h, &r, &e), 0);
	u = users_read(&h);
	v = host_json(&h, u, pci_at(&h.pci, "06:00.0"));
	assert_string_equal(json_string_value(json_object_get(json_object_get(v, "use"), "text")),
		"process ??\x1b[2J, pid 2700");
	json_decref(v);
	users_free(u);
	host_free(&h);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_vm_is_named_as_libvirt_or_qemu_name_it),
		cmocka_unit_test(a_dpdk_process_is_found_by_group_uio_and_verbs),
		cmocka_unit_test(another_process_is_just_named),
		cmocka_unit_test(what_nobody_has_is_free),
		cmocka_unit_test(an_interface_in_use_says_for_what),
		cmocka_unit_test(addresses_of_open_vswitch_count_for_the_cards_in_it),
		cmocka_unit_test(the_operators_ssh_session_is_a_lifeline_though_sudo_forgot_it),
		cmocka_unit_test(an_interface_in_another_namespace_is_seen_by_its_absence),
		cmocka_unit_test(disks_are_in_use_for_mounts_swap_and_what_stands_on_them),
		cmocka_unit_test(a_disk_is_not_called_free_when_mounts_cannot_be_read),
		cmocka_unit_test(a_disk_of_several_controllers_is_found_by_its_subsystem),
		cmocka_unit_test(a_process_with_a_name_of_any_bytes_does_no_harm),
	};

	return cmocka_run_group_tests(tests, make_trees, remove_trees);
}
