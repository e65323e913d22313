/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "port/vhost_session.h"

#include <stdio.h>
#include <string.h>

#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <rte_vhost.h>

/* A ring runs once it has been kicked and enabled; a front end that did not take the protocol's own
 * features has no word for enabling, and a kick does both. GET_VRING_BASE stops it, and what it was told
 * stays for the next kick. */

enum { RING_MAX = 32768, F_PROTOCOL = 30 /* VHOST_USER_F_PROTOCOL_FEATURES */ };

static bool has(const struct session *s, unsigned bit) {
	return s->features >> bit & 1;
}

static bool runs(const struct session_ring *r) {
	return r->kicked && r->enabled && r->placed;
}

static bool size_holds(
	const struct session *s, unsigned index, uint32_t n, char *why, size_t size) {
	const bool packed = has(s, VIRTIO_F_RING_PACKED);

	if (n >= 1 && n <= RING_MAX && (packed || (n & (n - 1)) == 0))
		return true;
	snprintf(why, size, "queue %u: a %s ring of %u descriptors; it can have 1 to %d%s", index,
		packed ? "packed" : "split", n, RING_MAX, packed ? "" : ", a power of two");
	return false;
}

/* With the ring at `index`, are all rings of the port together small enough? The memory for them is the
 * switch's, and shared by all ports. */
static bool sizes_hold(const struct session *s, unsigned index, char *why, size_t size) {
	uint64_t sum = 0;

	for (unsigned i = 0; i < 2 * QUEUES_MAX; i++)
		sum += s->ring[i].size;
	if (sum <= SESSION_DESCRIPTORS_MAX)
		return true;
	snprintf(why, size,
		"queue %u: with its %u descriptors all rings of the port have %llu; at most %d, "
		"which is 16 queue pairs of 4096: take smaller rings or fewer queues",
		index, s->ring[index].size, (unsigned long long)sum, SESSION_DESCRIPTORS_MAX);
	return false;
}

/* Are `len` bytes there in one region? */
static bool in_memory(const struct session *s, uint64_t at, uint64_t len) {
	for (unsigned i = 0; i < s->nregions; i++) {
		const uint64_t off = at - s->region[i].uva;

		if (off < s->region[i].size && len <= s->region[i].size - off)
			return true;
	}
	return false;
}

/* Can the ring run as it is? One that does not, or has no memory yet, can. */
static bool ring_holds(const struct session *s, unsigned index, char *why, size_t size) {
	static const char *const names[] = {
		"the descriptor table", "the driver area", "the device area"};
	const struct session_ring *r = &s->ring[index];
	const bool packed = has(s, VIRTIO_F_RING_PACKED);
	const uint64_t n = r->size, event = has(s, VIRTIO_RING_F_EVENT_IDX) ? 2 : 0;
	const uint64_t len[] = {
		16 * n, packed ? 4 : 4 + 2 * n + event, packed ? 4 : 4 + 8 * n + event};

	if (!runs(r) || s->nregions == 0)
		return true;
	if (!size_holds(s, index, r->size, why, size))
		return false;
	for (unsigned i = 0; i < 3; i++) {
		if (in_memory(s, r->area[i], len[i]))
			continue;
		snprintf(why, size,
			"queue %u: %s, %llu bytes at 0x%llx, is outside the guest's memory (%u "
			"regions, the first 0x%llx to 0x%llx)",
			index, names[i], (unsigned long long)len[i], (unsigned long long)r->area[i],
			s->nregions, (unsigned long long)s->region[0].uva,
			(unsigned long long)(s->region[0].uva + s->region[0].size - 1));
		return false;
	}
	return true;
}

