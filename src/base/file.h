/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_FILE_H
#define WEIR_BASE_FILE_H

#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

struct err;

/* Small files, of /proc and /sys most of all. Paths are printf text. */

/* All of a file that fits, NUL behind it. Its length, or a negative errno. */
ssize_t file_read(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Its first line, without the newline. 0 or a negative errno. */
int file_line(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Opens a file that a user named or that others can change: a regular one only, since a pipe would be waited
 * for, a device can do anything, and both may stand there for a file that was. `flags` as of open(2) without
 * O_CREAT; close-on-exec. The descriptor, or a negative errno with a sentence, -EINVAL: something else. */
int file_open(const char *path, int flags, struct err *e);
/* The same to read from. NULL with a sentence. */
FILE *file_stream(const char *path, struct err *e);

/* A new file to write to at `path`, close-on-exec; what had that name is removed, a link, too, and never
 * followed. NULL with errno. */
FILE *file_fresh(const char *path);

#endif
