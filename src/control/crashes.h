/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_CONTROL_CRASHES_H
#define WEIR_CONTROL_CRASHES_H

#include <stdbool.h>
#include <stdint.h>

/* What is remembered from one crash of the switch to the next start: which ports were at work. A port that
 * was there at several is let in later each time, for it may be what brings the switch down, and the others
 * are to be served in between. Times are CLOCK_MONOTONIC, in us. Control thread only. */

struct crashes;

enum {
	CRASHES_FREE = 2, /* at so many a port may be there without being held */
	CRASHES_HOLD_S =
		1, /* held after one more, twice as long after each other; up to twice that, in turn */
	CRASHES_HOLD_MAX_S = 300,
	CRASHES_FINE_S = 60, /* at work for so long: forgotten */
};

/* Reads what the run before left at `path`, in a folder of ours: if it did not end by itself, it crashed.
 * What cannot be read or written is said in the log, and the switch does without. NULL: no memory. */
struct crashes *crashes_open(const char *path, uint64_t now_us);
/* The end is no crash. `ended`: by itself, and all is forgotten; otherwise it did not start. NULL: nothing. */
void crashes_close(struct crashes *c, bool ended);

/* How many crashes the port was at, and until when it is not to be let in; 0: it may come. c may be NULL. */
unsigned crashes_of(const struct crashes *c, const char *port);
uint64_t crashes_held_until(const struct crashes *c, const char *port);

/* The port is at work from now on, or no longer. Is on record when this returns. */
void crashes_working(struct crashes *c, const char *port, bool at_work, uint64_t now_us);
/* Now and then: forgets what has been fine for long enough. */
void crashes_look(struct crashes *c, uint64_t now_us);

#endif
