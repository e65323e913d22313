/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/apart.h"
#include "bench/fair/fair.h"
#include "bench/paths/paths.h"
#include "bench/result.h"

/* `weir bench fair`: many endpoints at once, through one path. Endpoints that are there are measured as they
 * are. Those that it makes are the namespaces or VMs of a path (path.h) in a child process (apart.h): vm1 ...
 * of the path are the endpoints, behind them come, always namespaces, the server, and two that have to do with
 * noise only. */

const struct path *const fair_paths[] = {&path_veth, &path_weir_ns, &path_bridge,
	&path_bridge_vhost, &path_e1000, &path_weir, &path_weir_tap, NULL};
_Static_assert(sizeof(fair_paths) / sizeof(fair_paths[0]) == FAIR_PATHS + 1, "as the header says");

enum { NS_LEN = 24, EXTRA = 3 /* namespaces beside the endpoints */ };
_Static_assert(FAIR_MAX + EXTRA <= PATH_NS_MAX, "a path makes as many namespaces");

/* A bed and the names of what is on it. */
struct made {
	struct fair_plan plan;
	struct paths_plan vms; /* how they boot */
	struct path_bed bed;
	char name[FAIR_MAX + EXTRA][NS_LEN];
};

/* CPUs this process may use, as the kernel reads masks: words of 32 bits, the lowest last. */
static void cpu_mask(char *text, size_t size) {
	size_t used = 0;
	cpu_set_t may;

	CPU_ZERO(&may);
	sched_getaffinity(0, sizeof(may), &may);
	for (int word = CPU_SETSIZE / 32 - 1; word >= 0; word--) {
		unsigned bits = 0;

		for (int i = 0; i < 32; i++)
			bits |= (unsigned)(CPU_ISSET(word * 32 + i, &may) != 0) << i;
		if (used > 0)
			used += (size_t)snprintf(text + used, size - used, ",%08x", bits);
		else if (bits != 0 || word == 0)
			used += (size_t)snprintf(text + used, size - used, "%x", bits);
	}
}

/* Receive packet steering of all that was made: of the bed's own interfaces (those of a bridge) and of each
 * namespace's. */
static int set_rps(const struct fair_plan *p, struct err *e) {
	char mask[CPU_SETSIZE / 4 + CPU_SETSIZE / 32 + 1] = "0", script[sizeof(mask) + 200];

	if (strcmp(p->rps, "on") == 0)
		cpu_mask(mask, sizeof(mask));
	snprintf(script, sizeof(script),
		"for f in /sys/class/net/*/queues/rx-*/rps_cpus; do echo %s >$f || exit 1; done",
		mask);
	for (unsigned i = 0; i <= p->bed->n; i++) {
		char ns[NS_LEN];
		char *argv[] = {"ip", "netns", "exec", ns, "sh", "-c", script, NULL};
		int ret;

		snprintf(ns, sizeof(ns), "vm%u", i);
		ret = path_run(i > 0 ? argv : argv + 4, e);
		if (ret < 0) {
			err_prefix(e, "--rps: ");
			return ret;
		}
	}
	return 0;
}

/* In the child. */
static int measure_made(struct bench *own, void *arg, struct err *e) {
	struct made *m = arg;
	struct fair_plan *p = &m->plan;
	int ret = apart_enter(e);

	bench_progress(own, -1, "fair %s: %u endpoints are made", p->path->name, p->n);
	if (ret == 0)
		ret = p->path->setup(&m->bed, e);
	if (ret == 0 && p->rps != NULL)
		ret = set_rps(p, e);
	if (ret == 0 && p->path->nic != NULL)
		ret = paths_boot(own, p->path, &m->vms, &m->bed, p->guests, e);
	if (ret == 0)
		ret = fair_measure(own, p, e);
	if (ret < 0 && ret != -ECANCELED)
		err_prefix(e, "with %u endpoints: ", p->n);
	if (p->path->nic != NULL)
		paths_end_guests(p->guests, p->n);
	path_end(&m->bed);
	return ret;
}

