/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "bench/frames/frame_bed.h"
#include "bench/frames/frame_options.h"
#include "bench/frames/frame_shape.h"
#include "bench/frames/frame_sink.h"
#include "bench/tick.h"

enum { LATE = 1000 };

static uint32_t sum_of(const uint8_t *p, size_t n, uint32_t sum) {
	for (size_t i = 0; i < n; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	return sum;
}

static uint16_t folded(uint32_t sum) {
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Checks both checksums of a frame as a receiver does: over everything they give 0xffff. */
static void assert_checksums(const uint8_t *f, size_t len) {
	uint32_t pseudo = sum_of(f + 26, 8, 17 + (uint32_t)(len - 34));

	assert_int_equal(folded(sum_of(f + 14, 20, 0)), 0xffff);
	assert_int_equal(folded(sum_of(f + 34, len - 34, pseudo)), 0xffff);
	assert_int_not_equal(f[40] << 8 | f[41], 0);
}

static void checksums(void **state) {
	static const char *const sizes[] = {"60", "61", "1514", "9018", "imix"};
	struct frame_shape s = {.flows = 70000, .macs = 300, .who = 0x1234};
	static uint8_t frame[FRAME_MAX];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(frame_shape_size(&s, sizes[i], NULL), 0);
		for (unsigned k = 0; k < 4000; k++) {
			struct frame_tag tag = {.magic = 0x77650001,
				.stream = 3,
				.seq = k * 2654435761u,
				.skipped = k * 362437u};
			struct frame_template t;

			frame_tag_time(&tag, k * 0x9e3779b97f4a7c15u);
			frame_template_make(
				&t, &s, k % 2, k * 17 % s.flows, k % s.sizes, tag.magic, 3);
			memset(frame, 0, sizeof(frame));
			frame_stamp(frame, &t, &tag, frame_tag_sum(&tag));
			assert_int_equal(t.len, s.size[k % s.sizes]);
			assert_checksums(frame, t.len);
			assert_memory_equal(frame + FRAME_HEAD, &tag, sizeof(tag));
		}
	}
}

static void imix(void **state) {
	unsigned count[FRAME_MIX] = {0};
	struct frame_shape s;

	assert_int_equal(frame_shape_size(&s, "imix", NULL), 0);
	for (unsigned i = 0; i < s.period; i++)
		count[s.pattern[i]]++;
	assert_int_equal(s.size[0], 60);
	assert_int_equal(s.size[1], 566);
	assert_int_equal(s.size[2], 1514);
	assert_int_equal(count[0], 7);
	assert_int_equal(count[1], 4);
	assert_int_equal(count[2], 1);
	assert_int_equal(frame_shape_longest(&s), 1514);
	assert_true(frame_shape_mean(&s) > 349.8 && frame_shape_mean(&s) < 349.9);
}

/* The plain way: a byte a number, the next expected of each flow. */
static void check_against_plain(unsigned flows, const uint32_t *seq, unsigned n, uint32_t numbers) {
	struct frame_stream *s = malloc(sizeof(*s));
	uint8_t *seen = calloc(1, numbers);
	uint64_t *next = calloc(flows, sizeof(*next));
	uint64_t received = 0, duplicated = 0, reordered = 0, late = 0;

	assert_int_equal(frame_stream_init(s, flows, LATE, 1), 0);
	for (unsigned i = 0; i < n; i++) {
		uint64_t age = i % 2000;

		frame_stream_take(s, seq[i], age);
		if (seen[seq[i]]++) {
			duplicated++;
			continue;
		}
		received++;
		late += age > LATE;
		if (seq[i] < next[seq[i] % flows])
			reordered++;
		else
			next[seq[i] % flows] = seq[i] + 1;
	}
	assert_int_equal(s->received, received);
	assert_int_equal(s->duplicated, duplicated);
	assert_int_equal(s->reordered, reordered);
	assert_int_equal(s->late, late);
	assert_int_equal(s->latency.count, received);
	assert_int_equal(s->unknown, 0);
	for (uint32_t sent = numbers; sent > numbers - 1000; sent--) {
		uint32_t last = sent;

		while (last > 0 && seen[last - 1])
			last--;
		if (sent >= s->top)
			assert_int_equal(frame_stream_last_lost(s, sent), last);
	}
	frame_stream_fini(s);
	free(next);
	free(seen);
	free(s);
}

static void counting(void **state) {
	enum { N = 200000 };
	uint32_t *seq = malloc(N * sizeof(*seq));

	for (unsigned flows = 1; flows <= 7; flows += 3) {
		srand(flows);
		for (uint32_t i = 0; i < N; i++) {
			// Mostly onward, with losses, copies, swaps and jumps back of any length.
			uint32_t back = rand() % 10 == 0 ? (uint32_t)rand() % (i + 1) : 0;

			seq[i] = i + (uint32_t)(rand() % 3) - back;
		}
		check_against_plain(flows, seq, N, N + 3);
	}
	free(seq);
}

static void long_gaps(void **state) {
	struct frame_stream *s = malloc(sizeof(*s));

	assert_int_equal(frame_stream_init(s, 1, LATE, 1), 0);
	frame_stream_take(s, 0, 1);
	frame_stream_take(s, 3 * (uint32_t)FRAME_WINDOW, 1); // everything between is lost
	frame_stream_take(s, 3 * (uint32_t)FRAME_WINDOW, 1);
	assert_int_equal(s->received, 2);
	assert_int_equal(s->duplicated, 1);
	frame_stream_take(s, 3 * (uint32_t)FRAME_WINDOW - FRAME_WINDOW / 2, 1); // late, but known
	assert_int_equal(s->received, 3);
	assert_int_equal(s->reordered, 1);
	assert_int_equal(s->unknown, 0);
	frame_stream_take(s, 0, 1); // is it the copy of a frame, or very late?
	assert_int_equal(s->unknown, 1);
	frame_stream_fini(s);
	free(s);
}

/* Frames of 0 to `sent`, but for those of from to to. */
static uint64_t last_lost(uint64_t from, uint64_t to, uint64_t sent) {
	struct frame_stream *s = malloc(sizeof(*s));
	uint64_t lost;

	assert_int_equal(frame_stream_init(s, 1, LATE, 1), 0);
	for (uint64_t seq = 0; seq < sent; seq++)
		if (seq < from || seq > to)
			frame_stream_take(s, (uint32_t)seq, 1);
	lost = frame_stream_last_lost(s, sent);
	frame_stream_fini(s);
	free(s);
	return lost;
}

static void last_of_the_lost(void **state) {
	const uint64_t w = FRAME_WINDOW;

	assert_int_equal(last_lost(0, 0, 1), 1);
	assert_int_equal(last_lost(5, 4, 1000), 0);
	assert_int_equal(last_lost(63, 64, 1000), 65);
	assert_int_equal(last_lost(900, 999, 1000), 1000);
	assert_int_equal(last_lost(2 * w, 2 * w, 2 * w), 0);
	assert_int_equal(last_lost(7, 12345, 2 * w + 12345 + 1), 12346); // long out of the window
	assert_int_equal(last_lost(7, w + 70, w + 80), w + 71); // a leap over all of it
	assert_int_equal(last_lost(7, 2 * w + 70, 3 * w + 70), 2 * w + 71);
}

/* What is due follows both rates to the frame, however often it is asked. */
static void change_of_rate(void **state) {
	const struct frame_shape s = {.size = {60}, .sizes = 1, .period = 1, .flows = 3, .macs = 1};
	const struct frame_trial t = {.shape = &s,
		.rate = 123457,
		.time_ns = 700000000,
		.then_rate = 61728.5,
		.then_ns = 1300000000};
	uint64_t half = (uint64_t)(tick_hz() * 0.7), end = (uint64_t)(tick_hz() * 2), due = 0;
	struct frame_lane l = {.magic = 1};

	assert_int_equal(frame_lane_init(&l, &t, 0, 1, 2), 0);
	for (uint64_t at = 0; at < end; at += end / 10007) {
		assert_true(frame_lane_due(&l, at) >= due);
		due = frame_lane_due(&l, at);
	}
	assert_true(labs((long)frame_lane_due(&l, half / 2) - 21605) <= 1);
	assert_true(labs((long)frame_lane_due(&l, half) - 43210) <= 1);
	assert_true(labs((long)frame_lane_due(&l, end) - 43210 - 40124) <= 1);
	frame_lane_fini(&l);
}

/* Half a second after the change of rate the last frame was lost, or later one was not sent at all. */
static void lost_until(void **state) {
	struct frame_lane l = {.then = (uint64_t)tick_hz(), .sent = 3000, .sent_before = 2000};
	struct frame_stream *in = malloc(sizeof(*in));
	uint64_t end = 2 * l.then;

	assert_int_equal(frame_stream_init(in, 1, LATE, 1), 0);
	for (uint32_t seq = 0; seq < 3000; seq++)
		if (seq != 1999 && seq != 2499)
			frame_stream_take(in, seq, 1);
	assert_true(fabs(frame_lane_lost_until(&l, in, end) - 0.5) < 1e-6);
	frame_stream_take(in, 2499, 1);
	assert_true(frame_lane_lost_until(&l, in, end) == 0);
	l.gave_up = l.then + l.then / 4;
	assert_true(fabs(frame_lane_lost_until(&l, in, end) - 0.25) < 1e-6);
	assert_true(frame_lane_lost_until(&l, in, l.then) == 0); // ended before
	frame_stream_fini(in);
	free(in);
}

static void wrap(void **state) {
	struct frame_stream *s = malloc(sizeof(*s));
	uint64_t n = 0;

	assert_int_equal(frame_stream_init(s, 1, LATE, 1), 0);
	for (uint64_t seq = 0; seq < 5000000000u; seq += 1000003, n++)
		frame_stream_take(s, (uint32_t)seq, 1);
	assert_int_equal(s->received, n);
	assert_int_equal(s->duplicated, 0);
	assert_int_equal(s->reordered, 0);
	frame_stream_fini(s);
	free(s);
}

/* An endpoint that counts what it is handed, by flow and size, and takes a part of it only. */
enum { FLOWS = 8, SIZES = FRAME_MIX };
struct counter {
	unsigned long seen[FLOWS][SIZES], sends;
	const struct frame_shape *shape;
	uint8_t data[FRAME_BATCH][FRAME_MIN];
};

static unsigned counter_lend(
	struct frame_port *p, unsigned queue, struct frame_batch *b, unsigned n) {
	struct counter *c = p->own;

	for (unsigned i = 0; i < n; i++)
		b->data[i] = c->data[i];
	return n;
}

static int counter_send(struct frame_port *p, unsigned queue, struct frame_batch *b, unsigned n) {
	struct counter *c = p->own;
	unsigned taken = c->sends++ % 3 == 0 ? n : n * 5 / 7;

	for (unsigned i = 0; i < taken; i++) {
		unsigned flow = (unsigned)(b->data[i][29] - 1), z = 0;

		while (c->shape->size[z] != b->len[i])
			z++;
		c->seen[flow][z]++;
	}
	return (int)taken;
}

static const struct frame_kind counter_kind = {.lend = counter_lend, .send = counter_send};

/* What a generator thread sends of a mixture: so often is each size in its pattern. */
static void check_mix(const struct frame_shape *s, unsigned rounds) {
	const struct frame_trial t = {
		.shape = s, .frames = (uint64_t)rounds * s->flows * s->period};
	struct counter c = {.shape = s};
	struct frame_port port = {.kind = &counter_kind, .own = &c};
	struct frame_run run = {
		.threads = 1, .end = UINT64_MAX, .begin = tick_now(), .leave = true};
	struct frame_sender sender = {.run = &run, .lanes = 1, .cpu = -1};

	sender.lane[0].port = &port;
	assert_int_equal(frame_lane_init(&sender.lane[0], &t, 0, 0, 1), 0);
	frame_send_thread(&sender);
	assert_int_equal(sender.lane[0].sent, t.frames);
	frame_lane_fini(&sender.lane[0]);
	for (unsigned z = 0; z < s->sizes; z++) {
		unsigned times = 0;

		for (unsigned i = 0; i < s->period; i++)
			times += s->pattern[i] == z;
		for (unsigned f = 0; f < s->flows; f++)
			if (c.seen[f][z] != (unsigned long)times * rounds)
				fail_msg("%u flows, period %u: flow %u had %lu of size %u, not %u",
					s->flows, s->period, f, c.seen[f][z], s->size[z],
					times * rounds);
	}
}

static void mix_of_each_flow(void **state) {
	struct frame_shape imix, s = {.size = {60, 200, 1514}, .sizes = 3};

	assert_int_equal(frame_shape_size(&imix, "imix", NULL), 0);
	for (unsigned flows = 1; flows <= FLOWS; flows++) {
		s.flows = s.macs = imix.flows = imix.macs = flows;
		check_mix(&imix, 3);
		for (s.period = 1; s.period <= FRAME_PATTERN; s.period++) {
			for (unsigned i = 0; i < s.period; i++)
				s.pattern[i] = (uint8_t)((i * i + i / 2) % 3);
			check_mix(&s, 5);
		}
	}
}

/* Frame k is due at k * 1000 up to the 500th, then every 2000 ticks; the sink is told when each came. */
static void from_due_time(void **state) {
	struct frame_stream *s = malloc(sizeof(*s));
	const struct frame_plan plan = {
		.each = 1000, .then_each = 2000, .then = 500000, .before = 500};

	for (uint64_t first = 0; first < 2; first++) {
		uint64_t skip = first << 32, sum = 0;

		assert_int_equal(frame_stream_init(s, 1, LATE, 1), 0);
		s->plan = plan;
		s->due = skip; // numbers go on past 2^32
		for (uint64_t k = skip; k < skip + 1000; k++) {
			uint64_t due = k < 500 ? k * 1000 : 500000 + (k - 500) * 2000;
			uint64_t age = 70 + k % 50,
				 late = k % 100 < 10 ? 100000 - 1000 * (k % 100) : 0;

			if (k % 100 == 99)
				continue; // given up
			assert_true(frame_stream_take(s, (uint32_t)(k - skip), age));
			frame_stream_due(s, (uint32_t)k, due + late + age, age);
			sum += late + age;
		}
		assert_int_equal(s->from_due.count, 990);
		assert_true(s->from_due.sum == (double)sum);
		assert_true(s->from_due.min == 70 && s->from_due.max > 100000);
		assert_true(s->latency.max < 200); // from hand-over nothing of it is seen
		frame_stream_fini(s);
	}
	free(s);
}

/* An endpoint that takes nothing until the generator has given frames up; then it looks when each was due. */
struct shy {
	struct frame_run run;
	struct frame_sender sender;
	uint64_t taken, skipped;
	uint8_t data[FRAME_BATCH][FRAME_MIN];
};

static unsigned shy_lend(struct frame_port *p, unsigned queue, struct frame_batch *b, unsigned n) {
	struct shy *s = p->own;

	for (unsigned i = 0; i < n; i++)
		b->data[i] = s->data[i];
	return n;
}

static int shy_send(struct frame_port *p, unsigned queue, struct frame_batch *b, unsigned n) {
	struct shy *s = p->own;
	struct frame_lane *l = &s->sender.lane[0];
	struct frame_plan plan = frame_lane_plan(l);

	for (unsigned i = 0; i < n && l->gave_up > 0; i++) {
		struct frame_tag tag;
		uint64_t now = tick_now(), handed;

		memcpy(&tag, b->data[i] + FRAME_HEAD, sizeof(tag));
		handed = now - frame_tag_age(&tag, now) - atomic_load(&s->run.begin);
		assert_int_equal(tag.seq, s->taken++);
		assert_int_equal(tag.skipped, l->passed - l->sent);
		assert_true(((double)tag.seq + tag.skipped) * plan.each <= (double)handed);
		s->skipped = tag.skipped;
	}
	return l->gave_up > 0 ? (int)n : 0;
}

static const struct frame_kind shy_kind = {.lend = shy_lend, .send = shy_send};

static void given_up_ones_keep_their_number(void **state) {
	const struct frame_shape s = {.size = {60}, .sizes = 1, .period = 1, .flows = 1, .macs = 1};
	const struct frame_trial t = {.shape = &s, .rate = 1e5, .frames = 3000};
	struct shy *shy = calloc(1, sizeof(*shy));
	struct frame_port port = {.kind = &shy_kind, .own = shy};
	struct frame_lane *l = &shy->sender.lane[0];

	shy->run = (struct frame_run){
		.threads = 1, .end = UINT64_MAX, .begin = tick_now(), .leave = true};
	shy->sender = (struct frame_sender){.run = &shy->run, .lanes = 1, .cpu = -1};
	l->port = &port;
	assert_int_equal(frame_lane_init(l, &t, 0, 0, 1), 0);
	frame_send_thread(&shy->sender);
	assert_true(shy->skipped > 0 && shy->taken == l->sent);
	assert_int_equal(l->sent + shy->skipped, 3000);
	frame_lane_fini(l);
	free(shy);
}

static void options(void **state) {
	static const char *const bad[] = {"--rate=-1", "--rate=0", "--rate=101%", "--rate=5x",
		"--size=59", "--size=9019", "--size=60,", "--flows=0", "--flows=3", "--macs=65537",
		"--cpus=x", "--cpus=99999", "--wait=5", "--nonsense", "third"};
	char *good[] = {
		"frames", "--rate", "1.5M", "if:a", "--size=60,imix,9018", "if:b", "--both", NULL};
	struct frame_options o;
	struct err e;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[32], *argv[] = {"frames", "if:a", "if:b", "--macs=4", text, NULL};

		snprintf(text, sizeof(text), "%s", bad[i]);
		assert_int_equal(frame_options_parse(&o, 5, argv, &e), -22);
	}
	for (int i = 0; good[i] != NULL; i++)
		good[i] = strdup(good[i]);
	assert_int_equal(frame_options_parse(&o, 7, good, &e), 0);
	assert_true(o.rate_value == 1.5e6 && !o.rate_percent && o.both);
	assert_int_equal(o.nsizes, 3);
	assert_int_equal(o.longest, 9018);
	for (int i = 0; good[i] != NULL; i++)
		free(good[i]);
}

