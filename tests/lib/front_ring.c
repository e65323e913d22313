/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * The driver's side of split and packed virtqueues.
 *
 * A buffer has an id; in a split ring it is the index of its first descriptor, in a packed ring a
 * number of its own. Free ids wait in a FIFO: a device that returns buffers in order then sees
 * descriptors in ring order, which is what VIRTIO_F_IN_ORDER demands of the driver, and one that
 * does not merely permutes the FIFO. In a split ring a buffer of n pieces takes n ids, in a packed
 * ring one id and n places.
 *
 * With VIRTIO_F_IN_ORDER the device may report only the last buffer of a run it has used; `order`
 * remembers what was made available so that the ones passed over can be told. */
#include "front.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { OFF_MASK = 0x7fff, WRAP_BIT = 0x8000 };

static void write_flags(__virtio16 *p, uint16_t v) {
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static uint16_t read_index(const __virtio16 *p) {
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

/* The two fields of EVENT_IDX at the ends of the split ring's areas (virtio 1.2, 2.7.7 and 2.7.8). */
static __virtio16 *used_event(const struct front_ring *r) {
	return &r->avail->ring[r->size];
}

static __virtio16 *avail_event(const struct front_ring *r) {
	return (__virtio16 *)&r->used->ring[r->size];
}

int front_ring_next(const struct front_ring *r) {
	return r->nfree > 0 ? r->ids[r->first_free] : -EAGAIN;
}

static uint16_t take_id(struct front_ring *r) {
	uint16_t id = r->ids[r->first_free];

	r->first_free = (r->first_free + 1) % r->size;
	r->nfree--;
	return id;
}

static void give_id(struct front_ring *r, uint16_t id) {
	r->ids[(r->first_free + r->nfree) % r->size] = id;
	r->nfree++;
}

/* Writes the pieces into the id's indirect table; returns the one piece that stands for them. */
static struct front_piece make_table(
	struct front_ring *r, uint16_t id, const struct front_piece *p, unsigned n) {
	struct vring_desc *t = r->table + (size_t)id * FRONT_CHAIN_MAX;
	struct vring_packed_desc *pt = (struct vring_packed_desc *)t;

	for (unsigned i = 0; i < n; i++) {
		uint16_t flags = p[i].write ? VRING_DESC_F_WRITE : 0;

		if (r->packed)
			pt[i] = (struct vring_packed_desc){p[i].addr, p[i].len, 0, flags};
		else
			t[i] = (struct vring_desc){p[i].addr, p[i].len,
				flags | (i + 1 < n ? VRING_DESC_F_NEXT : 0), i + 1 < n ? i + 1 : 0};
	}
	return (struct front_piece){
		r->table_gpa + (uint64_t)id * FRONT_CHAIN_MAX * sizeof(*t), n * sizeof(*t), false};
}

static void put_split(struct front_ring *r, uint16_t id, const struct front_piece *p, unsigned n,
	uint16_t extra) {
	uint16_t at = id;

	for (unsigned i = 0; i < n; i++) {
		struct vring_desc *d = &r->desc[at];

		d->addr = p[i].addr;
		d->len = p[i].len;
		d->flags = (p[i].write ? VRING_DESC_F_WRITE : 0) | extra;
		d->next = 0;
		if (i + 1 < n) {
			at = take_id(r);
			d->flags |= VRING_DESC_F_NEXT;
			d->next = at;
		}
	}
	r->avail->ring[r->next_avail % r->size] = id;
	r->next_avail++;
}

static void put_packed(struct front_ring *r, uint16_t id, const struct front_piece *p, unsigned n,
	uint16_t extra) {
	uint16_t head = r->next_avail, head_flags = 0;

	for (unsigned i = 0; i < n; i++) {
		struct vring_packed_desc *d = &r->pdesc[r->next_avail];
		uint16_t flags = (p[i].write ? VRING_DESC_F_WRITE : 0) | extra |
				 (i + 1 < n ? VRING_DESC_F_NEXT : 0) |
				 1u << (r->avail_wrap ? VRING_PACKED_DESC_F_AVAIL
						      : VRING_PACKED_DESC_F_USED);

		d->addr = p[i].addr;
		d->len = p[i].len;
		d->id = id;
		if (i == 0)
			head_flags = flags;
		else
			d->flags = flags;
		if (++r->next_avail == r->size) {
			r->next_avail = 0;
			r->avail_wrap = !r->avail_wrap;
		}
	}
	write_flags(&r->pdesc[head].flags, head_flags);
}

int front_ring_put(struct front_ring *r, const struct front_piece *p, unsigned n, bool indirect) {
	struct front_piece one;
	uint16_t extra = 0, id;

	if (n == 0 || n > (indirect ? FRONT_CHAIN_MAX : r->size))
		return -EINVAL;
	if (r->nfree == 0 || r->places < (indirect ? 1 : n))
		return -EAGAIN;
	id = take_id(r);
	if (indirect) {
		one = make_table(r, id, p, n);
		p = &one;
		n = 1;
		extra = VRING_DESC_F_INDIRECT;
	}
	r->length[id] = n;
	r->places -= n;
	if (r->in_order)
		r->order[r->order_tail++ % r->size] = id;
	if (r->packed)
		put_packed(r, id, p, n, extra);
	else
		put_split(r, id, p, n, extra);
	r->unpublished += r->packed ? n : 1;
	return id;
}

void front_ring_kick(struct front_ring *r) {
	uint64_t one = 1;

	r->kicks++;
	if (write(r->kick, &one, sizeof(one)) < 0)
		r->kicks--; /* the counter is at its limit: the switch has a kick to see */
}

/* Does the switch want to hear of the buffers from `old` to `new` (positions or indices)? Virtio
 * 1.2, 2.7.10 and 2.8.10. */
static bool wants_kick(const struct front_ring *r, uint16_t old) {
	uint16_t new = r->next_avail, event, flags;

	if (!r->packed) {
		if (r->event_idx)
			return vring_need_event(read_index(avail_event(r)), new, old);
		return !(read_index(&r->used->flags) & VRING_USED_F_NO_NOTIFY);
	}
	flags = read_index(&r->device->flags);
	if (flags != VRING_PACKED_EVENT_FLAG_DESC)
		return flags == VRING_PACKED_EVENT_FLAG_ENABLE;
	event = read_index(&r->device->off_wrap);
	if (!!(event & WRAP_BIT) != r->avail_wrap)
		event = (event & OFF_MASK) - r->size;
	else
		event &= OFF_MASK;
	return vring_need_event(event, new, old);
}

void front_ring_publish(struct front_ring *r) {
	uint16_t old = r->next_avail - r->unpublished;

	if (r->unpublished == 0)
		return;
	if (!r->packed)
		write_flags(&r->avail->idx, r->next_avail);
	r->unpublished = 0;
	atomic_thread_fence(memory_order_seq_cst); /* show the buffers before asking */
	if (wants_kick(r, old))
		front_ring_kick(r);
}

static bool used_at(const struct front_ring *r, uint16_t at, bool wrap) {
	uint16_t flags = read_index(&r->pdesc[at].flags);
	bool avail = flags & 1u << VRING_PACKED_DESC_F_AVAIL;
	bool used = flags & 1u << VRING_PACKED_DESC_F_USED;

	return avail == wrap && used == wrap;
}

bool front_ring_ready(const struct front_ring *r) {
	if (r->in_run)
		return true;
	if (r->packed)
		return used_at(r, r->next_used, r->used_wrap);
	return read_index(&r->used->idx) != r->next_used;
}

static void step(const struct front_ring *r, uint16_t *at, bool *wrap, uint16_t n) {
	*at += n;
	if (*at >= r->size) {
		*at -= r->size;
		*wrap = !*wrap;
	}
}

/* What the used entry the driver is at says: id and bytes written. */
static void read_used(const struct front_ring *r, uint32_t *id, uint32_t *len) {
	if (r->packed) {
		*id = r->pdesc[r->next_used].id;
		*len = r->pdesc[r->next_used].len;
	} else {
		*id = r->used->ring[r->next_used % r->size].id;
		*len = r->used->ring[r->next_used % r->size].len;
	}
}

/* Frees the buffer's id, and in a split ring those of the rest of its chain. */
static void release(struct front_ring *r, uint16_t id) {
	uint16_t n = r->length[id];

	r->length[id] = 0;
	r->places += n;
	if (r->packed) {
		step(r, &r->next_used, &r->used_wrap, n);
		give_id(r, id);
		return;
	}
	r->next_used++;
	for (uint16_t at = id; n > 0; n--, at = r->desc[at].next)
		give_id(r, at);
}

int front_ring_take(struct front_ring *r, uint32_t *len) {
	uint32_t id, written;

	if (!front_ring_ready(r))
		return -EAGAIN;
	if (r->in_run) {
		id = r->run_end;
		written = 0;
	} else {
		read_used(r, &id, &written);
	}
	if (!r->in_order && (id >= r->size || r->length[id] == 0))
		return -EPROTO;
	if (r->in_order) { /* the entry may stand for all buffers up to `id` */
		uint16_t oldest = r->order[r->order_head++ % r->size];

		r->in_run = r->packed && oldest != id;
		r->run_end = id;
		written = oldest == id ? written : 0;
		id = oldest;
	}
	release(r, id);
	if (len != NULL)
		*len = written;
	return id;
}

void front_ring_interrupts(struct front_ring *r, bool on) {
	if (r->packed) {
		r->driver->off_wrap = r->next_used | (r->used_wrap ? WRAP_BIT : 0);
		write_flags(&r->driver->flags, !on            ? VRING_PACKED_EVENT_FLAG_DISABLE
					       : r->event_idx ? VRING_PACKED_EVENT_FLAG_DESC
							      : VRING_PACKED_EVENT_FLAG_ENABLE);
	} else if (r->event_idx) {
		write_flags(used_event(r), on ? r->next_used : r->next_used - 1);
	} else {
		write_flags(&r->avail->flags, on ? 0 : VRING_AVAIL_F_NO_INTERRUPT);
	}
	atomic_thread_fence(
		memory_order_seq_cst); /* ask before looking whether something is there */
}

uint32_t front_ring_base(const struct front_ring *r) {
	uint16_t at = r->next_used;
	bool wrap = r->used_wrap;
	uint32_t both;

	if (!r->packed)
		return read_index(&r->used->idx);
	while (used_at(r, at, wrap)) {
		uint16_t id = r->pdesc[at].id;

		if (id >= r->size || r->length[id] == 0)
			break;
		step(r, &at, &wrap, r->length[id]);
	}
	both = at | (wrap ? WRAP_BIT : 0);
	return both << 16 | both;
}
