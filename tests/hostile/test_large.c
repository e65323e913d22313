/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Large honest guests: 16 queue pairs, jumbo frames, over buffers of their own length or merged from
 * smaller ones. Each exchanges frames of all lengths with a plain guest, and every byte that arrives
 * is looked at. What is not large is in test_forms.c. */
#include "bed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FRAMES = 400, LEN_MIN = 60, SEQ_AT = 42, DATA_AT = 46, WAIT_MS = 10000 };

static const uint8_t mac_shape[6] = {2, 0, 0, 0x5a, 0, 1}, mac_plain[6] = {2, 0, 0, 0x5a, 0, 2};

struct shape {
	const char *sentence;
	struct front_options o;
	size_t longest; /* frame */
	bool receives; /* only: what it can send is shorter */
};

#define F(name) FRONT_BIT(VIRTIO_##name)
#define V1      F(F_VERSION_1)
#define MRG     F(NET_F_MRG_RXBUF)
#define PACKED  (V1 | F(F_RING_PACKED))

static struct shape shapes[] = {
	{"jumbo frames over merged buffers of 2048 bytes", {.ring_size = 1024}, 9014, true},
	{"jumbo frames over merged buffers of 2048 bytes in packed rings",
		{.ring_size = 1024, .features = PACKED | MRG}, 9014, true},
	{"jumbo frames", {.ring_size = 1024, .buffer_size = 9216}, 9014},
	{"jumbo frames in packed rings",
		{.ring_size = 512, .buffer_size = 9216, .features = PACKED | MRG}, 9014},
	{"16 queue pairs", {.pairs = 16}, 1514},
	{"16 packed queue pairs", {.pairs = 16, .features = PACKED | MRG}, 1514},
};

static struct front plain, shape;
static bool attached;

static int start(void **state) {
	int err;

	(void)state;
	err = bed_start("  shapes: {}\n",
		"  shape: {vhost-user: @/shape, network: shapes, queues: 16, mtu: 9000}\n"
		"  plain: {vhost-user: @/plain, network: shapes, mtu: 9000}\n");
	if (err == 0)
		bed_attach(&plain, "plain",
			(struct front_options){.ring_size = 1024, .buffer_size = 9216});
	return err;
}

static int end(void **state) {
	bed_detach(&plain);
	return bed_teardown(state);
}

static uint64_t now_ms(void) {
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static size_t length_of(uint32_t seq, size_t longest) {
	return LEN_MIN + seq * 97 % (longest - LEN_MIN + 1);
}

static void make(uint8_t *frame, uint32_t seq, size_t len, const uint8_t *to, const uint8_t *from) {
	front_udp_frame(frame, len, to, from);
	memcpy(frame + SEQ_AT, &seq, sizeof(seq));
	for (size_t i = DATA_AT; i < len; i++)
		frame[i] = (uint8_t)(seq * 31 + i);
}

/* Takes what has come; returns how many frames, each looked at from end to end. */
static unsigned take(
	struct front *f, bool *seen, size_t longest, const uint8_t *to, const uint8_t *from) {
	static uint8_t got[16384], want[16384];
	unsigned n = 0;

	for (unsigned pair = 0; pair < f->o.pairs; pair++) {
		int len;

		while ((len = front_recv(f, pair, got, sizeof(got), NULL)) != -EAGAIN) {
			uint32_t seq;

			if (len < LEN_MIN)
				fail_msg("received %d: %s", len, f->why);
			memcpy(&seq, got + SEQ_AT, sizeof(seq));
			if (seq >= FRAMES || seen[seq])
				fail_msg("frame %u arrived %s", seq,
					seq < FRAMES ? "twice" : "from nowhere");
			assert_int_equal(len, length_of(seq, longest));
			make(want, seq, (size_t)len, to, from);
			assert_memory_equal(got, want, (size_t)len);
			seen[seq] = true;
			n++;
		}
	}
	return n;
}

/* FRAMES frames from one to the other, never more under way than a small ring holds. */
static void exchange(
	struct front *a, struct front *b, size_t longest, const uint8_t *from, const uint8_t *to) {
	static bool seen[FRAMES];
	static uint8_t frame[16384];
	const uint64_t until = now_ms() + WAIT_MS * bed_patience();
	unsigned got = 0, sent = 0;

	memset(seen, 0, sizeof(seen));
	while (got < FRAMES) {
		while (sent < FRAMES && sent - got < 8) {
			int err;

			make(frame, sent, length_of(sent, longest), to, from);
			err = front_send(
				a, sent % a->o.pairs, frame, length_of(sent, longest), NULL);
			if (err == -EAGAIN)
				break;
			if (err < 0)
				fail_msg("frame %u not sent: %s", sent, a->why);
			sent++;
		}
		got += take(b, seen, longest, to, from);
		if (now_ms() > until)
			fail_msg("%u of %u frames arrived, %u were sent", got, FRAMES, sent);
	}
	for (unsigned pair = 0; pair < a->o.pairs; pair++)
		front_reap(a, pair);
}

static void frames_pass_both_ways(void **state) {
	const struct shape *s = *state;

	bed_attach(&shape, "shape", s->o);
	attached = true;
	if (s->o.features != 0)
		assert_int_equal(shape.features & s->o.features, s->o.features);
	if (!s->receives)
		exchange(&shape, &plain, s->longest, mac_shape, mac_plain);
	exchange(&plain, &shape, s->longest, mac_plain, mac_shape);
	if (!s->receives)
		exchange(&shape, &plain, s->longest, mac_shape, mac_plain);
	bed_hold();
}

static int detach(void **state) {
	if (attached)
		bed_detach(&shape);
	attached = false;
	return 0;
}

int main(void) {
	enum { N = sizeof(shapes) / sizeof(shapes[0]) };
	struct CMUnitTest tests[N];

	for (unsigned i = 0; i < N; i++)
		tests[i] = (struct CMUnitTest){
			shapes[i].sentence, frames_pass_both_ways, NULL, detach, &shapes[i]};
	return _cmocka_run_group_tests("large", tests, N, start, end);
}
