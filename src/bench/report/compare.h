/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_COMPARE_H
#define WEIR_BENCH_COMPARE_H

#include <jansson.h>

struct err;

/* One of two results: where it came from, and its document (report_load). */
struct compare_side {
	const char *from;
	const json_t *doc;
};

/* Puts two results of one instrument side by side, as a document of its own (docs/bench-result.md,
 * "Two results compared"). Figures are the same when name, unit and labels are; labels named in
 * `across` (with commas between; NULL: none) are passed over, and of figures that are then the same the
 * first is compared with the first, the second with the second.
 * The documents may come from anywhere and are checked. NULL with a sentence: they are of two
 * instruments, have no figure in common, or an entry that is none. */
json_t *compare_results(const struct compare_side sides[2], const char *across, struct err *e);

#endif
