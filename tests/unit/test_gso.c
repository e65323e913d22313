/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "packet.h"

enum {
	NEEDS = VIRTIO_NET_HDR_F_NEEDS_CSUM,
};
enum { FIN = 1, SYN = 2, PSH = 8, ACK = 16, ECE = 64, CWR = 128 }; /* of TCP */

static struct packet pkt;
static struct gso gso;
static uint8_t out[PACKET_MAX], whole[PACKET_MAX];

static uint8_t gso_type(const struct recipe *r) {
	return r->proto == IPPROTO_UDP ? VIRTIO_NET_HDR_GSO_UDP
	       : r->version == 4       ? VIRTIO_NET_HDR_GSO_TCPV4
				       : VIRTIO_NET_HDR_GSO_TCPV6;
}

/* Loads the packet of a recipe as a GSO frame that passed the check. */
static void load(
	struct rig *g, const struct recipe *r, unsigned size, unsigned head, unsigned nsegs) {
	packet_make(&pkt, r);
	rig_load(g, pkt.bytes, pkt.len, 0, head, nsegs);
	g->f.ol = (struct offload){.flags = NEEDS,
		.gso_type = gso_type(r),
		.gso_size = size,
		.hdr_len = rnd(65536),
		.csum_start = pkt.l4,
		.csum_offset = r->proto == IPPROTO_TCP ? 16 : 6};
	assert_int_equal(frame_parse(&g->f), DROP_NONE);
	assert_int_equal(offload_check(&g->f, g->room_end), DROP_NONE);
	assert_int_equal(g->f.ol.hdr_len, pkt.payload);
}

/* The next frame, in a row in `out`; false at the end. Checks what holds for every frame. */
static bool next(struct frame *f) {
	unsigned l3 = pkt.l3;

	if (!gso_next(&gso, f))
		return false;
	assert_int_equal(flatten(f, out), f->len);
	assert_in_range(f->head_len, 1, FRAME_HEAD_MAX);
	assert_in_range(f->nsegs, 0, FRAME_SEGS_MAX);
	assert_false(offload_any(&f->ol));
	assert_memory_equal(out, pkt.bytes, 14);
	if (pkt.version == 4) {
		assert_int_equal(get16(out + l3 + 2), f->len - l3);
		assert_int_equal(ref_sum(0, out + l3, (out[l3] & 15) * 4), 0xffff);
	} else {
		assert_int_equal(get16(out + l3 + 4), f->len - l3 - 40);
	}
	return true;
}

static void check_tcp(const struct recipe *r, unsigned size, const struct rig *g) {
	unsigned count = gso_begin(&gso, &g->f), i = 0, n = pkt.len - pkt.payload;
	uint32_t off = 0;
	struct frame f;

	assert_int_equal(count, n == 0 ? 1 : (n + size - 1) / size);
	assert_true(count <= gso_estimate(&g->f));
	for (; next(&f); i++) {
		uint32_t len = f.len - pkt.payload;
		const uint8_t *tcp = out + pkt.l4;
		bool last = i + 1 == count;
		uint8_t flags = r->tcp_flags & ~(last ? 0 : FIN | PSH) & ~(i ? CWR : 0);

		assert_int_equal(len, last ? n - off : size);
		assert_memory_equal(out + pkt.payload, pkt.bytes + pkt.payload + off, len);
		assert_int_equal(get32(tcp + 4), get32(pkt.bytes + pkt.l4 + 4) + off);
		assert_int_equal(tcp[13], flags);
		assert_int_equal(
			ref_sum(ref_pseudo(r->version, out + pkt.l3, IPPROTO_TCP, f.len - pkt.l4),
				tcp, f.len - pkt.l4),
			0xffff);
		if (r->version == 4)
			assert_int_equal(get16(out + pkt.l3 + 4),
				(get16(pkt.bytes + pkt.l3 + 4) + i) & 0xffff);
		assert_true(f.flags & FRAME_L4);
		/* Everything else in the headers is the original's. */
		memcpy(out + pkt.l4 + 4, pkt.bytes + pkt.l4 + 4, 4);
		out[pkt.l4 + 13] = r->tcp_flags;
		memcpy(out + pkt.l4 + 16, pkt.bytes + pkt.l4 + 16, 2);
		if (r->version == 4) {
			memcpy(out + pkt.l3 + 2, pkt.bytes + pkt.l3 + 2, 4);
			memcpy(out + pkt.l3 + 10, pkt.bytes + pkt.l3 + 10, 2);
		} else {
			memcpy(out + pkt.l3 + 4, pkt.bytes + pkt.l3 + 4, 2);
		}
		assert_memory_equal(out, pkt.bytes, pkt.payload);
		off += len;
	}
	assert_int_equal(i, count);
	assert_int_equal(off, n);
}

