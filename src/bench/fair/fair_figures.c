/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Figures of `weir bench fair`: one value of each for a load and noise. Skew is (max - min) / mean
 * of the endpoints' rates in one interval, beside it the coefficient of variation and Jain's index (R. Jain,
 * D. Chiu, W. Hawe, "A Quantitative Measure of Fairness", DEC-TR-301, 1984), which alone would say 0.9992 of a
 * spread of 10 %. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/fair/fair.h"
#include "bench/hostcpu.h"
#include "bench/result.h"

static const struct {
	const char *name, *unit;
	const char *each; /* cost of moving one unit of it: a Gbit, a transaction */
	double units;
} loads[FAIR_LOADS] = {
	[FAIR_STREAM] = {"throughput", "bit/s", "host CPU a Gbit", 1e9},
	[FAIR_RR] = {"transactions", "1/s", "host CPU a transaction", 1},
};

enum metric {
	M_TOTAL,
	M_SKEW,
	M_CV,
	M_JAIN,
	M_P50,
	M_P99,
	M_RTT,
	M_LOSS,
	M_CPU,
	M_SWITCH,
	M_MOVING,
	M_COST,
	M_NOISE_SENT,
	M_NOISE_RECEIVED,
	M_OVERLAP,
	METRICS
};

static const struct {
	const char *name, *unit, *better;
} metrics[METRICS] = {
	[M_TOTAL] = {NULL, NULL, "more"},
	[M_SKEW] = {"skew", "", "less"},
	[M_CV] = {"cv", "", "less"},
	[M_JAIN] = {"jain", "", "more"},
	[M_P50] = {"latency p50", "s", "less"},
	[M_P99] = {"latency p99", "s", "less"},
	[M_RTT] = {"rtt", "s", "less"},
	[M_LOSS] = {"lost to noise", "", "less"},
	[M_CPU] = {"host CPUs busy", "", "less"},
	[M_SWITCH] = {"CPUs of the switch", "", "less"},
	[M_MOVING] = {"CPUs of the switch moving frames", "", "less"},
	[M_COST] = {NULL, "s", "less"},
	[M_NOISE_SENT] = {"noise sent", NULL, ""},
	[M_NOISE_RECEIVED] = {"noise received", NULL, ""},
	[M_OVERLAP] = {"overlap", "", ""},
};

/* Those of one load and noise. */
struct cell {
	struct series series[METRICS];
	struct hist *latency; /* an endpoint each; NULL: none */
};

struct fair_figures {
	struct bench *b;
	const struct fair_plan *p;
	double overlap; /* the least so far */
	double quiet; /* rate of all without noise, in this repeat; NAN: not measured */
	struct cell cell[FAIR_LOADS][FAIR_NOISES];
};

/* How full the host may be before it is said, and how little all may have in common. */
#define HOST_FULL    0.95
#define OVERLAP_GOOD 0.99

struct fair_figures *fair_figures_new(struct bench *b, const struct fair_plan *p) {
	struct fair_figures *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->b = b;
	f->p = p;
	f->quiet = NAN;
	f->overlap = 1;
	for (int n = 0; n < FAIR_NOISES && p->o->load[FAIR_RR]; n++) {
		struct cell *c = &f->cell[FAIR_RR][n];

		if (!p->o->noise[n])
			continue;
		c->latency = calloc(p->n, sizeof(struct hist));
		if (c->latency == NULL) {
			while (n-- > 0)
				free(f->cell[FAIR_RR][n].latency);
			free(f);
			return NULL;
		}
		for (unsigned i = 0; i < p->n; i++)
			hist_reset(&c->latency[i]);
	}
	return f;
}

struct hist *fair_latency(struct fair_figures *f, enum fair_noise noise, unsigned i) {
	return &f->cell[FAIR_RR][noise].latency[i];
}

static json_t *labels(const struct fair_figures *f, int load, int noise) {
	const struct fair_plan *p = f->p;
	uint64_t flows = p->o->flows;
	json_t *l = json_object();
	char text[24];

	if (p->path != NULL)
		json_object_set_new(l, "path", json_string(p->path->name));
	snprintf(text, sizeof(text), "%u", p->n);
	json_object_set_new(l, "endpoints", json_string(text));
	if (flows == 0)
		flows = load == FAIR_RR ? FAIR_FLOWS / p->n * p->n : p->n;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)flows);
	json_object_set_new(l, "flows", json_string(text));
	if (p->queues > 0) {
		snprintf(text, sizeof(text), "%u", p->queues);
		json_object_set_new(l, "queues", json_string(text));
	}
	if (p->rps != NULL)
		json_object_set_new(l, "rps", json_string(p->rps));
	json_object_set_new(l, "load", json_string(fair_loads[load]));
	json_object_set_new(l, "noise", json_string(fair_noises[noise]));
	return l;
}

