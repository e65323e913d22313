/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "host/change/attr.h"
#include "host/change/drivers.h"
#include "host/host.h"

/* Lists of changes for the number of VFs and the eswitch. */

/* What a VF loses with its life; what stays unknown cannot be put back and is left out. The owner goes
 * first and so comes back last, to a VF that has all that was its own. */
static int add_losses(
	struct changes *l, const struct host *h, const struct pci_function *pf, struct err *e) {
	static const enum attr lost[] = {ATTR_OWNER, ATTR_OVERRIDE, ATTR_DRIVER, ATTR_MAC,
		ATTR_VLAN, ATTR_RATE, ATTR_SPOOFCHK, ATTR_TRUST, ATTR_STATE, ATTR_RSS_QUERY};

	for (unsigned vf = 0; vf < pf->vfs; vf++) {
		for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
			struct change c = {.attr = lost[i], .vf = (int)vf, .implied = true};

			if (attr_get(h, lost[i], pf->slot, (int)vf, c.from, NULL) < 0 ||
				(lost[i] == ATTR_OWNER && strcmp(c.from, "none") == 0))
				continue;
			snprintf(c.slot, sizeof(c.slot), "%s", pf->slot);
			snprintf(c.to, sizeof(c.to), "gone");
			if (changes_add(l, &c, e) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

static int check_number(const struct pci_function *pf, unsigned n, struct err *e) {
	const struct driver *d = driver_find(pf->driver);

	if (pf->vfs_total == 0)
		return err_set(e, EOPNOTSUPP,
			"%s cannot have VFs: it has no SR-IOV capability; if the card should have "
			"it, "
			"enable SR-IOV in the BIOS and in the card's own setup",
			pf->slot);
	if (n > pf->vfs_total)
		return err_set(e, ERANGE, "%u VFs are too many: %s can have 0 to %u", n, pf->slot,
			pf->vfs_total);
	if (d != NULL && d->vfs_max != 0 && n > d->vfs_max)
		return err_set(e, ERANGE,
			"%u VFs are too many: %s can have 0 to %u (the device says %u, its driver "
			"%s "
			"%u)",
			n, pf->slot, d->vfs_max, pf->vfs_total, pf->driver, d->vfs_max);
	return 0;
}

static int add_vfs(struct changes *l, const char *slot, unsigned from, unsigned to, struct err *e) {
	char a[16], b[16];

	snprintf(a, sizeof(a), "%u", from);
	snprintf(b, sizeof(b), "%u", to);
	return changes_put(l, ATTR_VFS, slot, -1, a, b, e);
}

static int add_none(
	struct changes *l, const struct host *h, const struct pci_function *pf, struct err *e) {
	int rc = add_losses(l, h, pf, e);

	return rc == 0 ? add_vfs(l, pf->slot, pf->vfs, 0, e) : rc;
}

int changes_vfs(struct changes *l, const struct host *h, const struct pci_function *pf, unsigned n,
	struct err *e) {
	int rc = check_number(pf, n, e);

	if (rc < 0 || n == pf->vfs)
		return rc;
	rc = add_none(l, h, pf, e);
	return rc == 0 ? add_vfs(l, pf->slot, 0, n, e) : rc;
}

/* mlx5 and its like: VFs that get no driver of themselves, the mode, then their drivers. */
static int eswitch_unbound(struct changes *l, const struct pci_function *pf, unsigned n,
	const char *was, const char *mode, struct err *e) {
	const struct driver *d = driver_find(pf->driver);
	int rc = 0;

	if (pf->autoprobe)
		rc = changes_put(l, ATTR_AUTOPROBE, pf->slot, -1, "on", "off", e);
	if (rc == 0)
		rc = add_vfs(l, pf->slot, 0, n, e);
	if (rc == 0)
		rc = changes_put(l, ATTR_ESWITCH, pf->slot, -1, was, mode, e);
	if (rc < 0 || !pf->autoprobe)
		return rc;
	rc = changes_put(l, ATTR_AUTOPROBE, pf->slot, -1, "off", "on", e);
	for (unsigned vf = 0; rc == 0 && vf < n; vf++)
		rc = changes_put(l, ATTR_DRIVER, pf->slot, (int)vf, "none", d->vf_driver, e);
	return rc;
}

int changes_eswitch(struct changes *l, const struct host *h, const struct pci_function *pf,
	unsigned n, const char *mode, struct err *e) {
	const struct driver *d = driver_find(pf->driver);
	enum eswitch_order order = d != NULL ? d->order : ORDER_BEFORE_VFS;
	char was[ATTR_TEXT_MAX];
	int rc = attr_get(h, ATTR_ESWITCH, pf->slot, -1, was, e);

	if (rc < 0)
		return rc;
	if (strcmp(was, mode) == 0)
		return changes_vfs(l, h, pf, n, e);
	rc = check_number(pf, n, e);
	if (rc == 0 && order == ORDER_AFTER_VFS && n == 0)
		return err_set(e, EINVAL,
			"%s: driver %s changes its eswitch only while there are VFs; ask for 1 or "
			"more",
			pf->slot, pf->driver);
	if (rc == 0)
		rc = add_none(l, h, pf, e);
	if (rc < 0)
		return rc;
	if (order == ORDER_UNBOUND && n > 0)
		return eswitch_unbound(l, pf, n, was, mode, e);
	if (order == ORDER_AFTER_VFS)
		rc = add_vfs(l, pf->slot, 0, n, e);
	if (rc == 0)
		rc = changes_put(l, ATTR_ESWITCH, pf->slot, -1, was, mode, e);
	if (rc == 0 && order != ORDER_AFTER_VFS)
		rc = add_vfs(l, pf->slot, 0, n, e);
	return rc;
}
