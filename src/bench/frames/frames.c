/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/bench.h"
#include "bench/frames/frame_options.h"
#include "bench/frames/frame_trial.h"
#include "bench/hostcpu.h"
#include "bench/result.h"

/* `weir bench frames`: trials of one rate, size after size. */

/* What the repeats of one size gave. The names are those of the figures. */
enum figure {
	OFFERED,
	SENT,
	RECEIVED,
	BITS,
	LOSS,
	N_OFFERED,
	N_SENT,
	N_RECEIVED,
	N_LOST,
	N_DUPLICATED,
	N_REORDERED,
	N_LATE,
	N_EARLY,
	FIGURES
};
static const struct {
	const char *name, *unit, *better;
} figures[FIGURES] = {
	[OFFERED] = {"offered", "frame/s", ""},
	[SENT] = {"sent", "frame/s", "more"},
	[RECEIVED] = {"received", "frame/s", "more"},
	[BITS] = {"received bits", "bit/s", "more"},
	[LOSS] = {"loss of what was offered", "", "less"},
	[N_OFFERED] = {"frames offered", "", ""},
	[N_SENT] = {"frames sent", "", ""},
	[N_RECEIVED] = {"frames received", "", ""},
	[N_LOST] = {"frames lost", "", "less"},
	[N_DUPLICATED] = {"frames duplicated", "", "less"},
	[N_REORDERED] = {"frames reordered", "", "less"},
	[N_LATE] = {"frames late", "", "less"},
	[N_EARLY] = {"frames of negative latency", "", ""},
};

enum arrival { ARRIVED, FOREIGN, ASTRAY, MISSED, LEARN_SENT, LEARN_RECEIVED, ARRIVALS };
static const char *const arrivals[ARRIVALS] = {
	[ARRIVED] = "frames arrived",
	[FOREIGN] = "foreign frames",
	[ASTRAY] = "frames astray",
	[MISSED] = "frames missed by the sink",
	[LEARN_SENT] = "learning frames sent",
	[LEARN_RECEIVED] = "learning frames received",
};

struct session {
	struct bench *b;
	const struct frame_options *o;
	struct frame_bed *bed;
	struct frame_shape shape;
	const char *size; /* as given */
	double rate; /* frames/s; 0: max */
	char rate_label[128]; /* of what a percentage is one */
	unsigned repeat; /* for the progress line */
	struct hostcpu *cpu; /* of the measurement under way */
	json_t *cost; /* of the last one */
	struct series series[2][FIGURES], arrival[2][ARRIVALS];
	struct hist latency[2], from_due[2];
};

static json_t *labels(const struct session *s, unsigned direction) {
	char text[256];

	snprintf(text, sizeof(text), "%s to %s", s->o->name[direction], s->o->name[!direction]);
	return json_pack(
		"{s:s, s:s, s:s}", "direction", text, "size", s->size, "rate", s->rate_label);
}

static void add_direction(struct session *s, unsigned d, const struct frame_count *c) {
	double t = c->seconds > 0 ? c->seconds : 1, offered = (double)c->offered;
	const double v[FIGURES] = {
		[OFFERED] = offered / t,
		[SENT] = (double)c->sent / t,
		[RECEIVED] = (double)c->received / t,
		[BITS] = (double)c->received / t * frame_shape_mean(&s->shape) * 8,
		[LOSS] = offered > 0 ? 1 - (double)c->received / offered : NAN,
		[N_OFFERED] = offered,
		[N_SENT] = (double)c->sent,
		[N_RECEIVED] = (double)c->received,
		[N_LOST] = (double)c->lost,
		[N_DUPLICATED] = (double)c->duplicated,
		[N_REORDERED] = (double)c->reordered,
		[N_LATE] = (double)c->late,
		[N_EARLY] = (double)c->early,
	};

	for (int i = 0; i < FIGURES; i++)
		if (!isnan(v[i]))
			series_add(&s->series[d][i], v[i]);
	hist_merge(&s->latency[d], &c->latency);
	hist_merge(&s->from_due[d], &c->from_due);
}

static void add_arrivals(struct session *s, unsigned i, const struct frame_arrivals *at) {
	const double v[ARRIVALS] = {
		[ARRIVED] = (double)at->total,
		[FOREIGN] = (double)at->foreign,
		[ASTRAY] = (double)at->astray,
		[MISSED] = (double)at->missed,
		[LEARN_SENT] = (double)at->learning_sent,
		[LEARN_RECEIVED] = (double)at->learning,
	};

	for (int k = 0; k < ARRIVALS; k++)
		series_add(&s->arrival[i][k], v[k]);
}

#define LOSS_HIGH 0.01 /* of what was sent: a rate that was to be an easy one is none */

