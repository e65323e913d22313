/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Everything the frame room does, on a frame and an offload request that a guest made up.
 *
 * The input is a struct lie, then the frame's bytes; `extra` more bytes of payload are added, so that
 * short inputs make 64 KiB frames. What must hold, whatever the guest says: no byte is lost or
 * invented, heads stay in their room, what was judged does not change when the guest rewrites its
 * memory, completing a checksum writes nothing but that checksum, segments are right and together
 * carry the payload once. */
#include "../unit/packet.h"
#include "must.h"

struct lie {
	uint8_t at; /* where in the room the head starts */
	uint8_t head; /* private bytes */
	uint16_t split; /* how the rest is cut: seed, and number of segs in the low byte */
	uint16_t extra; /* bytes of payload added */
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
};
_Static_assert(sizeof(struct lie) == 16, "the corpus has it so");

static uint8_t bytes[PACKET_MAX], flat[PACKET_MAX + FRAME_HEAD_MAX];
static struct gso gso;

/* The frame is sound and is what stands in `bytes`. */
static void must_be(const struct rig *g, uint32_t len) {
	const struct frame *f = &g->f;

	MUST(f->head >= g->room && f->head + f->head_len <= g->room_end);
	MUST(f->len == len && flatten(f, flat) == len);
	MUST(memcmp(flat, bytes, len) == 0);
}

static void flip(struct rig *g) {
	for (unsigned i = 0; i < g->nblocks; i++)
		for (uint32_t k = 0; k < g->sizes[i]; k++)
			g->blocks[i][k] ^= 0x5a;
}

/* Judges again after the guest rewrote everything it can. */
static void must_stand(struct rig *g, bool found, uint32_t hash) {
	struct frame was = g->f;

	if (!(was.flags & FRAME_L4))
		return; /* not understood, and perhaps understood otherwise */
	flip(g);
	MUST(frame_flow_hash(&g->f, g->room_end) == hash);
	MUST(frame_parse_l4(&g->f, g->room_end) == found);
	MUST(g->f.l3_off == was.l3_off && g->f.l4_off == was.l4_off && g->f.proto == was.proto);
	MUST(g->f.flags == was.flags && g->f.head_len == was.head_len);
	flip(g);
}

static void complete(struct rig *g, uint32_t len) {
	uint32_t start = g->f.ol.csum_start, field = start + g->f.ol.csum_offset;
	unsigned want = ~ref_sum(0, bytes + start, len - start) & 0xffff, got;

	MUST(start >= FRAME_LEN_MIN && field + 2 <= g->f.head_len);
	if (g->f.flags & FRAME_L4)
		MUST(start >= g->f.l4_off);
	want = want == 0 && g->f.ol.csum_offset == 6 ? 0xffff : want;
	offload_csum(&g->f);
	MUST(!offload_any(&g->f.ol) && offload_fits(&g->f, 0));
	got = get16(g->f.head + field);
	MUST(got == want);
	put16(bytes + field, want);
	must_be(g, len);
}

static void check_segment(const struct rig *g, const struct frame *s, uint32_t off) {
	unsigned l3 = g->f.l3_off, l4 = g->f.l4_off;

	MUST(s->head_len <= FRAME_HEAD_MAX && s->nsegs <= FRAME_SEGS_MAX);
	MUST(s->len <= FRAME_LEN_MAX && flatten(s, flat) == s->len);
	MUST(!offload_any(&s->ol));
	MUST(memcmp(flat, bytes, l3) == 0);
	if (bytes[l3] >> 4 == 4) {
		MUST(get16(flat + l3 + 2) == s->len - l3);
		MUST(ref_sum(0, flat + l3, (flat[l3] & 15) * 4) == 0xffff);
		MUST(memcmp(flat + l3 + 12, bytes + l3 + 12, 8) == 0);
	} else {
		MUST(get16(flat + l3 + 4) == s->len - l3 - 40);
		MUST(memcmp(flat + l3 + 7, bytes + l3 + 7, 33) == 0);
	}
	if (g->f.proto == IPPROTO_TCP) {
		/* The pseudo-header's sum is the sender's, but for the length. */
		unsigned lens[2] = {(~(g->f.len - l4)) & 0xffff, s->len - l4};
		unsigned sum = get16(bytes + l4 + 16) + lens[0] + lens[1];

		sum = ref_sum(sum, flat + l4, s->len - l4);
		MUST(sum == 0xffff || sum == 0);
		MUST(get32(flat + l4 + 4) == get32(bytes + l4 + 4) + off);
	}
}

