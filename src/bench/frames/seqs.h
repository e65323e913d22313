/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_SEQS_H
#define WEIR_BENCH_SEQS_H

#include <stdint.h>

/* What became of numbered datagrams: which came twice, which out of order, how many at all. The last
 * SEQS_WINDOW numbers are remembered; what comes later than that is counted apart, for whether it is
 * the second of its kind nobody knows any more. All zero is a fresh one. One thread. */

enum { SEQS_WINDOW = 1 << 16 };

struct seqs {
	uint64_t next; /* one past the highest number seen */
	uint64_t unique, duplicates, reordered, late;
	uint64_t seen[SEQS_WINDOW / 64];
};

void seqs_take(struct seqs *s, uint64_t number);

#endif
