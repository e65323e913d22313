/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Software segmentation.
 *
 * A GSO frame is headers plus up to 64 KiB of payload. TCP: every frame gets a copy of the headers
 * with its own lengths, IP id, sequence number, flags and checksums. UDP: the datagram, whose
 * checksum is computed once over all of it, becomes the payload of IP fragments; with IPv6 a
 * fragment header goes in behind the headers that routers look at.
 *
 *     original   | headers | payload ......................................... |
 *                |<start>  |<-- size -->|<-- size -->|<-- size -->|
 *     frames     | hdr     | payload |   | hdr     | payload |   ...
 *
 * Headers are written into g->head from the private head, which does not change while we are at it.
 * Payload bytes that happen to be private already are copied behind them; the rest of the payload is
 * referred to where the sender put it, so a sender that rewrites it meanwhile spoils its own
 * checksums and nothing else. */
#include <linux/virtio_net.h>
#include <netinet/in.h>

#include <rte_cycles.h>

#include "frame/offload.h"

enum { TCP_FIN = 0x01, TCP_PSH = 0x08, TCP_CWR = 0x80 };
enum { IP4_MORE = 0x2000, IP6_MORE = 1, IP6_FRAG_LEN = 8 };

/* No frame made here outgrows the 16 bits that IP has for its length: frame_parse_l4 saw to the
 * original's, and only fragments of IPv6 can be longer than that, by their fragment header. */
_Static_assert(FRAME_LEN_MAX - FRAME_LEN_MIN - 40 + IP6_FRAG_LEN <= UINT16_MAX, "IPv6 length");

static bool is_v4(const struct frame *f) {
	return f->head[f->l3_off] >> 4 == 4;
}

static bool is_udp(const struct frame *f) {
	return f->ol.gso_type == VIRTIO_NET_HDR_GSO_UDP;
}

/* An identification for IPv6 fragments that outsiders cannot count along with (RFC 7739). */
static uint32_t fragment_id(void) {
	uint64_t x = rte_rdtsc() * 0x9e3779b97f4a7c15;

	x = (x ^ x >> 32) * 0xd6e8feb86659fd93;
	return x ^ x >> 32;
}

/* Where the fragment header goes: behind the last hop-by-hop or routing header (RFC 8200, 4.5).
 * *next becomes the offset of the byte that names what follows. false when the chain holds what
 * cannot be fragmented: a fragment header or one that authenticates the whole. */
static bool fragment_place(const struct frame *f, unsigned *place, unsigned *next) {
	unsigned off = f->l3_off + 40, name = f->l3_off + 6;

	*place = off;
	*next = name;
	while (off < f->l4_off) {
		uint8_t type = f->head[name];

		if (type != IPPROTO_HOPOPTS && type != IPPROTO_ROUTING && type != IPPROTO_DSTOPTS)
			return false;
		name = off;
		off += (f->head[off + 1] + 1) * 8;
		if (type != IPPROTO_DSTOPTS) {
			*place = off;
			*next = name;
		}
	}
	return true;
}

static uint16_t datagram_csum(const struct frame *f) {
	struct csum c = {0};
	uint16_t v;

	csum_add(&c, f->head + f->l4_off, f->head_len - f->l4_off);
	for (unsigned i = 0; i < f->nsegs; i++)
		csum_add(&c, f->segs[i].base, f->segs[i].len);
	v = csum_value(&c);
	return v != 0 ? v : 0xffff;
}

static bool begin_udp(struct gso *g) {
	const struct frame *f = g->f;
	unsigned start = f->l4_off, next = 0;

	if (!is_v4(f) && !fragment_place(f, &start, &next))
		return false;
	g->start = g->hdr = start;
	g->size = f->ol.gso_size;
	memcpy(g->head, f->head, start);
	if (f->len - start <= g->size)
		return true; /* fits one frame: nothing to fragment */
	g->size &= ~7u;
	if (g->size < f->ol.hdr_len - start) /* the UDP header must be in the first */
		return false;
	if (!is_v4(f)) {
		/* The UDP header must fit behind the new one. Private payload is copied behind it or,
		 * beyond the room, needs a seg. */
		if (f->ol.hdr_len + IP6_FRAG_LEN > FRAME_HEAD_MAX ||
			(f->head_len + IP6_FRAG_LEN > FRAME_HEAD_MAX && f->nsegs == FRAME_SEGS_MAX))
			return false;
		memset(g->head + start, 0, IP6_FRAG_LEN);
		g->head[start] = g->head[next];
		g->head[next] = IPPROTO_FRAGMENT;
		be32_put(g->head + start + 4, fragment_id());
		g->hdr += IP6_FRAG_LEN;
	}
	return true;
}

static bool begin_tcp(struct gso *g) {
	const struct frame *f = g->f;

	g->start = g->hdr = f->ol.hdr_len;
	g->size = f->ol.gso_size;
	memcpy(g->head, f->head, g->hdr);
	return true;
}

unsigned gso_begin(struct gso *g, const struct frame *f) {
	uint32_t payload, count;

	g->f = f;
	g->count = g->limit = g->index = g->seg = 0;
	g->seg_off = 0;
	g->why = DROP_SEGMENT_FAILED;
	if (f->ol.gso_type == VIRTIO_NET_HDR_GSO_NONE || !(is_udp(f) ? begin_udp(g) : begin_tcp(g)))
		return 0;
	g->off = g->start;
	payload = f->len - g->start;
	count = payload == 0 ? 1 : (payload + g->size - 1) / g->size;
	g->why = count > (is_udp(f) ? GSO_FRAGMENTS_MAX : GSO_FRAMES_MAX) ? DROP_SEGMENT_LIMIT
									  : DROP_NONE;
	if (is_udp(f) && g->why != DROP_NONE)
		return 0;
	if (is_udp(f)) /* the dearest step, so the last */
		g->csum = datagram_csum(f);
	g->count = count;
	return g->limit = RTE_MIN(count, (uint32_t)GSO_FRAMES_MAX);
}

