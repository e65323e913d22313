/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/pci.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "host/pci_names.h"
#include "host/root.h"

#define DEVICES "/sys/bus/pci/devices"

enum { VFS_MAX = 65535 }; /* the card's own number has 16 bits (PCIe, SR-IOV capability) */

/* Domains may have more than four digits: Intel's VMD counts from 10000. */
static bool parse_slot(const char *text, uint64_t *address) {
	unsigned domain = 0, bus, device, function;
	int end = 0;

	if (text[strspn(text, "0123456789abcdefABCDEF:.")] != '\0')
		return false;
	if (sscanf(text, "%7x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &end) != 4) {
		domain = 0;
		if (sscanf(text, "%2x:%2x.%1x%n", &bus, &device, &function, &end) != 3)
			return false;
	}
	if (text[end] != '\0' || device > 0x1f || function > 7)
		return false;
	*address = (uint64_t)domain << 16 | bus << 8 | device << 3 | function;
	return true;
}

static void print_slot(uint64_t a, char slot[PCI_SLOT_MAX]) {
	snprintf(slot, PCI_SLOT_MAX, "%04x:%02x:%02x.%x", (unsigned)(a >> 16 & 0xfffffff),
		(unsigned)(a >> 8 & 0xff), (unsigned)(a >> 3 & 0x1f), (unsigned)(a & 7));
}

bool pci_slot(const char *text, char slot[PCI_SLOT_MAX]) {
	uint64_t a;

	if (!parse_slot(text, &a))
		return false;
	print_slot(a, slot);
	return true;
}

static unsigned number(const struct root *r, const struct pci_function *f, const char *file) {
	long long n = root_number(r, 0, DEVICES "/%s/%s", f->slot, file);

	return n > 0 && n <= UINT32_MAX ? (unsigned)n : 0;
}

static void read_sriov(const struct root *r, struct pci_function *f) {
	char device[16];

	f->vfs_total = number(r, f, "sriov_totalvfs");
	if (f->vfs_total == 0)
		return;
	f->vfs = number(r, f, "sriov_numvfs");
	if (f->vfs_total > VFS_MAX || f->vfs > f->vfs_total)
		f->vfs = f->vfs_total = 0; // no card says that
	f->autoprobe = root_number(r, 1, DEVICES "/%s/sriov_drivers_autoprobe", f->slot) != 0;
	// In hexadecimal without 0x, unlike its neighbours.
	if (root_line(r, device, sizeof(device), DEVICES "/%s/sriov_vf_device", f->slot) == 0)
		f->vf_device = (uint16_t)strtoul(device, NULL, 16);
}

/* All but its place among the others. */
static void read_function(const struct root *r, struct pci_function *f) {
	char text[16];

	f->class = number(r, f, "class");
	f->vendor = (uint16_t)number(r, f, "vendor");
	f->device = (uint16_t)number(r, f, "device");
	f->subvendor = (uint16_t)number(r, f, "subsystem_vendor");
	f->subdevice = (uint16_t)number(r, f, "subsystem_device");
	f->numa = (int)root_number(r, -1, DEVICES "/%s/numa_node", f->slot);
	root_link(r, f->driver, sizeof(f->driver), DEVICES "/%s/driver", f->slot);
	if (root_line(r, f->wanted, sizeof(f->wanted), DEVICES "/%s/driver_override", f->slot) <
			0 ||
		strcmp(f->wanted, "(null)") == 0)
		f->wanted[0] = '\0';
	root_link(r, text, sizeof(text), DEVICES "/%s/iommu_group", f->slot);
	f->group = text[0] != '\0' ? atoi(text) : -1;
	f->pf = f->vf = -1;
}

/* Index of the function at this address, -1: none. */
static int place(const struct pci *p, uint64_t address) {
	unsigned low = 0, high = p->n;

	while (low < high) {
		unsigned mid = (low + high) / 2;

		if (p->fn[mid].address == address)
			return (int)mid;
		if (p->fn[mid].address < address)
			low = mid + 1;
		else
			high = mid;
	}
	return -1;
}

static int place_of(const struct pci *p, const char *slot) {
	uint64_t address;

	return parse_slot(slot, &address) ? place(p, address) : -1;
}

/* A VF knows its PF, but not its own number: that is in the names of the PF's links. */
static void number_vfs(const struct root *r, struct pci *p, unsigned pf) {
	for (unsigned i = 0; i < p->fn[pf].vfs; i++) {
		char slot[PCI_SLOT_MAX];
		int at;

		root_link(r, slot, sizeof(slot), DEVICES "/%s/virtfn%u", p->fn[pf].slot, i);
		at = place_of(p, slot);
		if (at >= 0 && p->fn[at].pf == (int)pf)
			p->fn[at].vf = (int)i;
	}
}

static void find_kin(const struct root *r, struct pci *p) {
	char pf[PCI_SLOT_MAX];

	for (unsigned i = 0; i < p->n; i++) {
		root_link(r, pf, sizeof(pf), DEVICES "/%s/physfn", p->fn[i].slot);
		p->fn[i].pf = pf[0] != '\0' ? place_of(p, pf) : -1;
		if (pf[0] == '\0')
			read_sriov(r, &p->fn[i]);
	}
	for (unsigned i = 0; i < p->n; i++)
		if (p->fn[i].vfs > 0)
			number_vfs(r, p, i);
}

static int by_address(const void *a, const void *b) {
	const struct pci_function *x = a, *y = b;

	return (x->address > y->address) - (x->address < y->address);
}

int pci_read(const struct root *r, struct pci *p, struct err *e) {
	char **names;
	int n = root_names(r, &names, DEVICES);

	*p = (struct pci){0};
	if (n == -ENOMEM)
		return err_set(e, ENOMEM, "no memory for the list of PCI functions");
	if (n < 0)
		return err_set(e, ENOENT, "%s" DEVICES " cannot be read (%s): no PCI bus here",
			r->at, strerror(-n));
	p->fn = calloc((size_t)n + 1, sizeof(*p->fn));
	p->names = pci_names_new();
	for (int i = 0; i < n && p->fn != NULL; i++) {
		struct pci_function *f = &p->fn[p->n];

		if (!parse_slot(names[i], &f->address))
			continue;
		print_slot(f->address, f->slot);
		read_function(r, f);
		p->n++;
	}
	root_names_free(names, n);
	if (p->fn == NULL || p->names == NULL) {
		pci_fini(p);
		return err_set(e, ENOMEM, "no memory for %d PCI functions", n);
	}
	qsort(p->fn, p->n, sizeof(*p->fn), by_address);
	find_kin(r, p);
	return 0;
}

void pci_fini(struct pci *p) {
	free(p->fn);
	pci_names_free(p->names);
	*p = (struct pci){0};
}

const struct pci_function *pci_at(const struct pci *p, const char *slot) {
	int at = place_of(p, slot);

	return at >= 0 ? &p->fn[at] : NULL;
}

const struct pci_function *pci_vf(const struct pci *p, const struct pci_function *pf, int vf) {
	for (unsigned i = 0; i < p->n; i++)
		if (p->fn[i].pf == pf - p->fn && p->fn[i].vf == vf)
			return &p->fn[i];
	return NULL;
}
