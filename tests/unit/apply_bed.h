/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_APPLY_BED_H
#define WEIR_TESTS_APPLY_BED_H

#include "host/change/apply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "base/err.h"
#include "host/change/journal.h"
#include "host/change/owner.h"
#include "host/host.h"
#include "host_bed.h"

/* Transactions on a host in a folder, whose kernel is a thread. Who uses what is up to the test. */

static const char *used_slot; // by a VM

struct users {
	int nothing;
};

struct users *users_read(const struct host *h) {
	return calloc(1, sizeof(struct users));
}

void users_free(struct users *u) {
	free(u);
}

void users_of(const struct users *u, const struct pci_function *f, struct use *out) {
	*out = (struct use){.kind = USE_FREE};
	if (used_slot != NULL && strcmp(used_slot, f->slot) == 0)
		*out = (struct use){.kind = USE_VM, .pid = 4711, .name = "vm9", .text = "VM vm9"};
}

static struct root root;
static char state_dir[128];
static struct apply with;

static inline int up(void **state) {
	struct err e;

	bed_up(state);
	used_slot = NULL;
	assert_int_equal(root_open(&root, bed.dir, &e), 0);
	snprintf(state_dir, sizeof(state_dir), "%s/state/host", bed.dir);
	bed_folder("state");
	with = (struct apply){
		.root = &root, .state = state_dir, .command = "vf test", .limit_ms = 20000};
	return 0;
}

static inline void add(struct changes *l, enum attr a, const char *slot, int vf, const char *from,
	const char *to) {
	struct err e;

	assert_int_equal(changes_put(l, a, slot, vf, from, to, &e), 0);
}

/* One of each kind that needs no netlink: a disk for a VM, three VFs, one of them with an owner. */
static inline void fill(struct changes *l) {
	*l = (struct changes){0};
	add(l, ATTR_OVERRIDE, BED_DISK, -1, "none", "vfio-pci");
	add(l, ATTR_DRIVER, BED_DISK, -1, "nvme", "vfio-pci");
	add(l, ATTR_AUTOPROBE, BED_PF, -1, "on", "off");
	add(l, ATTR_VFS, BED_PF, -1, "0", "3");
	add(l, ATTR_OWNER, BED_PF, 1, "", "vm7");
	add(l, ATTR_DRIVER, BED_PF, 1, "", "igbvf");
}

/* All that the list changes, as text. */
static inline char *seen(char *text, size_t size) {
	char a[64], b[64], c[64], d[64], slot[16];
	struct host h;
	struct err e;
	const struct pci_function *vf;
	char owner[ATTR_TEXT_MAX] = "none";

	assert_int_equal(host_read(&h, &root, &e), 0);
	h.state = state_dir;
	vf = pci_at(&h.pci, bed_vf(1, slot));
	if (vf != NULL)
		assert_int_equal(owner_get(&h, vf, owner, &e), 0);
	host_free(&h);
	bed_text(b, sizeof(b), DEVICES BED_DISK "/driver_override");
	snprintf(text, size, "disk %s %s, autoprobe %s, vfs %s, vf 1 %s %s",
		bed_driver(BED_DISK, a, sizeof(a)), strcmp(b, "(null)") == 0 ? "" : b,
		bed_text(c, sizeof(c), DEVICES BED_PF "/sriov_drivers_autoprobe"),
		bed_text(d, sizeof(d), DEVICES BED_PF "/sriov_numvfs"),
		bed_driver(bed_vf(1, slot), slot, sizeof(slot)), owner);
	return text;
}

#define BEFORE "disk nvme , autoprobe 1, vfs 0, vf 1  none"
#define BEHIND "disk vfio-pci vfio-pci, autoprobe 0, vfs 3, vf 1 igbvf vm7"

static inline void is(const char *expected) {
	char now[256];

	assert_string_equal(seen(now, sizeof(now)), expected);
}

static inline void good(int rc, const struct err *e) {
	if (rc != 0)
		fail_msg("%d: %s", rc, e->text);
}

static inline void says(const struct err *e, const char *part) {
	if (strstr(e->text, part) == NULL)
		fail_msg("no '%s' in: %s", part, e->text);
}

static inline bool pending(void) {
	char command[64];
	unsigned id = 0;
	struct err e;
	int rc = apply_pending(&with, &id, command, sizeof(command), &e);

	if (rc < 0)
		fail_msg("%s", e.text);
	if (rc == 1)
		assert_string_equal(command, "vf test");
	return rc == 1;
}

#endif
