/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * All endpoints at once. Each has an agent, and so has the server for each of them; that pair runs the job
 * of `stream` or `rr`. All pairs are prepared, then the noise begins, then all start, and count from one
 * moment on for the same time (pair.h). Each says when it began and ended; the overlap is the part of the
 * time in which all of them counted. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/err.h"
#include "bench/clock.h"
#include "bench/fair/fair.h"
#include "bench/flows/pair.h"
#include "bench/hostcpu.h"
#include "bench/result.h"

enum {
	LENGTH = 128 << 10, /* of a stream's writes, as `weir bench stream` */
	NOISE_FLOWS = 64, /* connections it makes at once */
	FRAME_LONG = 1514,
	FRAME_SHORT = 60, /* 64 with FCS */
	SAID_LEN = 300,
	PIDS_MAX = 3 * (FAIR_MAX + 1) + PATH_PROCESSES_MAX
};

/* What is known of an endpoint when another vanishes. */
#define INTERVAL_NS (NS_PER_S / 4)

/* One endpoint, in one measurement. */
struct seat {
	bool sent, received; /* has reported, at its end and at the server's */
	double rate, rtt, interval_sum;
	unsigned intervals;
	uint64_t began, ended; /* of counting, the worst of both ends */
};

struct fair {
	struct bench *b;
	const struct fair_plan *p;
	struct fair_figures *figures;
	struct pair pair[FAIR_MAX + 1]; /* and that of the noise */
	bool noisy; /* the last is open */
	struct flood flood;
	struct hist *latest;
	unsigned done; /* measurements */

	/* the one that runs */
	enum fair_load load;
	enum fair_noise noise;
	unsigned repeat, n, left; /* pairs; reports that are missing */
	struct seat seat[FAIR_MAX + 1];
	struct hostcpu *watch;
	struct path_cycles cycles;
	bool polls, counted; /* the noise's counters at the beginning are there */
	double noise_before[2];
	uint64_t begun_at;
	struct fair_found found;
	char failed[160];
};

static double number(const json_t *event, const char *key) {
	return json_number_value(json_object_get(event, key));
}

static bool cuts_in(const struct fair *f, enum fair_noise noise) {
	return noise == FAIR_FRAMES || noise == FAIR_64B;
}

/* Pairs. */

static int open_pairs(struct fair *f, struct err *e) {
	const struct fair_plan *p = f->p;
	int ret = 0;

	for (unsigned i = 0; i < p->n && ret == 0; i++) {
		bench_progress(f->b, -1, "fair: endpoint %u of %u", i + 1, p->n);
		ret = bench_stopped
			      ? err_set(e, ECANCELED, "interrupted")
			      : pair_open(&f->pair[i], p->endpoint[i], p->server, p->o->to, e);
	}
	if (ret < 0 || p->noise_from == NULL)
		return ret;
	ret = pair_open(&f->pair[p->n], p->noise_from, p->noise_to, NULL, e);
	f->noisy = ret == 0;
	return ret == 0 ? flood_find(&f->flood, &f->pair[p->n], e) : ret;
}

static int prepare_rr(
	struct pair *p, unsigned flows, unsigned threads, bool connect, struct err *e) {
	json_t *common = json_pack("{s:s, s:b, s:b, s:i, s:i, s:i, s:f, s:I, s:i, s:b}", "job",
		"rr", "udp", 0, "connect", connect, "flows", (int)flows, "request", 1, "response",
		1, "rate", 0.0, "timeout", (json_int_t)NS_PER_S, "threads", (int)threads,
		"host_cpu", 0);

	return pair_prepare(p, common, json_object(), json_object(), e);
}

static int prepare_stream(struct pair *p, unsigned flows, struct err *e) {
	json_t *common = json_pack("{s:s, s:b, s:i, s:i, s:i, s:i, s:b}", "job", "stream", "udp", 0,
		"flows", (int)flows, "length", LENGTH, "rate", 0, "mss", 0, "host_cpu", 0);

	return pair_prepare(p, common, json_pack("{s:b, s:b}", "send", 1, "receive", 0),
		json_pack("{s:b, s:b}", "send", 0, "receive", 1), e);
}

