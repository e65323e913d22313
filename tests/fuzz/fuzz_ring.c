/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
/* A ring whose every byte a guest made up: tables, indices, descriptors, indirect tables, headers.
 *
 * The input is a struct script, then the guest's memory from the start of region A on. The script
 * pulls and pushes; between the steps the guest makes more descriptors available and rewrites some.
 * What must hold: no access outside the guest's memory (the sanitizers see to that), every pulled
 * frame refers to guest memory only and is as long as its parts, what is pushed is in the buffers byte
 * by byte and nothing else has changed, and after a fault there is a sentence that says why. */
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

#define TAG      0x81000064u /* VLAN 100 */
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

/* --- The model ------------------------------------------------------------------------------- */

/* Guest memory as it must be after a frame was put: a copy from before, and what ring_put is to write,
 * in that order, as buffers may lie over each other and over the ring. Of the far region only what a
 * frame touches is looked at, and a little on both sides. */
enum { NEAR_SIZE = RIG_A_SIZE + RIG_B_SIZE + RIG_C_SIZE, BESIDE = 64 };
static uint8_t near_model[NEAR_SIZE], *far, *far_model;
static bool far_used;

static void model_copy(void) {
	uint8_t *to = near_model;

	for (unsigned i = 0; i < 3; to += g.dev.mem.r[i++].size)
		memcpy(to, g.dev.mem.r[i].hva, g.dev.mem.r[i].size);
}

/* Where the model has what the guest has at p. */
static uint8_t *model_at(const uint8_t *p) {
	uint8_t *to = near_model;

	for (unsigned i = 0; i < 3; to += g.dev.mem.r[i++].size)
		if (p >= g.dev.mem.r[i].hva && p < g.dev.mem.r[i].hva + g.dev.mem.r[i].size)
			return to + (p - g.dev.mem.r[i].hva);
	MUST(p >= far && p < far + FAR_SIZE);
	far_used = true;
	return far_model + (p - far);
}

static void near_holds(void) {
	const uint8_t *want = near_model;

	for (unsigned i = 0; i < 3; want += g.dev.mem.r[i++].size)
		MUST(memcmp(g.dev.mem.r[i].hva, want, g.dev.mem.r[i].size) == 0);
}

static void far_holds(const struct seg *s) {
	uint64_t at = (uint64_t)(s->base - far), from = at < BESIDE ? 0 : at - BESIDE,
		 to = at + s->len + BESIDE;

	if (s->base < far || at >= FAR_SIZE)
		return;
	if (to > FAR_SIZE)
		to = FAR_SIZE;
	MUST(memcmp(far + from, far_model + from, to - from) == 0);
}

/* What the guest is to find: the virtio-net header, the frame, its tag behind the MACs. */
struct stream {
	uint8_t bytes[12 + FRAME_LEN_MAX + 4];
	uint32_t len, at;
};

static void stream_add(struct stream *s, const void *p, uint32_t n) {
	memcpy(s->bytes + s->len, p, n);
	s->len += n;
}

static void stream_make(struct stream *s, const struct frame *f, uint32_t tag, uint16_t buffers,
	const uint8_t *raw) {
	const uint16_t shift = tag != 0 ? 4 : 0;
	const uint8_t be[4] = {
		(uint8_t)(tag >> 24), (uint8_t)(tag >> 16), (uint8_t)(tag >> 8), (uint8_t)tag};
	struct virtio_net_hdr_v1 h = {.num_buffers = buffers};

	if (f->ol.gso_type != 0)
		h = (struct virtio_net_hdr_v1){.flags = f->ol.flags,
			.gso_type = f->ol.gso_type,
			.hdr_len = f->ol.hdr_len + shift,
			.gso_size = f->ol.gso_size,
			.csum_start = f->ol.csum_start + shift,
			.csum_offset = f->ol.csum_offset,
			.num_buffers = buffers};
	s->len = s->at = 0;
	stream_add(s, &h, g.r.hdr_len);
	stream_add(s, raw, 12);
	stream_add(s, be, shift);
	stream_add(s, raw + 12, f->len - 12);
}

/* Piece i of a buffer in the window; false: it has no more. */
static bool piece(const struct chain *r, unsigned i, struct seg *out) {
	if (r->len != 0 && i == 0) {
		*out = (struct seg){.base = r->p, .len = r->len};
		return true;
	}
	if (r->len != 0 || i == r->nsegs)
		return false;
	*out = g.r.segs[r->seg + i];
	return true;
}

static uint64_t offered(const struct chain *r) {
	uint64_t sum = 0;
	struct seg s;

	for (unsigned i = 0; piece(r, i, &s); i++) {
		must_be_guest(&s);
		sum += s.len;
	}
	return sum;
}

