/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/pci.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

static int judge_given(const char *address, const struct pci_function *f, bool vf, struct err *e) {
	if (f == NULL || !pci_is_network(f))
		return err_set(e, ENODEV, "--pci %s: there is no such network function", address);
	if (pci_is_vf(f) != vf)
		return err_set(e, EINVAL, "--pci %s is %s function; path %s takes the other kind",
			address, vf ? "no virtual" : "a virtual", vf ? "vf" : "passthrough");
	if (f->group < 0)
		return err_set(e, ENODEV,
			"--pci %s is in no IOMMU group: is the IOMMU on (intel_iommu=on or "
			"amd_iommu=on on the kernel's command line)?",
			address);
	if (!pci_driver_is_vfio(f->driver))
		return err_set(e, EBUSY,
			"--pci %s is not bound to vfio-pci; `weir pci bind %s` takes it "
			"from the host",
			address, address);
	return 0;
}

static int take_given(const struct pci *p, const struct pci_wish *w,
	char found[PCI_WANTED_MAX][PCI_SLOT_MAX], struct err *e) {
	unsigned n = 0;

	for (const char *at = w->given; *at != '\0';) {
		int len = (int)strcspn(at, ",");
		char address[40];
		const struct pci_function *f;

		snprintf(address, sizeof(address), "%.*s", len, at);
		f = pci_at(p, address);
		if (judge_given(f != NULL ? f->slot : address, f, w->vf, e) < 0 || f == NULL)
			return -ENODEV;
		if (n < w->n)
			memcpy(found[n], f->slot, PCI_SLOT_MAX);
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

static void count(const struct pci *p, const struct pci_wish *w,
	char found[PCI_WANTED_MAX][PCI_SLOT_MAX], struct census *c) {
	for (unsigned i = 0; i < p->n; i++) {
		const struct pci_function *f = &p->fn[i];

		if (!pci_is_network(f))
			continue;
		c->capable += f->vfs_total > 0;
		if (pci_is_vf(f) != w->vf)
			continue;
		c->kind++;
		c->grouped += f->group >= 0;
		if (f->group >= 0 && pci_driver_is_vfio(f->driver) && c->usable++ < w->n)
			memcpy(found[c->usable - 1], f->slot, PCI_SLOT_MAX);
	}
}

static int take_first(const struct pci *p, const struct pci_wish *w,
	char found[PCI_WANTED_MAX][PCI_SLOT_MAX], struct err *e) {
	struct census c = {0};

	count(p, w, found, &c);
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

int pci_find(const struct root *r, const struct pci_wish *w,
	char found[PCI_WANTED_MAX][PCI_SLOT_MAX], struct err *e) {
	struct pci p;
	int ret = pci_read(r, &p, e);

	if (ret < 0)
		return ret;
	ret = w->given != NULL ? take_given(&p, w, found, e) : take_first(&p, w, found, e);
	pci_fini(&p);
	return ret;
}
