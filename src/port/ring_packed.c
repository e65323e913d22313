/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "port/ring.h"

/* Packed rings: one table of descriptors that both sides rewrite; two flag bits and a wrap counter
 * say whose each is (virtio 1.2, 2.8). A slot is available in lap W when AVAIL == W and USED != W,
 * and used when both are W. We return the slot of a chain's head and skip the rest of the chain.
 *
 * A used element is one aligned 8-byte store {len, id, flags}, written in ring order: whenever weir
 * is killed, what it has written so far is a valid state. */

#define F_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define F_USED  (1u << VRING_PACKED_DESC_F_USED)

_Static_assert(sizeof(struct vring_packed_desc) == 16, "virtio 1.2, 2.8.13");

static inline bool is_avail(uint16_t flags, bool wrap) {
	return !!(flags & F_AVAIL) == wrap && !!(flags & F_USED) != wrap;
}

static inline uint16_t flags_at(const struct ring *v, uint16_t pos) {
	return __atomic_load_n(&v->pdesc[pos].flags, __ATOMIC_ACQUIRE);
}

bool packed_offered(const struct ring *v) {
	return is_avail(flags_at(v, v->last_avail), v->avail_wrap);
}

static inline void advance(uint16_t *pos, bool *wrap, uint16_t by, uint16_t size) {
	*pos += by;
	if (*pos >= size) {
		*pos -= size;
		*wrap = !*wrap;
	}
}

/* The chain that starts at last_avail: its length in slots and its id (that of the last slot). */
static bool chain_end(struct ring *v, struct taken *t) {
	uint16_t pos = t->pos, flags = t->flags;
	bool wrap = v->avail_wrap;

	while (flags & VRING_DESC_F_NEXT) {
		if (++t->ndesc > v->size) {
			ring_fault(v,
				"queue %u: the chain at slot %u is longer than the ring of %u",
				v->index, t->pos, v->size);
			return false;
		}
		advance(&pos, &wrap, 1, v->size);
		flags = flags_at(v, pos);
	}
	t->id = __atomic_load_n(&v->pdesc[pos].id, __ATOMIC_RELAXED);
	return true;
}

/* Slots that are the guest's: all but those we took and have not given back. One that writes flags out
 * of turn would otherwise have us go round and take slots that we have. */
static unsigned slots_left(const struct ring *v) {
	unsigned have = v->avail_wrap != v->used_wrap ? v->size : 0;

	return v->size - (have + v->last_avail - v->last_used);
}

unsigned packed_take(struct ring *v, unsigned budget) {
	unsigned left = slots_left(v), n;

	if (budget > left)
		budget = left;
	for (n = 0; n < budget; n++) {
		struct taken *t = &v->taken[n];
		const struct vring_packed_desc *d = &v->pdesc[v->last_avail];
		uint16_t flags = __atomic_load_n(&d->flags, __ATOMIC_ACQUIRE);

		if (!is_avail(flags, v->avail_wrap))
			break;
		t->addr = __atomic_load_n(&d->addr, __ATOMIC_RELAXED);
		t->len = __atomic_load_n(&d->len, __ATOMIC_RELAXED);
		t->id = __atomic_load_n(&d->id, __ATOMIC_RELAXED);
		t->flags = flags;
		t->pos = v->last_avail;
		t->ndesc = 1;
		if (__builtin_expect(flags & VRING_DESC_F_NEXT, 0) && !chain_end(v, t))
			return 0;
		if (__builtin_expect(t->id >= v->size, 0)) {
			ring_fault(v, "queue %u: buffer id %u in a ring of %u", v->index, t->id,
				v->size);
			return 0;
		}
		if (__builtin_expect(t->ndesc > left, 0)) {
			ring_fault(v,
				"queue %u: the chain at slot %u has slots that were not given back",
				v->index, t->pos);
			return 0;
		}
		left -= t->ndesc;
		advance(&v->last_avail, &v->avail_wrap, t->ndesc, v->size);
	}
	return n;
}

