/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "cli/pci.h"
#include "cli/checks.h"

/* `weir pci`: whole devices, or virtual functions by their address. */

static const struct subcommand table[] = {
	{"check", "DEVICE... [--memory SIZE] [-j] [--sysfs DIR]",
		"Say whether a function can be passed through, and what is missing", pci_check_help,
		pci_check},
	{"bind", "DEVICE... [DRIVER]", "Give functions to vfio-pci, for guests or DPDK",
		pci_bind_help, pci_bind},
	{"unbind", "DEVICE... [DRIVER]", "Give functions back to the kernel", pci_unbind_help,
		pci_unbind},
	{NULL},
};

static int run(const struct command *c, int argc, char **argv) {
	return subcommand_run(c, table, argc, argv);
}

static int show_help(const struct command *c, int argc, char **argv) {
	return subcommand_help(c, table, argc, argv);
}

const struct command cmd_pci = {
	"pci",
	"SUBCOMMAND ...",
	"Hand PCI functions to guests, whole",
	"\n"
	"A DEVICE is an address (0000:01:00.0, 01:00.0), the name of an interface, or "
	"vendor:device\n"
	"where there is one such function.\n"
	"\n",
	run,
	show_help,
};
