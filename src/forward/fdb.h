/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_FORWARD_FDB_H
#define WEIR_FORWARD_FDB_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_spinlock.h>
#include <rte_vect.h>

#include "frame/frame.h"
#include "port/port.h"

/* The MAC table of all networks: (network, MAC) to port.
 *
 * Any worker looks up without a lock and learns under a short spinlock; in the steady state nothing
 * shared is written but a time stamp, at most once a second an entry. Static entries (pinned and
 * configured MACs) never age, never move and cannot be taken by learning. Learned entries are
 * bounded for each port and in all: a guest that invents sources fills its own allowance, and can
 * neither evict a neighbour's entry nor keep one from being learned (the hash is keyed with a random
 * number made at start, two buckets to choose from, and the table has twice the room it admits).
 * Even when many ports together have filled the table, each may still learn max / PORTS_MAX
 * entries (64 of the default) into the room that is left.
 *
 * The functions of the datapath are inline down to the first thing that is not a hit; see the end
 * of this file. How the slots are written is told in fdb.c. */

enum { FDB_MAX_DEFAULT = 65536, FDB_PORT_MAX_DEFAULT = 8192, FDB_AGE_DEFAULT = 300 };

struct fdb;

/* `max`: entries admitted in all (1..1,048,576); static ones count, but are admitted (up to `max` of
 * them) even when learned ones have used it up. `age_s`: seconds until a silent learned entry is
 * forgotten (1..86400). Every port may learn FDB_PORT_MAX_DEFAULT at first. NULL when memory is
 * short. */
struct fdb *fdb_new(uint32_t max, uint32_t age_s);
void fdb_free(struct fdb *t);
void fdb_set_age(struct fdb *t, uint32_t age_s);
/* How many learned entries the port may hold (0: learns nothing). Those it has stay. */
void fdb_set_port_max(struct fdb *t, uint16_t port, uint32_t max);

/* Key of a MAC in a network; network 0..4095. */
static inline uint64_t fdb_key(uint16_t net, uint64_t mac) {
	return (uint64_t)(net + 1) << 48 | mac; /* never 0, which marks an empty slot */
}

/* Where to look for a key; brings the bucket near, which is worth doing a pass ahead. The functions
 * of the datapath take it along, so that it is computed once. */
static inline uint64_t fdb_prefetch(const struct fdb *t, uint64_t key);

/* Port that owns the key, or OUT_NONE (frame.h) when unknown or older than the age. An entry that
 * is being moved to its other bucket may be missed for an instant, which costs one flooded frame. */
static inline uint16_t fdb_lookup(const struct fdb *t, uint64_t key, uint64_t hash, uint32_t now_s);

enum fdb_learned {
	FDB_KNOWN, /* was there on this port already */
	FDB_NEW, /* learned */
	FDB_MOVED, /* was on another port */
	FDB_LIMIT, /* the port's allowance is used up: not learned */
	FDB_FULL, /* the table is: not learned */
	FDB_STATIC, /* static on another port: not learned, the frame is to be dropped */
};

/* The source of a frame was seen on a port (below PORTS_MAX). now_s: coarse seconds of one clock. */
static inline enum fdb_learned fdb_learn(
	struct fdb *t, uint64_t key, uint64_t hash, uint16_t port, uint32_t now_s);
/* What fdb_learn would answer, by the same rules; changes nothing. */
enum fdb_learned fdb_would_learn(const struct fdb *t, uint64_t key, uint16_t port, uint32_t now_s);

/* Control thread. Static entries: 0, -EEXIST when static on another port, -ENOSPC. A learned entry
 * of the key becomes the static one, whichever port it was on. */
int fdb_add_static(struct fdb *t, uint64_t key, uint16_t port);
void fdb_del_static(struct fdb *t, uint64_t key);
/* Forgets learned entries (and static ones when `with_static`) of a port; learned ones of a network.
 * What workers learn meanwhile may stay. */
