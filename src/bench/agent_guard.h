/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_AGENT_GUARD_H
#define WEIR_BENCH_AGENT_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>

#include <jansson.h>

#include "bench/reach.h"
#include "bench/secret.h"

/* What a client that came over a network may have an agent do: only who shows the secret is served, and who
 * is silent loses his place. Flows of a tied one go to where it came from, or into `reach`, alone. */

struct err;

struct agent_guard {
	const struct secret *secret; /* NULL: none is wanted */
	unsigned prove_ms; /* for who has connected to say hello and show the secret */
	unsigned silence_ms; /* without a request or a measurement; a coordinator says "alive" */
	atomic_bool *known; /* set when it was shown, NULL: nobody asks */
	bool tied;
	struct sockaddr_storage peer; /* of the connection */
	struct reach reach;
};

/* One client's hello and proof. All zero at first. */
struct guard_talk {
	char theirs[SECRET_NONCE_TEXT], ours[SECRET_NONCE_TEXT];
	bool challenged;
};

/* The answer to a hello: a number, and nothing else that a stranger could learn. NULL with a sentence. */
json_t *guard_challenge(struct guard_talk *t, const json_t *msg, struct err *e);
/* Does the message show the secret? One try a number. 0 with what this side shows, or -EACCES or -EPROTO
 * with a sentence. */
int guard_check(struct guard_talk *t, const struct agent_guard *g, const json_t *msg,
	char proof[SECRET_PROOF_TEXT], struct err *e);
/* The request for a job, tied: flows are connected to where the client is, or to a network that the server's
 * user named; those that come are from there, or from what the client, who has shown the secret, says.
 * NULL with a sentence. */
json_t *guard_tied(const struct agent_guard *g, const json_t *msg, struct err *e);

#endif
