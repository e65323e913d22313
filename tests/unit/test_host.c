/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/host.h"

#include <errno.h>

#include "base/mac.h"
#include "host_tree.h"

/* Hosts as recorded in tests/host/trees: which function, interface, representor and VF belong together. */

static char trees[32];
static struct root root;
static struct host host;

static int make_trees(void **state) {
	trees_make(trees);
	return 0;
}

static int remove_trees(void **state) {
	trees_gone(trees);
	return 0;
}

static void read_host(void) {
	struct err e = {""};

	if (host_read(&host, &root, &e) < 0)
		fail_msg("%s", e.text);
}

static void open_host(const char *name) {
	trees_open(&root, trees, name);
	read_host();
}

/* With something else in it. */
static void make_host(const char *name, const char *lines) {
	tree_make(&root, name, lines);
	read_host();
}

static void close_host(void) {
	host_free(&host);
}

static void remove_host(void) {
	host_free(&host);
	tree_gone(&root);
}

static const struct pci_function *at(const char *slot) {
	const struct pci_function *f = pci_at(&host.pci, slot);

	assert_non_null(f);
	return f;
}

static void is_interface(const char *slot, const char *name) {
	const struct link *l = host_link(&host, at(slot));

	if (name == NULL)
		assert_null(l);
	else
		assert_string_equal(l != NULL ? l->name : "none", name);
}

static void cards_are_read_as_their_published_listings_have_them(void **state) {
	static const struct {
		const char *host, *pf, *driver, *first, *last, *vf_driver;
		unsigned vfs, total;
		uint16_t vf_device;
	} cards[] = {
		{"ixgbe", "04:00.0", "ixgbe", "04:10.0", "04:11.2", "vfio-pci", 6, 63, 0x10ed},
		{"i40e", "5e:00.0", "i40e", "5e:02.0", "5e:02.3", "iavf", 4, 64, 0x154c},
		{"i40e", "5e:00.1", "i40e", "5e:0a.0", "5e:0a.1", "", 2, 64, 0x154c},
		{"ice", "17:00.0", "ice", "17:01.0", "17:01.7", "iavf", 8, 64, 0x1889},
		{"mlx5", "01:00.1", "mlx5_core", "01:01.2", "01:01.2", "mlx5_core", 1, 8, 0x1016},
		{"igb", "03:00.0", "igb", "03:10.0", "03:11.4", "igbvf", 7, 7, 0x10ca},
		{"igb-guest", "02:00.0", "igb", "02:10.0", "02:11.4", "igbvf", 7, 7, 0x10ca},
		{"bnxt", "41:00.0", "bnxt_en", "41:02.0", "41:02.1", "bnxt_en", 2, 64, 0x16dc},
		{"noiommu", "01:00.0", "ixgbe", "01:10.0", "01:10.2", "ixgbevf", 2, 63, 0x1515},
	};

	for (size_t i = 0; i < sizeof(cards) / sizeof(cards[0]); i++) {
		const struct pci_function *pf;

		open_host(cards[i].host);
		pf = at(cards[i].pf);
		assert_string_equal(pf->driver, cards[i].driver);
		assert_int_equal(pf->vfs, cards[i].vfs);
		assert_int_equal(pf->vfs_total, cards[i].total);
		assert_int_equal(pf->vf_device, cards[i].vf_device);
		assert_ptr_equal(pci_vf(&host.pci, pf, 0), at(cards[i].first));
		assert_ptr_equal(pci_vf(&host.pci, pf, (int)pf->vfs - 1), at(cards[i].last));
		assert_int_equal(at(cards[i].first)->device, cards[i].vf_device);
		assert_string_equal(at(cards[i].first)->driver, cards[i].vf_driver);
		assert_int_equal(host_link(&host, pf)->nvfs, cards[i].vfs);
		close_host();
	}
}

static void an_interface_belongs_to_its_function(void **state) {
	open_host("ixgbe");
	is_interface("04:00.0", "eno1");
	is_interface("04:00.1", "eno2");
	is_interface("04:11.2", "eno1v5");
	is_interface("04:10.0", NULL);
	is_interface("06:00.0", NULL);
	close_host();
	open_host("noiommu");
	is_interface("00:05.0", "eth1"); // behind its virtio device
	assert_int_equal(at("01:00.0")->group, -1);
	close_host();
}

static void a_subfunction_is_not_the_interface_of_its_card(void **state) {
	make_host("noiommu", "if sf88 at=0000:01:00.1 on=mlx5_core.sf.2 up mac=02:00:00:00:00:88");
	is_interface("01:00.1", NULL);
	remove_host();
}

