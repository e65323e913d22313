/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_SURVIVOR_H
#define WEIR_TESTS_SURVIVOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "fair_clock.h"
#include "front.h"

/* A guest that outlives the switch, and sends and checks numbered frames; see test_reconnect.c. */

enum {
	LONG_FRAME = 1514,
	INTERRUPT_MS = 500, /* something was there for so long: nobody woke it */
};

struct kind {
	const char *name;
	uint64_t features, protocol;
	bool client; /* weir connects */
	bool stopped; /* the guest's rings were stopped and started once, not at their beginning */
	bool chains; /* frames are sent in three descriptors */
	uint32_t buffer; /* bytes of a buffer; 0: frames fit */
	uint16_t frame;
};

/* What guests and the test tell each other, also from process to process. */
struct shared {
	struct fair_clock clock;
	atomic_uint round; /* counts from 1 */
	_Atomic uint64_t back_ms; /* first attach of the round, by that clock */
	atomic_bool failed;
	char why[256];
};

struct guest {
	struct shared *s;
	const struct kind *k;
	struct front f;
	char path[128], name[48];
	uint8_t frame[LONG_FRAME];
	uint16_t len;
	uint32_t number; /* of the next frame */
	unsigned round; /* its frames say */
	unsigned seen; /* the last round it has noticed */
	uint64_t last; /* round and number of the last frame received, + 1 */
	int64_t told[2]; /* packed: where the rings were at the last orderly start */
	bool made; /* has rings */
	bool stopped; /* as its kind says */
	bool attached, asleep;
	uint64_t ready_ms; /* since when there is something to do beside it, asleep as it is */
	atomic_bool flap;
	atomic_uint fresh; /* last round of which a frame has arrived */
	_Atomic uint64_t fresh_ms, got, lost;
};

/* Side 0 or 1 of a network; its socket is in the folder. make: its memory. */
void guest_init(struct guest *g, const struct kind *k, struct shared *s, const char *folder,
	unsigned net, unsigned side);
int guest_make(struct guest *g);
/* What front end and driver do in one turn; false: nothing, and the guest sleeps. */
bool guest_step(struct guest *g);
/* How many frames, or buffers that came back. */
unsigned guest_receive(struct guest *g);
unsigned guest_reap(struct guest *g);
unsigned guest_transmit(struct guest *g, unsigned burst);
/* The first complaint counts; it ends the test at the end of the round. */
void guest_complain(const struct guest *g, const char *what);

static inline unsigned patience(void) {
	return getenv("WEIR_SANITIZED") != NULL ? 4 : 1;
}

#endif
