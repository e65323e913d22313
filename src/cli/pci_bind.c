/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/pci.h"
#include "cli/vf.h"

/* `weir pci bind` and `unbind`: whole devices, or VFs by their address. */

const char pci_bind_help[] =
	"\n"
	"DRIVER is vfio-pci where none is named. Functions that share an IOMMU group go together: "
	"name\n"
	"all of them. A PF loses its VFs first. Refused for what is in use, and for what would cut "
	"you\n"
	"off from this host.\n"
	"\n" HOST_CHANGE_HELP HOST_ARGS_HELP;

const char pci_unbind_help[] =
	"\n"
	"Where none is named, DRIVER is the one that the kernel has for the device.\n"
	"\n" HOST_CHANGE_HELP HOST_ARGS_HELP;

/* The last word is a driver's name when it names no function. */
static const char *take_driver(const struct host *h, int *argc, char **argv, const char *none) {
	if (*argc < 3 || host_find(h, argv[*argc - 1], NULL) != NULL)
		return none;
	return argv[--*argc];
}

static int change(
	const struct command *c, int argc, char **argv, const char *what, const char *driver) {
	struct functions f;
	struct err e;
	int rc = 0, status = functions_open(&f, c, &argc, argv, true, 1, 0);

	if (status < 0)
		driver = take_driver(&f.host, &argc, argv, driver);
	for (int i = 1; status < 0 && rc == 0 && i < argc; i++) {
		const struct pci_function *fn = host_find(&f.host, argv[i], &e);

		rc = fn != NULL ? 0 : -1;
		if (rc == 0 && fn->vfs > 0 && strcmp(fn->driver, driver) != 0)
			rc = changes_vfs(&f.l, &f.host, fn, 0, &e);
		if (rc == 0)
			rc = functions_bind(&f, fn, driver, &e);
	}
	if (status < 0)
		status = rc < 0 ? cli_fail("%s", e.text) : host_args_change(&f.args, what, &f.l);
	functions_close(&f);
	return status;
}

int pci_bind(const struct command *c, int argc, char **argv) {
	return change(c, argc, argv, "pci bind", "vfio-pci");
}

int pci_unbind(const struct command *c, int argc, char **argv) {
	return change(c, argc, argv, "pci unbind", "kernel");
}