static void segment(struct rig *g, uint32_t len) {
	uint32_t count = gso_begin(&gso, &g->f), made = 0, got = 0, start = gso.start;
	bool udp = g->f.proto == IPPROTO_UDP;
	struct frame s;

	MUST(count <= GSO_FRAMES_MAX);
	while (gso_next(&gso, &s)) {
		uint32_t n = s.len - gso.hdr;

		MUST(made < count && n <= g->f.ol.gso_size && (n > 0 || count == 1));
		check_segment(g, &s, got);
		if (udp && got == 0) /* the datagram's checksum, which the original does not have */
			memcpy(flat + gso.hdr + g->f.l4_off - start + 6, bytes + g->f.l4_off + 6,
				2);
		MUST(memcmp(flat + gso.hdr, bytes + start + got, n) == 0);
		got += n;
		made++;
	}
	MUST(made == count);
	MUST((gso.why == DROP_NONE) == (count > 0 && start + got == len));
	MUST(gso.why == DROP_NONE || count == 0 ||
		(gso.why == DROP_SEGMENT_LIMIT && count == GSO_FRAMES_MAX && !udp));
	MUST(count <= gso_estimate(&g->f));
	must_be(g, len); /* the original is untouched */
}

static void judge(struct rig *g, uint32_t len, bool early) {
	enum drop why;
	uint32_t hash;
	bool found;

	/* Ports check when they pull, before the tag is taken out. */
	if (early && (g->f.head_len < 18 || offload_check(&g->f, g->room_end) != DROP_NONE))
		return;
	must_be(g, len);
	why = frame_parse(&g->f);
	if (why != DROP_NONE && why != DROP_SERVICE_TAG)
		return;
	if (g->f.flags & FRAME_TAGGED) {
		len -= 4;
		memmove(bytes + 12, bytes + 16, len - 12);
	}
	must_be(g, len);
	found = frame_parse_l4(&g->f, g->room_end);
	must_be(g, len);
	if (found)
		MUST(g->f.l3_off < g->f.l4_off && g->f.l4_off <= g->f.head_len);
	hash = frame_flow_hash(&g->f, g->room_end);
	must_stand(g, found, hash);
	if (!early && offload_check(&g->f, g->room_end) != DROP_NONE)
		return;
	must_be(g, len);
	if (g->f.ol.gso_type != 0)
		segment(g, len);
	else if (g->f.ol.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		complete(g, len);
	else
		MUST(offload_fits(&g->f, 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	uint32_t len;
	struct lie lie;
	struct rig g;

	if (size < sizeof(lie))
		return -1;
	memcpy(&lie, data, sizeof(lie));
	data += sizeof(lie);
	size -= sizeof(lie);
	if (lie.gso_type == 0)
		lie.extra %= 2048; /* longer ones teach nothing and take long */
	if (size + lie.extra > PACKET_MAX)
		return -1;
	memcpy(bytes, data, size);
	for (uint32_t i = 0; i < lie.extra; i++)
		bytes[size + i] = i * 7 + (i >> 8);
	len = size + lie.extra;
	packet_seed = lie.split;
	rig_load(&g, bytes, len, lie.at, RTE_MIN(lie.head, FRAME_HEAD_MAX - lie.at),
		lie.split & 0xff);
	g.f.ol = (struct offload){.flags = lie.flags,
		.gso_type = lie.gso_type,
		.hdr_len = lie.hdr_len,
		.gso_size = lie.gso_size,
		.csum_start = lie.csum_start,
		.csum_offset = lie.csum_offset};
	judge(&g, len, lie.split >> 15);
	rig_free(&g);
	return 0;
}
