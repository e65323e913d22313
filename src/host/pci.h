/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_PCI_H
#define WEIR_HOST_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The PCI functions of a host as sysfs shows them at one moment: all of them (who shares an IOMMU group
 * need not be a network card), sorted by address. */

struct err;
struct pci_access; /* libpci's */
struct root;

enum {
	PCI_SLOT_MAX = 16, /* "0000:01:10.0", domains may have up to seven digits */
	PCI_DRIVER_MAX = 32,
	PCI_CLASS_STORAGE = 0x01, /* class >> 16 */
	PCI_CLASS_NETWORK = 0x02, /* class >> 16 */
	PCI_CLASS_NVME = 0x0108, /* class >> 8 */
	PCI_CLASS_BRIDGE = 0x06, /* class >> 16 */
};

struct pci_function {
	char slot[PCI_SLOT_MAX];
	uint64_t address; /* domain << 16 | bus << 8 | device << 3 | function: the order */
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class; /* 24 bits: base class, subclass, interface */
	char driver[PCI_DRIVER_MAX]; /* "": none */
	char wanted[PCI_DRIVER_MAX]; /* driver_override, "": none */
	int numa; /* node, -1: not told */
	int group; /* IOMMU group, -1: none, no IOMMU */
	/* SR-IOV of a physical function; total 0: it cannot have VFs */
	unsigned vfs, vfs_total;
	uint16_t vf_device; /* device id that its VFs have */
	bool autoprobe; /* VFs get a driver as soon as they are there */
	/* A virtual function: where its PF is in the list (-1: this is no VF), and its number there. */
	int pf, vf;
};

struct pci {
	struct pci_function *fn;
	unsigned n;
	struct pci_access *names; /* for pci_name alone */
};

/* 0, -ENOMEM, or -ENOENT without a PCI bus, each with its sentence. */
int pci_read(const struct root *r, struct pci *p, struct err *e);
void pci_fini(struct pci *p);

/* "0000:01:10.0", "01:10.0" or "1:10.0" to the form sysfs uses; false: it is no address. */
bool pci_slot(const char *text, char slot[PCI_SLOT_MAX]);

/* NULL: there is none. `slot` in any form that pci_slot takes. */
const struct pci_function *pci_at(const struct pci *p, const char *slot);
/* VF number `vf` of a PF; NULL: not there. */
const struct pci_function *pci_vf(const struct pci *p, const struct pci_function *pf, int vf);

static inline bool pci_is_vf(const struct pci_function *f) {
	return f->pf >= 0;
}

static inline bool pci_is_network(const struct pci_function *f) {
	return f->class >> 16 == PCI_CLASS_NETWORK;
}

/* By names of drivers. vfio-pci, or a variant of it for one vendor's cards such as mlx5_vfio_pci. */
static inline bool pci_driver_is_vfio(const char *driver) {
	return strstr(driver, "vfio") != NULL;
}

/* Those through which a program has a device without an IOMMU: igb_uio, uio_pci_generic. */
static inline bool pci_driver_is_uio(const char *driver) {
	return strstr(driver, "uio") != NULL;
}

/* Vendor and device in words, from pci.ids by libpci; hexadecimal when it does not know them. The first
 * name takes some milliseconds, pci.ids is long. Returns buf. */
char *pci_name(const struct pci *p, const struct pci_function *f, char *buf, size_t size);

#endif
