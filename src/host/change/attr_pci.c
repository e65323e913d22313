/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "host/change/attr.h"
#include "host/change/drivers.h"
#include "host/host.h"

/* Attributes that sysfs has: drivers and the number of VFs.
 *
 * A driver is bound by driver_override: written, the driver that has the function unbound, the new one
 * told to bind it (which, other than drivers_probe, says why it would not), and driver_override put back to
 * what it was, because who is bound stays bound. When the new driver refuses, the old one gets the function
 * back. */

enum {
	WRITE_MS = 20000, // unbinding waits for a VFIO user to let go; a probe may load firmware
	BIND_MS = 5000, // between the write and the link in sysfs
	VFS_MS = 30000, // some drivers reset the card when VFs come or go
	VF_MS = 2000, // more for each VF, whose driver is probed within the write
	APPEAR_MS = 10000, // iavf makes its interface some time after its probe
	MODPROBE_MS = 20000,
	POLL_US = 2000,
};

static unsigned long now_ms(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long)t.tv_sec * 1000 + (unsigned long)t.tv_nsec / 1000000;
}

static unsigned limit(const struct host *h, unsigned ms) {
	return h->limit_ms != 0 && h->limit_ms < ms ? h->limit_ms : ms;
}

static char *bound(const struct root *r, const char *slot, char driver[PCI_DRIVER_MAX]) {
	return root_link(r, driver, PCI_DRIVER_MAX, "/sys/bus/pci/devices/%s/driver", slot);
}

/* Waits until `driver` ("": none) has it; what has it in the end is in `has`. */
static bool wait_bound(
	const struct host *h, const char *slot, const char *driver, char has[PCI_DRIVER_MAX]) {
	unsigned long end = now_ms() + limit(h, BIND_MS);

	while (strcmp(bound(&h->root, slot, has), driver) != 0) {
		if (now_ms() > end)
			return false;
		usleep(POLL_US);
	}
	return true;
}

/* "none" or "" clears it, which sysfs wants as an empty line. */
static int override_write(const struct host *h, const char *slot, const char *driver) {
	bool none = driver[0] == '\0' || strcmp(driver, "none") == 0;

	return root_write(&h->root, none ? "\n" : driver, limit(h, WRITE_MS),
		"/sys/bus/pci/devices/%s/driver_override", slot);
}

int override_set(
	const struct host *h, const struct pci_function *f, const char *driver, struct err *e) {
	int rc = override_write(h, f->slot, driver);

	return rc < 0 ? explain(h, ATTR_OVERRIDE, f, -1, driver, -rc, e) : 0;
}

int autoprobe_set(const struct host *h, const struct pci_function *f, bool on, struct err *e) {
	int rc = root_write(&h->root, on ? "1" : "0", limit(h, WRITE_MS),
		"/sys/bus/pci/devices/%s/sriov_drivers_autoprobe", f->slot);

	return rc < 0 ? explain(h, ATTR_AUTOPROBE, f, -1, on_off(on), -rc, e) : 0;
}

