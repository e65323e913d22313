/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_BENCH_H
#define WEIR_BENCH_BENCH_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

/* What all instruments share: the options every one of them takes, repeats, progress, and the end
 * that comes too early. `weir bench` (cli/bench.c) fills a struct bench, runs an instrument, and prints
 * or writes the document. */

struct err;

/* Where several instruments that run at once, in processes of their own, agree on when they count: each
 * says at `ready` that it could begin, and is told at `go` when (8 bytes, clock_ns). */
struct bench_meeting {
	int ready, go;
	bool met;
	uint64_t late; /* ns by which it then may have begun later */
};

/* Who stops when the interval happens to be narrow stops more often after a spread that came out too small:
 * of 95 % such intervals hold 90 when three repeats are enough, 93.4 from ten on, and, since what comes
 * after the decision was not chosen by it, 94.2 with three more (at worst, by how noisy a path is; simulated
 * in tests/unit/test_bench.c). */
enum { UNTIL_LEAST = 10, UNTIL_MORE = 3 };

struct bench {
	json_t *doc; /* result.h */
	unsigned
		repeat; /* --repeat, 1..SERIES_MAX; default 5, with --until UNTIL_LEAST (the least then) */
	double until; /* --until 1% is 0.01: repeats go on until the interval is that narrow; 0: not asked */
	unsigned repeat_max; /* then at most so many */
	uint64_t time_ns, omit_ns; /* --time (10 s), --omit (1 s): warm-up that is not counted */
	bool time_given; /* --time was */
	bool quiet; /* no progress on stderr */
	unsigned
		round; /* measurements of the same before this one, by a struct bench of their own */
	struct bench_meeting *meeting; /* NULL: it runs alone */
	/* Called when counting begins and when its time is over; NULL: nobody. */
	void (*counting)(void *arg, bool begins);
	void *counting_arg;
};

/* An instrument: takes what options are left in argv (argv[0] is its name), measures, fills b->doc. 0;
 * -ECANCELED when it was interrupted, with what was measured in the document; another negative errno
 * with a sentence; -EINVAL for a bad option or endpoint. */
struct instrument {
	const char *name, *args, *brief, *help; /* as struct command of cli/cli.h */
	int (*run)(struct bench *b, int argc, char **argv, struct err *e);
};

extern const struct instrument bench_stream, bench_rr, bench_frames, bench_rfc2544, bench_fair,
	bench_paths;

/* Set by SIGINT and SIGTERM (and nothing else). Instruments look at it at least every 100 ms. */
extern volatile sig_atomic_t bench_stopped;

/* SIGINT and SIGTERM set it from now on, and interrupt system calls. */
void bench_catch(void);

/* Waits for the others: *begin is when all begin, `now` when there are none to wait for. -ECANCELED, or
 * -EPIPE with a sentence: nobody calls. */
int bench_meet(struct bench_meeting *m, uint64_t now, uint64_t *begin, struct err *e);

/* Calls once() for each repeat until there are enough: b->repeat, or, with --until, at least b->repeat
 * and until narrow(arg, fraction) holds, then UNTIL_MORE more, or repeat_max is reached (then a warning). 0, -ECANCELED when
 * interrupted between two, or what once() returned. `narrow` NULL: --until is refused with -EINVAL. */
int bench_repeat(struct bench *b,
	int (*once)(struct bench *b, unsigned i, void *arg, struct err *e),
	bool (*narrow)(void *arg, double fraction), void *arg, struct err *e);

/* One line on stderr that replaces the last: what is being done, and the time left when it is known
 * (seconds; negative: not). An empty text clears it. Nothing when stderr is no terminal or b->quiet. */
void bench_progress(const struct bench *b, double left_s, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
