/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "bench/paths/path.h"

/* A Linux bridge with a veth pair a guest, whose other end QEMU has over AF_XDP in place of a TAP. QEMU can
 * that from 8.2 on, when it was built with libxdp. The veth copies: its driver takes frames from user space
 * only as copies. */

static int possible(struct path_bed *b, struct err *e) {
	char *argv[] = {(char *)guest_program(), "-netdev", "help", NULL}, *said;
	bool has;

	if (path_has(guest_program(), "qemu-system-x86", e) < 0 || path_ask(argv, &said, e) < 0)
		return -ENOENT;
	has = strstr(said, "af-xdp") != NULL;
	free(said);
	if (!has)
		return err_set(e, EOPNOTSUPP,
			"this QEMU has no netdev af-xdp, which comes with 8.2 and libxdp "
			"(WEIR_VM_QEMU names another)");
	return path_has("ip", "iproute2", e);
}

static int setup(struct path_bed *b, struct err *e) {
	if (path_ip(e, "link add br0 type bridge forward_delay 0\nlink set br0 up\n") < 0)
		return -EIO;
	for (unsigned i = 1; i <= b->n; i++)
		if (path_ip(e,
			    "link add xdp%u type veth peer name port%u\n"
			    "link set xdp%u promisc on up\nlink set port%u master br0 up\n",
			    i, i, i, i) < 0)
			return -EIO;
	return 0;
}

static int nic(struct path_bed *b, unsigned i, struct guest_spec *s, struct err *e) {
	guest_arg(s, "-netdev");
	guest_arg(s, "af-xdp,id=n0,ifname=xdp%u,mode=native,force-copy=on", i + 1);
	guest_arg(s, "-device");
	guest_arg(s, "virtio-net-pci,netdev=n0,mac=%s,romfile=", s->nics[0].mac);
	return 0;
}

const struct path path_af_xdp = {
	"af-xdp", "Linux bridge, veth, AF_XDP in QEMU", possible, setup, nic};
