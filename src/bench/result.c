/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/result.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/err.h"
#include "base/file.h"
#include "bench/frames/search.h"

enum { STARTED_MAX = 40, SENTENCE_MAX = 512 };
#define LOST_WARN 1e-4 /* of all: p99.99 is the last quantile that is told */

static json_t *started_now(void) {
	struct timespec now;
	struct tm tm;
	char text[STARTED_MAX];
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(text, sizeof(text), "%FT%T", &tm);
	snprintf(text + n, sizeof(text) - n, ".%03ldZ", now.tv_nsec / 1000000);
	return json_string(text);
}

json_t *result_new(const char *instrument, int argc, char **argv) {
	static const char *const lists[] = {
		"figures", "latencies", "endpoints", "cpu", "intervals", "searches"};
	json_t *doc = json_object(), *command = json_array();

	json_array_append_new(command, json_string("weir"));
	for (int i = 0; i < argc; i++)
		json_array_append_new(command, json_string(argv[i]));
	json_object_set_new(doc, "schema", json_string("weir-bench"));
	json_object_set_new(doc, "version", json_integer(RESULT_VERSION));
	json_object_set_new(doc, "instrument", json_string(instrument));
	json_object_set_new(doc, "started", started_now());
	json_object_set_new(doc, "seconds", json_real(0));
	json_object_set_new(doc, "command", command);
	json_object_set_new(doc, "complete", json_true());
	json_object_set_new(doc, "why_incomplete", json_null());
	json_object_set_new(doc, "warnings", json_array());
	json_object_set_new(doc, "conditions", json_object());
	for (unsigned i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		json_object_set_new(doc, lists[i], json_array());
	return doc;
}

/* What JSON has no word for (the interval of one value is infinite) is null. */
static json_t *number(double v) {
	return isfinite(v) ? json_real(v) : json_null();
}

static json_t *numbers(const double *v, unsigned n) {
	json_t *a = json_array();

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(a, number(v[i]));
	return a;
}

/* The entry's own place in the document; labels are its. */
static json_t *entry(
	json_t *doc, const char *list, const char *name, const char *unit, json_t *labels) {
	json_t *one = json_object();

	if (name != NULL)
		json_object_set_new(one, "name", json_string(name));
	if (unit != NULL)
		json_object_set_new(one, "unit", json_string(unit));
	json_object_set_new(one, "labels", labels != NULL ? labels : json_object());
	json_array_append_new(json_object_get(doc, list), one);
	return one;
}

static void set_values(json_t *one, const struct series *s) {
	if (isinf(series_max(s)) && s->above > 0)
		json_object_set_new(one, "above", number(s->above));
	json_object_set_new(one, "values", numbers(s->v, s->n));
	json_object_set_new(one, "median", number(series_median(s)));
	json_object_set_new(one, "mean", number(series_mean(s)));
	json_object_set_new(one, "min", number(series_min(s)));
	json_object_set_new(one, "max", number(series_max(s)));
	json_object_set_new(one, "sd", number(series_sd(s)));
	json_object_set_new(one, "ci95", number(series_ci95(s)));
}

void result_figure(json_t *doc, const char *name, const char *unit, const char *better,
	json_t *labels, const struct series *s) {
	json_t *one;

	if (doc == NULL || s->n == 0) {
		json_decref(labels);
		return;
	}
	one = entry(doc, "figures", name, unit, labels);
	json_object_set_new(one, "better", json_string(better));
	set_values(one, s);
}

static void add_values(struct series *s, const json_t *figure) {
	const json_t *above = json_object_get(figure, "above");
	size_t i;
	json_t *v;

	json_array_foreach (json_object_get(figure, "values"), i, v)
		if (json_is_number(v))
			series_add(s, json_number_value(v));
		else if (above != NULL)
			series_add(s, INFINITY);
	if (above != NULL && (s->above == 0 || json_number_value(above) < s->above))
		s->above = json_number_value(above);
}

void result_more_values(json_t *have, const json_t *more) {
	struct series s = {.n = 0};

	add_values(&s, have);
	add_values(&s, more);
	set_values(have, &s);
}

/* Of what never came back at all there is neither a least, nor a greatest, nor a mean. */
static void set_latency(json_t *one, const struct hist *h) {
	static const char *const of_values[] = {"min", "max", "mean"};

	json_object_update_new(one, hist_json(h));
	for (unsigned i = 0; h->count == 0 && i < sizeof(of_values) / sizeof(of_values[0]); i++)
		json_object_set_new(one, of_values[i], json_null());
}

void result_more_latencies(json_t *have, const json_t *more) {
	struct hist *h = malloc(2 * sizeof(*h));

	if (h != NULL && hist_load(&h[0], have) == 0 && hist_load(&h[1], more) == 0) {
		hist_merge(&h[0], &h[1]);
		set_latency(have, &h[0]);
	}
	free(h);
}

void result_latency(
	json_t *doc, const char *name, const char *mode, json_t *labels, const struct hist *h) {
	json_t *one;

	if (doc == NULL || h->count + h->lost == 0) {
		json_decref(labels);
		return;
	}
	one = entry(doc, "latencies", name, NULL, labels);
	json_object_set_new(one, "mode", json_string(mode));
	set_latency(one, h);
}

void result_endpoints(json_t *doc, const char *name, const char *unit, json_t *labels,
	char *const *names, const double *values, unsigned n) {
	json_t *one, *each;

	if (doc == NULL || n == 0) {
		json_decref(labels);
		return;
	}
	one = entry(doc, "endpoints", name, unit, labels);
	each = json_object();
	for (unsigned i = 0; i < n; i++)
		json_object_set_new(each, names[i], number(values[i]));
	json_object_set_new(one, "values", each);
	json_object_set_new(one, "skew", number(spread_skew(values, n)));
	json_object_set_new(one, "cv", number(spread_cv(values, n)));
	json_object_set_new(one, "jain", number(spread_jain(values, n)));
}

void result_cpu(json_t *doc, json_t *labels, json_t *hostcpu) {
	if (doc == NULL || hostcpu == NULL) {
		json_decref(labels);
		json_decref(hostcpu);
		return;
	}
	json_object_update_new(entry(doc, "cpu", NULL, NULL, labels), hostcpu);
}

void result_interval(json_t *doc, const char *name, const char *unit, json_t *labels,
	const double *times, const double *values, unsigned n) {
	json_t *one;

	if (doc == NULL || n == 0) {
		json_decref(labels);
		return;
	}
	one = entry(doc, "intervals", name, unit, labels);
	json_object_set_new(one, "times", numbers(times, n));
	json_object_set_new(one, "values", numbers(values, n));
}

json_t *result_search(json_t *doc, const char *name, const char *unit, json_t *labels,
	const struct trial *trials, unsigned n, double result) {
	json_t *one, *all;

	if (doc == NULL || n == 0) {
		json_decref(labels);
		return NULL;
	}
	one = entry(doc, "searches", name, unit, labels);
	all = json_array();
	for (unsigned i = 0; i < n; i++)
		json_array_append_new(
			all, json_pack("{s:f, s:f, s:I, s:I, s:I, s:f, s:s}", "rate",
				     trials[i].rate, "seconds", trials[i].seconds, "offered",
				     (json_int_t)trials[i].offered, "sent",
				     (json_int_t)trials[i].sent, "received",
				     (json_int_t)trials[i].received, "loss", trial_loss(&trials[i]),
				     "verdict", trials[i].pass ? "pass" : "fail"));
	json_object_set_new(one, "trials", all);
	json_object_set_new(one, "result", result > 0 ? number(result) : json_null());
	return one;
}

/* A member that is an object, made when it is not there. */
static json_t *object_in(json_t *v, const char *name) {
	if (json_object_get(v, name) == NULL)
		json_object_set_new(v, name, json_object());
	return json_object_get(v, name);
}

void result_interface(json_t *doc, const char *endpoint, json_t *nic) {
	if (nic != NULL)
		json_object_set_new(
			object_in(object_in(doc, "conditions"), "interfaces"), endpoint, nic);
}

void result_interfaces(json_t *doc, const json_t *from, const char *before) {
	json_t *all = json_object_get(json_object_get(from, "conditions"), "interfaces"), *one;
	const char *name;
	char text[600];

	json_object_foreach (all, name, one) {
		snprintf(text, sizeof(text), "%s%s", before, name);
		result_interface(doc, text, json_incref(one));
	}
}

void result_warn(json_t *doc, const char *fmt, ...) {
	json_t *warnings = json_object_get(doc, "warnings"), *have;
	char text[SENTENCE_MAX];
	va_list ap;
	size_t i;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_foreach (warnings, i, have)
		if (strcmp(json_string_value(have), text) == 0)
			return;
	json_array_append_new(warnings, json_string(text));
}

void result_warn_lost(json_t *doc, double part) {
	if (part >= LOST_WARN)
		result_warn(doc,
			"up to %.3g %% of the requests never came back: a quantile that they reach "
			"down to is only known to be above the timeout, and the mean leaves them "
			"out",
			part * 100);
}

void result_incomplete(json_t *doc, const char *fmt, ...) {
	char text[SENTENCE_MAX];
	va_list ap;

	if (!json_is_true(json_object_get(doc, "complete")))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_object_set_new(doc, "complete", json_false());
	json_object_set_new(doc, "why_incomplete", json_string(text));
}

/* From this part of the mean on the standard deviation of repeats says that they measured different things. */
static const double DISAGREE = 0.1;

/* Is it what a measurement is for, a rate of which more is better? */
static bool is_rate(const json_t *figure) {
	static const char *const rates[] = {"bit/s", "frame/s", "1/s"};
	const char *unit = json_string_value(json_object_get(figure, "unit"));
	const char *better = json_string_value(json_object_get(figure, "better"));

	for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		if (strcmp(unit, rates[i]) == 0)
			return strcmp(better, "more") == 0;
	return false;
}

bool result_narrow(const json_t *doc, double fraction) {
	size_t i;
	json_t *one;

	json_array_foreach (json_object_get(doc, "figures"), i, one) {
		struct series s = {.n = 0};

		add_values(&s, one);
		if (is_rate(one) && !series_narrow(&s, fraction))
			return false;
	}
	return true;
}

/* sd / mean of a rate; 0 of others. */
static double disagreement(const json_t *figure) {
	double mean = json_number_value(json_object_get(figure, "mean"));

	return is_rate(figure) && mean > 0 ? json_number_value(json_object_get(figure, "sd")) / mean
					   : 0;
}

/* "throughput (direction a to b, flows 1)" */
static void describe(const json_t *figure, char *text, size_t size) {
	size_t n = (size_t)snprintf(
		text, size, "%s", json_string_value(json_object_get(figure, "name")));
	bool any = false;
	const char *key;
	json_t *v;

	json_object_foreach (json_object_get(figure, "labels"), key, v) {
		if (n < size)
			n += (size_t)snprintf(text + n, size - n, "%s%s %s", any ? ", " : " (", key,
				json_string_value(v));
		any = true;
	}
	if (any && n < size)
		snprintf(text + n, size - n, ")");
}

void result_agreement(json_t *doc) {
	const json_t *worst = NULL;
	json_t *one;
	char text[SENTENCE_MAX / 2], more[40] = "";
	double most = DISAGREE;
	unsigned others = 0;
	size_t i;

	json_array_foreach (json_object_get(doc, "figures"), i, one) {
		if (disagreement(one) <= DISAGREE)
			continue;
		others += worst != NULL;
		if (disagreement(one) > most) {
			worst = one;
			most = disagreement(one);
		}
	}
	if (worst == NULL)
		return;
	describe(worst, text, sizeof(text));
	if (others > 0)
		snprintf(more, sizeof(more), ", and those of %u more rates", others);
	result_warn(doc,
		"the repeats do not agree: of %s they are %.4g to %.4g %s, with a standard "
		"deviation "
		"of %.0f %% of the mean%s; neither median nor mean is what the next repeat will "
		"say",
		text, json_number_value(json_object_get(worst, "min")),
		json_number_value(json_object_get(worst, "max")),
		json_string_value(json_object_get(worst, "unit")), most * 100, more);
}

void result_finish(json_t *doc) {
	const char *started = json_string_value(json_object_get(doc, "started"));
	struct tm tm = {0};
	struct timespec now;
	const char *rest;

	clock_gettime(CLOCK_REALTIME, &now);
	rest = started != NULL ? strptime(started, "%FT%T", &tm) : NULL;
	if (rest == NULL)
		return;
	json_object_set_new(doc, "seconds",
		json_real((double)(now.tv_sec - timegm(&tm)) + (double)now.tv_nsec / 1e9 -
			  (rest[0] == '.' ? strtod(rest, NULL) : 0)));
}

int result_write(const json_t *doc, const char *dir, struct err *e) {
	char path[PATH_MAX];
	struct file_draft d;
	bool whole;
	int rc;

	if (snprintf(path, sizeof(path), "%s/result.json", dir) >= (int)sizeof(path))
		return err_set(e, ENAMETOOLONG, "%.80s...: the name is too long", dir);
	rc = file_draft_open(&d, path, e);
	if (rc < 0)
		return rc;
	whole = json_dumpf(doc, d.f, JSON_INDENT(2)) == 0 && fputc('\n', d.f) != EOF;
	rc = file_draft_close(&d, whole, e);
	return rc == 0 && !whole ? err_set(e, EIO, "cannot write %s", path) : rc;
}
