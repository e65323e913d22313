/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_PAGES_H
#define WEIR_BASE_PAGES_H

#include <stdbool.h>
#include <stddef.h>

/* Does the address sanitizer watch? */
#if defined(__SANITIZE_ADDRESS__)
#define PAGES_WATCHED 1
#elif defined(__has_feature)
#define PAGES_WATCHED __has_feature(address_sanitizer)
#else
#define PAGES_WATCHED 0
#endif

/* Memory that the datapath walks at random: zeroed, touched only as it is used, and on 2 MiB pages
 * where the kernel has some to give (transparent ones, no reservation), so that an access does not
 * wait for a page table. NULL when there is none. Freed with the same size. */
void *pages_new(size_t size);
void pages_free(void *p, size_t size);

/* Blocks of one size cut from such memory, for what is too small for a page of its own. Blocks are
 * aligned to 64 bytes and not cleared; what is given back is used again and stays with the pool. One
 * thread at a time.
 *
 * Between two blocks, and before the first, lies a guard: whoever runs on past the end of one does
 * not come to the next. What is read there is no address that an x86-64 has (the access faults),
 * what is written there is seen by pages_intact, and the address sanitizer lets neither pass. */
enum { PAGES_GUARD = 4096, PAGES_POISON = 0xdb };

struct pages_pool {
	size_t block; /* bytes of a block */
	void *free; /* the first free block begins with the address of the next */
};
void *pages_take(struct pages_pool *pool);
void pages_give(struct pages_pool *pool, void *block);
/* Is the guard behind a block that was taken as it was? */
bool pages_intact(const struct pages_pool *pool, const void *block);

#endif
