/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/users.h"

/* A disk is in use when it, a part of it, or what stands on it (LVM, RAID, encryption: its holders) is
 * mounted or swapped to, or when something stands on it, used or not; or when a process has it open. */

enum { HOLDERS_MAX = 8 }; /* layers of block devices upon each other */

struct look {
	const struct host *host;
	char *mounts, *swaps; /* /proc/self/mountinfo, /proc/swaps */
	struct use *use;
};

/* All of a file of any length; NULL: it is not there, or no memory. */
static char *whole(const struct root *r, const char *path) {
	for (size_t size = 65536;; size *= 2) {
		char *buf = malloc(size);
		ssize_t n = buf != NULL ? root_read(r, buf, size, "%s", path) : -1;

		if (n >= 0 && (size_t)n + 1 < size)
			return buf;
		free(buf);
		if (n < 0)
			return NULL;
	}
}

/* A line of mountinfo: "36 35 98:0 /root /where options ... - ext4 /dev/sda1 options". File systems over
 * several devices (btrfs) have a number of their own and are known by the source. */
static bool line_mounts(const char *line, const char *dev, const char *name, char where[128]) {
	char number[32], source[256] = "";
	const char *rest = strstr(line, " - ");

	if (sscanf(line, "%*s %*s %31s %*s %127s", number, where) != 2)
		return false;
	if (strcmp(number, dev) == 0)
		return true;
	return rest != NULL && sscanf(rest, " - %*s %255s", source) == 1 &&
	       strncmp(source, "/dev/", 5) == 0 && strcmp(source + 5, name) == 0;
}

/* Where it is mounted and whether it is swapped to. */
static bool say_use(struct look *k, const char *dev, const char *name) {
	char where[128], swap[80];
	bool used = false;

	for (const char *line = k->mounts; line != NULL && *line != '\0';) {
		if (line_mounts(line, dev, name, where)) {
			if (strcmp(where, "/") == 0)
				k->use->lifeline = true;
			users_say(k->use, "%s on %s", where, name);
			used = true;
		}
		line = strchr(line, '\n');
		line += line != NULL;
	}
	snprintf(swap, sizeof(swap), "\n/dev/%s ", name);
	if (k->swaps != NULL && strstr(k->swaps, swap) != NULL) {
		users_say(k->use, "swap on %s", name);
		used = true;
	}
	return used;
}

/* `folder` is that of the device in sysfs. */
static bool look_at_device(struct look *k, const char *folder, const char *name, int depth) {
	const struct root *r = &k->host->root;
	char dev[32] = "", **held;
	bool used;
	int n;

	root_line(r, dev, sizeof(dev), "%s/dev", folder);
	used = say_use(k, dev, name);
	n = depth < HOLDERS_MAX ? root_names(r, &held, "%s/holders", folder) : -1;
	for (int i = 0; i < n; i++) {
		char upper[128];

		snprintf(upper, sizeof(upper), "/sys/block/%.64s", held[i]);
		if (!look_at_device(k, upper, held[i], depth + 1))
			users_say(k->use, "%s stands on %s", held[i], name);
		used = true;
	}
	if (n >= 0)
		root_names_free(held, n);
	return used;
}

/* The disk itself or a part of it: sda1 of sda, nvme0n1p2 of nvme0n1. */
static bool is_file(const char *file, const void *ctx) {
	const char *disk = ctx, *rest = file + strlen("/dev/") + strlen(disk);

	if (strncmp(file + strlen("/dev/"), disk, strlen(disk)) != 0)
		return false;
	if (*rest != '\0' && isdigit((unsigned char)rest[-1]) && *rest++ != 'p')
		return false;
	return rest[strspn(rest, "0123456789")] == '\0';
}

/* Nobody mounts it: a VM, a database or ZFS may have it as it is. */
static void look_at_processes(struct look *k, const char *disk) {
	struct holders l;

	if (holders_read(&k->host->root, &l, is_file, disk) < 0)
		return;
	if (l.n > 0) {
		k->use->kind = l.holder[0].kind;
		k->use->pid = l.holder[0].pid;
		memcpy(k->use->name, l.holder[0].name, sizeof(k->use->name));
		users_say(k->use, "%s open in %s, pid %d", disk, l.holder[0].name, l.holder[0].pid);
	} else {
		users_say(k->use, "%s is not in use", disk);
	}
	holders_free(&l);
}

static void look_at_disk(struct look *k, const char *disk) {
	const struct root *r = &k->host->root;
	char folder[192], **parts;
	bool used;
	int n;

	snprintf(folder, sizeof(folder), "/sys/block/%.64s", disk);
	used = look_at_device(k, folder, disk, 0);
	n = root_names(r, &parts, "%s", folder);
	for (int i = 0; i < n; i++) {
		snprintf(folder, sizeof(folder), "/sys/block/%.64s/%.64s", disk, parts[i]);
		if (strncmp(parts[i], disk, strlen(disk)) == 0)
			used |= look_at_device(k, folder, parts[i], 0);
	}
	if (n >= 0)
		root_names_free(parts, n);
	if (used)
		k->use->kind = USE_STORAGE;
	else
		look_at_processes(k, disk);
}

/* The last PCI address in a path of sysfs is that of the function. */
static bool leads_to(const char *path, const char *slot) {
	char copy[PATH_MAX], last[PCI_SLOT_MAX] = "", *save = NULL;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *part = strtok_r(copy, "/", &save); part != NULL;
		part = strtok_r(NULL, "/", &save))
		pci_slot(part, last);
	return strcmp(last, slot) == 0;
}

/* A namespace of NVMe that several controllers may reach hangs in none of them, but in their subsystem. */
static bool by_subsystem(const struct root *r, const char *path, const char *slot) {
	const char *at = strstr(path, "/nvme-subsystem/");
	char subsystem[64], to[PATH_MAX], **names;
	bool found = false;
	int n;

	if (at == NULL || sscanf(at, "/nvme-subsystem/%63[^/]", subsystem) != 1)
		return false;
	n = root_names(r, &names, "/sys/class/nvme");
	for (int i = 0; i < n && !found; i++)
		found = root_has(r, "/sys/class/nvme-subsystem/%s/%s", subsystem, names[i]) &&
			leads_to(root_target(r, to, sizeof(to), "/sys/class/nvme/%s", names[i]),
				slot);
	if (n >= 0)
		root_names_free(names, n);
	return found;
}

void users_disks(const struct host *h, const struct pci_function *f, struct use *u) {
	struct look k = {.host = h,
		.mounts = whole(&h->root, "/proc/self/mountinfo"),
		.swaps = whole(&h->root, "/proc/swaps"),
		.use = u};
	char **names, path[PATH_MAX];
	int n = root_names(&h->root, &names, "/sys/block");

	for (int i = 0; i < n; i++) {
		root_target(&h->root, path, sizeof(path), "/sys/block/%s", names[i]);
		if (leads_to(path, f->slot) || by_subsystem(&h->root, path, f->slot))
			look_at_disk(&k, names[i]);
	}
	if (n >= 0)
		root_names_free(names, n);
	if (k.mounts == NULL) {
		u->kind = USE_UNKNOWN;
		users_say(u, "what is mounted cannot be read");
	}
	free(k.mounts);
	free(k.swaps);
}
