/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_CONTROL_API_H
#define WEIR_CONTROL_API_H

#include <stdint.h>

#include <systemd/sd-event.h>

#include "control/api_rpc.h"

/* The API server: JSON-RPC 2.0, a line a message, on a unix stream socket. Control thread only.
 *
 * A client may pass one file descriptor (SCM_RIGHTS) with a request; the method that wants it takes
 * it with api_take_fd. */

enum {
	API_CLIENTS_MAX = 64,
	API_SLOW_S = 10, /* a client that takes nothing of a waiting reply for so long is dropped */
	API_IDLE_S = 30, /* when all places are taken, one silent for so long makes room */
};

struct api;
struct api_client;
struct listener;

/* Serves on the listener, which it closes in the end (not when it fails to start). Methods get struct
 * api_call as their ctx. `gone` (may be NULL) is told before a client is forgotten. */
struct api_call {
	void *arg;
	struct api_client *client;
};
int api_start(struct api **out, sd_event *loop, struct listener *listener,
	const struct rpc_method *methods, void *arg, void (*gone)(void *arg, struct api_client *c),
	struct err *e);
void api_stop(struct api *a);

/* The descriptor the client passed last and nobody took yet, now the caller's; -1: none. */
int api_take_fd(struct api_client *c);

/* Who the client is, for the log: "pid 4711 (weir)". Returns buf. */
char *api_peer(const struct api_client *c, char *buf, size_t size);

/* From now on the client is silent with good reason: it does not make room for others. */
void api_keep(struct api_client *c);

/* The methods of weir itself (ctx->arg is struct daemon of daemon.h). */
extern const struct rpc_method api_methods[];

#endif
