/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_FILE_H
#define WEIR_BASE_FILE_H

#include <limits.h>
#include <stdbool.h>
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

/* A file that gets its name when it is whole: until then it is written under a name that nobody knows, in
 * the same folder. What has the name is replaced only when it is a regular file of this user: no link, no
 * device, nothing of anybody else's. */
struct file_draft {
	FILE *f; /* to write to; close-on-exec */
	int folder;
	char path[PATH_MAX], name[NAME_MAX + 1], part[NAME_MAX + 1];
};

/* 0, or a negative errno with a sentence, and nothing is open. */
int file_draft_open(struct file_draft *d, const char *path, struct err *e);
/* keep: under its name now, else without a trace. 0, or a negative errno with a sentence and no trace. */
int file_draft_close(struct file_draft *d, bool keep, struct err *e);

/* Removes a regular file of this user's; 0 also when there is none. A negative errno with a sentence. */
int file_remove(const char *path, struct err *e);

#endif
