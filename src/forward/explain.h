/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_FORWARD_EXPLAIN_H
#define WEIR_FORWARD_EXPLAIN_H

/* What the datapath says about its decisions when `weir trace` asks. Workers pass NULL, and then a
 * step costs one predicted branch. */

enum { EXPLAIN_STEPS = 64, EXPLAIN_TEXT = 192 };

struct explain {
	unsigned n;
	struct {
		char stage[16]; /* "pull", "parse", "verdict", "push" */
		char text[EXPLAIN_TEXT]; /* a sentence with the values that decided */
	} step[EXPLAIN_STEPS];
};

void explain_step(struct explain *ex, const char *stage, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), cold));

#define EXPLAIN(ex, stage, ...)                               \
	do {                                                  \
		if (__builtin_expect((ex) != NULL, 0))        \
			explain_step(ex, stage, __VA_ARGS__); \
	} while (0)

#endif
