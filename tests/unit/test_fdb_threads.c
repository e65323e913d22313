/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "forward/fdb.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

/* Workers learn, move and look up while the control thread flushes, ages and pins. The table is
 * small and the keys are many, so that slots change hands all the time, by age, by flush and by
 * displacement. Key i is only ever seen on ports whose number leaves the same remainder: any other
 * answer would be a port of another key. Failures are counted by the threads, judged after. */

enum { WORKERS = 3, KEYS = 512, PORTS = 64, CLASSES = 8, MAX = 128, STEPS = 2000000 };

static struct fdb *t;
static atomic_uint now_s = 1000;
static atomic_uint running;
static atomic_uint wrong;
static atomic_uint found;

static uint64_t key_of(uint32_t i) {
	return fdb_key((uint16_t)(i % 3), 0x5452 | (uint64_t)i << 32);
}

static bool valid(uint32_t i, uint16_t port) {
	return port == OUT_NONE || (port < PORTS && port % CLASSES == i % CLASSES);
}

static uint32_t draw(uint64_t *rng, uint32_t n) {
	*rng ^= *rng << 13;
	*rng ^= *rng >> 7;
	*rng ^= *rng << 17;
	return (uint32_t)((*rng >> 32) * n >> 32);
}

static uint16_t port_for(uint64_t *rng, uint32_t i) {
	return (uint16_t)(draw(rng, PORTS / CLASSES) * CLASSES + i % CLASSES);
}

static void *work(void *arg) {
	uint64_t rng = 0x9e3779b97f4a7c15 * (1 + (uintptr_t)arg);

	for (unsigned step = 0; step < STEPS; step++) {
		uint32_t i = draw(&rng, KEYS);
		uint64_t key = key_of(i), hash = fdb_prefetch(t, key);
		uint32_t now = atomic_load_explicit(&now_s, memory_order_relaxed);
		uint16_t port;

		if (step % 4 == 0)
			fdb_learn(t, key, hash, port_for(&rng, i), now);
		port = fdb_lookup(t, key, hash, now);
		if (!valid(i, port))
			atomic_fetch_add(&wrong, 1);
		if (port != OUT_NONE && step % 64 == 0)
			atomic_fetch_add_explicit(&found, 1, memory_order_relaxed);
	}
	atomic_fetch_sub(&running, 1);
	return NULL;
}

static bool check(const struct fdb_entry *e, void *arg) {
	unsigned *n = arg;

	if (!valid((uint32_t)(e->mac >> 32), e->port))
		atomic_fetch_add(&wrong, 1);
	(*n)++;
	return true;
}

/* One turn of everything the control thread may do. */
static void control(uint64_t *rng) {
	uint32_t i = draw(rng, KEYS), now = atomic_load(&now_s);
	uint16_t port = port_for(rng, i);
	unsigned seen = 0;

	switch (draw(rng, 6)) {
	case 0:
		fdb_flush_port(t, (uint16_t)draw(rng, PORTS), true);
		break;
	case 1:
		fdb_flush_net(t, (uint16_t)draw(rng, 3));
		break;
	case 2:
		atomic_fetch_add(&now_s, 1);
		break;
	case 3:
		fdb_age(t, now);
		break;
	case 4:
		fdb_add_static(t, key_of(i), port);
		fdb_del_static(t, key_of(i));
		break;
	case 5:
		fdb_walk(t, now, check, &seen);
		break;
	}
}

static void a_lookup_never_returns_a_port_that_was_never_valid_for_its_key(void **state) {
	pthread_t thread[WORKERS];
	uint64_t rng = 20260101, refused, moves;
	uint32_t used = 0, learned, entries = 0;
	struct fdb_stats st;

	t = fdb_new(MAX, 2);
	assert_non_null(t);
	atomic_store(&running, WORKERS);
	for (uintptr_t i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, work, (void *)i), 0);
	/* Storms that keep it empty, and lulls in which it fills up and entries are displaced. */
	for (unsigned turn = 1; atomic_load(&running) > 0; turn++) {
		control(&rng);
		if (turn % 512 == 0)
			usleep(500);
	}
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(atomic_load(&wrong), 0);
	assert_true(atomic_load(&found) > 0);

	/* The books are right, and each key is there once. */
	for (unsigned i = 0; i < t->mask + 1; i++)
		for (unsigned j = 0; j < FDB_WAYS; j++) {
			const struct fdb_slot *s = fdb_slot(&t->bucket[i], j);

			entries += s->key != 0;
			if (s->key != 0)
				assert_ptr_equal(fdb_find(t, s->key, fdb_hash(t, s->key)), s);
		}
	for (uint16_t port = 0; port < PORTS; port++) {
		fdb_port_stats(t, port, &learned, &refused, &moves);
		used += learned;
	}
	fdb_stats(t, &st);
	assert_int_equal(st.used, entries);
	assert_int_equal(st.used, used + t->statics);
	assert_true(st.moves > 0);
	fdb_free(t);
}

static void *learn_own(void *arg) {
	uint16_t port = (uint16_t)(uintptr_t)arg;

	for (uint32_t i = 0; i < 2000; i++) {
		uint64_t key = fdb_key(port, 0x5452 | (uint64_t)i << 32);

		if (fdb_learn(t, key, fdb_hash(t, key), port, 1) != FDB_NEW)
			atomic_fetch_add(&wrong, 1);
	}
	return NULL;
}

static void what_workers_learn_at_once_is_all_there(void **state) {
	pthread_t thread[WORKERS];

	t = fdb_new(WORKERS * 2000, 300);
	assert_non_null(t);
	for (uintptr_t i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, learn_own, (void *)i), 0);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(atomic_load(&wrong), 0);
	for (uint16_t port = 0; port < WORKERS; port++)
		for (uint32_t i = 0; i < 2000; i++) {
			uint64_t key = fdb_key(port, 0x5452 | (uint64_t)i << 32);

			assert_int_equal(fdb_lookup(t, key, fdb_hash(t, key), 1), port);
		}
	fdb_free(t);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lookup_never_returns_a_port_that_was_never_valid_for_its_key),
		cmocka_unit_test(what_workers_learn_at_once_is_all_there),
	};

	return cmocka_run_group_tests_name("fdb_threads", tests, NULL, NULL);
}
