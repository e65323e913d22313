/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "forward/fdb.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/pages.h"

/* Buckets of one cache line, four slots each; a key has two buckets. It is put into the first when
 * there is room, so a hit nearly always touches one line; else into the second; else an entry of
 * either moves to its own other bucket to make room, over two steps at most. With at most half of
 * the slots admitted, that fails less than once in a million fillings of the table.
 *
 * Readers take no lock. A slot goes from one key to another like this, under the lock:
 *
 *     value = OUT_NONE | version + 1;  key = new key;  value = port | version + 1 | seen
 *
 * each store after the one before. A reader takes value, key, value; when the key is the one it
 * wants and both values are the same, the version says that no other key was there in between
 * (it would take 32768 changes of one slot during three loads to be wrong). A station that moves
 * to another port, or is seen again, changes only the value: one store.
 *
 * Last-seen times are written without the lock, by compare-and-swap, and only when the second
 * changed; when it fails, somebody else changed the entry and that is just as well.
 *
 * Everything shared is read and written with atomic operations, relaxed where the lock gives the
 * order: statistics and the sweeps of the control thread look without it. A sweep takes the lock
 * slot by slot, only where it has something to free, so it never holds up a worker for long. Moves
 * between buckets can carry an entry past a sweep; they are counted, and a sweep that must not miss
 * anything goes round again when the count changed. */

enum {
	BUCKETS_MIN = 16, /* so that few entries still have two buckets to choose from */
	AGE_PARTS = 16,
	SWEEP_TRIES = 4,
	MAX_MAX = 1 << 20,
};

#define load(p)     __atomic_load_n(p, __ATOMIC_RELAXED)
#define store(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)

static uint16_t port_of(uint64_t value) {
	return (uint16_t)(value >> FDB_PORT_SHIFT);
}

static uint64_t value_of(uint16_t port, bool is_static, uint32_t seen) {
	return (uint64_t)port << FDB_PORT_SHIFT | (is_static ? FDB_STATIC_BIT : 0) | seen;
}

struct fdb *fdb_new(uint32_t max, uint32_t age_s) {
	uint32_t buckets = BUCKETS_MIN;
	struct fdb *t;

	if (max == 0 || max > MAX_MAX)
		return NULL;
	while ((uint64_t)buckets * FDB_WAYS < 2ULL * max)
		buckets *= 2;
	t = aligned_alloc(64, sizeof(*t));
	if (t == NULL)
		return NULL;
	*t = (struct fdb){
		.mask = buckets - 1, .max = max, .reserve = max / PORTS_MAX, .age_s = age_s};
	rte_spinlock_init(&t->lock);
	for (unsigned i = 0; i < PORTS_MAX; i++)
		t->port[i].max = FDB_PORT_MAX_DEFAULT;
	/* Zero pages: memory is used as entries come. A free slot's port is not looked at without its
	 * key, so 0 does for OUT_NONE here. */
	t->bucket = pages_new(buckets * sizeof(*t->bucket));
	if (t->bucket == NULL || getrandom(t->secret, sizeof(t->secret), 0) != sizeof(t->secret)) {
		fdb_free(t);
		return NULL;
	}
	t->secret[1] |= 1;
	t->secret[2] |= 1;
	return t;
}

void fdb_free(struct fdb *t) {
	if (t == NULL)
		return;
	pages_free(t->bucket, ((size_t)t->mask + 1) * sizeof(*t->bucket));
	free(t);
}

void fdb_set_age(struct fdb *t, uint32_t age_s) {
	store(&t->age_s, age_s);
}

void fdb_set_port_max(struct fdb *t, uint16_t port, uint32_t max) {
	store(&t->port[port].max, max);
}

/* Slots. Under the lock. */

static void add(uint32_t *n, int by) {
	store(n, load(n) + (uint32_t)by);
}

static void slot_put(struct fdb_slot *s, uint64_t key, uint64_t value) {
	uint64_t version = (load(&s->value) + FDB_VERSION_ONE) & FDB_VERSION_MASK;

	store(&s->value, value_of(OUT_NONE, false, 0) | version);
	__atomic_store_n(&s->key, key, __ATOMIC_RELEASE);
	__atomic_store_n(&s->value, (value & ~FDB_VERSION_MASK) | version, __ATOMIC_RELEASE);
}

