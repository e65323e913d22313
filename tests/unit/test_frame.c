/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "packet.h"

static struct packet pkt;
static uint8_t flat[PACKET_MAX];

static void pulling_gathers_a_head_from_many_segments_and_loses_no_byte(void **state) {
	for (unsigned round = 0; round < 2000; round++) {
		struct recipe r = {.version = 4, .proto = IPPROTO_TCP, .payload = rnd(3000)};
		unsigned at = rnd(64), head = rnd(65);
		struct rig g;

		packet_make(&pkt, &r);
		rig_load(&g, pkt.bytes, pkt.len, at, head, rnd(40));
		for (unsigned i = 0; i < 4; i++) {
			unsigned n = rnd(300), had = g.f.head_len;
			int rc = frame_pull(&g.f, n, g.room_end);

			if (n <= had)
				assert_int_equal(rc, 0);
			else if (n > pkt.len)
				assert_int_equal(rc, -EINVAL);
			else if (n > FRAME_HEAD_MAX - at)
				assert_int_equal(rc, -E2BIG);
			else
				assert_int_equal(rc, 0);
			assert_int_equal(g.f.head_len, rc == 0 && n > had ? n : had);
			assert_int_equal(flatten(&g.f, flat), pkt.len);
			assert_memory_equal(flat, pkt.bytes, pkt.len);
		}
		rig_free(&g);
	}
}

static void a_head_fills_its_room_to_the_last_byte_and_not_further(void **state) {
	struct recipe r = {.version = 4, .proto = IPPROTO_UDP, .payload = 1000};
	struct rig g;

	packet_make(&pkt, &r);
	for (unsigned at = 0; at < 200; at += 33) {
		rig_load(&g, pkt.bytes, pkt.len, at, 18, 20);
		assert_int_equal(frame_pull(&g.f, FRAME_HEAD_MAX - at + 1, g.room_end), -E2BIG);
		assert_int_equal(frame_pull(&g.f, FRAME_HEAD_MAX - at, g.room_end), 0);
		assert_memory_equal(g.f.head, pkt.bytes, FRAME_HEAD_MAX - at);
		rig_free(&g);
	}
}

static void any_range_can_be_copied_out(void **state) {
	struct recipe r = {.version = 6, .proto = IPPROTO_TCP, .payload = 2000};
	struct rig g;

	packet_make(&pkt, &r);
	for (unsigned round = 0; round < 2000; round++) {
		uint32_t off = rnd(pkt.len + 1), len = rnd(pkt.len - off + 1);
		uint8_t *to = malloc(len ? len : 1);

		rig_load(&g, pkt.bytes, pkt.len, rnd(100), rnd(130), rnd(30));
		frame_copy(&g.f, off, to, len);
		assert_memory_equal(to, pkt.bytes + off, len);
		rig_free(&g);
		free(to);
	}
}

static void an_untagged_frame_is_left_as_it_is(void **state) {
	struct recipe r = {.version = 4, .proto = IPPROTO_TCP, .payload = 10};
	struct rig g;

	packet_make(&pkt, &r);
	rig_load(&g, pkt.bytes, pkt.len, 0, 64, 1);
	g.f.tci = 77;
	g.f.flags = 0xff;
	assert_int_equal(frame_parse(&g.f), DROP_NONE);
	assert_int_equal(g.f.ethertype, 0x0800);
	assert_int_equal(g.f.tci, 0);
	assert_int_equal(g.f.flags, 0);
	assert_ptr_equal(g.f.head, g.room);
	assert_int_equal(g.f.len, pkt.len);
	rig_free(&g);
}

