/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "port/ring.h"

/* Packed rings: one table of descriptors that both sides rewrite; two flag bits and a wrap counter
 * say whose each is (virtio 1.2, 2.8). A slot is available in lap W when AVAIL == W and USED != W,
 * and used when both are W. We return the slot of a chain's head and skip the rest of the chain.
 *
 * A used element is one aligned 8-byte store {len, id, flags}, written in ring order: whenever weir
 * is killed, the ring says where it was, although front ends do not know (QEMU keeps the position of
 * the last orderly stop). A slot's USED bit is W in the slots that we have passed in lap W and its
 * opposite in those that we have not, whatever the driver does meanwhile: the position is where it
 * changes. Two things are written out of order, because the driver must not see their beginning
 * first: the later buffers of a merged frame, and the bits of a chain's later slots. See stopped_at
 * and repair. */

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
static bool chain_end(struct ring *v, struct chain *t) {
	uint16_t pos = t->pos, flags = t->flags;
	bool wrap = v->avail_wrap;

	while (flags & VRING_DESC_F_NEXT) {
		if (++t->ndesc > v->size) {
			ring_fault(v,
				"queue %u: the chain at slot %u is longer than the ring of %u",
				v->index, t->pos, v->size);
			return false;
		}
		if (t->ndesc > RING_CHAIN_MAX) {
			ring_fault(v,
				"queue %u: the chain at slot %u is longer than %d descriptors",
				v->index, t->pos, RING_CHAIN_MAX);
			return false;
		}
		advance(&pos, &wrap, 1, v->size);
		flags = flags_at(v, pos);
	}
	t->id = __atomic_load_n(&v->pdesc[pos].id, __ATOMIC_RELAXED);
	v->steps += t->ndesc;
	return true;
}

/* Slots that are the guest's: all but those we took and have not given back. One that writes flags out
 * of turn would otherwise have us go round and take slots that we have. */
static unsigned slots_left(const struct ring *v) {
	unsigned have = v->avail_wrap != v->used_wrap ? v->size : 0;

	return v->size - (have + v->last_avail - v->last_used);
}

unsigned packed_take(struct ring *v, struct chain *to, unsigned budget, bool write) {
	struct gmem_region near = {0};
	unsigned left = slots_left(v), n;

	if (budget > left)
		budget = left;
	for (n = 0; n < budget; n++) {
		struct chain *t = &to[n];
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
		if (__builtin_expect(flags & VRING_DESC_F_NEXT, 0)) {
			if (!chain_end(v, t))
				return 0;
			if (v->steps > RING_STEPS_MAX)
				budget = n + 1;
		}
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
		chain_locate(v->mem, &near, t, write);
		left -= t->ndesc;
		advance(&v->last_avail, &v->avail_wrap, t->ndesc, v->size);
	}
	return n;
}

