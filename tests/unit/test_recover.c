/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * A switch is killed between two writes to a packed ring, at each place of the ring in both laps, and
 * the next one finds its place. Its elements are written in full, then those are taken back that the
 * dead one had not come to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/virtio_net.h>

#include "ring_rig.h"

enum { SIZE = 16, BUF = RIG_A + 8 * RIG_PAGE, LEN = 64, FRAME = 150 };
enum { P_AVAIL = 1 << VRING_PACKED_DESC_F_AVAIL, P_USED = 1 << VRING_PACKED_DESC_F_USED };

static struct rig g;
static struct vring_packed_desc before[SIZE], after[SIZE];
static unsigned next; /* the driver's, counting on over laps */

static unsigned place(void) {
	return g.r.last_used;
}

static void offer(uint32_t len, uint16_t flags) {
	const bool lap = next / SIZE % 2 == 0;
	const uint16_t at = next % SIZE;

	g.pdesc[at] = (struct vring_packed_desc){.addr = BUF + at * 256,
		.len = len,
		.id = at,
		.flags = flags | (lap ? P_AVAIL : P_USED)};
	next++;
}

static void rest(void) {
	if (g.dev.mem.n != 0)
		rig_fini(&g);
	rig_init(&g, true, SIZE, true);
	next = 0;
}

/* Frames in chains to the switch and back; behind each, the driver offers some more. */
static void pass(unsigned n, unsigned chain, unsigned more) {
	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = 0; k < chain; k++)
			offer(LEN, k + 1 < chain ? VRING_DESC_F_NEXT : 0);
		for (unsigned k = 0; k < more; k++)
			offer(LEN, 0);
		assert_int_equal(ring_pull(&g.r, &g.b, 1), 1);
		memcpy(before, g.pdesc, sizeof(before));
		ring_return(&g.r);
		memcpy(after, g.pdesc, sizeof(after));
	}
}

/* A new switch; where it goes on. */
static unsigned recovered(bool *wrap) {
	ring_set_base(&g.r, 1 << 15);
	g.r.head = g.r.count = g.r.nsegs = g.r.staged = 0;
	assert_true(packed_recover(&g.r));
	*wrap = g.r.used_wrap;
	return g.r.last_used;
}

static int done(void **state) {
	rig_fini(&g);
	g.dev.mem.n = 0;
	return 0;
}

static void give_back_chain(unsigned start, unsigned more, unsigned tails) {
	enum { CHAIN = 4 };
	unsigned was;
	bool lap, wrap;

	rest();
	g.r.index = 1;
	pass(start, 1, 0);
	was = place();
	lap = g.r.used_wrap;
	pass(1, CHAIN, more);
	memcpy(g.pdesc, before, sizeof(before));
	for (unsigned k = 1; k <= tails && k < CHAIN; k++)
		g.pdesc[(was + k) % SIZE] = after[(was + k) % SIZE];
	if (tails == CHAIN) { // all of it
		memcpy(g.pdesc, after, sizeof(after));
		was += CHAIN;
		lap = was >= SIZE ? !lap : lap;
	}
	assert_int_equal(recovered(&wrap), was % SIZE);
	assert_int_equal(wrap, lap);
	assert_memory_equal(g.pdesc, tails == CHAIN ? after : before, sizeof(before));
}

static void a_chain_half_given_back_is_untouched(void **state) {
	for (unsigned start = 0; start < 3 * SIZE; start++)
		for (unsigned tails = 0; tails <= 4; tails++)
			for (unsigned more = 0; more <= SIZE - 4; more += 3)
				give_back_chain(start, more, tails);
}

/* A switch that has had `start` frames. Its place, and its lap. */
static unsigned begun(unsigned start, bool *lap) {
	rest();
	pass(start, 1, 0);
	*lap = g.r.used_wrap;
	return place();
}

static void a_frame_half_published_is_finished(void **state) {
	enum { PARTS = (FRAME + 12 + LEN - 1) / LEN };
	static uint8_t head[FRAME];
	struct frame f = {.head = head, .head_len = FRAME, .len = FRAME};

	for (unsigned start = 0; start < 3 * SIZE; start++) {
		for (unsigned written = 0; written <= PARTS; written++) {
			bool lap, wrap;
			unsigned was = begun(start, &lap);

			for (unsigned i = 0; i < SIZE; i++)
				offer(LEN, VRING_DESC_F_WRITE);
			memcpy(before, g.pdesc, sizeof(before));
			assert_int_equal(ring_put(&g.r, &f, 0), DROP_NONE);
			ring_publish(&g.r);
			memcpy(after, g.pdesc, sizeof(after));
			memcpy(g.pdesc, before, sizeof(before));
			for (unsigned k = PARTS - written; k < PARTS; k++)
				g.pdesc[(was + k) % SIZE] = after[(was + k) % SIZE];
			if (written > 0) {
				was += PARTS;
				lap = was >= SIZE ? !lap : lap;
			}
			assert_int_equal(recovered(&wrap), was % SIZE);
			assert_int_equal(wrap, lap);
			assert_memory_equal(g.pdesc, written > 0 ? after : before, sizeof(before));
		}
	}
}

static void slots_offered_again_do_not_hide_the_place(void **state) {
	for (unsigned start = 0; start <= 3 * SIZE; start++) {
		for (unsigned again = 0; again <= SIZE; again++) {
			bool lap, wrap;
			unsigned was = begun(start, &lap);

			for (unsigned i = 0; i < again; i++)
				offer(LEN, 0);
			assert_int_equal(recovered(&wrap), was);
			assert_int_equal(wrap, lap);
		}
	}
}

static void the_guest_sees_a_frame_when_all_its_buffers_are_there(void **state) {
	static uint8_t head[FRAME];
	struct frame f = {.head = head, .head_len = FRAME, .len = FRAME};

	rest();
	for (unsigned i = 0; i < SIZE; i++)
		offer(LEN, VRING_DESC_F_WRITE);
	assert_int_equal(ring_put(&g.r, &f, 0), DROP_NONE);
	assert_int_equal(ring_put(&g.r, &f, 0), DROP_NONE);
	assert_int_equal(g.r.staged, 6);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(!!(g.r.stage[i].len & STAGE_LATER), i % 3 > 0);
	ring_publish(&g.r);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(g.pdesc[i].len, i % 3 < 2 ? LEN : FRAME + 12 - 2 * LEN);
		assert_int_equal(g.pdesc[i].id, i);
		assert_int_equal(g.pdesc[i].flags, P_AVAIL | P_USED | VRING_DESC_F_WRITE);
	}
	assert_int_equal(place(), 6);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_chain_half_given_back_is_untouched, done),
		cmocka_unit_test_teardown(a_frame_half_published_is_finished, done),
		cmocka_unit_test_teardown(slots_offered_again_do_not_hide_the_place, done),
		cmocka_unit_test_teardown(
			the_guest_sees_a_frame_when_all_its_buffers_are_there, done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
