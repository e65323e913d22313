/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/hist.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "bench/stats.h"

/* A value of at least HIST_SUB keeps its HIST_SUB_BITS + 1 leading bits: they and the number of bits
 * behind them, the shift, are its bucket. So bucket i of HIST_SUB and more has shift i / HIST_SUB - 1,
 * begins at (HIST_SUB + i % HIST_SUB) << shift and is 1 << shift wide, at most 1 / HIST_SUB of where it
 * begins. */

static unsigned index_of(uint64_t ns) {
	unsigned shift;

	if (ns < HIST_SUB)
		return (unsigned)ns;
	shift = 63 - (unsigned)__builtin_clzll(ns) - HIST_SUB_BITS;
	return shift * HIST_SUB + (unsigned)(ns >> shift);
}

static unsigned shift_of(unsigned i) {
	return i < HIST_SUB ? 0 : i / HIST_SUB - 1;
}

static uint64_t begin_of(unsigned i) {
	return i < HIST_SUB ? i : (uint64_t)(HIST_SUB + i % HIST_SUB) << shift_of(i);
}

void hist_reset(struct hist *h) {
	memset(h, 0, sizeof(*h));
	h->min = UINT64_MAX;
}

void hist_add(struct hist *h, uint64_t ns) {
	// What JSON cannot hold is no latency either, but a difference taken the wrong way round.
	if (ns > INT64_MAX)
		ns = INT64_MAX;
	h->count++;
	h->sum += (double)ns;
	h->min = ns < h->min ? ns : h->min;
	h->max = ns > h->max ? ns : h->max;
	h->bucket[index_of(ns)]++;
}

void hist_lose(struct hist *h, uint64_t n, uint64_t timeout) {
	if (n > 0 && (h->lost == 0 || timeout < h->timeout))
		h->timeout = timeout;
	h->lost += n;
}

void hist_merge(struct hist *to, const struct hist *from) {
	to->count += from->count;
	to->sum += from->sum;
	hist_lose(to, from->lost, from->timeout);
	to->min = from->min < to->min ? from->min : to->min;
	to->max = from->max > to->max ? from->max : to->max;
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		to->bucket[i] += from->bucket[i];
}

/* The value at a place in ascending order, 1..count. */
static uint64_t value_at(const struct hist *h, uint64_t rank) {
	uint64_t seen = 0, v = h->max;

	if (rank >= h->count)
		return h->max;
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen < rank)
			continue;
		v = begin_of(i) + ((1ULL << shift_of(i)) - 1) / 2;
		break;
	}
	return v < h->min ? h->min : v > h->max ? h->max : v;
}

static uint64_t rank_of(const struct hist *h, double q) {
	// 0.9999 of 10000 is 9999, though their product may come out a hair above.
	return (uint64_t)ceil(q * (double)(h->count + h->lost) - 1e-9);
}

uint64_t hist_quantile(const struct hist *h, double q) {
	if (h->count == 0)
		return 0;
	if (q <= 0)
		return h->min;
	return value_at(h, rank_of(h, q));
}

bool hist_beyond(const struct hist *h, double q) {
	return h->lost > 0 && q > 0 && rank_of(h, q) > h->count;
}

bool hist_knows(const struct hist *h, double q) {
	// 1 - 0.9999 is a hair less than one in ten thousand.
	return h->count > 0 && !hist_beyond(h, q) &&
	       (q <= 0 || q >= 1 || (double)(h->count + h->lost) * (1 - q) >= 1 - 1e-9);
}

static json_t *value_or_null(const struct hist *h, uint64_t rank) {
	return rank > 0 && rank <= h->count ? json_integer((json_int_t)value_at(h, rank))
					    : json_null();
}