static unsigned flows_each(const struct fair *f) {
	uint64_t all = f->p->o->flows;

	if (all == 0)
		all = f->load == FAIR_RR ? FAIR_FLOWS : f->p->n;
	return all > f->p->n ? (unsigned)(all / f->p->n) : 1;
}

static int prepare(struct fair *f, struct err *e) {
	int ret = 0;

	f->n = f->p->n;
	for (unsigned i = 0; i < f->n && ret == 0; i++)
		ret = f->load == FAIR_RR
			      ? prepare_rr(&f->pair[i], flows_each(f), f->p->queues, false, e)
			      : prepare_stream(&f->pair[i], flows_each(f), e);
	if (ret < 0 || f->noise == FAIR_QUIET)
		return ret;
	if (cuts_in(f, f->noise))
		return flood_start(&f->flood, f->noise == FAIR_64B ? FRAME_SHORT : FRAME_LONG, e);
	return prepare_rr(&f->pair[f->n++], NOISE_FLOWS, 0, true, e);
}

/* The interval: host CPU and the noise's counters. */

static void add_pid(pid_t *pids, const char **roles, unsigned *n, pid_t pid, const char *role) {
	if (pid > 0) {
		pids[*n] = pid;
		roles[(*n)++] = role;
	}
}

static void begin(struct fair *f) {
	const struct path_bed *bed = f->p->bed;
	const char *roles[PIDS_MAX];
	pid_t pids[PIDS_MAX];
	unsigned n = 0;
	struct err e;

	for (unsigned i = 0; i < 2 * f->n; i++) {
		const struct agent *a = f->pair[i / 2].agent[i % 2];
		bool noise = i / 2 == f->p->n;

		if (agent_here(a))
			add_pid(pids, roles, &n, (pid_t)number(agent_hello(a), "pid"),
				noise        ? "noise"
				: i % 2 == 0 ? "endpoint"
					     : "server");
	}
	add_pid(pids, roles, &n, f->flood.pid, "noise");
	for (unsigned i = 0; i < FAIR_MAX && f->p->guests[i] != NULL; i++)
		add_pid(pids, roles, &n, guest_pid(f->p->guests[i]), "vm");
	for (unsigned i = 0; bed != NULL && i < bed->nprocesses; i++)
		add_pid(pids, roles, &n, bed->process[i].pid, bed->process[i].role);
	f->counted = cuts_in(f, f->noise) && flood_count(&f->flood, f->noise_before, &e) == 0;
	f->begun_at = clock_ns();
	f->watch = hostcpu_begin(pids, roles, n);
	// The switch is asked last, for its answer takes a while; how busy it was is a ratio.
	memset(&f->cycles, 0, sizeof(f->cycles));
	f->polls = f->p->path != NULL && f->p->path->cycles != NULL &&
		   f->p->path->cycles(f->p->bed, &f->cycles, &e) == 0;
}

static void end(struct fair *f) {
	struct path_cycles now = {0};
	double count[2], seconds = (double)(clock_ns() - f->begun_at) / 1e9;
	struct err e;

	if (f->counted && flood_count(&f->flood, count, &e) == 0) {
		f->found.noise_sent = (count[0] - f->noise_before[0]) / seconds;
		f->found.noise_received = (count[1] - f->noise_before[1]) / seconds;
	}
	if (f->watch == NULL)
		return;
	f->found.cpu = hostcpu_end(f->watch);
	f->watch = NULL;
	if (f->found.cpu != NULL && f->polls && f->p->path->cycles(f->p->bed, &now, &e) == 0 &&
		now.all > f->cycles.all)
		hostcpu_polled(f->found.cpu, "switch", now.threads,
			(now.moved - f->cycles.moved) / (now.all - f->cycles.all));
}