static void a_tag_is_taken_out_and_kept(void **state) {
	for (unsigned tags = 1; tags <= 2; tags++) {
		struct recipe r = {
			.version = 4, .proto = IPPROTO_UDP, .inner_tags = tags, .payload = 64};
		struct rig g;

		packet_make(&pkt, &r);
		put16(pkt.bytes + 14, 0xa064); /* priority 5, VLAN 100 */
		rig_load(&g, pkt.bytes, pkt.len, 3, 18, 3);
		g.f.ol = (struct offload){.csum_start = pkt.l4, .csum_offset = 6, .hdr_len = 60};
		assert_int_equal(frame_parse(&g.f), DROP_NONE);
		assert_int_equal(g.f.flags, FRAME_TAGGED);
		assert_int_equal(g.f.tci, 0xa064);
		assert_int_equal(g.f.ethertype, tags == 2 ? 0x8100 : 0x0800);
		assert_int_equal(g.f.ol.csum_start, pkt.l4 - 4);
		assert_int_equal(g.f.ol.csum_offset, 6);
		assert_int_equal(g.f.ol.hdr_len, 56);
		assert_int_equal(flatten(&g.f, flat), pkt.len - 4);
		assert_int_equal(g.f.len, pkt.len - 4);
		assert_memory_equal(flat, pkt.bytes, 12);
		assert_memory_equal(flat + 12, pkt.bytes + 16, pkt.len - 16);
		assert_true(frame_parse_l4(&g.f, g.room_end));
		assert_int_equal(g.f.l3_off, pkt.l3 - 4);
		assert_int_equal(g.f.l4_off, pkt.l4 - 4);
		rig_free(&g);
	}
}

static const uint16_t service_tags[] = {0x88a8, 0x9100, 0x9200, 0x9300};

static void a_service_tag_is_told_of_and_left_where_it_is(void **state) {
	for (unsigned i = 0; i < 8; i++) {
		const unsigned tags = 1 + i % 2, out = 4 * (tags - 1);
		struct recipe r = {.version = 6,
			.proto = IPPROTO_TCP,
			.inner_tags = tags,
			.tpid = service_tags[i / 2],
			.payload = 64};
		struct rig g;

		packet_make(&pkt, &r);
		rig_load(&g, pkt.bytes, pkt.len, 3, 18, 3);
		g.f.ol = (struct offload){.csum_start = pkt.l4, .csum_offset = 16, .hdr_len = 80};
		assert_int_equal(frame_parse(&g.f), DROP_SERVICE_TAG);
		assert_int_equal(g.f.flags, tags == 2 ? FRAME_TAGGED : 0);
		assert_int_equal(g.f.tci, tags == 2 ? 100 : 0);
		assert_int_equal(g.f.ethertype, service_tags[i / 2]);
		assert_int_equal(g.f.ol.csum_start, pkt.l4 - out);
		assert_int_equal(g.f.ol.hdr_len, 80 - out);
		assert_int_equal(flatten(&g.f, flat), pkt.len - out);
		assert_memory_equal(flat, pkt.bytes, 12);
		assert_memory_equal(flat + 12, pkt.bytes + 12 + out, pkt.len - 12 - out);
		rig_free(&g);
	}
}

/* What is no tag is left alone, whatever its number has in common with one. */
static void other_types_are_no_tags(void **state) {
	static const uint16_t types[] = {0x0800, 0x0806, 0x80ff, 0x8101, 0x86dd, 0x8847, 0x8863,
		0x88a7, 0x88a9, 0x88cc, 0x88e7, 0x9000, 0x90ff, 0x9101, 0x9400, 0xffff};
	struct recipe r = {.version = 4, .proto = IPPROTO_UDP, .payload = 64};
	struct rig g;

	packet_make(&pkt, &r);
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		put16(pkt.bytes + 12, types[i]);
		rig_load(&g, pkt.bytes, pkt.len, 0, 64, 1);
		assert_int_equal(frame_parse(&g.f), DROP_NONE);
		assert_int_equal(g.f.ethertype, types[i]);
		assert_int_equal(g.f.flags, 0);
		assert_int_equal(g.f.len, pkt.len);
		rig_free(&g);
	}
}