/* What a reader must know of one direction before believing it. */
static void warn_direction(struct session *s, unsigned d, const struct frame_count *c) {
	json_t *doc = s->b->doc;
	const char *from = s->o->name[d];
	double t = c->seconds > 0 ? c->seconds : 1;

	switch (c->limit) {
	case FRAME_HELD:
		break;
	case FRAME_LIMIT_PORT:
		if (s->rate > 0)
			result_warn(doc,
				"%s took no more than %.4g of %.4g frame/s at size %s: what was "
				"not "
				"sent counts as lost",
				from, (double)c->sent / t, s->rate, s->size);
		break;
	case FRAME_LIMIT_CPU:
		result_warn(doc,
			"the generator was the limit: %s took all that it made at size %s; give it "
			"more CPUs with --cpus",
			from, s->size);
		break;
	case FRAME_LIMIT_TAKEN:
		result_warn(doc,
			"the generator did not hold the rate from %s: its CPU was taken away for "
			"%.3g of %.3g s, up to %.3g ms at a time",
			from, c->away_s, c->seconds, c->away_max_s * 1e3);
		break;
	}
	frame_options_warn_early(doc, from, c);
	if (s->o->rate_percent && (double)c->lost > (double)c->sent * LOSS_HIGH)
		result_warn(doc,
			"--rate %s is of what %s takes, %.4g frame/s, and the path lost %.3g %% of "
			"it at "
			"size %s: latency at a part of what the path carries is found by 'weir "
			"bench "
			"rfc2544 --procedure loads'",
			s->o->rate, s->o->name[0], s->rate, (double)c->lost / (double)c->sent * 100,
			s->size);
	if (c->unknown > 0)
		result_warn(doc,
			"%llu frames from %s came so late that they may be copies; they count as "
			"received",
			(unsigned long long)c->unknown, from);
}

enum { SINK_AWAY_MS = 1 };

static void warn_arrivals(struct session *s, unsigned i, const struct frame_arrivals *at) {
	json_t *doc = s->b->doc;

	if (at->missed > 0)
		result_warn(doc,
			"the sink was the limit: %s had frames that it did not take in time (%llu "
			"in "
			"one trial)",
			s->o->name[i], (unsigned long long)at->missed);
	if (at->astray > 0)
		result_warn(
			doc, "frames came back to %s, from where they were sent", s->o->name[i]);
	if (at->away_max_s * 1e3 > SINK_AWAY_MS)
		result_warn(doc,
			"the CPU of the sink was taken away for more than %d ms at a time: "
			"latencies "
			"hold that",
			SINK_AWAY_MS);
}

static void on_progress(void *arg, double left_s) {
	const struct session *s = arg;

	if (s->repeat == 0)
		bench_progress(s->b, left_s, "size %s: warming up", s->size);
	else
		bench_progress(s->b, left_s, "size %s: measurement %u", s->size, s->repeat);
}

static void on_sending(void *arg, bool begins) {
	struct session *s = arg;
	static const char *const role = "frames";
	pid_t self = getpid();

	if (begins)
		s->cpu = hostcpu_begin(&self, &role, 1);
	else if (s->cpu != NULL)
		s->cost = hostcpu_end(s->cpu);
	if (!begins)
		s->cpu = NULL;
}

/* What the host spent on what arrived. */
static void add_cost(struct session *s, const struct frame_outcome *out) {
	double frames = 0;

	if (s->cost == NULL)
		return;
	for (unsigned d = 0; d < out->directions; d++)
		frames += (double)out->direction[d].received;
	hostcpu_spun_frames(s->cost);
	hostcpu_per(s->cost, frames * frame_shape_mean(&s->shape) * 8, frames);
	result_cpu(s->b->doc, json_pack("{s:s, s:s}", "size", s->size, "rate", s->rate_label),
		s->cost);
	s->cost = NULL;
}

static int run_trial(struct session *s, double rate, uint64_t time_ns, bool counted,
	struct frame_outcome *out, struct err *e) {
	const struct frame_trial t = {
		.shape = &s->shape,
		.rate = rate,
		.frames = counted ? s->o->frames : 0,
		.time_ns = time_ns,
		.learn_ns = s->o->learn_ns,
		.settle_ns = s->o->wait_ns,
		.late_ns = s->o->late_ns,
		.progress = on_progress,
		.sending = counted ? on_sending : NULL,
		.arg = s,
	};

	return frame_trial_run(s->bed, &t, out, e);
}

static int once(struct bench *b, unsigned i, void *arg, struct err *e) {
	struct session *s = arg;
	struct frame_outcome *out = malloc(sizeof(*out));
	int rc = 0;

	if (out == NULL)
		return err_set(e, ENOMEM, "out of memory");
	s->repeat = 0;
	if (b->omit_ns > 0)
		rc = run_trial(s, s->rate, b->omit_ns, false, out, e);
	s->repeat = i + 1;
	if (rc == 0) {
		rc = run_trial(s, s->rate, b->time_ns, true, out, e);
		// What was counted until an interruption is kept.
		for (unsigned d = 0; d < out->directions; d++) {
			if (out->direction[d].seconds == 0)
				continue;
			add_direction(s, d, &out->direction[d]);
			warn_direction(s, d, &out->direction[d]);
		}
		add_cost(s, out);
		for (unsigned k = 0; k < 2 && out->directions > 0; k++) {
			add_arrivals(s, k, &out->at[k]);
			warn_arrivals(s, k, &out->at[k]);
		}
	}
	free(out);
	return rc;
}

