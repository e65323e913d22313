/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "port/vhost_message.h"

#include <stdio.h>
#include <sys/stat.h>

#include <rte_vhost.h>

/* What a request carries that must hold before the library acts on it. */
enum shape {
	PLAIN,
	RING_STATE, /* u32 index, u32 value; or an address message, which begins the same */
	RING_FD, /* u64: index in the low byte */
	MTU,
	INFLIGHT,
};

static const struct {
	const char *name;
	enum shape shape;
	unsigned payload; /* bytes at least */
} requests[] = {
	[1] = {"GET_FEATURES", PLAIN, 0},
	[2] = {"SET_FEATURES", PLAIN, 8},
	[3] = {"SET_OWNER", PLAIN, 0},
	[4] = {"RESET_OWNER", PLAIN, 0},
	[5] = {"SET_MEM_TABLE", PLAIN, 8},
	[8] = {"SET_VRING_NUM", RING_STATE, 8},
	[9] = {"SET_VRING_ADDR", RING_STATE, 40},
	[10] = {"SET_VRING_BASE", RING_STATE, 8},
	[11] = {"GET_VRING_BASE", RING_STATE, 8},
	[12] = {"SET_VRING_KICK", RING_FD, 8},
	[13] = {"SET_VRING_CALL", RING_FD, 8},
	[14] = {"SET_VRING_ERR", RING_FD, 8},
	[15] = {"GET_PROTOCOL_FEATURES", PLAIN, 0},
	[16] = {"SET_PROTOCOL_FEATURES", PLAIN, 8},
	[17] = {"GET_QUEUE_NUM", PLAIN, 0},
	[18] = {"SET_VRING_ENABLE", RING_STATE, 8},
	[20] = {"NET_SET_MTU", MTU, 8},
	[31] = {"GET_INFLIGHT_FD", INFLIGHT, 20},
	[32] = {"SET_INFLIGHT_FD", INFLIGHT, 20},
	[39] = {"SET_STATUS", PLAIN, 8},
	[40] = {"GET_STATUS", PLAIN, 0},
};

enum { NREQUESTS = sizeof(requests) / sizeof(requests[0]) };

const char *message_name(unsigned request) {
	return request < NREQUESTS ? requests[request].name : NULL;
}

/* The library maps the region and writes into it as far as the numbers say, whatever its size. */
static bool admit_inflight(
	const struct message *m, const struct message_limits *l, char *why, size_t size) {
	const uint8_t *p = m->bytes + MESSAGE_HEADER;
	const uint64_t bytes = message_u64(p), offset = message_u64(p + 8);
	const unsigned queues = message_u32(p + 16) & 0xffff, ring = message_u32(p + 16) >> 16;
	uint64_t each = l->packed ? sizeof(struct rte_vhost_inflight_info_packed) +
					    ring * sizeof(struct rte_vhost_inflight_desc_packed)
				  : sizeof(struct rte_vhost_inflight_info_split) +
					    ring * sizeof(struct rte_vhost_inflight_desc_split);
	struct stat st;

	if (queues > 2 * l->queues || ring > 32768) {
		snprintf(why, size,
			"in-flight region for %u rings of %u; the port has %u rings of at most "
			"32768",
			queues, ring, 2 * l->queues);
		return false;
	}
	if (message_u32(m->bytes) != MESSAGE_SET_INFLIGHT_FD)
		return true;
	each = (each + 63) & ~63ull;
	if (m->nfds != 1 || fstat(m->fds[0], &st) < 0 || bytes < each * queues ||
		offset > (uint64_t)st.st_size || bytes > (uint64_t)st.st_size - offset) {
		snprintf(why, size,
			"in-flight region of %llu bytes is too small for %u rings of %u",
			(unsigned long long)bytes, queues, ring);
		return false;
	}
	return true;
}

bool message_admit(
	const struct message *m, const struct message_limits *l, char *why, size_t size) {
	const unsigned request = message_u32(m->bytes);
	const uint8_t *p = m->bytes + MESSAGE_HEADER;
	const char *name = message_name(request);
	unsigned ring = 0;

	if (name == NULL) {
		snprintf(why, size, "vhost-user message %u, which weir does not take", request);
		return false;
	}
	if (m->len - MESSAGE_HEADER < requests[request].payload) {
		snprintf(why, size, "vhost-user message %s of %zu bytes; expected %u", name,
			m->len - MESSAGE_HEADER, requests[request].payload);
		return false;
	}
	switch (requests[request].shape) {
	case PLAIN:
		return true;
	case RING_STATE:
		ring = message_u32(p);
		break;
	case RING_FD:
		ring = message_u32(p) & 0xff;
		break;
	case MTU:
		if (message_u64(p) <= l->mtu)
			return true;
		snprintf(why, size,
			"the guest's host_mtu is %llu and the port's mtu %u; make one fit the "
			"other",
			(unsigned long long)message_u64(p), l->mtu);
		return false;
	case INFLIGHT:
		return admit_inflight(m, l, why, size);
	}
	if (ring < 2 * l->queues)
		return true;
	snprintf(why, size,
		"vhost-user message %s for ring %u; the port has %u queue pairs, rings 0 to %u",
		name, ring, l->queues, 2 * l->queues - 1);
	return false;
}