static bool noisy(const struct fair_options *o) {
	return o->noise[FAIR_FRAMES] || o->noise[FAIR_64B] || o->noise[FAIR_CONNECTIONS];
}

static void name_all(struct made *m) {
	struct fair_plan *p = &m->plan;
	unsigned n = p->n, extra = noisy(p->o) ? EXTRA : 1;

	p->bed = &m->bed;
	m->bed.queues = p->queues;
	if (p->path->nic != NULL) {
		m->bed.n = m->vms.n = n;
		m->bed.ns = extra;
		m->bed.accel = m->vms.accel;
	} else {
		m->bed.n = n + extra;
	}
	for (unsigned i = 0; i < n + extra; i++)
		snprintf(m->name[i], NS_LEN, "%s:vm%u", p->path->nic != NULL && i < n ? "vm" : "ns",
			i + 1);
	for (unsigned i = 0; i < n; i++)
		p->endpoint[i] = m->name[i];
	p->server = m->name[n];
	if (!noisy(p->o))
		return;
	p->noise_from = m->name[n + 1];
	p->noise_to = m->name[n + 2];
}

/* The next of what is to be made: all combinations, endpoints fastest. false: that was the last. */
struct turn {
	unsigned path, queues, rps, n;
};

static bool next_turn(const struct fair_options *o, struct turn *t) {
	bool any = o->rps[0] || o->rps[1];

	for (;;) {
		if (++t->n >= o->nn) {
			t->n = 0;
			if (++t->rps >= (any ? 2 : 1)) {
				t->rps = 0;
				if (++t->queues >= o->nqueues) {
					t->queues = 0;
					if (++t->path >= FAIR_PATHS)
						return false;
				}
			}
		}
		if (o->through[t->path] && (!any || o->rps[t->rps]))
			return true;
	}
}

static unsigned beds_from(const struct fair_options *o, struct turn t) {
	unsigned n = 0;

	while (next_turn(o, &t))
		n++;
	return n;
}

/* Of one bed in one round. */
static unsigned measurements(const struct fair_options *o) {
	unsigned n = 0;

	for (int l = 0; l < FAIR_LOADS; l++)
		for (int k = 0; k < FAIR_NOISES; k++)
			n += o->load[l] && o->noise[k];
	return n;
}

/* What is measured in turn, round by round. A bed that failed is not tried again. */
struct rounds {
	const struct bench *b;
	const struct fair_options *o;
	const struct paths_plan *vms;
	bool failed[FAIR_PATHS][FAIR_LIST_MAX][2][FAIR_LIST_MAX]; // by turn
};

/* That come after this bed, of `beds` in a round. */
static unsigned ahead(const struct rounds *r, unsigned round, unsigned beds, unsigned after) {
	if (r->b->until > 0)
		return UINT_MAX;
	return (after + beds * (r->b->repeat - round - 1)) * measurements(r->o);
}

static const char *const across[] = {"endpoints", "flows", "queues", "rps", "path", NULL};

/* One bed. A failure costs its own figures, only an interruption ends all. */
static int make(struct bench *b, unsigned round, const struct fair_plan *p,
	const struct paths_plan *vms, bool *failed, struct err *e) {
	struct bench own = apart_round(b, round);
	struct made m = {.plan = *p, .vms = *vms};
	char name[64];
	json_t *doc;

	name_all(&m);
	snprintf(name, sizeof(name), "path %s", p->path->name);
	doc = apart_run(&own, name, measure_made, &m, e);
	if (doc == NULL)
		result_incomplete(b->doc, "%s", e->text);
	*failed = doc == NULL || apart_take(b, name, doc, across) < 0;
	json_decref(doc);
	return bench_stopped ? err_set(e, ECANCELED, "interrupted") : 0;
}

