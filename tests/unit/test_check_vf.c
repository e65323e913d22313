/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <sys/file.h>

#include "base/mac.h"
#include "check_bed.h"

/* Rules about virtual functions: addresses, rights, VLANs, owners, and what was proved. */

#define OWNERS "/var/lib/weir/host/owners/"
#define PROVED "/var/lib/weir/host/proved/"

static uint64_t mac(const char *text) {
	uint64_t m;

	assert_int_equal(mac_parse(text, &m), 0);
	return m;
}

static void two_vfs_with_one_mac_are_an_error(void **state) {
	vf_of("eth0", 1)->mac = vf_of("eth0", 0)->mac;
	fires("mac-duplicate", SEVERITY_ERROR, PF0 " vf 0", PF0 " vf 1 has 52:54:00:00:04:00 too",
		"weir vf set " PF0 " 0 mac=");
	vf_of("eth0", 1)->vlan = 101;
	fires("mac-duplicate", SEVERITY_WARNING, PF0 " vf 0", "in another VLAN", "weir vf set");
}

static void vfs_of_two_cards_meet_as_well(void **state) {
	vf_of("eth1", 1)->mac = vf_of("eth0", 0)->mac;
	vf_of("eth1", 1)->vlan = vf_of("eth0", 0)->vlan;
	fires("mac-duplicate", SEVERITY_ERROR, PF0 " vf 0", PF1 " vf 1 has", "weir vf set");
}

static void owned(const char *slot, const char *owner) {
	char path[128], text[128];

	snprintf(path, sizeof(path), OWNERS "%s.json", slot);
	snprintf(text, sizeof(text), "{\"owner\": \"%s\", \"changes\": []}\n", owner);
	put(path, text);
}

static void a_pair_of_one_owner_may_have_one_mac(void **state) {
	vf_of("eth0", 2)->mac = vf_of("eth1", 0)->mac = mac("52:54:00:00:04:02");
	owned("0000:04:10.4", "vm7");
	owned("0000:84:10.0", "vm8");
	fires("mac-duplicate", SEVERITY_ERROR, PF0 " vf 2", PF1 " vf 0 has", "weir vf set");
	owned("0000:84:10.0", "vm7");
	fires("mac-duplicate", SEVERITY_NOTE, PF0 " vf 2", "for the same owner", "weir vf set");
}

static void a_vf_with_the_mac_of_an_interface_is_an_error(void **state) {
	vf_of("eth0", 0)->mac = link_of("eth1")->mac;
	fires("mac-duplicate", SEVERITY_ERROR, PF0 " vf 0", "eth1 has 90:e2:ba:40:10:01 too",
		"weir vf set");
}

static void a_vfs_own_interface_and_what_stands_on_it_have_its_mac_by_right(void **state) {
	vf_of("eth0", 2)->mac = link_of("eth0v2")->mac;
	silent();
	link_of("eth1v0")->mac = mac("90:e2:ba:40:10:01"); // eth1's own, of a bond's member
	link_of("eth1v0")->master = 77;
	silent();
}

static void a_multicast_mac_is_an_error(void **state) {
	vf_of("eth0", 0)->mac = mac("53:54:00:00:04:00");
	fires("mac-multicast", SEVERITY_ERROR, PF0 " vf 0", "53:54:00:00:04:00 is a multicast",
		"even first octet");
}

static void a_guests_vf_without_a_mac_is_a_warning(void **state) {
	vf_of("eth0", 0)->mac = 0;
	fires("spoof-zero-mac", SEVERITY_WARNING, PF0 " vf 0", "spoof check is on",
		"weir vf set " PF0 " 0 mac=");
	vf_of("eth0", 0)->spoofchk = false;
	fires("mac-zero", SEVERITY_WARNING, PF0 " vf 0", "no MAC address is set",
		"weir vf set " PF0 " 0 mac=");
	vf_of("eth0", 0)->has &= ~(unsigned)VF_HAS_MAC; // the driver does not tell it
	silent();
}

static void under_switchdev_the_flow_tables_say_who_may_send_what(void **state) {
	struct devlink dev = {.mode = ESWITCH_SWITCHDEV};

	strcpy(dev.slot, PF0);
	vf_of("eth0", 0)->mac = 0;
	bed.host.devlinks = (struct devlinks){.dev = &dev, .n = 1};
	silent();
	bed.host.devlinks = (struct devlinks){.n = 0};
}

