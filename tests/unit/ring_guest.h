/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_UNIT_RING_GUEST_H
#define WEIR_TESTS_UNIT_RING_GUEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/virtio_net.h>

#include "ring_rig.h"

/* A guest that the test plays itself, with a split or a packed ring of SIZE in the rig. */

enum { SIZE = 16, BUF = RIG_A + 8 * RIG_PAGE, STRIDE = 2048 };
enum { P_AVAIL = 1 << VRING_PACKED_DESC_F_AVAIL, P_USED = 1 << VRING_PACKED_DESC_F_USED };

static struct rig g;

static inline uint64_t buf(unsigned i) {
	return BUF + (uint64_t)i % 20 * STRIDE;
}

/* The guest makes slot `i` of either kind available: one descriptor. `lap`: packed wrap counter. */
static inline void offer(unsigned i, uint64_t addr, uint32_t len, uint16_t flags, bool lap) {
	if (g.r.packed) {
		g.pdesc[i].addr = addr;
		g.pdesc[i].len = len;
		g.pdesc[i].id = (uint16_t)i;
		g.pdesc[i].flags = flags | (lap ? P_AVAIL : P_USED);
		return;
	}
	g.desc[i] = (struct vring_desc){
		.addr = addr, .len = len, .flags = flags, .next = (uint16_t)(i + 1)};
	if (!(flags & VRING_DESC_F_NEXT) || i == 0 || !(g.desc[i - 1].flags & VRING_DESC_F_NEXT))
		g.avail->ring[g.avail->idx % SIZE] = (uint16_t)i;
	g.avail->idx++;
}

/* A frame of `len` bytes in a buffer: header, MACs from `seed`, a counting payload. */
static inline void write_frame(uint64_t addr, uint32_t len, uint8_t seed) {
	uint8_t *p = rig_at(&g, addr);

	memset(p, 0, 12);
	for (uint32_t i = 0; i < len; i++)
		p[12 + i] = (uint8_t)(seed + i);
	p[12] &= 0xfe;
}

static inline int split(void **state) {
	rig_init(&g, false, SIZE, true);
	return 0;
}

static inline int packed(void **state) {
	rig_init(&g, true, SIZE, true);
	return 0;
}

static inline int done(void **state) {
	rig_fini(&g);
	return 0;
}

static inline struct frame make_frame(uint8_t *head, uint8_t *rest, uint32_t len) {
	static struct seg seg;

	for (uint32_t i = 0; i < len; i++)
		*(i < FRAME_HEAD_FIRST ? &head[i] : &rest[i - FRAME_HEAD_FIRST]) = (uint8_t)i;
	seg = (struct seg){
		.base = rest, .len = len > FRAME_HEAD_FIRST ? len - FRAME_HEAD_FIRST : 0};
	return (struct frame){.head = head,
		.len = len,
		.head_len = len < FRAME_HEAD_FIRST ? (uint16_t)len : FRAME_HEAD_FIRST,
		.segs = &seg,
		.nsegs = seg.len > 0};
}

static uint8_t head[FRAME_HEAD_FIRST], rest[FRAME_LEN_MAX];

#define BOTH(test)                                         \
	{#test ", split", test, split, done, NULL}, {      \
#test ", packed", test, packed, done, NULL \
	}
#define ONLY(kind, test) \
	{ #test, test, kind, done, NULL }

#endif
