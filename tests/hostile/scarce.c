/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Loaded in front of the C library (LD_PRELOAD): see scarce.h. */
#include "scarce.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The C library's own, which it exports for this. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

static struct scarce *scarce;

__attribute__((constructor)) static void scarce_open(void) {
	const char *path = getenv(SCARCE_FILE);
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *map;

	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(*scarce), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map != MAP_FAILED)
		scarce = map;
}

/* Is it this one's turn to fail? */
static bool scarce_fails(void) {
	long left = scarce != NULL ? atomic_load(&scarce->left) : 0;

	if (left <= 0)
		return false;
	if (left > 1) {
		atomic_fetch_sub(&scarce->left, 1);
		return false;
	}
	if (atomic_fetch_sub(&scarce->more, 1) <= 0)
		atomic_store(&scarce->left, 0);
	atomic_fetch_add(&scarce->failed, 1);
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size) {
	return scarce_fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
	return scarce_fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size) {
	return scarce_fails() ? NULL : __libc_realloc(p, size);
}