static void tcp_segments_carry_every_byte_once_under_right_headers(void **state) {
	for (unsigned round = 0; round < 1500; round++) {
		struct recipe r = {.version = rnd(2) ? 4 : 6,
			.proto = IPPROTO_TCP,
			.ip_options = rnd(3) * 4,
			.tcp_options = rnd(11) * 4,
			.ext = {IPPROTO_HOPOPTS, IPPROTO_DSTOPTS},
			.next = rnd(3),
			.payload = rnd(rnd(4) ? 9000 : 65300),
			.tcp_flags = rnd(256)};
		unsigned size = 1 + rnd(rnd(4) ? 2000 : 65535);
		struct rig g;

		if (r.payload / size >= GSO_FRAMES_MAX)
			size = 1448;
		load(&g, &r, size, 18 + rnd(200), rnd(FRAME_SEGS_MAX + 1));
		check_tcp(&r, size, &g);
		rig_free(&g);
	}
}

static void payload_of_64_kib_is_segmented(void **state) {
	for (unsigned i = 0; i < 2; i++) {
		struct recipe r = {.version = i ? 6 : 4,
			.proto = IPPROTO_TCP,
			.tcp_options = 12,
			.payload = i ? 65535 - 72 : 65535 - 52,
			.tcp_flags = ACK | PSH | FIN};
		struct rig g;

		load(&g, &r, 1448, 64, 19);
		check_tcp(&r, 1448, &g);
		rig_free(&g);
		load(&g, &r, 65535, 64, 256);
		check_tcp(&r, 65535, &g);
		rig_free(&g);
	}
}

static void cut_tcp(const struct recipe *r, unsigned size, unsigned nsegs) {
	struct rig g;

	load(&g, r, size, 64, nsegs);
	check_tcp(r, size, &g);
	rig_free(&g);
}

static void headers_alone_are_one_segment(void **state) {
	struct recipe r = {.version = 6, .proto = IPPROTO_TCP, .tcp_flags = ACK | FIN};

	cut_tcp(&r, 1448, 0);
}

static void segments_get_true_lengths_when_the_original_claims_none(void **state) {
	for (int version = 4; version <= 6; version += 2) {
		struct recipe r = {.version = version, .proto = IPPROTO_TCP, .payload = 4000};
		struct frame f;
		struct rig g;

		packet_make(&pkt, &r);
		put16(pkt.bytes + pkt.l3 + (version == 4 ? 2 : 4), 0);
		rig_load(&g, pkt.bytes, pkt.len, 0, 64, 3);
		g.f.ol = (struct offload){.flags = NEEDS,
			.gso_type = gso_type(&r),
			.gso_size = 1448,
			.csum_start = pkt.l4,
			.csum_offset = 16};
		assert_int_equal(offload_check(&g.f, g.room_end), DROP_NONE);
		assert_int_equal(gso_begin(&gso, &g.f), 3);
		while (next(&f)) /* which looks at the lengths */
			;
		rig_free(&g);
	}
}

