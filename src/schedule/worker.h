/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_SCHEDULE_WORKER_H
#define WEIR_SCHEDULE_WORKER_H

#include <stdint.h>

#include "forward/forward.h"
#include "port/port.h"

/* Workers: threads pinned to a CPU each that run queues to completion.
 *
 * What they work from is one snapshot: forwarding state, ports by id, and for each worker the rxqs
 * it pulls. The control thread builds a new one and publishes it; workers take it up between two
 * turns, and publish returns when the last of them has left the old one, which may then be freed
 * with everything only it named. Sleeping workers do not hold anyone up. */

struct err;
struct capture;

enum {
	WORKERS_MAX = 64,
	/* What a turn may cost at the most, whatever its frames ask for: a few times a full batch of
	 * 1514-byte frames, which takes some 35,000 cycles to guests and 200,000 to a TAP. Turns that took
	 * longer are counted; those in which the worker lost its CPU to others are among them. */
	TURN_CYCLES_MAX = 500000,
};

enum idle_mode {
	IDLE_ADAPTIVE, /* poll while busy, sleep after IDLE_POLL_US of nothing */
	IDLE_BUSY, /* never sleep */
	IDLE_INTERRUPT, /* sleep whenever there is nothing */
};

enum stage { STAGE_PULL, STAGE_PARSE, STAGE_VERDICT, STAGE_PUSH, STAGE_NOTIFY, STAGE_COUNT };
extern const char *const stage_names[STAGE_COUNT];

struct snapshot {
	uint64_t
		serial; /* set by workers_publish: tells it from one before it at the same address */
	struct fwd *fwd;
	struct port *ports[PORTS_MAX]; /* by id; NULL: none */
	unsigned nqueues[WORKERS_MAX];
	struct rxq **queues[WORKERS_MAX];
};

struct snapshot *snapshot_new(void);
/* Frees the snapshot, its fwd and queue lists; not the ports. */
void snapshot_free(struct snapshot *s);
/* Deals the rxqs of all ports in s->ports to `n` workers, heaviest first to the least loaded, by the
 * cycles each took since the last deal; a queue moves only when that evens the load. */
int snapshot_deal(struct snapshot *s, unsigned n);
/* What of `s`, just dealt, can be published after `was` at once: all but the queues that move from one
 * worker to another. Its fwd is lent. NULL: none moves (or there is no memory). */
struct snapshot *snapshot_without_moved(const struct snapshot *s, const struct snapshot *was);

/* Counters of one worker, all since start; read by the control thread while they are written. */
struct worker_stats {
	int cpu;
	unsigned queues;
	uint64_t cycles; /* TSC cycles since the worker started */
	uint64_t busy_cycles; /* in turns that moved frames */
	uint64_t sleep_cycles; /* asleep */
	uint64_t frames, turns, sleeps;
	uint64_t longest_turn, long_turns; /* its cycles; turns above TURN_CYCLES_MAX */
	uint64_t stage_cycles[STAGE_COUNT];
};

struct workers;

/* Starts a worker on each CPU. -EINVAL with a sentence for a CPU that does not exist or is not
 * allowed. Workers sleep until the first workers_publish. */
int workers_start(
	struct workers **out, const int *cpus, unsigned n, enum idle_mode idle, struct err *e);
/* Stops and joins them all; the last snapshot is freed. */
void workers_stop(struct workers *w);
unsigned workers_count(const struct workers *w);
void workers_set_idle(struct workers *w, enum idle_mode idle);
/* Makes `s` what the workers run from (takes ownership) and frees the one before. Blocks until all
 * workers have taken it up: one batch each, two when queues move between workers, for those are taken
 * from one before they are given to the other. */
void workers_publish(struct workers *w, struct snapshot *s);
const struct snapshot *workers_snapshot(const struct workers *w); /* control thread only */
void workers_stats(const struct workers *w, unsigned index, struct worker_stats *out);
/* Signs of life: marks this moment, and tells whether each worker has been between two turns, or asleep,
 * since a mark: the CPU of one that has not, -1: all have. Nobody waits. */
uint64_t workers_mark(struct workers *w);
int workers_late(const struct workers *w, uint64_t mark);
/* TSC cycles a second. */
uint64_t workers_hz(void);

/* What `weir trace` runs on the control thread: parse, verdict and grouping of one frame that enters
 * at `port`, by the code of the datapath. `ex` must be set, so nothing is learned (what learning would
 * do is explained), and nothing is sent. Returns how many receivers out[] got, at most `max`, or
 * -ENOMEM; *drop tells why there is none. */
struct trace_out {
	uint16_t port, queue;
	uint32_t tag;
	enum drop drop; /* DROP_NONE, or why this receiver would not get it */
};
int worker_trace(const struct snapshot *s, uint16_t port, const uint8_t *bytes, uint32_t len,
	struct trace_out *out, unsigned max, enum drop *drop, struct explain *ex);

/* Hands frames of ports with port->capture set to the capture room; NULL: none. Called by workers
 * with the frame as it came in (dir 0) or goes out (dir 1, tag as tx_item). Must not block. */
typedef void capture_fn(void *arg, struct port *p, int dir, const struct frame *f, uint32_t tag);
void workers_set_capture(struct workers *w, capture_fn *fn, void *arg);

#endif
