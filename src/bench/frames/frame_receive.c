/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <pthread.h>
#include <string.h>

#include "bench/frames/frame_bed.h"
#include "bench/tick.h"

enum { LEFT_MAX = 1024 }; /* batches: more than the longest of the rings holds */

static void take(struct frame_run *r, struct frame_arrivals *at, unsigned endpoint,
	const uint8_t *data, unsigned len, uint64_t now) {
	struct frame_stream *s;
	struct frame_tag tag;
	int64_t age;

	if (len < FRAME_MIN) {
		at->foreign++;
		return;
	}
	memcpy(&tag, data + FRAME_HEAD, sizeof(tag));
	if (tag.magic != r->magic || (tag.stream >= r->streams && tag.stream != FRAME_LEARN)) {
		at->foreign++;
	} else if (tag.stream == FRAME_LEARN) {
		at->learning++;
	} else if (tag.stream / r->threads == endpoint) {
		at->astray++; // stream 0 goes from endpoint 0 to endpoint 1
	} else {
		s = &r->stream[tag.stream];
		age = frame_tag_age(&tag, now);
		if (frame_stream_take(s, tag.seq, age) && s->plan.each > 0)
			frame_stream_due(s, tag.seq + tag.skipped, (int64_t)(now - r->begin), age);
	}
}

/* How many frames there were. */
static int look(struct frame_receiver *s, unsigned i) {
	struct frame_port *p = s->port[i];
	struct frame_run *r = s->run;
	struct frame_arrivals *at = &r->at[s->index[i]];
	struct frame_batch b;
	int n = p->kind->receive(p, &b);
	uint64_t now;

	if (n == 0)
		return 0;
	if (n < 0) {
		frame_run_fail(r, n, s->index[i]);
		return 0;
	}
	now = tick_now();
	for (int k = 0; k < n; k++) {
		if (k + 4 < n)
			__builtin_prefetch(b.data[k + 4] + FRAME_HEAD);
		take(r, at, s->index[i], b.data[k], b.len[k], now);
	}
	at->total += (unsigned)n;
	p->kind->release(p, &b, (unsigned)n);
	return n;
}

void *frame_receive_thread(void *arg) {
	struct frame_receiver *s = arg;
	struct frame_run *r = s->run;
	uint64_t last;

	frame_pin(s->cpu);
	pthread_setname_np(pthread_self(), "sink");
	frame_eal_thread();
	atomic_fetch_add(&r->ready, 1);
	last = tick_now();
	while (!atomic_load_explicit(&r->finish, memory_order_relaxed)) {
		uint64_t now = tick_now();

		s->away_max = now - last > s->away_max ? now - last : s->away_max;
		last = now;
		for (unsigned i = 0; i < s->ports; i++)
			look(s, i);
	}
	// What had arrived by then: this thread may have had no CPU for as long as the wait.
	for (unsigned i = 0; i < s->ports; i++)
		for (unsigned n = 0; n < LEFT_MAX && look(s, i) > 0; n++)
			;
	frame_eal_thread_end();
	return NULL;
}
