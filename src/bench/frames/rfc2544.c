/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/bench.h"
#include "bench/frames/frame_trial.h"
#include "bench/frames/rfc2544.h"
#include "bench/frames/rfc2544_options.h"
#include "bench/frames/search.h"
#include "bench/result.h"

/* `weir bench rfc2544`: the searches of search.h on trials of frame_trial.h, size after size. */

enum { REST_LOOK_US = 20000, TRIES = 3 /* of one trial, when it is spoiled here */ };
#define RANGE_OF_RATES  1000.0 /* the least rate tried is this part of the greatest */
#define FRAMES_AT_LEAST 10.0 /* in the shortest trial of a search */
#define HELD_UP_S       0.002 /* longer gaps of the generator are bursts afterwards */
#define END_GRACE_NS    1000000 /* for the last frames, when the generator is a little behind */

json_t *rfc2544_labels(const struct rfc2544 *s) {
	char text[256];

	snprintf(text, sizeof(text), "%s %s %s", s->o->frames.name[0],
		s->o->frames.both ? "and" : "to", s->o->frames.name[1]);
	return json_pack("{s:s, s:s, s:s, s:s*}", "direction", text, "size", s->size, "preset",
		s->o->label, "load", s->o->frames.both ? "each direction" : NULL);
}

void rfc2544_figure(
	const struct rfc2544 *s, const char *name, const char *unit, const char *better, double v) {
	struct series one = {.n = 1, .v = {v}};

	result_figure(s->b->doc, name, unit, better, rfc2544_labels(s), &one);
}

static void on_progress(void *arg, double left_s) {
	const struct rfc2544 *s = arg;
	char number[32] = "";

	if (s->search != NULL)
		snprintf(number, sizeof(number), ", trial %u", s->search->n + 1);
	if (s->rate > 0)
		bench_progress(s->b, -1, "size %s: %s%s, %.0f frame/s, %.0f s", s->size, s->doing,
			number, s->rate, left_s);
	else
		bench_progress(s->b, -1, "size %s: %s", s->size, s->doing);
}

static int rest(double seconds, struct err *e) {
	for (double slept = 0; slept < seconds && !bench_stopped; slept += REST_LOOK_US / 1e6)
		usleep(REST_LOOK_US);
	return bench_stopped ? err_set(e, ECANCELED, "interrupted") : 0;
}

/* Were frames lost while we were held up? A generator that was makes up for it in a burst, or does not
 * send all; a sink that was leaves frames lying. Neither says anything about the path. */
static bool spoiled(const struct frame_outcome *o) {
	for (unsigned i = 0; i < 2; i++)
		if (o->at[i].missed > 0)
			return true;
	for (unsigned d = 0; d < o->directions; d++)
		if (o->direction[d].limit == FRAME_LIMIT_TAKEN ||
			o->direction[d].away_max_s > HELD_UP_S)
			return true;
	return false;
}

/* Fills the counts of `out`. */
static int try_once(
	struct rfc2544 *s, const struct frame_trial *t, struct trial *out, struct err *e) {
	int rc = rest(s->o->preset.rest_s, e);

	s->rate = t->rate;
	if (rc == 0)
		rc = frame_trial_run(s->bed, t, s->outcome, e);
	if (rc < 0)
		return rc;
	out->offered = out->sent = out->received = 0;
	for (unsigned d = 0; d < s->outcome->directions; d++) {
		out->offered += s->outcome->direction[d].offered;
		out->sent += s->outcome->direction[d].sent;
		out->received += s->outcome->direction[d].received;
	}
	out->lost = out->offered > out->received ? out->offered - out->received : 0;
	return 0;
}

