/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_RR_THREAD_H
#define WEIR_BENCH_RR_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench/flows/flows.h"
#include "bench/hist.h"

/* Requests and responses. A thread carries one flow with calls that block, since nothing is quicker, or
 * many with epoll. Closed loop: a flow asks again when it has its answer. Open loop: requests have a
 * time at which they are due, whatever became of those before, and latency counts from that time. */

enum rr_phase { RR_WARM_UP, RR_COUNTED, RR_AFTER, RR_ENDING };
/* So large that a message always fits into the sockets' buffers: nobody waits for who waits for him. */
enum { RR_SIZE_MAX = 32 << 10 };

struct rr_plan {
	bool udp, connect; /* connect: a TCP connection for each transaction */
	unsigned request, response; /* bytes, 1..RR_SIZE_MAX */
	double per_ns; /* requests a nanosecond and thread; 0: closed loop */
	uint64_t timeout_ns; /* after which a datagram, or a connection, is given up */
	struct flows_spec spec; /* clients that connect: where to */
	unsigned port;
	atomic_int phase; /* enum rr_phase; the job's thread moves it on */
	atomic_bool stop; /* end at once */
};

struct rr_thread {
	struct rr_plan *plan;
	int *fds; /* its flows */
	unsigned n;
	int listening; /* servers when each transaction connects; else -1 */
	uint64_t offset_ns; /* open loop: by how much its schedule is behind that of the first */
	pthread_t thread;
	bool threaded;
	atomic_int tid, failed; /* errno that ended it early */
	atomic_bool rested; /* clients: all answers are there; it waits for RR_ENDING */
	atomic_bool ended;
	/* Clients. The first two are read while it runs, the others when it has ended. */
	_Alignas(64) atomic_uint_fast64_t done; /* transactions since the start */
	atomic_uint_fast64_t spun; /* ns of looking at the clock until one is due */
	/* Of those that count. Open loop: some were due while counting and sent later; their latency is among
	 * the others, but they are offered only, and not counted. */
	uint64_t counted, offered, lost, late, refused;
	struct hist latency, lateness; /* open loop: how long after its time a request was sent */
};

/* Start the thread; 0 or -EAGAIN. fds stay the caller's to close, after rr_thread_end. */
int rr_client_start(struct rr_thread *t);
int rr_server_start(struct rr_thread *t);
/* Waits for the thread, which has been told to end. */
void rr_thread_end(struct rr_thread *t);

/* For the two files that do it. */
enum { RR_PATIENCE_MS = 100, RR_TAG_MAX = 8 };
int rr_thread_start(struct rr_thread *t, void *(*run)(void *));
/* Bytes of a datagram that say which request it belongs to: as many as both directions have. */
unsigned rr_tag_bytes(const struct rr_plan *p);
int rr_phase_of(const struct rr_thread *t);

#endif