static void offsets_inside_the_tag_do_not_wrap_when_it_is_taken_out(void **state) {
	struct recipe r = {.version = 4, .proto = IPPROTO_UDP, .inner_tags = 1, .payload = 64};
	struct rig g;

	packet_make(&pkt, &r);
	for (unsigned start = 0; start < 18; start++) {
		rig_load(&g, pkt.bytes, pkt.len, 0, 64, 1);
		g.f.ol = (struct offload){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.csum_start = start,
			.hdr_len = start};
		assert_int_equal(frame_parse(&g.f), DROP_NONE);
		assert_int_equal(g.f.ol.csum_start, start < 4 ? 0 : start - 4);
		assert_int_equal(g.f.ol.hdr_len, start < 4 ? 0 : start - 4);
		assert_int_equal(offload_check(&g.f, g.room_end), DROP_OFFLOAD_BAD);
		rig_free(&g);
	}
}

static void a_frame_without_room_for_its_header_or_tag_is_a_runt(void **state) {
	struct recipe r = {.version = 4, .proto = IPPROTO_UDP, .inner_tags = 1, .payload = 64};
	struct rig g;

	packet_make(&pkt, &r);
	for (unsigned len = 0; len < 20; len++) {
		rig_load(&g, pkt.bytes, len, 0, len, 0);
		assert_int_equal(frame_parse(&g.f), len < 18 ? DROP_RUNT : DROP_NONE);
		rig_free(&g);
		put16(pkt.bytes + 12, 0x0800);
		rig_load(&g, pkt.bytes, len, 0, len, 0);
		assert_int_equal(frame_parse(&g.f), len < 14 ? DROP_RUNT : DROP_NONE);
		rig_free(&g);
		put16(pkt.bytes + 12, 0x88a8);
		rig_load(&g, pkt.bytes, len, 0, len, 0);
		assert_int_equal(frame_parse(&g.f), len < 18 ? DROP_RUNT : DROP_SERVICE_TAG);
		rig_free(&g);
		put16(pkt.bytes + 12, 0x8100);
	}
}

/* Layers 3 and 4 of what stands in pkt. */
static bool parse(struct rig *g, uint32_t len, unsigned head) {
	rig_load(g, pkt.bytes, len, 0, head, 12);
	assert_int_equal(frame_parse(&g->f), DROP_NONE);
	return frame_parse_l4(&g->f, g->room_end);
}

static const struct recipe shapes[] = {
	{.version = 4, .proto = IPPROTO_TCP, .payload = 20},
	{.version = 4, .proto = IPPROTO_UDP, .payload = 20},
	{.version = 4, .proto = IPPROTO_TCP, .ip_options = 40, .tcp_options = 40, .payload = 9},
	{.version = 6, .proto = IPPROTO_TCP, .payload = 20},
	{.version = 6, .proto = IPPROTO_UDP, .payload = 0},
	{.version = 6, .proto = IPPROTO_TCP, .ext = {IPPROTO_HOPOPTS}, .next = 1, .payload = 3},
	{.version = 6,
		.proto = IPPROTO_UDP,
		.ext = {IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_ROUTING, IPPROTO_AH,
			IPPROTO_DSTOPTS},
		.next = 5,
		.payload = 33},
	{.version = 6, .proto = IPPROTO_TCP, .ext = {IPPROTO_FRAGMENT}, .next = 1, .payload = 8},
	{.version = 6,
		.proto = IPPROTO_TCP,
		.inner_tags = 3,
		.ext = {IPPROTO_HOPOPTS, IPPROTO_ROUTING},
		.next = 2,
		.tcp_options = 12,
		.payload = 100},
};

enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

static void headers_of_every_shape_are_found_and_made_private(void **state) {
	for (unsigned i = 0; i < SHAPES; i++) {
		unsigned pop = shapes[i].inner_tags ? 4 : 0;
		struct rig g;

		packet_make(&pkt, &shapes[i]);
		assert_true(parse(&g, pkt.len, 18));
		assert_int_equal(g.f.flags & (FRAME_L4 | FRAME_FRAGMENT), FRAME_L4);
		assert_int_equal(g.f.l3_off, pkt.l3 - pop);
		assert_int_equal(g.f.l4_off, pkt.l4 - pop);
		assert_int_equal(g.f.proto, pkt.proto);
		assert_in_range(g.f.head_len, pkt.payload - pop, FRAME_HEAD_MAX);
		rig_free(&g);
	}
}

