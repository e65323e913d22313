/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "ring_guest.h"

/* Frames pass split and packed rings: in, out, and who is told. */

static uint8_t byte_of(const struct frame *f, uint32_t i) {
	uint8_t c;

	frame_copy(f, i, &c, 1);
	return c;
}

static void whole(const struct frame *f, uint32_t len, uint8_t seed) {
	assert_int_equal(f->drop, DROP_NONE);
	assert_int_equal(f->len, len);
	for (uint32_t i = 1; i < len; i++)
		assert_int_equal(byte_of(f, i), (uint8_t)(seed + i));
}

static void no_fault(void) {
	if (atomic_load(&g.dev.faulted))
		fail_msg("fault: %s", g.dev.fault);
}

static void frames_come_as_they_were_sent(void **state) {
	static const uint32_t len[] = {60, 64, 65, 1514, 14};

	for (unsigned i = 0; i < 5; i++) {
		write_frame(buf(i), len[i], (uint8_t)(i * 16));
		offer(i, buf(i), 12 + len[i], 0, true);
	}
	assert_int_equal(ring_pull(&g.r, &g.b, 64), 5);
	no_fault();
	for (unsigned i = 0; i < 5; i++)
		whole(&g.b.f[i], len[i], (uint8_t)(i * 16));
	ring_return(&g.r);
	if (g.r.packed) {
		for (unsigned i = 0; i < 5; i++)
			assert_int_equal(g.pdesc[i].flags & (P_AVAIL | P_USED), P_AVAIL | P_USED);
	} else {
		assert_int_equal(g.used->idx, 5);
		for (unsigned i = 0; i < 5; i++)
			assert_int_equal(g.used->ring[i].id, i);
	}
	assert_int_equal(ring_pull(&g.r, &g.b, 64), 0);
}

static void a_budget_is_kept(void **state) {
	for (unsigned i = 0; i < 10; i++) {
		write_frame(buf(i), 64, 0);
		offer(i, buf(i), 76, 0, true);
	}
	assert_int_equal(ring_pull(&g.r, &g.b, 3), 3);
	ring_return(&g.r);
	assert_int_equal(ring_pull(&g.r, &g.b, 64), 7);
}

static void a_ring_is_walked_many_times_round(void **state) {
	bool lap = true;

	for (unsigned n = 0; n < 5 * SIZE; n++) {
		unsigned i = n % SIZE;

		write_frame(buf(i), 100, (uint8_t)n);
		offer(i, buf(i), 112, 0, lap);
		assert_int_equal(ring_pull(&g.r, &g.b, 64), 1);
		whole(&g.b.f[0], 100, (uint8_t)n);
		ring_return(&g.r);
		if (i == SIZE - 1)
			lap = !lap;
	}
	no_fault();
}

static void a_header_alone_and_a_frame_in_pieces_are_put_together(void **state) {
	// header | 10 bytes | the rest, which crosses from region A into region B
	const uint64_t tail = RIG_B - 100;
	uint8_t *p = rig_at(&g, BUF);

	memset(p, 0, 12);
	for (unsigned i = 0; i < 300; i++) {
		if (i < 10)
			p[64 + i] = (uint8_t)i;
		else
			*rig_at(&g, tail + i - 10) = (uint8_t)i;
	}
	offer(0, BUF, 12, VRING_DESC_F_NEXT, true);
	offer(1, BUF + 64, 10, VRING_DESC_F_NEXT, true);
	offer(2, tail, 290, 0, true);
	if (!g.r.packed)
		g.avail->idx = 1;
	assert_int_equal(ring_pull(&g.r, &g.b, 64), 1);
	no_fault();
	whole(&g.b.f[0], 300, 0);
	assert_int_equal(g.b.f[0].nsegs, 2);
	ring_return(&g.r);
	if (g.r.packed)
		assert_int_equal(g.r.last_used, 3);
}

static void an_indirect_table_is_followed(void **state) {
	struct vring_desc *t = (struct vring_desc *)rig_at(&g, RIG_C);

	write_frame(BUF, 500, 7);
	t[0] = (struct vring_desc){.addr = BUF, .len = 100};
	t[1] = (struct vring_desc){.addr = BUF + 100, .len = 412};
	if (!g.r.packed) {
		t[0].flags = VRING_DESC_F_NEXT;
		t[0].next = 1;
	}
	offer(0, RIG_C, 32, VRING_DESC_F_INDIRECT, true);
	assert_int_equal(ring_pull(&g.r, &g.b, 64), 1);
	no_fault();
	whole(&g.b.f[0], 500, 7);
}