static void trust_without_a_need_on_this_host_is_a_warning(void **state) {
	vf_of("eth0", 2)->trust = true;
	fires("trust", SEVERITY_WARNING, PF0 " vf 2", "eth0v2 is not promiscuous", "trust=off");
	link_of("eth0v2")->flags |= IFF_PROMISC;
	silent();
	link_of("eth0v2")->flags &= ~(unsigned)IFF_PROMISC;
	link_of("eth0v2")->master = 9; // in a bridge
	silent();
	link_of("eth0v2")->master = 0;
	link_of("eth1v0")->lower = link_of("eth0v2")->index; // macvlan or the like
	silent();
}

static void trust_in_a_guest_is_a_note_unless_the_desired_state_has_it(void **state) {
	vf_of("eth0", 0)->trust = true;
	fires("trust", SEVERITY_NOTE, PF0 " vf 0", "cannot be told from here", "trust=off");
	put("/etc/weir/host.yaml", "pfs: {eth0: {}}\nvfs: {a: {pf: eth0, vf: 1, trust: on}}\n");
	fires("trust", SEVERITY_NOTE, PF0 " vf 0", "cannot be told from here", "trust=off");
	put("/etc/weir/host.yaml", "pfs: {eth0: {}}\nvfs: {a: {pf: eth0, vf: 0, trust: on}}\n");
	silent();
}

static void a_vlan_that_is_tagged_twice_is_a_warning(void **state) {
	vf_of("eth0", 2)->vlan = 100;
	silent();
	link_of("eth1v0")->lower = link_of("eth0v2")->index;
	silent(); // no VLAN interface
	strcpy(link_of("eth1v0")->kind, "vlan");
	fires("vlan", SEVERITY_WARNING, PF0 " vf 2", "VLAN 100", "remove eth1v0");
}

static void a_lonely_vlan_without_carrier_is_a_warning(void **state) {
	vf_of("eth0", 1)->vlan = 101;
	silent(); // the other ends may be beyond the wire
	link_of("eth0")->flags &= ~(unsigned)IFF_RUNNING;
	check();
	assert_int_equal(bed.found.n, 3); // of both, and that there is no carrier
	assert_string_equal(bed.found.of[0].rule, "vlan");
	assert_string_equal(bed.found.of[0].evidence,
		"nobody else on " PF0
		" is in its VLAN 100, and eth0 has no carrier: it reaches nobody");
	assert_string_equal(bed.found.of[1].subject, PF0 " vf 1");
	assert_string_equal(bed.found.of[2].rule, "pf-down");
}

static void a_pair_of_which_one_has_a_vlan_is_a_warning(void **state) {
	vf_of("eth0", 2)->mac = mac("52:54:00:00:04:02");
	vf_of("eth1", 0)->mac = mac("52:54:00:00:04:12");
	vf_of("eth0", 2)->vlan = 100;
	silent();
	owned("0000:04:10.4", "vm7");
	owned("0000:84:10.0", "vm8");
	silent();
	owned("0000:84:10.0", "vm7");
	fires("vlan", SEVERITY_WARNING, PF0 " vf 2",
		"vm7 has it with VLAN 100 and " PF1 " vf 0 with none",
		"weir vf set " PF1 " 0 vlan=100");
	vf_of("eth1", 0)->vlan = 100;
	silent();
}

static void an_owner_of_a_vf_that_is_gone_is_a_warning(void **state) {
	vf_of("eth0", 2)->mac = mac("52:54:00:00:04:02");
	owned("0000:04:10.4", "vm7");
	silent();
	owned("0000:04:11.0", "vm9");
	fires("owner-gone", SEVERITY_WARNING, "0000:04:11.0", "recorded for vm9",
		"/owners/0000:04:11.0.json");
}

static void an_owner_of_a_vf_that_was_made_anew_is_a_warning(void **state) {
	owned("0000:04:10.4", "vm7"); // a record without a boot is of no start of this host
	bed.host.root.recorded = false;
	fires("owner-gone", SEVERITY_WARNING, "0000:04:10.4", "was made anew since",
		"weir vf release 0000:04:10.4 --force");
}