/* Gives `out` the next n payload bytes. */
static bool take(struct gso *g, struct frame *out, uint32_t n) {
	const struct frame *f = g->f;

	out->head_len = g->hdr;
	out->len = g->hdr + n;
	out->segs = g->segs;
	out->nsegs = 0;
	if (n > 0 && g->off < f->head_len) {
		uint32_t k = RTE_MIN(n, f->head_len - g->off);
		uint32_t room = RTE_MIN(k, (uint32_t)FRAME_HEAD_MAX - g->hdr);

		memcpy(g->head + g->hdr, f->head + g->off, room);
		out->head_len += room;
		if (k > room)
			g->segs[out->nsegs++] = (struct seg){f->head + g->off + room, k - room};
		g->off += k;
		n -= k;
	}
	while (n > 0 && g->seg < f->nsegs) {
		const struct seg *s = &f->segs[g->seg];
		uint32_t k = RTE_MIN(n, s->len - g->seg_off);

		if (out->nsegs == FRAME_SEGS_MAX)
			return false;
		if (k > 0)
			g->segs[out->nsegs++] = (struct seg){s->base + g->seg_off, k};
		g->off += k;
		g->seg_off += k;
		n -= k;
		if (g->seg_off == s->len) {
			g->seg++;
			g->seg_off = 0;
		}
	}
	return n == 0;
}

/* The options that RFC 791 wants in the first fragment only become no-operations. */
static void blank_options(uint8_t *ip) {
	unsigned end = (ip[0] & 0xf) * 4;

	for (unsigned i = 20; i < end && ip[i] != 0;) {
		unsigned len = ip[i] == 1 || i + 1 == end ? 1 : ip[i + 1];

		if (len == 0 || i + len > end)
			return;
		if (!(ip[i] & 0x80))
			memset(ip + i, 1, len);
		i += len;
	}
}

static void fix_udp(struct gso *g, struct frame *out, uint32_t off, bool last) {
	const struct frame *f = g->f;
	uint8_t *ip = g->head + f->l3_off, *frag = g->head + g->start;

	if (g->index == 0) /* the header is in the private head, hence copied into this one */
		memcpy(g->head + g->hdr + (f->l4_off - g->start) + 6, &g->csum, sizeof(g->csum));
	if (g->count == 1)
		return;
	if (is_v4(f)) {
		be16_put(ip + 6, (off - g->start) / 8 | (last ? 0 : IP4_MORE));
		if (g->index == 1)
			blank_options(ip);
	} else {
		be16_put(frag + 2, (off - g->start) | (last ? 0 : IP6_MORE));
		out->proto = frag[0];
	}
	out->l4_off = g->hdr;
	out->flags |= FRAME_FRAGMENT;
}

static void fix_tcp(struct gso *g, struct frame *out, uint32_t off, bool last) {
	const struct frame *f = g->f;
	const uint8_t *orig = f->head + f->l4_off;
	uint8_t *tcp = g->head + f->l4_off;
	uint16_t was = f->len - f->l4_off;

	be32_put(tcp + 4, be32_get(orig + 4) + (off - g->start));
	tcp[13] = orig[13] & ~(last ? 0 : TCP_FIN | TCP_PSH) & ~(g->index == 0 ? 0 : TCP_CWR);
	if (is_v4(f))
		be16_put(g->head + f->l3_off + 4, be16_get(f->head + f->l3_off + 4) + g->index);
	/* The pseudo-header's sum with this frame's length in place of the original's. */
	be16_put(tcp + 16,
		csum_fold((uint64_t)be16_get(orig + 16) + (uint16_t)~was + (out->len - f->l4_off)));
	out->ol = (struct offload){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = f->l4_off, .csum_offset = 16};
	offload_csum(out);
}

static void fix_ip(struct gso *g, const struct frame *out) {
	unsigned l3 = g->f->l3_off;
	uint8_t *ip = g->head + l3;
	struct csum c = {0};
	uint16_t v = 0;

	if (!is_v4(g->f)) {
		be16_put(ip + 4, out->len - l3 - 40);
		return;
	}
	be16_put(ip + 2, out->len - l3);
	memcpy(ip + 10, &v, sizeof(v));
	csum_add(&c, ip, (ip[0] & 0xf) * 4);
	v = csum_value(&c);
	memcpy(ip + 10, &v, sizeof(v));
}

bool gso_next(struct gso *g, struct frame *out) {
	const struct frame *f = g->f;
	uint32_t off = g->off, n;
	bool last;

	if (g->index >= g->limit)
		return false;
	last = g->index + 1 == g->count;
	n = last ? f->len - off : g->size;
	*out = *f;
	out->head = g->head;
	out->flags |= FRAME_L4;
	out->ol = (struct offload){0};
	if (!take(g, out, n))
		return false;
	if (is_udp(f))
		fix_udp(g, out, off, last);
	else
		fix_tcp(g, out, off, last);
	fix_ip(g, out);
	g->index++;
	return true;
}