/* Leaves what is possible. *vms: does any of it need VMs? */
static int sift(struct bench *b, struct fair_options *o, bool *vms, struct err *e) {
	struct path_bed none = {0};
	struct err why;
	bool some = false;

	for (int i = 0; i < FAIR_PATHS; i++) {
		if (o->through[i] && fair_paths[i]->possible(&none, &why) < 0) {
			o->through[i] = false;
			result_warn(b->doc, "path %s (%s) is not possible here: %s",
				fair_paths[i]->name, fair_paths[i]->brief, why.text);
		}
		some |= o->through[i];
		*vms |= o->through[i] && fair_paths[i]->nic != NULL;
	}
	return some ? 0 : err_set(e, ENODEV, "none of these paths is possible here: %s", why.text);
}

static int make_round(struct bench *b, unsigned round, void *arg, struct err *e) {
	struct rounds *r = arg;
	const struct fair_options *o = r->o;
	struct turn t = {.n = UINT_MAX};
	unsigned beds = beds_from(o, t), done = 0;
	int ret = 0;

	while (ret == 0 && next_turn(o, &t)) {
		bool *failed = &r->failed[t.path][t.queues][t.rps][t.n];
		struct fair_plan p = {.o = o,
			.n = o->n[t.n],
			.queues = o->queues[t.queues],
			.path = fair_paths[t.path],
			.ahead = ahead(r, round, beds, beds_from(o, t))};

		if (*failed)
			continue;
		if (o->rps[0] || o->rps[1])
			p.rps = t.rps == 1 ? "on" : "off";
		ret = make(b, round, &p, r->vms, failed, e);
		done += !*failed;
	}
	if (ret == 0 && done == 0)
		return err_set(e, ENOTRECOVERABLE, "no path is left");
	return ret;
}

static bool narrow(void *arg, double fraction) {
	return result_narrow(((const struct rounds *)arg)->b->doc, fraction);
}

static int make_all(struct bench *b, struct fair_options *o, struct err *e) {
	struct paths_plan vms = {0};
	struct rounds rounds = {.b = b, .o = o, .vms = &vms};
	struct guest_image *image = NULL;
	bool boots = false;
	int ret = sift(b, o, &boots, e);

	if (ret < 0)
		return ret;
	if (boots)
		ret = paths_prepare(b, o->kernel, &vms, &image, e);
	if (ret == 0)
		ret = bench_repeat(b, make_round, narrow, &rounds, e);
	if (ret == -ENOTRECOVERABLE) // each has said why it failed
		ret = 0;
	guest_image_free(image);
	return ret;
}

static int measure_given(struct bench *b, unsigned round, void *arg, struct err *e) {
	struct rounds *r = arg;
	const struct fair_options *o = r->o;
	int ret = 0;

	for (unsigned i = 0; i < o->nn && ret == 0; i++) {
		struct bench own = apart_round(b, round);
		struct fair_plan p = {.o = o,
			.n = o->n[i],
			.server = o->server,
			.ahead = ahead(r, round, o->nn, o->nn - 1 - i)};

		memcpy(p.endpoint, o->endpoint, sizeof(p.endpoint));
		if (noisy(o)) {
			p.noise_from = o->neighbour[0];
			p.noise_to = o->neighbour[1];
		}
		own.doc = apart_doc();
		ret = fair_measure(&own, &p, e);
		apart_take(b, NULL, own.doc, across);
		json_decref(own.doc);
	}
	return ret;
}

static int run(struct bench *b, int argc, char **argv, struct err *e) {
	struct fair_options o = {0};
	int ret = fair_options_parse(&o, argc, argv, e);

	if (ret < 0)
		return ret;
	if (!o.made)
		return bench_repeat(b, measure_given, narrow, &(struct rounds){.b = b, .o = &o}, e);
	if (geteuid() != 0)
		return err_set(e, EPERM, "only root can make network namespaces, TAPs and bridges");
	return make_all(b, &o, e);
}

const struct instrument bench_fair = {
	.name = "fair",
	.args = "ENDPOINT... SERVER|--through LIST [OPTIONS]",
	.brief = "Measure how many endpoints at once share a path, and what a neighbour's noise "
		 "costs them",
	.help = fair_help,
	.run = run,
};
