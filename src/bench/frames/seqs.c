/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/frames/seqs.h"

#include <stdbool.h>
#include <string.h>

static uint64_t *word(struct seqs *s, uint64_t number) {
	return &s->seen[number % SEQS_WINDOW / 64];
}

static uint64_t bit(uint64_t number) {
	return UINT64_C(1) << (number % 64);
}

void seqs_take(struct seqs *s, uint64_t number) {
	if (number >= s->next) {
		// The numbers jumped over are remembered as not seen.
		if (number - s->next >= SEQS_WINDOW)
			memset(s->seen, 0, sizeof(s->seen));
		else
			for (uint64_t i = s->next; i < number; i++)
				*word(s, i) &= ~bit(i);
		*word(s, number) |= bit(number);
		s->next = number + 1;
		s->unique++;
	} else if (s->next - number > SEQS_WINDOW) {
		s->late++;
	} else if ((*word(s, number) & bit(number)) != 0) {
		s->duplicates++;
	} else {
		*word(s, number) |= bit(number);
		s->unique++;
		s->reordered++;
	}
}
