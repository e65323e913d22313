/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_TRACK_H
#define WEIR_BENCH_TRACK_H

#include <jansson.h>

/* Values over the time of one repeat. All zero is an empty one; n = 0 empties it. */
struct track {
	unsigned n, room;
	double *at, *v;
};

/* What is no number is left out, and so is what there is no memory for. */
void track_add(struct track *t, double at, const json_t *v);
void track_free(struct track *t);

#endif
