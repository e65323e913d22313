/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_LISTENER_H
#define WEIR_BASE_LISTENER_H

#include <stdbool.h>
#include <sys/un.h>

#include "base/acceptor.h"
#include "base/closer.h"
#include "base/err.h"
#include "base/sock.h"

/* A unix socket people connect to by its file, and the file's keeper: who removes the file (a cleaner
 * of /tmp, a script) cuts nobody off who is connected, and shuts the rest out only until the listener
 * looks after it. One thread, that of the loop. */
struct listener {
	struct acceptor acceptor;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* empty: closed */
	char group[32]; /* who may connect besides the owner; empty: by the mode alone */
	bool group_due; /* the name service has not said yet which that is */
	mode_t mode;
	int fd; /* -1: it is not listening */
	struct closer_owner *owner; /* of who waits to be taken when it closes; NULL: nobody's */
	struct sock_file made; /* the file we made */
	bool missed; /* the path is not ours; why says what stands in the way */
	struct err why;
	struct sock_file other; /* what was there when the path could not be had */
	unsigned rest; /* looks until it is tried again, as long as that stays there */
};

/* Listens at `path` (sock_listen). Nobody is accepted yet. 0, or -errno with a sentence, and l is
 * closed. A listener that is all zero is closed. `group` may be NULL. */
int listener_open(
	struct listener *l, const char *path, const char *group, mode_t mode, struct err *e);
/* Calls `arrived` with each connection, as acceptor_open does. 0, or -errno with a sentence. */
int listener_serve(struct listener *l, sd_event *loop, const char *what,
	void (*arrived)(int conn, void *arg), void *arg, struct err *e);
/* To be called every second of one that serves: does the path still name our file? If not it is made
 * again, which the log says once; a path at which another process listens is left to it, and asked for
 * again when what is there changes, and now and then. */
void listener_look(struct listener *l);
/* Removes the file if it is ours. Harmless when closed. */
void listener_close(struct listener *l);

#endif
