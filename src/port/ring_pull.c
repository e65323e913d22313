/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "port/ring.h"

#include <string.h>

#include <linux/virtio_net.h>

#include "frame/offload.h"

/* From a guest's transmit ring to frames, in passes: heads and descriptors (split_take, packed_take),
 * translation and prefetch of the first lines, then the virtio-net header and the private head. */

/* The header is judged from this copy only; its place in guest memory is never read again. */
static void offload_read(struct frame *f, const uint8_t hdr[12]) {
	struct virtio_net_hdr_v1 h;

	memcpy(&h, hdr, sizeof(h));
	f->ol = (struct offload){.flags = h.flags,
		.gso_type = h.gso_type,
		.hdr_len = h.hdr_len,
		.gso_size = h.gso_size,
		.csum_start = h.csum_start,
		.csum_offset = h.csum_offset};
}

static inline void frame_reset(struct frame *f, uint8_t *room) {
	*f = (struct frame){.head = room};
}

/* Takes n bytes off the front of the segments, into dst. */
static void segs_take(struct frame *f, uint8_t *dst, uint32_t n) {
	while (n > 0) {
		struct seg *s = f->segs;
		uint32_t k = n < s->len ? n : s->len;

		memcpy(dst, s->base, k);
		dst += k;
		n -= k;
		s->base += k;
		s->len -= k;
		if (s->len == 0) {
			f->segs++;
			f->nsegs--;
		}
	}
}

/* Chains, indirect tables, headers in a descriptor of their own, buffers across regions. 0, -1 after
 * a fault, or -2: the batch has no segments left for a frame of so many pieces, or has taken enough
 * steps. */
static __attribute__((noinline)) int pull_slow(struct ring *v, struct batch *b, unsigned i) {
	struct frame *f = &b->f[i];
	struct chain *t = &v->taken[i];
	// Every frame that is still to come in the batch may need one.
	unsigned max = BATCH_SEGS - b->nsegs - (BATCH_MAX - 1 - i);
	uint8_t hdr[12] = {0};
	uint64_t total = 0;
	int n;

	if (v->steps > RING_STEPS_MAX)
		return -2;
	if (max > FRAME_SEGS_MAX)
		max = FRAME_SEGS_MAX;
	f->segs = &b->segs[b->nsegs];
	n = v->packed ? packed_gather(v, t, false, f->segs, max)
		      : split_gather(v, t, false, f->segs, max);
	if (n == -1)
		return -1;
	if (n == -2 && max < FRAME_SEGS_MAX)
		return -2;
	if (n == -2) {
		f->drop = DROP_CHAIN_TOO_LONG;
		return 0;
	}
	b->nsegs += n;
	f->nsegs = (uint16_t)n;
	for (int s = 0; s < n; s++)
		total += f->segs[s].len;
	if (total > (unsigned)FRAME_LEN_MAX + v->hdr_len) {
		f->drop = DROP_OVERSIZE;
		return 0;
	}
	if (total < v->hdr_len + (unsigned)FRAME_LEN_MIN) {
		f->drop = DROP_RUNT;
		return 0;
	}
	segs_take(f, hdr, v->hdr_len);
	offload_read(f, hdr);
	f->len = (uint32_t)total - v->hdr_len;
	f->head_len = f->len < FRAME_HEAD_FIRST ? (uint16_t)f->len : FRAME_HEAD_FIRST;
	segs_take(f, f->head, f->head_len);
	return 0;
}

/* Header and frame whole in one piece, of a length that can be. */
static inline bool is_plain(const struct chain *t, uint32_t hdr_len) {
	return chain_plain(t, false) && t->len - hdr_len - (unsigned)FRAME_LEN_MIN <=
						(unsigned)FRAME_LEN_MAX - FRAME_LEN_MIN;
}

