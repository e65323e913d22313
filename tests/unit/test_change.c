/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/change/change.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "base/err.h"
#include "host/change/attr.h"
#include "host/host.h"
#include "host_bed.h"

static void what_a_user_writes_has_one_canonical_text(void **state) {
	static const struct {
		enum attr a;
		const char *value, *text;
	} cases[] = {
		{ATTR_MAC, "52-54-00-AB-00-01", "52:54:00:ab:00:01"},
		{ATTR_MAC, "none", "00:00:00:00:00:00"},
		{ATTR_VLAN, "100", "100"},
		{ATTR_VLAN, "none", "0"},
		{ATTR_VLAN, "qos 3 100", "100 qos 3"},
		{ATTR_VLAN, "100, proto 802.1AD, qos 7", "100 qos 7 proto 802.1ad"},
		{ATTR_VLAN, "100 proto 802.1q", "100"},
		{ATTR_VLAN, "0 proto 802.1ad", "0"},
		{ATTR_RATE, "1Gbit", "min 0 max 1000"},
		{ATTR_RATE, "max 2.5Gbit min 100Mbit", "min 100 max 2500"},
		{ATTR_RATE, "min 100", "min 100 max 0"},
		{ATTR_RATE, "none", "min 0 max 0"},
		{ATTR_SPOOFCHK, "yes", "on"},
		{ATTR_TRUST, "FALSE", "off"},
		{ATTR_STATE, "up", "enable"},
		{ATTR_ESWITCH, "switchdev", "switchdev"},
		{ATTR_VFS, "007", "7"},
		{ATTR_MTU, "9000", "9000"},
		{ATTR_OWNER, "vm7.blue@host:1", "vm7.blue@host:1"},
		{ATTR_DRIVER, "vfio-pci", "vfio-pci"},
	};
	char text[ATTR_TEXT_MAX], again[ATTR_TEXT_MAX];
	struct err e;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (attr_parse(cases[i].a, cases[i].value, text, &e) < 0)
			fail_msg("%s: %s", cases[i].value, e.text);
		assert_string_equal(text, cases[i].text);
		assert_int_equal(attr_parse(cases[i].a, text, again, &e), 0);
		assert_string_equal(again, text);
	}
}

static void what_cannot_be_is_refused_with_its_range(void **state) {
	static const struct {
		enum attr a;
		const char *value, *says;
	} cases[] = {
		{ATTR_MAC, "01:00:5e:00:00:01", "group address"},
		{ATTR_MAC, "52:54:00:00:00", "52:54:00:00:00:01"},
		{ATTR_VLAN, "4095", "1 to 4094"},
		{ATTR_VLAN, "100 qos 8", "0 to 7"},
		{ATTR_VLAN, "100 qos", "no value"},
		{ATTR_VLAN, "100 proto 0x88a8", "802.1ad"},
		{ATTR_RATE, "min 2Gbit max 1Gbit", "above the max"},
		{ATTR_RATE, "1.5kbit", "whole Mbit"},
		{ATTR_RATE, "fast", "1Gbit"},
		{ATTR_TRUST, "maybe", "on, off"},
		{ATTR_STATE, "on", "auto, enable, disable"},
		{ATTR_VFS, "-1", "0 to 65535"},
		{ATTR_VFS, "", "wants a value"},
		{ATTR_MTU, "67", "68 to 65535"},
		{ATTR_OWNER, "vm 7", "letters"},
		{ATTR_OWNER, "../../etc", "begins with"},
		{ATTR_DRIVER, "vfio/pci", "a driver"},
	};
	char text[ATTR_TEXT_MAX];
	struct err e;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (attr_parse(cases[i].a, cases[i].value, text, &e) == 0)
			fail_msg("'%s' was taken as '%s'", cases[i].value, text);
		if (strstr(e.text, cases[i].says) == NULL)
			fail_msg("'%s': %s", cases[i].value, e.text);
	}
}

/* Whether both are the same change. */
static void assert_change(const struct change *a, const struct change *b) {
	assert_int_equal(a->attr, b->attr);
	assert_string_equal(a->slot, b->slot);
	assert_int_equal(a->vf, b->vf);
	assert_int_equal(a->implied, b->implied);
	assert_string_equal(a->from, b->from);
	assert_string_equal(a->to, b->to);
}

static void the_way_back_is_the_list_from_its_end(void **state) {
	const struct change there[] = {
		{ATTR_VFS, BED_PF, -1, false, "0", "7"},
		{ATTR_VLAN, BED_PF, 3, false, "", "100 qos 3"},
		{ATTR_MAC, BED_PF, 2, true, "52:54:00:00:00:01", "gone"},
	};
	struct changes l = {0}, back;
	struct change read;
	struct err e;

	for (int i = 0; i < 3; i++) {
		json_t *v = change_json(&there[i]);

		assert_int_equal(change_parse(&read, v, &e), 0);
		assert_int_equal(changes_add(&l, &read, &e), 0);
		assert_change(&read, &there[i]);
		json_decref(v);
	}
	assert_int_equal(changes_reverse(&l, &back, &e), 0);
	assert_int_equal(back.n, 3);
	assert_int_equal(back.c[0].attr, ATTR_MAC);
	assert_true(back.c[0].implied);
	assert_string_equal(back.c[2].from, "7");
	assert_string_equal(back.c[2].to, "0");
	changes_free(&l);
	changes_free(&back);
}

