/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef TESTS_RING_RIG_H
#define TESTS_RING_RIG_H

#include <stdlib.h>
#include <string.h>

#include "port/vhost.h"

/* A guest in a box: memory, and one ring in it, with nobody at the other end. Regions A and B follow
 * each other in guest addresses but not in ours; behind B there is a hole, then C. Each is an
 * allocation of its own, so that the address sanitizer sees a step outside. */

enum {
	RIG_PAGE = 4096,
	RIG_A = 0x10000,
	RIG_A_SIZE = 16 * RIG_PAGE,
	RIG_B = RIG_A + RIG_A_SIZE,
	RIG_B_SIZE = 4 * RIG_PAGE,
	RIG_C = 0x100000,
	RIG_C_SIZE = RIG_PAGE
};

struct rig {
	struct port port;
	struct vhost_dev dev;
	struct ring r;
	struct batch b;
	/* Where the ring stands, all in region A. */
	union {
		struct vring_desc *desc;
		struct vring_packed_desc *pdesc;
	};
	struct vring_avail *avail;
	struct vring_used *used;
	struct vring_packed_desc_event *driver, *device;
};

static inline uint8_t *rig_at(struct rig *g, uint64_t gpa) {
	uint64_t left;

	return gmem_at(&g->dev.mem, gpa, &left);
}

static inline void rig_init(struct rig *g, bool packed, uint16_t size, bool mergeable) {
	static const uint64_t gpa[] = {RIG_A, RIG_B, RIG_C},
			      len[] = {RIG_A_SIZE, RIG_B_SIZE, RIG_C_SIZE};

	memset(g, 0, offsetof(struct rig, b));
	g->dev.port = &g->port; // no queues: nothing to still but the mark
	g->dev.wake = -1;
	for (unsigned i = 0; i < 3; i++) {
		g->dev.mem.r[i] = (struct gmem_region){
			.gpa = gpa[i], .size = len[i], .hva = aligned_alloc(RIG_PAGE, len[i])};
		memset(g->dev.mem.r[i].hva, 0, len[i]);
	}
	g->dev.mem.n = 3;
	g->desc = (struct vring_desc *)rig_at(g, RIG_A);
	g->avail = (struct vring_avail *)rig_at(g, RIG_A + 4 * RIG_PAGE);
	g->used = (struct vring_used *)rig_at(g, RIG_A + 5 * RIG_PAGE);
	g->driver = (struct vring_packed_desc_event *)g->avail;
	g->device = (struct vring_packed_desc_event *)g->used;
	g->r.packed = packed;
	g->r.desc = g->desc;
	g->r.avail = g->avail;
	g->r.used = g->used;
	g->r.size = size;
	g->r.mem = &g->dev.mem;
	g->r.dev = &g->dev;
	g->r.hdr_len = 12;
	g->r.indirect = true;
	g->r.mergeable = mergeable;
	g->r.len_max = 9018;
	g->r.callfd = -1;
	g->r.avail_wrap = g->r.used_wrap = true;
	g->r.stage = calloc(size, sizeof(g->r.stage[0]));
}

static inline void rig_fini(struct rig *g) {
	for (unsigned i = 0; i < 3; i++)
		free(g->dev.mem.r[i].hva);
	free(g->r.stage);
}

#endif
