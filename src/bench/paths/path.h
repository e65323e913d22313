/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_PATH_H
#define WEIR_BENCH_PATH_H

#include <stdbool.h>
#include <sys/types.h>

#include "bench/paths/guest.h"
#include "bench/pci.h"

/* A way between VMs that `weir bench paths` makes, measures and removes. One is a file path_*.c with a
 * struct path, and a line in the table of paths.c.
 *
 * Everything happens in a child process with a network and a mount namespace of its own, an empty /run
 * and its own /sys. Interfaces, sockets and files that a path makes there go with the process, and so
 * do QEMU and what path_spawn started, however it ends. So a path needs no teardown of its own. */

struct err;

enum {
	PATH_GUESTS_MAX = 64,
	PATH_NS_MAX = 80,
	PATH_PROCESSES_MAX = 8,
	PATH_FDS_MAX = 2 * PATH_GUESTS_MAX
};

/* What is there while a path is measured. */
struct path_bed {
	unsigned n; /* guests, or namespaces; of these PATH_NS_MAX */
	unsigned
		ns; /* namespaces beside the guests, for paths that are mixed: vm%u from n + 1 on */
	unsigned queues; /* of the NIC in each namespace; 0: as it comes */
	const char *accel; /* of QEMU: guest_accel() */
	bool intx; /* guest_needs_intx(accel) */
	const char *
		pci; /* --pci: functions for the guests, with commas between; NULL: what is found */
	char function[PATH_GUESTS_MAX][PCI_SLOT_MAX]; /* the guests', on paths that have some */
	unsigned nprocesses; /* the switch and what else runs on the host for it */
	struct {
		pid_t pid;
		const char *role;
	} process[PATH_PROCESSES_MAX];
	unsigned nfds; /* closed at the end */
	int fds[PATH_FDS_MAX];
};

/* All polling threads of a switch together, since some moment; differences count. */
struct path_cycles {
	double all, moved; /* of the TSC; in turns that moved frames */
	unsigned threads;
};

struct path {
	const char *name, *brief;
	/* 0, or -errno with the reason why it cannot be made here. Looks only; of b there
	 * are n and pci, and function is filled. */
	int (*possible)(struct path_bed *b, struct err *e);
	/* Makes it for b->n guests; below, guest i (from 0) is called "vm%u" with i + 1. */
	int (*setup)(struct path_bed *b, struct err *e);
	/* Adds the QEMU arguments for the NIC of guest i: MAC and address are in s->nics[0] already.
	 * NULL: no VMs; setup has made namespaces of the guests' names with the addresses
	 * path_address. */
	int (*nic)(struct path_bed *b, unsigned i, struct guest_spec *s, struct err *e);
	/* Of a switch whose threads poll: what of their cycles moved frames so far. NULL: nothing polls. */
	int (*cycles)(struct path_bed *b, struct path_cycles *c, struct err *e);
	bool mixed; /* its switch can have namespaces beside the guests */
};

extern const struct path path_veth, path_bridge, path_bridge_vhost, path_e1000, path_macvtap,
	path_weir, path_weir_tap, path_weir_ns, path_ovs, path_af_xdp, path_vf, path_passthrough;

/* Building blocks. Each returns 0 or -errno with a sentence. */

/* Is that program in PATH? `package`: what to install else. */
int path_has(const char *program, const char *package, struct err *e);
/* Runs `ip -batch` over lines of iproute2's ip; `tc` for those of tc. */
int path_ip(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int path_tc(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Starts a program that is part of the path. Its output goes to /run/ROLE.log. */
int path_spawn(struct path_bed *b, const char *role, char *const *argv, struct err *e);
/* Runs a program to its end; what it said is the sentence when it failed. */
int path_run(char *const *argv, struct err *e);
/* The same; what it said on both outputs is *said, the caller's to free. */
int path_ask(char *const *argv, char **said, struct err *e);
/* Ends what was started, and waits for it: they would go with this process, but later than it. */
void path_end(struct path_bed *b);
/* Waits until somebody listens at a Unix socket; as long as the process that should lives. */
int path_await(struct path_bed *b, const char *socket, struct err *e);
/* The last line of the log of a role. Returns buf. */
const char *path_last_words(const char *role, char *buf, size_t size);

/* Of the namespaces numbered first to last: puts each on the bridge br0 (path_ns_bridge makes them; veth);
 * gives eth0 its address and sets it up. */
int path_ns_bridge(struct path_bed *b, unsigned first, unsigned last, struct err *e);
int path_ns_up(unsigned first, unsigned last, struct err *e);

/* "10.99.0.1/16" of guest 0; its MAC. Return buf. */
const char *path_address(unsigned i, char *buf, size_t size);
const char *path_mac(unsigned i, char *buf, size_t size);

/* A NIC behind a TAP that exists under this name: model "virtio-net-pci" or "e1000"; more: options of
 * -netdev with a comma in front, or "". */
void path_tap_nic(struct guest_spec *s, const char *tap, const char *model, const char *more);

/* A NIC over vhost-user, behind the -chardev c0 that is there already. */
void path_vhost_nic(const struct path_bed *b, struct guest_spec *s);

/* Guests that get a PCI function each, virtual ones or whole devices: fills b->function. */
int path_pci_possible(struct path_bed *b, bool vf, struct err *e);
int path_pci_nic(struct path_bed *b, unsigned i, struct guest_spec *s, struct err *e);

#endif
