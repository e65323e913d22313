/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
/* A ring whose every byte a guest made up: tables, indices, descriptors, indirect tables, headers.
 *
 * The input is a struct script, then the guest's memory from the start of region A on. The script
 * pulls and pushes; between the steps the guest makes more descriptors available and rewrites some.
 * What must hold: no access outside the guest's memory (the sanitizers see to that), every pulled
 * frame refers to guest memory only and is as long as its parts, what is pushed fits, and after a
 * fault there is a sentence that says why. */
#include <linux/virtio_net.h>
#include <sys/mman.h>

#include "../unit/ring_rig.h"
#include "frame/offload.h"
#include "must.h"

struct script {
	uint8_t kind; /* bit 0: packed; 1: mergeable; 2: no indirect; 3: 10-byte header; 4: event index */
	uint8_t order; /* size of a split ring: 1 << (order % 7); packed: 1 + order % 64 */
	uint8_t steps[14];
};
_Static_assert(sizeof(struct script) == 16, "the corpus has it so");

#define FAR_SIZE (5ull << 30)

static struct rig g;

static bool faulted(void) {
	return atomic_load(&g.dev.faulted);
}

static void must_be_guest(const struct seg *s) {
	MUST(gmem_holds(&g.dev.mem, s->base, s->len));
}

static void check_frame(const struct frame *f, unsigned i) {
	uint64_t sum = f->head_len;

	if (f->drop == DROP_CHAIN_TOO_LONG || f->drop == DROP_OVERSIZE || f->drop == DROP_RUNT)
		return;
	MUST(f->head >= g.b.room[i] && f->head + f->head_len <= g.b.room[i] + FRAME_HEAD_MAX);
	for (unsigned s = 0; s < f->nsegs; s++) {
		must_be_guest(&f->segs[s]);
		sum += f->segs[s].len;
	}
	MUST(sum == f->len && f->len <= FRAME_LEN_MAX);
	if (f->drop == DROP_NONE && offload_any(&f->ol) &&
		f->ol.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		MUST((uint32_t)f->ol.csum_start + f->ol.csum_offset + 2 <= f->head_len);
}

static void pull(unsigned budget) {
	unsigned n = ring_pull(&g.r, &g.b, budget);

	MUST(n <= budget && (n == 0 || !faulted()));
	for (unsigned i = 0; i < n; i++)
		check_frame(&g.b.f[i], i);
	if (n > 0)
		ring_return(&g.r);
}

/* The model: what ring_put staged of the window lies in memory that is the guest's, holds what it says,
 * and its pieces were offered in one buffer each; the bytes come out in order. */
static uint64_t offered(const struct chain *r) {
	uint64_t sum = r->len;

	if (r->len != 0) {
		MUST(gmem_holds(&g.dev.mem, r->p, r->len));
		return sum;
	}
	for (unsigned i = 0; i < r->nsegs; i++) {
		must_be_guest(&g.r.segs[r->seg + i]);
		sum += g.r.segs[r->seg + i].len;
	}
	return sum;
}

static void check_put(enum drop why, uint16_t before, const struct frame *f, uint32_t tag) {
	const uint64_t need = g.r.hdr_len + (uint64_t)f->len + (tag != 0 ? 4 : 0);
	const unsigned used = (uint16_t)(g.r.staged - before);
	uint64_t room = 0;

	MUST(g.r.head + g.r.count <= RING_WINDOW && g.r.staged <= g.r.size);
	if (why != DROP_NONE) {
		MUST(used == 0);
		return;
	}
	MUST(used >= 1 && used <= g.r.head && (used == 1 || g.r.mergeable));
	for (unsigned i = 0; i < used; i++)
		room += offered(&g.r.win[g.r.head - used + i]);
	MUST(room >= need && room - offered(&g.r.win[g.r.head - 1]) < need);
}

/* A frame of `len` bytes from somewhere in region B. */
static void push(uint32_t len, uint32_t tag) {
	static uint8_t head[FRAME_HEAD_FIRST], rest[FRAME_LEN_MAX];
	struct seg seg = {.base = rest, .len = len > sizeof(head) ? len - sizeof(head) : 0};
	struct frame f = {.head = head, .len = len, .segs = &seg, .nsegs = seg.len > 0};

	f.head_len = len < sizeof(head) ? (uint16_t)len : sizeof(head);
	ring_fill(&g.r, 4);
	for (unsigned i = 0; i < 3 && !faulted(); i++) {
		const uint16_t before = g.r.staged;
		const enum drop why = ring_put(&g.r, &f, tag);

		check_put(why, before, &f, tag);
	}
	if (!faulted())
		ring_publish(&g.r);
	ring_wants_call(&g.r);
}

static void step(uint8_t what, const uint8_t *more) {
	switch (what & 7) {
	case 0:
	case 1:
		pull(1 + what / 8);
		break;
	case 2:
		push(14 + what / 8 * 50, 0);
		break;
	case 3: // to the longest there is
		push(what / 8 == 31 ? FRAME_LEN_MAX : 60000 + what, 0x81000064);
		break;
	case 4: // the guest goes on
		g.avail->idx += what / 8;
		break;
	case 5: // and changes its mind
		memcpy((uint8_t *)g.desc + what / 8 * 16, more, 16);
		break;
	case 6:
		ring_arm(&g.r);
		ring_disarm(&g.r);
		break;
	default:
		ring_unwind(&g.r);
		if (g.r.packed)
			packed_recover(&g.r);
	}
}

/* A sparse region of 5 GiB from 4 GiB on: pieces of any length that a descriptor can say are in it. */
static void far_add(void) {
	static uint8_t *far;

	if (far == NULL)
		far = mmap(NULL, FAR_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	MUST(far != MAP_FAILED);
	g.dev.mem.r[3] = (struct gmem_region){.gpa = 1ull << 32, .size = FAR_SIZE, .hva = far};
	g.dev.mem.n = 4;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct script s;
	size_t n;

	if (size < sizeof(s) + 16)
		return 0;
	memcpy(&s, data, sizeof(s));
	rig_init(&g, s.kind & 1, s.kind & 1 ? 1 + s.order % 64 : (uint16_t)(1u << s.order % 7),
		s.kind >> 1 & 1);
	g.r.indirect = !(s.kind >> 2 & 1);
	g.r.hdr_len = s.kind >> 3 & 1 ? 10 : 12;
	g.r.event_idx = s.kind >> 4 & 1;
	n = size - sizeof(s) < RIG_A_SIZE ? size - sizeof(s) : RIG_A_SIZE;
	memcpy(rig_at(&g, RIG_A), data + sizeof(s), n);
	far_add();
	for (unsigned i = 0; i < sizeof(s.steps) && !faulted(); i++)
		step(s.steps[i], data + sizeof(s));
	MUST(!faulted() || g.dev.fault[0] != '\0');
	rig_fini(&g);
	return 0;
}
