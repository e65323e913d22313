/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "ring_guest.h"

/* What a guest may not do with its rings. */

static void fault_says(const char *words) {
	assert_true(atomic_load(&g.dev.faulted));
	if (strstr(g.dev.fault, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", g.dev.fault, words);
}

static void lies_are_faults(void **state) {
	static const struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags;
		const char *says;
	} lies[] = {
		{0, 100, 0, "outside guest memory"},
		{RIG_C + RIG_C_SIZE - 50, 100, 0, "outside guest memory"},
		{UINT64_MAX - 20, 100, 0, "outside guest memory"},
		{BUF, 100, VRING_DESC_F_WRITE, "writable"},
		{RIG_C, 24, VRING_DESC_F_INDIRECT, "indirect table of 24 bytes"},
		{RIG_C, 0, VRING_DESC_F_INDIRECT, "indirect table of 0 bytes"},
		{RIG_C, 32, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, "indirect and chained"},
		{RIG_C + RIG_C_SIZE - 16, 32, VRING_DESC_F_INDIRECT, "outside guest memory"},
	};
	const bool kind = g.r.packed;

	for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		rig_fini(&g);
		rig_init(&g, kind, SIZE, true);
		*(uint64_t *)rig_at(&g, RIG_C) = BUF;
		*(uint32_t *)rig_at(&g, RIG_C + 8) = 100;
		((struct vring_desc *)rig_at(&g, RIG_C + RIG_C_SIZE - 16))->addr = BUF;
		((struct vring_desc *)rig_at(&g, RIG_C + RIG_C_SIZE - 16))->flags =
			kind ? 0 : VRING_DESC_F_NEXT;
		((struct vring_desc *)rig_at(&g, RIG_C + RIG_C_SIZE - 16))->next = kind ? 0 : 1;
		offer(0, lies[i].addr, lies[i].len, lies[i].flags, true);
		if (!kind)
			g.avail->idx = 1;
		assert_int_equal(ring_pull(&g.r, &g.b, 64), 0);
		fault_says(lies[i].says);
	}
}

static void a_chain_that_loops_is_a_fault(void **state) {
	offer(0, BUF, 12, VRING_DESC_F_NEXT, true);
	offer(1, BUF, 100, VRING_DESC_F_NEXT, true);
	g.desc[1].next = 0;
	g.avail->idx = 1;
	assert_int_equal(ring_pull(&g.r, &g.b, 64), 0);
	fault_says("loops");
}

static void an_index_that_jumps_is_a_fault(void **state) {
	g.avail->idx = SIZE + 1;
	assert_int_equal(ring_pull(&g.r, &g.b, 64), 0);
	fault_says("jumped 17 entries");
}

static void a_head_outside_the_table_is_a_fault(void **state) {
	g.avail->ring[0] = SIZE;
	g.avail->idx = 1;
	assert_int_equal(ring_pull(&g.r, &g.b, 64), 0);
	fault_says("descriptor 16 in a ring of 16");
}

static void a_packed_chain_without_end_is_a_fault(void **state) {
	for (unsigned i = 0; i < SIZE; i++)
		offer(i, BUF, 100, VRING_DESC_F_NEXT, true);
	assert_int_equal(ring_pull(&g.r, &g.b, 64), 0);
	fault_says("longer than the ring");
}

static void a_packed_ring_never_lends_more_slots_than_it_has(void **state) {
	struct frame f = make_frame(head, rest, 100);
	bool lap = true;

	// The guest makes each slot available again before anything was published.
	for (unsigned n = 0; n < 4 * SIZE; n++) {
		offer(n % SIZE, buf(n), STRIDE, VRING_DESC_F_WRITE, lap);
		ring_fill(&g.r, 1);
		if (ring_put(&g.r, &f, 0) != DROP_NONE)
			break;
		assert_true(g.r.staged <= SIZE);
		if (n % SIZE == SIZE - 1)
			lap = !lap;
	}
	assert_int_equal(g.r.staged, SIZE);
	ring_publish(&g.r);
	assert_int_equal(g.r.last_used, g.r.last_avail);
}

static void a_packed_chain_over_slots_not_given_back_is_a_fault(void **state) {
	offer(SIZE - 2, BUF, 100, VRING_DESC_F_WRITE, true);
	g.r.last_avail = g.r.last_used = SIZE - 2;
	ring_fill(&g.r, 1);
	assert_int_equal(g.r.count, 1);
	offer(SIZE - 1, BUF, 100, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, true);
	for (unsigned i = 0; i < SIZE - 1; i++)
		offer(i, BUF, 100, VRING_DESC_F_WRITE | (i < SIZE - 2 ? VRING_DESC_F_NEXT : 0),
			false);
	ring_fill(&g.r, 2);
	fault_says("slots that were not given back");
}

static void an_area_that_leaves_its_region_by_one_byte_is_refused(void **state) {
	const uint8_t *b = rig_at(&g, RIG_B);

	assert_true(gmem_holds(&g.dev.mem, b, RIG_B_SIZE));
	assert_false(gmem_holds(&g.dev.mem, b, RIG_B_SIZE + 1));
	assert_true(gmem_holds(&g.dev.mem, b + RIG_B_SIZE - 4, 4));
	assert_false(gmem_holds(&g.dev.mem, b + RIG_B_SIZE - 4, 5));
	assert_false(gmem_holds(&g.dev.mem, b - 1, 4));
	assert_false(gmem_holds(&g.dev.mem, b + RIG_B_SIZE, 0));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		BOTH(lies_are_faults),
		ONLY(split, an_area_that_leaves_its_region_by_one_byte_is_refused),
		ONLY(split, a_chain_that_loops_is_a_fault),
		ONLY(split, an_index_that_jumps_is_a_fault),
		ONLY(split, a_head_outside_the_table_is_a_fault),
		ONLY(packed, a_packed_chain_without_end_is_a_fault),
		ONLY(packed, a_packed_ring_never_lends_more_slots_than_it_has),
		ONLY(packed, a_packed_chain_over_slots_not_given_back_is_a_fault),
	};

	return cmocka_run_group_tests_name("ring faults", tests, NULL, NULL);
}
