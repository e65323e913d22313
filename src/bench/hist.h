/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_HIST_H
#define WEIR_BENCH_HIST_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

/* A log-linear histogram of nanoseconds: every power of two is cut into HIST_SUB equal buckets, values
 * below HIST_SUB have one each. A quantile is the middle of its bucket, so it is wrong by no more than
 * HIST_ERROR of itself; count, least, greatest and sum are exact. Adding costs a few instructions and
 * no memory. One thread writes; copies are merged.
 *
 * What was sent and never came back has no value, and would be missing where it matters most: it counts as
 * lost, which is above every value there is (RFC 7679 section 5.1: as infinitely late). */

enum {
	HIST_SUB_BITS = 7,
	HIST_SUB = 1 << HIST_SUB_BITS,
	HIST_BUCKETS = (64 - HIST_SUB_BITS + 1) * HIST_SUB
};
#define HIST_ERROR (0.5 / HIST_SUB)

struct hist {
	uint64_t count, min, max; /* min is UINT64_MAX while count is 0 */
	double sum; /* of those that came back, as mean, min and max are */
	uint64_t lost,
		timeout; /* how many more there were; the least ns after which one was given up */
	uint64_t bucket[HIST_BUCKETS];
};

void hist_reset(struct hist *h);
void hist_add(struct hist *h, uint64_t ns);
/* So many more that had not come back after so many ns. */
void hist_lose(struct hist *h, uint64_t n, uint64_t timeout);
void hist_merge(struct hist *to, const struct hist *from);
/* The value below which the fraction q (0..1) of all lies; 0 and 1 are min and max; 0 when empty. The greatest
 * that came back where what was lost begins (hist_beyond). */
uint64_t hist_quantile(const struct hist *h, double q);
/* Are there enough for the quantile q to be more than the greatest value under another name? At least one
 * value has to lie above it: count (1 - q) of 1 and more. 0 and 1 want any value. And what was lost must not
 * reach down to it. */
bool hist_knows(const struct hist *h, double q);
/* Does what was lost reach down to the quantile? All that is known of it is that it is above the timeout. */
bool hist_beyond(const struct hist *h, double q);

/* {"count", "min", "max", "mean", "p50", "p90", "p99", "p99.9", "p99.99", "low", "high", "error",
 * "buckets": [[from_ns, count], ...]}, the empty buckets left out; and back: 0 or -EINVAL. A quantile that
 * is not known is null; low and high have under its name between which values it lies in 95 % of cases
 * (quantile_ranks), null: that side has no bound. When there are lost ones also "lost", "timeout", and
 * "beyond": [those of "p50" ... "max" that are above the timeout]. */
json_t *hist_json(const struct hist *h);
/* Is it one that "beyond" names? */
bool hist_json_beyond(const json_t *v, const char *name);
int hist_load(struct hist *h, const json_t *v);

#endif
