/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_FAIR_H
#define WEIR_BENCH_FAIR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bench/bench.h"
#include "bench/endpoint.h"
#include "bench/hist.h"
#include "bench/paths/path.h"
#include "bench/stats.h"

/* Between the parts of `weir bench fair`: fair.c has the face and makes beds, fair_options.c reads the
 * command line, fair_measure.c runs endpoints at once, fair_noise.c disturbs them, fair_figures.c makes
 * figures of what came out. */

enum { FAIR_MAX = 64, FAIR_LIST_MAX = 16, FAIR_FLOWS = 128 };

enum fair_load { FAIR_STREAM, FAIR_RR, FAIR_LOADS };
enum fair_noise { FAIR_QUIET, FAIR_FRAMES, FAIR_64B, FAIR_CONNECTIONS, FAIR_NOISES };
extern const char *const fair_loads[FAIR_LOADS + 1], *const fair_noises[FAIR_NOISES + 1];
extern const struct path *const fair_paths[]; /* NULL ends it */
enum { FAIR_PATHS = 7 };

struct fair_options {
	bool through[FAIR_PATHS], made; /* made: beds of its own */
	unsigned n[FAIR_LIST_MAX], nn; /* how many endpoints */
	unsigned queues[FAIR_LIST_MAX], nqueues; /* one, 0, when not asked */
	bool rps[2]; /* off, on; neither: as it comes */
	bool load[FAIR_LOADS], noise[FAIR_NOISES];
	const char *kernel; /* of VMs; NULL: the host's */
	uint64_t flows; /* in all; 0: FAIR_FLOWS of rr, one an endpoint of stream */
	const char *endpoint[FAIR_MAX], *server, *to;
	unsigned nendpoints;
	char neighbour[2][80]; /* whence and whither noise goes; empty: none given */
};

/* Reads argv[1] and on; the texts stay argv's. 0 or -EINVAL with a sentence. */
int fair_options_parse(struct fair_options *o, int argc, char **argv, struct err *e);
/* The help that goes with it. */
extern const char fair_help[];

/* One bed, and what is to be measured on it. */
struct fair_plan {
	const struct fair_options *o;
	unsigned n, queues; /* queues 0: as they come */
	const char *rps; /* "off", "on"; NULL: as it comes */
	const struct path *path; /* NULL: endpoints that were there */
	struct path_bed *bed;
	struct guest *guests[FAIR_MAX]; /* with VMs */
	const char *endpoint[FAIR_MAX], *server, *noise_from, *noise_to;
	unsigned ahead; /* measurements that come after this one; UINT_MAX: nobody knows */
};

/* Measures on it, once each load and noise, and fills b->doc. As instrument.run. */
int fair_measure(struct bench *b, const struct fair_plan *p, struct err *e);

/* What one measurement of all at once found. A value is NAN when it is not there. */
struct fair_found {
	double rate[FAIR_MAX]; /* bit/s or 1/s of each endpoint */
	double total, rtt; /* rtt: mean of all, of streams */
	double overlap; /* of the time, the part in which all counted */
	double noise_sent, noise_received; /* 1/s */
	json_t *cpu; /* hostcpu.h; NULL: none */
};

/* Figures of one bed. */
struct fair_figures;
/* NULL: no memory. */
struct fair_figures *fair_figures_new(struct bench *b, const struct fair_plan *p);
/* Where the latencies of endpoint i go. */
struct hist *fair_latency(struct fair_figures *f, enum fair_noise noise, unsigned i);
/* Takes found->cpu over. Loads and noises come in their order, once each, without noise first. */
void fair_found_add(struct fair_figures *f, enum fair_load load, enum fair_noise noise,
	unsigned repeat, struct fair_found *found);
/* Writes them to the document and frees. */
void fair_figures_end(struct fair_figures *f);

/* A process that sends frames from one namespace to another as fast as they go, until it is ended. */
struct flood {
	pid_t pid;
	char ns[2][ENDPOINT_NAME_MAX], device[2][16]; /* whence, whither */
};
/* Fills in the devices, those with an address, by asking two agents. 0 or -errno with a sentence. */
struct pair;
int flood_find(struct flood *f, struct pair *p, struct err *e);
/* Comes back when it sends. 0 or -errno with a sentence. */
int flood_start(struct flood *f, unsigned frame, struct err *e);
void flood_end(struct flood *f); /* harmless when there is none */
/* -EPIPE with a sentence when it has ended by itself. */
int flood_check(struct flood *f, struct err *e);
/* What the kernel counted since the devices were made: frames sent by the one, received by the other. */
int flood_count(const struct flood *f, double count[2], struct err *e);

#endif
