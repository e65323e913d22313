/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_CLI_PCI_H
#define WEIR_CLI_PCI_H

#include "cli/hosts.h"

/* Subcommands of `weir pci` that change something. */

int pci_bind(const struct command *c, int argc, char **argv);
int pci_unbind(const struct command *c, int argc, char **argv);
extern const char pci_bind_help[], pci_unbind_help[];

#endif
