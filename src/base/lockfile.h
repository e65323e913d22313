/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_LOCKFILE_H
#define WEIR_BASE_LOCKFILE_H

#include <stdbool.h>
#include <sys/stat.h>

/* Files that processes of one user lock (flock) against each other. Who may open a file may lock it, for
 * as long as he likes: these are of mode 0600, so that nobody else can. Any thread. */

/* Opens the file `name` of the open directory `dir`, which is made when it is missing. Its descriptor,
 * not locked yet, close-on-exec. -EPERM: what is there is not ours alone (a link, a second name, another
 * owner, no plain file); else -errno of the kernel. A file that others could open, of an earlier version,
 * is closed to them, and replaced when somebody holds it. */
int lockfile_open(int dir, const char *name);

/* Locks within `ms` milliseconds (0: at once or not at all); -EWOULDBLOCK: another holds it; -ESTALE: it
 * was removed meanwhile, open it again; else -errno. Closing unlocks. */
int lockfile_lock(int fd, unsigned ms);

/* Removes the name in `dir` if it is the file that `st` tells of. 0 or -errno; -ESTALE: it is another. */
int lockfile_unlink_same(int dir, const char *name, const struct stat *st);

/* True if both tell of one file. */
bool lockfile_same(const struct stat *a, const struct stat *b);

#endif
