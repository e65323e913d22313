/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_PASSED_H
#define WEIR_BASE_PASSED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Descriptors that strangers pass over unix sockets (SCM_RIGHTS): taking them, and telling what they are
 * without asking them.
 *
 * The kernel closes what a reader has no room for before recvmsg(2) returns, and that close can sleep as
 * long as the stranger likes (closer.h). So there is always room, or nothing is read. And fstat(2) and
 * fstatfs(2) of a file on FUSE wait for its server, so a descriptor is judged by what the kernel knows by
 * itself. */

enum { PASSED_MAX = 253 }; /* SCM_MAX_FD: what the kernel lets one message carry */

/* Reads up to `len` bytes of a stream socket without waiting; fds gets the descriptors that came along,
 * close-on-exec, *n how many. Bytes read, 0 at the end, -1 with errno; EMFILE: descriptors came, and this
 * process may not open as many as there could be (nothing was read, or those of *n are to be closed). */
ssize_t passed_recv(int from, void *bytes, size_t len, int fds[PASSED_MAX], unsigned *n);

/* An eventfd: named so in /proc, where no path looks alike, for paths begin with a slash. */
bool passed_is_eventfd(int fd);
/* A file on tmpfs or hugetlbfs, memfd_create(2)'s among them: only those have seals (F_GET_SEALS). Their
 * pages are there, or made, without anybody being asked. */
bool passed_is_memory(int fd);
/* A pipe or a socket. */
bool passed_is_stream(int fd);

#endif
