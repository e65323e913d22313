/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "neighbours.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bed.h"
#include "fair_clock.h"

enum {
	FRAME = 64,
	NUMBER_AT = 42, /* behind Ethernet, IP and UDP */
	STAMP_AT = 46, /* when it was put, CLOCK_MONOTONIC ns */
	BURST = 8,
	UNDER_WAY_MAX = 128, /* frames; well below the receiver's ring */
	STILL_MS = 2000, /* without a frame for so long, a neighbour stands still */
	/* Beside an attack. */
	ROUNDS = 12, /* of each kind */
	ROUND_MS = 40,
	FULL_ROUNDS = 6, /* at full speed, to know what a fifth is */
	SETTLE_MS = 10, /* behind an attack, until what it left is gone */
	LATE_US = 500, /* a sender that comes later was not on its CPU; nothing is offered for it */
	PART = 5,
	/* Frames; three quarters of the receiver's ring. Who must keep a rate cannot wait for its own thread. */
	ROUND_UNDER_WAY_MAX = 768,
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
	uint64_t delay[64]; /* frames by how long they took, in powers of two of ns */
};

enum trial_state { NONE, MEASURING, GOING_ON };

/* Alternating rounds; the attack's front ends are the thread's meanwhile. */
static struct trial {
	void (*attack)(void *arg);
	void *arg;
	_Atomic(enum trial_state) state;
	struct neighbours_share share;
} trial;

static struct stream stream[2];
static pthread_t thread;
static pthread_mutex_t turns = PTHREAD_MUTEX_INITIALIZER; /* of an attack */
static atomic_bool stop;
static struct fair_clock fair; /* a machine that is busy with others lets nobody stand still */

static uint64_t now_ns(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void stream_receive(struct stream *s) {
	uint8_t in[FRAME];
	uint64_t put_ns;
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
		memcpy(&put_ns, in + STAMP_AT, sizeof(put_ns));
		s->delay[63 - __builtin_clzll((now_ns() - put_ns) | 1)]++;
		atomic_store(&s->got, expected);
		s->last_ms = fair_ms(&fair);
	}
}

/* Sends up to n frames, as long as fewer than `most` are under way. */
static void stream_send(struct stream *s, unsigned n, unsigned most) {
	const uint64_t stamp = now_ns();

	for (unsigned i = 0; i < n && s->sent - atomic_load(&s->got) < most; i++) {
		memcpy(s->frame + NUMBER_AT, &s->sent, sizeof(s->sent));
		memcpy(s->frame + STAMP_AT, &stamp, sizeof(stamp));
		if (front_put(s->from, 0, s->frame, FRAME, NULL) < 0)
			break;
		s->sent++;
	}
	front_flush(s->from, 0);
}

static void stream_turn(struct stream *s) {
	uint64_t still;

	stream_send(s, BURST, UNDER_WAY_MAX);
	stream_receive(s);
	still = fair_ms(&fair) - s->last_ms;
	if (still > atomic_load(&s->still_ms))
		atomic_store(&s->still_ms, (unsigned)still);
}

/* --- Beside an attack ------------------------------------------------------------------------ */

static int by_value(const void *a, const void *b) {
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double upper_quartile(double *v, unsigned n) {
	qsort(v, n, sizeof(*v), by_value);
	return v[n * 3 / 4];
}

static double full_rate(struct stream *s) {
	const uint64_t begin = now_ns(), end = begin + ROUND_MS * 1000000ull;
	const uint32_t got = atomic_load(&s->got);

	while (now_ns() < end) {
		stream_send(s, UNDER_WAY_MAX, UNDER_WAY_MAX);
		stream_receive(s);
	}
	return (atomic_load(&s->got) - got) * 1e9 / (double)(now_ns() - begin);
}

/* Offers `rate` frames a second for a round; the part of them that arrived. */
static double round_kept(struct stream *s, double rate, bool attacked) {
	uint64_t last = now_ns();
	const uint64_t end = last + ROUND_MS * 1000000ull;
	const uint32_t got = atomic_load(&s->got);
	double due = 0;
	uint64_t offered = 0;

	while (last < end) {
		const uint64_t now = now_ns(), passed = now - last;
		unsigned n;

		last = now;
		due += rate * (double)(passed < LATE_US * 1000ull ? passed : LATE_US * 1000ull) /
		       1e9;
		n = (unsigned)due;
		due -= n;
		offered += n;
		stream_send(s, n, ROUND_UNDER_WAY_MAX);
		stream_receive(s);
		if (attacked)
			trial.attack(trial.arg);
		bed_rest_us(50);
	}
	return offered > 0 ? (double)(atomic_load(&s->got) - got) / (double)offered : 0;
}

static void settle(struct stream *s) {
	const uint64_t end = now_ns() + SETTLE_MS * 1000000ull;

	while (now_ns() < end) {
		stream_receive(s);
		bed_rest_us(200);
	}
}

static double median_ms(const uint64_t *delay) {
	uint64_t all = 0, n = 0;
	unsigned i = 0;

	for (unsigned k = 0; k < 64; k++)
		all += delay[k];
	while (i < 63 && (n += delay[i]) * 2 < all)
		i++;
	return (double)(2ull << i) / 1e6;
}

static void measure(struct stream *s) {
	double full[FULL_ROUNDS], kept[2][ROUNDS];
	uint64_t delay[64] = {0};
	double rate;

	for (unsigned i = 0; i < FULL_ROUNDS; i++)
		full[i] = full_rate(s);
	rate = upper_quartile(full, FULL_ROUNDS) / PART;
	for (unsigned i = 0; i < ROUNDS; i++) {
		settle(s);
		kept[0][i] = round_kept(s, rate, false);
		memset(s->delay, 0, sizeof(s->delay));
		kept[1][i] = round_kept(s, rate, true);
		for (unsigned k = 0; k < 64; k++)
			delay[k] += s->delay[k];
		settle(s);
	}
	trial.share = (struct neighbours_share){.rate = rate,
		.alone = upper_quartile(kept[0], ROUNDS),
		.beside = upper_quartile(kept[1], ROUNDS),
		.median_ms = median_ms(delay)};
}

static void trial_turn(void) {
	if (atomic_load(&trial.state) == MEASURING) {
		measure(&stream[0]);
		for (unsigned i = 0; i < 2; i++)
			stream[i].last_ms = fair_ms(&fair);
		atomic_store(&trial.state, GOING_ON);
	}
	trial.attack(trial.arg);
}

void neighbours_beside(void (*attack)(void *), void *arg, struct neighbours_share *out) {
	trial.attack = attack;
	trial.arg = arg;
	atomic_store(&trial.state, MEASURING);
	while (atomic_load(&trial.state) != GOING_ON)
		bed_rest_us(10000);
	*out = trial.share;
}

void neighbours_alone(void) {
	pthread_mutex_lock(&turns);
	atomic_store(&trial.state, NONE);
	pthread_mutex_unlock(&turns);
}

/* --- All the time ---------------------------------------------------------------------------- */

static void *run(void *arg) {
	for (unsigned i = 0; i < 2; i++)
		stream[i].last_ms = fair_ms(&fair);
	while (!atomic_load(&stop)) {
		stream_turn(&stream[0]);
		stream_turn(&stream[1]);
		pthread_mutex_lock(&turns);
		if (atomic_load(&trial.state) != NONE)
			trial_turn();
		pthread_mutex_unlock(&turns);
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