/* One that was spoiled here is made again; the last try counts, whatever it was. */
int rfc2544_try(struct rfc2544 *s, struct frame_trial *t, struct trial *out, struct err *e) {
	t->shape = &s->shape;
	t->learn_ns = (uint64_t)(s->o->preset.learn_s * 1e9);
	t->settle_ns = (uint64_t)(s->o->preset.wait_s * 1e9);
	t->late_ns = s->o->frames.late_ns;
	t->progress = on_progress;
	t->arg = s;
	for (unsigned tries = 1;; tries++) {
		int rc = try_once(s, t, out, e);

		if (rc < 0)
			return rc;
		if (t->rate == 0 || out->lost == 0 || !spoiled(s->outcome))
			return 0;
		if (tries == TRIES) {
			s->kept++;
			return 0;
		}
		s->again++;
	}
}

/* A trial of search.h. With frames in both directions the rate is that of each, and the counts are
 * those of both (RFC 9971, "Trial Load" and "Trial Forwarding Ratio"). */
int rfc2544_trial(void *arg, double rate, double seconds, struct trial *out, struct hist *latency,
	struct err *e) {
	struct rfc2544 *s = arg;
	struct frame_trial t = {
		.rate = rate,
		.frames = rate > 0 ? (uint64_t)fmax(1, round(rate * seconds)) : 0,
		.time_ns = (uint64_t)(seconds * 1e9) + (rate > 0 ? END_GRACE_NS : 0),
	};
	int rc;

	*out = (struct trial){.rate = rate, .seconds = seconds};
	rc = rfc2544_try(s, &t, out, e);
	if (rc < 0)
		return rc;
	for (unsigned d = 0; latency != NULL && d < s->outcome->directions; d++) {
		hist_merge(latency, &s->outcome->direction[d].latency);
		frame_options_warn_early(
			s->b->doc, s->o->frames.name[d], &s->outcome->direction[d]);
	}
	return 0;
}

static void warn_spoiled(struct rfc2544 *s) {
	if (s->again > 0)
		result_warn(s->b->doc,
			"size %s: %u trials lost frames while the generator or the sink was held "
			"up, and "
			"were made again%s",
			s->size, s->again,
			s->kept > 0
				? "; some were so each time and count: what was found is too low"
				: "");
	s->again = s->kept = 0;
}

/* The greatest rate: as given, or of what the slower of the endpoints takes when nothing is held back.
 * The trial before is warm-up. */
static int find_max(struct rfc2544 *s, struct err *e) {
	const struct frame_options *f = &s->o->frames;
	struct trial t;
	double most = INFINITY;
	int rc = 0;

	s->max = f->rate_percent ? 0 : f->rate_value;
	s->doing = "warming up";
	if (s->b->omit_ns > 0)
		rc = rfc2544_trial(s, s->max, (double)s->b->omit_ns / 1e9, &t, NULL, e);
	if (rc < 0 || s->max > 0)
		return rc;
	s->doing = "finding the greatest rate";
	rc = rfc2544_trial(s, 0, FRAME_FULL_NS / 1e9, &t, NULL, e);
	for (unsigned d = 0; rc == 0 && d < s->outcome->directions; d++) {
		const struct frame_count *c = &s->outcome->direction[d];

		if (c->sent == 0)
			return err_set(e, EIO, "%s takes no frames", f->name[d]);
		most = fmin(most, (double)c->sent / c->seconds);
	}
	s->max = most * (f->rate_percent ? f->rate_value / 100 : 1);
	return rc;
}

static json_t *positive(double v) {
	return v > 0 ? json_real(v) : json_null();
}

/* What was searched for, in the words of RFC 9971, and between which bounds it lies. */
static void tell_goal(
	const struct rfc2544 *s, const struct search *x, bool conditional, json_t *entry) {
	const struct preset *p = &s->o->preset;
	const struct goal *g = &x->goal;
	json_t *changed = json_array();

	if (entry == NULL)
		return;
	for (unsigned i = 0; i < s->o->nchanged; i++)
		json_array_append_new(changed, json_string(s->o->changed[i]));
	json_object_set_new(entry, "lower", positive(x->lower));
	json_object_set_new(entry, "upper", positive(x->upper));
	json_object_set_new(entry, "conditional", positive(x->throughput));
	json_object_set_new(entry, "goal",
		json_pack("{s:s, s:o, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:s, s:s, s:f, s:f, "
			  "s:f}",
			"preset", p->name, "changed", changed, "loss_ratio", g->loss,
			"exceed_ratio", g->exceed, "initial_trial_duration", g->initial_s,
			"final_trial_duration", g->final_s, "duration_sum", g->sum_s, "width",
			g->width, "min_load", x->min, "max_load", x->max, "load",
			s->o->frames.both ? "each direction" : "one direction", "result",
			conditional ? "conditional throughput" : "relevant lower bound",
			"learn_wait", p->learn_s, "wait", p->wait_s, "rest", p->rest_s));
}