static json_t *repeat_labels(const struct fair_figures *f, int load, int noise, unsigned repeat) {
	json_t *l = labels(f, load, noise);
	char text[16];

	snprintf(text, sizeof(text), "%u", repeat + 1);
	json_object_set_new(l, "repeat", json_string(text));
	return l;
}

static void add(struct cell *c, enum metric m, double v) {
	if (!isnan(v))
		series_add(&c->series[m], v);
}

static void endpoints(struct fair_figures *f, const char *name, const char *unit, json_t *l,
	const double *values) {
	char *names[FAIR_MAX];

	for (unsigned i = 0; i < f->p->n; i++)
		names[i] = (char *)f->p->endpoint[i];
	result_endpoints(f->b->doc, name, unit, l, names, values, f->p->n);
}

/* In seconds; NAN: there are too few; INFINITY: what was lost reaches down to it. */
static double quantile(const struct hist *h, double q) {
	if (hist_beyond(h, q))
		return INFINITY;
	return hist_knows(h, q) ? (double)hist_quantile(h, q) / 1e9 : NAN;
}

/* Those of all endpoints together, to be freed; NULL: there are none, or no memory. */
static struct hist *all_latencies(const struct fair_figures *f, const struct cell *c) {
	struct hist *all = malloc(sizeof(*all));

	if (all == NULL)
		return NULL;
	hist_reset(all);
	for (unsigned i = 0; i < f->p->n; i++)
		hist_merge(all, &c->latency[i]);
	if (all->count + all->lost > 0)
		return all;
	free(all);
	return NULL;
}

static void add_latencies(struct fair_figures *f, struct cell *c) {
	struct hist *all = all_latencies(f, c);

	if (all == NULL)
		return;
	c->series[M_P50].above = c->series[M_P99].above = (double)all->timeout / 1e9;
	add(c, M_P50, quantile(all, 0.5));
	add(c, M_P99, quantile(all, 0.99));
	free(all);
}

/* Of the many agents, one entry a role is enough. */
static void merge_threads(json_t *cpu) {
	static const char *const roles[] = {"endpoint", "server", "noise", NULL};
	json_t *threads = json_object_get(cpu, "threads"), *one;
	size_t i;

	for (int r = 0; roles[r] != NULL; r++) {
		double busy = 0, waited = 0, user = 0;
		json_t *pid = NULL;

		for (i = json_array_size(threads); i > 0; i--) {
			one = json_array_get(threads, i - 1);
			if (strcmp(json_string_value(json_object_get(one, "role")), roles[r]) != 0)
				continue;
			busy += json_number_value(json_object_get(one, "busy"));
			waited += json_number_value(json_object_get(one, "waited"));
			user += json_number_value(json_object_get(one, "user"));
			json_decref(pid);
			pid = json_incref(json_object_get(one, "pid"));
			json_array_remove(threads, i - 1);
		}
		if (pid != NULL)
			json_array_append_new(
				threads, json_pack("{s:s, s:s, s:o, s:n, s:f, s:f, s:f}", "role",
						 roles[r], "name", "(all)", "pid", pid, "tid",
						 "busy", busy, "waited", waited, "user", user));
	}
}

static double switch_busy(const json_t *cpu) {
	json_t *one;
	double sum = NAN;
	size_t i;

	json_array_foreach (json_object_get(cpu, "threads"), i, one)
		if (strcmp(json_string_value(json_object_get(one, "role")), "switch") == 0)
			sum = (isnan(sum) ? 0 : sum) +
			      json_number_value(json_object_get(one, "busy"));
	return sum;
}

