/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "forward/fdb.h"

#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>

/* What the MAC table costs a frame: TSC cycles for learning the source and finding the destination,
 * in batches as the worker makes them, MACs drawn at random. Making the keys and prefetching heads
 * is not in the figure, the prefetch pass is. Each line is the median of ROUNDS rounds. */

enum { BATCH = 32, ROUNDS = 11, BATCHES = 20000 };

static uint64_t rng = 0x9e3779b97f4a7c15;

static uint32_t draw(uint32_t n) {
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)((rng >> 32) * n >> 32);
}

/* The i-th MAC of a set: as a guest's generator would count them up, in the last octets. */
static uint64_t key_of(uint32_t i) {
	uint64_t mac = 0x5452 | (uint64_t)(i & 0xff) << 40 | (uint64_t)(i >> 8 & 0xff) << 32 |
		       (uint64_t)(i >> 16) << 24;

	return fdb_key(1, mac);
}

static int by_value(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Half of the MACs are on port 0, half on port 1; frames go from the one to the other. */
static double round_of(struct fdb *t, uint32_t macs, bool prefetch) {
	uint64_t src[BATCH], dst[BATCH], at[BATCH], to[BATCH], cycles = 0;
	uint32_t wrong = 0;

	for (unsigned n = 0; n < BATCHES; n++) {
		uint16_t in = n & 1;

		for (unsigned i = 0; i < BATCH; i++) {
			src[i] = key_of(draw(macs / 2) * 2 + in);
			dst[i] = key_of(draw(macs / 2) * 2 + !in);
		}
		uint64_t start = rte_rdtsc_precise();
		for (unsigned i = 0; i < BATCH; i++) {
			at[i] = prefetch ? fdb_prefetch(t, src[i]) : fdb_hash(t, src[i]);
			to[i] = prefetch ? fdb_prefetch(t, dst[i]) : fdb_hash(t, dst[i]);
		}
		for (unsigned i = 0; i < BATCH; i++) {
			wrong += fdb_learn(t, src[i], at[i], in, 1) != FDB_KNOWN;
			wrong += fdb_lookup(t, dst[i], to[i], 1) != !in;
		}
		cycles += rte_rdtsc_precise() - start;
	}
	if (wrong != 0) {
		fprintf(stderr, "fdb_bench: %u wrong answers\n", wrong);
		exit(1);
	}
	return (double)cycles / BATCHES / BATCH;
}

static double median_of(uint32_t macs, bool prefetch) {
	struct fdb *t = fdb_new(FDB_MAX_DEFAULT, FDB_AGE_DEFAULT);
	double got[ROUNDS];

	if (t == NULL) {
		fprintf(stderr, "fdb_bench: no memory for a table of %d entries\n",
			FDB_MAX_DEFAULT);
		exit(1);
	}
	fdb_set_port_max(t, 0, FDB_MAX_DEFAULT);
	fdb_set_port_max(t, 1, FDB_MAX_DEFAULT);
	for (uint32_t i = 0; i < macs; i++)
		if (fdb_learn(t, key_of(i), fdb_hash(t, key_of(i)), i & 1, 1) != FDB_NEW) {
			fprintf(stderr, "fdb_bench: MAC %u of %u was not learned\n", i, macs);
			exit(1);
		}
	round_of(t, macs, prefetch);
	for (unsigned i = 0; i < ROUNDS; i++)
		got[i] = round_of(t, macs, prefetch);
	fdb_free(t);
	qsort(got, ROUNDS, sizeof(got[0]), by_value);
	return got[ROUNDS / 2];
}

int main(void) {
	static const uint32_t macs[] = {2, 8192, 65536};

	printf("cycles a frame for learn and lookup, batches of %d, random order\n", BATCH);
	printf("%8s %14s %14s\n", "MACs", "with prefetch", "without");
	for (unsigned i = 0; i < sizeof(macs) / sizeof(macs[0]); i++)
		printf("%8u %14.1f %14.1f\n", macs[i], median_of(macs[i], true),
			median_of(macs[i], false));
	return 0;
}
