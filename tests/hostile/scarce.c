/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Loaded in front of the C library (LD_PRELOAD): see scarce.h. */
#include "scarce.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The C library's own, which it exports for this. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

static struct scarce *scarce;
static create_fn *create;

/* The kernel's, by which no function of this library comes back here. */
static void *map_pages(void *at, size_t len, int prot, int flags, int fd, off_t from) {
	return (void *)syscall(SYS_mmap, at, len, prot, flags, fd, from);
}

__attribute__((constructor)) static void scarce_open(void) {
	const char *path = getenv(SCARCE_FILE);
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *map;

	create = (create_fn *)(uintptr_t)dlsym(RTLD_NEXT, "pthread_create");
	if (fd < 0)
		return;
	map = map_pages(NULL, sizeof(*scarce), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
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

void *aligned_alloc(size_t align, size_t size) {
	return scarce_fails() ? NULL : __libc_memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size) {
	void *p = scarce_fails() ? NULL : __libc_memalign(align, size);

	if (p == NULL)
		return ENOMEM;
	*out = p;
	return 0;
}

/* mmap(2) has two names; programs that are built for large files use the second. */
void *scarce_mmap(void *at, size_t len, int prot, int flags, int fd, off_t from) __asm__("mmap");
void *scarce_mmap64(void *at, size_t len, int prot, int flags, int fd, off_t from) __asm__(
	"mmap64");

void *scarce_mmap(void *at, size_t len, int prot, int flags, int fd, off_t from) {
	return scarce_fails() ? MAP_FAILED : map_pages(at, len, prot, flags, fd, from);
}

void *scarce_mmap64(void *at, size_t len, int prot, int flags, int fd, off_t from) {
	return scarce_fails() ? MAP_FAILED : map_pages(at, len, prot, flags, fd, from);
}

/* A thread needs a stack. */
int pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*main)(void *), void *arg) {
	return scarce_fails() ? EAGAIN : create(out, attr, main, arg);
}
