/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_SOCK_H
#define WEIR_BASE_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Unix stream sockets by path: who lives behind a file, and how to take it over. Any thread. */

struct err;

/* Makes the path free to bind: a socket file of our user nobody listens on is removed. 0: free now.
 * -EADDRINUSE: somebody listens there, the sentence names pid and program; -EEXIST: the file is no
 * socket, or another user's (it is left alone); -ENAMETOOLONG, -EACCES, -ENOENT (no such directory) and what else the
 * kernel says, each with a sentence. */
int sock_claim(const char *path, struct err *e);

/* Makes the directory the path is in when its last level is missing (mode 0755). 0 or -errno. */
int sock_make_dir(const char *path, struct err *e);

/* Directory, claim, bind with `mode`, listen: a non-blocking close-on-exec listening descriptor, or
 * -errno with a sentence. Two processes that try at once: one of them gets -EADDRINUSE. */
int sock_listen(const char *path, mode_t mode, struct err *e);

/* The file a path names now, not followed if it is a link; all zero: none. */
struct sock_file {
	dev_t dev;
	ino_t ino;
};
struct sock_file sock_file(const char *path);
/* Removes the path if it is still the socket we made. */
void sock_remove(const char *path, struct sock_file made);
/* Gives the socket of ours at `path` to a group. 0; -EPERM with a sentence: it is not ours any more. */
int sock_set_group(const char *path, gid_t group, struct err *e);
bool sock_file_same(struct sock_file a, struct sock_file b);

/* A blocking close-on-exec connection to `path`, or -errno with a sentence. */
int sock_connect(const char *path, struct err *e);
/* The same, but -EAGAIN where that would wait: for a server that does not accept. The socket does not
 * block. */
int sock_connect_now(const char *path, struct err *e);

/* Who is at the other end of a connected socket, as "pid 4711 (qemu-system-x86)"; "another process"
 * when the kernel does not say. Returns buf. */
char *sock_peer(int fd, char *buf, size_t size);

#endif