static void a_representor_is_found_by_its_number_and_is_no_interface_of_the_card(void **state) {
	const struct pci_function *first, *second;

	open_host("mlx5");
	first = at("01:00.0");
	second = at("01:00.1");
	is_interface("01:00.0", "enp1s0f0np0");
	assert_string_equal(host_representor(&host, first, 0)->name, "enp1s0f0npf0vf0");
	assert_string_equal(host_representor(&host, first, 1)->name, "enp1s0f0npf0vf1");
	assert_string_equal(host_representor(&host, second, 0)->name, "enp1s0f1npf1vf0");
	assert_null(host_representor(&host, first, 2));
	assert_null(host_representor(&host, second, 1));
	assert_int_equal(devlinks_at(&host.devlinks, first->slot)->mode, ESWITCH_SWITCHDEV);
	assert_string_equal(devlinks_at(&host.devlinks, first->slot)->firmware, "14.32.1010");
	close_host();
}

static void a_representor_without_parent_is_found_by_the_switch(void **state) {
	make_host("bnxt", "if rep0 port=pf1vf0 switch=1100e1fffe97bc00 up mac=02:00:00:00:00:01\n"
			  "if rep1 port=pf0vf0 switch=ffffe1fffe97bc00 up mac=02:00:00:00:00:02\n");
	assert_string_equal(host_representor(&host, at("41:00.1"), 0)->name, "rep0");
	assert_null(host_representor(&host, at("41:00.0"), 0));
	remove_host();
}

static void what_the_card_holds_for_a_vf_is_found(void **state) {
	char mac[MAC_TEXT_MAX];
	const struct link_vf *v;

	open_host("ixgbe");
	v = host_vf(&host, at("04:11.2"));
	assert_non_null(v);
	assert_string_equal(mac_format(v->mac, mac), "02:09:c0:00:00:05");
	assert_int_equal(v->vlan, 200);
	assert_int_equal(v->qos, 3);
	assert_true(v->trust);
	assert_false(v->spoofchk);
	assert_int_equal(host_vf(&host, at("04:10.2"))->max_rate, 1000);
	assert_null(host_vf(&host, at("04:00.0")));
	close_host();
	open_host("igb");
	assert_false(host_vf(&host, at("03:10.0"))->has & VF_HAS_RSS_QUERY);
	close_host();
}

static void a_word_finds_its_function(void **state) {
	static const char *const same[] = {"0000:04:00.0", "04:00.0", "4:00.0", "eno1"};
	struct err e;

	open_host("ixgbe");
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		assert_ptr_equal(host_find(&host, same[i], &e), at("04:00.0"));
	assert_ptr_equal(host_find(&host, "10de:1eb8", &e), at("08:00.0"));
	close_host();
}

static void a_word_that_finds_nothing_is_answered_with_the_reason(void **state) {
	static const struct {
		const char *word, *says;
	} bad[] = {
		{"0000:09:00.0", "there is no PCI function 0000:09:00.0"},
		{"br0", "br0 is not the interface of a PCI function but a bridge interface"},
		{"lo", "lo is not the interface of a PCI function"},
		{"8086:10fb", "2 PCI functions are a 8086:10fb; name one by its address, the first "
			      "is 0000:04:00.0"},
		{"8086:ffff", "no PCI function here is a 8086:ffff"},
		{"eth9", "'eth9' is neither the address of a PCI function"},
		{"", "'' is neither"},
		{"8086:10fbx", "is neither"},
	};

	open_host("ixgbe");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = {""};

		assert_null(host_find(&host, bad[i].word, &e));
		if (strstr(e.text, bad[i].says) == NULL)
			fail_msg("'%s' does not say '%s'", e.text, bad[i].says);
	}
	close_host();
}

static void a_tree_with_a_cut_message_is_refused(void **state) {
	struct err e = {""};

	tree_make(&root, "igb", "");
	tree_put(&root, "/netlink/link.nl", "nonsense");
	assert_true(host_read(&host, &root, &e) < 0);
	assert_non_null(strstr(e.text, "link.nl"));
	tree_gone(&root);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cards_are_read_as_their_published_listings_have_them),
		cmocka_unit_test(an_interface_belongs_to_its_function),
		cmocka_unit_test(a_subfunction_is_not_the_interface_of_its_card),
		cmocka_unit_test(
			a_representor_is_found_by_its_number_and_is_no_interface_of_the_card),
		cmocka_unit_test(a_representor_without_parent_is_found_by_the_switch),
		cmocka_unit_test(what_the_card_holds_for_a_vf_is_found),
		cmocka_unit_test(a_word_finds_its_function),
		cmocka_unit_test(a_word_that_finds_nothing_is_answered_with_the_reason),
		cmocka_unit_test(a_tree_with_a_cut_message_is_refused),
	};

	return cmocka_run_group_tests(tests, make_trees, remove_trees);
}
