/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_THREADS_H
#define WEIR_BENCH_THREADS_H

#include <math.h>
#include <stdint.h>

#include <jansson.h>

/* How busy a thread of this process was: a sender whose thread never rested was the limit itself. */

struct thread_time {
	uint64_t at, busy,
		waited; /* ns: when it was read; on a CPU, and runnable without one, so far */
	uint64_t
		spun; /* of that: looking at the clock until something is due; the caller's to say */
};

/* What the thread has used so far; nothing for tid 0, one that has not begun. All zero when it is gone or the
 * kernel does not say. */
struct thread_time thread_time(int tid);

/* The part of the time from a to b in which it ran, and in which it wanted to; 0..1. What it spun away,
 * for want of anything to do, is told apart, and is in none of the two. NAN: the kernel does not say. */
struct thread_load {
	double busy, waited, spun;
};
#define THREAD_UNKNOWN ((struct thread_load){NAN, NAN, NAN})
struct thread_load thread_load(struct thread_time a, struct thread_time b);

/* The one that had more to do; of one that is not known, the other. */
struct thread_load thread_busier(struct thread_load a, struct thread_load b);
/* Sets "busy" and "waited", null when they are not known. */
void thread_load_tell(json_t *v, struct thread_load l);

/* Above this (busy and waited together) a thread is called saturated. */
#define THREAD_SATURATED 0.95

#endif
