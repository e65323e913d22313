/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_FAIR_CLOCK_H
#define WEIR_TESTS_FAIR_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

/* A clock for limits on a machine that others use too: it stands still while the processes that are
 * measured wait for a CPU, and while nothing runs at all. What they do themselves, sleep, spin, or
 * wait for each other, takes its time. */

enum { FAIR_PROCESSES = 3 };

struct fair_clock { /* may lie in memory that processes share */
	_Atomic uint64_t fair_us,
		taken_us; /* passed, and taken by the machine, up to the last look */
	atomic_int process[FAIR_PROCESSES]; /* that are measured; 0: none */
};

/* A thread of the caller that keeps the clock; one a process. */
int fair_start(struct fair_clock *c);
void fair_stop(struct fair_clock *c);
uint64_t fair_ms(const struct fair_clock *c); /* moves every 5 ms */
/* What the machine has taken so far. */
uint64_t fair_taken_ms(const struct fair_clock *c);

#endif
