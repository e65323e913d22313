/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "port/ring.h"

#include <rte_prefetch.h>

#include "base/log.h"

/* Split rings: a table of descriptors, a ring of heads the guest made available, a ring of heads we
 * have used (virtio 1.2, 2.7). Indices run freely over 16 bits; the ring size is a power of two. */

/* How many heads wait beyond `last_avail`; 0 also after a fault. */
unsigned split_offered(struct ring *v) {
	uint16_t n = __atomic_load_n(&v->avail->idx, __ATOMIC_ACQUIRE) - v->last_avail;

	if (__builtin_expect(n > v->size, 0)) {
		ring_fault(v,
			"queue %u: the available index jumped %u entries ahead in a ring of %u",
			v->index, n, v->size);
		return 0;
	}
	return n;
}

/* One 16-byte descriptor, read once. */
static inline struct vring_desc desc_read(const struct vring_desc *p) {
	struct vring_desc d;

	_Static_assert(sizeof(d) == 16, "virtio 1.2, 2.7.5");
	__builtin_memcpy(&d, p, sizeof(d));
	__asm__ volatile("" ::: "memory"); // not read again after a check
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

static inline __attribute__((always_inline)) unsigned take(
	struct ring *v, unsigned budget, bool write) {
	const unsigned n = heads(v, budget);
	const uint16_t mask = v->size - 1;

	for (unsigned i = 0; i < n; i++) {
		uint16_t id = __atomic_load_n(
			&v->avail->ring[(v->last_avail + i) & mask], __ATOMIC_RELAXED);

		if (__builtin_expect(id >= v->size, 0)) {
			ring_fault(v, "queue %u: descriptor %u in a ring of %u", v->index, id,
				v->size);
			return 0;
		}
		v->taken[i].id = id;
		rte_prefetch0(&v->desc[id]);
	}
	for (unsigned i = 0; i < n; i++) {
		struct taken *t = &v->taken[i];
		struct vring_desc d = desc_read(&v->desc[t->id]);

		t->addr = d.addr;
		t->len = d.len;
		t->flags = d.flags;
		t->pos = d.next;
		taken_locate(v, t, write);
	}
	v->last_avail += n;
	return n;
}

unsigned split_take(struct ring *v, unsigned budget, bool write) {
	return write ? take(v, budget, true) : take(v, budget, false);
}

int split_gather(
	struct ring *v, const struct taken *t, bool writable, struct seg *segs, unsigned max) {
	struct vring_desc d = {.addr = t->addr, .len = t->len, .flags = t->flags, .next = t->pos};
	int n = 0;

	for (unsigned count = 1;; count++) {
		if (count > v->size) {
			ring_fault(
				v, "queue %u: the chain of descriptor %u loops", v->index, t->id);
			return -1;
		}
		if (d.flags & VRING_DESC_F_INDIRECT) {
			if (d.flags & VRING_DESC_F_NEXT) {
				ring_fault(v, "queue %u: descriptor %u is indirect and chained",
					v->index, t->id);
				return -1;
			}
			return ring_indirect(v, d.addr, d.len, writable, segs, n, max);
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

static inline void used_write(struct ring *v, uint16_t at, uint16_t id, uint32_t len) {
	struct vring_used_elem e = {.id = id, .len = len};

	v->used->ring[at & (v->size - 1)] = e;
}

static void publish(struct ring *v) {
	__atomic_store_n(&v->used->idx, v->last_used, __ATOMIC_RELEASE);
}

void split_return(struct ring *v) {
	for (unsigned i = 0; i < v->ntaken; i++)
		used_write(v, v->last_used + i, v->taken[i].id, 0);
	v->last_used += v->ntaken;
	publish(v);
}

void split_publish(struct ring *v) {
	v->last_used += v->staged;
	v->staged = 0;
	publish(v);
}
