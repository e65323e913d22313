/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "neighbours.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "bed.h"
#include "fair_clock.h"

enum {
	FRAME = 64,
	NUMBER_AT = 42, /* behind Ethernet, IP and UDP */
	BURST = 8,
	UNDER_WAY_MAX = 128, /* frames; half of the receiver's ring */
	STILL_MS = 2000, /* without a frame for so long, a neighbour stands still */
};

static const struct bed_mac mac_one = {{2, 0, 0, 0, 0, 1}}, mac_two = {{2, 0, 0, 0, 0, 2}};

/* What goes from one neighbour to the other. */
struct stream {
	struct front *from, *to;
	uint8_t frame[FRAME];
	uint32_t sent;
	_Atomic uint32_t got;
	atomic_uint lost, strange;
	uint64_t last_ms;
	atomic_uint still_ms; /* longest time without a frame */
};

static struct stream stream[2];
static pthread_t thread;
static atomic_bool stop;
static struct fair_clock fair; /* a machine that is busy with others lets nobody stand still */

static void stream_receive(struct stream *s) {
	uint8_t in[FRAME];
	uint32_t number, expected = atomic_load(&s->got);
	int len;

	while ((len = front_recv(s->to, 0, in, sizeof(in), NULL)) != -EAGAIN) {
		if (len != FRAME || memcmp(in, s->frame, NUMBER_AT) != 0) {
			atomic_fetch_add(&s->strange, 1);
			if (len < 0)
				return;
			continue;
		}
		memcpy(&number, in + NUMBER_AT, sizeof(number));
		atomic_fetch_add(&s->lost, number - expected); /* doubled ones are a huge number */
		expected = number + 1;
		atomic_store(&s->got, expected);
		s->last_ms = fair_ms(&fair);
	}
}

static void stream_turn(struct stream *s) {
	uint64_t still;

	for (unsigned i = 0; i < BURST && s->sent - atomic_load(&s->got) < UNDER_WAY_MAX; i++) {
		memcpy(s->frame + NUMBER_AT, &s->sent, sizeof(s->sent));
		if (front_put(s->from, 0, s->frame, FRAME, NULL) < 0)
			break;
		s->sent++;
	}
	front_flush(s->from, 0);
	stream_receive(s);
	still = fair_ms(&fair) - s->last_ms;
	if (still > atomic_load(&s->still_ms))
		atomic_store(&s->still_ms, (unsigned)still);
}

static void *run(void *arg) {
	for (unsigned i = 0; i < 2; i++)
		stream[i].last_ms = fair_ms(&fair);
	while (!atomic_load(&stop)) {
		stream_turn(&stream[0]);
		stream_turn(&stream[1]);
		bed_rest_us(200);
	}
	return arg;
}

void neighbours_hold(void) {
	for (unsigned i = 0; i < 2; i++) {
		struct stream *s = &stream[i];
		uint32_t begin = atomic_load(&s->got);
		uint64_t end = fair_ms(&fair) + STILL_MS * bed_patience();

		while (atomic_load(&s->got) - begin < 2 * UNDER_WAY_MAX && fair_ms(&fair) < end)
			bed_rest_us(1000);
		if (atomic_load(&s->got) - begin < 2 * UNDER_WAY_MAX)
			fail_msg("neighbour %u stands still", i);
		if (atomic_load(&s->lost) != 0 || atomic_load(&s->strange) != 0)
			fail_msg("neighbour %u: %u frames lost, %u strange", i,
				atomic_load(&s->lost), atomic_load(&s->strange));
		if (atomic_exchange(&s->still_ms, 0) > STILL_MS * bed_patience())
			fail_msg("neighbour %u stood still", i);
	}
}

int neighbours_start(struct front *one, struct front *two, pid_t weir) {
	int err;

	atomic_store(&fair.process[0], getpid());
	atomic_store(&fair.process[1], weir);
	err = fair_start(&fair);
	if (err != 0)
		return -err;
	stream[0] = (struct stream){.from = one, .to = two};
	stream[1] = (struct stream){.from = two, .to = one};
	front_udp_frame(stream[0].frame, FRAME, mac_two.octet, mac_one.octet);
	front_udp_frame(stream[1].frame, FRAME, mac_one.octet, mac_two.octet);
	return pthread_create(&thread, NULL, run, NULL);
}

void neighbours_stop(void) {
	atomic_store(&stop, true);
	if (thread != 0)
		pthread_join(thread, NULL);
	thread = 0;
	fair_stop(&fair);
}
