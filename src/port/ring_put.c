/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "port/ring.h"

#include <string.h>

#include <linux/virtio_net.h>
#include <rte_memcpy.h>

#include "frame/offload.h"

/* From frames into a guest's receive ring. The one copy of a frame happens here. */

/* Finds the pieces of window entry `r`, at most `max`. False after a fault. */
static __attribute__((noinline)) bool pieces_find(struct ring *v, struct chain *r, unsigned max) {
	struct seg *segs = &v->segs[v->nsegs];
	uint64_t total = 0;
	int n;

	n = v->packed ? packed_gather(v, r, true, segs, max) : split_gather(v, r, true, segs, max);
	if (n == -1)
		return false;
	for (int i = 0; i < n; i++)
		total += segs[i].len;
	if (n == -2 || total < v->hdr_len) {
		ring_fault(v, "queue %u: receive buffer %u is %s", v->index, r->id,
			n == -2 ? "a longer chain than weir follows"
				: "too small for a virtio-net header");
		return false;
	}
	r->p = segs[0].base;
	r->left = len_most(total);
	r->len = n == 1 ? r->left : 0;
	if (n == 1)
		return true;
	r->seg = v->nsegs;
	r->nsegs = (uint16_t)n;
	v->nsegs += n;
	return true;
}

/* Moves what is left of the window, and its segments, to the front. */
static void compact(struct ring *v) {
	uint16_t nsegs = 0;

	if (v->count > 0)
		memmove(v->win, v->win + v->head, v->count * sizeof(v->win[0]));
	v->head = 0;
	for (unsigned i = 0; i < v->count; i++) {
		struct chain *r = &v->win[i];

		if (r->len != 0)
			continue;
		memmove(&v->segs[nsegs], &v->segs[r->seg], r->nsegs * sizeof(v->segs[0]));
		r->seg = nsegs;
		nsegs += r->nsegs;
	}
	v->nsegs = nsegs;
}

void ring_fill(struct ring *v, unsigned want) {
	// Guests without mergeable buffers offer long chains (Linux: 19), the others single descriptors.
	const unsigned per = v->mergeable ? 32 : FRAME_SEGS_MAX;
	const uint32_t hdr_len = v->hdr_len;
	struct chain *r;
	unsigned n, i;

	if (v->count >= want || v->steps > RING_STEPS_MAX)
		return;
	v->windowed = true;
	compact(v);
	n = (RING_WINDOW_SEGS - v->nsegs) / per;
	if (n > RING_WINDOW - (unsigned)v->count)
		n = RING_WINDOW - (unsigned)v->count;
	if (n > BATCH_MAX)
		n = BATCH_MAX;
	r = &v->win[v->count];
	n = v->packed ? packed_take(v, r, n, true) : split_take(v, r, n, true);
	for (i = 0; i < n; i++, r++) {
		if (__builtin_expect(chain_plain(r, true) && r->len >= hdr_len, 1)) {
			r->left = r->len;
			continue;
		}
		if (v->steps > RING_STEPS_MAX || !pieces_find(v, r, per))
			break;
	}
	if (i < n)
		ring_untake(v, r, n - i);
	v->count += i;
}

/* Copies what is behind the head to dst, `left` bytes and no more. */
static __attribute__((noinline)) void copy_pieces(
	const struct frame *f, uint8_t *dst, uint32_t left) {
	for (unsigned i = 0; i < f->nsegs && f->segs[i].len <= left; i++) {
		rte_memcpy(dst, f->segs[i].base, f->segs[i].len);
		dst += f->segs[i].len;
		left -= f->segs[i].len;
	}
}

/* Copies the frame to dst, with the tag behind the MACs: f->len bytes, and the tag's. */
static inline __attribute__((always_inline)) void copy_out(
	const struct frame *f, uint32_t tag, uint8_t *dst) {
	const uint32_t left = f->len - f->head_len;

	if (__builtin_expect(tag != 0, 0)) {
		uint32_t be = __builtin_bswap32(tag);

		memcpy(dst, f->head, 12);
		memcpy(dst + 12, &be, 4);
		memcpy(dst + 16, f->head + 12, f->head_len - 12u);
		dst += 4 + f->head_len;
	} else if (__builtin_expect(f->head_len == FRAME_HEAD_FIRST, 1)) {
		memcpy(dst, f->head, FRAME_HEAD_FIRST);
		dst += FRAME_HEAD_FIRST;
	} else {
		memcpy(dst, f->head, f->head_len);
		dst += f->head_len;
	}
	if (f->nsegs == 1) {
		if (__builtin_expect(left <= f->segs[0].len, 1))
			rte_memcpy(dst, f->segs[0].base, left);
	} else if (f->nsegs > 1) {
		copy_pieces(f, dst, left);
	}
}