static void add_cpu(
	struct fair_figures *f, struct cell *c, int load, double total, json_t *cpu, json_t *l) {
	const json_t *known = json_object_get(cpu, "busy");
	double busy = json_is_number(known) ? json_number_value(known) : NAN, cost;
	double cpus = json_number_value(json_object_get(cpu, "cpus"));
	json_t *polling = json_array_get(json_object_get(cpu, "polling"), 0);

	hostcpu_spun_frames(cpu); // what floods with frames makes them, too
	cost = busy - json_number_value(json_object_get(cpu, "spun"));
	if (load == FAIR_STREAM && total > 0)
		hostcpu_per(cpu, total * json_number_value(json_object_get(cpu, "seconds")), 0);
	add(c, M_CPU, cost);
	add(c, M_SWITCH, switch_busy(cpu));
	if (polling != NULL)
		add(c, M_MOVING, json_number_value(json_object_get(polling, "moving")));
	if (total > 0 && cost > 0)
		add(c, M_COST, cost / total * loads[load].units);
	if (cpus > 0 && busy > HOST_FULL * cpus)
		result_warn(f->b->doc,
			"the CPUs of this host were the limit: rates are what endpoints, server, "
			"switch and noise had of them");
	merge_threads(cpu);
	result_cpu(f->b->doc, l, cpu);
}

void fair_found_add(struct fair_figures *f, enum fair_load load, enum fair_noise noise,
	unsigned repeat, struct fair_found *found) {
	struct cell *c = &f->cell[load][noise];
	unsigned n = f->p->n, known = 0;

	for (unsigned i = 0; i < n; i++)
		known += !isnan(found->rate[i]);
	if (known == 0) {
		json_decref(found->cpu);
		return;
	}
	endpoints(f, loads[load].name, loads[load].unit, repeat_labels(f, load, noise, repeat),
		found->rate);
	if (known == n) {
		add(c, M_TOTAL, found->total);
		add(c, M_SKEW, spread_skew(found->rate, n));
		add(c, M_CV, spread_cv(found->rate, n));
		add(c, M_JAIN, spread_jain(found->rate, n));
	}
	if (noise == FAIR_QUIET)
		f->quiet = found->total;
	else if (f->p->o->noise[FAIR_QUIET] && f->quiet > 0)
		add(c, M_LOSS, 1 - found->total / f->quiet);
	if (load == FAIR_RR)
		add_latencies(f, c);
	else
		add(c, M_RTT, found->rtt > 0 ? found->rtt : NAN);
	add(c, M_NOISE_SENT, found->noise_sent);
	add(c, M_NOISE_RECEIVED, found->noise_received);
	add(c, M_OVERLAP, found->overlap);
	if (found->overlap < f->overlap)
		f->overlap = found->overlap;
	if (found->cpu != NULL)
		add_cpu(f, c, load, found->total, found->cpu,
			repeat_labels(f, load, noise, repeat));
}

/* Of each endpoint, and of all. */
static void finish_latencies(struct fair_figures *f, struct cell *c, int noise) {
	double p50[FAIR_MAX], p99[FAIR_MAX];
	struct hist *all = all_latencies(f, c);

	if (all == NULL)
		return;
	for (unsigned i = 0; i < f->p->n; i++) {
		p50[i] = quantile(&c->latency[i], 0.5);
		p99[i] = quantile(&c->latency[i], 0.99);
	}
	endpoints(f, "latency p50", "s", repeat_labels(f, FAIR_RR, noise, f->b->round), p50);
	endpoints(f, "latency p99", "s", repeat_labels(f, FAIR_RR, noise, f->b->round), p99);
	result_latency(f->b->doc, "latency", "closed", labels(f, FAIR_RR, noise), all);
	result_warn_lost(f->b->doc, (double)all->lost / (double)(all->count + all->lost));
	free(all);
}

static void finish_cell(struct fair_figures *f, int load, int noise) {
	struct cell *c = &f->cell[load][noise];

	for (int m = 0; m < METRICS; m++) {
		const char *name = metrics[m].name, *unit = metrics[m].unit;

		if (name == NULL)
			name = m == M_TOTAL ? loads[load].name : loads[load].each;
		if (unit == NULL)
			unit = m == M_TOTAL                ? loads[load].unit
			       : noise == FAIR_CONNECTIONS ? "1/s"
							   : "frame/s";
		result_figure(f->b->doc, name, unit, metrics[m].better, labels(f, load, noise),
			&c->series[m]);
	}
	if (c->latency != NULL)
		finish_latencies(f, c, noise);
	free(c->latency);
}

void fair_figures_end(struct fair_figures *f) {
	if (f == NULL)
		return;
	if (f->overlap < OVERLAP_GOOD)
		result_warn(f->b->doc,
			"%u endpoints counted together for only %.1f %% of the time in one "
			"measurement; each rate is of its endpoint's own time",
			f->p->n, f->overlap * 100);
	for (int l = 0; l < FAIR_LOADS; l++)
		for (int n = 0; n < FAIR_NOISES; n++)
			finish_cell(f, l, n);
	free(f);
}