/* Ports judge a request when they pull the frame, and frame_parse takes the tag out later; a
 * service tag stays in, and is in every segment. */
static void tagged_frames_are_segmented_whether_judged_before_or_after_the_tag_is_taken_out(
	void **state) {
	for (unsigned i = 0; i < 24; i++) {
		const unsigned tags = 1 + i / 4 % 3;
		const bool service = i >= 12 && tags < 3; /* outermost, or behind the first */
		const unsigned taken = service && tags == 1 ? 0 : 4;
		struct recipe r = {.version = i & 1 ? 4 : 6,
			.proto = IPPROTO_TCP,
			.inner_tags = tags,
			.tpid = i >= 12 ? 0x88a8 : 0,
			.payload = 5000,
			.tcp_flags = ACK};
		struct rig g;

		packet_make(&pkt, &r);
		rig_load(&g, pkt.bytes, pkt.len, 0, 18, 3);
		g.f.ol = (struct offload){.flags = NEEDS,
			.gso_type = gso_type(&r),
			.gso_size = 1000,
			.csum_start = pkt.l4,
			.csum_offset = 16};
		if (i & 2)
			assert_int_equal(offload_check(&g.f, g.room_end), DROP_NONE);
		assert_int_equal(frame_parse(&g.f), service ? DROP_SERVICE_TAG : DROP_NONE);
		if (!(i & 2))
			assert_int_equal(offload_check(&g.f, g.room_end), DROP_NONE);
		memmove(pkt.bytes + 12, pkt.bytes + 12 + taken, pkt.len - 12 - taken);
		pkt.len -= taken, pkt.l3 -= taken, pkt.l4 -= taken, pkt.payload -= taken;
		assert_int_equal(g.f.ol.hdr_len, pkt.payload);
		check_tcp(&r, 1000, &g);
		rig_free(&g);
	}
}

static void cwr_is_on_the_first_segment_only_and_ece_on_all(void **state) {
	struct recipe r = {.version = 4,
		.proto = IPPROTO_TCP,
		.payload = 3000,
		.tcp_flags = ACK | CWR | ECE | FIN | PSH};
	static const uint8_t want[] = {ACK | ECE | CWR, ACK | ECE, ACK | ECE | FIN | PSH};
	struct frame f;
	struct rig g;

	load(&g, &r, 1000, 64, 4);
	g.f.ol.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	assert_int_equal(gso_begin(&gso, &g.f), 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(next(&f));
		assert_int_equal(out[pkt.l4 + 13], want[i]);
	}
	assert_false(next(&f));
	rig_free(&g);
}

/* Puts the fragments together again and compares with the datagram. */
static void check_udp(const struct recipe *r, unsigned size, const struct rig *g) {
	unsigned count = gso_begin(&gso, &g->f), i = 0, start = pkt.l4, got = 0, hdr;
	uint32_t id = 0;
	struct frame f;

	for (unsigned k = r->next; r->version == 6 && k > 0 && r->ext[k - 1] == IPPROTO_DSTOPTS;
		k--)
		start -= 16; /* destination options at the end are payload of the fragments */
	assert_in_range(count, 1, gso_estimate(&g->f));
	for (; next(&f); i++) {
		bool last = i + 1 == count, more;
		uint32_t len, off;

		hdr = start + (r->version == 6 && count > 1 ? 8 : 0);
		len = f.len - hdr;
		if (count > 1 && !last)
			assert_int_equal(len, size & ~7u);
		if (r->version == 4) {
			unsigned field = get16(out + pkt.l3 + 6);

			off = (field & 0x1fff) * 8;
			more = field & 0x2000;
			assert_int_equal(get16(out + pkt.l3 + 4), get16(pkt.bytes + pkt.l3 + 4));
		} else if (count > 1) {
			const uint8_t *frag = out + start;

			off = get16(frag + 2) & 0xfff8;
			more = frag[3] & 1;
			assert_int_equal(frag[0], start < pkt.l4 ? IPPROTO_DSTOPTS : IPPROTO_UDP);
			assert_int_equal(out[start == pkt.l3 + 40 ? pkt.l3 + 6 : pkt.l3 + 40],
				IPPROTO_FRAGMENT);
			if (i == 0)
				id = get32(frag + 4);
			assert_int_equal(get32(frag + 4), id);
		} else {
			off = 0;
			more = false;
		}
		assert_int_equal(off, got);
		assert_int_equal(more, !last);
		assert_int_equal(!!(f.flags & FRAME_FRAGMENT), count > 1);
		memcpy(whole + start + off, out + hdr, len);
		got += len;
	}
	assert_int_equal(i, count);
	assert_int_equal(start + got, pkt.len);
	assert_int_equal(
		ref_sum(ref_pseudo(r->version, pkt.bytes + pkt.l3, IPPROTO_UDP, pkt.len - pkt.l4),
			whole + pkt.l4, pkt.len - pkt.l4),
		0xffff);
	memcpy(whole + pkt.l4 + 6, pkt.bytes + pkt.l4 + 6, 2);
	assert_memory_equal(whole + start, pkt.bytes + start, pkt.len - start);
}