static void a_packet_cut_anywhere_is_not_taken_for_whole(void **state) {
	for (unsigned i = 0; i < SHAPES; i++) {
		packet_make(&pkt, &shapes[i]);
		for (uint32_t len = 18; len < pkt.len; len++) {
			struct rig g;

			assert_false(parse(&g, len, rnd(len - 17) + 18));
			assert_int_equal(g.f.flags & FRAME_L4, 0);
			rig_free(&g);
		}
	}
}

static void padding_behind_a_short_packet_is_not_part_of_it(void **state) {
	struct recipe r = {.version = 4, .proto = IPPROTO_UDP, .payload = 0};
	struct rig g;

	packet_make(&pkt, &r);
	memset(pkt.bytes + pkt.len, 0, 60);
	assert_true(parse(&g, 60, 60));
	rig_free(&g);
	put16(pkt.bytes + pkt.l3 + 2, 27); /* IP says that the UDP header is cut */
	assert_false(parse(&g, 60, 60));
	rig_free(&g);
	packet_make(&pkt, &(struct recipe){.version = 4, .proto = IPPROTO_TCP});
	memset(pkt.bytes + pkt.len, 0, 60);
	pkt.bytes[pkt.l4 + 12] = 0x60; /* TCP options that would lie in the padding */
	assert_false(parse(&g, 60, 60));
	rig_free(&g);
}

static void an_ip_header_longer_than_its_packet_is_unsound_whatever_it_carries(void **state) {
	struct rig g;

	packet_make(&pkt, &shapes[1]);
	pkt.bytes[pkt.l3 + 9] = IPPROTO_GRE;
	assert_true(parse(&g, pkt.len, 18));
	assert_int_equal(g.f.proto, IPPROTO_GRE);
	rig_free(&g);
	put16(pkt.bytes + pkt.l3 + 2, 19);
	for (unsigned field = 0; field <= 0x2000; field += 0x2000) { /* whole, a fragment */
		put16(pkt.bytes + pkt.l3 + 6, field);
		assert_false(parse(&g, pkt.len, 18));
		assert_int_equal(g.f.flags & FRAME_L4, 0);
		rig_free(&g);
	}
}

static void header_lengths_that_lie_are_not_followed(void **state) {
	static const struct {
		unsigned shape, off;
		uint8_t value;
	} lies[] = {
		{0, 14, 0x44}, /* ihl below 5 */
		{0, 14, 0x4f}, /* ihl beyond the packet's TCP header */
		{0, 14, 0x65}, /* version 6 under 0x0800 */
		{0, 17, 19}, /* total length inside the header */
		{0, 16, 0xff}, /* total length beyond the frame */
		{0, 46, 0x40}, /* data offset below 5 */
		{0, 46, 0xf0}, /* data offset beyond the packet */
		{3, 14, 0x40}, /* version 4 under 0x86dd */
		{3, 18, 0x10}, /* payload length beyond the frame */
		{3, 19, 0}, /* no payload */
		{5, 55, 255}, /* extension header beyond the packet */
		{6, 55, 31},
	};

	for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct rig g;

		packet_make(&pkt, &shapes[lies[i].shape]);
		pkt.bytes[lies[i].off] = lies[i].value;
		if (parse(&g, pkt.len, 18))
			fail_msg("lie %u was believed", i);
		rig_free(&g);
	}
}

static void an_extension_chain_longer_than_the_room_is_given_up(void **state) {
	struct recipe r = {.version = 6,
		.proto = IPPROTO_UDP,
		.ext = {IPPROTO_DSTOPTS},
		.next = 1,
		.payload = 2000};
	struct rig g;

	packet_make(&pkt, &r);
	for (unsigned off = 54; off < 1000; off += 8) {
		pkt.bytes[off] = IPPROTO_DSTOPTS;
		pkt.bytes[off + 1] = 0;
	}
	assert_false(parse(&g, pkt.len, 18));
	assert_int_equal(flatten(&g.f, flat), pkt.len);
	rig_free(&g);
}