double rfc2544_found(
	const struct rfc2544 *s, const struct search *x, const char *name, bool conditional) {
	double found = conditional ? x->throughput : x->lower;

	tell_goal(s, x, conditional,
		result_search(
			s->b->doc, name, "frame/s", rfc2544_labels(s), x->trials, x->n, found));
	return found;
}

struct search rfc2544_search(struct rfc2544 *s) {
	return (struct search){
		.goal = s->o->preset.goal,
		.min = fmin(s->max, fmax(s->max / RANGE_OF_RATES,
					    FRAMES_AT_LEAST / s->o->preset.goal.initial_s)),
		.max = s->max,
		.fn = rfc2544_trial,
		.arg = s,
	};
}

static int search_once(struct bench *b, unsigned i, void *arg, struct err *e) {
	struct rfc2544 *s = arg;
	struct search x = rfc2544_search(s);
	char remark[256];
	double found;
	int rc;

	s->doing = "throughput";
	s->search = &x;
	rc = search_run(&x, e);
	s->search = NULL;
	found = rfc2544_found(s, &x, "throughput", s->o->preset.conditional);
	if (rc == 0) {
		series_add(&s->found, found);
		series_add(&s->lower, x.lower);
		series_add(&s->conditional, x.throughput);
		series_add(&s->bits, found * frame_shape_mean(&s->shape) * 8);
		if (x.upper > 0)
			series_add(&s->upper, x.upper);
		if (search_remark(&x, remark, sizeof(remark)))
			result_warn(b->doc, "size %s: %s", s->size, remark);
	}
	search_fini(&x);
	return rc;
}

static bool narrow(void *arg, double fraction) {
	const struct rfc2544 *s = arg;

	return series_narrow(&s->found, fraction);
}

static int throughput(struct rfc2544 *s, struct err *e) {
	json_t *doc = s->b->doc;
	int rc;

	s->lower.n = s->upper.n = s->conditional.n = s->found.n = s->bits.n = 0;
	rc = bench_repeat(s->b, search_once, narrow, s, e);
	result_figure(doc, "throughput", "frame/s", "more", rfc2544_labels(s), &s->found);
	result_figure(doc, "throughput in bits", "bit/s", "more", rfc2544_labels(s), &s->bits);
	result_figure(doc, "relevant lower bound", "frame/s", "more", rfc2544_labels(s), &s->lower);
	result_figure(doc, "conditional throughput", "frame/s", "more", rfc2544_labels(s),
		&s->conditional);
	result_figure(
		doc, "least rate that failed", "frame/s", "more", rfc2544_labels(s), &s->upper);
	s->throughput = series_median(&s->found);
	return rc;
}

static const struct {
	enum rfc2544_procedure which;
	bool wants_throughput;
	int (*run)(struct rfc2544 *s, struct err *e);
} procedures[] = {
	{RFC2544_THROUGHPUT, false, throughput},
	{RFC2544_LATENCY, true, rfc2544_latency},
	{RFC2544_LOADS, true, rfc2544_loads},
	{RFC2544_LOSS, false, rfc2544_loss},
	{RFC2544_BURST, true, rfc2544_burst},
	{RFC2544_RECOVERY, true, rfc2544_recovery},
};

static int measure_size(struct rfc2544 *s, struct err *e) {
	int rc = frame_shape_size(&s->shape, s->size, e);

	s->throughput = 0;
	if (rc == 0)
		rc = find_max(s, e);
	for (unsigned i = 0; i < sizeof(procedures) / sizeof(procedures[0]) && rc == 0; i++)
		if ((s->o->procedures & procedures[i].which) != 0 &&
			(!procedures[i].wants_throughput || s->throughput > 0))
			rc = procedures[i].run(s, e);
	warn_spoiled(s);
	return rc;
}

