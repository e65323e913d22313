/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_RFC2544_OPTIONS_H
#define WEIR_BENCH_RFC2544_OPTIONS_H

#include <stdint.h>

#include "bench/frames/frame_options.h"
#include "bench/frames/search.h"

/* The command line of `weir bench rfc2544`. */

struct err;

enum rfc2544_procedure {
	RFC2544_THROUGHPUT = 1,
	RFC2544_LATENCY = 2,
	RFC2544_LOSS = 4,
	RFC2544_BURST = 8,
	RFC2544_RECOVERY = 16,
	RFC2544_LOADS = 32,
};

enum { RFC2544_LABEL = 320, RFC2544_CHANGES = 7, RFC2544_CHANGE = 40 };

struct rfc2544_options {
	struct frame_options frames; /* its rate is the greatest offered */
	struct preset preset; /* as changed by the other options */
	char label[RFC2544_LABEL]; /* its name, and what is not as its name says */
	char changed[RFC2544_CHANGES][RFC2544_CHANGE]; /* the same a piece: "time 1s" */
	unsigned nchanged;
	unsigned procedures; /* or'ed; throughput is always among them */
};

/* Reads argv[1] and on; the texts stay argv's, which is changed. time_ns: of --time, 0 when it is not
 * given. 0 or -EINVAL with a sentence. */
int rfc2544_options_parse(
	struct rfc2544_options *o, int argc, char **argv, uint64_t time_ns, struct err *e);

#endif