static void what_the_header_asks_for_is_taken_over_once(void **state) {
	struct virtio_net_hdr_v1 *h = (struct virtio_net_hdr_v1 *)rig_at(&g, BUF);
	uint8_t *ip;

	write_frame(BUF, 1000, 0);
	h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h->csum_start = 34;
	h->csum_offset = 6;
	ip = rig_at(&g, BUF) + 12 + 12;
	memcpy(ip,
		"\x08\x00\x45\x00\x03\xda\0\0\0\0\x40\x11\0\0\x0a\0\0\1\x0a\0\0\2\0\1\0\2\x03\xc6\0"
		"\0",
		30);
	offer(0, BUF, 1012, 0, true);
	assert_int_equal(ring_pull(&g.r, &g.b, 64), 1);
	no_fault();
	assert_int_equal(g.b.f[0].drop, DROP_NONE);
	memset(h, 0xff, 12); // the guest changes its mind
	assert_int_equal(g.b.f[0].ol.csum_start, 34);
	assert_int_equal(g.b.f[0].ol.csum_offset, 6);
	assert_int_equal(g.b.f[0].ol.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
}

static void headers_judged_are_headers_kept(void **state) {
	write_frame(BUF, 200, 3);
	offer(0, BUF, 212, 0, true);
	assert_int_equal(ring_pull(&g.r, &g.b, 64), 1);
	memset(rig_at(&g, BUF), 0xee, 12 + FRAME_HEAD_FIRST);
	whole(&g.b.f[0], 200, 3);
}

static void runts_and_giants_are_named_and_given_back(void **state) {
	offer(0, BUF, 12 + 13, 0, true);
	offer(1, BUF, 12 + 9019, 0, true);
	offer(2, BUF, 5, 0, true);
	assert_int_equal(ring_pull(&g.r, &g.b, 64), 3);
	no_fault();
	assert_int_equal(g.b.f[0].drop, DROP_RUNT);
	assert_int_equal(g.b.f[1].drop, DROP_OVERSIZE);
	assert_int_equal(g.b.f[2].drop, DROP_RUNT);
	ring_return(&g.r);
	assert_int_equal(g.r.last_used, 3);
}

/* Slot i is an indirect table of n pieces of 64 bytes; of region A, from page 4 on. */
static void offer_table(unsigned i, unsigned n) {
	struct vring_desc *t;
	uint64_t at = RIG_B + (uint64_t)i % 4 * RIG_PAGE;

	t = (struct vring_desc *)rig_at(&g, at);
	for (unsigned k = 0; k < n; k++) {
		t[k] = (struct vring_desc){.addr = BUF + 64 * (k % 64), .len = 64};
		if (!g.r.packed && k + 1 < n) {
			t[k].flags = VRING_DESC_F_NEXT;
			t[k].next = (uint16_t)(k + 1);
		}
	}
	offer(i, at, n * 16, VRING_DESC_F_INDIRECT, true);
}

static void frames_in_many_pieces_never_take_more_segments_than_a_batch_has(void **state) {
	static const unsigned pieces[] = {256, 256, 256, 256};
	unsigned n, all = 0;

	for (unsigned i = 0; i < SIZE; i++) {
		if (i < 4) {
			offer_table(i, pieces[i]);
			continue;
		}
		if (i % 2)
			offer(i, buf(i), 112, 0, true);
		else
			offer(i, RIG_B, 256 * 16, VRING_DESC_F_INDIRECT, true);
	}
	g.r.len_max = FRAME_LEN_MAX;
	do {
		n = ring_pull(&g.r, &g.b, 64);
		assert_true(g.b.nsegs <= BATCH_SEGS);
		for (unsigned i = 0; i < n; i++) {
			const struct frame *f = &g.b.f[i];

			assert_int_equal(f->drop, DROP_NONE); // none is lost for want of room
			if (f->nsegs > 0)
				assert_true(f->segs >= g.b.segs &&
					    f->segs + f->nsegs <= g.b.segs + BATCH_SEGS);
		}
		all += n;
		ring_return(&g.r);
		no_fault();
	} while (n > 0);
	assert_int_equal(all, SIZE);
	assert_int_equal(g.r.last_used, g.r.packed ? 0 : SIZE);
	assert_int_equal(g.r.last_avail, g.r.last_used);
	assert_int_equal(g.r.avail_wrap, g.r.used_wrap);
}

static uint32_t used_len(unsigned i) {
	return g.r.packed ? g.pdesc[i].len : g.used->ring[i].len;
}

static void a_frame_lands_in_one_buffer(void **state) {
	struct frame f = make_frame(head, rest, 1514);
	uint8_t *p = rig_at(&g, BUF);

	memset(p, 0xaa, STRIDE);
	offer(0, BUF, STRIDE, VRING_DESC_F_WRITE, true);
	ring_fill(&g.r, 1);
	assert_int_equal(ring_put(&g.r, &f, 0), DROP_NONE);
	assert_int_equal(ring_put(&g.r, &f, 0), DROP_RING_FULL);
	assert_int_equal(
		g.r.packed ? g.pdesc[0].flags & P_USED : g.used->idx, 0); // nothing seen before
	ring_publish(&g.r);
	no_fault();
	assert_int_equal(used_len(0), 12 + 1514);
	assert_int_equal(p[10], 1); // num_buffers
	for (unsigned i = 0; i < 1514; i++)
		assert_int_equal(p[12 + i], (uint8_t)i);
	assert_int_equal(p[12 + 1514], 0xaa);
}

static void plain_frames_take_a_buffer_each_and_others_stop_the_run(void **state) {
	static uint8_t heads[4][FRAME_HEAD_FIRST];
	struct frame f[4];
	struct tx_item it[4];
	uint64_t bytes = 0;

	for (unsigned i = 0; i < 4; i++) {
		f[i] = make_frame(heads[i], rest, 60);
		heads[i][1] = (uint8_t)i;
		it[i] = (struct tx_item){.f = &f[i]};
		offer(i, buf(i), STRIDE, VRING_DESC_F_WRITE, true);
	}
	f[3].ol.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	ring_fill(&g.r, 4);
	assert_int_equal(ring_put_plain(&g.r, it, 4, &bytes), 3);
	assert_int_equal(bytes, 180);
	assert_int_equal(ring_put(&g.r, &f[3], 0), DROP_NONE);
	ring_publish(&g.r);
	no_fault();
	assert_int_equal(g.r.last_used, 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(used_len(i), 72);
		assert_int_equal(rig_at(&g, buf(i))[13], i);
		assert_int_equal(rig_at(&g, buf(i))[0], i == 3 ? VIRTIO_NET_HDR_F_DATA_VALID : 0);
	}
	assert_int_equal(ring_put_plain(&g.r, it, 4, &bytes), 0); // no buffers left
}

static void a_tag_goes_behind_the_macs(void **state) {
	struct frame f = make_frame(head, rest, 100);
	uint8_t *p = rig_at(&g, BUF);

	offer(0, BUF, STRIDE, VRING_DESC_F_WRITE, true);
	ring_fill(&g.r, 1);
	assert_int_equal(ring_put(&g.r, &f, 0x8100a064), DROP_NONE);
	ring_publish(&g.r);
	assert_int_equal(used_len(0), 12 + 104);
	assert_memory_equal(p + 12, head, 12);
	assert_memory_equal(p + 24, "\x81\x00\xa0\x64", 4);
	assert_memory_equal(p + 28, head + 12, 52);
	assert_memory_equal(p + 80, rest, 36);
}

static void a_long_frame_is_merged_over_buffers(void **state) {
	struct frame f = make_frame(head, rest, 5000);
	uint32_t at = 0;

	f.ol.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	f.ol.gso_size = 1448;
	for (unsigned i = 0; i < 8; i++)
		offer(i, buf(i), 1526, VRING_DESC_F_WRITE, true);
	ring_fill(&g.r, 1);
	assert_int_equal(ring_put(&g.r, &f, 0), DROP_NONE);
	ring_publish(&g.r);
	no_fault();
	assert_int_equal(rig_at(&g, BUF)[10], 4);
	for (unsigned i = 0; i < 4; i++) {
		uint32_t skip = i == 0 ? 12 : 0, n = used_len(i) - skip;

		for (uint32_t k = 0; k < n; k++)
			assert_int_equal(rig_at(&g, buf(i))[skip + k], (uint8_t)(at + k));
		at += n;
	}
	assert_int_equal(at, 5000);
	assert_int_equal(g.r.count, 4);
}

static void without_merging_a_frame_must_fit(void **state) {
	struct frame f = make_frame(head, rest, 1600);

	g.r.mergeable = false;
	offer(0, BUF, 12, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, true);
	offer(1, BUF + 64, 1000, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, true);
	offer(2, BUF + 2048, 600, VRING_DESC_F_WRITE, true);
	if (!g.r.packed)
		g.avail->idx = 1;
	ring_fill(&g.r, 1);
	f.len = 1601;
	assert_int_equal(ring_put(&g.r, &f, 0), DROP_TOO_BIG);
	f.len = 1600;
	assert_int_equal(ring_put(&g.r, &f, 0), DROP_NONE);
	ring_publish(&g.r);
	no_fault();
	for (unsigned i = 0; i < 1600; i++)
		assert_int_equal(
			rig_at(&g, i < 1000 ? BUF + 64 + i : BUF + 2048 + i - 1000)[0], (uint8_t)i);
	assert_int_equal(used_len(0), 1612);
}

static void buffers_not_used_are_as_if_never_taken(void **state) {
	struct frame f = make_frame(head, rest, 100);

	for (unsigned i = 0; i < 6; i++)
		offer(i, buf(i), STRIDE, VRING_DESC_F_WRITE, true);
	ring_fill(&g.r, 6);
	assert_int_equal(ring_put(&g.r, &f, 0), DROP_NONE);
	ring_publish(&g.r);
	ring_unwind(&g.r);
	assert_int_equal(ring_base(&g.r), g.r.packed ? 1 | 1 << 15 : 1);
	ring_fill(&g.r, 6);
	assert_int_equal(g.r.count, 5);
}

static void the_guest_is_called_when_it_asked_for_it(void **state) {
	g.r.callfd = 0;
	g.r.event_idx = true;
	for (unsigned i = 0; i < 3; i++)
		offer(i, buf(i), STRIDE, VRING_DESC_F_WRITE, true);
	struct frame f = make_frame(head, rest, 60);

	if (g.r.packed) {
		g.driver->flags = VRING_PACKED_EVENT_FLAG_DESC;
		g.driver->off_wrap = 1 | 1 << 15;
	} else {
		g.avail->ring[SIZE] = 1; // used_event
	}
	g.r.signalled_valid = true;
	for (unsigned i = 0; i < 3; i++) {
		ring_fill(&g.r, 1);
		assert_int_equal(ring_put(&g.r, &f, 0), DROP_NONE);
		ring_publish(&g.r);
		assert_int_equal(ring_wants_call(&g.r), i == 1);
	}
	if (g.r.packed) {
		g.driver->flags = VRING_PACKED_EVENT_FLAG_DISABLE;
		g.r.news = true;
		assert_false(ring_wants_call(&g.r));
		g.driver->flags = VRING_PACKED_EVENT_FLAG_ENABLE;
		assert_false(ring_wants_call(&g.r)); // nothing new
		g.r.news = true;
		assert_true(ring_wants_call(&g.r));
	} else {
		g.r.event_idx = false;
		g.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
		g.r.news = true;
		assert_false(ring_wants_call(&g.r));
		g.avail->flags = 0;
		assert_false(ring_wants_call(&g.r)); // nothing new
		g.r.news = true;
		assert_true(ring_wants_call(&g.r));
	}
	g.r.callfd = -1;
}

static void who_is_about_to_sleep_looks_once_more(void **state) {
	assert_false(ring_arm(&g.r));
	offer(0, BUF, 76, 0, true);
	assert_true(ring_arm(&g.r));
	if (g.r.packed)
		assert_int_equal(g.device->flags, VRING_PACKED_EVENT_FLAG_ENABLE);
	ring_disarm(&g.r);
	if (g.r.packed)
		assert_int_equal(g.device->flags, VRING_PACKED_EVENT_FLAG_DISABLE);
	else
		assert_int_equal(g.used->flags, VRING_USED_F_NO_NOTIFY);
}

/* Law 3, from ring to ring: the sender rewrites its memory after its frame was judged. */
static void what_was_judged_is_what_arrives_whatever_the_sender_writes(void **state) {
	static struct rig to;
	uint64_t bytes = 0;

	rig_init(&to, false, SIZE, true);
	for (unsigned tagged = 0; tagged < 2; tagged++) {
		const unsigned at = tagged;
		struct tx_item it;
		uint8_t *got;

		write_frame(buf(at), 200, 3);
		offer(at, buf(at), 12 + 200, 0, true);
		to.desc[at] = (struct vring_desc){
			.addr = BUF, .len = STRIDE, .flags = VRING_DESC_F_WRITE};
		to.avail->ring[tagged] = (uint16_t)at;
		to.avail->idx++;
		assert_int_equal(ring_pull(&g.r, &g.b, 1), 1);
		memset(rig_at(&g, buf(at)), 0x5a, 12 + 200);
		it = (struct tx_item){.f = &g.b.f[0], .tag = tagged ? 0x81000064 : 0};
		ring_fill(&to.r, 1);
		assert_int_equal(ring_put_plain(&to.r, &it, 1, &bytes), 1);
		got = rig_at(&to, BUF) + 12;
		for (unsigned i = 0; i < 200; i++) {
			unsigned k = tagged && i >= 12 ? i + 4 : i;

			assert_int_equal(got[k], i >= FRAME_HEAD_FIRST ? 0x5a
						 : i == 0              ? 3 & 0xfe
								       : 3 + i);
		}
		ring_publish(&to.r);
		ring_return(&g.r);
	}
	rig_fini(&to);
}

/* 16 frames of 8000 bytes: the thirteenth reaches 96 KiB. */
static void a_batch_ends_at_its_bytes_and_leaves_the_rest(void **state) {
	for (unsigned i = 0; i < SIZE; i++) {
		write_frame(BUF, 8000, 0);
		offer(i, BUF, 12 + 8000, 0, true);
	}
	assert_int_equal(ring_pull(&g.r, &g.b, BATCH_MAX), 13);
	assert_true(g.b.bytes >= BATCH_BYTES && g.b.bytes - 8000 < BATCH_BYTES);
	ring_return(&g.r);
	assert_int_equal(ring_pull(&g.r, &g.b, BATCH_MAX), 3);
	ring_return(&g.r);
	assert_int_equal(g.r.last_used % SIZE, 0);
	assert_false(atomic_load(&g.dev.faulted));
}

static void frames_that_are_kept_come_again_and_in_order(void **state) {
	for (unsigned i = 0; i < SIZE; i++) {
		write_frame(buf(i), 200, (uint8_t)(2 * i));
		offer(i, buf(i), 12 + 200, 0, true);
	}
	for (unsigned done = 0; done < SIZE; done++) {
		assert_int_equal(ring_pull(&g.r, &g.b, BATCH_MAX), SIZE - done);
		for (unsigned i = 0; i < g.b.n; i++)
			assert_int_equal(g.b.f[i].head[0], (2 * (done + i)) & 0xfe);
		ring_keep(&g.r, done % 2 == 0 ? 0 : 1); // nothing first, then one
		if (done % 2 == 1)
			ring_return(&g.r);
		else
			assert_int_equal(ring_pull(&g.r, &g.b, 1), 1), ring_return(&g.r);
		assert_int_equal(g.r.last_used % SIZE, (done + 1) % SIZE);
	}
	assert_int_equal(ring_pull(&g.r, &g.b, BATCH_MAX), 0);
	assert_false(atomic_load(&g.dev.faulted));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		BOTH(a_batch_ends_at_its_bytes_and_leaves_the_rest),
		BOTH(frames_that_are_kept_come_again_and_in_order),
		BOTH(frames_come_as_they_were_sent),
		BOTH(a_budget_is_kept),
		BOTH(a_ring_is_walked_many_times_round),
		BOTH(a_header_alone_and_a_frame_in_pieces_are_put_together),
		BOTH(an_indirect_table_is_followed),
		BOTH(what_the_header_asks_for_is_taken_over_once),
		BOTH(headers_judged_are_headers_kept),
		BOTH(runts_and_giants_are_named_and_given_back),
		BOTH(frames_in_many_pieces_never_take_more_segments_than_a_batch_has),
		BOTH(a_frame_lands_in_one_buffer),
		BOTH(plain_frames_take_a_buffer_each_and_others_stop_the_run),
		BOTH(a_tag_goes_behind_the_macs),
		BOTH(a_long_frame_is_merged_over_buffers),
		BOTH(without_merging_a_frame_must_fit),
		BOTH(buffers_not_used_are_as_if_never_taken),
		BOTH(the_guest_is_called_when_it_asked_for_it),
		BOTH(who_is_about_to_sleep_looks_once_more),
		BOTH(what_was_judged_is_what_arrives_whatever_the_sender_writes),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
