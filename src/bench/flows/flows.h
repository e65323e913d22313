/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_FLOWS_H
#define WEIR_BENCH_FLOWS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "bench/reach.h"
#include "bench/zone.h"

/* The sockets that measured data rides on. One agent listens, the other connects; before any data
 * both sides show the measurement's cookie, so that a stray connection is not counted, and an agent
 * sends bulk only to somebody who waits for it. UDP flows are connected sockets too, one a flow, on a
 * port of its own. */

struct err;

enum { FLOWS_MAX = 1024, FLOWS_COOKIE = 16, FLOWS_UDP_MAX = 65507 };

struct flows_spec {
	bool udp;
	unsigned n; /* 1..FLOWS_MAX */
	char address[ZONED_MAX]; /* of the listener, numeric */
	char device[16]; /* bind to this interface; empty: do not */
	unsigned
		zone; /* where a link-local address without one is looked for first, 0: nowhere (zone.h) */
	unsigned mss; /* TCP_MAXSEG, 0: as it comes */
	char cookie[2 * FLOWS_COOKIE + 1]; /* hex */
	struct reach peers; /* listeners: flows come from there alone; none: from anywhere */
};

/* Reads "udp", "flows", "address", "mss", "zone", "cookie", "peers" of an agent's request. -EINVAL with a
 * sentence. */
int flows_spec_read(struct flows_spec *s, const json_t *args, struct err *e);

struct flows_listener;

/* Binds; *ports is an array of the ports (one for TCP, one a flow for UDP). A thread of its own takes
 * connections until all are there. NULL with a sentence. */
struct flows_listener *flows_listen(const struct flows_spec *s, json_t **ports, struct err *e);
/* Waits until all are there and moves them to fds (s->n of them, blocking, the caller's to close).
 * -ETIMEDOUT with a sentence after `timeout_ms`. */
int flows_take(struct flows_listener *l, int *fds, int timeout_ms, struct err *e);
/* May a flow come from this address? */
bool flows_may_come(const struct flows_spec *s, const struct sockaddr_storage *from);
/* A listening TCP socket stays open for those that connect each time (rr --connect). */
int flows_listening(const struct flows_listener *l);
void flows_close(struct flows_listener *l); /* NULL is harmless */

/* Connects s->n flows to what flows_listen bound. All or none; -errno with a sentence. */
int flows_connect(const struct flows_spec *s, const json_t *ports, int *fds, struct err *e);

/* A blocking connection to address and port without the cookie; `fd` -errno. Non-blocking (and then
 * perhaps still under way) when asked. */
int flows_dial(const struct flows_spec *s, unsigned port, bool wait, struct err *e);

/* How long a blocking call on the flow may last. */
void flows_patience(int fd, int ms);

#endif
