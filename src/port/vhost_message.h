/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_PORT_VHOST_MESSAGE_H
#define WEIR_PORT_VHOST_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* vhost-user messages as the door judges them before librte_vhost sees them (QEMU's
 * docs/interop/vhost-user.rst). What the library checks itself is not checked again; what it would
 * wait for, loop over or write past is. */

enum {
	MESSAGE_HEADER = 12,
	MESSAGE_REPLY_FLAGS = 1 | 1 << 2, /* version 1, reply */
	MESSAGE_NEED_REPLY = 1 << 3,
	MESSAGE_INFLIGHT_RING = 64, /* bytes of an in-flight region for each ring */
	MESSAGE_REGION = 32, /* bytes of a region in a memory table */
};

enum message_request {
	MESSAGE_GET_FEATURES = 1,
	MESSAGE_SET_FEATURES = 2,
	MESSAGE_RESET_OWNER = 4,
	MESSAGE_SET_MEM_TABLE = 5,
	MESSAGE_SET_VRING_NUM = 8,
	MESSAGE_SET_VRING_ADDR = 9,
	MESSAGE_SET_VRING_BASE = 10,
	MESSAGE_GET_VRING_BASE = 11,
	MESSAGE_SET_VRING_KICK = 12,
	MESSAGE_SET_VRING_CALL = 13,
	MESSAGE_SET_PROTOCOL_FEATURES = 16,
	MESSAGE_GET_QUEUE_NUM = 17,
	MESSAGE_SET_VRING_ENABLE = 18,
	MESSAGE_GET_INFLIGHT_FD = 31,
	MESSAGE_SET_INFLIGHT_FD = 32,
	MESSAGE_SET_STATUS = 39,
};

/* How a guest gets fewer memory regions; ends the sentence on too many. */
#define MESSAGE_FEWER_REGIONS "fewer NUMA nodes or DIMMs, or one memory backend"

struct message {
	const uint8_t *bytes; /* header and payload, whole */
	size_t len;
	const int *fds;
	unsigned nfds;
};

/* Limits of the port the message came in at. */
struct message_limits {
	unsigned queues; /* pairs */
	unsigned mtu;
	bool any_memory; /* files that are on neither tmpfs nor hugetlbfs are taken, too */
};

static inline uint32_t message_u32(const uint8_t *p) {
	uint32_t v;
	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t message_u64(const uint8_t *p) {
	uint64_t v;
	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

/* Name of a request ("SET_VRING_ADDR"), or NULL when weir does not take it. */
const char *message_name(unsigned request);

/* Does the request have an answer of its own? Others are acknowledged: 0, or they were refused. */
bool message_asks(unsigned request);

/* The ring a message is about, as it says (it may not exist); -1: it is about none. */
int64_t message_ring(const uint8_t *bytes);

/* Does the message hold by itself? vhost_session.h judges it by those before. False, with a sentence in `why`. */
bool message_admit(const struct message *m, const struct message_limits *l, char *why, size_t size);

#endif