/* Such a chain; true when its header asks for nothing. *s gets what is behind the head. */
static inline bool pull_fast(
	struct frame *f, const struct chain *t, uint32_t hdr_len, struct seg *s) {
	const uint32_t len = t->len - hdr_len;
	uint8_t *data = t->p + hdr_len;
	uint8_t hdr[12] = {0};
	uint64_t first;

	memcpy(&first, t->p, 8);
	f->len = len;
	if (__builtin_expect(t->left - hdr_len >= FRAME_HEAD_FIRST, 1)) {
		// A constant copy, perhaps past the frame's end but not past the guest's memory; what is
		// beyond head_len is never looked at.
		memcpy(f->head, data, FRAME_HEAD_FIRST);
	} else {
		memcpy(f->head, data, len);
	}
	if (len > FRAME_HEAD_FIRST) {
		f->head_len = FRAME_HEAD_FIRST;
		s->base = data + FRAME_HEAD_FIRST;
		s->len = len - FRAME_HEAD_FIRST;
		f->segs = s;
		f->nsegs = 1;
	} else {
		f->head_len = (uint16_t)len;
	}
	if (__builtin_expect((first & 0xffff) == 0, 1)) // flags and gso_type
		return true;
	memcpy(hdr, &first, 8);
	memcpy(hdr + 8, t->p + 8, 2); // num_buffers means nothing in this direction
	offload_read(f, hdr);
	return false;
}

/* Frames that ask for something, or are longer than the port takes. */
static void judge(struct ring *v, struct batch *b, unsigned i) {
	struct frame *f = &b->f[i];

	if (f->drop != DROP_NONE)
		return;
	b->ngso += f->ol.gso_type != VIRTIO_NET_HDR_GSO_NONE;
	if (offload_any(&f->ol))
		f->drop = offload_check(f, b->room[i] + FRAME_HEAD_MAX);
	if (f->drop == DROP_NONE && f->len > v->len_max &&
		f->ol.gso_type == VIRTIO_NET_HDR_GSO_NONE)
		f->drop = DROP_OVERSIZE;
}

void ring_keep(struct ring *v, unsigned from) {
	ring_untake(v, &v->taken[from], v->ntaken - from);
	v->ntaken = (uint16_t)from;
}

/* Judges frame i of the n of a batch; the frames before it came to so many bytes. Returns how many the
 * batch may have, and puts back what is beyond: should all that follow be plain, it stays below
 * BATCH_BYTES. */
static __attribute__((noinline)) unsigned judge_and_end(
	struct ring *v, struct batch *b, unsigned i, unsigned n, uint64_t bytes) {
	uint64_t left = 0;

	judge(v, b, i);
	bytes += b->f[i].len;
	// To follow a chain that is too long took as long as a batch.
	if (bytes < BATCH_BYTES && b->f[i].drop != DROP_CHAIN_TOO_LONG)
		left = (BATCH_BYTES - bytes) / FRAME_LEN_COMMON;
	if (i + 1 + left >= n)
		return n;
	i += 1 + (unsigned)left;
	ring_untake(v, &v->taken[i], n - i);
	return i;
}

unsigned ring_pull(struct ring *v, struct batch *b, unsigned budget) {
	const uint32_t hdr_len = v->hdr_len,
		       plain_max = v->len_max < FRAME_LEN_COMMON ? v->len_max : FRAME_LEN_COMMON;
	uint64_t bytes = 0;
	unsigned segs = 0, n;

	v->steps = 0;
	n = v->packed ? packed_take(v, v->taken, budget, false)
		      : split_take(v, v->taken, budget, false);
	v->steps = 0; // taking ended by itself
	b->ngso = 0;
	for (unsigned i = 0; i < n; i++) {
		struct chain *t = &v->taken[i];
		struct frame *f = &b->f[i];
		bool judged = false;
		int rc = 0;

		frame_reset(f, b->room[i]);
		if (__builtin_expect(is_plain(t, hdr_len), 1)) {
			judged = pull_fast(f, t, hdr_len, &b->segs[segs]) &&
				 t->len - hdr_len <= plain_max;
			segs += t->len - hdr_len > FRAME_HEAD_FIRST;
		} else {
			b->nsegs = (uint16_t)segs;
			rc = pull_slow(v, b, i);
			segs = b->nsegs;
		}
		if (__builtin_expect(rc == -1, 0)) {
			b->n = 0;
			v->ntaken = 0; // the device is finished: nothing is given back
			return 0;
		}
		if (__builtin_expect(rc == -2, 0)) {
			ring_untake(v, t, n - i); // the next batch begins with it
			n = i;
			break;
		}
		if (__builtin_expect(!judged, 0))
			n = judge_and_end(v, b, i, n, bytes);
		bytes += f->len;
	}
	v->ntaken = b->n = (uint16_t)n;
	b->nsegs = (uint16_t)segs;
	b->bytes = bytes;
	return n;
}
