/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/tick.h"

#include <string.h>
#include <time.h>

enum { SPAN_NS = 20 * 1000 * 1000, TRIES = 8 };

/* Both clocks at one moment: of several tries the one in which the least time passed in between. */
static void read_both(uint64_t *tick, uint64_t *ns) {
	uint64_t best = UINT64_MAX;

	*tick = *ns = 0;
	for (int i = 0; i < TRIES; i++) {
		uint64_t before = tick_now(), after;
		struct timespec t;

		clock_gettime(CLOCK_MONOTONIC, &t);
		after = tick_now();
		if (after - before >= best)
			continue;
		best = after - before;
		*tick = before + best / 2;
		*ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	}
}

double tick_hz(void) {
	static double hz;
	uint64_t t0, ns0, t1, ns1;
	struct timespec span = {.tv_nsec = SPAN_NS};

	if (hz > 0)
		return hz;
	read_both(&t0, &ns0);
	nanosleep(&span, NULL);
	read_both(&t1, &ns1);
	hz = (double)(t1 - t0) * 1e9 / (double)(ns1 - ns0);
	return hz;
}

bool tick_trusted(const char *available) {
	static const char blank[] = " \t\n", wanted[] = "tsc";
	const char *word = available + strspn(available, blank);

	if (*word == '\0')
		return true;
	for (; *word != '\0'; word += strspn(word, blank)) {
		size_t n = strcspn(word, blank);

		if (n == strlen(wanted) && memcmp(word, wanted, n) == 0)
			return true;
		word += n;
	}
	return false;
}