static int measure(struct rfc2544 *s, struct err *e) {
	const struct frame_options *f = &s->o->frames;
	int rc = frame_options_open(f, s->b, &s->bed, &s->shape, e);

	for (unsigned i = 0; i < f->nsizes && rc == 0; i++) {
		s->size = f->size[i];
		rc = measure_size(s, e);
	}
	if (s->bed != NULL)
		frame_bed_close(s->bed);
	return rc;
}

static int run(struct bench *b, int argc, char **argv, struct err *e) {
	struct rfc2544_options o;
	struct rfc2544 *s;
	int rc = rfc2544_options_parse(&o, argc, argv, b->time_given ? b->time_ns : 0, e);

	if (rc < 0)
		return rc;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(e, ENOMEM, "out of memory");
	s->b = b;
	s->o = &o;
	s->outcome = malloc(sizeof(*s->outcome));
	rc = s->outcome != NULL ? measure(s, e) : err_set(e, ENOMEM, "out of memory");
	free(s->outcome);
	free(s);
	return rc;
}

const struct instrument bench_rfc2544 = {
	.name = "rfc2544",
	.args = "A B [--preset NAME] [--size SIZE,...] [--procedure NAME,...] [...]",
	.brief = "search the throughput from A to B, and latency, loss, bursts and recovery around "
		 "it",
	.help = "\nA and B are endpoints as for 'weir bench frames'.\n\n"
		"  --preset NAME     what counts as throughput, and how long trials are (quick):\n"
		"      quick         no loss in two of three trials of 1 s: for a look\n"
		"      rfc2544       no loss in 60 s (RFC 2544)\n"
		"      tst009        the same, but a lossy trial is tried again (ETSI NFV-TST "
		"009)\n"
		"      csit-ndr      no loss in half of 21 trials of 1 s; as FD.io CSIT it reports "
		"what\n"
		"                    was delivered there, the conditional throughput of RFC 9971\n"
		"      csit-pdr      the same with at most 0.5 % lost\n"
		"  --procedure NAME,...\n"
		"      throughput    the greatest rate that passes; always found (the only one)\n"
		"      latency       at that rate\n"
		"      loads         latency at 10, 50 and 90 % of it\n"
		"      loss          at the greatest rate and steps of a tenth below\n"
		"      burst         back-to-back frames, and the buffer they show (RFC 9004)\n"
		"      recovery      from 110 % of it to the last frame lost at half of that\n"
		"  --size SIZE,...   bytes without FCS, 60 to 9018, or imix (60); by the book:\n"
		"                    60,124,252,508,1020,1276,1514\n"
		"  --max-rate RATE   the greatest rate offered, frames/s in each direction "
		"(20000,\n"
		"                    50k, 1.5M), max, or 40% of what max gives (max)\n"
		"  --burst-max 2s    the longest burst tried (by preset)\n"
		"  --burst-step N    frames, the least difference of two bursts (1)\n"
		"  --both            also from B to A\n"
		"  --flows N         of UDP in IPv4, in each direction (as many as MACs)\n"
		"  --macs N          at each end (1)\n"
		"  --cpus 2,3        a generator on each of these CPUs (one, anywhere)\n"
		"  --sink-cpus 1     a sink on each, one or two (one a direction, anywhere)\n"
		"  --wait 2s         after each trial, for what is still on its way (by preset)\n"
		"  --learn-wait 2s   before each trial, after the learning frames (by preset)\n"
		"\nWith --both every rate is that of each direction, not of both together.\n"
		"What was not sent counts as lost. --repeat repeats the search for throughput. "
		"--time is\n"
		"the length of the decisive trials, and of those of the other procedures but "
		"burst,\n"
		"instead of what the preset says; the label 'preset' then says so.\n",
	.run = run,
};
