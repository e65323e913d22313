/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_HOST_H
#define WEIR_HOST_HOST_H

#include <jansson.h>

#include "host/netlink/devlink.h"
#include "host/netlink/link.h"
#include "host/pci.h"
#include "host/root.h"

/* What the host has, at one moment: PCI functions, links, eswitches. Everything that is listed, judged,
 * planned or exported is read from this; to see a change, read it again. */

struct err;

struct host {
	struct root root;
	struct pci pci;
	struct links links; /* parent is a PCI address for all that belong to a function */
	struct devlinks devlinks;
	const char *
		state; /* weir's own records (store.h), NULL: the default; host_read leaves it NULL */
	unsigned
		limit_ms; /* for what a driver is asked to do, 0: as long as drivers are known to take */
};

int host_read(struct host *h, const struct root *r, struct err *e);
void host_free(struct host *h);
/* The links alone, anew: what was changed over netlink, at a tenth of the price. Pointers to links are
 * stale afterwards. */
int host_read_links(struct host *h, struct err *e);

/* The function that a user's word means: an address with or without domain, the name of an interface, or
 * "vendor:device" in hexadecimal when there is just one such function. NULL with a sentence. */
const struct pci_function *host_find(const struct host *h, const char *word, struct err *e);

/* A function's own interface (of several ports of one function: the first; never a representor), NULL:
 * none in this namespace. */
const struct link *host_link(const struct host *h, const struct pci_function *f);
/* Is it a representor (of a VF, a subfunction, another host's PF)? */
bool host_represents(const struct link *l);
/* What the PF's driver knows of a VF, NULL: nothing. */
const struct link_vf *host_vf(const struct host *h, const struct pci_function *vf);
/* The representor of a VF of a PF in switchdev mode, NULL: none. */
const struct link *host_representor(const struct host *h, const struct pci_function *pf, int vf);

/* Who uses a function. */
enum use_kind {
	USE_FREE,
	USE_NETDEV, /* its interface has addresses, routes, a master, or interfaces upon it */
	USE_NAMESPACE, /* its interface is in another namespace */
	USE_VM, /* QEMU has it by VFIO */
	USE_DPDK, /* a DPDK process has it */
	USE_PROCESS, /* some other process has its VFIO group, or its device file */
	USE_STORAGE, /* NVMe and others: mounted, swap, or part of RAID, LVM */
	USE_UNKNOWN, /* bound to a driver of a class we know nothing of */
};

struct use {
	enum use_kind kind;
	int pid; /* 0: none */
	char name[64]; /* of VM or process */
	char text[192]; /* "bridge br0, 192.0.2.7/24, default route" */
	bool lifeline; /* taking it would cut the operator off: default route, the way of an ssh session, root */
};

/* Looks through the processes once, for all functions. NULL: no memory. */
struct users;
struct users *users_read(const struct host *h);
void users_free(struct users *u);
void users_of(const struct users *u, const struct pci_function *f, struct use *out);

/* What `weir nic list -j` says of a function (docs/host.md has the keys); `u` NULL: without its user. */
json_t *host_json(const struct host *h, const struct users *u, const struct pci_function *f);

#endif
