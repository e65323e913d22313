/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_BED_H
#define WEIR_TESTS_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "front.h"

/* A real `weir switch` with a liar in it. It has these vhost-user ports:
 *
 *   bad       the liar's; network dark
 *   mate      honest, a neighbour of the liar in network dark; held by the bed, polled by the test
 *   one, two  honest, network light; a thread of the bed sends numbered frames between them all the
 *             time, paced by what has arrived, so that not one may be lost, doubled or late
 *
 * More ports can be asked for. A case is a lie: what the liar does, and what is to become of its
 * port. bed_try tells it and then holds the switch to the same four things every time: the liar's
 * port ended as expected, with a reason; an honest front end can attach to it again at once; the
 * neighbours lost nothing and did not stand still; the switch is the same process as before. */

enum ending {
	SHUT, /* the port is shut, `reason` is in the sentence `weir show ports` gives */
	ALIVE, /* nothing happens to the port: its frames go on, or it waits, as `reason` says */
	EITHER, /* both are fair, as long as a shut has a reason */
};

enum stage {
	RUNNING, /* attached, rings run, a frame has passed */
	CONNECTED, /* the socket is open, nothing has been said */
	NEGOTIATED, /* features are settled, no memory and no rings yet */
};

struct lie {
	const char *sentence;
	void (*tell)(struct front *f);
	enum ending ending;
	const char *reason;
	enum stage stage;
	struct front_options o;
};

struct bed_mac {
	uint8_t octet[6];
};
extern const struct bed_mac mac_bad, mac_mate;

/* Starts the switch; `ports` and `networks` (YAML, a line each, two spaces in front) are added to
 * those above; NULL: none. Both are cmocka group fixtures when called without. */
int bed_start(const char *networks, const char *ports);
int bed_setup(void **state);
int bed_teardown(void **state);

/* A cmocka test: *state is a struct lie. */
void bed_try(void **state);
/* Waits until the liar's port, "bad", is shut, or not, as expected; fails the test else. */
void bed_judge(struct front *f, const struct lie *l);
/* Makes a cmocka test of each lie and runs them, those that match the pattern in WEIR_CASE when that
 * is set; what main() returns. */
int bed_run(const char *name, struct lie *lies, unsigned n);

/* The mate sends n frames to the liar, as many as the switch takes in time; returns how many. */
unsigned bed_mate_sends(unsigned n);
/* Takes frames off the mate's ring, waits for them up to `ms`; returns how many came, of `want`. */
unsigned bed_mate_gets(unsigned want, unsigned ms);
struct front *bed_mate(void);

/* Attaches an honest front end to a port, trying for some seconds; fails the test when that does not
 * come off. */
void bed_attach(struct front *f, const char *port, struct front_options o);
/* The same without receive buffers: those are the test's. */
void bed_attach_empty(struct front *f, const char *port, struct front_options o);
void bed_detach(struct front *f);
/* Kills the switch (SIGKILL) and starts it again; the neighbours come to rest before. */
void bed_kill_switch(void);
void bed_restart_switch(void);
/* Fails the test when a neighbour lost a frame or stands still, or the switch is gone. */
void bed_hold(void);
/* Sends a frame of 64 bytes and tells whether it arrived at the mate within some seconds. */
bool bed_passes(struct front *f);
/* How many frames `weir show drops` has for a port and a reason; NULL: for all reasons. */
uint64_t bed_drops(const char *port, const char *reason);
/* A number that `weir show ports -j` has of a side of a port, "rx" or "tx": "turns", "frames". */
uint64_t bed_count(const char *port, const char *side, const char *key);
/* How often the switch's workers were taken off their CPUs. */
unsigned long bed_preempted(void);
/* Sleeps; longer under sanitizers. */
void bed_rest(unsigned ms);
void bed_rest_us(unsigned us); /* not longer */
uint64_t bed_now_ms(void); /* CLOCK_MONOTONIC */
unsigned bed_patience(void);
char *bed_path(char *buf, size_t size, const char *port);

#endif