static void what_comes_before_it_was_sent_is_counted(void **state) {
	struct frame_tag tag;
	struct frame_stream s;

	assert_int_equal(frame_stream_init(&s, 1, LATE, 0.5), 0);
	frame_stream_take(&s, 0, 100);
	frame_stream_take(&s, 1, -300);
	frame_stream_take(&s, 2, -40);
	frame_stream_take(&s, 2, -900); // a copy
	assert_int_equal(s.early, 2);
	assert_int_equal(s.early_max, 300);
	assert_int_equal(s.late, 0);
	assert_int_equal(s.latency.count, 3);
	assert_int_equal(s.latency.min, 0);
	assert_int_equal(s.latency.max, 50);
	frame_tag_time(&tag, (UINT64_C(1) << 40) + 100);
	assert_int_equal(frame_tag_age(&tag, (UINT64_C(1) << 40) - 200), -300);
	assert_int_equal(frame_tag_age(&tag, (UINT64_C(1) << 40) + 300), 200);
	s.plan = (struct frame_plan){.each = 1000, .before = INFINITY};
	frame_stream_due(&s, 0, -50, -60); // the sink's counter is behind the beginning, too
	frame_stream_due(&s, 1, 700, -300);
	assert_true(s.from_due.count == 2 && s.from_due.max == 0);
	frame_stream_fini(&s);
}

