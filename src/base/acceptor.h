/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_ACCEPTOR_H
#define WEIR_BASE_ACCEPTOR_H

#include <stdbool.h>

#include <systemd/sd-event.h>

struct err;

/* A listening socket in an event loop. When a connection cannot be taken for want of descriptors or
 * memory, who waits stays in the queue and the socket readable, and a loop that looked at once again
 * would do nothing else: the socket is looked at after a second instead, and the log says so when that
 * begins. One thread, that of the loop. */
struct acceptor {
	sd_event_source *io, *timer;
	char what[48];
	bool short_of; /* the last attempt failed so */
	bool paused;
	void (*arrived)(int conn, void *arg);
	void *arg;
};

/* Calls `arrived` with each connection (non-blocking, close-on-exec; the callee's to close). `what` is
 * whose socket it is, for the log. */
int acceptor_open(struct acceptor *a, sd_event *loop, int fd, const char *what,
	void (*arrived)(int conn, void *arg), void *arg, struct err *e);
/* Looks after another socket from now on; the old one is still open. 0, or -errno with a sentence and
 * all is as before. */
int acceptor_move(struct acceptor *a, int fd, struct err *e);
/* Whoever comes waits in the queue from now on, or no longer. */
void acceptor_pause(struct acceptor *a, bool pause);
/* Leaves the loop; the socket stays open. Harmless when all zero. */
void acceptor_close(struct acceptor *a);

#endif
