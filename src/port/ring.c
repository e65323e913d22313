/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "port/ring.h"

#include <string.h>

/* What both kinds of ring share: guest addresses, indirect tables, notifications and positions. The
 * frames themselves are in ring_pull.c and ring_put.c. */

int ring_translate(
	struct ring *v, uint64_t addr, uint32_t len, struct seg *segs, unsigned n, unsigned max) {
	while (len > 0) {
		uint64_t left;
		uint8_t *p = gmem_at(v->mem, addr, &left);

		if (p == NULL) {
			ring_fault(v,
				"queue %u: a buffer of %u bytes at 0x%llx is outside guest memory",
				v->index, len, (unsigned long long)addr);
			return -1;
		}
		if (n == max)
			return -2;
		if (left > len)
			left = len;
		segs[n++] = (struct seg){.base = p, .len = (uint32_t)left};
		addr += left;
		len -= (uint32_t)left;
	}
	return (int)n;
}

/* Entry `i` of an indirect table, copied once; tables may cross regions like any guest memory, but
 * an entry that does is not worth following. */
static bool table_read(struct ring *v, uint64_t table, unsigned i, struct vring_desc *d) {
	uint64_t left;
	const uint8_t *p = gmem_at(v->mem, table + (uint64_t)i * sizeof(*d), &left);

	if (p == NULL || left < sizeof(*d)) {
		ring_fault(v, "queue %u: the indirect table at 0x%llx is outside guest memory",
			v->index, (unsigned long long)table);
		return false;
	}
	__builtin_memcpy(d, p, sizeof(*d));
	__asm__ volatile("" ::: "memory");
	return true;
}

int ring_indirect(struct ring *v, uint64_t addr, uint32_t len, bool writable, struct seg *segs,
	unsigned have, unsigned max, unsigned taken) {
	const unsigned entries = len / sizeof(struct vring_desc);
	int n = (int)have;
	unsigned i = 0;

	if (!v->indirect || len == 0 || len % sizeof(struct vring_desc) != 0 ||
		entries > RING_CHAIN_MAX) {
		ring_fault(v, "queue %u: indirect table of %u bytes; %s", v->index, len,
			v->indirect ? "expected 1 to 256 entries of 16"
				    : "indirect descriptors were not negotiated");
		return -1;
	}
	for (unsigned count = 1;; count++) {
		struct vring_desc d;
		uint16_t flags;

		if (count > entries) {
			ring_fault(v, "queue %u: the indirect table at 0x%llx loops", v->index,
				(unsigned long long)addr);
			return -1;
		}
		if (taken + count > RING_CHAIN_MAX)
			return -2;
		v->steps++;
		if (!table_read(v, addr, i, &d))
			return -1;
		// Packed tables keep {id, flags} where split ones keep {flags, next}.
		flags = v->packed ? d.next : d.flags;
		if (flags & VRING_DESC_F_INDIRECT || !(flags & VRING_DESC_F_WRITE) != !writable) {
			ring_fault(v, "queue %u: entry %u of an indirect table is %s", v->index, i,
				flags & VRING_DESC_F_INDIRECT ? "indirect itself"
				: writable                    ? "read-only for the device"
							      : "writable for the device");
			return -1;
		}
		n = ring_translate(v, d.addr, d.len, segs, (unsigned)n, max);
		if (n < 0)
			return n;
		if (v->packed ? ++i == entries : !(flags & VRING_DESC_F_NEXT))
			return n;
		if (!v->packed)
			i = d.next;
		if (i >= entries) {
			ring_fault(v, "queue %u: entry %u of an indirect table of %u", v->index, i,
				entries);
			return -1;
		}
	}
}

/* The guest writes its wish to be told into a line that it writes all the time. Fetched while the
 * worker waits at its fence. */
static void wish_prefetch(const struct ring *v) {
	if (v->packed)
		__builtin_prefetch(v->driver_event);
	else
		__builtin_prefetch(
			v->event_idx ? (const void *)&v->avail->ring[v->size] : v->avail);
}

void ring_return(struct ring *v) {
	if (v->packed)
		packed_return(v);
	else
		split_return(v);
	v->ntaken = 0;
	v->news = true;
	wish_prefetch(v);
}

