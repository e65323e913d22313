/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/flows/track.h"

#include <stdbool.h>
#include <stdlib.h>

/* false: no memory, and the array is as it was. */
static bool grow(double **array, unsigned room) {
	double *grown = realloc(*array, room * sizeof(**array));

	if (grown == NULL)
		return false;
	*array = grown;
	return true;
}

void track_add(struct track *t, double at, const json_t *v) {
	unsigned room = t->room > 0 ? t->room * 2 : 64;

	if (!json_is_number(v))
		return;
	if (t->n == t->room) {
		if (!grow(&t->at, room) || !grow(&t->v, room))
			return;
		t->room = room;
	}
	t->at[t->n] = at;
	t->v[t->n++] = json_number_value(v);
}

void track_free(struct track *t) {
	free(t->at);
	free(t->v);
	*t = (struct track){0};
}
