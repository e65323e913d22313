/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * The generator. How many frames are due at a moment is the time since the beginning times the rate,
 * each time anew, so that nothing is ever rounded away. Turn after turn it sends what is due and not
 * yet sent. When it was held up it catches up, but only with what fits a millisecond or a quarter of
 * a usual ring: a longer burst would measure the burst. The rest is given up, and shows as offered
 * but not sent.
 *
 * Flows take turns, and so do the sizes of a mixture. Each round of flows begins one size later than the
 * one before: so every flow gets the whole mixture, whatever the numbers of flows and sizes have in common,
 * and a round has it, too.
 *
 * What a port refuses stays due and gets a new time when it is tried again. */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/frames/frame_bed.h"
#include "bench/tick.h"

enum { BACKLOG_MIN = 256, BACKLOG_PER_S = 1000, LEARN_TRIES = 1000 };

int frame_lane_init(struct frame_lane *l, const struct frame_trial *t, unsigned direction,
	unsigned thread, unsigned threads) {
	const struct frame_shape *s = t->shape;

	l->shape = s;
	l->flows = s->flows / threads + (thread < s->flows % threads);
	if (l->flows == 0)
		l->flows = 1;
	l->per_tick = t->rate / threads / tick_hz();
	l->then_per_tick = t->then_rate / threads / tick_hz();
	l->then = t->then_ns > 0 ? (uint64_t)((double)t->time_ns / 1e9 * tick_hz()) : UINT64_MAX;
	l->limit =
		t->frames == 0 ? UINT64_MAX : t->frames / threads + (thread < t->frames % threads);
	l->backlog = (uint64_t)(t->rate / threads / BACKLOG_PER_S);
	if (l->backlog < BACKLOG_MIN)
		l->backlog = BACKLOG_MIN;
	l->templates = malloc(sizeof(*l->templates) * l->flows * s->sizes);
	if (l->templates == NULL)
		return -ENOMEM;
	for (unsigned f = 0; f < l->flows; f++)
		for (unsigned z = 0; z < s->sizes; z++)
			frame_template_make(&l->templates[f * s->sizes + z], s, direction,
				(thread + f * threads) % s->flows, z, l->magic, l->stream);
	return 0;
}

void frame_lane_fini(struct frame_lane *l) {
	free(l->templates);
	l->templates = NULL;
}

static struct frame_turn turn_after(struct frame_turn t, unsigned flows, unsigned period) {
	t.place = t.place + 1 < period ? t.place + 1 : 0;
	if (++t.flow == flows) {
		t.flow = 0;
		t.place = t.first = t.first + 1 < period ? t.first + 1 : 0;
	}
	return t;
}

/* Writes up to n frames and hands them over. How many went, or a negative errno. */
static int send_some(struct frame_lane *l, unsigned n) {
	const struct frame_kind *kind = l->port->kind;
	struct frame_tag tag = {.magic = l->magic,
		.stream = l->stream,
		.seq = (uint32_t)l->sent,
		.skipped = (uint32_t)(l->passed - l->sent)};
	struct frame_turn next = l->next;
	uint32_t sum;
	struct frame_batch b;
	int sent;

	n = kind->lend(l->port, l->queue, &b, n);
	frame_tag_time(&tag, tick_now());
	sum = frame_tag_sum(&tag);
	for (unsigned i = 0; i < n; i++, tag.seq++) {
		const struct frame_template *t =
			&l->templates[next.flow * l->shape->sizes + l->shape->pattern[next.place]];

		frame_stamp(b.data[i], t, &tag, sum);
		b.len[i] = t->len;
		next = turn_after(next, l->flows, l->shape->period);
	}
	sent = n > 0 ? kind->send(l->port, l->queue, &b, n) : 0;
	if (sent == (int)n)
		l->next = next;
	for (int i = 0; i < sent && sent < (int)n; i++)
		l->next = turn_after(l->next, l->flows, l->shape->period);
	return sent;
}

struct frame_plan frame_lane_plan(const struct frame_lane *l) {
	bool falls = l->then != UINT64_MAX;

	if (l->per_tick <= 0)
		return (struct frame_plan){0};
	return (struct frame_plan){.each = 1 / l->per_tick,
		.then_each = falls ? 1 / l->then_per_tick : 0,
		.then = falls ? l->then : 0,
		.before = falls ? (double)l->then * l->per_tick : INFINITY};
}

uint64_t frame_lane_due(const struct frame_lane *l, uint64_t ticks) {
	uint64_t before = ticks < l->then ? ticks : l->then;
	double due =
		ceil((double)before * l->per_tick + (double)(ticks - before) * l->then_per_tick);

	return due < (double)l->limit ? (uint64_t)due : l->limit;
}