static bool features_hold(const struct session *s, uint64_t f, char *why, size_t size) {
	const uint64_t change = (f ^ s->features) & ~(1ull << VHOST_F_LOG_ALL);

	if (f & ~s->offered) {
		snprintf(why, size,
			"SET_FEATURES of 0x%llx; 0x%llx of it is not offered, 0x%llx is",
			(unsigned long long)f, (unsigned long long)(f & ~s->offered),
			(unsigned long long)s->offered);
		return false;
	}
	for (unsigned i = 0; i < 2 * QUEUES_MAX && change != 0; i++) {
		if (!runs(&s->ring[i]))
			continue;
		snprintf(why, size,
			"SET_FEATURES changes 0x%llx while queue %u runs; features change only "
			"when "
			"all queues are stopped",
			(unsigned long long)change, i);
		return false;
	}
	return true;
}

static bool take_memory(struct session *s, const uint8_t *p, char *why, size_t size) {
	s->nregions = message_u32(p);
	s->memory_due = false;
	for (unsigned i = 0; i < s->nregions; i++) {
		const uint8_t *r = p + 8 + i * MESSAGE_REGION; // gpa, size, uva, offset

		s->region[i].size = message_u64(r + 8);
		s->region[i].uva = message_u64(r + 16);
	}
	for (unsigned i = 0; i < 2 * QUEUES_MAX; i++)
		if (!ring_holds(s, i, why, size))
			return false;
	return true;
}

/* flags, then descriptors, device's, driver's areas: in this order they come. */
static void take_areas(struct session_ring *r, const uint8_t *p) {
	r->area[0] = message_u64(p + 8);
	r->area[2] = message_u64(p + 16);
	r->area[1] = message_u64(p + 24);
	r->placed = true;
}

/* It is stopped, enabled or disabled next, and may have run so far. */
static void ring_ends(struct session *s, const struct session_ring *r) {
	s->ran |= runs(r) && s->nregions > 0;
}

void session_begin(struct session *s, uint64_t offered) {
	memset(s, 0, sizeof(*s));
	s->offered = offered;
}

bool session_admit(struct session *s, const struct message *m, char *why, size_t size) {
	const uint8_t *p = m->bytes + MESSAGE_HEADER;
	const unsigned request = message_u32(m->bytes);
	const int64_t ring = message_ring(m->bytes);
	const unsigned index = (unsigned)ring;
	struct session_ring *r;

	s->said = true;
	switch (request) {
	case MESSAGE_SET_FEATURES:
		if (!features_hold(s, message_u64(p), why, size))
			return false;
		s->features = message_u64(p);
		s->featured = s->memory_due = true;
		return true;
	case MESSAGE_SET_PROTOCOL_FEATURES:
		s->tells_status = message_u64(p) >> VHOST_USER_PROTOCOL_F_STATUS & 1;
		return true;
	case MESSAGE_SET_STATUS:
		s->status = p[0];
		return true;
	case MESSAGE_RESET_OWNER:
		session_begin(s, s->offered);
		s->said = true;
		return true;
	case MESSAGE_SET_MEM_TABLE:
		return take_memory(s, p, why, size);
	default:
		break;
	}
	if (ring < 0 || ring >= 2 * QUEUES_MAX)
		return true;
	r = &s->ring[index];
	switch (request) {
	case MESSAGE_SET_VRING_NUM:
		r->size = message_u32(p + 4);
		if (!size_holds(s, index, r->size, why, size) || !sizes_hold(s, index, why, size))
			return false;
		break;
	case MESSAGE_SET_VRING_ADDR:
		take_areas(r, p);
		break;
	case MESSAGE_SET_VRING_KICK:
		r->kicked = true;
		r->enabled |= !has(s, F_PROTOCOL);
		break;
	case MESSAGE_SET_VRING_ENABLE:
		ring_ends(s, r);
		r->enabled = message_u32(p + 4) != 0;
		break;
	case MESSAGE_SET_VRING_CALL:
		r->called = true;
		return true;
	case MESSAGE_GET_VRING_BASE:
		ring_ends(s, r);
		r->kicked = r->called = false;
		return true;
	default:
		return true;
	}
	return ring_holds(s, index, why, size);
}
