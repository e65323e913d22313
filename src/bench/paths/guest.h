/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_GUEST_H
#define WEIR_BENCH_GUEST_H

#include <stdbool.h>
#include <sys/types.h>

#include "bench/pci.h"

/* A small VM made on the spot: a kernel, and an initramfs with weir itself in it, which is process 1
 * there and obeys as an agent (agent.h) on a virtio-serial port. What is measured never shares a wire
 * with what controls it. One thread.
 *
 * WEIR_VM_ACCEL  QEMU's -accel; default: KVM if guests run with it, else tcg,thread=multi
 * WEIR_VM_QEMU   the program; default qemu-system-x86_64 */

struct err;

/* What guests boot from: a kernel file and an initramfs in memory. */
struct guest_image;

/* `kernel`: a bzImage or vmlinux; NULL: that of this host. Its modules are looked for in modules/ beside
 * it, in ../lib/modules/RELEASE, as a package unpacks, and in /lib/modules/RELEASE. -errno's sentence
 * names what is missing. `functions`: n PCI functions of this host whose drivers the guests need, too. */
struct guest_image *guest_image_new(
	const char *kernel, const char (*functions)[PCI_SLOT_MAX], unsigned n, struct err *e);
void guest_image_free(struct guest_image *image); /* NULL is harmless */
/* The descriptors; which outlive a change of what is mounted where. */
int guest_image_kernel(const struct guest_image *image);
int guest_image_initrd(const struct guest_image *image);

enum { GUEST_ARGS_MAX = 64, GUEST_ARG_LEN = 256, GUEST_NICS_MAX = 4, GUEST_MB = 256 };

/* One to be started: filled by whoever makes the path it is on (path.h). */
#define GUEST_ANY_MAC "*"

struct guest_spec {
	char name[32];
	unsigned nargs; /* QEMU arguments for its NICs */
	char args[GUEST_ARGS_MAX][GUEST_ARG_LEN];
	unsigned nnics;
	struct {
		char mac[18],
			address[20]; /* "10.0.0.1/24"; MAC or GUEST_ANY_MAC: the first there is */
	} nics[GUEST_NICS_MAX];
	unsigned nfds; /* descriptors that QEMU shall inherit, the caller's */
	int fds[GUEST_NICS_MAX * 2];
};

/* Appends printf text as one QEMU argument. */
void guest_arg(struct guest_spec *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct guest;

/* Starts QEMU and comes back at once, so that several boot together. `accel`: guest_accel(). NULL with
 * a sentence. */
struct guest *guest_start(const struct guest_image *image, const struct guest_spec *spec,
	const char *accel, struct err *e);
/* Until it has booted and is an agent, which is found under vm:NAME. 0; -ETIMEDOUT, -EPIPE (it died) with
 * a sentence and the last of what it said; -ECANCELED. */
int guest_wait(struct guest *g, int timeout_ms, struct err *e);
/* Kills QEMU, waits for it, forgets it; NULL is harmless. QEMU also ends with the thread that started
 * it, however that ends. */
void guest_end(struct guest *g);

pid_t guest_pid(const struct guest *g);
const char *guest_name(const struct guest *g);
/* The control stream of a running guest by its name, -1: there is none. It closes when QEMU ends. */
int guest_stream(const char *name);

/* QEMU: a program in PATH. */
const char *guest_program(void);
/* The accelerator that guests boot with: WEIR_VM_ACCEL, KVM if a guest without a NIC boots with it from
 * the image, which takes up to 15 s, else emulation; then `why` (not empty) is what was against KVM.
 * NULL: interrupted. */
const char *guest_accel(const struct guest_image *image, struct err *why);
/* Must a vhost-user NIC go without MSI-X here? QEMU before 8 without KVM uses interrupt routes of KVM
 * for it and crashes. */
bool guest_needs_intx(const char *accel);

/* What process 1 says first, when it is ready to be asked. */
#define GUEST_GREETING "weir guest is up\n"

/* In the guest: process 1. Mounts, loads modules, gives NICs their addresses and is the agent, until
 * the machine goes. Does not return. */
void guest_init(void) __attribute__((noreturn));

#endif