static bool narrow(void *arg, double fraction) {
	const struct session *s = arg;

	for (unsigned d = 0; d < 1u + s->o->both; d++)
		if (!series_narrow(&s->series[d][RECEIVED], fraction))
			return false;
	return true;
}

/* A rate in percent is of what the endpoint takes when nothing is held back. */
static int find_rate(struct session *s, struct err *e) {
	struct frame_outcome *out;
	int rc;

	s->rate = s->o->rate_value;
	snprintf(s->rate_label, sizeof(s->rate_label), "%s%s%s%s", s->o->rate,
		s->o->rate_percent ? " of what " : "", s->o->rate_percent ? s->o->name[0] : "",
		s->o->rate_percent ? " takes" : "");
	if (!s->o->rate_percent)
		return 0;
	out = malloc(sizeof(*out));
	if (out == NULL)
		return err_set(e, ENOMEM, "out of memory");
	s->repeat = 0;
	rc = run_trial(s, 0, FRAME_FULL_NS, false, out, e);
	if (rc == 0 && out->direction[0].sent == 0)
		rc = err_set(e, EIO, "%s takes no frames", s->o->name[0]);
	if (rc == 0)
		s->rate = (double)out->direction[0].sent / out->direction[0].seconds *
			  s->o->rate_value / 100;
	free(out);
	return rc;
}

static void report(struct session *s) {
	json_t *doc = s->b->doc;

	for (unsigned d = 0; d < 1u + s->o->both; d++) {
		for (int i = 0; i < FIGURES; i++)
			result_figure(doc, figures[i].name, figures[i].unit, figures[i].better,
				labels(s, d), &s->series[d][i]);
		result_latency(doc, "frame", "sent", labels(s, d), &s->latency[d]);
		result_latency(doc, "frame, from due time", "open", labels(s, d), &s->from_due[d]);
	}
	for (unsigned i = 0; i < 2; i++)
		for (int k = 0; k < ARRIVALS; k++)
			result_figure(doc, arrivals[k], "", "",
				json_pack("{s:s, s:s, s:s}", "endpoint", s->o->name[i], "size",
					s->size, "rate", s->rate_label),
				&s->arrival[i][k]);
}

static int measure_size(struct session *s, struct err *e) {
	int rc = frame_shape_size(&s->shape, s->size, e);

	memset(s->series, 0, sizeof(s->series));
	memset(s->arrival, 0, sizeof(s->arrival));
	for (unsigned d = 0; d < 2; d++) {
		hist_reset(&s->latency[d]);
		hist_reset(&s->from_due[d]);
	}
	if (rc == 0)
		rc = find_rate(s, e);
	if (rc == 0)
		rc = bench_repeat(s->b, once, narrow, s, e);
	report(s);
	return rc;
}

static int run(struct bench *b, int argc, char **argv, struct err *e) {
	struct frame_options o;
	struct session *s;
	int rc = frame_options_parse(&o, argc, argv, e);

	if (rc < 0)
		return rc;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(e, ENOMEM, "out of memory");
	s->b = b;
	s->o = &o;
	rc = frame_options_open(&o, b, &s->bed, &s->shape, e);
	for (unsigned i = 0; i < o.nsizes && rc == 0; i++) {
		s->size = o.size[i];
		rc = measure_size(s, e);
	}
	if (s->bed != NULL)
		frame_bed_close(s->bed);
	free(s);
	return rc;
}

const struct instrument bench_frames = {
	.name = "frames",
	.args = "A B [--size SIZE,...] [--rate RATE] [--both] [...]",
	.brief = "offer Ethernet frames to A, and find loss, order and latency at B",
	.help = "\nA and B are\n"
		"  if:[NS/]NAME              an interface, by AF_PACKET\n"
		"  tap:[NS/]NAME             the user side of a TAP; made when it is not there\n"
		"  vhost-user:PATH[,server]  a guest of a switch, by virtio-user; server: the "
		"switch\n"
		"                            comes to us, and is waited for\n"
		"  xdp:[NS/]NAME             an interface, by AF_XDP\n"
		"  dpdk:DEVICE               a network card by its PCI address, or as for DPDK's "
		"--vdev\n"
		"\n"
		"  --size SIZE,...   bytes without FCS, 60 to 9018, or imix: 60, 566 and 1514 as 7 "
		"to 4\n"
		"                    to 1; several are measured one after the other (60)\n"
		"  --rate RATE       frames/s in each direction (20000, 50k, 1.5M), max, or 40% of "
		"what\n"
		"                    A takes, whatever the path carries of it (max)\n"
		"  --frames N        at most so many in each direction in one measurement\n"
		"  --both            also from B to A\n"
		"  --flows N         of UDP in IPv4, in each direction (as many as MACs)\n"
		"  --macs N          at each end (1)\n"
		"  --cpus 2,3        a generator on each of these CPUs (one, anywhere)\n"
		"  --sink-cpus 1     a sink on each, one or two (one a direction, anywhere)\n"
		"  --wait 200ms      after the last frame, for what is still on its way\n"
		"  --late 100ms      older frames count as late\n"
		"  --learn-wait 5ms  after the learning frames, before the first that counts\n",
	.run = run,
};