static void udp_datagrams_become_fragments_that_make_them_again(void **state) {
	for (unsigned round = 0; round < 1500; round++) {
		static const struct recipe kinds[] = {
			{.version = 4},
			{.version = 4, .ip_options = 16},
			{.version = 6},
			{.version = 6, .ext = {IPPROTO_HOPOPTS}, .next = 1},
			{.version = 6, .ext = {IPPROTO_HOPOPTS, IPPROTO_DSTOPTS}, .next = 2},
			{.version = 6, .ext = {IPPROTO_DSTOPTS}, .next = 1},
		};
		struct recipe r = kinds[rnd(6)];
		unsigned size = 64 + rnd(rnd(4) ? 2000 : 60000);
		struct rig g;

		r.proto = IPPROTO_UDP;
		r.payload = rnd(rnd(4) ? 9000 : 65000);
		if (r.payload / (size & ~7u) + 2 >= GSO_FRAGMENTS_MAX)
			size = 1480;
		load(&g, &r, size, 18 + rnd(238), rnd(FRAME_SEGS_MAX));
		check_udp(&r, size, &g);
		rig_free(&g);
	}
}

static void a_fragment_header_goes_behind_the_routing_header(void **state) {
	struct recipe r = {.version = 6,
		.proto = IPPROTO_UDP,
		.payload = 3000,
		.ext = {IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS},
		.next = 4};
	unsigned place = 54 + 8 + 16 + 24;
	struct frame f;
	struct rig g;

	load(&g, &r, 1208, 64, 4);
	assert_int_equal(gso_begin(&gso, &g.f), 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(next(&f));
		assert_int_equal(out[54], IPPROTO_DSTOPTS);
		assert_int_equal(out[54 + 24], IPPROTO_FRAGMENT); /* named by the routing header */
		assert_int_equal(out[place], IPPROTO_DSTOPTS);
		assert_int_equal(get16(out + place + 2), i * 1208 | (i < 2));
	}
	rig_free(&g);
}

static void options_that_are_not_to_be_copied_are_in_the_first_fragment_only(void **state) {
	struct recipe r = {.version = 4, .proto = IPPROTO_UDP, .payload = 3000, .ip_options = 16};
	struct frame f;
	struct rig g;

	load(&g, &r, 1000, 64, 4);
	assert_int_equal(gso_begin(&gso, &g.f), 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(next(&f));
		assert_memory_equal(out + 34,
			i == 0 ? "\x88\x04\x12\x34\x44\x04\x05\x00"
			       : "\x88\x04\x12\x34\x01\x01\x01\x01",
			8);
	}
	rig_free(&g);
}

