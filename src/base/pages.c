/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/pages.h"

#include <stdint.h>
#include <sys/mman.h>

enum { HUGE = 2 << 20 };

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

void *pages_take(struct pages_pool *pool) {
	const size_t step = (pool->block + 63) & ~(size_t)63;
	void *block;

	if (pool->free == NULL) {
		uint8_t *chunk = pages_new(whole(step));

		for (size_t at = 0; chunk != NULL && at + step <= whole(step); at += step)
			pages_give(pool, chunk + at);
	}
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
