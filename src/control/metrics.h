/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_CONTROL_METRICS_H
#define WEIR_CONTROL_METRICS_H

#include <stdint.h>
#include <stdio.h>

#include <systemd/sd-event.h>

#include "port/port.h"
#include "schedule/worker.h"

/* Counters for Prometheus, text format 0.0.4, at http://ADDRESS/metrics. Control thread only. */

struct err;
struct fdb_stats;
struct metrics;
struct sw;

/* `address` is "127.0.0.1:9478" or "[::1]:9478", `start_s` when the switch started, seconds of the
 * epoch. 0 or -errno with a sentence. */
int metrics_start(struct metrics **out, sd_event *loop, const char *address, struct sw *sw,
	double start_s, struct err *e);
void metrics_stop(struct metrics *m);

/* What one page is written from; apart from the switch so that tests can make one up. */
struct metrics_port {
	const char *name, *kind;
	struct port_status status;
	struct rx_counters rx; /* sums over the queues */
	struct tx_counters tx;
};
struct metrics_page {
	const struct metrics_port *ports;
	unsigned nports;
	const struct worker_stats *workers;
	unsigned nworkers;
	const struct fdb_stats *fdb; /* NULL: left out */
	uint64_t tsc_hz;
	double start_s; /* when the switch started, seconds of the epoch */
};
void metrics_write(FILE *f, const struct metrics_page *p);

#endif
