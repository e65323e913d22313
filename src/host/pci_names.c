/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/pci_names.h"

#include <pci/pci.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/pci.h"

/* libpci calls it when pci.ids is damaged or memory is out, and cannot go on. */
static __attribute__((noreturn)) void give_up(char *fmt, ...) {
	fputs("weir: the names of PCI devices cannot be read (pci.ids); `update-pciids` or the "
	      "package pci.ids makes it whole\n",
		stderr);
	exit(1);
}

static void say_nothing(char *fmt, ...) {
}

struct pci_access *pci_names_new(void) {
	struct pci_access *a = pci_alloc();

	if (a != NULL) {
		a->error = give_up;
		a->warning = a->debug = say_nothing;
	}
	return a;
}

void pci_names_free(struct pci_access *a) {
	if (a != NULL)
		pci_cleanup(a);
}

char *pci_name(const struct pci *p, const struct pci_function *f, char *buf, size_t size) {
	return pci_lookup_name(p->names, buf, (int)size, PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE,
		f->vendor, f->device);
}
