/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_SILENT_FILE_H
#define WEIR_TESTS_SILENT_FILE_H

#include <sys/types.h>

/* A file of 1 MiB on a FUSE file system of its own, in a mount namespace of its own, whose server answers
 * what it takes to open it and then nobody: reading, asking for its size and closing it hang. */
struct silent_file {
	int fd; /* is not to be closed but by silent_file_close */
	pid_t server;
	char why[128];
};

/* 0, or a negative errno with a sentence. */
int silent_file_open(struct silent_file *s);
/* Ends the server, upon which whoever waits gets an error. */
void silent_file_close(struct silent_file *s);

#endif
