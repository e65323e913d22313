/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_CLI_CHECKS_H
#define WEIR_CLI_CHECKS_H

#include "cli/hosts.h"

/* `weir pci check` and `weir host check`: both judge and change nothing. */

int pci_check(const struct command *c, int argc, char **argv);
int host_check(const struct command *c, int argc, char **argv);
extern const char pci_check_help[], host_check_help[];

#endif