static void header_make(const struct frame *f, uint32_t tag, uint16_t buffers, uint8_t hdr[12]) {
	struct virtio_net_hdr_v1 h = {.flags = f->ol.flags,
		.gso_type = f->ol.gso_type,
		.gso_size = f->ol.gso_size,
		.csum_start = f->ol.csum_start,
		.csum_offset = f->ol.csum_offset,
		.num_buffers = buffers};

	if (f->ol.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		h.hdr_len = f->ol.hdr_len + (tag != 0 ? 4 : 0);
	if (tag != 0 && h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		h.csum_start += 4;
	memcpy(hdr, &h, 12);
}

/* Notes that buffer `r` is used, with `len` bytes, as the `at`-th not yet published. */
static inline void stage_packed(struct ring *v, unsigned at, const struct chain *r, uint32_t len) {
	v->stage[at].id = r->id;
	v->stage[at].ndesc = r->ndesc;
	v->stage[at].len = len;
}

static void ring_use(struct ring *v, const struct chain *r, uint32_t len) {
	const unsigned at = v->staged++;

	if (v->packed)
		stage_packed(v, at, r, len);
	else
		v->used->ring[(v->last_used + at) & (v->size - 1u)] =
			(struct vring_used_elem){.id = r->id, .len = len};
}

/* A place in the receive buffers that a frame was given, for frames that need more than one segment.
 * It knows its own end, whatever was counted before: what does not fit there is not written. */
struct sink {
	struct ring *v;
	unsigned buf,
		end; /* indices into win: where it is, and the first buffer that is not its own */
	unsigned seg; /* of that buffer */
	uint32_t off; /* in that segment */
	uint32_t written; /* in that buffer */
};

/* What is left of the segment it stands in. */
static struct seg sink_seg(const struct sink *s) {
	const struct chain *r = &s->v->win[s->buf];
	struct seg to = {.base = r->p, .len = r->len};

	if (r->len == 0)
		to = s->v->segs[r->seg + s->seg];
	return (struct seg){.base = to.base + s->off, .len = to.len - s->off};
}

/* Stages the buffer it stands in as used, and goes to the next. */
static void sink_next(struct sink *s) {
	ring_use(s->v, &s->v->win[s->buf], s->written);
	s->seg = 0;
	s->off = s->written = 0;
	s->buf++;
}

/* Writes on; a buffer that is full is staged. False: the buffers end before the bytes do. */
static bool sink_write(struct sink *s, const uint8_t *src, uint32_t len) {
	while (len > 0) {
		struct seg to;
		uint32_t k;

		if (__builtin_expect(s->buf >= s->end, 0))
			return false;
		to = sink_seg(s);
		k = to.len < len ? to.len : len;
		rte_memcpy(to.base, src, k);
		src += k;
		len -= k;
		s->off += k;
		s->written += k;
		if (k < to.len)
			continue;
		s->off = 0;
		if (s->v->win[s->buf].len != 0 || ++s->seg >= s->v->win[s->buf].nsegs)
			sink_next(s);
	}
	return true;
}

/* The whole frame, behind its virtio-net header, with the tag behind the MACs. */
static bool sink_frame(struct sink *s, const struct frame *f, uint32_t tag, const uint8_t *hdr) {
	const uint32_t be = __builtin_bswap32(tag);
	const uint16_t macs = tag != 0 ? 12 : 0;
	bool fits = sink_write(s, hdr, s->v->hdr_len);

	if (tag != 0)
		fits = fits && sink_write(s, f->head, macs) &&
		       sink_write(s, (const uint8_t *)&be, sizeof(be));
	fits = fits && sink_write(s, f->head + macs, f->head_len - macs);
	for (unsigned i = 0; fits && i < f->nsegs; i++)
		fits = sink_write(s, f->segs[i].base, f->segs[i].len);
	if (fits && s->written > 0) // the last one was not filled to the brim
		sink_next(s);
	return fits;
}

/* How many buffers `need` bytes take, 0 when they are not there (or, without merging, too small). */
static unsigned buffers_for(struct ring *v, uint32_t need, enum drop *why) {
	uint64_t have = 0;

	for (unsigned n = 0; n < RING_WINDOW; n++) {
		if (n == v->count)
			ring_fill(v, n + 1);
		if (n >= v->count)
			break;
		have += v->win[v->head + n].left;
		if (have >= need)
			return n + 1;
		if (!v->mergeable) {
			*why = DROP_TOO_BIG;
			return 0;
		}
	}
	*why = DROP_RING_FULL;
	return 0;
}

enum drop ring_put(struct ring *v, const struct frame *f, uint32_t tag) {
	const uint32_t need = v->hdr_len + f->len + (tag != 0 ? 4 : 0);
	const uint16_t before = v->staged;
	enum drop why = DROP_NONE;
	unsigned n = buffers_for(v, need, &why), used;
	struct sink s = {.v = v, .buf = v->head, .end = v->head + n};
	uint8_t hdr[12];

	if (n == 0)
		return why;
	header_make(f, tag, (uint16_t)n, hdr);
	if (__builtin_expect(!sink_frame(&s, f, tag, hdr) || s.buf != s.end, 0)) {
		v->staged = before; // the guest sees nothing of it
		ring_fault(v, "queue %u: a frame of %u bytes did not fill the %u buffers it needs",
			v->index, f->len, n);
		return DROP_TOO_BIG;
	}
	// Counted from what was staged; that it is what the header says was seen to above.
	used = (uint16_t)(v->staged - before);
	if (v->packed)
		for (unsigned i = 1; i < used; i++)
			v->stage[v->staged - i].len |= STAGE_LATER;
	v->head += used;
	v->count -= used;
	v->steps += (used - 1) * RING_STEPS_BUFFER;
	return DROP_NONE;
}

/* While one frame is copied, the lines of the next are fetched: those it comes from, and above all
 * those it goes to, which would otherwise be asked for one by one as the stores reach them. */
static inline void payload_prefetch(const struct frame *f, const uint8_t *to) {
	const uint8_t *from;
	uint32_t len;

	if (f->nsegs == 0)
		return;
	from = f->segs[0].base;
	len = f->segs[0].len < PORT_MTU_MAX ? f->segs[0].len : PORT_MTU_MAX;
	for (uint32_t at = 0; at < len; at += 64) {
		__builtin_prefetch(from + at);
		__builtin_prefetch(to + 64 + at, 1);
	}
}

/* Frames from the first on that need no more than one plain buffer each: how many were copied. What
 * does not change is in locals: the compiler must think that every byte copied could change it. */
static inline __attribute__((always_inline)) unsigned put_plain(
	struct ring *v, const struct tx_item *it, unsigned n, bool packed, uint64_t *bytes) {
	const struct chain *r = &v->win[v->head];
	const uint32_t hdr = v->hdr_len, len_max = v->len_max;
	struct vring_used_elem *used = v->used->ring;
	const unsigned mask = v->size - 1u, at = v->last_used + v->staged;
	uint64_t sum = 0;
	unsigned i;

	if (n > v->count)
		n = v->count;
	for (i = 0; i < n; i++, r++) {
		const struct frame *f = it[i].f;
		const uint32_t len = f->len, tag = it[i].tag;
		const uint32_t need = hdr + len + (tag != 0 ? 4 : 0);
		const uint64_t zero = 0, one = 1ull << 16; // num_buffers
		uint8_t *p = r->p;

		if (__builtin_expect(need > r->len || offload_any(&f->ol) || len > len_max, 0))
			break;
		if (i + 1 < n)
			payload_prefetch(it[i + 1].f, r[1].p);
		memcpy(p, &zero, 8);
		if (__builtin_expect(hdr == 12, 1))
			memcpy(p + 8, &one, 4);
		else
			memcpy(p + 8, &zero, 2);
		copy_out(f, tag, p + hdr);
		if (packed)
			stage_packed(v, v->staged + i, r, need);
		else
			used[(at + i) & mask] = (struct vring_used_elem){.id = r->id, .len = need};
		sum += len;
	}
	v->head += i;
	v->count -= i;
	v->staged += i;
	*bytes += sum;
	return i;
}

unsigned ring_put_plain(struct ring *v, const struct tx_item *it, unsigned n, uint64_t *bytes) {
	return v->packed ? put_plain(v, it, n, true, bytes) : put_plain(v, it, n, false, bytes);
}
