/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/want/backoff.h"

#include <stdlib.h>
#include <string.h>

#define US_PER_S 1000000ull

static struct backoff_one *find(const struct backoff *b, const struct drift *d) {
	for (unsigned i = 0; i < b->n; i++) {
		struct backoff_one *one = &b->one[i];

		if (one->attr == d->attr && one->vf == d->vf && strcmp(one->slot, d->slot) == 0)
			return one;
	}
	return NULL;
}

bool backoff_holds(const struct backoff *b, const struct drift *d, uint64_t now) {
	const struct backoff_one *one = find(b, d);

	return one != NULL && one->until > now;
}

static struct backoff_one *find_or_add(struct backoff *b, const struct drift *d, uint64_t now) {
	struct backoff_one *one = find(b, d), *more;

	if (one != NULL)
		return one;
	more = realloc(b->one, (b->n + 1) * sizeof(*more));
	if (more == NULL)
		return NULL;
	b->one = more;
	one = &b->one[b->n++];
	*one = (struct backoff_one){.vf = d->vf, .attr = d->attr, .since = now};
	memcpy(one->slot, d->slot, sizeof(one->slot));
	return one;
}

unsigned backoff_count(struct backoff *b, const struct drift *d, uint64_t now) {
	struct backoff_one *one = find_or_add(b, d, now);
	unsigned s = BACKOFF_FIRST_S;

	if (one == NULL)
		return 0;
	// Quiet for as long as it was watched after it was let be: it starts anew.
	if (now > (one->until > one->since ? one->until : one->since) + BACKOFF_WITHIN_S * US_PER_S)
		*one = (struct backoff_one){.vf = d->vf, .attr = d->attr, .since = now};
	memcpy(one->slot, d->slot, sizeof(one->slot));
	if (++one->times < BACKOFF_TIMES && one->rounds == 0)
		return 0;
	for (unsigned i = 0; i < one->rounds && s < BACKOFF_MAX_S; i++)
		s *= 2;
	s = s < BACKOFF_MAX_S ? s : BACKOFF_MAX_S;
	one->rounds++;
	one->times = 0;
	one->until = now + s * US_PER_S;
	return s;
}

unsigned backoff_held(const struct backoff *b, uint64_t now) {
	unsigned n = 0;

	for (unsigned i = 0; i < b->n; i++)
		n += b->one[i].until > now;
	return n;
}

void backoff_free(struct backoff *b) {
	free(b->one);
	*b = (struct backoff){0};
}
