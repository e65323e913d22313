/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * How long from a guest's kick until its frame is in the other guest's ring, when the switch had
 * nothing to do before? One frame at a time, after a pause long enough for an idle switch to go to
 * sleep, with a little jitter so that no timer beats along. The clock starts before the frame is
 * shown to the switch and stops when the receiver's used index has moved; both ends are polled by
 * this one thread, so the guest's own wake-up is not in it. Prints one JSON object. */
#include "front.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { FRAME = 64, GAP_US = 3000, JITTER_US = 1000, LOST_NS = 1000000000 };

static uint64_t nanoseconds(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* One frame from a to b; nanoseconds, or 0 when it was lost. */
static uint64_t once(struct front *a, struct front *b, const uint8_t *frame) {
	uint64_t begin = nanoseconds(), end;
	uint8_t got[FRAME];

	front_send(a, 0, frame, FRAME, NULL);
	do
		end = nanoseconds();
	while (!front_ring_ready(front_rx(b, 0)) && end - begin < LOST_NS);
	while (front_recv(b, 0, got, sizeof(got), NULL) >= 0)
		;
	return end - begin < LOST_NS ? end - begin : 0;
}

int main(int argc, char **argv) {
	static const uint8_t mac_a[6] = {2, 0, 0xfe, 0, 0, 1}, mac_b[6] = {2, 0, 0xfe, 1, 0, 1};
	struct front a, b;
	uint8_t there[FRAME], back[FRAME];
	unsigned n = argc > 3 ? atoi(argv[3]) : 1000, lost = 0, seed = 1;
	uint64_t *ns = calloc(n, sizeof(*ns));
	cpu_set_t set;

	if (argc < 3 || argc > 5 || n == 0 || ns == NULL) {
		fputs("usage: wake SOCKET SOCKET [FRAMES [CPU]]\n", stderr);
		return 2;
	}
	CPU_ZERO(&set);
	CPU_SET(argc > 4 ? atoi(argv[4]) : 0, &set);
	if (argc > 4 && sched_setaffinity(0, sizeof(set), &set) != 0) {
		fprintf(stderr, "wake: CPU %s may not be used\n", argv[4]);
		return 1;
	}
	if (front_open(&a, &(struct front_options){.path = argv[1], .timeout_ms = 5000}) != 0 ||
		front_open(&b, &(struct front_options){.path = argv[2], .timeout_ms = 5000}) != 0) {
		fprintf(stderr, "wake: %s%s\n", a.why, a.why[0] ? "" : b.why);
		return 1;
	}
	front_udp_frame(there, FRAME, mac_b, mac_a);
	front_udp_frame(back, FRAME, mac_a, mac_b);
	for (unsigned i = 0; i < 10; i++) { /* both known to the switch, code and rings warm */
		once(&a, &b, there);
		once(&b, &a, back);
	}
	for (unsigned i = 0; i < n; i++) {
		long pause = (GAP_US + rand_r(&seed) % JITTER_US) * 1000L;

		nanosleep(&(struct timespec){.tv_nsec = pause}, NULL);
		ns[i - lost] = once(&a, &b, there);
		lost += ns[i - lost] == 0;
	}
	n -= lost;
	qsort(ns, n, sizeof(*ns), compare);
	printf("{\"frames\": %u, \"lost\": %u, \"kicks\": %lu, \"p50_ns\": %lu, \"p99_ns\": %lu, "
	       "\"max_ns\": %lu}\n",
		n, lost, front_tx(&a, 0)->kicks, n ? ns[n / 2] : 0, n ? ns[n * 99 / 100] : 0,
		n ? ns[n - 1] : 0);
	front_close(&a);
	front_close(&b);
	free(ns);
	return n == 0;
}