/* Exit status of modprobe, -1 when it did not run or end. */
static int modprobe(const char *driver) {
	char *argv[] = {(char[]){"modprobe"}, (char[]){"--"}, strdup(driver), NULL};
	unsigned long end = now_ms() + MODPROBE_MS;
	int status = 0, ended = 0;
	pid_t child;

	if (argv[2] == NULL || posix_spawnp(&child, "modprobe", NULL, NULL, argv, environ) != 0) {
		free(argv[2]);
		return -1;
	}
	while ((ended = waitpid(child, &status, WNOHANG)) == 0 && now_ms() < end)
		usleep(POLL_US);
	free(argv[2]);
	return ended == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int driver_load(const struct host *h, const char *driver, struct err *e) {
	if (root_has(&h->root, "/sys/bus/pci/drivers/%s", driver))
		return 0;
	if (!h->root.recorded && geteuid() == 0 && modprobe(driver) == 0 &&
		root_has(&h->root, "/sys/bus/pci/drivers/%s", driver)) {
		log_info("loaded driver %s with modprobe", driver);
		return 0;
	}
	return err_set(e, ENOENT,
		"driver %s is not loaded%s; load it with 'modprobe %s', and put it into "
		"/etc/modules-load.d to have it after a restart",
		driver,
		geteuid() == 0 && !h->root.recorded ? " and modprobe could not load it" : "",
		driver);
}

static int unbind_from(
	const struct host *h, const struct pci_function *f, const char *driver, struct err *e) {
	char has[PCI_DRIVER_MAX];
	int rc = root_write(
		&h->root, f->slot, limit(h, WRITE_MS), "/sys/bus/pci/drivers/%s/unbind", driver);

	if (rc < 0)
		return explain(h, ATTR_DRIVER, f, -1, "none", -rc, e);
	if (!wait_bound(h, f->slot, "", has))
		return err_set(e, EBUSY, "%s is still bound to %s after it was unbound from %s",
			f->slot, has, driver);
	return 0;
}

static int bind_to(
	const struct host *h, const struct pci_function *f, const char *driver, struct err *e) {
	char has[PCI_DRIVER_MAX];
	int rc = override_write(h, f->slot, driver);

	if (rc < 0)
		return explain(h, ATTR_OVERRIDE, f, -1, driver, -rc, e);
	rc = root_write(
		&h->root, f->slot, limit(h, WRITE_MS), "/sys/bus/pci/drivers/%s/bind", driver);
	if (rc < 0)
		return explain(h, ATTR_DRIVER, f, -1, driver, -rc, e);
	if (!wait_bound(h, f->slot, driver, has))
		return err_set(e, ETIMEDOUT,
			"%s: the kernel took the order to bind %s, but did not: %s has it; 'dmesg' "
			"may "
			"say why",
			f->slot, driver, has[0] != '\0' ? has : "no driver");
	return 0;
}

static void wait_interface(const struct host *h, const char *slot) {
	unsigned long end = now_ms() + limit(h, BIND_MS);

	while (!root_has(&h->root, "/sys/bus/pci/devices/%s/net", slot) && now_ms() < end)
		usleep(POLL_US);
}

int driver_bind(
	const struct host *h, const struct pci_function *f, const char *driver, struct err *e) {
	char was[PCI_DRIVER_MAX], before[PCI_DRIVER_MAX] = "";
	bool none = strcmp(driver, "none") == 0;
	int rc = 0;

	bound(&h->root, f->slot, was);
	if (strcmp(was, none ? "" : driver) == 0)
		return 0;
	if (!none && driver_load(h, driver, e) < 0)
		return -ENOENT;
	root_line(&h->root, before, sizeof(before), "/sys/bus/pci/devices/%s/driver_override",
		f->slot);
	if (strcmp(before, "(null)") == 0)
		before[0] = '\0';
	if (was[0] != '\0')
		rc = unbind_from(h, f, was, e);
	if (rc == 0 && !none) {
		rc = bind_to(h, f, driver, e);
		if (rc < 0 && was[0] != '\0' && bind_to(h, f, was, NULL) < 0) {
			char why[ERR_TEXT_MAX];

			snprintf(why, sizeof(why), "%s", e != NULL ? e->text : "");
			err_set(e, -rc, "%.400s; and %s did not take it back", why, was);
		}
		override_write(h, f->slot, before);
	}
	if (rc == 0 && !none && pci_is_network(f) && !driver_gives_away(driver))
		wait_interface(h, f->slot);
	return rc;
}

/* What VF number i still lacks, NULL: nothing. */
static const char *vf_lacks(const struct root *r, const char *pf, unsigned i, const char *driver,
	char slot[PCI_SLOT_MAX]) {
	char has[PCI_DRIVER_MAX];

	root_link(r, slot, PCI_SLOT_MAX, "/sys/bus/pci/devices/%s/virtfn%u", pf, i);
	if (slot[0] == '\0' || !root_has(r, "/sys/bus/pci/devices/%s", slot))
		return "is not there";
	if (driver == NULL)
		return NULL;
	if (bound(r, slot, has)[0] == '\0')
		return "has no driver";
	return root_has(r, "/sys/bus/pci/devices/%s/net", slot) ? NULL : "has no interface";
}

/* The driver that the VFs will have of themselves, NULL: none, or none that we know. */
static const char *vf_driver(const struct host *h, const struct pci_function *pf) {
	const struct driver *d = driver_find(pf->driver);

	if (d == NULL || !pf->autoprobe ||
		!root_has(&h->root, "/sys/bus/pci/drivers/%s", d->vf_driver))
		return NULL;
	return d->vf_driver;
}

static int wait_vfs(
	const struct host *h, const struct pci_function *pf, unsigned n, struct err *e) {
	const char *driver = vf_driver(h, pf), *lacks;
	unsigned long end = now_ms() + limit(h, APPEAR_MS);
	char slot[PCI_SLOT_MAX], list[256] = "";
	unsigned missing = 0;
	size_t len = 0;

	for (unsigned i = 0; i < n; i++) {
		while ((lacks = vf_lacks(&h->root, pf->slot, i, driver, slot)) != NULL &&
			now_ms() < end)
			usleep(POLL_US);
		if (lacks == NULL)
			continue;
		if (missing++ < 4)
			len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%u%s%s%s %s",
				len > 0 ? ", " : "", i, slot[0] != '\0' ? " (" : "", slot,
				slot[0] != '\0' ? ")" : "", lacks);
	}
	if (missing == 0)
		return 0;
	return err_set(e, ETIMEDOUT,
		"%u of the %u VFs of %s did not come up in time: %s%s; 'dmesg' says what their "
		"driver%s%s met",
		missing, n, pf->slot, list, missing > 4 ? " ..." : "", driver != NULL ? " " : "",
		driver != NULL ? driver : "");
}

/* An operator may want VFs without a driver of this host; who did not, should hear of it. */
static void tell_driverless(const struct host *h, const struct pci_function *pf, unsigned n) {
	const struct driver *d = driver_find(pf->driver);

	if (d != NULL && pf->autoprobe &&
		!root_has(&h->root, "/sys/bus/pci/drivers/%s", d->vf_driver))
		log_warn("the %u VFs of %s have no driver, since %s is not loaded; 'modprobe %s' "
			 "loads it, "
			 "'weir vf bind' gives them another",
			n, pf->slot, d->vf_driver, d->vf_driver);
}

int vfs_set(const struct host *h, const struct pci_function *pf, unsigned n, struct err *e) {
	unsigned long end = now_ms() + limit(h, BIND_MS);
	char value[16];
	int rc;

	snprintf(value, sizeof(value), "%u", n);
	rc = root_write(&h->root, value, limit(h, VFS_MS + VF_MS * n),
		"/sys/bus/pci/devices/%s/sriov_numvfs", pf->slot);
	if (rc < 0)
		return explain(h, ATTR_VFS, pf, -1, value, -rc, e);
	if (n > 0) {
		tell_driverless(h, pf, n);
		return wait_vfs(h, pf, n, e);
	}
	while (root_has(&h->root, "/sys/bus/pci/devices/%s/virtfn0", pf->slot) && now_ms() < end)
		usleep(POLL_US);
	return 0;
}