/* Same key, other port or time. */
static void slot_set(struct fdb_slot *s, uint64_t value) {
	store(&s->value, (load(&s->value) & FDB_VERSION_MASK) | value);
}

static void count(struct fdb *t, uint64_t value, int by) {
	add(value & FDB_STATIC_BIT ? &t->statics : &t->port[port_of(value)].used, by);
	add(&t->used, by);
}

static void slot_free(struct fdb *t, struct fdb_slot *s) {
	count(t, load(&s->value), -1);
	slot_put(s, 0, value_of(OUT_NONE, false, 0));
}

/* A slot of the bucket that is free, or whose entry aged and now makes way. */
static struct fdb_slot *vacancy(struct fdb *t, struct fdb_bucket *b, uint32_t now_s) {
	for (unsigned i = 0; i < FDB_WAYS; i++) {
		struct fdb_slot *s = fdb_slot(b, i);

		if (load(&s->key) == 0)
			return s;
		if (fdb_expired(t, load(&s->value), now_s)) {
			slot_free(t, s);
			return s;
		}
	}
	return NULL;
}

/* A slot of a full bucket whose entry now is in that one's other bucket as well, so that the caller
 * may overwrite it; `steps` more moves may come before. Every bucket the steps below change had a vacancy, so none of them
 * is this one. */
static struct fdb_slot *displace(
	struct fdb *t, struct fdb_bucket *b, uint32_t now_s, unsigned steps) {
	for (unsigned i = 0; i < FDB_WAYS; i++) {
		struct fdb_slot *s = fdb_slot(b, i), *to;
		uint64_t hash = fdb_hash(t, load(&s->key));
		struct fdb_bucket *other = fdb_first(t, hash);

		if (other == b)
			other = fdb_second(t, hash);
		if (other == b)
			continue;
		to = vacancy(t, other, now_s);
		if (to == NULL && steps > 0)
			to = displace(t, other, now_s, steps - 1);
		if (to == NULL)
			continue;
		slot_put(to, load(&s->key), load(&s->value));
		add(&t->displaced, 1);
		return s;
	}
	return NULL;
}

static bool insert(struct fdb *t, uint64_t key, uint64_t hash, uint64_t value, uint32_t now_s) {
	struct fdb_bucket *b[2] = {fdb_first(t, hash), fdb_second(t, hash)};
	struct fdb_slot *s = vacancy(t, b[0], now_s);

	if (s == NULL)
		s = vacancy(t, b[1], now_s);
	for (unsigned i = 0; s == NULL && i < 4; i++)
		s = displace(t, b[i & 1], now_s, i / 2);
	if (s == NULL)
		return false;
	count(t, value, 1);
	slot_put(s, key, value);
	return true;
}

/* Learning. */

/* The rules, for an entry (`there`, with its value) or the lack of one. */
static enum fdb_learned judge(
	const struct fdb *t, bool there, uint64_t value, uint16_t port, uint32_t now_s) {
	const struct fdb_port *p = &t->port[port];
	bool same = there && port_of(value) == port;
	bool aged = there && fdb_expired(t, value, now_s);

	if (there && (value & FDB_STATIC_BIT))
		return same ? FDB_KNOWN : FDB_STATIC;
	if (same)
		return aged ? FDB_NEW : FDB_KNOWN; /* counted already */
	if (load(&p->used) >= load(&p->max))
		return FDB_LIMIT;
	if (there)
		return aged ? FDB_NEW : FDB_MOVED; /* takes a slot that is counted already */
	if (load(&t->used) >= t->max && load(&p->used) >= t->reserve)
		return FDB_FULL;
	return FDB_NEW;
}

enum fdb_learned fdb_would_learn(const struct fdb *t, uint64_t key, uint16_t port, uint32_t now_s) {
	const struct fdb_slot *s;
	uint64_t value = 0;

	do
		s = fdb_find(t, key, fdb_hash(t, key));
	while (s != NULL && !fdb_read(s, key, &value));
	return judge(t, s != NULL, value, port, now_s);
}

