/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>

#include "base/mac.h"
#include "forward/fdb.h"
#include "forward/forward.h"

/* What forwarding costs a frame, in TSC cycles: learning the source and finding the destination in
 * the MAC table alone (with and without the prefetch pass), and the whole of fwd_parse and
 * fwd_verdict; in batches as the worker makes them, MACs drawn at random. Making the frames is not
 * in the figures. Of many short rounds the median is given, and the least, which is what a machine
 * with other work to do comes to when it is left alone. */

enum { BATCH = 32, ROUNDS = 101, BATCHES = 1000 };

static uint64_t rng = 0x9e3779b97f4a7c15;

static uint32_t draw(uint32_t n) {
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)((rng >> 32) * n >> 32);
}

/* The i-th MAC of a set: as a guest's generator would count them up, in the last octets. */
static uint64_t mac_of(uint32_t i) {
	return 0x5452 | (uint64_t)(i & 0xff) << 40 | (uint64_t)(i >> 8 & 0xff) << 32 |
	       (uint64_t)(i >> 16) << 24;
}

/* A switch of two ports. Even MACs are on port 0, odd ones on port 1; frames cross. */
static struct fdb *fdb;
static struct fwd *fw;
static uint32_t macs;
static struct batch batch;

static void fill(uint16_t in) {
	batch.n = BATCH;
	for (unsigned i = 0; i < BATCH; i++) {
		uint8_t *p = batch.room[i];

		mac_store(p, mac_of(draw(macs / 2) * 2 + !in));
		mac_store(p + 6, mac_of(draw(macs / 2) * 2 + in));
		memcpy(p + 12, (uint8_t[]){0x08, 0x00}, 2);
		batch.f[i] = (struct frame){.head = p, .len = 60, .head_len = 60};
	}
}

static void check(bool right) {
	if (right)
		return;
	fprintf(stderr, "fdb_bench: a wrong answer with %u MACs\n", macs);
	exit(1);
}

static uint64_t table(uint16_t in, bool prefetch) {
	uint64_t src[BATCH], dst[BATCH], at[BATCH], to[BATCH], start;
	unsigned wrong = 0;

	for (unsigned i = 0; i < BATCH; i++) {
		dst[i] = fdb_key(0, mac_load(batch.room[i]));
		src[i] = fdb_key(0, mac_load(batch.room[i] + 6));
	}
	start = rte_rdtsc_precise();
	for (unsigned i = 0; i < BATCH; i++) {
		at[i] = prefetch ? fdb_prefetch(fdb, src[i]) : fdb_hash(fdb, src[i]);
		to[i] = prefetch ? fdb_prefetch(fdb, dst[i]) : fdb_hash(fdb, dst[i]);
	}
	for (unsigned i = 0; i < BATCH; i++) {
		wrong += fdb_learn(fdb, src[i], at[i], in, 1) != FDB_KNOWN;
		wrong += fdb_lookup(fdb, dst[i], to[i], 1) != !in;
	}
	start = rte_rdtsc_precise() - start;
	check(wrong == 0);
	return start;
}

static uint64_t table_prefetched(uint16_t in) {
	return table(in, true);
}

static uint64_t table_cold(uint16_t in) {
	return table(in, false);
}

static uint64_t verdict(uint16_t in) {
	uint64_t start = rte_rdtsc_precise();

	fwd_parse(fw, &batch, in, NULL);
	fwd_verdict(fw, &batch, in, 1, NULL);
	start = rte_rdtsc_precise() - start;
	for (unsigned i = 0; i < BATCH; i++)
		check(batch.f[i].drop == DROP_NONE && batch.f[i].out == !in);
	return start;
}

static int by_value(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print(const char *what, uint64_t (*run)(uint16_t in)) {
	static double got[ROUNDS];

	for (unsigned r = 0; r < ROUNDS; r++) {
		uint64_t cycles = 0;

		for (unsigned n = 0; n < BATCHES; n++) {
			fill(n & 1);
			cycles += run(n & 1);
		}
		got[r] = (double)cycles / BATCHES / BATCH;
	}
	qsort(got, ROUNDS, sizeof(got[0]), by_value);
	printf("%8u  %-34s %8.1f %8.1f\n", macs, what, got[ROUNDS / 2], got[0]);
}

static void set_up(void) {
	fdb = fdb_new(FDB_MAX_DEFAULT, FDB_AGE_DEFAULT);
	fw = fwd_new(fdb, 2, 1);
	if (fdb == NULL || fw == NULL || fwd_set_net(fw, 0, 0) < 0 ||
		fwd_set_access(fw, 0, 0, false, 0) < 0 || fwd_set_access(fw, 1, 0, false, 0) < 0 ||
		fwd_seal(fw) < 0) {
		fprintf(stderr, "fdb_bench: no memory\n");
		exit(1);
	}
	fdb_set_port_max(fdb, 0, FDB_MAX_DEFAULT);
	fdb_set_port_max(fdb, 1, FDB_MAX_DEFAULT);
	for (uint32_t i = 0; i < macs; i++) {
		uint64_t key = fdb_key(0, mac_of(i));

		check(fdb_learn(fdb, key, fdb_hash(fdb, key), i & 1, 1) == FDB_NEW);
	}
}

int main(void) {
	static const uint32_t sizes[] = {2, 8192, 65536};

	printf("cycles a frame, batches of %d, random order\n", BATCH);
	printf("%8s  %-34s %8s %8s\n", "MACs", "", "median", "least");
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		macs = sizes[i];
		set_up();
		print("learn and look up, prefetched", table_prefetched);
		print("learn and look up, not prefetched", table_cold);
		print("fwd_parse and fwd_verdict", verdict);
		fwd_free(fw);
		fdb_free(fdb);
	}
	return 0;
}