/* The stream goes on into buffer r, which is then the `at`-th that was staged. */
static void model_buffer(const struct chain *r, unsigned at, struct stream *s) {
	const uint32_t begin = s->at;
	struct seg to;

	for (unsigned i = 0; s->at < s->len && piece(r, i, &to); i++) {
		const uint32_t n = to.len < s->len - s->at ? to.len : s->len - s->at;

		memcpy(model_at(to.base), s->bytes + s->at, n);
		s->at += n;
	}
	if (g.r.packed) {
		MUST(g.r.stage[at].id == r->id);
		MUST((g.r.stage[at].len & ~STAGE_LATER) == s->at - begin);
		MUST(!(g.r.stage[at].len & STAGE_LATER) == (begin == 0));
	} else {
		const struct vring_used_elem e = {.id = r->id, .len = s->at - begin};
		const unsigned k = (g.r.last_used + at) & (g.r.size - 1u);

		memcpy(model_at((const uint8_t *)&g.used->ring[k]), &e, sizeof(e));
	}
}

static void check_put(
	enum drop why, uint16_t before, const struct frame *f, uint32_t tag, const uint8_t *raw) {
	const uint64_t need = g.r.hdr_len + (uint64_t)f->len + (tag != 0 ? 4 : 0);
	const unsigned used = (uint16_t)(g.r.staged - before), first = g.r.head - used;
	static struct stream s;
	uint64_t room = 0;
	struct seg p;

	MUST(g.r.head + g.r.count <= RING_WINDOW && g.r.staged <= g.r.size);
	if (why != DROP_NONE) {
		MUST(used == 0);
		near_holds();
		return;
	}
	MUST(used >= 1 && used <= g.r.head && (used == 1 || g.r.mergeable));
	for (unsigned i = 0; i < used; i++)
		room += offered(&g.r.win[first + i]);
	MUST(room >= need && room - offered(&g.r.win[g.r.head - 1]) < need);
	stream_make(&s, f, tag, (uint16_t)used, raw);
	MUST(s.len == need);
	for (unsigned i = 0; i < used; i++)
		model_buffer(&g.r.win[first + i], before + i, &s);
	MUST(s.at == s.len);
	near_holds();
	for (unsigned i = 0; i < used; i++)
		for (unsigned k = 0; piece(&g.r.win[first + i], k, &p); k++) {
			p.len = p.len < FRAME_LEN_MAX ? p.len : FRAME_LEN_MAX;
			far_holds(&p);
		}
}

/* --- Steps ----------------------------------------------------------------------------------- */

/* Bytes of frames, other ones for each: where they begin in here. */
static const uint8_t *raw_frame(void) {
	static uint8_t bytes[FRAME_LEN_MAX + 256];
	static unsigned frames;

	if (frames == 0)
		for (unsigned i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)(i * 31 + (i >> 8) * 7 + 1);
	return bytes + frames++ % 256;
}

/* A frame of `len` bytes; the first time as one of a run of plain ones, if it can be that. */
static void push(uint32_t len, uint32_t tag) {
	static uint8_t head[FRAME_HEAD_FIRST];
	const uint8_t *raw = raw_frame();
	struct seg seg = {.base = (uint8_t *)raw + sizeof(head),
		.len = len > sizeof(head) ? len - sizeof(head) : 0};
	struct frame f = {.head = head, .len = len, .segs = &seg, .nsegs = seg.len > 0};
	struct tx_item it = {.f = &f, .tag = tag};

	f.head_len = len < sizeof(head) ? (uint16_t)len : sizeof(head);
	memcpy(head, raw, f.head_len);
	if (len > UINT16_MAX - 4000)
		f.ol = (struct offload){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
			.hdr_len = 74,
			.gso_size = 1440,
			.csum_start = 54,
			.csum_offset = 16};
	ring_fill(&g.r, 4);
	for (unsigned i = 0; i < 3 && !faulted(); i++) {
		const uint16_t before = g.r.staged;
		enum drop why = DROP_NONE;
		uint64_t bytes = 0;

		model_copy();
		if (i > 0 || ring_put_plain(&g.r, &it, 1, &bytes) == 0)
			why = ring_put(&g.r, &f, tag);
		check_put(why, before, &f, tag, raw);
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
		push(14 + what / 8 * 50, what & 0x80 ? TAG : 0);
		break;
	case 3: // to the longest there is
		push(what / 8 == 31 ? FRAME_LEN_MAX : 60000 + what, TAG);
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
static uint8_t *far_map(void) {
	uint8_t *p = mmap(NULL, FAR_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	MUST(p != MAP_FAILED);
	return p;
}

static void far_add(void) {
	if (far == NULL) {
		far = far_map();
		far_model = far_map();
	}
	g.dev.mem.r[3] = (struct gmem_region){.gpa = 1ull << 32, .size = FAR_SIZE, .hva = far};
	g.dev.mem.n = 4;
}

/* Zeroes again, and no page of it in use. */
static void far_clear(void) {
	if (!far_used)
		return;
	madvise(far, FAR_SIZE, MADV_DONTNEED);
	madvise(far_model, FAR_SIZE, MADV_DONTNEED);
	far_used = false;
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
	far_clear();
	rig_fini(&g);
	return 0;
}
