/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/want/plan.h"

#include <errno.h>

#include "host_tree.h"

#include "host_pretend.h"

/* Plans for recorded hosts, one a driver: which changes, in which order; and that nothing is left to change
 * when they were made. */

static struct {
	const char *name;
	struct root root;
} trees[] = {{"ixgbe"}, {"ice"}, {"igb"}, {"bnxt"}, {"mlx5"}, {"i40e"}};
enum { NTREES = sizeof(trees) / sizeof(trees[0]) };
static struct host host;
static struct want *want;
static struct aims aims;
static struct err why;

static void open_tree(const char *tree, const char *text) {
	unsigned i = 0;

	why.text[0] = '\0';
	while (strcmp(trees[i].name, tree) != 0)
		assert_in_range(++i, 0, NTREES - 1);
	if (trees[i].root.at[0] == '\0')
		tree_make(&trees[i].root, tree, "");
	if (want_parse(&want, text, strlen(text), "f", &why) < 0 ||
		host_read(&host, &trees[i].root, &why) < 0)
		fail_msg("%s", why.text);
}

static int down(void **state) {
	for (unsigned i = 0; i < NTREES; i++)
		if (trees[i].root.at[0] != '\0')
			tree_gone(&trees[i].root);
	return 0;
}

static int plan_now(struct plan *p, bool force) {
	int rc;

	aims_free(&aims);
	if (want_resolve(&aims, want, &host, &why) < 0)
		fail_msg("%s", why.text);
	rc = plan_make(p, &aims, &host, &(struct plan_options){.force = force}, &why);
	return rc;
}

static void close_tree(void) {
	aims_free(&aims);
	want_free(want);
	host_free(&host);
}

/* All changes that are steps, one a line: "0000:01:00.0 vf 3 vlan 0 > 100". */
static char *lines_of(const struct changes *l) {
	char *text = calloc(l->n + 1, 160);
	size_t n = 0;

	for (unsigned i = 0; i < l->n; i++) {
		const struct change *c = &l->c[i];

		if (c->implied)
			continue;
		n += (size_t)sprintf(text + n, "%s", c->slot + 5);
		if (c->vf >= 0)
			n += (size_t)sprintf(text + n, " vf %d", c->vf);
		n += (size_t)sprintf(text + n, " %s %s > %s\n", attr_name(c->attr),
			c->from[0] != '\0' ? c->from : "?", c->to);
	}
	return text;
}

/* The plan is these steps (NULL: any); made, they leave nothing to do. */
static void plans(const char *tree, const char *text, const char *steps) {
	struct plan p;
	char *got;

	open_tree(tree, text);
	if (plan_now(&p, false) < 0)
		fail_msg("%s", why.text);
	got = lines_of(&p.changes);
	if (steps != NULL && strcmp(got, steps) != 0)
		fail_msg("%s plans\n%s  wanted\n%s", text, got, steps);
	free(got);
	for (unsigned i = 0; i < p.changes.n; i++)
		pretend(&host, &p.changes.c[i]);
	plan_free(&p);
	aims_free(&aims);
	if (plan_now(&p, false) < 0)
		fail_msg("second plan: %s", why.text);
	got = lines_of(&p.changes);
	if (p.changes.n != 0 || p.ndrift != 0)
		fail_msg("%s is not done:\n%s", text, got);
	free(got);
	plan_free(&p);
	close_tree();
}

static void refuses(const char *tree, const char *text, int code, const char *sentence) {
	struct plan p;
	int rc;

	open_tree(tree, text);
	rc = plan_now(&p, false);
	close_tree();
	assert_int_equal(rc, -code);
	assert_string_equal(why.text, sentence);
}

static void vfs_are_made_without_a_driver_and_get_it_when_their_address_is_set(void **state) {
	plans("ixgbe",
		"pfs: {eno2: {vfs: 2, link: up, mtu: 9000}}\n"
		"pools: {t: {pfs: eno2, vlan: 100, max-rate: 1Gbit, macs: [52:54:00:00:00:01, "
		"52:54:00:00:00:02]}}",
		"04:00.1 mtu 1500 > 9000\n"
		"04:00.1 autoprobe on > off\n"
		"04:00.1 vfs 0 > 2\n"
		"04:00.1 vf 0 mac ? > 52:54:00:00:00:01\n"
		"04:00.1 vf 0 vlan ? > 100\n"
		"04:00.1 vf 0 rate ? > min 0 max 1000\n"
		"04:00.1 vf 0 driver none > ixgbevf\n"
		"04:00.1 vf 1 mac ? > 52:54:00:00:00:02\n"
		"04:00.1 vf 1 vlan ? > 100\n"
		"04:00.1 vf 1 rate ? > min 0 max 1000\n"
		"04:00.1 vf 1 driver none > ixgbevf\n"
		"04:00.1 autoprobe off > on\n");
}