static void fragments_are_told_from_whole_packets(void **state) {
	struct rig g;

	for (unsigned i = 0; i < 3; i++) {
		static const uint16_t fields[] = {0x2000, 0x2010, 0x0010}; /* first, middle, last */

		packet_make(&pkt, &shapes[1]);
		put16(pkt.bytes + pkt.l3 + 6, fields[i]);
		assert_false(parse(&g, pkt.len, 18));
		assert_int_equal(g.f.flags, FRAME_L4 | FRAME_FRAGMENT);
		assert_int_equal(g.f.proto, IPPROTO_UDP);
		assert_int_equal(g.f.l4_off, pkt.l4);
		rig_free(&g);
	}
	for (unsigned i = 0; i < 3; i++) {
		static const uint16_t fields[] = {0x0001, 0x0081, 0x0080};

		packet_make(&pkt, &shapes[7]);
		put16(pkt.bytes + 54 + 2, fields[i]);
		assert_false(parse(&g, pkt.len, 18));
		assert_int_equal(g.f.flags, FRAME_L4 | FRAME_FRAGMENT);
		assert_int_equal(g.f.proto, IPPROTO_TCP);
		rig_free(&g);
	}
	packet_make(&pkt, &shapes[7]);
	put16(pkt.bytes + 54 + 2, 0x0006); /* reserved bits alone do not make a fragment */
	assert_true(parse(&g, pkt.len, 18));
	rig_free(&g);
	packet_make(&pkt, &shapes[0]);
	put16(pkt.bytes + pkt.l3 + 6, 0x4000); /* "do not fragment" is no fragment */
	assert_true(parse(&g, pkt.len, 18));
	rig_free(&g);
}

static uint32_t hash(void) {
	struct rig g;
	uint32_t h;

	rig_load(&g, pkt.bytes, pkt.len, rnd(20), 18 + rnd(60), rnd(20));
	assert_int_equal(frame_parse(&g.f), DROP_NONE);
	h = frame_flow_hash(&g.f, g.room_end);
	rig_free(&g);
	return h;
}

static void swap(uint8_t *a, uint8_t *b, unsigned len) {
	uint8_t t[16];

	memcpy(t, a, len);
	memcpy(a, b, len);
	memcpy(b, t, len);
}

static void both_directions_of_a_flow_hash_alike_and_other_flows_do_not(void **state) {
	for (unsigned i = 0; i < SHAPES; i++) {
		unsigned addr = shapes[i].version == 4 ? 12 : 8,
			 len = shapes[i].version == 4 ? 4 : 16;
		uint8_t *ip;
		uint32_t h;

		packet_make(&pkt, &shapes[i]);
		ip = pkt.bytes + pkt.l3;
		h = hash();
		swap(ip + addr, ip + addr + len, len);
		swap(pkt.bytes + pkt.l4, pkt.bytes + pkt.l4 + 2, 2);
		swap(pkt.bytes, pkt.bytes + 6, 6);
		assert_int_equal(hash(), h);
		swap(pkt.bytes + pkt.l4, pkt.bytes + pkt.l4 + 2,
			2); /* the ports alone the other way */
		assert_int_not_equal(hash(), h);
		pkt.bytes[pkt.l4 + 1]++;
		assert_int_not_equal(hash(), h);
	}
}

static void flows_spread_over_all_queues(void **state) {
	unsigned seen[16] = {0};

	packet_make(&pkt, &shapes[0]);
	for (unsigned i = 0; i < 16000; i++) {
		put16(pkt.bytes + pkt.l4, 1024 + i);
		seen[hash() % 16]++;
	}
	for (unsigned i = 0; i < 16; i++)
		assert_in_range(seen[i], 850, 1150);
}