void fdb_flush_port(struct fdb *t, uint16_t port, bool with_static);
void fdb_flush_net(struct fdb *t, uint16_t net);
/* Frees slots of entries that aged; a part of the table each call, the whole within 16 calls. Until
 * then (or until their slot is wanted) they count in a port's allowance, and nowhere else. */
void fdb_age(struct fdb *t, uint32_t now_s);

struct fdb_entry {
	uint64_t mac;
	uint16_t net, port;
	bool is_static;
	uint32_t age_s; /* since last seen; 0 for static */
};
/* Calls fn for every live entry until it returns false. Not a consistent view: workers go on. */
void fdb_walk(const struct fdb *t, uint32_t now_s, bool (*fn)(const struct fdb_entry *, void *),
	void *arg);

struct fdb_stats {
	uint32_t used, max; /* entries, learned and static */
	uint64_t moves, refused_limit, refused_full;
};
void fdb_stats(const struct fdb *t, struct fdb_stats *out);
/* Learned entries of one port, and how often its allowance was used up. */
void fdb_port_stats(
	const struct fdb *t, uint16_t port, uint32_t *used, uint64_t *refused, uint64_t *moves);

/* From here on: the inside, open so that a hit costs no call. */

enum { FDB_WAYS = 4 };

/* value: port << 48 | static << 47 | version << 32 | last seen. A free slot has key 0 and port
 * OUT_NONE. The version changes whenever the slot is given to another key. */
#define FDB_PORT_SHIFT   48
#define FDB_STATIC_BIT   (1ULL << 47)
#define FDB_VERSION_ONE  (1ULL << 32)
#define FDB_VERSION_MASK (0x7fffULL << 32)
#define FDB_SEEN_MASK    0xffffffffULL

/* One cache line: four keys, then their four values, so that one instruction compares the keys. A
 * slot is a key and the value four words further on; it is only ever seen through a pointer. */
struct fdb_slot {
	uint64_t key;
	uint64_t others[FDB_WAYS - 1];
	uint64_t value;
};

struct fdb_bucket {
	uint64_t word[2 * FDB_WAYS];
} __attribute__((aligned(64)));

static inline struct fdb_slot *fdb_slot(struct fdb_bucket *b, unsigned i) {
	return (struct fdb_slot *)&b->word[i];
}

/* Written under the lock, but for `refused`, which several workers may add to. */
struct fdb_port {
	uint32_t used, max;
	uint64_t moves, refused_limit, refused_full;
} __attribute__((aligned(64)));

struct fdb {
	/* Read for every frame, written by the control thread if at all. */
	struct fdb_bucket *bucket;
	uint32_t mask; /* buckets - 1 */
	uint32_t age_s;
	uint64_t secret[3];
	uint32_t max, reserve;
	/* Written when something changes. */
	rte_spinlock_t lock __attribute__((aligned(64)));
	uint32_t used, statics;
	uint32_t displaced; /* how often an entry was moved to its other bucket */
	uint32_t age_next; /* bucket at which fdb_age goes on */
	uint32_t aged_s; /* time of the last fdb_age */
	struct fdb_port port[PORTS_MAX];
};

/* Two products with secret factors, each folded from 128 to 64 bits: two buckets that nobody outside
 * can aim at. One product would do for random MACs, but for those a generator counts up it leaves
 * one table in a hundred crowded. */
