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
#include "bench/frames/rfc2544_options.h"
#include "bench/frames/search.h"
#include "bench/result.h"

/* `weir bench rfc2544`: the searches of search.h on trials of frame_trial.h, size after size. */

enum { REST_LOOK_US = 20000, TRIES = 3 /* of one trial, when it is spoiled here */ };
#define RANGE_OF_RATES  1000.0 /* the least rate tried is this part of the greatest */
#define FRAMES_AT_LEAST 10.0 /* in the shortest trial of a search */
#define HELD_UP_S       0.002 /* longer gaps of the generator are bursts afterwards */
#define STILL_LOSING    0.9 /* of the time after an overload: frames lost later were not its last */
#define END_GRACE_NS    1000000 /* for the last frames, when the generator is a little behind */

struct session {
	struct bench *b;
	const struct rfc2544_options *o;
	struct frame_bed *bed;
	struct frame_shape shape;
	const char *size; /* as given */
	double max; /* frames/s */
	struct frame_outcome *outcome; /* of the last trial; large */
	const char *doing; /* for the progress line */
	double rate; /* of the trial under way */
	const struct search *search; /* it belongs to; NULL: none */
	struct series lower, upper, delivered, bits;
	double throughput; /* frames/s: the median of `lower` */
	unsigned overloads; /* falls in which something was lost */
	unsigned again,
		kept; /* spoiled trials that were made again; those that count all the same */
};

static json_t *labels(const struct session *s) {
	char text[256];

	snprintf(text, sizeof(text), "%s %s %s", s->o->frames.name[0],
		s->o->frames.both ? "and" : "to", s->o->frames.name[1]);
	return json_pack(
		"{s:s, s:s, s:s}", "direction", text, "size", s->size, "preset", s->o->preset.name);
}

static void figure(
	const struct session *s, const char *name, const char *unit, const char *better, double v) {
	struct series one = {.n = 1, .v = {v}};

	result_figure(s->b->doc, name, unit, better, labels(s), &one);
}