static void a_datagram_whose_checksum_is_zero_carries_ffff(void **state) {
	struct recipe r = {.version = 4, .proto = IPPROTO_UDP, .payload = 3000};
	struct frame f;
	struct rig g;

	load(&g, &r, 1480, 64, 4);
	rig_free(&g);
	put16(pkt.bytes + pkt.payload, 0);
	put16(pkt.bytes + pkt.payload, ~ref_sum(0, pkt.bytes + pkt.l4, pkt.len - pkt.l4) & 0xffff);
	rig_load(&g, pkt.bytes, pkt.len, 0, 64, 4);
	g.f.ol = (struct offload){.flags = NEEDS,
		.gso_type = VIRTIO_NET_HDR_GSO_UDP,
		.gso_size = 1480,
		.csum_start = pkt.l4,
		.csum_offset = 6};
	assert_int_equal(offload_check(&g.f, g.room_end), DROP_NONE);
	assert_int_equal(gso_begin(&gso, &g.f), 3);
	assert_true(next(&f));
	assert_int_equal(get16(out + pkt.l4 + 6), 0xffff);
	rig_free(&g);
}

static void a_frame_never_has_more_segs_than_frames_may_have(void **state) {
	struct recipe r = {.version = 6, .proto = IPPROTO_UDP, .payload = 3000};

	for (unsigned nsegs = FRAME_SEGS_MAX - 1; nsegs <= FRAME_SEGS_MAX; nsegs++) {
		struct frame f;
		struct rig g;

		/* All private bytes and all segs in the first of two fragments. */
		load(&g, &r, 2992, FRAME_HEAD_MAX, nsegs);
		if (nsegs == FRAME_SEGS_MAX) {
			assert_int_equal(gso_begin(&gso, &g.f), 0);
		} else {
			assert_int_equal(gso_begin(&gso, &g.f), 2);
			while (next(&f)) /* which counts them */
				;
		}
		rig_free(&g);
	}
}

static void of_a_frame_that_makes_too_many_segments_the_first_are_cut(void **state) {
	struct recipe r = {.version = 4,
		.proto = IPPROTO_TCP,
		.payload = GSO_FRAMES_MAX,
		.tcp_flags = ACK | PSH | FIN};
	struct rig g;
	struct frame f;

	cut_tcp(&r, 1, 1);
	r.payload = 65000;
	for (unsigned size = 1; size < 480; size += 83) {
		unsigned n = 0;

		load(&g, &r, size, 64, 1);
		assert_int_equal(gso_begin(&gso, &g.f), GSO_FRAMES_MAX);
		assert_int_equal(gso.why, DROP_SEGMENT_LIMIT);
		for (; next(&f); n++) {
			assert_int_equal(f.len, pkt.payload + size);
			assert_memory_equal(
				out + pkt.payload, pkt.bytes + pkt.payload + n * size, size);
			assert_int_equal(out[pkt.l4 + 13], ACK); /* none of them is the last */
		}
		assert_int_equal(n, GSO_FRAMES_MAX);
		rig_free(&g);
	}
	cut_tcp(&r, GSO_SIZE_FULL, 1);
}

static void a_datagram_that_would_become_too_many_fragments_is_refused(void **state) {
	struct recipe r = {.version = 4, .proto = IPPROTO_UDP, .payload = 2049};
	static const unsigned sizes[] = {7, 8, 1008}; /* fragments come in units of 8 */
	struct rig g;

	for (unsigned i = 0; i < 3; i++) {
		load(&g, &r, sizes[i], 64, 1);
		assert_int_equal(gso_begin(&gso, &g.f), 0);
		assert_int_equal(gso.why, i == 0 ? DROP_SEGMENT_FAILED : DROP_SEGMENT_LIMIT);
		assert_false(gso_next(&gso, &(struct frame){0}));
		rig_free(&g);
		r.payload = 65000;
	}
}

