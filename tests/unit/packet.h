/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_UNIT_PACKET_H
#define WEIR_TESTS_UNIT_PACKET_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_net.h>
#include <netinet/in.h>

#include "frame/offload.h"

/* Packets for the tests of the frame room, and a second, slow and obvious way to sum and check them
 * that shares nothing with the code under test. */

enum { PACKET_MAX = FRAME_LEN_MAX };

struct packet {
	uint8_t bytes[PACKET_MAX];
	uint32_t len;
	unsigned l3, l4, payload;
	int version;
	uint8_t proto;
};

/* A frame loaded from a packet. Room and segs are separate allocations of the exact size, so that
 * the address sanitizer sees a byte too many. */
struct rig {
	struct frame f;
	struct seg segs[FRAME_SEGS_MAX];
	uint8_t *blocks[FRAME_SEGS_MAX]; /* the sender's memory, segs as loaded */
	uint32_t sizes[FRAME_SEGS_MAX];
	unsigned nblocks;
	uint8_t *room;
	const uint8_t *room_end;
};

static uint64_t packet_seed = 20261121;

static inline uint32_t rnd(uint32_t below) {
	packet_seed = packet_seed * 6364136223846793005u + 1442695040888963407u;
	return (packet_seed >> 33) % below;
}

static inline void put16(uint8_t *p, unsigned v) {
	p[0] = v >> 8;
	p[1] = v;
}

static inline unsigned get16(const uint8_t *p) {
	return p[0] << 8 | p[1];
}

