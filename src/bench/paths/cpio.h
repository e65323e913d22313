/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_CPIO_H
#define WEIR_BENCH_CPIO_H

#include <stddef.h>
#include <sys/types.h>

/* Writes an initramfs: a cpio archive in the "newc" format (Linux,
 * Documentation/driver-api/early-userspace/buffer-format.rst), not compressed. */

struct err;

struct cpio {
	int fd; /* where it is written to; the caller's */
	unsigned ino;
	size_t written;
	int error; /* the first failure, as a negative errno; later calls do nothing */
};

void cpio_begin(struct cpio *c, int fd);
/* Each path is without the slash in front, and its directories come before it. */
void cpio_dir(struct cpio *c, const char *path);
void cpio_node(struct cpio *c, const char *path, mode_t mode, unsigned major, unsigned minor);
void cpio_text(struct cpio *c, const char *path, const char *text);
/* The content of the file `from`, executable. */
void cpio_file(struct cpio *c, const char *path, const char *from, struct err *e);
/* 0, or the first failure, with a sentence. */
int cpio_end(struct cpio *c, struct err *e);

#endif
