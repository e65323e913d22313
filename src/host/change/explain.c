/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "host/change/attr.h"
#include "host/change/drivers.h"
#include "host/host.h"

/* Why the kernel refused. Most refusals mean one thing for one attribute, whatever the driver: a table. What
 * needs figures of the host has a function. In a table's text %s is the driver. */

struct reason {
	enum attr attr; // ATTR_COUNT: any
	int code;
	const char *text;
};

static const struct reason reasons[] = {
	{ATTR_VFS, EBUSY,
		"the number of VFs can only change by way of 0, and somebody else just made some; "
		"look "
		"with 'weir vf list' and try again"},
	{ATTR_VFS, ENOMEM,
		"the BIOS left no room for the registers (MMIO) of so many VFs; start the kernel "
		"with "
		"pci=realloc, or enable 'above 4G decoding' and SR-IOV in the BIOS, or take fewer"},
	{ATTR_VFS, ENOSPC,
		"the BIOS left too few bus numbers or too little room for registers (MMIO) for so "
		"many "
		"VFs; start the kernel with pci=realloc or pci=assign-busses, or take fewer"},
	{ATTR_VFS, ENOENT,
		"driver %s has no SR-IOV; bind the PF to the kernel driver of its card first"},
	{ATTR_VFS, EOPNOTSUPP,
		"driver %s makes no VFs; some want it as a parameter of their module (max_vfs), or "
		"in the "
		"card's firmware"},
	{ATTR_VFS, ENOSYS, "driver %s makes no VFs; bind the PF to a driver that does"},
	{ATTR_VFS, EPERM,
		"driver %s does not let VFs go or come now; are some given to VMs, or is the "
		"eswitch in "
		"use?"},
	{ATTR_MAC, EINVAL,
		"driver %s takes no such MAC; it must be no group address, and no other VF or the "
		"PF may "
		"have it"},
	{ATTR_MAC, EADDRNOTAVAIL,
		"driver %s takes no such MAC; it must be no group address, and no other VF or the "
		"PF may "
		"have it"},
	{ATTR_MAC, EAGAIN,
		"the VF is in the middle of a reset; try again, and load its driver if it stays "
		"so"},
	{ATTR_VLAN, EPROTONOSUPPORT,
		"driver %s can only tag VFs with 802.1Q; leave proto away, and let the switch add "
		"the "
		"outer tag"},
	{ATTR_VLAN, EINVAL,
		"driver %s takes no such VLAN; it is 0 to 4094 with a priority (qos) of 0 to 7"},
	{ATTR_VLAN, EBUSY,
		"the VF's own driver has VLANs of its own; take those away, or reload it, first"},
	{ATTR_SPOOFCHK, EINVAL, "driver %s knows no such VF"},
	{ATTR_TRUST, EINVAL, "driver %s knows no such VF"},
	{ATTR_STATE, EINVAL, "driver %s knows no such link state; leave it at auto"},
	{ATTR_ESWITCH, EBUSY,
		"driver %s changes the eswitch only while no VF is in use; free them first"},
	{ATTR_ESWITCH, EPERM, "driver %s wants VFs to be there before the eswitch changes"},
	{ATTR_ESWITCH, EINVAL, "driver %s knows no such eswitch mode, or not with this firmware"},
	{ATTR_ESWITCH, EOPNOTSUPP,
		"driver %s does not change the eswitch now; some do only while there are no VFs, "
		"others "
		"have none to change"},
	{ATTR_DRIVER, EBUSY, "somebody has the function open; end that first"},
	{ATTR_DRIVER, ENODEV,
		"the driver does not know such a device, or it does not answer; 'dmesg' says more"},
	{ATTR_MTU, EINVAL, "driver %s takes no such MTU; 'ip -d link' shows its bounds"},
	{ATTR_UP, EBUSY, "driver %s cannot start or stop now"},
	{ATTR_COUNT, EOPNOTSUPP, "driver %s cannot do it"},
	{ATTR_COUNT, EBUSY, "it is in use"},
	{ATTR_COUNT, ENOENT,
		"the kernel has no such setting here; it is too old, or was built without"},
	{ATTR_COUNT, EIO, "driver %s or the card's firmware failed; 'dmesg' says more"},
};

static int say(const char *head, const char *driver, int code, const char *text, struct err *e) {
	char filled[ERR_TEXT_MAX];
	const char *at = strstr(text, "%s");

	// One driver name at most, and never as a format.
	if (at != NULL)
		snprintf(
			filled, sizeof(filled), "%.*s%s%s", (int)(at - text), text, driver, at + 2);
	else
		snprintf(filled, sizeof(filled), "%s", text);
	return err_set(e, code, "%s: %.400s", head, filled);
}