static inline uint32_t get32(const uint8_t *p) {
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* Ones' complement sum of big-endian words, the way RFC 1071 puts it. */
static inline unsigned ref_sum(unsigned start, const uint8_t *p, uint32_t len) {
	uint64_t s = start;

	for (uint32_t i = 0; i < len; i++)
		s += i % 2 ? p[i] : p[i] << 8;
	while (s > 0xffff)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static inline unsigned ref_pseudo(int version, const uint8_t *ip, unsigned proto, uint32_t len) {
	uint8_t tail[8] = {len >> 24, len >> 16, len >> 8, len, 0, 0, 0, proto};
	unsigned s = version == 4 ? ref_sum(0, ip + 12, 8) : ref_sum(0, ip + 8, 32);

	return ref_sum(s, tail, 8);
}

struct recipe {
	int version; /* 4 or 6 */
	uint8_t proto; /* TCP or UDP */
	unsigned inner_tags; /* tags behind the MACs */
	uint16_t tpid; /* of the last of them; 0: 0x8100, as the others */
	unsigned ip_options; /* bytes, of IPv4, a multiple of 4 */
	uint8_t ext[6]; /* extension headers of IPv6, 0 (hop-by-hop) only as the first */
	unsigned next; /* how many of them */
	unsigned tcp_options; /* bytes, a multiple of 4 */
	uint32_t payload;
	uint8_t tcp_flags;
};

/* Bytes and IPv6 "next header" of an extension header. */
static inline unsigned put_ext(uint8_t *p, uint8_t type) {
	static const uint8_t dst[] = {0, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	static const uint8_t hop[] = {0, 0, 5, 2, 0, 0, 1, 0};
	static const uint8_t route[] = {
		0, 2, 4, 0, 0, 0, 0, 0, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9};
	static const uint8_t auth[] = {0, 1, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1};

	switch (type) {
	case IPPROTO_HOPOPTS:
		memcpy(p, hop, sizeof(hop));
		return sizeof(hop);
	case IPPROTO_ROUTING:
		memcpy(p, route, sizeof(route));
		return sizeof(route);
	case IPPROTO_AH:
		memcpy(p, auth, sizeof(auth));
		return sizeof(auth);
	case IPPROTO_FRAGMENT:
		memset(p, 0, 8);
		return 8;
	default:
		memcpy(p, dst, sizeof(dst));
		return sizeof(dst);
	}
}

/* Everything right but the L4 checksum, whose field has the sum of the pseudo-header. */
static inline void packet_make(struct packet *p, const struct recipe *r) {
	uint8_t *b = p->bytes, *name;
	unsigned off = 14;

	memset(b, 0, 512);
	for (unsigned i = 0; i < 12; i++)
		b[i] = 0x52 + i;
	b[0] = b[6] = 2;
	for (unsigned i = 0; i < r->inner_tags; i++, off += 4) {
		put16(b + off - 2, r->tpid != 0 && i + 1 == r->inner_tags ? r->tpid : 0x8100);
		put16(b + off, 100 + i);
	}
	put16(b + off - 2, r->version == 4 ? 0x0800 : 0x86dd);
	p->l3 = off;
	if (r->version == 4) {
		b[off] = 0x45 + r->ip_options / 4;
		put16(b + off + 4, 0xfffe); /* the id wraps soon */
		b[off + 8] = 64;
		b[off + 9] = r->proto;
		memcpy(b + off + 12, "\x0a\x01\x02\x03\x0a\x01\x02\x04", 8);
		for (unsigned i = 0; i < r->ip_options; i += 4) /* one to be copied, one not, ... */
			memcpy(b + off + 20 + i,
				i % 8 == 0 ? "\x88\x04\x12\x34" : "\x44\x04\x05\x00", 4);
		off += 20 + r->ip_options;
	} else {
		b[off] = 0x60;
		b[off + 7] = 64;
		memcpy(b + off + 8,
			"\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 32);
		name = b + off + 6;
		off += 40;
		for (unsigned i = 0; i < r->next; i++) {
			unsigned n = put_ext(b + off, r->ext[i]);

			*name = r->ext[i];
			name = b + off;
			off += n;
		}
		*name = r->proto;
	}
	p->l4 = off;
	put16(b + off, 40000);
	put16(b + off + 2, 443);
	if (r->proto == IPPROTO_TCP) {
		memcpy(b + off + 4, "\xff\xff\xf0\x00\x01\x02\x03\x04", 8); /* seq wraps soon */
		b[off + 12] = (20 + r->tcp_options) / 4 << 4;
		b[off + 13] = r->tcp_flags;
		put16(b + off + 14, 0x1000);
		memset(b + off + 20, 1, r->tcp_options);
		off += 20 + r->tcp_options;
	} else {
		put16(b + off + 4, 8 + r->payload);
		off += 8;
	}
	p->payload = off;
	for (uint32_t i = 0; i < r->payload; i++)
		b[off + i] = rnd(256);
	p->len = off + r->payload;
	p->version = r->version;
	p->proto = r->proto;
	if (r->version == 4) {
		put16(b + p->l3 + 2, p->len - p->l3);
		put16(b + p->l3 + 10, ~ref_sum(0, b + p->l3, 20 + r->ip_options) & 0xffff);
	} else {
		put16(b + p->l3 + 4, p->len - p->l3 - 40);
	}
	put16(b + p->l4 + (r->proto == IPPROTO_TCP ? 16 : 6),
		ref_pseudo(r->version, b + p->l3, r->proto, p->len - p->l4));
}

/* Loads `len` bytes: `head` of them private, starting at `at` in the room, the rest in `nsegs`
 * pieces of random length, some of them empty. */
static inline void rig_load(struct rig *g, const uint8_t *bytes, uint32_t len, unsigned at,
	unsigned head, unsigned nsegs) {
	uint32_t left, off;

	if (head > len)
		head = len;
	left = len - head;
	off = head;
	memset(g, 0, sizeof(*g));
	g->room = malloc(FRAME_HEAD_MAX);
	g->room_end = g->room + FRAME_HEAD_MAX;
	g->f = (struct frame){.head = g->room + at, .head_len = head, .len = len, .segs = g->segs};
	memcpy(g->f.head, bytes, head);
	if (left > 0 && nsegs == 0)
		nsegs = 1;
	for (unsigned i = 0; i < nsegs; i++) {
		uint32_t n = i + 1 == nsegs ? left : rnd(left / (nsegs - i) * 2 + 1);

		if (n > left)
			n = left;
		g->blocks[i] = malloc(n ? n : 1);
		memcpy(g->blocks[i], bytes + off, n);
		g->segs[i] = (struct seg){g->blocks[i], n};
		g->sizes[i] = n;
		off += n;
		left -= n;
	}
	g->f.nsegs = g->nblocks = nsegs;
}

static inline void rig_free(struct rig *g) {
	for (unsigned i = 0; i < g->nblocks; i++)
		free(g->blocks[i]);
	free(g->room);
}

/* What the sender's memory says from now on. */
static inline void rig_rewrite(struct rig *g, uint8_t with) {
	for (unsigned i = 0; i < g->nblocks; i++)
		memset(g->blocks[i], with, g->sizes[i]);
}

/* The frame's bytes in a row; returns how many there really are. */
static inline uint32_t flatten(const struct frame *f, uint8_t *to) {
	uint32_t n = f->head_len;

	memcpy(to, f->head, n);
	for (unsigned i = 0; i < f->nsegs; i++) {
		memcpy(to + n, f->segs[i].base, f->segs[i].len);
		n += f->segs[i].len;
	}
	return n;
}

#endif