static void an_owner_makes_a_spare_vf_a_guests(void **state) {
	owned("0000:04:10.4", "vm7");
	fires("spoof-zero-mac", SEVERITY_WARNING, PF0 " vf 2", "spoof check is on", "mac=");
}

static void proved(const char *slot, const char *finding, const char *verdict) {
	char path[128], text[512];

	snprintf(path, sizeof(path), PROVED "%s.json", slot);
	snprintf(text, sizeof(text),
		"{\"pf\": \"%s\", \"driver\": \"ixgbe\", \"kernel\": \"\", \"firmware\": \"\",\n"
		"\"time\": \"2026-11-22T08:00:00Z\", \"findings\": {\"%s\": {\"verdict\": "
		"\"%s\"}}}\n",
		slot, finding, verdict);
	put(path, text);
}

static void what_a_guest_relies_on_and_is_not_enforced_is_a_warning(void **state) {
	static const struct {
		const char *finding, *words;
	} cases[] = {
		{"vlan", "vlan is not enforced"},
		{"vlan-spoof", "tags of their own: vf 0, vf 1"},
		{"spoofchk", "(proved 2026-11-22T08:00:00Z), spoof check is on"},
		{"mac-filter", "meant for others: vf 0, vf 1"},
		{"broadcast", "broadcasts do not stay"},
		{"rate", "they send faster: vf 0, vf 1"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		proved(PF0, cases[i].finding, "enforced");
		silent();
		proved(PF0, cases[i].finding, "not-enforced");
		fires("not-enforced", SEVERITY_WARNING, PF0, cases[i].words, "");
	}
	owned("0000:04:10.0", "vm7");
	fires("not-enforced", SEVERITY_WARNING, PF0, "vf 0 (vm7), vf 1", "");
}

static void what_nobody_relies_on_may_be_not_enforced(void **state) {
	proved(PF0, "state", "not-enforced");
	silent();
	vf_of("eth0", 0)->state = VF_STATE_DISABLE;
	fires("not-enforced", SEVERITY_WARNING, PF0, "link is disabled", "");
	proved(PF1, "spoofchk", "not-enforced"); // whose VFs are spare
	vf_of("eth0", 0)->state = VF_STATE_AUTO;
	silent();
	proved(PF0, "rate", "not-enforced");
	vf_of("eth0", 0)->max_rate = vf_of("eth0", 1)->max_rate = 0;
	silent();
}

static void a_proof_with_another_driver_is_noted(void **state) {
	put(PROVED PF0 ".json", "{\"pf\": \"" PF0 "\", \"driver\": \"igb\", \"kernel\": \"\","
				"\"firmware\": \"\", \"time\": \"\", \"findings\": {}}");
	fires("not-enforced", SEVERITY_NOTE, PF0, "may not hold any more", "weir vf prove " PF0);
}

#define JOURNAL "/var/lib/weir/host/journal/"

static void a_change_that_was_cut_off_is_an_error(void **state) {
	char lock[PATH_MAX];
	int fd;

	put("/proc/sys/kernel/random/boot_id", "this-start\n");
	put(JOURNAL "7.json",
		"{\"begin\":\"weir host apply\",\"boot\":\"this-start\",\"changes\":[]}\n"
		"{\"doing\":0}\n{\"end\":\"applied\"}\n");
	silent();
	put(JOURNAL "8.json",
		"{\"begin\":\"weir vf set\",\"boot\":\"an-earlier-one\",\"changes\":[]}\n");
	silent(); // the restart took its changes with it
	put(JOURNAL "9.json",
		"{\"begin\":\"weir vf create\",\"boot\":\"this-start\",\"changes\":[]}\n"
		"{\"doing\":0}\n{\"end\":\"app");
	fires("journal", SEVERITY_ERROR, "transaction 9", "'weir vf create' was cut off",
		"weir host undo");
	put("/var/lib/weir/host/lock", "weir 1 (weir vf create)\n");
	snprintf(lock, sizeof(lock), "%.400s/lock", bed.state);
	fd = open(lock, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	silent(); // somebody is at it
	close(fd);
	fires("journal", SEVERITY_ERROR, "transaction 9", "cut off", "--resume");
}

static void a_vm_on_cpus_far_from_its_device_is_a_warning(void **state) {
	fn_vf(PF0, 0)->numa = 0;
	silent(); // CPU 1 may use 2 and 9, which are of both nodes
	put("/proc/2100/task/2101/status", "Name:\tCPU 0/KVM\nCpus_allowed_list:\t8-9\n");
	silent();
	put("/proc/2100/task/2102/status", "Name:\tCPU 1/KVM\nCpus_allowed_list:\t12,14-15\n");
	fires("numa", SEVERITY_WARNING, "0000:04:10.0", "node 0 (CPUs 0-7)", "pin its vCPUs");
	put("/proc/2100/task/2101/status", "Name:\tqemu\nCpus_allowed_list:\t8\n");
	put("/proc/2100/task/2102/status", "Name:\tqemu\nCpus_allowed_list:\t9\n");
	silent(); // no thread is called as QEMU calls vCPUs: the main thread may use all
}

static void a_vm_with_its_memory_far_from_its_device_is_a_warning(void **state) {
	fn_vf(PF0, 0)->numa = 1;
	fires("numa", SEVERITY_WARNING, "0000:04:10.0",
		"web1 (process 2100) has 21 % of its memory", "bind the guest's memory to node 1");
	put("/proc/2100/numa_maps", "7f00 bind:0 anon=500 N0=500 kernelpagesize_kB=4\n");
	silent(); // too little to tell
	put("/proc/2100/numa_maps", NULL);
	silent();
}

static void hugepages_far_from_the_devices_are_a_warning(void **state) {
	static const char nr[] =
		"/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages";

	put(nr, "0\n");
	fires("hugepages", SEVERITY_WARNING, PF1, "which has none of this host's 1024 MiB",
		"hugepages=1:N");
	put("/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/nr_hugepages", "1\n");
	silent();
	put(nr, "0\n");
	put("/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/nr_hugepages", NULL);
	put("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages", "0\n");
	silent(); // there are none at all
}

static void guests_that_lock_nearly_all_memory_are_a_warning(void **state) {
	put("/proc/2100/status", "Name:\tqemu\nPPid:\t1\nVmLck:\t40000000 kB\nVmPin:\t 0 kB\n");
	silent();
	put("/proc/2200/status", "Name:\tqemu\nPPid:\t1\nVmLck:\t0 kB\nVmPin:\t20000000 kB\n");
	fires("locked-memory", SEVERITY_WARNING, "host", "58593 of 64000 MiB", "less memory");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		BED_TEST(two_vfs_with_one_mac_are_an_error),
		BED_TEST(vfs_of_two_cards_meet_as_well),
		BED_TEST(a_pair_of_one_owner_may_have_one_mac),
		BED_TEST(a_vf_with_the_mac_of_an_interface_is_an_error),
		BED_TEST(a_vfs_own_interface_and_what_stands_on_it_have_its_mac_by_right),
		BED_TEST(a_multicast_mac_is_an_error),
		BED_TEST(a_guests_vf_without_a_mac_is_a_warning),
		BED_TEST(under_switchdev_the_flow_tables_say_who_may_send_what),
		BED_TEST(trust_without_a_need_on_this_host_is_a_warning),
		BED_TEST(trust_in_a_guest_is_a_note_unless_the_desired_state_has_it),
		BED_TEST(a_vlan_that_is_tagged_twice_is_a_warning),
		BED_TEST(a_lonely_vlan_without_carrier_is_a_warning),
		BED_TEST(a_pair_of_which_one_has_a_vlan_is_a_warning),
		BED_TEST(an_owner_of_a_vf_that_is_gone_is_a_warning),
		BED_TEST(an_owner_of_a_vf_that_was_made_anew_is_a_warning),
		BED_TEST(an_owner_makes_a_spare_vf_a_guests),
		BED_TEST(what_a_guest_relies_on_and_is_not_enforced_is_a_warning),
		BED_TEST(what_nobody_relies_on_may_be_not_enforced),
		BED_TEST(a_proof_with_another_driver_is_noted),
		BED_TEST(a_change_that_was_cut_off_is_an_error),
		BED_TEST(a_vm_on_cpus_far_from_its_device_is_a_warning),
		BED_TEST(a_vm_with_its_memory_far_from_its_device_is_a_warning),
		BED_TEST(hugepages_far_from_the_devices_are_a_warning),
		BED_TEST(guests_that_lock_nearly_all_memory_are_a_warning),
	};

	return cmocka_run_group_tests(tests, bed_make, bed_unmake);
}
