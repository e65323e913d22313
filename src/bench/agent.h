/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_AGENT_H
#define WEIR_BENCH_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "bench/endpoint.h"

/* Whoever measures at an endpoint is an agent: a process there, which a coordinator (the `weir bench`
 * that a user started) tells what to do. Both speak lines of JSON over a byte stream, whatever that is:
 * a socketpair to a child that was forked into a namespace, TCP to a child of `weir bench serve`, a
 * serial port of a VM, which is a Unix socket on its host.
 *
 *   -> {"do": "hello", "protocol": 2}              <- {"ok": {"protocol": 2, "version", "host", "boot",
 *                                                            "pid", "cpus"}}
 *   A server that wants a secret first gets "nonce" with the hello, too, and:
 *                                                  <- {"ok": {"protocol": 2, "nonce"}}
 *   -> {"do": "prove", "proof"}       (secret.h)   <- {"ok": {as above, and "proof"}}
 *   -> {"do": "alive"}                             nothing: the coordinator measures others meanwhile
 *   -> {"do": "source", "address"}                 <- {"ok": the address from which it would go there, or null}
 *   -> {"do": "addresses"}                         <- {"ok": [{"device", "address", "prefix"}]}
 *   -> {"do": "interface", "address"}              <- {"ok": {nic.h}} of the one that reaches it, or null
 *   -> {"do": "prepare", "job": "stream", ...}     <- {"ok": {...}}
 *   -> {"do": "start", "omit", "time", "interval"} <- {"ok": {}}             (nanoseconds)
 *      with "at" counting begins at this time of the agent's clock_ns(), whatever "omit" says
 *   -> {"do": "end"}    what is measured ends now  <- {"ok": {}}
 *   -> {"do": "drain"}  the other end has ended    <- {"ok": {}}
 *   -> {"do": "drop"}   forget the job             <- {"ok": {}}
 *                                                  <- {"error": "a sentence"} in place of "ok"
 *                                                  <- {"event": "tick", "got": bytes}, some 5 a second
 *                                                  <- {"event": ...} as the job says
 * An agent has one job at a time, and forgets it when the stream ends. */

struct err;

enum {
	AGENT_PROTOCOL = 2,
	AGENTS_MAX = 256, /* that agents_wait hears at once */
	AGENT_PATIENCE_MS = 10000, /* for an answer */
	AGENT_SILENCE_MS = 1000, /* after so long without a tick one elsewhere is gone */
	AGENT_TICK_MS = 200
};

/* Coordinator's side. One thread. */

struct agent;

/* From now on servers are shown this secret: that of the file, NULL: of WEIR_BENCH_SECRET, if there is
 * one. 0, or -errno with a sentence. */
int agents_secret(const char *path, struct err *e);

/* Starts one in the namespace, or connects to the server; has said hello when it returns. NULL with a
 * sentence. No other thread may run when it forks. */
struct agent *agent_open(const struct endpoint *ep, struct err *e);
/* Ends a child and waits for it; NULL is harmless. */
void agent_close(struct agent *a);

/* Asks and waits for the answer: `args` (taken over, NULL: none) with "do" added. Returns what "ok"
 * holds (the caller's to release), NULL with a sentence; agent_gone() tells whether it vanished. */
json_t *agent_ask(struct agent *a, const char *what, json_t *args, struct err *e);

/* The next event of one of n agents. 0 with *event (the caller's) and *which; -EAGAIN after the time;
 * -EPIPE with a sentence: agent *which has vanished. A closed stream is seen at once, silence of
 * another host after AGENT_SILENCE_MS, of this one after AGENT_PATIENCE_MS, but not while the others still
 * get what it sends. */
int agents_wait(struct agent *const *a, unsigned n, int timeout_ms, unsigned *which, json_t **event,
	struct err *e);

bool agent_gone(const struct agent *a);
const struct endpoint *agent_endpoint(const struct agent *a);
/* What it said in its hello. */
const json_t *agent_hello(const struct agent *a);
/* Is it a child of this process, whose clock_ns() is ours? */
bool agent_here(const struct agent *a);
/* Is it in a VM of this host that somebody else started? *qemu: its process, 0: not known. */
bool agent_vm(const struct agent *a, pid_t *qemu);
/* Same machine and the same boot of it: their clocks and host CPU are one. */
bool agents_together(const struct agent *a, const struct agent *b);

/* At which address `from` reaches `to`: one of a network in which both have an address, else the
 * first. `given` (NULL: none) is a user's choice. 0 or negative errno with a sentence. */
int agents_address(struct agent *from, struct agent *to, const char *given, char *address,
	size_t size, struct err *e);

/* Agent's side. */

/* Serves one coordinator at `fd` until the stream ends, in this process and this namespace; device:
 * bind to it (NULL: do not). Returns 0, or -errno when the coordinator broke the protocol (it has been
 * told, in a sentence). */
int agent_run(int fd, const char *device);

/* The same for a client that came over a network, as far as the guard lets it. */
struct agent_guard;
int agent_run_guarded(int fd, const struct agent_guard *guard);

/* What an agent can do. A kind of job is a file of its own. */
struct job_kind {
	const char *name;
	/* All may be called from the agent's one thread only; jobs have threads of their own.
	 * prepare: NULL with a sentence; *answer is what the coordinator gets. */
	void *(*prepare)(const json_t *args, const char *device, json_t **answer, struct err *e);
	/* Moves data from now on, and counts from begin_ns (clock_ns) for time_ns. */
	int (*start)(void *job, uint64_t begin_ns, uint64_t time_ns, uint64_t interval_ns,
		struct err *e);
	/* Does what is due. Returns when to call next (clock_ns); events are sent with `say`, which
	 * takes them over. */
	uint64_t (*step)(void *job, void (*say)(void *to, json_t *event), void *to);
	void (*end)(void *job);
	void (*drain)(void *job);
	uint64_t (*got)(void *job); /* bytes received so far */
	void (*drop)(void *job);
};

extern const struct job_kind job_stream, job_rr;

#endif