/* A frame's number says when it was due: those after the change of rate are spread evenly. */
double frame_lane_lost_until(
	const struct frame_lane *l, const struct frame_stream *in, uint64_t ticks) {
	uint64_t lost = frame_stream_last_lost(in, l->sent);
	double until = 0, after = (double)(l->sent - l->sent_before);

	if (ticks <= l->then)
		return 0;
	if (lost > l->sent_before)
		until = (double)(ticks - l->then) * (double)(lost - l->sent_before) / after;
	if (l->gave_up > l->then)
		until = fmax(until, (double)(l->gave_up - l->then));
	return until / tick_hz();
}

/* Sends what is due, one batch at most. 0 or a negative errno. */
static int turn(struct frame_lane *l, uint64_t ticks) {
	uint64_t want = FRAME_BATCH;
	int sent;

	if (l->per_tick > 0) {
		want = frame_lane_due(l, ticks) - l->passed;
		if (want > l->backlog) {
			l->gave_up = ticks;
			l->passed += want - l->backlog;
			want = l->backlog;
		}
	} else if (l->limit - l->passed < want) {
		want = l->limit - l->passed;
	}
	if (want == 0)
		return 0;
	if (want > FRAME_BATCH)
		want = FRAME_BATCH;
	sent = send_some(l, (unsigned)want);
	if (sent < 0)
		return sent;
	l->sent += (unsigned)sent;
	if (ticks < l->then)
		l->sent_before = l->sent;
	l->passed += (unsigned)sent;
	l->refusals += (uint64_t)sent < want;
	return 0;
}

static bool all_done(const struct frame_sender *s) {
	for (unsigned i = 0; i < s->lanes; i++)
		if (s->lane[i].passed < s->lane[i].limit)
			return false;
	return true;
}

static void generate(struct frame_sender *s, uint64_t begin, uint64_t end) {
	const uint64_t away = (uint64_t)(tick_hz() * FRAME_AWAY_US / 1e6);
	struct frame_run *r = s->run;
	uint64_t last = begin, now;

	for (now = tick_now(); now < end; now = tick_now()) {
		if (now - last > away) {
			s->away += now - last;
			s->away_max = now - last > s->away_max ? now - last : s->away_max;
		}
		last = now;
		for (unsigned i = 0; i < s->lanes; i++) {
			int rc = turn(&s->lane[i], now - begin);

			if (rc < 0)
				frame_run_fail(r, rc, s->lane[i].stream / r->threads);
		}
		if (atomic_load_explicit(&r->stop, memory_order_relaxed) || all_done(s))
			break;
	}
	now = tick_now();
	s->ended = now < end ? now : end;
	for (unsigned i = 0; i < s->lanes; i++)
		s->lane[i].due = s->lane[i].per_tick > 0
					 ? frame_lane_due(&s->lane[i], s->ended - begin)
					 : s->lane[i].sent;
}

void *frame_send_thread(void *arg) {
	struct frame_sender *s = arg;
	struct frame_run *r = s->run;
	uint64_t begin;

	frame_pin(s->cpu);
	pthread_setname_np(pthread_self(), "generator");
	frame_eal_thread();
	atomic_fetch_add(&r->ready, 1);
	while ((begin = atomic_load(&r->begin)) == 0)
		sched_yield();
	while (tick_now() < begin)
		;
	generate(s, begin, atomic_load(&r->end));
	atomic_fetch_add(&r->ended, 1);
	while (!atomic_load(&r->leave)) // what it cost is looked up while it exists
		usleep(500);
	frame_eal_thread_end();
	return NULL;
}

int64_t frame_learn(
	struct frame_port *p, const struct frame_shape *s, unsigned side, uint32_t magic) {
	struct frame_shape one = *s;
	unsigned tries = 0;
	uint64_t sent = 0;

	one.size[0] = FRAME_MIN;
	while (sent < s->macs && tries < LEARN_TRIES && !bench_stopped) {
		struct frame_tag tag = {
			.magic = magic, .stream = FRAME_LEARN, .seq = (uint32_t)sent};
		struct frame_template t;
		struct frame_batch b;
		int rc = 0;

		frame_template_make(&t, &one, side, (unsigned)sent, 0, magic, FRAME_LEARN);
		if (p->kind->lend(p, 0, &b, 1) == 1) {
			frame_stamp(b.data[0], &t, &tag, 0);
			b.len[0] = FRAME_MIN;
			rc = p->kind->send(p, 0, &b, 1);
		}
		if (rc < 0)
			return rc;
		sent += (unsigned)rc;
		tries = rc > 0 ? 0 : tries + 1;
		if (rc == 0 || sent % FRAME_BATCH == 0)
			usleep(100); // slower than any switch learns
	}
	return (int64_t)sent;
}
