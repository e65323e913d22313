/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_PAIR_H
#define WEIR_BENCH_PAIR_H

#include "bench/agent.h"
#include "bench/bench.h"
#include "bench/zone.h"

/* A measurement between two endpoints: its agents, how the one reaches the other, one repeat after the
 * other. A connects, B listens, whichever way the data goes. */

struct pair {
	struct agent *agent[2]; /* of A and B */
	const char *name[2]; /* as they were written */
	char address[ZONED_MAX]; /* B's, as A sees it: a zone in it is one of A's */
	bool told; /* which interfaces */
	uint64_t late[2]; /* ns by which counting may have begun later than was planned */
	/* Of VMs: their host, while it is counted at the ends, and what came of it. */
	struct hostcpu *watching;
	json_t *host;
};

/* Parses the names and opens both agents; `to` (NULL: none) is the address a user chose for B. 0 or
 * negative errno with a sentence; -EINVAL when it is the words that are wrong. */
int pair_open(struct pair *p, const char *a, const char *b, const char *to, struct err *e);
void pair_close(struct pair *p); /* harmless when all zero */

/* Prepares a job at both: `common` goes to both, `own[i]` to one (all taken over); address, cookie,
 * ports and role are added. */
int pair_prepare(struct pair *p, json_t *common, json_t *own_a, json_t *own_b, struct err *e);

/* Starts what was prepared at n pairs (up to PAIRS_MAX) and hands every event to `event` (who: 0 A, 1 B of
 * the first pair, 2 A of the second, ...; not its to release) until that returns true; then all forget the
 * job. Several pairs count from one moment on: with children of this process to the microsecond, with
 * others to the time that an answer takes, which is then p[].late. `counting` (NULL: nobody) is called when
 * counting begins and when its time is over, and, with 0 ("go on") or a negative errno with a sentence, some
 * times a second in between. -ECANCELED: bench_stopped was set, the measurement was ended early and has
 * reported all the same; -EPIPE: an endpoint vanished; -ETIMEDOUT: it does not end. */
enum { PAIRS_MAX = AGENTS_MAX / 2 };
enum pair_moment { PAIR_BEGINS, PAIR_COUNTS, PAIR_OVER };
int pair_measure(struct pair *p, unsigned n, const struct bench *b, uint64_t interval_ns,
	int (*counting)(void *arg, enum pair_moment moment, double left_s, struct err *e),
	bool (*event)(void *arg, unsigned who, const json_t *event), void *arg, struct err *e);

/* Adds the CPU that a repeat took, which each agent has told in an event (either may be NULL; both are
 * taken over): one entry a host, with what was moved in that time; and where an end is a VM, one of this
 * host with the threads of its QEMU. */
void pair_cpu(struct pair *p, json_t *doc, json_t *const cpu[2], unsigned repeat, double bits,
	double frames);

#endif
