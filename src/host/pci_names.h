/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_PCI_NAMES_H
#define WEIR_HOST_PCI_NAMES_H

/* libpci's tables of names, apart: its headers take many names that begin with PCI_ for their own. */

struct pci_access;

/* Opens nothing yet; NULL: no memory. The bus is never scanned. */
struct pci_access *pci_names_new(void);
void pci_names_free(struct pci_access *a); /* NULL: nothing happens */

#endif
