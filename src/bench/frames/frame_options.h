/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_FRAME_OPTIONS_H
#define WEIR_BENCH_FRAME_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/bench.h"
#include "bench/frames/frame_port.h"
#include "bench/frames/frame_shape.h"
#include "bench/frames/frame_trial.h"

/* The command line of `weir bench frames`, and what `weir bench rfc2544` has of it. */

enum { FRAME_OPTION_SIZES = 16, FRAME_FULL_NS = 500000000 /* how long "100 %" is measured */ };

struct frame_options {
	const char *name[2]; /* of the endpoints */
	const char *size[FRAME_OPTION_SIZES]; /* each good for frame_shape_size */
	unsigned nsizes, longest;
	const char *rate; /* as given */
	double rate_value; /* frames/s, 0: max; or percent */
	bool rate_percent, both;
	uint64_t frames, wait_ns, late_ns, learn_ns;
	unsigned flows, macs;
	int cpus[FRAME_QUEUES_MAX], sinks[2];
	unsigned ncpus, nsinks;
};

/* Reads argv[1] and on; the texts stay argv's, which is changed. 0 or -EINVAL with a sentence. */
int frame_options_parse(struct frame_options *o, int argc, char **argv, struct err *e);

/* Opens the two endpoints as asked for (frame_bed_open) and sets all of *shape but the size.
 * 0 or a negative errno with a sentence, also when --macs is more than an endpoint can have. A bed that was
 * opened is the caller's to close, then too. */
int frame_options_open(const struct frame_options *o, const struct bench *b, struct frame_bed **bed,
	struct frame_shape *shape, struct err *e);

/* Warns when frames from endpoint `from` arrived before they were sent: latencies are wrong by as much.
 * (frame_options_open warns of a counter that the kernel does not trust.) */
void frame_options_warn_early(json_t *doc, const char *from, const struct frame_count *c);

#endif