int packed_gather(
	struct ring *v, const struct taken *t, bool writable, struct seg *segs, unsigned max) {
	uint16_t pos = t->pos;
	int n = 0;

	if (t->flags & VRING_DESC_F_INDIRECT) {
		if (t->flags & VRING_DESC_F_NEXT) {
			ring_fault(
				v, "queue %u: slot %u is indirect and chained", v->index, t->pos);
			return -1;
		}
		return ring_indirect(v, t->addr, t->len, writable, segs, 0, max);
	}
	for (unsigned i = 0; i < t->ndesc; i++) {
		const struct vring_packed_desc *d = &v->pdesc[pos];
		uint64_t addr = i == 0 ? t->addr : __atomic_load_n(&d->addr, __ATOMIC_RELAXED);
		uint32_t len = i == 0 ? t->len : __atomic_load_n(&d->len, __ATOMIC_RELAXED);
		uint16_t flags = i == 0 ? t->flags : __atomic_load_n(&d->flags, __ATOMIC_RELAXED);

		if (!(flags & VRING_DESC_F_WRITE) != !writable ||
			(i > 0 && flags & VRING_DESC_F_INDIRECT)) {
			ring_fault(v, "queue %u: slot %u is %s", v->index, pos,
				flags & VRING_DESC_F_INDIRECT ? "indirect inside a chain"
				: writable                    ? "read-only for the device"
							      : "writable for the device");
			return -1;
		}
		n = ring_translate(v, addr, len, segs, n, max);
		if (n < 0)
			return n;
		if (++pos == v->size)
			pos = 0;
	}
	return n;
}

static void element(struct ring *v, uint16_t id, uint32_t len, uint16_t ndesc, bool wrote) {
	union {
		struct {
			uint32_t len;
			uint16_t id, flags;
		};
		uint64_t word;
	} e = {.len = len, .id = id};

	if (v->used_wrap)
		e.flags = F_AVAIL | F_USED;
	if (wrote)
		e.flags |= VRING_DESC_F_WRITE;
	__atomic_store_n((uint64_t *)&v->pdesc[v->last_used].len, e.word, __ATOMIC_RELEASE);
	advance(&v->last_used, &v->used_wrap, ndesc, v->size);
}

/* The mark: magic, then the position as SET_VRING_BASE has it, in one store. Nothing is ever in flight
 * across a publication, so this is all that has to outlive us. The guest can write it too. */
#define MARK_MAGIC (0x77656972ull << 32)

static void mark(struct ring *v) {
	const unsigned at = v->last_used | v->used_wrap << 15; // last_avail is a window ahead

	if (v->mark != NULL)
		__atomic_store_n(v->mark, MARK_MAGIC | at, __ATOMIC_RELAXED);
}

bool packed_resume(struct ring *v) {
	uint64_t m = v->mark != NULL ? __atomic_load_n(v->mark, __ATOMIC_RELAXED) : 0;

	if ((m & ~0xffffull) != MARK_MAGIC || (m & 0x7fff) >= v->size)
		return false;
	ring_set_base(v, (uint16_t)m);
	return true;
}

void packed_return(struct ring *v) {
	for (unsigned i = 0; i < v->ntaken; i++)
		element(v, v->taken[i].id, 0, v->taken[i].ndesc, false);
	mark(v);
}

void packed_publish(struct ring *v) {
	for (unsigned i = 0; i < v->staged; i++)
		element(v, v->stage[i].id, v->stage[i].len, v->stage[i].ndesc, true);
	v->staged = 0;
	mark(v);
}

/* Slots of lap `wrap` from 0 on must read: made available for the next lap (or none of these), used,
 * available, and, when there were none of the first, not reached yet. Where "available" would begin
 * is where the device goes on. */
static bool lap_fits(const struct ring *v, bool wrap, uint16_t *at) {
	uint16_t i = 0, ahead;

	while (i < v->size && is_avail(flags_at(v, i), !wrap))
		i++;
	ahead = i;
	while (i < v->size && !!(flags_at(v, i) & F_AVAIL) == wrap &&
		!!(flags_at(v, i) & F_USED) == wrap)
		i++;
	*at = i;
	while (i < v->size && is_avail(flags_at(v, i), wrap))
		i++;
	if (ahead == 0)
		while (i < v->size && !!(flags_at(v, i) & F_AVAIL) != wrap &&
			!!(flags_at(v, i) & F_USED) != wrap)
			i++;
	return i == v->size;
}

void packed_recover(struct ring *v) {
	uint16_t at;

	// Where the front end says we were, going on past what was used before it could be told.
	if (v->last_used != 0 || !v->used_wrap) {
		for (unsigned i = 0; i < v->size; i++) {
			uint16_t f = flags_at(v, v->last_used);

			if (!!(f & F_AVAIL) != v->used_wrap || !!(f & F_USED) != v->used_wrap)
				break;
			advance(&v->last_used, &v->used_wrap, 1, v->size);
		}
	} else if (lap_fits(v, true, &at)) {
		v->last_used = at;
	} else if (lap_fits(v, false, &at)) {
		v->last_used = at;
		v->used_wrap = false;
	}
	if (v->last_used == v->size) {
		v->last_used = 0;
		v->used_wrap = !v->used_wrap;
	}
	v->last_avail = v->last_used;
	v->avail_wrap = v->used_wrap;
}
