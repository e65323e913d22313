/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_STREAM_FLOW_H
#define WEIR_BENCH_STREAM_FLOW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/frames/seqs.h"

/* One direction of one flow, moved by a thread of its own: a sender writes until it is told to end, a
 * receiver reads until the sender has ended. Counters are written by that thread and read by others at
 * any moment. */

/* Senders go on after what is counted, until all has been read that tells of their threads. */
enum stream_phase { STREAM_WARM_UP, STREAM_COUNTED, STREAM_AFTER, STREAM_ENDING };

/* What all flows of a job go by. */
struct stream_plan {
	bool udp;
	size_t length; /* of a write or a datagram; at least STREAM_DATAGRAM_MIN of these */
	uint64_t rate; /* bit/s of payload a flow; 0: as fast as it goes */
	atomic_int phase; /* enum stream_phase; the job's thread moves it on */
	atomic_bool drained; /* receivers: nothing is sent any more, end when nothing is left */
	atomic_bool stop; /* end at once */
};

enum { STREAM_DATAGRAM_MIN = 24, STREAM_LENGTH_MAX = 4 << 20 };

/* Bytes and datagrams since the start; of UDP those that were sent while counting, too. */
struct stream_count {
	atomic_uint_fast64_t bytes, datagrams, counted_bytes, counted_datagrams;
};

struct stream_flow {
	struct stream_plan *plan;
	int fd;
	bool sends;
	pthread_t thread;
	bool threaded;
	atomic_int tid; /* 0 until it runs */
	atomic_int failed; /* errno that ended it early */
	atomic_bool ended;
	_Alignas(64) struct stream_count moved; /* sent or received */
	struct stream_count offered; /* senders: what was to be sent */
	atomic_uint_fast64_t overflows; /* UDP receivers: datagrams that found the socket full */
	uint64_t overflows_before; /* of these, before the first that counts; when it has ended */
	_Alignas(64) struct seqs seqs; /* UDP receivers; to be read when it has ended */
	double jitter_ns; /* RFC 3550 section 6.4.1; the same */
	uint64_t transits; /* that it was reckoned from; below two it is not known */
};

/* Starts the thread; 0 or -EAGAIN. The descriptor is blocking, and is closed by stream_flow_close. */
int stream_flow_start(struct stream_flow *f);
/* Waits for the thread (which has been told to end) and closes. Harmless when all zero but fd = -1. */
void stream_flow_close(struct stream_flow *f);

#endif
