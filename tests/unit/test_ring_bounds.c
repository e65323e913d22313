/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <sys/mman.h>
#include <time.h>

#include "base/pages.h"
#include "ring_guest.h"

#if PAGES_WATCHED
#include <sanitizer/asan_interface.h>
#endif

/* Lengths and loops that a guest chooses: what they add up to is never more than is there, and what they
 * make weir do is never more than a batch's worth. */

enum { LARGE = 512, HDR = 12 };
#define FAR_GPA  (1ull << 32)
#define FAR_SIZE (5ull << 30)

static uint8_t *far; /* a region of 5 GiB, at FAR_GPA */

static void start(bool is_packed, uint16_t size, bool mergeable) {
	rig_init(&g, is_packed, size, mergeable);
	far = mmap(NULL, FAR_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(far != MAP_FAILED);
	g.dev.mem.r[3] = (struct gmem_region){.gpa = FAR_GPA, .size = FAR_SIZE, .hva = far};
	g.dev.mem.n = 4;
}

static int far_split(void **state) {
	start(false, SIZE, true);
	return 0;
}

static int far_packed(void **state) {
	start(true, SIZE, true);
	return 0;
}

static int far_split_large(void **state) {
	start(false, LARGE, true);
	return 0;
}

static int far_packed_large(void **state) {
	start(true, LARGE, true);
	return 0;
}

static int far_done(void **state) {
	munmap(far, FAR_SIZE);
	rig_fini(&g);
	return 0;
}

static void no_fault(void) {
	if (atomic_load(&g.dev.faulted))
		fail_msg("fault: %s", g.dev.fault);
}

static void fault_says(const char *words) {
	assert_true(atomic_load(&g.dev.faulted));
	if (strstr(g.dev.fault, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", g.dev.fault, words);
}

/* A receive chain of [1 byte][65,554 bytes], and a frame 10 bytes longer than both with its header. */
static void a_piece_longer_than_any_frame_counts_as_what_it_is(void **state) {
	struct frame f = make_frame(head, rest, FRAME_LEN_MAX);
	const struct chain *beyond;

	f.ol.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	f.ol.gso_size = 1440;
	for (unsigned mergeable = 0; mergeable < 2; mergeable++) {
		g.r.mergeable = mergeable;
		ring_unwind(&g.r);
		offer(0, FAR_GPA, 1, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, true);
		offer(1, FAR_GPA + 4096, FRAME_LEN_MAX + 1, VRING_DESC_F_WRITE, true);
		if (!g.r.packed)
			g.avail->idx = 1;
		ring_fill(&g.r, 1);
		no_fault();
		// What a writer that went on would take for a buffer: an honest guest's, were it there.
		beyond = &g.r.win[1];
		g.r.win[1] = (struct chain){.p = far + (1 << 20), .len = 4096, .left = 4096};
		assert_int_equal(ring_put(&g.r, &f, 0), mergeable ? DROP_RING_FULL : DROP_TOO_BIG);
		assert_int_equal(g.r.staged, 0);
		assert_int_equal(g.r.count, 1);
		assert_int_equal(far[1 << 20], 0);
		assert_int_equal(beyond->len, 4096);
		f.len -= 10; // this one fits to the last byte
		((struct seg *)f.segs)->len -= 10;
		assert_int_equal(ring_put(&g.r, &f, 0), DROP_NONE);
		assert_int_equal(g.r.staged, 1);
		assert_int_equal(far[4096 + FRAME_LEN_MAX], (uint8_t)(f.len - 1));
		f.len += 10;
		((struct seg *)f.segs)->len += 10;
		no_fault();
	}
}

/* Buffers of 12 bytes, 4 GiB, 4 GiB, ...: in 32 bits the sum goes down by one with each of them. */
static void buffers_of_4_gib_do_not_add_up_to_less(void **state) {
	struct frame f = make_frame(head, rest, 60);

	for (unsigned i = 0; i < SIZE; i++)
		offer(i, FAR_GPA + 4096 * i, i == 0 ? HDR : UINT32_MAX, VRING_DESC_F_WRITE, true);
	ring_fill(&g.r, SIZE);
	no_fault();
	assert_int_equal(ring_put(&g.r, &f, 0), DROP_NONE);
	no_fault();
	assert_int_equal(g.r.staged, 2);
	assert_int_equal(g.r.head, 2);
	assert_int_equal(g.r.count, SIZE - 2);
	assert_int_equal(far[10] | far[11] << 8, 2); // num_buffers
	assert_memory_equal(far + 4096, head, 60);
	assert_int_equal(far[4096 + 60], 0);
	ring_publish(&g.r);
	assert_int_equal(g.r.last_used, 2);
	assert_int_equal(g.r.packed ? g.pdesc[1].len : g.used->ring[1].len, 60);
}

/* Nobody makes such a frame; a writer that believes one goes over what it was given. */
static void a_frame_that_is_longer_than_it_says_stops_at_its_buffers(void **state) {
	struct frame f = make_frame(head, rest, 3000);
	struct tx_item it = {.f = &f};
	uint64_t bytes = 0;

	for (unsigned i = 0; i < 4; i++)
		offer(i, FAR_GPA + 4096 * i, 1024, VRING_DESC_F_WRITE, true);
	ring_fill(&g.r, 4);
	f.len = 500;
	assert_int_equal(ring_put_plain(&g.r, &it, 1, &bytes), 1);
	assert_int_equal(far[HDR + 499], (uint8_t)499);
	assert_int_equal(far[HDR + 500], 0);
	f.len = 1500; // two buffers
	assert_int_not_equal(ring_put(&g.r, &f, 0), DROP_NONE);
	fault_says("did not fill the 2 buffers");
	for (unsigned i = 0; i < 1024; i++)
		assert_int_equal(far[3 * 4096 + i], 0);
	assert_int_equal(g.r.staged, 1);
	assert_int_equal(g.r.count, 3);
}

static void a_ring_that_stops_forgets_every_address(void **state) {
	static const struct chain none;
	struct frame f = make_frame(head, rest, 100);

	offer(0, FAR_GPA, 1, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, true);
	offer(1, FAR_GPA + 4096, 4096, VRING_DESC_F_WRITE, true);
	if (!g.r.packed)
		g.avail->idx = 1;
	ring_fill(&g.r, 1);
	assert_int_equal(g.r.count, 1);
	ring_unwind(&g.r);
	for (unsigned i = 0; i < RING_WINDOW; i++)
		assert_memory_equal(&g.r.win[i], &none, sizeof(none));
	for (unsigned i = 0; i < RING_WINDOW_SEGS; i++)
		assert_null(g.r.segs[i].base);
	for (unsigned i = 0; i < BATCH_MAX; i++)
		assert_null(g.r.taken[i].p);
	g.dev.mem.n = 3; // the memory it told of goes
	assert_int_equal(ring_put(&g.r, &f, 0), DROP_RING_FULL);
	fault_says("outside guest memory");
	assert_int_equal(far[4096 + 11], 0);
}

static void a_split_ring_never_lends_more_entries_than_it_has(void **state) {
	struct frame f = make_frame(head, rest, 100);

	for (unsigned i = 0; i < SIZE; i++)
		offer(i, buf(i), STRIDE, VRING_DESC_F_WRITE, true);
	ring_fill(&g.r, SIZE);
	for (unsigned i = 0; i < SIZE; i++)
		assert_int_equal(ring_put(&g.r, &f, 0), DROP_NONE);
	g.avail->idx++; // before anything was given back
	assert_int_equal(ring_put(&g.r, &f, 0), DROP_RING_FULL);
	fault_says("jumped");
	assert_int_equal(g.r.staged, SIZE);
}

/* The guest makes an indirect table of n entries available: all empty but the last, of `len` bytes. */
static void offer_table(unsigned i, unsigned n, uint32_t len, uint16_t flags) {
	const uint64_t at = FAR_GPA + (1 << 20) + (uint64_t)i * 8192;
	struct vring_desc *t = (struct vring_desc *)rig_at(&g, at);

	for (unsigned k = 0; k < n; k++) {
		const bool last = k + 1 == n;

		t[k] = (struct vring_desc){.addr = FAR_GPA, .len = last ? len : 0, .flags = flags};
		if (g.r.packed) {
			t[k].next = flags;
		} else if (!last) {
			t[k].flags |= VRING_DESC_F_NEXT;
			t[k].next = (uint16_t)(k + 1);
		}
	}
	if (g.r.packed) {
		g.pdesc[i] = (struct vring_packed_desc){.addr = at,
			.len = n * 16,
			.id = (uint16_t)i,
			.flags = VRING_DESC_F_INDIRECT | P_AVAIL};
		return;
	}
	g.desc[i] = (struct vring_desc){.addr = at, .len = n * 16, .flags = VRING_DESC_F_INDIRECT};
	g.avail->ring[i] = (uint16_t)i;
	g.avail->idx++;
}

static void a_table_of_more_than_256_entries_is_a_fault(void **state) {
	offer_table(0, 256, HDR + 60, 0);
	assert_int_equal(ring_pull(&g.r, &g.b, 64), 1);
	no_fault();
	assert_int_equal(g.b.f[0].drop, DROP_NONE);
	assert_int_equal(g.b.f[0].len, 60);
	ring_return(&g.r);
	offer_table(1, 257, HDR + 60, 0);
	assert_int_equal(ring_pull(&g.r, &g.b, 64), 0);
	fault_says("indirect table of 4112 bytes; expected 1 to 256 entries");
}

/* A chain of n descriptors from slot 0 on, all but the last empty. */
static void offer_chain(unsigned n) {
	for (unsigned i = 0; i < n; i++)
		offer(i, FAR_GPA, i + 1 < n ? 0 : HDR + 60, i + 1 < n ? VRING_DESC_F_NEXT : 0,
			true);
	if (g.r.packed)
		return;
	g.avail->ring[0] = 0;
	g.avail->idx = 1;
}

static void a_chain_is_not_followed_beyond_256_descriptors(void **state) {
	offer_chain(257);
	if (g.r.packed) {
		assert_int_equal(ring_pull(&g.r, &g.b, 64), 0);
		fault_says("longer than 256 descriptors");
		return;
	}
	assert_int_equal(ring_pull(&g.r, &g.b, 64), 1);
	no_fault();
	assert_int_equal(g.b.f[0].drop, DROP_CHAIN_TOO_LONG);
	assert_true(g.r.steps <= RING_CHAIN_MAX);
}

static void a_chain_of_256_descriptors_is_a_frame(void **state) {
	offer_chain(256);
	assert_int_equal(ring_pull(&g.r, &g.b, 64), 1);
	no_fault();
	assert_int_equal(g.b.f[0].drop, DROP_NONE);
	assert_int_equal(g.b.f[0].len, 60);
}

/* Tables with nothing in them: each batch follows so many, and the others come later, in order. */
static void a_batch_ends_when_its_steps_are_taken(void **state) {
	const unsigned most = RING_STEPS_MAX / RING_CHAIN_MAX + 1;
	unsigned n, all = 0;

	for (unsigned i = 0; i < 64; i++)
		offer_table(i, 256, 0, 0);
	while ((n = ring_pull(&g.r, &g.b, 64)) > 0) {
		assert_true(n <= most);
		assert_true(g.r.steps <= RING_STEPS_MAX + RING_CHAIN_MAX);
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(g.b.f[i].drop, DROP_RUNT);
			assert_int_equal(g.r.taken[i].id, all + i);
		}
		ring_return(&g.r);
		all += n;
	}
	no_fault();
	assert_int_equal(all, 64);
	assert_int_equal(g.r.last_used, 64);
}

static void a_window_is_filled_no_further_than_the_steps_of_a_batch(void **state) {
	const unsigned most = RING_STEPS_MAX / RING_CHAIN_MAX + 1;
	struct frame f = make_frame(head, rest, 60);
	unsigned batches, all = 0;

	for (unsigned i = 0; i < 64; i++)
		offer_table(i, 256, 256, VRING_DESC_F_WRITE);
	for (batches = 0; all < 64 && batches < 64; batches++) {
		unsigned n = 0;

		ring_fill(&g.r, 64);
		while (ring_put(&g.r, &f, 0) == DROP_NONE)
			n++;
		no_fault();
		assert_true(n > 0 && n <= most);
		assert_true(g.r.steps <= RING_STEPS_MAX + RING_CHAIN_MAX);
		ring_publish(&g.r);
		all += n;
	}
	assert_int_equal(all, 64);
	assert_int_equal(g.r.last_used, 64);
}

/* A ring of `n` receive buffers of 12 bytes in the far region: as many for a frame as may be. */
static void offer_morsels(unsigned n) {
	const uint16_t flags = VRING_DESC_F_WRITE;

	g.r.size = (uint16_t)n;
	g.r.desc = (struct vring_desc *)far;
	if (g.r.packed) {
		g.r.stage = realloc(g.r.stage, n * sizeof(g.r.stage[0]));
		assert_non_null(g.r.stage);
	} else {
		g.r.avail = (struct vring_avail *)(far + (1 << 20));
		g.r.used = (struct vring_used *)(far + (2 << 20));
		g.r.avail->idx = (uint16_t)n;
	}
	for (unsigned i = 0; i < n; i++) {
		const uint64_t at = FAR_GPA + (3 << 20) + 16ull * i;

		if (g.r.packed)
			g.r.pdesc[i] =
				(struct vring_packed_desc){at, HDR, (uint16_t)i, flags | P_AVAIL};
		else
			g.r.desc[i] = (struct vring_desc){at, HDR, flags, 0};
		if (!g.r.packed)
			g.r.avail->ring[i] = (uint16_t)i;
	}
}

/* Frames that take 127 buffers each: those of a batch are dropped once its steps are taken. */
static void buffers_of_a_frame_count_into_the_steps_of_a_batch(void **state) {
	struct frame f = make_frame(head, rest, 127 * HDR - HDR);
	unsigned batch, all = 0;

	offer_morsels(8192);
	for (batch = 0; batch < 5; batch++) {
		unsigned n = 0;
		enum drop why;

		ring_fill(&g.r, 64);
		while ((why = ring_put(&g.r, &f, 0)) == DROP_NONE)
			n++;
		no_fault();
		assert_int_equal(why, DROP_RING_FULL);
		assert_true(n * 127 * RING_STEPS_BUFFER <= RING_STEPS_MAX + 4 * RING_WINDOW);
		all += n;
		if (batch < 4) // and no less: an honest guest's batch passes
			assert_true(n * 127 * RING_STEPS_BUFFER > RING_STEPS_MAX - 2 * RING_WINDOW);
		ring_publish(&g.r);
		assert_int_equal(g.r.last_used, all * 127 % 8192);
	}
	assert_int_equal(all, 8192 / 127);
}

/* The whole ring in two chains. */
static void packed_chains_are_skipped_within_the_steps_of_a_batch(void **state) {
	for (unsigned i = 0; i < LARGE; i++)
		offer(i, FAR_GPA, i % 256 == 255 ? HDR + 60 : 0,
			i % 256 == 255 ? 0 : VRING_DESC_F_NEXT, true);
	for (unsigned all = 0; all < LARGE / 256; all++) {
		assert_int_equal(ring_pull(&g.r, &g.b, 1), 1);
		no_fault();
		assert_true(g.r.steps <= RING_STEPS_MAX);
		ring_return(&g.r);
	}
	assert_int_equal(g.r.last_used, 0);
	assert_int_equal(g.r.used_wrap, false);
}

static uint64_t now_ns(void) {
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* What the search takes with these flags in all slots but the odd ones, and those there; least of some. */
static uint64_t search_ns(uint16_t even, uint16_t odd) {
	uint64_t least = UINT64_MAX;

	for (unsigned round = 0; round < 5; round++) {
		uint64_t begin, took;

		for (unsigned i = 0; i < g.r.size; i++)
			g.pdesc[i].flags = i % 2 ? odd : even;
		begin = now_ns();
		packed_recover(&g.r);
		took = now_ns() - begin;
		if (took < least)
			least = took;
	}
	return least;
}

/* Flags that make every slot look like a place to go on until the whole ring was looked at: the guest has
 * written them before its rings start. */
static void a_position_is_searched_for_in_bounded_time(void **state) {
	uint64_t honest, crafted;

	g.r.pdesc = g.pdesc = (struct vring_packed_desc *)far;
	g.r.size = 32768;
	honest = search_ns(P_USED, P_USED); // one place only
	crafted = search_ns(P_AVAIL, P_AVAIL | P_USED);
	print_message("# %llu us for any ring, %llu us for this one\n",
		(unsigned long long)honest / 1000, (unsigned long long)crafted / 1000);
	assert_true(crafted < 100 * honest);
}

/* Blocks of a pool, as the rings of ports lie in memory. */
static void a_guard_lies_between_the_rings_of_two_ports(void **state) {
	struct pages_pool pool = {.block = sizeof(struct vhost_tx)};
	uint8_t *a = pages_take(&pool), *b = pages_take(&pool);
	uint8_t *end = a + ((pool.block + 63) & ~(size_t)63);

	assert_true((size_t)llabs(a - b) >= pool.block + PAGES_GUARD);
	assert_true(pages_intact(&pool, a) && pages_intact(&pool, b));
#if PAGES_WATCHED
	assert_true(__asan_address_is_poisoned(end));
	assert_true(__asan_address_is_poisoned(end + PAGES_GUARD - 1));
#else
	// Whoever takes an address from there comes to no memory at all, on x86-64.
	for (unsigned i = 0; i < PAGES_GUARD; i += sizeof(uint64_t))
		assert_in_range(*(uint64_t *)(end + i) >> 47, 1, 0x1fffe);
	end[PAGES_GUARD - 1] ^= 1;
	assert_false(pages_intact(&pool, a));
	assert_true(pages_intact(&pool, b));
	end[PAGES_GUARD - 1] ^= 1;
	end[0] = 0;
	assert_false(pages_intact(&pool, a));
#endif
}

#define FAR(test)                                                  \
	{#test ", split", test, far_split, far_done, NULL}, {      \
#test ", packed", test, far_packed, far_done, NULL \
	}
#define FAR_LARGE(test)                                                  \
	{#test ", split", test, far_split_large, far_done, NULL}, {      \
#test ", packed", test, far_packed_large, far_done, NULL \
	}

int main(void) {
	const struct CMUnitTest tests[] = {
		FAR(a_piece_longer_than_any_frame_counts_as_what_it_is),
		FAR(buffers_of_4_gib_do_not_add_up_to_less),
		FAR(a_frame_that_is_longer_than_it_says_stops_at_its_buffers),
		FAR(a_ring_that_stops_forgets_every_address),
		{"a_split_ring_never_lends_more_entries_than_it_has",
			a_split_ring_never_lends_more_entries_than_it_has, far_split, far_done,
			NULL},
		FAR(a_table_of_more_than_256_entries_is_a_fault),
		FAR_LARGE(a_chain_is_not_followed_beyond_256_descriptors),
		FAR_LARGE(a_chain_of_256_descriptors_is_a_frame),
		FAR_LARGE(a_batch_ends_when_its_steps_are_taken),
		FAR_LARGE(a_window_is_filled_no_further_than_the_steps_of_a_batch),
		FAR(buffers_of_a_frame_count_into_the_steps_of_a_batch),
		{"packed_chains_are_skipped_within_the_steps_of_a_batch",
			packed_chains_are_skipped_within_the_steps_of_a_batch, far_packed_large,
			far_done, NULL},
		cmocka_unit_test(a_guard_lies_between_the_rings_of_two_ports),
		{"a_position_is_searched_for_in_bounded_time",
			a_position_is_searched_for_in_bounded_time, far_packed, far_done, NULL},
	};

	return cmocka_run_group_tests_name("ring bounds", tests, NULL, NULL);
}