static enum fdb_learned learn_locked(
	struct fdb *t, uint64_t key, uint64_t hash, uint16_t port, uint32_t now_s) {
	struct fdb_slot *s = fdb_find(t, key, hash);
	uint64_t old = s != NULL ? load(&s->value) : 0;
	uint64_t value = value_of(port, old & FDB_STATIC_BIT, now_s);
	enum fdb_learned what = judge(t, s != NULL, old, port, now_s);

	switch (what) {
	case FDB_NEW:
		if (s == NULL)
			return insert(t, key, hash, value, now_s) ? FDB_NEW : FDB_FULL;
		/* fall through */
	case FDB_MOVED:
		count(t, old, -1);
		count(t, value, 1);
		slot_set(s, value);
		if (what == FDB_MOVED)
			store(&t->port[port].moves, load(&t->port[port].moves) + 1);
		break;
	case FDB_KNOWN:
		slot_set(s, value);
		break;
	default:
		break;
	}
	return what;
}

/* Not known on this port in this second. The lock is for changes only: neither a new second nor a
 * port that keeps inventing sources beyond its allowance takes it. */
enum fdb_learned fdb_learn_slow(
	struct fdb *t, uint64_t key, uint64_t hash, uint16_t port, uint32_t now_s) {
	struct fdb_slot *s;
	uint64_t value = 0;
	enum fdb_learned what;

	do
		s = fdb_find(t, key, hash);
	while (s != NULL && !fdb_read(s, key, &value));
	what = judge(t, s != NULL, value, port, now_s);
	if (what == FDB_KNOWN && (int32_t)(now_s - (uint32_t)value) > 0)
		__atomic_compare_exchange_n(&s->value, &value, (value & ~FDB_SEEN_MASK) | now_s,
			false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	if (what == FDB_NEW || what == FDB_MOVED) {
		rte_spinlock_lock(&t->lock);
		what = learn_locked(t, key, hash, port, now_s);
		rte_spinlock_unlock(&t->lock);
	}
	if (what == FDB_LIMIT)
		__atomic_fetch_add(&t->port[port].refused_limit, 1, __ATOMIC_RELAXED);
	else if (what == FDB_FULL)
		__atomic_fetch_add(&t->port[port].refused_full, 1, __ATOMIC_RELAXED);
	return what;
}

/* Control. */

int fdb_add_static(struct fdb *t, uint64_t key, uint16_t port) {
	uint64_t value = value_of(port, true, 0);
	struct fdb_slot *s;
	int r = 0;

	rte_spinlock_lock(&t->lock);
	s = fdb_find(t, key, fdb_hash(t, key));
	if (s != NULL && (load(&s->value) & FDB_STATIC_BIT)) {
		r = port_of(load(&s->value)) == port ? 0 : -EEXIST;
	} else if (load(&t->statics) >= t->max) {
		r = -ENOSPC;
	} else if (s != NULL) {
		count(t, load(&s->value), -1);
		count(t, value, 1);
		slot_set(s, value);
	} else if (!insert(t, key, fdb_hash(t, key), value, t->aged_s)) {
		r = -ENOSPC;
	}
	rte_spinlock_unlock(&t->lock);
	return r;
}

void fdb_del_static(struct fdb *t, uint64_t key) {
	struct fdb_slot *s;

	rte_spinlock_lock(&t->lock);
	s = fdb_find(t, key, fdb_hash(t, key));
	if (s != NULL && (load(&s->value) & FDB_STATIC_BIT))
		slot_free(t, s);
	rte_spinlock_unlock(&t->lock);
}

/* What a sweep frees: entries whose key, under the mask, is `key`; of one port, or of any when that
 * is OUT_NONE; static ones too, or not; only those that aged, or all. */
struct sweep {
	uint64_t key_mask, key;
	uint16_t port;
	bool with_static, aged;
	uint32_t now_s;
};

static bool sweep_wants(const struct fdb *t, const struct sweep *w, const struct fdb_slot *s) {
	uint64_t key = load(&s->key), value = load(&s->value);

	return key != 0 && (key & w->key_mask) == w->key &&
	       (w->port == OUT_NONE || port_of(value) == w->port) &&
	       (w->with_static || (value & FDB_STATIC_BIT) == 0) &&
	       (!w->aged || fdb_expired(t, value, w->now_s));
}

static void sweep_some(
	struct fdb *t, const struct sweep *w, uint32_t from, uint32_t n, bool locked) {
	for (uint32_t i = from * FDB_WAYS; i < (from + n) * FDB_WAYS; i++) {
		struct fdb_slot *s = fdb_slot(&t->bucket[i / FDB_WAYS], i % FDB_WAYS);

		if (!sweep_wants(t, w, s))
			continue;
		if (!locked)
			rte_spinlock_lock(&t->lock);
		if (sweep_wants(t, w, s))
			slot_free(t, s);
		if (!locked)
			rte_spinlock_unlock(&t->lock);
	}
}

/* The whole table, missing nothing. */
static void sweep_all(struct fdb *t, const struct sweep *w) {
	for (unsigned i = 0; i < SWEEP_TRIES; i++) {
		uint32_t displaced = __atomic_load_n(&t->displaced, __ATOMIC_ACQUIRE);

		sweep_some(t, w, 0, t->mask + 1, false);
		rte_spinlock_lock(&t->lock);
		rte_spinlock_unlock(&t->lock);
		if (load(&t->displaced) == displaced)
			return;
	}
	rte_spinlock_lock(&t->lock);
	sweep_some(t, w, 0, t->mask + 1, true);
	rte_spinlock_unlock(&t->lock);
}

void fdb_flush_port(struct fdb *t, uint16_t port, bool with_static) {
	sweep_all(t, &(struct sweep){.port = port, .with_static = with_static});
}

void fdb_flush_net(struct fdb *t, uint16_t net) {
	sweep_all(
		t, &(struct sweep){
			   .key_mask = 0xffffULL << 48, .key = fdb_key(net, 0), .port = OUT_NONE});
}

void fdb_age(struct fdb *t, uint32_t now_s) {
	uint32_t part = (t->mask + 1) / AGE_PARTS;

	store(&t->aged_s, now_s);
	sweep_some(t, &(struct sweep){.port = OUT_NONE, .aged = true, .now_s = now_s}, t->age_next,
		part, false);
	t->age_next = (t->age_next + part) & t->mask;
}

void fdb_walk(const struct fdb *t, uint32_t now_s, bool (*fn)(const struct fdb_entry *, void *),
	void *arg) {
	for (uint32_t i = 0; i < (t->mask + 1) * FDB_WAYS; i++) {
		const struct fdb_slot *s = fdb_slot(&t->bucket[i / FDB_WAYS], i % FDB_WAYS);
		uint64_t key = __atomic_load_n(&s->key, __ATOMIC_ACQUIRE), value;
		struct fdb_entry e;

		if (key == 0 || !fdb_read(s, key, &value) || port_of(value) == OUT_NONE ||
			fdb_expired(t, value, now_s))
			continue;
		e = (struct fdb_entry){.mac = key & 0xffffffffffffULL,
			.net = (uint16_t)((key >> 48) - 1),
			.port = port_of(value),
			.is_static = value & FDB_STATIC_BIT};
		if (!e.is_static && (int32_t)(now_s - (uint32_t)value) > 0)
			e.age_s = now_s - (uint32_t)value;
		if (!fn(&e, arg))
			return;
	}
}

void fdb_stats(const struct fdb *t, struct fdb_stats *out) {
	*out = (struct fdb_stats){.used = load(&t->used), .max = t->max};
	for (unsigned i = 0; i < PORTS_MAX; i++) {
		out->moves += load(&t->port[i].moves);
		out->refused_limit += load(&t->port[i].refused_limit);
		out->refused_full += load(&t->port[i].refused_full);
	}
}

void fdb_port_stats(
	const struct fdb *t, uint16_t port, uint32_t *used, uint64_t *refused, uint64_t *moves) {
	*used = load(&t->port[port].used);
	*refused = load(&t->port[port].refused_limit);
	*moves = load(&t->port[port].moves);
}
