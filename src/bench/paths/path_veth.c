/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>

#include "base/err.h"
#include "bench/paths/path.h"

/* No VM at all: network namespaces on a bridge, what containers have. The reference: what the kernel
 * itself takes, without a guest's. */

static int possible(struct path_bed *b, struct err *e) {
	return path_has("ip", "iproute2", e);
}

static int setup(struct path_bed *b, struct err *e) {
	if (path_ip(e, "link add br0 type bridge forward_delay 0\nlink set br0 up\n") < 0)
		return -EIO;
	return path_ns_bridge(b, 1, b->n, e);
}

const struct path path_veth = {
	"veth", "namespaces instead of VMs, veth, Linux bridge", possible, setup, NULL};
