/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_THREADS_H
#define WEIR_BENCH_THREADS_H

#include <stdint.h>

/* How busy a thread of this process was: a sender whose thread never rested was the limit itself. */

struct thread_time {
	uint64_t at, busy,
		waited; /* ns: when it was read; on a CPU, and runnable without one, so far */
};

/* All zero when the thread is gone or the kernel does not say. */
struct thread_time thread_time(int tid);

/* The part of the time from a to b in which it ran, and in which it wanted to; 0..1. */
struct thread_load {
	double busy, waited;
};
struct thread_load thread_load(struct thread_time a, struct thread_time b);

/* Above this (busy and waited together) a thread is called saturated. */
#define THREAD_SATURATED 0.95

#endif
