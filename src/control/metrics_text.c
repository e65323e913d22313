/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * The page (https://prometheus.io/docs/instrumenting/exposition_formats/): all samples of a metric
 * stand together under its HELP and TYPE, so the outer loop is over metrics, each a table row that
 * says where in the counters its value is. Counters are there from the start, with 0. */
#include <inttypes.h>
#include <stddef.h>

#include "control/metrics.h"
#include "forward/fdb.h"

struct family {
	const char *name, *type, *help;
	size_t at; /* of the uint64_t */
};

#define PORT(m)   offsetof(struct metrics_port, m)
#define WORKER(m) offsetof(struct worker_stats, m)

static const struct family port_families[] = {
	{"weir_port_rx_frames_total", "counter", "Frames the switch received from the port.",
		PORT(rx.frames)},
	{"weir_port_rx_bytes_total", "counter", "Bytes the switch received from the port.",
		PORT(rx.bytes)},
	{"weir_port_tx_frames_total", "counter", "Frames delivered to the port.", PORT(tx.frames)},
	{"weir_port_tx_bytes_total", "counter", "Bytes delivered to the port.", PORT(tx.bytes)},
	{"weir_port_notifications_total", "counter", "Interrupts raised at the port's guest.",
		PORT(tx.notifications)},
	{"weir_port_segmented_total", "counter",
		"Frames cut into segments in software for the port.", PORT(tx.segmented)},
	{"weir_port_checksummed_total", "counter",
		"Frames whose checksum was computed in software for the port.",
		PORT(tx.checksummed)},
	{"weir_port_cycles_total", "counter", "CPU cycles spent on frames from the port.",
		PORT(rx.cycles)},
	{"weir_port_long_turns_total", "counter",
		"Turns of the port that took more cycles than a turn should.", PORT(rx.long_turns)},
	{"weir_port_reconnects_total", "counter", "Times the port's other side came back.",
		PORT(status.reconnects)},
	{"weir_port_shuts_total", "counter",
		"Times weir closed the port because its other side broke the rules.",
		PORT(status.shuts)},
	{NULL},
};

static const struct family worker_families[] = {
	{"weir_worker_cycles_total", "counter", "CPU cycles since the worker started.",
		WORKER(cycles)},
	{"weir_worker_busy_cycles_total", "counter", "CPU cycles in turns that moved frames.",
		WORKER(busy_cycles)},
	{"weir_worker_sleep_cycles_total", "counter", "CPU cycles asleep.", WORKER(sleep_cycles)},
	{"weir_worker_frames_total", "counter", "Frames the worker carried.", WORKER(frames)},
	{"weir_worker_turns_total", "counter", "Turns, empty ones included.", WORKER(turns)},
	{"weir_worker_sleeps_total", "counter", "Times the worker went to sleep.", WORKER(sleeps)},
	{NULL},
};

static void head(FILE *f, const char *name, const char *type, const char *help) {
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static uint64_t value_at(const void *base, size_t at) {
	return *(const uint64_t *)((const char *)base + at);
}

static void write_ports(FILE *f, const struct metrics_page *p) {
	for (const struct family *m = port_families; m->name != NULL; m++) {
		head(f, m->name, m->type, m->help);
		for (unsigned i = 0; i < p->nports; i++)
			fprintf(f, "%s{port=\"%s\"} %" PRIu64 "\n", m->name, p->ports[i].name,
				value_at(&p->ports[i], m->at));
	}
}

static void write_drops(FILE *f, const struct metrics_page *p) {
	head(f, "weir_port_drops_total", "counter", "Frames lost, by reason.");
	for (unsigned i = 0; i < p->nports; i++) {
		const struct metrics_port *o = &p->ports[i];

		for (enum drop r = DROP_NONE + 1; r < DROP_COUNT; r++)
			fprintf(f, "weir_port_drops_total{port=\"%s\",reason=\"%s\"} %" PRIu64 "\n",
				o->name, drop_name(r), o->rx.drops[r] + o->tx.drops[r]);
	}
}

static void write_states(FILE *f, const struct metrics_page *p) {
	static const enum port_state states[] = {PORT_UP, PORT_WAITING, PORT_DOWN, PORT_SHUT};

	head(f, "weir_port_info", "gauge", "Kind of the port; always 1.");
	for (unsigned i = 0; i < p->nports; i++)
		fprintf(f, "weir_port_info{port=\"%s\",kind=\"%s\"} 1\n", p->ports[i].name,
			p->ports[i].kind);
	head(f, "weir_port_state", "gauge", "1 for the state the port is in, 0 for the others.");
	for (unsigned i = 0; i < p->nports; i++)
		for (unsigned s = 0; s < sizeof(states) / sizeof(states[0]); s++)
			fprintf(f, "weir_port_state{port=\"%s\",state=\"%s\"} %d\n",
				p->ports[i].name, port_state_name(states[s]),
				p->ports[i].status.state == states[s]);
	head(f, "weir_port_queue_pairs", "gauge", "Queue pairs in use.");
	for (unsigned i = 0; i < p->nports; i++)
		fprintf(f, "weir_port_queue_pairs{port=\"%s\"} %u\n", p->ports[i].name,
			p->ports[i].status.active_pairs);
}

static void write_workers(FILE *f, const struct metrics_page *p) {
	for (const struct family *m = worker_families; m->name != NULL; m++) {
		head(f, m->name, m->type, m->help);
		for (unsigned i = 0; i < p->nworkers; i++)
			fprintf(f, "%s{worker=\"%u\",cpu=\"%d\"} %" PRIu64 "\n", m->name, i,
				p->workers[i].cpu, value_at(&p->workers[i], m->at));
	}
	head(f, "weir_worker_stage_cycles_total", "counter", "CPU cycles by stage of a turn.");
	for (unsigned i = 0; i < p->nworkers; i++)
		for (int s = 0; s < STAGE_COUNT; s++)
			fprintf(f,
				"weir_worker_stage_cycles_total{worker=\"%u\",cpu=\"%d\",stage=\"%"
				"s\"} "
				"%" PRIu64 "\n",
				i, p->workers[i].cpu, stage_names[s],
				p->workers[i].stage_cycles[s]);
	head(f, "weir_worker_queues", "gauge", "Queues the worker pulls from.");
	for (unsigned i = 0; i < p->nworkers; i++)
		fprintf(f, "weir_worker_queues{worker=\"%u\",cpu=\"%d\"} %u\n", i,
			p->workers[i].cpu, p->workers[i].queues);
	head(f, "weir_worker_busy_ratio", "gauge",
		"Share of time since start in turns that moved frames, 0 to 1.");
	for (unsigned i = 0; i < p->nworkers; i++) {
		const struct worker_stats *w = &p->workers[i];

		fprintf(f, "weir_worker_busy_ratio{worker=\"%u\",cpu=\"%d\"} %.6f\n", i, w->cpu,
			w->cycles > 0 ? (double)w->busy_cycles / (double)w->cycles : 0.0);
	}
}

static void single(FILE *f, const char *name, const char *type, const char *help, uint64_t v) {
	head(f, name, type, help);
	fprintf(f, "%s %" PRIu64 "\n", name, v);
}

static void write_fdb(FILE *f, const struct fdb_stats *s) {
	single(f, "weir_mac_table_entries", "gauge", "MAC addresses in the table.", s->used);
	single(f, "weir_mac_table_limit", "gauge", "MAC addresses the table admits.", s->max);
	single(f, "weir_mac_moves_total", "counter", "Learned addresses seen on another port.",
		s->moves);
	head(f, "weir_mac_refused_total", "counter",
		"Addresses not learned: the port's allowance or the table was used up.");
	fprintf(f, "weir_mac_refused_total{by=\"port\"} %" PRIu64 "\n", s->refused_limit);
	fprintf(f, "weir_mac_refused_total{by=\"table\"} %" PRIu64 "\n", s->refused_full);
}

void metrics_write(FILE *f, const struct metrics_page *p) {
	head(f, "weir_build_info", "gauge", "Version of weir; always 1.");
	fprintf(f, "weir_build_info{version=\"%s\"} 1\n", WEIR_VERSION);
	head(f, "weir_start_time_seconds", "gauge", "When the switch started, since the epoch.");
	fprintf(f, "weir_start_time_seconds %.3f\n", p->start_s);
	single(f, "weir_cycles_hertz", "gauge", "Cycles a second, for what is counted in cycles.",
		p->tsc_hz);
	write_states(f, p);
	write_ports(f, p);
	write_drops(f, p);
	write_workers(f, p);
	if (p->fdb != NULL)
		write_fdb(f, p->fdb);
}