static void vfs_for_vms_never_meet_the_kernels_driver(void **state) {
	plans("ice",
		"pfs: {ens2f1: {vfs: 2, link: up, autoprobe: off, defaults: {spoofchk: on, trust: "
		"off}}}\n"
		"pools: {t: {pfs: ens2f1, vfs: 0, driver: vfio-pci, mac-prefix: '52:54:00:01:02'}}",
		NULL);
	plans("ice", "pfs: {ens2f1: {vfs: 1, defaults: {driver: vfio-pci}}}",
		"17:00.1 autoprobe on > off\n"
		"17:00.1 vfs 0 > 1\n"
		"17:00.1 vf 0 driver none > vfio-pci\n"
		"17:00.1 autoprobe off > on\n");
}

static void only_what_differs_is_changed(void **state) {
	plans("ixgbe",
		"pfs: {eno1: {vfs: 6}}\n"
		"pools: {t: {pfs: eno1, vfs: 0-3, vlan: 100, max-rate: 1Gbit, spoofchk: on}}\n"
		"vfs: {w: {pf: eno1, vf: 4, vlan: 5, qos: 1, trust: on}}",
		"04:00.0 vf 4 vlan 0 > 5 qos 1\n"
		"04:00.0 vf 4 trust off > on\n");
	plans("ixgbe",
		"pfs: {eno1: {}}\npools: {t: {pfs: eno1, vfs: 0-3, max-rate: 2Gbit, min-rate: "
		"100Mbit}}",
		"04:00.0 vf 0 rate min 0 max 1000 > min 100 max 2000\n"
		"04:00.0 vf 1 rate min 0 max 1000 > min 100 max 2000\n"
		"04:00.0 vf 2 rate min 0 max 1000 > min 100 max 2000\n"
		"04:00.0 vf 3 rate min 0 max 1000 > min 100 max 2000\n");
}

static void another_number_of_vfs_goes_over_none_and_all_are_set_anew(void **state) {
	plans("igb", "pfs: {eth0: {vfs: 2, defaults: {vlan: 9}}}",
		"03:00.0 vfs 7 > 0\n"
		"03:00.0 vfs 0 > 2\n"
		"03:00.0 vf 0 vlan ? > 9\n"
		"03:00.0 vf 1 vlan ? > 9\n");
	plans("igb", "pfs: {eth0: {vfs: 0}}", "03:00.0 vfs 7 > 0\n");
}

static void an_eswitch_changes_when_its_driver_lets_it(void **state) {
	plans("ice", "pfs: {ens2f1: {vfs: 2, eswitch: switchdev}}",
		"17:00.1 autoprobe on > off\n"
		"17:00.1 eswitch legacy > switchdev\n"
		"17:00.1 vfs 0 > 2\n"
		"17:00.1 vf 0 driver none > iavf\n"
		"17:00.1 vf 1 driver none > iavf\n"
		"17:00.1 autoprobe off > on\n");
	plans("bnxt", "pfs: {enp65s0f1np1: {vfs: 1, eswitch: switchdev, autoprobe: off}}",
		"41:00.1 autoprobe on > off\n"
		"41:00.1 vfs 0 > 1\n"
		"41:00.1 eswitch legacy > switchdev\n");
	plans("mlx5", "pfs: {enp1s0f1np1: {vfs: 2, eswitch: legacy}}",
		"01:00.1 autoprobe on > off\n"
		"01:00.1 vfs 1 > 0\n"
		"01:00.1 vfs 0 > 2\n"
		"01:00.1 eswitch switchdev > legacy\n"
		"01:00.1 vf 0 driver none > mlx5_core\n"
		"01:00.1 vf 1 driver none > mlx5_core\n"
		"01:00.1 autoprobe off > on\n");
}

static void what_a_driver_does_not_tell_is_taken_for_granted_or_refused(void **state) {
	plans("igb", "pfs: {eth0: {eswitch: legacy, defaults: {link-state: auto}}}", "");
	refuses("igb", "pfs:\n  eth0:\n    eswitch: switchdev", EOPNOTSUPP,
		"f:3: 0000:03:00.0 has no eswitch (driver igb): it switches as it always did");
}

static void a_link_goes_down_last_and_all_go_up_first(void **state) {
	plans("ice", "pfs: {ens2f0: {link: down, mtu: 2000}, ens2f1: {link: up, vfs: 1}}",
		"17:00.1 link down > up\n"
		"17:00.0 mtu 1500 > 2000\n"
		"17:00.0 link up > down\n"
		"17:00.1 vfs 0 > 1\n");
}