void ring_publish(struct ring *v) {
	v->steps = 0;
	if (v->staged == 0)
		return;
	v->news = true;
	if (v->packed)
		packed_publish(v);
	else
		split_publish(v);
	wish_prefetch(v);
}

static bool packed_wants_call(struct ring *v) {
	uint16_t flags = __atomic_load_n(&v->driver_event->flags, __ATOMIC_RELAXED);
	uint16_t now = v->last_used, was = v->signalled, off_wrap, off;
	bool valid = v->signalled_valid;

	v->signalled = now;
	v->signalled_valid = true;
	if (flags != VRING_PACKED_EVENT_FLAG_DESC)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	off_wrap = __atomic_load_n(&v->driver_event->off_wrap, __ATOMIC_RELAXED);
	off = off_wrap & 0x7fff;
	if (now <= was)
		was -= v->size;
	if (v->used_wrap != off_wrap >> 15)
		off -= v->size;
	return !valid || vring_need_event(off, now, was);
}

bool ring_wants_call(struct ring *v) {
	uint16_t was = v->signalled, now = v->last_used;
	bool valid = v->signalled_valid;

	if (v->callfd < 0 || !v->news)
		return false;
	v->news = false;
	if (v->packed)
		return packed_wants_call(v);
	if (!v->event_idx)
		return !(__atomic_load_n(&v->avail->flags, __ATOMIC_RELAXED) &
			 VRING_AVAIL_F_NO_INTERRUPT);
	v->signalled = now;
	v->signalled_valid = true;
	return !valid ||
	       vring_need_event(
		       __atomic_load_n(&v->avail->ring[v->size], __ATOMIC_RELAXED), now, was);
}

bool ring_arm(struct ring *v) {
	if (v->packed) {
		__atomic_store_n(
			&v->device_event->flags, VRING_PACKED_EVENT_FLAG_ENABLE, __ATOMIC_RELAXED);
	} else if (v->event_idx) {
		uint16_t *avail_event = (uint16_t *)&v->used->ring[v->size];

		__atomic_store_n(avail_event, v->last_avail, __ATOMIC_RELAXED);
	} else {
		__atomic_store_n(&v->used->flags, 0, __ATOMIC_RELAXED);
	}
	// The wish must be out before we look for the last time.
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return v->packed ? packed_offered(v) : split_offered(v) != 0;
}

void ring_disarm(struct ring *v) {
	if (v->packed)
		__atomic_store_n(
			&v->device_event->flags, VRING_PACKED_EVENT_FLAG_DISABLE, __ATOMIC_RELAXED);
	else if (!v->event_idx)
		__atomic_store_n(&v->used->flags, VRING_USED_F_NO_NOTIFY, __ATOMIC_RELAXED);
	// With event indices the wish was for one index only, and that has passed.
}

void ring_untake(struct ring *v, const struct chain *from, unsigned n) {
	if (!v->packed) {
		v->last_avail -= n;
		return;
	}
	if (from->pos >= v->last_avail)
		v->avail_wrap = !v->avail_wrap;
	v->last_avail = from->pos;
}

uint16_t ring_base(const struct ring *v) {
	return v->packed ? v->last_avail | v->avail_wrap << 15 : v->last_avail;
}

void ring_set_base(struct ring *v, uint16_t base) {
	if (v->packed) {
		v->last_avail = v->last_used = base & 0x7fff;
		v->avail_wrap = v->used_wrap = base >> 15;
	} else {
		v->last_avail = v->last_used = v->avail_seen = base;
	}
}

void ring_unwind(struct ring *v) {
	// Everything published is used and in order, so what is taken beyond it was never used.
	v->last_avail = v->avail_seen = v->last_used;
	v->avail_wrap = v->used_wrap;
	v->head = v->count = v->nsegs = v->staged = v->ntaken = v->steps = 0;
	// What they told of may be gone, and another's memory where it was.
	memset(v->taken, 0, sizeof(v->taken));
	if (v->windowed) {
		memset(v->win, 0, sizeof(v->win));
		memset(v->segs, 0, sizeof(v->segs));
	}
	v->windowed = false;
}
