/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_PROC_H
#define WEIR_BENCH_PROC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reading of /proc. */

/* The lines "cpu" and "cpuN" of /proc/stat: seconds since boot that do not overlap (of "user" and
 * "nice" what ran a guest is left out). */
enum {
	PROC_USER,
	PROC_NICE,
	PROC_SYSTEM,
	PROC_IRQ,
	PROC_SOFTIRQ,
	PROC_STEAL,
	PROC_GUEST,
	PROC_PARTS
};

struct proc_cpu {
	int cpu; /* -1: all of them */
	double part[PROC_PARTS];
};

/* All of them, the sum first; to be freed. NULL when there is no memory or no /proc. */
struct proc_cpu *proc_cpus(unsigned *n);

/* CPU time of a process, its threads that have ended included, in ns; UINT64_MAX: it is not there. */
uint64_t proc_cpu_ns(pid_t pid);

/* What a process or thread calls itself; "?" when it is not there. Returns buf. */
enum { PROC_NAME = 32 };
char *proc_name(pid_t pid, pid_t tid, char buf[PROC_NAME]);

/* CLOCK_MONOTONIC in seconds. */
double proc_now(void);

#endif
