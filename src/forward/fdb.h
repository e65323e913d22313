/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_FORWARD_FDB_H
#define WEIR_FORWARD_FDB_H

#include <stdbool.h>
#include <stdint.h>

/* The MAC table of all networks: (network, MAC) to port.
 *
 * Any worker looks up without a lock and learns under a short spinlock; in the steady state nothing
 * shared is written but a time stamp, at most once a second an entry. Static entries (pinned and
 * configured MACs) never age, never move and cannot be taken by learning. Learned entries are
 * bounded for each port and in all: a guest that invents sources fills its own allowance, and can
 * neither evict a neighbour's entry nor keep one from being learned (the hash is keyed with a random
 * number made at start, two buckets to choose from, and the table has twice the room it admits). */

enum { FDB_MAX_DEFAULT = 65536, FDB_PORT_MAX_DEFAULT = 8192, FDB_AGE_DEFAULT = 300 };

struct fdb;

/* `max`: entries admitted in all (1..1,048,576); `age_s`: seconds until a silent learned entry is
 * forgotten (1..86400). NULL when memory is short. */
struct fdb *fdb_new(uint32_t max, uint32_t age_s);
void fdb_free(struct fdb *t);
void fdb_set_age(struct fdb *t, uint32_t age_s);
/* How many learned entries the port may hold (0: learns nothing). */
void fdb_set_port_max(struct fdb *t, uint16_t port, uint32_t max);

/* Key of a MAC in a network; network 0..4095. */
static inline uint64_t fdb_key(uint16_t net, uint64_t mac) {
	return (uint64_t)(net + 1) << 48 | mac; /* never 0, which marks an empty slot */
}

/* Brings the bucket of a key near; worth doing a pass ahead of fdb_lookup and fdb_learn. */
void fdb_prefetch(const struct fdb *t, uint64_t key);

/* Port that owns the key, or OUT_NONE (frame.h) when unknown or older than the age. */
uint16_t fdb_lookup(const struct fdb *t, uint64_t key, uint32_t now_s);

enum fdb_learned {
	FDB_KNOWN,   /* was there on this port already */
	FDB_NEW,     /* learned */
	FDB_MOVED,   /* was on another port */
	FDB_LIMIT,   /* the port's allowance is used up: not learned */
	FDB_FULL,    /* the table is: not learned */
	FDB_STATIC,  /* static on another port: not learned, the frame is to be dropped */
};

/* The source of a frame was seen on a port. now_s: coarse seconds of one clock. */
enum fdb_learned fdb_learn(struct fdb *t, uint64_t key, uint16_t port, uint32_t now_s);

/* Control thread. Static entries: 0, -EEXIST when static on another port, -ENOSPC. */
int fdb_add_static(struct fdb *t, uint64_t key, uint16_t port);
void fdb_del_static(struct fdb *t, uint64_t key);
/* Forgets learned entries (and static ones when `with_static`) of a port, or of one network. */
void fdb_flush_port(struct fdb *t, uint16_t port, bool with_static);
void fdb_flush_net(struct fdb *t, uint16_t net);
/* Frees slots of entries that aged; a part of the table each call, the whole within ~16 calls. */
void fdb_age(struct fdb *t, uint32_t now_s);

struct fdb_entry {
	uint64_t mac;
	uint16_t net, port;
	bool is_static;
	uint32_t age_s; /* since last seen; 0 for static */
};
/* Calls fn for every live entry until it returns false. Not a consistent view: workers go on. */
void fdb_walk(const struct fdb *t, uint32_t now_s, bool (*fn)(const struct fdb_entry *, void *), void *arg);

struct fdb_stats {
	uint32_t used, max;      /* entries, learned and static */
	uint64_t moves, refused_limit, refused_full;
};
void fdb_stats(const struct fdb *t, struct fdb_stats *out);
/* Learned entries of one port, and how often its allowance was used up. */
void fdb_port_stats(const struct fdb *t, uint16_t port, uint32_t *used, uint64_t *refused, uint64_t *moves);

#endif