static void all_fragments_of_a_datagram_hash_alike(void **state) {
	uint32_t h;

	packet_make(&pkt, &shapes[1]);
	put16(pkt.bytes + pkt.l3 + 6, 0x2000);
	h = hash();
	put16(pkt.bytes + pkt.l3 + 6, 0x0010);
	put16(pkt.bytes + pkt.l4, 4711);
	assert_int_equal(hash(), h);
}

static void what_is_not_ip_hashes_over_its_macs(void **state) {
	uint32_t h;

	packet_make(&pkt, &shapes[0]);
	put16(pkt.bytes + 12, 0x0806);
	h = hash();
	pkt.bytes[30] ^= 0xff;
	assert_int_equal(hash(), h);
	swap(pkt.bytes, pkt.bytes + 6, 6);
	assert_int_equal(hash(), h);
	pkt.bytes[5]++;
	assert_int_not_equal(hash(), h);
}

/* Law 3. The sender's memory changes behind our back after each step: what was made private stands,
 * and what is decided later is decided from it. */
static void a_guest_that_rewrites_its_memory_does_not_change_what_was_judged(void **state) {
	for (unsigned i = 0; i < SHAPES; i++) {
		struct frame judged;
		struct rig g;
		uint32_t h;

		packet_make(&pkt, &shapes[i]);
		assert_true(parse(&g, pkt.len, 18));
		judged = g.f;
		memcpy(flat, g.f.head, g.f.head_len);
		h = hash();
		rig_rewrite(&g, 0x5a);
		assert_int_equal(frame_flow_hash(&g.f, g.room_end), h);
		g.f.flags &= ~FRAME_L4; /* judged a second time */
		assert_true(frame_parse_l4(&g.f, g.room_end));
		assert_int_equal(g.f.l4_off, judged.l4_off);
		assert_int_equal(g.f.proto, judged.proto);
		assert_int_equal(g.f.head_len, judged.head_len);
		assert_memory_equal(g.f.head, flat, judged.head_len);
		frame_copy(&g.f, 0, flat + 4096, g.f.len); /* and this is what goes out */
		assert_memory_equal(flat + 4096, flat, judged.head_len);
		for (uint32_t k = judged.head_len; k < g.f.len; k++)
			assert_int_equal(flat[4096 + k], 0x5a);
		rig_free(&g);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pulling_gathers_a_head_from_many_segments_and_loses_no_byte),
		cmocka_unit_test(a_head_fills_its_room_to_the_last_byte_and_not_further),
		cmocka_unit_test(any_range_can_be_copied_out),
		cmocka_unit_test(an_untagged_frame_is_left_as_it_is),
		cmocka_unit_test(a_tag_is_taken_out_and_kept),
		cmocka_unit_test(a_service_tag_is_told_of_and_left_where_it_is),
		cmocka_unit_test(other_types_are_no_tags),
		cmocka_unit_test(offsets_inside_the_tag_do_not_wrap_when_it_is_taken_out),
		cmocka_unit_test(a_frame_without_room_for_its_header_or_tag_is_a_runt),
		cmocka_unit_test(headers_of_every_shape_are_found_and_made_private),
		cmocka_unit_test(a_packet_cut_anywhere_is_not_taken_for_whole),
		cmocka_unit_test(padding_behind_a_short_packet_is_not_part_of_it),
		cmocka_unit_test(
			an_ip_header_longer_than_its_packet_is_unsound_whatever_it_carries),
		cmocka_unit_test(header_lengths_that_lie_are_not_followed),
		cmocka_unit_test(an_extension_chain_longer_than_the_room_is_given_up),
		cmocka_unit_test(fragments_are_told_from_whole_packets),
		cmocka_unit_test(both_directions_of_a_flow_hash_alike_and_other_flows_do_not),
		cmocka_unit_test(flows_spread_over_all_queues),
		cmocka_unit_test(all_fragments_of_a_datagram_hash_alike),
		cmocka_unit_test(what_is_not_ip_hashes_over_its_macs),
		cmocka_unit_test(a_guest_that_rewrites_its_memory_does_not_change_what_was_judged),
	};

	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
