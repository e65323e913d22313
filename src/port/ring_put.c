/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "port/ring.h"

#include <string.h>

#include <linux/virtio_net.h>
#include <rte_memcpy.h>

#include "frame/offload.h"

/* From frames into a guest's receive ring. The one copy of a frame happens here. */

/* Turns what was taken into window entry `r`, with at most `max` segments. False after a fault. */
static bool rxbuf_make(struct ring *v, const struct taken *t, struct rxbuf *r, unsigned max) {
	struct seg *segs = &v->segs[v->nsegs];
	int n;

	r->id = t->id;
	r->ndesc = t->ndesc;
	r->nsegs = 1;
	r->p = t->p;
	r->len = r->total = t->len;
	if (__builtin_expect(t->p != NULL && (t->flags & VRING_DESC_F_WRITE) && t->left >= t->len &&
				     t->len >= v->hdr_len,
		    1))
		return true;
	n = v->packed ? packed_gather(v, t, true, segs, max) : split_gather(v, t, true, segs, max);
	if (n == -1)
		return false;
	r->total = 0;
	for (int i = 0; i < n; i++)
		r->total = segs[i].len > FRAME_LEN_MAX ? 2 * FRAME_LEN_MAX
			   : r->total > FRAME_LEN_MAX  ? r->total
						       : r->total + segs[i].len;
	if (n == -2 || r->total < v->hdr_len) {
		ring_fault(v, "queue %u: receive buffer %u is %s", v->index, r->id,
			n == -2 ? "a longer chain than weir follows"
				: "too small for a virtio-net header");
		return false;
	}
	r->seg = v->nsegs;
	r->nsegs = (uint16_t)n;
	r->p = segs[0].base;
	r->len = segs[0].len;
	v->nsegs += n;
	return true;
}

/* Moves what is left of the window, and its segments, to the front. */
static void compact(struct ring *v) {
	uint16_t nsegs = 0;

	memmove(v->win, v->win + v->head, v->count * sizeof(v->win[0]));
	v->head = 0;
	for (unsigned i = 0; i < v->count; i++) {
		struct rxbuf *r = &v->win[i];

		if (r->nsegs == 1 && r->len == r->total)
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
	unsigned n;

	if (v->count >= want)
		return;
	compact(v);
	n = (RING_WINDOW_SEGS - v->nsegs) / per;
	if (n > RING_WINDOW - (unsigned)v->count)
		n = RING_WINDOW - (unsigned)v->count;
	if (n > BATCH_MAX)
		n = BATCH_MAX;
	n = v->packed ? packed_take(v, n, true) : split_take(v, n, true);
	for (unsigned i = 0; i < n; i++) {
		struct rxbuf *r = &v->win[v->count];

		if (!rxbuf_make(v, &v->taken[i], r, per))
			return;
		v->count++;
	}
}

/* Copies the frame to dst, with the tag behind the MACs. */
static inline void copy_out(const struct frame *f, uint32_t tag, uint8_t *dst) {
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
	for (unsigned i = 0; i < f->nsegs; i++) {
		rte_memcpy(dst, f->segs[i].base, f->segs[i].len);
		dst += f->segs[i].len;
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

static void ring_use(struct ring *v, const struct rxbuf *r, uint32_t len) {
	if (v->packed)
		ring_stage_packed(v, r, len, 0);
	else
		ring_stage_split(v, r, len, 0);
	v->staged++;
}

/* A place in the receive buffers, for frames that need more than one segment. */
struct sink {
	struct ring *v;
	unsigned buf; /* index into win */
	unsigned seg; /* of that buffer */
	uint32_t off; /* in that segment */
	uint32_t written; /* in that buffer */
};

static struct seg sink_seg(const struct sink *s) {
	const struct rxbuf *r = &s->v->win[s->buf];

	if (r->nsegs == 1 && r->len == r->total)
		return (struct seg){.base = r->p, .len = r->len};
	return s->v->segs[r->seg + s->seg];
}

/* Writes on; a buffer that is full is staged as used. The caller made sure that all fits. */
static void sink_write(struct sink *s, const uint8_t *src, uint32_t len) {
	while (len > 0) {
		const struct rxbuf *r = &s->v->win[s->buf];
		struct seg to = sink_seg(s);
		uint32_t k = to.len - s->off < len ? to.len - s->off : len;

		rte_memcpy(to.base + s->off, src, k);
		src += k;
		len -= k;
		s->off += k;
		s->written += k;
		if (s->off < to.len)
			continue;
		s->off = 0;
		if (++s->seg < r->nsegs)
			continue;
		ring_use(s->v, r, s->written);
		s->seg = 0;
		s->written = 0;
		s->buf++;
	}
}

/* Buffers that `need` bytes take, 0 when they are not there (or, without merging, too small). */
static unsigned buffers_for(struct ring *v, uint32_t need, enum drop *why) {
	uint32_t have = 0;

	for (unsigned n = 0; n < RING_WINDOW; n++) {
		if (n == v->count)
			ring_fill(v, n + 1);
		if (n >= v->count)
			break;
		have += v->win[v->head + n].total;
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
	enum drop why = DROP_NONE;
	unsigned n = buffers_for(v, need, &why);
	struct sink s = {.v = v, .buf = v->head};
	uint8_t hdr[12];

	if (n == 0)
		return why;
	header_make(f, tag, (uint16_t)n, hdr);
	sink_write(&s, hdr, v->hdr_len);
	if (tag != 0) {
		uint32_t be = __builtin_bswap32(tag);

		sink_write(&s, f->head, 12);
		sink_write(&s, (const uint8_t *)&be, 4);
		sink_write(&s, f->head + 12, f->head_len - 12u);
	} else {
		sink_write(&s, f->head, f->head_len);
	}
	for (unsigned i = 0; i < f->nsegs; i++)
		sink_write(&s, f->segs[i].base, f->segs[i].len);
	if (s.buf < v->head + n) { // the last one was not filled to the brim
		ring_use(v, &v->win[s.buf], s.written);
	}
	if (v->packed)
		for (unsigned i = 1; i < n; i++)
			v->stage[v->staged - i].len |= STAGE_LATER;
	v->head += n;
	v->count -= n;
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

/* Frames from the first on that need no more than one plain buffer each: how many were copied. */
static inline unsigned put_plain(
	struct ring *v, const struct tx_item *it, unsigned n, bool packed, uint64_t *bytes) {
	const struct rxbuf *r = &v->win[v->head];
	const uint32_t hdr = v->hdr_len;
	uint64_t sum = 0;
	unsigned i;

	if (n > v->count)
		n = v->count;
	for (i = 0; i < n; i++, r++) {
		const struct frame *f = it[i].f;
		const uint32_t need = hdr + f->len + (it[i].tag != 0 ? 4 : 0);
		const uint64_t zero = 0, one = 1ull << 16; // num_buffers

		if (__builtin_expect(r->len != r->total || need > r->len || offload_any(&f->ol) ||
					     f->len > v->len_max,
			    0))
			break;
		if (i + 1 < n)
			payload_prefetch(it[i + 1].f, r[1].p);
		memcpy(r->p, &zero, 8);
		if (__builtin_expect(hdr == 12, 1))
			memcpy(r->p + 8, &one, 4);
		else
			memcpy(r->p + 8, &zero, 2);
		copy_out(f, it[i].tag, r->p + hdr);
		if (packed)
			ring_stage_packed(v, r, need, i);
		else
			ring_stage_split(v, r, need, i);
		sum += f->len;
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
