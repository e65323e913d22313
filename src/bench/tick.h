/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_TICK_H
#define WEIR_BENCH_TICK_H

#include <stdint.h>

#include <rte_cycles.h>

/* The CPU's time stamp counter: what a frame's time costs least in. Any thread; needs no runtime. */
static inline uint64_t tick_now(void) {
	return rte_rdtsc();
}

/* Ticks a second, by the kernel's monotonic clock; measured once, in 20 ms, to some 10 ppm. */
double tick_hz(void);

#endif
