/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "bench/frames/rfc2544.h"
#include "bench/result.h"

#define STILL_LOSING 0.9 /* of the time after an overload: frames lost later were not its last */

/* Latencies of all trials at one rate, as NAME. Labels tell the rate when it is no throughput. */
static int latency_at(struct rfc2544 *s, double rate, const char *name, struct err *e) {
	struct hist *all = malloc(2 * sizeof(*all)), *from_due;
	struct series mean = {.n = 0};
	char text[96], load[48];
	json_t *labels;
	int rc = 0;

	if (all == NULL)
		return err_set(e, ENOMEM, "out of memory");
	from_due = all + 1;
	hist_reset(all);
	hist_reset(from_due);
	s->doing = "latency";
	for (unsigned i = 0; i < s->o->preset.latency_times && rc == 0; i++) {
		double sum = all->sum, count = (double)all->count;
		struct trial t;

		rc = rfc2544_trial(s, rate, s->o->preset.latency_s, &t, all, e);
		if (rc == 0 && (double)all->count > count)
			series_add(&mean, (all->sum - sum) / ((double)all->count - count) / 1e9);
		for (unsigned d = 0; rc == 0 && d < s->outcome->directions; d++)
			hist_merge(from_due, &s->outcome->direction[d].from_due);
	}
	labels = rfc2544_labels(s);
	snprintf(load, sizeof(load), "%.0f frame/s", rate);
	if (rate != s->throughput)
		json_object_set_new(labels, "rate", json_string(load));
	snprintf(text, sizeof(text), "mean latency %s", name);
	result_figure(s->b->doc, text, "s", "less", json_incref(labels), &mean);
	result_latency(s->b->doc, name, "sent", json_incref(labels), all);
	snprintf(text, sizeof(text), "%s, from due time", name);
	result_latency(s->b->doc, text, "open", labels, from_due);
	free(all);
	return rc;
}

/* RFC 2544 section 26.2, of all frames instead of one in the middle of each trial. */
int rfc2544_latency(struct rfc2544 *s, struct err *e) {
	return latency_at(s, s->throughput, "at throughput", e);
}

/* At the throughput a queue is about to fill. What a path adds when it has room is seen below. */
int rfc2544_loads(struct rfc2544 *s, struct err *e) {
	static const unsigned parts[] = {10, 50, 90}; // percent
	char name[48];
	int rc = 0;

	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]) && rc == 0; i++) {
		double rate = fmax(1, floor(s->throughput * parts[i] / 100));

		snprintf(name, sizeof(name), "at %u %% of throughput", parts[i]);
		rc = latency_at(s, rate, name, e);
	}
	return rc;
}

int rfc2544_loss(struct rfc2544 *s, struct err *e) {
	struct trial t[LOSS_TRIALS];
	unsigned n;
	double none = 0;
	int rc;

	s->doing = "frame loss rate";
	rc = search_loss(&s->o->preset, s->max, rfc2544_trial, s, t, &n, e);
	for (unsigned i = n; i-- > 0 && t[i].pass;)
		none = t[i].rate;
	for (unsigned i = 0; i < n; i++) {
		char name[64];

		snprintf(name, sizeof(name), "frame loss at %.0f %% of the greatest rate",
			t[i].rate / s->max * 100);
		rfc2544_figure(s, name, "", "less", trial_loss(&t[i]));
	}
	result_search(s->b->doc, "frame loss rate", "frame/s", rfc2544_labels(s), t, n, none);
	return rc;
}

/* RFC 9004 takes off what was forwarded at a throughput without any loss. A preset whose goal allows some has
 * found another one. */
static int zero_loss(struct rfc2544 *s, double *found, struct err *e) {
	struct search x = rfc2544_search(s);
	int rc;

	*found = series_median(&s->lower);
	if (x.goal.loss == 0)
		return 0;
	x.goal.loss = 0;
	s->doing = "throughput without loss";
	s->search = &x;
	rc = search_run(&x, e);
	s->search = NULL;
	*found = rfc2544_found(s, &x, "throughput without loss", false);
	if (rc == 0)
		rfc2544_figure(s, "throughput without loss", "frame/s", "more", x.lower);
	search_fini(&x);
	return rc;
}

#define LINE_RATE 0.99 /* of the link's: frames so close are back to back */

/* The rate at which back-to-back frames come: the link's, if the generator holds it. */
static double burst_rate(struct rfc2544 *s) {
	uint64_t link = frame_bed_link(s->bed, 0);
	double theory;

	for (unsigned d = 1; d < 1u + s->o->frames.both; d++)
		link = frame_bed_link(s->bed, d) < link ? frame_bed_link(s->bed, d) : link;
	theory = frame_theoretical((double)link, frame_shape_mean(&s->shape));
	if (link > 0)
		rfc2544_figure(s, "theoretical frame rate", "frame/s", "", theory);
	if (link > 0 && s->max >= theory * LINE_RATE)
		return theory;
	if (link > 0)
		result_warn(s->b->doc,
			"size %s: bursts came at %.6g frame/s, which the generator reaches, and "
			"not at "
			"the %.6g of the link: buffer times are by the former",
			s->size, s->max, theory);
	else
		result_warn(s->b->doc,
			"size %s: there is no link whose theoretical frame rate is known; buffer "
			"times "
			"are by the %.6g frame/s at which bursts came",
			s->size, s->max);
	return s->max;
}

static void tell_bursts(struct rfc2544 *s, const struct burst *found) {
	struct series each = {.n = 0};

	for (unsigned i = 0; i < found->times; i++)
		series_add(&each, found->values[i]);
	if (found->unbounded)
		result_warn(s->b->doc,
			"size %s: the longest burst tried, %.3g s, lost nothing: the buffer is "
			"greater than what back-to-back frames found; raise --burst-max",
			s->size, s->o->preset.burst_s);
	result_figure(s->b->doc, "back-to-back frames", "frame", "more", rfc2544_labels(s), &each);
	rfc2544_figure(s, "longest burst tried", "frame", "", found->longest);
	rfc2544_figure(s, "step of bursts", "frame", "", found->step);
	rfc2544_figure(s, "buffer, corrected, in frames", "frame", "more", found->corrected_frames);
	rfc2544_figure(s, "buffer, corrected, in time", "s", "more", found->corrected_s);
}

int rfc2544_burst(struct rfc2544 *s, struct err *e) {
	struct burst found;
	double throughput;
	int rc = zero_loss(s, &throughput, e);

	if (rc < 0)
		return rc;
	s->doing = "back-to-back frames";
	rc = search_burst(&s->o->preset, s->max, throughput, rfc2544_trial, s, &found, e);
	if (rc == -EINVAL) {
		result_warn(s->b->doc, "size %s: %s", s->size, e->text);
		return 0;
	}
	if (rc < 0)
		return rc;
	search_burst_correct(&found, burst_rate(s), throughput);
	tell_bursts(s, &found);
	return 0;
}

/* A fall of search.h: of both directions, the one that recovered later. */
static int fall(void *arg, double high, double high_s, double low, double low_s, double *last_loss,
	struct err *e) {
	struct rfc2544 *s = arg;
	struct frame_trial t = {
		.rate = high,
		.time_ns = (uint64_t)(high_s * 1e9),
		.then_rate = low,
		.then_ns = (uint64_t)(low_s * 1e9),
	};
	struct trial sum;
	int rc = rfc2544_try(s, &t, &sum, e);

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

int rfc2544_recovery(struct rfc2544 *s, struct err *e) {
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
	result_figure(s->b->doc, "recovery from overload", "s", "less", rfc2544_labels(s), &found);
	return 0;
}
