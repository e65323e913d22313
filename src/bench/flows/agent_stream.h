/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_AGENT_STREAM_H
#define WEIR_BENCH_AGENT_STREAM_H

#include <stdbool.h>
#include <sys/types.h>

#include "bench/endpoint.h"

/* How a coordinator gets at an agent, for each kind of endpoint: a child that is forked into the namespace,
 * a connection to a server, the serial port of a VM. For agent.c alone. */

struct err;

struct agent_stream {
	pid_t child; /* to be waited for once the stream is closed; 0: none */
	bool is_vm; /* of somebody else: it stays when this coordinator goes */
	pid_t listener; /* and who has its socket */
};

/* A descriptor, the caller's; or -errno with a sentence. No other thread may run when it forks. */
int agent_stream_open(struct agent_stream *s, const struct endpoint *ep, struct err *e);

#endif
