/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "port/vhost_message.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/passed.h"
#include "port/gmem.h"

/* What a request carries that must hold before the library acts on it. */
enum shape {
	PLAIN,
	RING_STATE, /* u32 index, u32 value; or an address message, which begins the same */
	RING_FD, /* u64: index in the low byte */
	MTU,
	INFLIGHT,
	MEMORY,
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
	[5] = {"SET_MEM_TABLE", MEMORY, 8},
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

bool message_asks(unsigned request) {
	const char *name = message_name(request);

	return name != NULL && strncmp(name, "GET_", 4) == 0;
}

int64_t message_ring(const uint8_t *bytes) {
	const unsigned request = message_u32(bytes);
	const uint32_t index = message_u32(bytes + MESSAGE_HEADER);

	if (message_name(request) == NULL)
		return -1;
	switch (requests[request].shape) {
	case RING_STATE:
		return index;
	case RING_FD:
		return index & 0xff;
	default:
		return -1;
	}
}

/* Descriptors are for what has one, and of the kind it is for. Nobody is asked what a descriptor is but the
 * kernel (passed.h): what is let in can be looked at, mapped and closed without waiting. */
static bool admit_descriptors(const struct message *m, char *why, size_t size) {
	const char *name = message_name(message_u32(m->bytes));

	switch (requests[message_u32(m->bytes)].shape) {
	case MEMORY:
		return true; // with its regions
	case RING_FD:
		break;
	default:
		if (m->nfds == 0 || message_u32(m->bytes) == MESSAGE_SET_INFLIGHT_FD)
			return true; // that looks at it itself
		snprintf(why, size, "vhost-user message %s with %u descriptors; it carries none",
			name, m->nfds);
		return false;
	}
	if (m->nfds <= 1)
		return true;
	snprintf(why, size, "vhost-user message %s with %u descriptors; it carries one", name,
		m->nfds);
	return false;
}

static bool admit_eventfd(const struct message *m, char *why, size_t size) {
	const char *name = message_name(message_u32(m->bytes));

	if (m->nfds == 0 || passed_is_eventfd(m->fds[0]))
		return true;
	snprintf(why, size, "vhost-user message %s for ring %u: the descriptor is not an eventfd",
		name, (unsigned)message_ring(m->bytes));
	return false;
}

/* See inflight_cross in vhost_door.c: weir needs nothing of the region, so it only has to be one. */
static bool admit_inflight(
	const struct message *m, const struct message_limits *l, char *why, size_t size) {
	const uint8_t *p = m->bytes + MESSAGE_HEADER;
	const uint64_t bytes = message_u64(p), offset = message_u64(p + 8);
	const unsigned queues = message_u32(p + 16) & 0xffff, ring = message_u32(p + 16) >> 16;
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
	if (m->nfds == 1 && !passed_is_memory(m->fds[0])) {
		snprintf(why, size,
			"the in-flight region is in a file on neither tmpfs nor hugetlbfs");
		return false;
	}
	if (m->nfds != 1 || fstat(m->fds[0], &st) < 0 || bytes < queues * MESSAGE_INFLIGHT_RING ||
		offset > (uint64_t)st.st_size || bytes > (uint64_t)st.st_size - offset) {
		snprintf(why, size,
			"in-flight region of %llu bytes is too small for %u rings, or for its file",
			(unsigned long long)bytes, queues);
		return false;
	}
	return true;
}

/* One entry of a memory table, as the protocol has it. */
struct region {
	uint64_t gpa, size, uva, offset;
};

/* Of huge pages, whose size st_blksize is, the kernel maps whole ones for a part, but does not unmap a
 * part. */
static uint64_t whole_pages(const struct stat *st, uint64_t bytes) {
	const uint64_t page = (uint64_t)st->st_blksize;

	if (page == 0 || (page & (page - 1)) != 0 || bytes > UINT64_MAX - page)
		return bytes;
	return (bytes + page - 1) & ~(page - 1);
}

/* What is wrong with the region, NULL: nothing. */
static const char *region_fault(const struct region *r, int fd, bool any_memory) {
	uint64_t mapped;
	struct stat st;
	void *p;

	if (r->size == 0)
		return "is empty";
	if (r->gpa + r->size < r->gpa || r->uva + r->size < r->uva ||
		__builtin_add_overflow(r->offset, r->size, &mapped))
		return "wraps around the end of the address space";
	if (!any_memory && !passed_is_memory(fd))
		return "cannot be mapped: its file is on neither tmpfs nor hugetlbfs; `memory: "
		       "any` "
		       "at the port lets it in";
	if (fstat(fd, &st) < 0 || (S_ISREG(st.st_mode) && mapped > (uint64_t)st.st_size))
		return "is longer than its file";
	// The library maps from the file's beginning, and keeps the descriptor when that fails.
	mapped = whole_pages(&st, mapped);
	p = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (p == MAP_FAILED)
		return "cannot be mapped for reading and writing";
	munmap(p, mapped);
	return NULL;
}

static bool admit_memory(
	const struct message *m, const struct message_limits *l, char *why, size_t size) {
	const uint8_t *p = m->bytes + MESSAGE_HEADER;
	const unsigned n = message_u32(p);
	struct region r[GMEM_REGIONS];

	if (n > GMEM_REGIONS) {
		snprintf(why, size,
			"memory table of %u regions; at most %d are taken: give the "
			"guest " MESSAGE_FEWER_REGIONS,
			n, GMEM_REGIONS);
		return false;
	}
	if (n == 0 || m->nfds != n || m->len < MESSAGE_HEADER + 8 + n * MESSAGE_REGION) {
		snprintf(why, size,
			"memory table of %u regions in %zu bytes with %u descriptors; expected 1 "
			"to %d "
			"regions, 32 bytes and a descriptor each",
			n, m->len - MESSAGE_HEADER, m->nfds, GMEM_REGIONS);
		return false;
	}
	memcpy(r, p + 8, n * sizeof(r[0]));
	for (unsigned i = 0; i < n; i++) {
		const char *fault = region_fault(&r[i], m->fds[i], l->any_memory);

		for (unsigned k = 0; k < i && fault == NULL; k++)
			if (r[i].gpa < r[k].gpa + r[k].size && r[k].gpa < r[i].gpa + r[i].size)
				fault = "overlaps another";
		if (fault == NULL)
			continue;
		snprintf(why, size, "memory table: region %u, %llu bytes at 0x%llx, %s", i,
			(unsigned long long)r[i].size, (unsigned long long)r[i].gpa, fault);
		return false;
	}
	return true;
}

bool message_admit(
	const struct message *m, const struct message_limits *l, char *why, size_t size) {
	const unsigned request = message_u32(m->bytes);
	const uint8_t *p = m->bytes + MESSAGE_HEADER;
	const char *name = message_name(request);
	uint32_t ring;

	if (name == NULL) {
		snprintf(why, size, "vhost-user message %u, which weir does not take", request);
		return false;
	}
	if (m->len - MESSAGE_HEADER < requests[request].payload) {
		snprintf(why, size, "vhost-user message %s of %zu bytes; expected %u", name,
			m->len - MESSAGE_HEADER, requests[request].payload);
		return false;
	}
	if (!admit_descriptors(m, why, size))
		return false;
	switch (requests[request].shape) {
	case PLAIN:
		return true;
	case RING_STATE:
		break;
	case RING_FD:
		if (!admit_eventfd(m, why, size))
			return false;
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
	case MEMORY:
		return admit_memory(m, l, why, size);
	}
	ring = (uint32_t)message_ring(m->bytes);
	if (ring < 2 * l->queues)
		return true;
	snprintf(why, size,
		"vhost-user message %s for ring %u; the port has %u queue pairs, rings 0 to %u",
		name, ring, l->queues, 2 * l->queues - 1);
	return false;
}