static void a_cut_change_of_a_journal_is_no_change(void **state) {
	static const char *const bad[] = {
		"{\"attribute\":\"mac\",\"function\":\"0000:01:00.0\"}",
		"{\"attribute\":\"colour\",\"function\":\"0000:01:00.0\",\"to\":\"1\"}",
		"{\"attribute\":\"mac\",\"function\":\"0000:01:00.0\",\"vf\":\"3\",\"to\":\"1\"}",
		"{\"attribute\":\"mac\",\"function\":\"0000:01:00.0\",\"vf\":-3,\"to\":\"1\"}",
		"{\"attribute\":\"mac\",\"function\":\"0000000000000000:01:00.0\",\"to\":\"1\"}",
		"[]",
	};
	struct change c;
	struct err e;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *v = json_loads(bad[i], 0, NULL);

		assert_non_null(v);
		assert_int_equal(change_parse(&c, v, &e), -EBADMSG);
		json_decref(v);
	}
}

static const struct pci_function *bed_read(struct host *h) {
	struct root r;
	struct err e;

	assert_int_equal(root_open(&r, bed.dir, &e), 0);
	if (host_read(h, &r, &e) < 0)
		fail_msg("%s", e.text);
	return pci_at(&h->pci, BED_PF);
}

static void more_vfs_come_by_way_of_none(void **state) {
	struct changes l = {0};
	struct host h;
	struct err e;
	const struct change two = {
		.attr = ATTR_VFS, .slot = BED_PF, .vf = -1, .from = "0", .to = "2"};
	const struct pci_function *pf = bed_read(&h);

	assert_int_equal(changes_vfs(&l, &h, pf, 0, &e), 0);
	assert_int_equal(l.n, 0);
	assert_int_equal(changes_vfs(&l, &h, pf, 2, &e), 0);
	assert_int_equal(l.n, 1);
	assert_change(&l.c[0], &two);
	if (attr_set(&h, &l.c[0], &e) < 0)
		fail_msg("%s", e.text);
	changes_free(&l);
	host_free(&h);

	pf = bed_read(&h);
	assert_int_equal(pf->vfs, 2);
	assert_int_equal(changes_vfs(&l, &h, pf, 4, &e), 0);
	assert_string_equal(l.c[l.n - 2].from, "2");
	assert_string_equal(l.c[l.n - 2].to, "0");
	assert_string_equal(l.c[l.n - 1].to, "4");
	// Before them what goes with the two: at least their drivers.
	assert_true(l.n >= 4);
	for (unsigned i = 0; i < l.n - 2; i++)
		assert_true(l.c[i].implied);
	assert_int_equal(l.c[1].attr, ATTR_DRIVER);
	assert_string_equal(l.c[1].from, "igbvf");
	changes_free(&l);
	host_free(&h);
}

static void more_vfs_than_the_driver_can_have_are_refused(void **state) {
	struct changes l = {0};
	struct host h;
	struct err e;
	const struct pci_function *pf = bed_read(&h);

	assert_int_equal(changes_vfs(&l, &h, pf, 8, &e), -ERANGE);
	assert_non_null(strstr(e.text, "0 to 7"));
	assert_non_null(strstr(e.text, "the device says 8"));
	assert_int_equal(changes_vfs(&l, &h, pci_at(&h.pci, BED_DISK), 1, &e), -EOPNOTSUPP);
	assert_int_equal(changes_vfs(&l, &h, pf, 9, &e), -ERANGE);
	assert_int_equal(l.n, 0);
	host_free(&h);
}

static void a_vf_without_interface_is_named(void **state) {
	struct change c = {.attr = ATTR_VFS, .slot = BED_PF, .vf = -1, .from = "0", .to = "3"};
	struct host h;
	struct err e;
	char path[256];

	bed.mute_vf = 1;
	bed_file("3\n", DEVICES BED_PF "/sriov_numvfs");
	snprintf(path, sizeof(path), "%s/" DEVICES BED_PF "/virtfn2", bed.dir);
	for (int i = 0; i < 1000 && access(path, F_OK) < 0; i++)
		usleep(10000);
	bed_read(&h);
	h.limit_ms = 100;
	assert_int_equal(attr_set(&h, &c, &e), -ETIMEDOUT);
	assert_non_null(strstr(e.text, "1 of the 3 VFs"));
	assert_non_null(strstr(e.text, "1 (0000:01:10.2) has no interface"));
	host_free(&h);
}

static void set(enum attr a, const char *slot, const char *to) {
	struct change c = {.attr = a, .vf = -1};
	struct host h;
	struct err e;

	bed_read(&h);
	h.limit_ms = 20000;
	snprintf(c.slot, sizeof(c.slot), "%s", slot);
	snprintf(c.to, sizeof(c.to), "%s", to);
	if (attr_set(&h, &c, &e) < 0)
		fail_msg("%s", e.text);
	host_free(&h);
}

