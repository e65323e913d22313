/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_ENDPOINT_H
#define WEIR_BENCH_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

/* Where a measurement begins or ends, as a user names it. */

struct err;

enum endpoint_kind {
	ENDPOINT_NS, /* ns:NAME, a network namespace under /run/netns */
	ENDPOINT_IF, /* if:NAME, an interface of the namespace this process is in */
	ENDPOINT_HOST, /* HOST, HOST:PORT, [V6] or [V6]:PORT: a `weir bench serve` */
	ENDPOINT_VM, /* vm:NAME, or vm:/PATH of the socket behind which its agent is */
	ENDPOINT_VHOST_USER /* vhost-user:PATH */
};

#define ENDPOINT_KINDS "ns:NAME, if:NAME, HOST[:PORT], vm:NAME, vhost-user:PATH"

/* Where the sockets of VMs are looked for: NAME.sock. */
#define ENDPOINT_VM_DIR "/run/weir/vm"

enum { ENDPOINT_PORT = 9479, ENDPOINT_NAME_MAX = 256 };

struct endpoint {
	enum endpoint_kind kind;
	char text[ENDPOINT_NAME_MAX + 16]; /* as it was written: what results call it */
	char name[ENDPOINT_NAME_MAX]; /* NAME, HOST (no brackets) or PATH */
	uint16_t port; /* of ENDPOINT_HOST */
};

/* Splits the text. 0 or -EINVAL with a sentence that says what there is. Whether a namespace or an
 * interface exists is seen when it is opened (agent.h). */
int endpoint_parse(struct endpoint *ep, const char *text, struct err *e);

#endif