/* Whatever else takes part must be there to the end. */
static int check(struct fair *f, struct err *e) {
	const struct path_bed *bed = f->p->bed;
	char said[SAID_LEN];

	for (unsigned i = 0; bed != NULL && i < bed->nprocesses; i++)
		if (waitpid(bed->process[i].pid, NULL, WNOHANG) == bed->process[i].pid)
			return err_set(e, EPIPE, "the %s has ended; the last it said: %s",
				bed->process[i].role,
				path_last_words(bed->process[i].role, said, sizeof(said)));
	return flood_check(&f->flood, e);
}

/* Seconds until all is done, negative: nobody knows. */
static double left(const struct fair *f, double of_this) {
	const struct fair_options *o = f->p->o;
	double each = (double)(f->b->time_ns + f->b->omit_ns) / 1e9;
	unsigned kinds = 0;

	if (f->p->ahead == UINT_MAX)
		return -1;
	for (int l = 0; l < FAIR_LOADS; l++)
		for (int n = 0; n < FAIR_NOISES; n++)
			kinds += o->load[l] && o->noise[n];
	return of_this + each * (f->p->ahead + (kinds > f->done ? kinds - f->done - 1 : 0));
}

static int counting(void *arg, enum pair_moment moment, double left_s, struct err *e) {
	struct fair *f = arg;

	if (moment == PAIR_BEGINS)
		begin(f);
	else if (moment == PAIR_OVER)
		end(f);
	bench_progress(f->b, left(f, left_s > 0 ? left_s : 0),
		"fair %s, %u endpoints: %s, noise %s, repeat %u",
		f->p->path != NULL ? f->p->path->name : "", f->p->n, fair_loads[f->load],
		fair_noises[f->noise], f->repeat + 1);
	return check(f, e);
}

/* Reports. */

static void keep_times(struct fair *f, unsigned who, const json_t *v) {
	struct seat *s = &f->seat[who / 2];
	struct pair *p = &f->pair[who / 2];
	uint64_t began = (uint64_t)number(v, "began"), ended = (uint64_t)number(v, "ended");

	if (!agent_here(p->agent[who % 2])) { // its clock is another one
		began = f->begun_at + p->late[who % 2];
		ended = f->begun_at + (uint64_t)(number(v, "seconds") * 1e9);
	}
	s->began = began > s->began ? began : s->began;
	s->ended = ended < s->ended ? ended : s->ended;
}

static void on_report(struct fair *f, unsigned who, const json_t *v, double moved) {
	struct seat *s = &f->seat[who / 2];
	const char *failed = json_string_value(json_object_get(v, "failed"));

	if (number(v, "seconds") > 0)
		s->rate = moved / number(v, "seconds");
	keep_times(f, who, v);
	if (failed != NULL && f->failed[0] == '\0' && who / 2 < f->p->n)
		snprintf(f->failed, sizeof(f->failed), "a flow at %s ended early: %s",
			f->pair[who / 2].name[who % 2], failed);
	if (f->load == FAIR_RR && who / 2 < f->p->n &&
		hist_load(f->latest, json_object_get(v, "latency")) == 0)
		hist_merge(fair_latency(f->figures, f->noise, who / 2), f->latest);
}

/* Who began the talk has said all; whoever it talked to may end. */
static void drain(struct fair *f, unsigned who) {
	struct err e;

	f->left--;
	json_decref(agent_ask(f->pair[who / 2].agent[1], "drain", NULL, &e)); // seen later if gone
}

static bool on_event(void *arg, unsigned who, const json_t *v) {
	struct fair *f = arg;
	const char *what = json_string_value(json_object_get(v, "event"));
	struct seat *s = &f->seat[who / 2];

	if (strcmp(what, "interval") == 0) {
		const char *key = json_object_get(v, "received") ? "received" : "transactions";

		if (json_object_get(v, key) != NULL) {
			s->interval_sum += number(v, key);
			s->intervals++;
		}
	} else if (strcmp(what, "asked") == 0) {
		on_report(f, who, v, number(v, "transactions"));
		drain(f, who);
	} else if (strcmp(what, "sent") == 0) {
		if (json_is_number(json_object_get(v, "rtt")))
			s->rtt = number(v, "rtt");
		drain(f, who);
	} else if (strcmp(what, "received") == 0) {
		on_report(f, who, v, number(v, "bytes") * 8);
		f->left--;
	} else if (strcmp(what, "answered") == 0) {
		f->left--;
	}
	return f->left == 0;
}

