/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/change/native.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "host/change/drivers.h"
#include "host/host.h"

/* What `modprobe -R ALIAS` prints: names of modules, a line each. */
static void resolve(char *alias, char *text, size_t size) {
	char *argv[] = {(char[]){"modprobe"}, (char[]){"-qR"}, (char[]){"--"}, alias, NULL};
	posix_spawn_file_actions_t to;
	int pipe_fd[2];
	size_t len = 0;
	ssize_t n = 1;
	pid_t child;

	text[0] = '\0';
	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return;
	posix_spawn_file_actions_init(&to);
	posix_spawn_file_actions_adddup2(&to, pipe_fd[1], STDOUT_FILENO);
	if (posix_spawnp(&child, "modprobe", &to, NULL, argv, environ) != 0)
		child = 0;
	posix_spawn_file_actions_destroy(&to);
	close(pipe_fd[1]);
	while (child > 0 && n > 0 && len + 1 < size) {
		n = read(pipe_fd[0], text + len, size - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	text[len] = '\0';
	close(pipe_fd[0]);
	if (child > 0)
		waitpid(child, NULL, 0);
}

/* The PCI driver that a module brings; its own name where it is not loaded. */
static void driver_of_module(
	const struct root *r, const char *module, char driver[PCI_DRIVER_MAX]) {
	char **names;
	int n = root_names(r, &names, "/sys/module/%s/drivers", module);

	snprintf(driver, PCI_DRIVER_MAX, "%s", module);
	for (int i = 0; i < n; i++)
		if (strncmp(names[i], "pci:", 4) == 0)
			snprintf(driver, PCI_DRIVER_MAX, "%s", names[i] + 4);
	if (n >= 0)
		root_names_free(names, n);
}

int driver_native(const struct host *h, const struct pci_function *f, char driver[PCI_DRIVER_MAX],
	struct err *e) {
	const struct driver *d = pci_is_vf(f) ? driver_find(h->pci.fn[f->pf].driver) : NULL;
	char alias[128], modules[512], *save = NULL;

	if (d != NULL) {
		snprintf(driver, PCI_DRIVER_MAX, "%s", d->vf_driver);
		return 0;
	}
	if (!h->root.recorded && root_line(&h->root, alias, sizeof(alias),
					 "/sys/bus/pci/devices/%s/modalias", f->slot) == 0) {
		resolve(alias, modules, sizeof(modules));
		for (char *m = strtok_r(modules, "\n", &save); m != NULL;
			m = strtok_r(NULL, "\n", &save))
			if (!pci_driver_is_vfio(m)) {
				driver_of_module(&h->root, m, driver);
				return 0;
			}
	}
	return err_set(e, ENOENT,
		"weir does not know the kernel's own driver of %s (%04x:%04x); name it", f->slot,
		f->vendor, f->device);
}