static void a_driver_is_bound_and_driver_override_stays(void **state) {
	char text[64];

	set(ATTR_DRIVER, BED_DISK, "vfio-pci");
	assert_string_equal(bed_driver(BED_DISK, text, sizeof(text)), "vfio-pci");
	assert_string_equal(bed_text(text, sizeof(text), DEVICES BED_DISK "/driver_override"), "");
	set(ATTR_OVERRIDE, BED_DISK, "vfio-pci");
	set(ATTR_DRIVER, BED_DISK, "nvme");
	assert_string_equal(bed_driver(BED_DISK, text, sizeof(text)), "nvme");
	assert_string_equal(
		bed_text(text, sizeof(text), DEVICES BED_DISK "/driver_override"), "vfio-pci");
	set(ATTR_DRIVER, BED_DISK, "none");
	assert_string_equal(bed_driver(BED_DISK, text, sizeof(text)), "");
}

static void a_driver_that_refuses_leaves_the_function_to_the_one_before(void **state) {
	struct change c = {.attr = ATTR_DRIVER, .slot = BED_DISK, .vf = -1, .to = "vfio-pci"};
	struct host h;
	struct err e;
	char text[64];

	bed_read(&h);
	h.limit_ms = 1500; // for the one that refuses, and enough for the other
	bed.refuses = "vfio-pci";
	assert_int_equal(attr_set(&h, &c, &e), -ETIMEDOUT);
	assert_non_null(strstr(e.text, "did not: no driver has it"));
	assert_string_equal(bed_driver(BED_DISK, text, sizeof(text)), "nvme");
	assert_string_equal(bed_text(text, sizeof(text), DEVICES BED_DISK "/driver_override"), "");
	snprintf(c.to, sizeof(c.to), "uio_pci_generic");
	assert_int_equal(attr_set(&h, &c, &e), -ENOENT);
	assert_non_null(strstr(e.text, "modprobe uio_pci_generic"));
	host_free(&h);
}

static void a_refusal_of_the_kernel_is_explained(void **state) {
	static const struct {
		enum attr a;
		int vf, code;
		const char *value, *says;
	} cases[] = {
		{ATTR_VFS, -1, ERANGE, "8", "0 to 7 VFs (the device says 8"},
		{ATTR_VFS, -1, EBUSY, "4", "by way of 0"},
		{ATTR_VFS, -1, ENOMEM, "7", "pci=realloc"},
		{ATTR_VFS, -1, ENOSPC, "7", "pci=realloc"},
		{ATTR_RATE, 0, EINVAL, "min 10 max 100", "no min rate"},
		{ATTR_RATE, 0, EINVAL, "min 0 max 20000", "at most its speed"},
		{ATTR_VLAN, 0, EPROTONOSUPPORT, "100 proto 802.1ad", "802.1Q"},
		{ATTR_MAC, 0, EINVAL, "52:54:00:00:00:01", "group address"},
		{ATTR_STATE, 0, EOPNOTSUPP, "enable", "driver igb cannot"},
		{ATTR_DRIVER, -1, ETIMEDOUT, "none", "still hangs"},
		{ATTR_MTU, -1, EXDEV, "1500", "Invalid cross-device link"},
	};
	struct host h;
	struct err e;
	const struct pci_function *pf = bed_read(&h);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
			explain(&h, cases[i].a, pf, cases[i].vf, cases[i].value, cases[i].code, &e),
			-cases[i].code);
		if (strstr(e.text, cases[i].says) == NULL ||
			strncmp(e.text, BED_PF, strlen(BED_PF)) != 0)
			fail_msg("%s", e.text);
	}
	bed_remove(DEVICES BED_PF);
	assert_int_equal(explain(&h, ATTR_VFS, pf, -1, "3", EIO, &e), -ENODEV);
	assert_non_null(strstr(e.text, "pulled out"));
	host_free(&h);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_user_writes_has_one_canonical_text),
		cmocka_unit_test(what_cannot_be_is_refused_with_its_range),
		cmocka_unit_test(the_way_back_is_the_list_from_its_end),
		cmocka_unit_test(a_cut_change_of_a_journal_is_no_change),
		cmocka_unit_test_setup_teardown(more_vfs_come_by_way_of_none, bed_up, bed_down),
		cmocka_unit_test_setup_teardown(
			more_vfs_than_the_driver_can_have_are_refused, bed_up, bed_down),
		cmocka_unit_test_setup_teardown(a_vf_without_interface_is_named, bed_up, bed_down),
		cmocka_unit_test_setup_teardown(
			a_driver_is_bound_and_driver_override_stays, bed_up, bed_down),
		cmocka_unit_test_setup_teardown(
			a_driver_that_refuses_leaves_the_function_to_the_one_before, bed_up,
			bed_down),
		cmocka_unit_test_setup_teardown(
			a_refusal_of_the_kernel_is_explained, bed_up, bed_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
