/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_TICK_H
#define WEIR_BENCH_TICK_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_cycles.h>

/* The CPU's time stamp counter: what a frame's time costs least in. Any thread; needs no runtime. */
static inline uint64_t tick_now(void) {
	return rte_rdtsc();
}

/* Ticks a second, by the kernel's monotonic clock; measured once, in 20 ms, to some 10 ppm. */
double tick_hz(void);

/* Does the kernel trust the counter to be the same on all CPUs, and steady? Not where it has taken "tsc" out
 * of the clock sources that are available (words with blanks between), however the one it uses is called.
 * An empty list, of a kernel that does not say, is no distrust. */
bool tick_trusted(const char *available);

#endif