static void on_progress(void *arg, double left_s) {
	const struct session *s = arg;
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
	struct session *s, const struct frame_trial *t, struct trial *out, struct err *e) {
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
static int try(struct session *s, struct frame_trial *t, struct trial *out, struct err *e) {
	t->shape = &s->shape;
	t->settle_ns = s->o->wait_ns;
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
static int trial(void *arg, double rate, double seconds, struct trial *out, struct hist *latency,
	struct err *e) {
	struct session *s = arg;
	struct frame_trial t = {
		.rate = rate,
		.frames = rate > 0 ? (uint64_t)fmax(1, round(rate * seconds)) : 0,
		.time_ns = (uint64_t)(seconds * 1e9) + (rate > 0 ? END_GRACE_NS : 0),
	};
	int rc;

	*out = (struct trial){.rate = rate, .seconds = seconds};
	rc = try(s, &t, out, e);
	if (rc < 0)
		return rc;
	for (unsigned d = 0; latency != NULL && d < s->outcome->directions; d++) {
		hist_merge(latency, &s->outcome->direction[d].latency);
		frame_options_warn_early(
			s->b->doc, s->o->frames.name[d], &s->outcome->direction[d]);
	}
	return 0;
}

static void warn_spoiled(struct session *s) {
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
static int find_max(struct session *s, struct err *e) {
	const struct frame_options *f = &s->o->frames;
	struct trial t;
	double most = INFINITY;
	int rc = 0;

	s->max = f->rate_percent ? 0 : f->rate_value;
	s->doing = "warming up";
	if (s->b->omit_ns > 0)
		rc = trial(s, s->max, (double)s->b->omit_ns / 1e9, &t, NULL, e);
	if (rc < 0 || s->max > 0)
		return rc;
	s->doing = "finding the greatest rate";
	rc = trial(s, 0, FRAME_FULL_NS / 1e9, &t, NULL, e);
	for (unsigned d = 0; rc == 0 && d < s->outcome->directions; d++) {
		const struct frame_count *c = &s->outcome->direction[d];

		if (c->sent == 0)
			return err_set(e, EIO, "%s takes no frames", f->name[d]);
		most = fmin(most, (double)c->sent / c->seconds);
	}
	s->max = most * (f->rate_percent ? f->rate_value / 100 : 1);
	return rc;
}

static int search_once(struct bench *b, unsigned i, void *arg, struct err *e) {
	struct session *s = arg;
	struct search x = {
		.goal = s->o->preset.goal,
		.min = fmin(s->max, fmax(s->max / RANGE_OF_RATES,
					    FRAMES_AT_LEAST / s->o->preset.goal.initial_s)),
		.max = s->max,
		.fn = trial,
		.arg = s,
	};
	char remark[256];
	int rc;

	s->doing = "throughput";
	s->search = &x;
	rc = search_run(&x, e);
	s->search = NULL;
	result_search(b->doc, "throughput", "frame/s", labels(s), x.trials, x.n, x.lower);
	if (rc == 0) {
		series_add(&s->lower, x.lower);
		series_add(&s->delivered, x.throughput);
		series_add(&s->bits, x.lower * frame_shape_mean(&s->shape) * 8);
		if (x.upper > 0)
			series_add(&s->upper, x.upper);
		if (search_remark(&x, remark, sizeof(remark)))
			result_warn(b->doc, "size %s: %s", s->size, remark);
	}
	search_fini(&x);
	return rc;
}

static bool narrow(void *arg, double fraction) {
	const struct session *s = arg;

	return series_narrow(&s->lower, fraction);
}

static int throughput(struct session *s, struct err *e) {
	json_t *doc = s->b->doc;
	int rc;

	s->lower.n = s->upper.n = s->delivered.n = s->bits.n = 0;
	rc = bench_repeat(s->b, search_once, narrow, s, e);
	result_figure(doc, "throughput", "frame/s", "more", labels(s), &s->lower);
	result_figure(doc, "throughput in bits", "bit/s", "more", labels(s), &s->bits);
	result_figure(doc, "delivered at throughput", "frame/s", "more", labels(s), &s->delivered);
	result_figure(doc, "least rate that failed", "frame/s", "more", labels(s), &s->upper);
	s->throughput = series_median(&s->lower);
	return rc;
}

/* RFC 2544 section 26.2, of all frames instead of one in the middle of each trial. */
static int latency(struct session *s, struct err *e) {
	struct hist *all = malloc(2 * sizeof(*all)), *from_due = all + 1;
	struct series mean = {.n = 0};
	int rc = 0;

	if (all == NULL)
		return err_set(e, ENOMEM, "out of memory");
	hist_reset(all);
	hist_reset(from_due);
	s->doing = "latency";
	for (unsigned i = 0; i < s->o->preset.latency_times && rc == 0; i++) {
		double sum = all->sum, count = (double)all->count;
		struct trial t;

		rc = trial(s, s->throughput, s->o->preset.latency_s, &t, all, e);
		if (rc == 0 && (double)all->count > count)
			series_add(&mean, (all->sum - sum) / ((double)all->count - count) / 1e9);
		for (unsigned d = 0; rc == 0 && d < s->outcome->directions; d++)
			hist_merge(from_due, &s->outcome->direction[d].from_due);
	}
	result_figure(s->b->doc, "mean latency at throughput", "s", "less", labels(s), &mean);
	result_latency(s->b->doc, "at throughput", "sent", labels(s), all);
	result_latency(s->b->doc, "at throughput, from due time", "open", labels(s), from_due);
	free(all);
	return rc;
}

static int loss(struct session *s, struct err *e) {
	struct trial t[LOSS_TRIALS];
	unsigned n;
	double none = 0;
	int rc;

	s->doing = "frame loss rate";
	rc = search_loss(&s->o->preset, s->max, trial, s, t, &n, e);
	for (unsigned i = n; i-- > 0 && t[i].pass;)
		none = t[i].rate;
	for (unsigned i = 0; i < n; i++) {
		char name[64];

		snprintf(name, sizeof(name), "frame loss at %.0f %%", t[i].rate / s->max * 100);
		figure(s, name, "", "less", trial_loss(&t[i]));
	}
	result_search(s->b->doc, "frame loss rate", "frame/s", labels(s), t, n, none);
	return rc;
}

static int burst(struct session *s, struct err *e) {
	struct burst found;
	int rc;

	s->doing = "back-to-back frames";
	rc = search_burst(&s->o->preset, s->max, s->throughput, trial, s, &found, e);
	if (rc == -EINVAL) {
		result_warn(s->b->doc, "size %s: %s", s->size, e->text);
		return 0;
	}
	if (rc < 0)
		return rc;
	if (found.unbounded)
		result_warn(s->b->doc,
			"size %s: the longest burst tried, %.3g s, lost nothing: the buffer is "
			"greater "
			"than what back-to-back frames found",
			s->size, s->o->preset.burst_s);
	figure(s, "back-to-back frames", "", "more", found.frames);
	figure(s, "buffer, corrected, in frames", "", "more", found.corrected_frames);
	figure(s, "buffer, corrected, in time", "s", "more", found.corrected_s);
	return 0;
}

/* A fall of search.h: of both directions, the one that recovered later. */
static int fall(void *arg, double high, double high_s, double low, double low_s, double *last_loss,
	struct err *e) {
	struct session *s = arg;
	struct frame_trial t = {
		.rate = high,
		.time_ns = (uint64_t)(high_s * 1e9),
		.then_rate = low,
		.then_ns = (uint64_t)(low_s * 1e9),
	};
	struct trial sum;
	int rc = try(s, &t, &sum, e);

	*last_loss = 0;
	if (rc < 0)
		return rc;
	s->overloads += sum.lost > 0;
	for (unsigned d = 0; d < s->outcome->directions; d++)
		*last_loss = fmax(*last_loss, s->outcome->direction[d].lost_until_s);
	if (*last_loss > low_s * STILL_LOSING)
		*last_loss = low_s;
	return 0;
}

static int recovery(struct session *s, struct err *e) {
	const struct preset *p = &s->o->preset;
	double seconds[RECOVERY_TIMES];
	struct series found = {.n = 0};
	unsigned never = 0;
	int rc;

	s->doing = "system recovery";
	s->overloads = 0;
	rc = search_recovery(p, s->max, s->throughput, fall, s, seconds, e);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < p->recovery_times; i++) {
		series_add(&found, seconds[i]);
		never += seconds[i] == p->relief_s;
	}
	if (s->overloads == 0)
		result_warn(s->b->doc,
			"size %s: %.6g frame/s for %.3g s lost nothing: there was no overload to "
			"recover from",
			s->size, fmin(s->max, s->throughput * RECOVERY_OVERLOAD), p->overload_s);
	if (never > 0)
		result_warn(s->b->doc,
			"size %s: it still lost frames %.3g s after the overload, %u of %u times: "
			"recovery takes that long or longer",
			s->size, p->relief_s, never, p->recovery_times);
	result_figure(s->b->doc, "recovery from overload", "s", "less", labels(s), &found);
	return 0;
}

static const struct {
	enum rfc2544_procedure which;
	bool wants_throughput;
	int (*run)(struct session *s, struct err *e);
} procedures[] = {
	{RFC2544_THROUGHPUT, false, throughput},
	{RFC2544_LATENCY, true, latency},
	{RFC2544_LOSS, false, loss},
	{RFC2544_BURST, true, burst},
	{RFC2544_RECOVERY, true, recovery},
};

static int measure_size(struct session *s, struct err *e) {
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

static int measure(struct session *s, struct err *e) {
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
	struct session *s;
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
		"      csit-ndr      no loss in half of 21 trials of 1 s (FD.io CSIT)\n"
		"      csit-pdr      at most 0.5 % lost in half of 21 trials of 1 s (FD.io CSIT)\n"
		"  --procedure NAME,...\n"
		"      throughput    the greatest rate that passes; always found (the only one)\n"
		"      latency       at that rate\n"
		"      loss          at the greatest rate and steps of a tenth below\n"
		"      burst         back-to-back frames, and the buffer they show (RFC 9004)\n"
		"      recovery      from 110 % of it to the last frame lost at half of that\n"
		"  --size SIZE,...   bytes without FCS, 60 to 9018, or imix (60); by the book:\n"
		"                    60,124,252,508,1020,1276,1514\n"
		"  --max-rate RATE   the greatest rate offered, frames/s in each direction "
		"(20000,\n"
		"                    50k, 1.5M), max, or 40% of what max gives (max)\n"
		"  --both            also from B to A\n"
		"  --flows N         of UDP in IPv4, in each direction (as many as MACs)\n"
		"  --macs N          at each end (1)\n"
		"  --cpus 2,3        a generator on each of these CPUs (one, anywhere)\n"
		"  --sink-cpus 1     a sink on each, one or two (one a direction, anywhere)\n"
		"  --wait 2s         after each trial, for what is still on its way (by preset)\n"
		"\nWhat was not sent counts as lost. --repeat repeats the search for throughput. "
		"--time is\n"
		"the length of the decisive trials, and of those of the other procedures but "
		"burst,\n"
		"instead of what the preset says.\n",
	.run = run,
};