static int explain_range(
	const char *head, const struct pci_function *f, const struct driver *d, struct err *e) {
	if (d != NULL && d->vfs_max != 0 && d->vfs_max < f->vfs_total)
		return err_set(e, ERANGE,
			"%s: %s can have 0 to %u VFs (the device says %u, driver %s %u)", head,
			f->slot, d->vfs_max, f->vfs_total, f->driver, d->vfs_max);
	return err_set(e, ERANGE, "%s: %s can have 0 to %u VFs; its driver may allow fewer", head,
		f->slot, f->vfs_total);
}

static int explain_rate(const char *head, const struct pci_function *f, const struct driver *d,
	const char *value, struct err *e) {
	struct attr_rate r = {0};

	if (rate_parse(value, &r, NULL) == 0 && r.min != 0 && (d == NULL || !d->min_rate))
		return err_set(e, EINVAL, "%s: driver %s guarantees no min rate; leave it at 0",
			head, f->driver);
	return err_set(e, EINVAL, "%s: driver %s takes no such rate: %s", head, f->driver,
		d != NULL && d->rate_limits != NULL
			? d->rate_limits
			: "is the link up, and the rate at most its speed?");
}

static int explain_permission(
	const char *head, const struct host *h, enum attr a, int code, struct err *e) {
	char lockdown[64] = "";

	if (geteuid() != 0)
		return err_set(e, code, "%s: only root may do that; use sudo", head);
	root_line(&h->root, lockdown, sizeof(lockdown), "/sys/kernel/security/lockdown");
	if (strstr(lockdown, "[integrity]") != NULL ||
		strstr(lockdown, "[confidentiality]") != NULL)
		return err_set(e, code,
			"%s: refused, the kernel is in lockdown (secure boot); weir needs a kernel "
			"that "
			"is not, or the driver allowed there",
			head);
	if (a == ATTR_TRUST)
		return err_set(e, code, "%s: the driver allows no trust for this VF", head);
	return err_set(e, code,
		"%s: refused although weir runs as root; in a container it needs CAP_NET_ADMIN and "
		"a "
		"writable /sys",
		head);
}

static int explain_timeout(const char *head, enum attr a, const char *driver, struct err *e) {
	return err_set(e, ETIMEDOUT,
		a == ATTR_DRIVER ? "%s: driver %s has not let go, the write still hangs in the "
				   "kernel; does a VM or "
				   "process still have it open?"
				 : "%s: driver %s has not answered in time and may still be at it; "
				   "look into 'dmesg' "
				   "before anything else",
		head, driver);
}

int explain(const struct host *h, enum attr a, const struct pci_function *f, int vf,
	const char *value, int code, struct err *e) {
	const struct driver *d = driver_find(f->driver);
	const char *driver = f->driver[0] != '\0' ? f->driver : "none";
	char what[ATTR_WHAT_MAX], head[ATTR_WHAT_MAX + ATTR_TEXT_MAX + 32];

	attr_what(f->slot, vf, what);
	snprintf(head, sizeof(head), "%s: cannot set %s to %.*s", what, attr_name(a), ATTR_TEXT_MAX,
		value);
	if (!root_has(&h->root, "/sys/bus/pci/devices/%s", f->slot))
		return err_set(
			e, ENODEV, "%s: the device is gone; was it pulled out or reset?", head);
	if (code == EPERM || code == EACCES)
		if (a != ATTR_VFS || geteuid() != 0)
			if (a != ATTR_ESWITCH || geteuid() != 0)
				return explain_permission(head, h, a, code, e);
	if (code == ETIMEDOUT)
		return explain_timeout(head, a, driver, e);
	if (code == ERANGE && a == ATTR_VFS)
		return explain_range(head, f, d, e);
	if ((code == EINVAL || code == ERANGE) && a == ATTR_RATE)
		return explain_rate(head, f, d, value, e);
	if (code == EINVAL && a == ATTR_DRIVER && pci_driver_is_vfio(value) && f->group < 0)
		return err_set(e, code,
			"%s: there is no IOMMU; enable VT-d or AMD-Vi in the BIOS and start the "
			"kernel "
			"with intel_iommu=on or amd_iommu=on",
			head);
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if ((reasons[i].attr == a || reasons[i].attr == ATTR_COUNT) &&
			reasons[i].code == code)
			return say(head, driver, code, reasons[i].text, e);
	return err_set(e, code, "%s: driver %s says: %s; 'dmesg' may say more", head, driver,
		strerror(code));
}
