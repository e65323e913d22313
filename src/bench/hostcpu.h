/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_HOSTCPU_H
#define WEIR_BENCH_HOSTCPU_H

#include <sys/types.h>

#include <jansson.h>

/* What a measurement cost this host, all of it: the difference of /proc/stat (softirq and guest time
 * belong to no process that caused them) and, for the threads asked about, of their schedstat. */

struct hostcpu;

/* Starts an interval. `pids` (n of them): processes whose threads are told apart in the result, with
 * what they are ("sender", "switch", "vcpu"); NULL: none. NULL on failure (no memory, no /proc). */
struct hostcpu *hostcpu_begin(const pid_t *pids, const char *const *roles, unsigned n);

/* Ends it and frees it:
 * {"seconds", "cpus": online, "busy": CPUs busy on average (all but idle, iowait,
 * and steal, which is others' work),
 *  "parts": {"user", "nice", "system", "irq", "softirq", "steal", "guest"}, each in CPUs,
 *  "busiest": {"cpu": 3, "busy": 0.99},
 *  "threads": [{"role", "name", "pid", "tid", "busy": CPUs, "waited": CPUs' worth of runnable waiting,
 *  "user": of "busy", outside of the kernel}]}
 * A thread that began meanwhile counts from then. What the threads of a process did that ended meanwhile
 * is one entry, "name": "(ended)", "tid", "waited" and "user" null. A process that is gone has no entry; one that
 * has ended and was not waited for still has. */
json_t *hostcpu_end(struct hostcpu *h);

/* Adds to "polling" what threads that poll did with their time: {"role", "threads", "moving": CPUs' worth
 * of cycles in which frames were moved}; share: of all their cycles, 0..1. */
void hostcpu_polled(json_t *cpu, const char *role, unsigned threads, double share);

/* Sets "spun": CPUs' worth of time that threads of the tester spent looking for something to do, which no
 * path costs. It stays in "busy". Adds up. */
void hostcpu_spun(json_t *cpu, double cpus);

/* The same of the generators and sinks of frames, which are known by the names of their threads. A generator
 * looks at the clock until the next frame is due, and makes frames: all it does outside of the kernel is the
 * tester's. In its system calls and in interrupts the path begins. A sink is no part of the path at all. */
void hostcpu_spun_frames(json_t *cpu);

/* Adds "per_gbit" (CPU seconds a Gbit) and "per_mframes" (CPU seconds a million frames) for what was
 * moved in the interval, of "busy" less "spun"; 0 leaves one out. Neither is set when "busy" is not known,
 * or nothing is left of it. */
void hostcpu_per(json_t *cpu, double bits, double frames);

#endif
