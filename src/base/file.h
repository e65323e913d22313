/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_FILE_H
#define WEIR_BASE_FILE_H

#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/* Small files, of /proc and /sys most of all. Paths are printf text. */

/* All of a file that fits, NUL behind it. Its length, or a negative errno. */
ssize_t file_read(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Its first line, without the newline. 0 or a negative errno. */
int file_line(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A new file to write to at `path`, close-on-exec; what had that name is removed, a link, too, and never
 * followed. NULL with errno. */
FILE *file_fresh(const char *path);

#endif
