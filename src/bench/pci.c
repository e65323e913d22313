/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/pci.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"

/* A network function, and what stands in its way. */
struct function {
	bool exists, vf, vfio, grouped;
};

static bool there(const char *sys, const char *address, const char *file) {
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/%s", sys, address, file);
	return access(path, F_OK) == 0;
}

/* Class 0x02 is a network controller. */
static struct function look(const char *sys, const char *address) {
	struct function f = {0};
	char class[32] = "", path[PATH_MAX], driver[PATH_MAX];
	ssize_t n;

	file_line(class, sizeof(class), "%s/bus/pci/devices/%s/class", sys, address);
	f.exists = strncmp(class, "0x02", 4) == 0;
	f.vf = there(sys, address, "physfn");
	f.grouped = there(sys, address, "iommu_group");
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/driver", sys, address);
	n = readlink(path, driver, sizeof(driver) - 1);
	driver[n > 0 ? n : 0] = '\0';
	f.vfio = n > 0 &&
		 strcmp(strrchr(driver, '/') != NULL ? strrchr(driver, '/') : "", "/vfio-pci") == 0;
	return f;
}

static int judge_given(const char *address, const struct function *f, bool vf, struct err *e) {
	if (!f->exists)
		return err_set(e, ENODEV, "--pci %s: there is no such network function", address);
	if (f->vf != vf)
		return err_set(e, EINVAL, "--pci %s is %s function; path %s takes the other kind",
			address, f->vf ? "a virtual" : "no virtual", vf ? "vf" : "passthrough");
	if (!f->grouped)
		return err_set(e, ENODEV,
			"--pci %s is in no IOMMU group: is the IOMMU on (intel_iommu=on or "
			"amd_iommu=on on the kernel's command line)?",
			address);
	if (!f->vfio)
		return err_set(e, EBUSY,
			"--pci %s is not bound to vfio-pci; `driverctl set-override %s vfio-pci` "
			"takes it from the host",
			address, address);
	return 0;
}

/* Full addresses; lspci leaves a domain of zeros out. */
static int take_given(const char *sys, const struct pci_wish *w,
	char found[PCI_WANTED_MAX][PCI_ADDRESS], struct err *e) {
	unsigned n = 0;

	for (const char *at = w->given; *at != '\0';) {
		int len = (int)strcspn(at, ",");
		char address[40];
		struct function f;

		snprintf(address, sizeof(address), "%s%.*s",
			memchr(at, ':', (size_t)len) == memrchr(at, ':', (size_t)len) ? "0000:"
										      : "",
			len, at);
		f = look(sys, address);
		if (judge_given(address, &f, w->vf, e) < 0)
			return -ENODEV;
		if (n < w->n)
			snprintf(found[n], PCI_ADDRESS, "%.15s", address);
		n++;
		at += len + (at[len] == ',');
	}
	return n >= w->n
		       ? 0
		       : err_set(e, EINVAL,
				 "--pci names %u functions; each of the %u VMs wants one", n, w->n);
}

struct census {
	unsigned capable, kind, grouped,
		usable; // can have VFs; of the kind; of these in a group; bound too
};

static int by_name(const struct dirent **a, const struct dirent **b) {
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void count(const char *sys, const struct pci_wish *w,
	char found[PCI_WANTED_MAX][PCI_ADDRESS], struct census *c) {
	char path[PATH_MAX];
	struct dirent **list;
	int n;

	snprintf(path, sizeof(path), "%s/bus/pci/devices", sys);
	n = scandir(path, &list, NULL, by_name);
	for (int i = 0; i < n; i++) {
		const char *address = list[i]->d_name;
		struct function f = look(sys, address);

		c->capable += f.exists && there(sys, address, "sriov_totalvfs");
		if (f.exists && f.vf == w->vf) {
			c->kind++;
			c->grouped += f.grouped;
			if (f.grouped && f.vfio && c->usable++ < w->n)
				snprintf(found[c->usable - 1], PCI_ADDRESS, "%.15s", address);
		}
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

int pci_find(const char *sys, const struct pci_wish *w, char found[PCI_WANTED_MAX][PCI_ADDRESS],
	struct err *e) {
	struct census c = {0};

	if (w->given != NULL)
		return take_given(sys, w, found, e);
	count(sys, w, found, &c);
	if (c.usable >= w->n)
		return 0;
	if (w->vf && c.capable == 0 && c.kind == 0)
		return err_set(e, ENODEV, "no network card here has SR-IOV");
	if (w->vf && c.kind == 0)
		return err_set(e, ENODEV,
			"%u network cards have SR-IOV, and no virtual functions; write their "
			"number to sriov_numvfs",
			c.capable);
	if (c.kind == 0)
		return err_set(e, ENODEV, "there is no network card on the PCI bus");
	if (c.grouped == 0)
		return err_set(e, ENODEV,
			"there is no IOMMU (intel_iommu=on or amd_iommu=on on the kernel's command "
			"line)");
	return err_set(e, ENODEV,
		"of %u functions of the kind %u are bound to vfio-pci; each of the %u VMs wants "
		"one",
		c.kind, c.usable, w->n);
}