/* What all the seats say together. */
static void sum_up(struct fair *f) {
	struct fair_found *o = &f->found;
	uint64_t began = 0, ended = UINT64_MAX, time = 0;

	o->total = o->rtt = 0;
	for (unsigned i = 0; i < f->p->n; i++) {
		struct seat *s = &f->seat[i];

		// Without a report its intervals are all that is known.
		o->rate[i] = !isnan(s->rate)    ? s->rate
			     : s->intervals > 0 ? s->interval_sum / s->intervals
						: NAN;
		o->total += o->rate[i];
		o->rtt += s->rtt / f->p->n;
		began = s->began > began ? s->began : began;
		ended = s->ended < ended ? s->ended : ended;
		if (s->ended > s->began && s->ended - s->began > time)
			time = s->ended - s->began;
	}
	o->overlap = ended > began && time > 0 ? (double)(ended - began) / (double)time : NAN;
	if (f->noise == FAIR_CONNECTIONS)
		o->noise_sent = f->seat[f->p->n].rate;
}

static int run(struct fair *f, struct err *e) {
	int ret;

	for (unsigned i = 0; i <= FAIR_MAX; i++)
		f->seat[i] = (struct seat){.rate = NAN, .rtt = NAN, .ended = UINT64_MAX};
	f->found = (struct fair_found){.noise_sent = NAN, .noise_received = NAN};
	ret = prepare(f, e);
	f->left = 2 * f->n;
	if (ret == 0)
		ret = pair_measure(f->pair, f->n, f->b,
			f->b->time_ns < INTERVAL_NS ? f->b->time_ns : INTERVAL_NS, counting,
			on_event, f, e);
	if (f->watch != NULL)
		end(f);
	flood_end(&f->flood);
	sum_up(f);
	fair_found_add(f->figures, f->load, f->noise, f->repeat, &f->found);
	f->done++;
	if (ret == 0 && f->failed[0] != '\0')
		ret = err_set(e, EIO, "%s", f->failed);
	return ret;
}

/* Each load and noise, once. */
static int measure_all(struct fair *f, struct err *e) {
	const struct fair_options *o = f->p->o;

	f->repeat = f->b->round;
	for (int l = 0; l < FAIR_LOADS; l++)
		for (int n = 0; n < FAIR_NOISES; n++) {
			int ret;

			if (!o->load[l] || !o->noise[n])
				continue;
			if (bench_stopped)
				return err_set(e, ECANCELED, "interrupted");
			f->load = (enum fair_load)l;
			f->noise = (enum fair_noise)n;
			ret = run(f, e);
			if (ret < 0)
				return ret;
		}
	return 0;
}

int fair_measure(struct bench *b, const struct fair_plan *p, struct err *e) {
	struct fair *f = calloc(1, sizeof(*f));
	int ret = -ENOMEM;

	if (f != NULL) {
		f->b = b;
		f->p = p;
		f->figures = fair_figures_new(b, p);
		f->latest = malloc(sizeof(*f->latest));
	}
	if (f == NULL || f->figures == NULL || f->latest == NULL)
		err_set(e, ENOMEM, "no memory");
	else
		ret = open_pairs(f, e);
	if (ret == 0)
		ret = measure_all(f, e);
	for (unsigned i = 0; f != NULL && i < p->n + f->noisy; i++)
		pair_close(&f->pair[i]);
	if (f != NULL) {
		fair_figures_end(f->figures);
		free(f->latest);
	}
	free(f);
	return ret;
}
