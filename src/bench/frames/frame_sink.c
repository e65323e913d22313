/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/frames/frame_sink.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"

enum { WORDS = FRAME_WINDOW / 64 };

int frame_stream_init(
	struct frame_stream *s, unsigned flows, uint64_t late_ticks, double ns_per_tick) {
	memset(s, 0, sizeof(*s));
	hist_reset(&s->latency);
	hist_reset(&s->from_due);
	s->flows = flows;
	s->late_ticks = late_ticks;
	s->ns_per_tick = ns_per_tick;
	s->window = pages_new(FRAME_WINDOW / 8);
	s->expected = pages_new(flows * sizeof(*s->expected));
	if (s->window != NULL && s->expected != NULL)
		return 0;
	frame_stream_fini(s);
	return -ENOMEM;
}

void frame_stream_fini(struct frame_stream *s) {
	if (s->window != NULL)
		pages_free(s->window, FRAME_WINDOW / 8);
	if (s->expected != NULL)
		pages_free(s->expected, s->flows * sizeof(*s->expected));
	s->window = s->expected = NULL;
}

/* One more than the number of the highest bit; word is not 0. */
static unsigned last_bit(uint64_t word) {
	return 64 - (unsigned)__builtin_clzll(word);
}

/* Makes room for the numbers up to `seq`: words that come into the window begin empty. */
static void advance(struct frame_stream *s, uint64_t seq) {
	uint64_t word = s->top == 0 ? 0 : (s->top - 1) / 64 + 1, last = seq / 64;
	bool leap = last >= word + WORDS;

	if (leap)
		word = last - WORDS + 1;
	for (; word <= last; word++) {
		uint64_t missing = ~s->window[word % WORDS];

		if (word >= WORDS && missing != 0)
			s->gone = (word - WORDS) * 64 + last_bit(missing);
		s->window[word % WORDS] = 0;
	}
	if (leap)
		s->gone = (last - WORDS + 1) * 64;
	s->top = seq + 1;
}

/* Is it the first of its number? */
static bool first(struct frame_stream *s, uint64_t seq) {
	uint64_t *word = &s->window[seq / 64 % WORDS], bit = 1ull << seq % 64;

	if (seq >= s->top) {
		advance(s, seq);
	} else if (seq + FRAME_WINDOW - 64 < s->top) {
		s->unknown++;
		return true;
	} else if (*word & bit) {
		return false;
	}
	*word |= bit;
	return true;
}

bool frame_stream_take(struct frame_stream *s, uint32_t seq32, int64_t ticks) {
	int64_t ahead = (int32_t)(seq32 - (uint32_t)s->top);
	uint64_t seq = s->top + (uint64_t)ahead;
	uint64_t *expected;

	if (ahead < 0 && (uint64_t)-ahead > s->top)
		seq = seq32; // more than half the range ahead at the very start
	if (!first(s, seq)) {
		s->duplicated++;
		return false;
	}
	s->received++;
	expected = &s->expected[s->flows == 1 ? 0 : seq % s->flows];
	if (seq < *expected)
		s->reordered++;
	else
		*expected = seq + 1;
	if (ticks < 0) {
		s->early++;
		s->early_max = (uint64_t)-ticks > s->early_max ? (uint64_t)-ticks : s->early_max;
		ticks = 0;
	}
	if ((uint64_t)ticks > s->late_ticks)
		s->late++;
	hist_add(&s->latency, (uint64_t)((double)ticks * s->ns_per_tick));
	return true;
}

void frame_stream_due(struct frame_stream *s, uint32_t due32, int64_t at, int64_t ticks) {
	const struct frame_plan *p = &s->plan;
	uint64_t due = s->due + (uint64_t)(int64_t)(int32_t)(due32 - (uint32_t)s->due);
	double when, waited;

	if ((int64_t)due < 0)
		due = due32; // more than half the range ahead at the very start
	if (due > s->due)
		s->due = due;
	when = (double)due < p->before ? (double)due * p->each
				       : (double)p->then + ((double)due - p->before) * p->then_each;
	// It was not sent before it was due, though rounding may say so, nor came before it was sent.
	waited = fmax(fmax((double)at - when, (double)ticks), 0);
	hist_add(&s->from_due, (uint64_t)(waited * s->ns_per_tick));
}

uint64_t frame_stream_last_lost(const struct frame_stream *s, uint64_t sent) {
	uint64_t words = (s->top + 63) / 64, beyond = s->top % 64 != 0 ? ~0ull << s->top % 64 : 0;

	if (sent > s->top)
		return sent;
	for (uint64_t w = words; w-- > 0 && w + WORDS >= words; beyond = 0) {
		uint64_t missing = ~(s->window[w % WORDS] | beyond);

		if (missing != 0)
			return w * 64 + last_bit(missing);
	}
	return s->gone;
}