static void headers_without_room_for_a_fragment_header_are_refused(void **state) {
	struct recipe r = {.version = 6,
		.proto = IPPROTO_UDP,
		.payload = 3000,
		.next = 1,
		.ext = {IPPROTO_DSTOPTS}};

	for (unsigned words = 0; words <= 24;
		words++) { /* the header's length in units of 8, less 1 */
		struct rig g;
		unsigned l4 = 54 + (words + 1) * 8;

		packet_make(&pkt, &r);
		pkt.bytes[55] = words;
		put16(pkt.bytes + l4 + 4, pkt.len - l4);
		rig_load(&g, pkt.bytes, pkt.len, 0, 64, 9);
		g.f.ol = (struct offload){.flags = NEEDS,
			.gso_type = 3,
			.gso_size = 1000,
			.csum_start = l4,
			.csum_offset = 6};
		assert_int_equal(frame_parse(&g.f), DROP_NONE);
		/* Up to 256 private bytes of headers are admitted, up to 248 can grow by 8. */
		assert_int_equal(offload_check(&g.f, g.room_end),
			l4 + 8 <= 256 ? DROP_NONE : DROP_OFFLOAD_BAD);
		if (l4 + 8 <= 256)
			assert_int_equal(gso_begin(&gso, &g.f) > 0, l4 + 8 <= 248);
		rig_free(&g);
	}
}

/* Law 3: whatever the sender writes meanwhile, each segment's headers follow from the judged ones. */
static void a_guest_that_rewrites_its_memory_between_segments_changes_payload_only(void **state) {
	struct recipe r = {
		.version = 4, .proto = IPPROTO_TCP, .payload = 9000, .tcp_flags = ACK | PSH};
	uint32_t off = 0;
	struct frame f;
	struct rig g;

	load(&g, &r, 1448, 18, 30);
	assert_int_equal(gso_begin(&gso, &g.f), 7);
	for (unsigned i = 0; i < 7; i++) {
		rig_rewrite(&g, 0xa0 + i);
		assert_true(next(&f));
		rig_rewrite(&g, 0x33); /* between checksum and delivery */
		flatten(&f, out);
		assert_memory_equal(out + pkt.l3 + 12, pkt.bytes + pkt.l3 + 12, 8);
		assert_memory_equal(out + pkt.l4, pkt.bytes + pkt.l4, 4);
		assert_int_equal(get32(out + pkt.l4 + 4), get32(pkt.bytes + pkt.l4 + 4) + off);
		assert_int_equal(out[pkt.l4 + 12], 0x50);
		assert_int_equal(out[f.len - 1], 0x33);
		off += 1448;
	}
	rig_free(&g);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_segments_carry_every_byte_once_under_right_headers),
		cmocka_unit_test(payload_of_64_kib_is_segmented),
		cmocka_unit_test(headers_alone_are_one_segment),
		cmocka_unit_test(segments_get_true_lengths_when_the_original_claims_none),
		cmocka_unit_test(a_datagram_whose_checksum_is_zero_carries_ffff),
		cmocka_unit_test(a_frame_never_has_more_segs_than_frames_may_have),
		cmocka_unit_test(
			tagged_frames_are_segmented_whether_judged_before_or_after_the_tag_is_taken_out),
		cmocka_unit_test(cwr_is_on_the_first_segment_only_and_ece_on_all),
		cmocka_unit_test(udp_datagrams_become_fragments_that_make_them_again),
		cmocka_unit_test(a_fragment_header_goes_behind_the_routing_header),
		cmocka_unit_test(options_that_are_not_to_be_copied_are_in_the_first_fragment_only),
		cmocka_unit_test(of_a_frame_that_makes_too_many_segments_the_first_are_cut),
		cmocka_unit_test(a_datagram_that_would_become_too_many_fragments_is_refused),
		cmocka_unit_test(headers_without_room_for_a_fragment_header_are_refused),
		cmocka_unit_test(
			a_guest_that_rewrites_its_memory_between_segments_changes_payload_only),
	};

	return cmocka_run_group_tests_name("gso", tests, NULL, NULL);
}
