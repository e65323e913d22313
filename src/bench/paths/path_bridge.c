/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/paths/path.h"

/* A Linux bridge with a TAP a guest: what libvirt does when told nothing else. */

static int possible(struct path_bed *b, struct err *e) {
	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		return err_set(e, errno, "/dev/net/tun: %s", strerror(errno));
	return path_has("ip", "iproute2", e);
}

static int vhost_possible(struct path_bed *b, struct err *e) {
	if (access("/dev/vhost-net", R_OK | W_OK) < 0)
		return err_set(e, errno, "/dev/vhost-net: %s; modprobe vhost_net makes it",
			strerror(errno));
	return possible(b, e);
}

static int setup(struct path_bed *b, struct err *e) {
	if (path_ip(e, "link add br0 type bridge forward_delay 0\nlink set br0 up\n") < 0)
		return -EIO;
	for (unsigned i = 1; i <= b->n; i++)
		if (path_ip(e, "tuntap add tap%u mode tap\nlink set tap%u master br0 up\n", i, i) <
			0)
			return -EIO;
	return path_ns_bridge(b, b->n + 1, b->n + b->ns, e);
}

static int add_nic(unsigned i, struct guest_spec *s, const char *model, const char *more) {
	char tap[16];

	snprintf(tap, sizeof(tap), "tap%u", i + 1);
	path_tap_nic(s, tap, model, more);
	return 0;
}

static int virtio_nic(struct path_bed *b, unsigned i, struct guest_spec *s, struct err *e) {
	return add_nic(i, s, "virtio-net-pci", "");
}

static int vhost_nic(struct path_bed *b, unsigned i, struct guest_spec *s, struct err *e) {
	return add_nic(i, s, "virtio-net-pci", ",vhost=on");
}

static int e1000_nic(struct path_bed *b, unsigned i, struct guest_spec *s, struct err *e) {
	return add_nic(i, s, "e1000", "");
}

const struct path path_bridge = {"bridge", "Linux bridge, TAP, virtio-net in QEMU", possible, setup,
	virtio_nic, .mixed = true};
const struct path path_bridge_vhost = {"bridge-vhost",
	"Linux bridge, TAP, virtio-net in the kernel", vhost_possible, setup, vhost_nic,
	.mixed = true};
const struct path path_e1000 = {
	"e1000", "Linux bridge, TAP, an emulated e1000", possible, setup, e1000_nic, .mixed = true};
