/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_USERS_H
#define WEIR_HOST_USERS_H

#include "host/host.h"

/* The parts of users_of (host.h): processes, network, disks. */

/* A process that has a device file open. */
struct holder {
	char file[64]; /* "/dev/vfio/12" */
	int pid;
	enum use_kind kind; /* USE_VM, USE_DPDK, USE_PROCESS */
	char name[64]; /* of the VM, or of the process */
	bool libvirt; /* the name is that of a libvirt domain */
};

struct holders {
	struct holder *holder;
	unsigned n;
	bool denied; /* there are processes whose files we may not see */
};

/* All that have a file open whose path `wanted` likes. 0 or -ENOMEM. */
int holders_read(const struct root *r, struct holders *l,
	bool (*wanted)(const char *file, const void *ctx), const void *ctx);
void holders_free(struct holders *l);

/* A text of parts with commas between them. */
void users_say(struct use *u, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What the interface does and what stands on it. `ssh` is the address that the operator's session came to,
 * NULL: none. Leaves kind as it is when it does nothing. */
void users_link(
	const struct host *h, const struct link *l, const struct link_address *ssh, struct use *u);
/* The interface's address that the ssh session of this process, or of the nearest of its parents that has
 * one, came to; NULL: none. */
const struct link_address *users_ssh(const struct host *h);

/* What the disks of a storage function are in use for. */
void users_disks(const struct host *h, const struct pci_function *f, struct use *u);

#endif
