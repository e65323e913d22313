/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_CLOSER_H
#define WEIR_BASE_CLOSER_H

#include <stdbool.h>

#include <systemd/sd-event.h>

struct err;

/* Closing what a stranger chose: descriptors he passed along, and connections, in which some may lie
 * that nobody has read. close(2) can sleep for as long as he likes: a TCP socket with SO_LINGER waits
 * for an end that answers nothing, a file on FUSE for its server. So an expendable thread does it. One
 * that hangs is left to itself and another takes its place; what else came from the same stranger waits
 * until it is through, and nobody else's does. What cannot sleep needs no such thread: an eventfd is closed
 * at once, a memory file (tmpfs, hugetlbfs) by a thread that only frees pages. All functions are for the
 * control thread. */

/* Strangers at a time; each can make one thread hang. */
enum { CLOSER_OWNERS = 1024 + 64 + 8 }; /* ports, API clients, those who are seen only once */

/* A stranger: a port's front ends, a client. `hung` is called from the loop each time one of his
 * descriptors hangs; NULL: nobody is told. NULL: no memory. */
struct closer_owner;
struct closer_owner *closer_owner_new(const char *what, void (*hung)(void *arg), void *arg);
/* What is left of him is closed without him. Harmless for NULL. */
void closer_owner_free(struct closer_owner *o);

/* Closes fd, some time; -1: nothing. NULL: a stranger who is seen only once. */
void closer_close(struct closer_owner *o, int fd);
/* The same for a unix socket, whose other end is told at once. */
void closer_hang_up(struct closer_owner *o, int fd);
/* Does one of his descriptors hang at this moment? */
bool closer_stuck(const struct closer_owner *o);
/* How many of his descriptors wait to be closed. */
unsigned closer_waiting(const struct closer_owner *o);

/* Looks after the threads from the loop, as long as there are more opens than ends. 0, or -errno with a
 * sentence. The last end waits a moment for what is left. */
int closer_open(sd_event *loop, struct err *e);
void closer_end(void);

#endif