static void add_quantiles(json_t *v, const struct hist *h) {
	static const struct {
		const char *name;
		double q;
	} points[] = {
		{"p50", 0.5},
		{"p90", 0.9},
		{"p99", 0.99},
		{"p99.9", 0.999},
		{"p99.99", 0.9999},
	};
	json_t *low = json_object(), *high = json_object(), *beyond = json_array();

	for (unsigned i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		struct ranks r = quantile_ranks(h->count + h->lost, points[i].q);
		bool known = hist_knows(h, points[i].q);
		uint64_t q = hist_quantile(h, points[i].q);

		json_object_set_new(
			v, points[i].name, known ? json_integer((json_int_t)q) : json_null());
		json_object_set_new(low, points[i].name, value_or_null(h, r.low));
		json_object_set_new(high, points[i].name, value_or_null(h, r.high));
		if (hist_beyond(h, points[i].q))
			json_array_append_new(beyond, json_string(points[i].name));
	}
	if (h->lost > 0) {
		json_array_append_new(beyond, json_string("max"));
		json_object_set_new(v, "lost", json_integer((json_int_t)h->lost));
		json_object_set_new(v, "timeout", json_integer((json_int_t)h->timeout));
		json_object_set(v, "beyond", beyond);
	}
	json_decref(beyond);
	json_object_set_new(v, "low", low);
	json_object_set_new(v, "high", high);
}

json_t *hist_json(const struct hist *h) {
	json_t *v = json_object(), *buckets = json_array();
	double mean = h->count > 0 ? h->sum / (double)h->count : 0;

	json_object_set_new(v, "count", json_integer((json_int_t)h->count));
	json_object_set_new(v, "min", json_integer((json_int_t)(h->count > 0 ? h->min : 0)));
	json_object_set_new(v, "max", json_integer((json_int_t)h->max));
	json_object_set_new(v, "mean", json_real(mean));
	add_quantiles(v, h);
	json_object_set_new(v, "error", json_real(HIST_ERROR));
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		if (h->bucket[i] > 0)
			json_array_append_new(buckets, json_pack("[I, I]", (json_int_t)begin_of(i),
							       (json_int_t)h->bucket[i]));
	json_object_set_new(v, "buckets", buckets);
	return v;
}

bool hist_json_beyond(const json_t *v, const char *name) {
	json_t *one;
	size_t i;

	json_array_foreach (json_object_get(v, "beyond"), i, one)
		if (json_is_string(one) && strcmp(json_string_value(one), name) == 0)
			return true;
	return false;
}

/* One [from_ns, count] of another's histogram: of a bucket that exists, and not yet filled. */
static int load_bucket(struct hist *h, const json_t *pair) {
	json_int_t from = json_integer_value(json_array_get(pair, 0));
	json_int_t n = json_integer_value(json_array_get(pair, 1));
	unsigned i;

	if (json_array_size(pair) != 2 || !json_is_integer(json_array_get(pair, 0)) || from < 0 ||
		n <= 0)
		return -EINVAL;
	i = index_of((uint64_t)from);
	if (begin_of(i) != (uint64_t)from || h->bucket[i] != 0)
		return -EINVAL;
	h->bucket[i] = (uint64_t)n;
	h->count += (uint64_t)n;
	return 0;
}

int hist_load(struct hist *h, const json_t *v) {
	const json_t *buckets = json_object_get(v, "buckets");
	json_int_t count = json_integer_value(json_object_get(v, "count"));
	json_int_t min = json_integer_value(json_object_get(v, "min"));
	json_int_t max = json_integer_value(json_object_get(v, "max"));
	json_int_t lost = json_integer_value(json_object_get(v, "lost"));
	json_int_t timeout = json_integer_value(json_object_get(v, "timeout"));
	size_t i;
	json_t *pair;

	hist_reset(h);
	if (!json_is_array(buckets) || !json_is_integer(json_object_get(v, "count")) ||
		(count > 0 && !json_is_number(json_object_get(v, "mean"))) || min < 0 ||
		max < min || lost < 0 || timeout < 0)
		goto bad;
	json_array_foreach (buckets, i, pair)
		if (load_bucket(h, pair) < 0)
			goto bad;
	if (h->count != (uint64_t)count)
		goto bad;
	hist_lose(h, (uint64_t)lost, (uint64_t)timeout);
	if (count == 0)
		return 0;
	if (h->bucket[index_of((uint64_t)min)] == 0 || h->bucket[index_of((uint64_t)max)] == 0)
		goto bad;
	h->min = (uint64_t)min;
	h->max = (uint64_t)max;
	h->sum = json_number_value(json_object_get(v, "mean")) * (double)count;
	return 0;
bad:
	hist_reset(h);
	return -EINVAL;
}