static void whole_devices_come_last(void **state) {
	plans("ixgbe",
		"devices: {gpu: {match: 0000:08:00.0, driver: vfio-pci}, disks: {match: 144d:a808, "
		"driver: "
		"kernel}}\npfs: {eno2: {vfs: 1}}",
		"04:00.1 vfs 0 > 1\n"
		"08:00.0 driver nvidia > vfio-pci\n");
}

static void a_pool_over_both_ports_is_filled_port_by_port(void **state) {
	plans("i40e",
		"pfs: {cards: {match: 8086:1572}}\npools: {t: {pfs: cards, vfs: 0-1, vlan: 30}}",
		"5e:00.0 vf 0 vlan 10 > 30\n"
		"5e:00.0 vf 1 vlan 10 > 30\n"
		"5e:00.1 vf 0 vlan 0 > 30\n"
		"5e:00.1 vf 1 vlan 0 > 30\n");
}

/* A recorded owner, as `weir vf alloc` leaves it. */
static void give(const char *slot, const char *owner, char state[64]) {
	struct change c = {.attr = ATTR_OWNER, .vf = -1};
	struct err e = {.text = ""};

	snprintf(state, 64, "/tmp/weir-state.XXXXXX");
	assert_non_null(mkdtemp(state));
	host.state = state;
	snprintf(c.slot, sizeof(c.slot), "%s", slot);
	snprintf(c.from, sizeof(c.from), "none");
	snprintf(c.to, sizeof(c.to), "%s", owner);
	if (attr_set(&host, &c, &e) < 0)
		fail_msg("%s", e.text);
}

static void take_away(const char *state) {
	nftw(state, tree_gone_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void a_vf_that_somebody_else_has_is_left_alone(void **state) {
	char at[64];
	struct plan p;
	char *got;

	open_tree("ixgbe",
		"pfs: {eno1: {}}\npools: {t: {pfs: eno1, vfs: 0-3, vlan: 200, owners: [web1]}}");
	give("0000:04:10.2", "vm9", at);
	assert_int_equal(plan_now(&p, false), 0);
	got = lines_of(&p.changes);
	assert_string_equal(got, "04:00.0 vf 0 owner none > web1\n"
				 "04:00.0 vf 0 vlan 100 > 200\n"
				 "04:00.0 vf 2 vlan 100 > 200\n"
				 "04:00.0 vf 3 vlan 100 > 200\n");
	free(got);
	assert_int_equal(p.nleft, 1);
	assert_int_equal(p.left[0].aim->vf, 1);
	assert_string_equal(p.left[0].owner, "vm9");
	plan_free(&p);
	assert_int_equal(plan_now(&p, true), 0);
	assert_int_equal(p.nleft, 0);
	assert_int_equal(p.changes.n, 5);
	plan_free(&p);
	take_away(at);
	close_tree();
}

static void vfs_are_not_recreated_under_an_owner_that_is_not_named(void **state) {
	char at[64];
	struct plan p;

	open_tree("ixgbe", "pfs: {eno1: {vfs: 8}}");
	give("0000:04:10.2", "vm9", at);
	assert_int_equal(plan_now(&p, false), -EBUSY);
	assert_string_equal(why.text,
		"VF 1 of 0000:04:00.0 belongs to vm9 and would go when 0000:04:00.0 gets other "
		"VFs; release "
		"it first with 'weir vf release 0000:04:10.2', or say --force");
	assert_int_equal(plan_now(&p, true), 0);
	plan_free(&p);
	take_away(at);
	close_tree();
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			vfs_are_made_without_a_driver_and_get_it_when_their_address_is_set),
		cmocka_unit_test(vfs_for_vms_never_meet_the_kernels_driver),
		cmocka_unit_test(only_what_differs_is_changed),
		cmocka_unit_test(another_number_of_vfs_goes_over_none_and_all_are_set_anew),
		cmocka_unit_test(an_eswitch_changes_when_its_driver_lets_it),
		cmocka_unit_test(what_a_driver_does_not_tell_is_taken_for_granted_or_refused),
		cmocka_unit_test(a_link_goes_down_last_and_all_go_up_first),
		cmocka_unit_test(whole_devices_come_last),
		cmocka_unit_test(a_pool_over_both_ports_is_filled_port_by_port),
		cmocka_unit_test(a_vf_that_somebody_else_has_is_left_alone),
		cmocka_unit_test(vfs_are_not_recreated_under_an_owner_that_is_not_named),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, down);
}
