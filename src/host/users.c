/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/users.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Who uses a function? There is no register of it. What can be seen:
 *
 *   - a process has its VFIO group, its VFIO or UIO device, or its verbs open (the last beside the
 *     kernel's driver, as DPDK does on NVIDIA's cards). That takes a look at every open file of every
 *     process, so it is done only when a function here is driven that way.
 *   - its interface has addresses or routes, or bridges, bonds, VLANs stand on it;
 *   - it has a folder for interfaces, and there is none in it: the interface is in another namespace;
 *   - its disks are mounted, swapped to, or part of something.
 *
 * A function in use by none of these is free. */

struct users {
	const struct host *host;
	struct holders holders;
	const struct link_address *ssh;
};

void users_say(struct use *u, const char *fmt, ...) {
	size_t n = strlen(u->text);
	va_list ap;

	if (n > 0 && n + 3 < sizeof(u->text)) {
		strcpy(u->text + n, ", ");
		n += 2;
	}
	va_start(ap, fmt);
	vsnprintf(u->text + n, sizeof(u->text) - n, fmt, ap);
	va_end(ap);
}

static bool by_vfio(const struct pci_function *f) {
	return pci_driver_is_vfio(f->driver);
}

static bool by_uio(const struct pci_function *f) {
	return pci_driver_is_uio(f->driver);
}

/* Drivers beside which a process can have the queues, through verbs. */
static bool by_verbs(const struct pci_function *f) {
	return strncmp(f->driver, "mlx", 3) == 0;
}

static bool device_file(const char *file, const void *ctx) {
	return (strncmp(file, "/dev/vfio/", 10) == 0 && strcmp(file, "/dev/vfio/vfio") != 0) ||
	       strncmp(file, "/dev/uio", 8) == 0 ||
	       strncmp(file, "/dev/infiniband/uverbs", 22) == 0;
}

struct users *users_read(const struct host *h) {
	struct users *u = calloc(1, sizeof(*u));
	bool look = false;

	if (u == NULL)
		return NULL;
	u->host = h;
	u->ssh = users_ssh(h);
	for (unsigned i = 0; i < h->pci.n && !look; i++)
		look = by_vfio(&h->pci.fn[i]) || by_uio(&h->pci.fn[i]) || by_verbs(&h->pci.fn[i]);
	if (look && holders_read(&h->root, &u->holders, device_file, NULL) < 0) {
		users_free(u);
		return NULL;
	}
	return u;
}

void users_free(struct users *u) {
	if (u != NULL)
		holders_free(&u->holders);
	free(u);
}

static const struct holder *holds(const struct users *u, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static const struct holder *holds(const struct users *u, const char *fmt, ...) {
	char file[sizeof(u->holders.holder->file)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(file, sizeof(file), fmt, ap);
	va_end(ap);
	for (unsigned i = 0; i < u->holders.n; i++)
		if (strcmp(u->holders.holder[i].file, file) == 0)
			return &u->holders.holder[i];
	return NULL;
}

/* Through a device that has a name of its own: the folder in sysfs, where its files are. */
static const struct holder *holds_device(const struct users *u, const struct pci_function *f,
	const char *folder, const char *files) {
	const struct holder *found = NULL;
	char **names;
	int n = root_names(&u->host->root, &names, "/sys/bus/pci/devices/%s/%s", f->slot, folder);

	for (int i = 0; i < n && found == NULL; i++)
		found = holds(u, "%s/%.40s", files, names[i]);
	if (n >= 0)
		root_names_free(names, n);
	return found;
}

static const struct holder *find_holder(const struct users *u, const struct pci_function *f) {
	const struct holder *found = NULL;

	if (u->holders.n == 0)
		return NULL;
	if (by_vfio(f)) {
		found = holds_device(u, f, "vfio-dev", "/dev/vfio/devices");
		if (found == NULL && f->group >= 0)
			found = holds(u, "/dev/vfio/%d", f->group);
		if (found == NULL && f->group >= 0)
			found = holds(u, "/dev/vfio/noiommu-%d", f->group);
	} else if (by_uio(f)) {
		found = holds_device(u, f, "uio", "/dev");
	} else if (by_verbs(f)) {
		found = holds_device(u, f, "infiniband_verbs", "/dev/infiniband");
	}
	return found;
}

static void say_holder(const struct holder *one, struct use *u) {
	u->kind = one->kind;
	u->pid = one->pid;
	memcpy(u->name, one->name, sizeof(u->name));
	users_say(u, "%s%s, pid %d",
		one->libvirt            ? "libvirt domain "
		: one->kind == USE_VM   ? "QEMU "
		: one->kind == USE_DPDK ? "DPDK process "
					: "process ",
		one->name, one->pid);
}

/* Nobody was seen. */
static void say_idle(const struct users *u, const struct pci_function *f, struct use *out) {
	if (f->driver[0] == '\0') {
		users_say(out, "no driver");
	} else if ((by_vfio(f) || by_uio(f)) && u->holders.denied) {
		out->kind = USE_UNKNOWN;
		users_say(out, "bound to %s; which process has it only root can see", f->driver);
	} else if (by_vfio(f) || by_uio(f)) {
		users_say(out, "bound to %s", f->driver);
	} else if (pci_is_network(f)) {
		users_say(out, "no interface");
	} else {
		out->kind = USE_UNKNOWN;
		users_say(out, "bound to %s", f->driver);
	}
}

/* The folder that its interfaces are in is there as long as they are, in whatever namespace. */
static bool has_interfaces(const struct root *r, const struct pci_function *f) {
	bool found = root_has(r, "/sys/bus/pci/devices/%s/net", f->slot);
	char **names;
	int n = -1;

	if (!found && strcmp(f->driver, "virtio-pci") == 0)
		n = root_names(r, &names, "/sys/bus/pci/devices/%s", f->slot);
	for (int i = 0; i < n && !found; i++)
		found = strncmp(names[i], "virtio", 6) == 0 &&
			root_has(r, "/sys/bus/pci/devices/%s/%s/net", f->slot, names[i]);
	if (n >= 0)
		root_names_free(names, n);
	return found;
}

void users_of(const struct users *u, const struct pci_function *f, struct use *out) {
	const struct holder *one = find_holder(u, f);
	const struct host *h = u->host;
	bool linked = false;

	*out = (struct use){.kind = USE_FREE};
	for (unsigned i = 0; i < h->links.nlinks; i++)
		if (strcmp(h->links.link[i].parent, f->slot) == 0 &&
			!host_represents(&h->links.link[i])) {
			users_link(h, &h->links.link[i], u->ssh, out);
			linked = true;
		}
	if (one != NULL) {
		say_holder(one, out);
	} else if (f->class >> 16 == PCI_CLASS_STORAGE && f->driver[0] != '\0' && !by_vfio(f)) {
		users_disks(h, f, out);
	} else if (!linked && pci_is_network(f) && has_interfaces(&h->root, f)) {
		out->kind = USE_NAMESPACE;
		users_say(out, "its interface is in another namespace");
	} else if (!linked) {
		say_idle(u, f, out);
	}
}