int packed_gather(
	struct ring *v, const struct chain *t, bool writable, struct seg *segs, unsigned max) {
	uint16_t pos = t->pos;
	int n = 0;

	if (t->flags & VRING_DESC_F_INDIRECT) {
		if (t->flags & VRING_DESC_F_NEXT) {
			ring_fault(
				v, "queue %u: slot %u is indirect and chained", v->index, t->pos);
			return -1;
		}
		return ring_indirect(v, t->addr, t->len, writable, segs, 0, max, 0);
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

/* A position in the ring: a slot, and the wrap counter of the lap that comes to it. */
struct place {
	uint16_t slot;
	bool wrap;
};

static inline void step(struct place *at, const struct ring *v) {
	advance(&at->slot, &at->wrap, 1, v->size);
}

/* Ours already in this lap? Both sides keep the bit when they write a slot: the driver sets it to the
 * opposite of its lap, which is the lap of ours that the slot has seen last. */
static inline bool used_at(const struct ring *v, struct place at) {
	return !!(flags_at(v, at.slot) & F_USED) == at.wrap;
}

/* Nobody reads the flags of a chain's later slots again but packed_recover. */
static __attribute__((noinline)) void tail_used(struct ring *v, struct place at, uint16_t n) {
	while (--n > 0) {
		uint16_t flags;

		step(&at, v);
		flags = flags_at(v, at.slot);
		flags = at.wrap ? flags | F_USED : flags & ~F_USED;
		__atomic_store_n(&v->pdesc[at.slot].flags, flags, __ATOMIC_RELAXED);
	}
}

static inline void element(
	struct ring *v, struct place at, uint16_t id, uint32_t len, uint16_t ndesc, bool wrote) {
	union {
		struct {
			uint32_t len;
			uint16_t id, flags;
		};
		uint64_t word;
	} e = {.len = len, .id = id};

	if (at.wrap)
		e.flags = F_AVAIL | F_USED;
	if (wrote)
		e.flags |= VRING_DESC_F_WRITE;
	if (__builtin_expect(ndesc > 1, 0))
		tail_used(v, at, ndesc);
	__atomic_store_n((uint64_t *)&v->pdesc[at.slot].len, e.word, __ATOMIC_RELEASE);
}

static inline struct place place_used(const struct ring *v) {
	return (struct place){v->last_used, v->used_wrap};
}

void packed_return(struct ring *v) {
	for (unsigned i = 0; i < v->ntaken; i++) {
		element(v, place_used(v), v->taken[i].id, 0, v->taken[i].ndesc, false);
		advance(&v->last_used, &v->used_wrap, v->taken[i].ndesc, v->size);
	}
}

/* The buffers of one frame, v->stage[i..end): the first comes last, or the guest might see it without
 * the others. */
static __attribute__((noinline)) void frame_publish(struct ring *v, unsigned i, unsigned end) {
	struct place at = place_used(v);
	unsigned k;

	for (k = i; k < end; k++)
		advance(&at.slot, &at.wrap, v->stage[k].ndesc, v->size);
	v->last_used = at.slot;
	v->used_wrap = at.wrap;
	while (k-- > i) {
		if (at.slot < v->stage[k].ndesc) {
			at.slot += v->size;
			at.wrap = !at.wrap;
		}
		at.slot -= v->stage[k].ndesc;
		element(v, at, v->stage[k].id, v->stage[k].len & ~STAGE_LATER, v->stage[k].ndesc,
			true);
	}
}

void packed_publish(struct ring *v) {
	for (unsigned i = 0, end; i < v->staged; i = end) {
		end = i + 1;
		while (end < v->staged && v->stage[end].len & STAGE_LATER)
			end++;
		if (__builtin_expect(end > i + 1, 0)) {
			frame_publish(v, i, end);
			continue;
		}
		element(v, place_used(v), v->stage[i].id, v->stage[i].len, v->stage[i].ndesc, true);
		advance(&v->last_used, &v->used_wrap, v->stage[i].ndesc, v->size);
	}
	v->staged = 0;
}

/* Did we stop here? Slots ahead may be ours already, if they belong to the chain or frame whose head
 * we were about to write. Then all before them are on offer, and they have not been offered again. */
static bool stopped_at(const struct ring *v, struct place at) {
	bool offered = true;

	for (unsigned i = 0; i < v->size; i++, step(&at, v)) {
		const uint16_t flags = flags_at(v, at.slot);
		const bool avail = !!(flags & F_AVAIL) == at.wrap;

		if (!!(flags & F_USED) != at.wrap)
			offered &= avail;
		else if (!avail || !offered)
			return false;
	}
	return true;
}

/* Ends what was begun there. A frame in merged buffers is finished, as all but its last are full; a
 * chain is as if it had not been touched. Where to go on. */
static struct place repair(struct ring *v, struct place at) {
	struct place i = at, end = at;

	for (unsigned n = 0; n < v->size; n++) {
		bool used = used_at(v, i);

		step(&i, v);
		if (used)
			end = i;
	}
	if (end.slot == at.slot)
		return at;
	if (!v->mergeable || v->index % 2 == 1 || flags_at(v, at.slot) & VRING_DESC_F_NEXT) {
		for (i = at; i.slot != end.slot; step(&i, v))
			if (used_at(v, i))
				v->pdesc[i.slot].flags ^= F_USED;
		return at;
	}
	for (i = at, step(&i, v); i.slot != end.slot; step(&i, v))
		if (!used_at(v, i))
			element(v, i, v->pdesc[i.slot].id, v->pdesc[i.slot].len, 1, true);
	element(v, at, v->pdesc[at.slot].id, v->pdesc[at.slot].len, 1, true);
	return end;
}

/* Places that are looked at all round the ring. A batch that was cut short leaves the bit changing at its
 * place, and at both ends of what was begun behind that and of what was repaired of it; a guest could
 * make it change at every slot. */
enum { RECOVER_TRIES = 16 };

bool packed_recover(struct ring *v) {
	bool before = flags_at(v, v->size - 1) & F_USED, now;
	unsigned tries = 0;

	for (unsigned i = 0; i < v->size && tries < RECOVER_TRIES; i++, before = now) {
		struct place at;

		now = flags_at(v, (uint16_t)i) & F_USED;
		at = (struct place){(uint16_t)i, !now};
		if ((before != now) != (i > 0))
			continue;
		tries++;
		if (stopped_at(v, at)) {
			at = repair(v, at);
			v->last_avail = v->last_used = at.slot;
			v->avail_wrap = v->used_wrap = at.wrap;
			return true;
		}
	}
	return false;
}