static void the_counter_is_trusted_where_the_kernel_offers_it(void **state) {
	assert_true(tick_trusted("tsc hpet acpi_pm \n"));
	assert_true(tick_trusted("kvm-clock tsc"));
	assert_false(tick_trusted("hpet acpi_pm"));
	assert_false(tick_trusted("tsc-early hyperv_clocksource_tsc_page"));
	assert_true(tick_trusted("")); // nobody says
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_before_it_was_sent_is_counted),
		cmocka_unit_test(the_counter_is_trusted_where_the_kernel_offers_it),
		{"the IPv4 and UDP checksums of every frame are right, whatever its size and tag",
			checksums},
		{"imix is seven frames of 60, four of 566 and one of 1514 bytes", imix},
		{"every flow gets the whole mixture of sizes, whatever the number of flows",
			mix_of_each_flow},
		{"loss, copies, order and age are counted as the plain way counts them", counting},
		{"a gap longer than the window loses no count", long_gaps},
		{"the last of the lost frames is known, however long ago it was", last_of_the_lost},
		{"a change of rate comes at its time, and both rates are exact", change_of_rate},
		{"after a change of rate the time of the last lost frame is known", lost_until},
		{"sequence numbers go on past 2^32", wrap},
		{"latency from due time holds what a frame waited to be sent", from_due_time},
		{"frames that were given up keep their number in the plan of those behind them",
			given_up_ones_keep_their_number},
		{"options that mean nothing are refused", options},
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
