/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/pages.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#if PAGES_WATCHED
#include <sanitizer/asan_interface.h>
#endif

enum { HUGE = 2 << 20 };

#if PAGES_WATCHED
static void guard_set(uint8_t *guard) {
	__asan_poison_memory_region(guard, PAGES_GUARD);
}

static bool guard_holds(const uint8_t *guard) {
	return true; // whoever touches it does not come as far as this
}
#else
static void guard_set(uint8_t *guard) {
	memset(guard, PAGES_POISON, PAGES_GUARD);
}

static bool guard_holds(const uint8_t *guard) {
	// As it begins, and each byte like the one before.
	return guard[0] == PAGES_POISON && memcmp(guard, guard + 1, PAGES_GUARD - 1) == 0;
}
#endif

static size_t whole(size_t size) {
	return (size + HUGE - 1) & ~(size_t)(HUGE - 1);
}

void *pages_new(size_t size) {
	const size_t len = whole(size);
	uint8_t *p = mmap(NULL, len + HUGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *aligned;

	if (p == MAP_FAILED)
		return NULL;
	aligned = (uint8_t *)(((uintptr_t)p + HUGE - 1) & ~(uintptr_t)(HUGE - 1));
	if (aligned != p)
		munmap(p, (size_t)(aligned - p));
	munmap(aligned + len, (size_t)(p + HUGE - aligned));
	madvise(aligned, len,
		MADV_HUGEPAGE); // a wish: without it the memory is as good, only slower
	return aligned;
}

void pages_free(void *p, size_t size) {
	if (p != NULL)
		munmap(p, whole(size));
}

static size_t rounded(const struct pages_pool *pool) {
	return (pool->block + 63) & ~(size_t)63;
}

/* Gives the pool a new piece of memory: guard, block, guard, block, ..., guard. */
static void grow(struct pages_pool *pool) {
	const size_t size = rounded(pool), step = size + PAGES_GUARD,
		     len = whole(step + PAGES_GUARD);
	uint8_t *chunk = pages_new(len);

	if (chunk == NULL)
		return;
	guard_set(chunk);
	for (size_t at = PAGES_GUARD; at + step <= len; at += step) {
		guard_set(chunk + at + size);
		pages_give(pool, chunk + at);
	}
}

void *pages_take(struct pages_pool *pool) {
	void *block;

	if (pool->free == NULL)
		grow(pool);
	block = pool->free;
	if (block != NULL)
		pool->free = *(void **)block;
	return block;
}

void pages_give(struct pages_pool *pool, void *block) {
	if (block == NULL)
		return;
	*(void **)block = pool->free;
	pool->free = block;
}

bool pages_intact(const struct pages_pool *pool, const void *block) {
	return guard_holds((const uint8_t *)block + rounded(pool));
}
