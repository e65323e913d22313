/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_BACKOFF_H
#define WEIR_HOST_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "host/want/plan.h"

/* Which attributes drift so often that restoring them is a fight with somebody. Times in us. */

enum {
	BACKOFF_TIMES = 3, /* restorations that are thought nothing of, */
	BACKOFF_WITHIN_S = 600, /* in so many seconds */
	BACKOFF_FIRST_S = 60, /* how long it is let be then; twice as long each time */
	BACKOFF_MAX_S = 3600,
};

struct backoff {
	struct backoff_one {
		char slot[PCI_SLOT_MAX];
		int vf;
		enum attr attr;
		unsigned times, rounds; /* restored since `since`, let be so far */
		uint64_t since, until; /* until 0: it is not let be */
	} * one;
	unsigned n;
};

/* Whether it is let be at `now`. */
bool backoff_holds(const struct backoff *b, const struct drift *d, uint64_t now);
/* It was restored. Returns for how many seconds it is let be from here on, 0: not at all. */
unsigned backoff_count(struct backoff *b, const struct drift *d, uint64_t now);
/* How many are let be at `now`. */
unsigned backoff_held(const struct backoff *b, uint64_t now);
void backoff_free(struct backoff *b);

#endif