static inline uint64_t fdb_hash(const struct fdb *t, uint64_t key) {
	__uint128_t p = (__uint128_t)(key ^ t->secret[0]) * t->secret[1];

	p = (__uint128_t)((uint64_t)p ^ (uint64_t)(p >> 64)) * t->secret[2];
	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static inline struct fdb_bucket *fdb_first(const struct fdb *t, uint64_t hash) {
	return &t->bucket[hash & t->mask];
}

static inline struct fdb_bucket *fdb_second(const struct fdb *t, uint64_t hash) {
	return &t->bucket[hash >> 32 & t->mask];
}

/* Without branches on which of the four it is: in random traffic those would be mispredicted. With
 * AVX2 all at once, which takes 10 cycles off a frame. Such a load never tears a word, but that is
 * the processor's promise and not the language's, so the thread sanitizer gets the other. */
static inline struct fdb_slot *fdb_bucket_find(struct fdb_bucket *b, uint64_t key) {
	unsigned hit = 0;

#if defined(__AVX2__) && !defined(__SANITIZE_THREAD__)
	__m256i keys = _mm256_load_si256((const __m256i *)b->word);
	__m256i same = _mm256_cmpeq_epi64(keys, _mm256_set1_epi64x((long long)key));

	hit = (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(same));
#else
#pragma GCC unroll 4
	for (unsigned i = 0; i < FDB_WAYS; i++)
		hit |= (unsigned)(__atomic_load_n(&b->word[i], __ATOMIC_RELAXED) == key) << i;
#endif
	return hit != 0 ? fdb_slot(b, (unsigned)__builtin_ctz(hit)) : NULL;
}

static inline struct fdb_slot *fdb_find(const struct fdb *t, uint64_t key, uint64_t hash) {
	struct fdb_slot *s = fdb_bucket_find(fdb_first(t, hash), key);

	if (__builtin_expect(s == NULL, 0))
		s = fdb_bucket_find(fdb_second(t, hash), key);
	return s;
}

/* Reads the value of a slot in which the key was found; false when the slot changed meanwhile. The
 * version in the value, the same before and after the key was read, binds the two together. */
static inline bool fdb_read(const struct fdb_slot *s, uint64_t key, uint64_t *value) {
	*value = __atomic_load_n(&s->value, __ATOMIC_ACQUIRE);
	return __atomic_load_n(&s->key, __ATOMIC_ACQUIRE) == key &&
	       __atomic_load_n(&s->value, __ATOMIC_RELAXED) == *value;
}

/* Workers' clocks may differ by an instant, so an entry may be seen in the future: signed. */
static inline bool fdb_expired(const struct fdb *t, uint64_t value, uint32_t now_s) {
	return (int32_t)(now_s - (uint32_t)value) >
		       (int32_t)__atomic_load_n(&t->age_s, __ATOMIC_RELAXED) &&
	       (value & FDB_STATIC_BIT) == 0;
}

static inline uint64_t fdb_prefetch(const struct fdb *t, uint64_t key) {
	uint64_t hash = fdb_hash(t, key);

	__builtin_prefetch(fdb_first(t, hash));
	return hash;
}

static inline uint16_t fdb_lookup(
	const struct fdb *t, uint64_t key, uint64_t hash, uint32_t now_s) {
	const struct fdb_slot *s;
	uint64_t value;

	do {
		s = fdb_find(t, key, hash);
		if (s == NULL)
			return OUT_NONE;
	} while (__builtin_expect(!fdb_read(s, key, &value), 0));
	if (__builtin_expect(fdb_expired(t, value, now_s), 0))
		return OUT_NONE;
	return (uint16_t)(value >> FDB_PORT_SHIFT);
}

enum fdb_learned fdb_learn_slow(
	struct fdb *t, uint64_t key, uint64_t hash, uint16_t port, uint32_t now_s);

static inline enum fdb_learned fdb_learn(
	struct fdb *t, uint64_t key, uint64_t hash, uint16_t port, uint32_t now_s) {
	uint64_t same = (uint64_t)port << FDB_PORT_SHIFT | now_s;
	const struct fdb_slot *s = fdb_find(t, key, hash);

	/* Known on this port and seen in this second already, static or not: nothing to write. When the
	 * slot is given to another key at this very moment, the next frame learns. */
	if (__builtin_expect(s != NULL, 1) &&
		__builtin_expect(((__atomic_load_n(&s->value, __ATOMIC_RELAXED) ^ same) &
					 ~(FDB_STATIC_BIT | FDB_VERSION_MASK)) == 0,
			1))
		return FDB_KNOWN;
	return fdb_learn_slow(t, key, hash, port, now_s);
}

#endif
