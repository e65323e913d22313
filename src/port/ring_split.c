/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "port/ring.h"

#include <string.h>

#include <rte_prefetch.h>

#include "base/log.h"

/* Split rings: a table of descriptors, a ring of heads the guest made available, a ring of heads we
 * have used (virtio 1.2, 2.7). Indices run freely over 16 bits; the ring size is a power of two. */

/* How many heads wait beyond `last_avail`; 0 also after a fault. Never more than what was given back
 * leaves of the ring: those that we have taken and not given back are not the guest's to offer. */
unsigned split_offered(struct ring *v) {
	const uint16_t taken = v->last_avail - v->last_used;
	uint16_t n = __atomic_load_n(&v->avail->idx, __ATOMIC_ACQUIRE) - v->last_avail;

	if (__builtin_expect((uint32_t)n + taken > v->size, 0)) {
		ring_fault(v,
			"queue %u: the available index jumped %u entries ahead in a ring of %u",
			v->index, n, v->size);
		return 0;
	}
	return n;
}

/* One 16-byte descriptor, each half read once: atomic loads are not repeated after a check. */
static inline struct vring_desc desc_read(const struct vring_desc *p) {
	const uint64_t *from = (const uint64_t *)p;
	uint64_t half[2] = {__atomic_load_n(&from[0], __ATOMIC_RELAXED),
		__atomic_load_n(&from[1], __ATOMIC_RELAXED)};
	struct vring_desc d;

	_Static_assert(sizeof(d) == 16, "virtio 1.2, 2.7.5");
	__builtin_memcpy(&d, half, sizeof(d));
	return d;
}

/* Heads that may be taken, at most `budget`. The guest's index lies in a line that it writes all the
 * time; it is read again only when what was seen of it does not fill a batch. */
static inline unsigned heads(struct ring *v, unsigned budget) {
	uint16_t n = v->avail_seen - v->last_avail;

	if (n < budget) {
		n = (uint16_t)split_offered(v);
		v->avail_seen = v->last_avail + n;
	}
	return n < budget ? n : budget;
}

/* The heads of the next `n` chains, in one or two pieces; not read again. */
static inline void heads_read(struct ring *v, unsigned n) {
	const unsigned at = v->last_avail & (v->size - 1), straight = v->size - at;
	const unsigned first = n < straight ? n : straight;

	memcpy(v->ids, &v->avail->ring[at], first * sizeof(v->ids[0]));
	memcpy(v->ids + first, v->avail->ring, (n - first) * sizeof(v->ids[0]));
	__asm__ volatile("" ::: "memory");
}

static inline __attribute__((always_inline)) unsigned take(
	struct ring *v, struct chain *to, unsigned budget, bool write) {
	const unsigned n = heads(v, budget);
	const struct vring_desc *table = v->desc;
	const struct gmem *mem = v->mem;
	struct gmem_region near = {0};
	const unsigned size = v->size;

	heads_read(v, n);
	for (unsigned i = 0; i < n; i++) {
		if (__builtin_expect(v->ids[i] >= size, 0)) {
			ring_fault(v, "queue %u: descriptor %u in a ring of %u", v->index,
				v->ids[i], size);
			return 0;
		}
		rte_prefetch0(&table[v->ids[i]]);
	}
	for (unsigned i = 0; i < n; i++) {
		const uint16_t id = v->ids[i];
		struct vring_desc d = desc_read(&table[id]);

		memcpy(&to[i], &d, sizeof(d)); // addr, len, flags, and next as pos
		to[i].id = id;
		chain_locate(mem, &near, &to[i], write);
	}
	v->last_avail += n;
	return n;
}

unsigned split_take(struct ring *v, struct chain *to, unsigned budget, bool write) {
	return write ? take(v, to, budget, true) : take(v, to, budget, false);
}

int split_gather(
	struct ring *v, const struct chain *t, bool writable, struct seg *segs, unsigned max) {
	struct vring_desc d = {.addr = t->addr, .len = t->len, .flags = t->flags, .next = t->pos};
	int n = 0;

	for (unsigned count = 1;; count++) {
		if (count > v->size) {
			ring_fault(
				v, "queue %u: the chain of descriptor %u loops", v->index, t->id);
			return -1;
		}
		if (count > RING_CHAIN_MAX)
			return -2;
		v->steps++;
		if (d.flags & VRING_DESC_F_INDIRECT) {
			if (d.flags & VRING_DESC_F_NEXT) {
				ring_fault(v, "queue %u: descriptor %u is indirect and chained",
					v->index, t->id);
				return -1;
			}
			return ring_indirect(v, d.addr, d.len, writable, segs, n, max, count - 1);
		}
		if (!(d.flags & VRING_DESC_F_WRITE) != !writable) {
			ring_fault(v, "queue %u: descriptor %u is %s for the device", v->index,
				t->id, writable ? "read-only" : "writable");
			return -1;
		}
		n = ring_translate(v, d.addr, d.len, segs, n, max);
		if (n < 0 || !(d.flags & VRING_DESC_F_NEXT))
			return n;
		if (d.next >= v->size) {
			ring_fault(v, "queue %u: descriptor %u chained in a ring of %u", v->index,
				d.next, v->size);
			return -1;
		}
		d = desc_read(&v->desc[d.next]);
	}
}

static void publish(struct ring *v) {
	__atomic_store_n(&v->used->idx, v->last_used, __ATOMIC_RELEASE);
}

/* Used entries {id, len 0} as numbers: a loop that the compiler can make vectors of. */
static inline void used_fill(struct vring_used_elem *to, const uint16_t *ids, unsigned n) {
	_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "id comes first");
	for (unsigned i = 0; i < n; i++) {
		const uint64_t e = ids[i];

		memcpy(&to[i], &e, sizeof(e));
	}
}

void split_return(struct ring *v) {
	const unsigned at = v->last_used & (v->size - 1), straight = v->size - at;
	const unsigned first = v->ntaken < straight ? v->ntaken : straight;

	used_fill(&v->used->ring[at], v->ids, first);
	used_fill(v->used->ring, v->ids + first, v->ntaken - first);
	v->last_used += v->ntaken;
	publish(v);
}

void split_publish(struct ring *v) {
	v->last_used += v->staged;
	v->staged = 0;
	publish(v);
}
