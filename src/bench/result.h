/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_RESULT_H
#define WEIR_BENCH_RESULT_H

#include <stdbool.h>

#include <jansson.h>

#include "bench/hist.h"
#include "bench/stats.h"

struct err;
struct trial;

/* What an instrument found, as one JSON document; docs/bench-result.md is its description.
 *
 * {
 *   "schema": "weir-bench", "version": 1,
 *   "instrument": "stream", "started": "2026-01-31T12:00:00.000Z", "seconds": 31.2,
 *   "command": ["weir", "bench", "stream", ...],
 *   "complete": true, "why_incomplete": null,
 *   "warnings": ["the generator was the limit: ...", ...],
 *   "conditions": {...},                                                       conditions.h
 *   "figures":   [{"name", "unit", "better": "more"|"less"|"", "labels": {...},
 *                  "values": [one a repeat], "median", "mean", "min", "max", "sd", "ci95"}],
 *   "latencies": [{"name", "mode": "closed"|"open"|"sent", "labels": {...}, ...hist_json}],
 *   "endpoints": [{"name", "unit", "labels": {...}, "values": {"vm1": 1.0, ...}, "skew", "cv", "jain"}],
 *   "cpu":       [{"labels": {...}, ...hostcpu_json}],                          hostcpu.h
 *   "intervals": [{"name", "unit", "labels": {...}, "times": [s, ...], "values": [...]}],
 *   "searches":  [{"name", "unit", "labels": {...}, "trials": [{"rate", "seconds", "offered", "sent",
 *                  "received", "loss", "verdict": "pass"|"fail"}], "result",
 *                  "lower", "upper", "conditional", "goal": {...}}]
 * }
 * Units are SI without prefixes: "bit/s", "frame/s", "1/s", "s", "byte", "". Labels are strings: what tells one
 * figure from another of the same name ({"path": "veth", "mss": "100", "direction": "a to b"}).
 * compare.c matches figures by name and labels. */

enum { RESULT_VERSION = 1 };

/* `argv` is what stood behind "weir", so argv[0] is "bench". */
json_t *result_new(const char *instrument, int argc, char **argv);

/* Each adds one entry; `labels` is an object of strings and is taken over (NULL: none). A NULL result
 * anywhere means that there was no memory; callers may pass it on and fail at the end. An empty series
 * or histogram, or n = 0, adds nothing: what was not measured has no figure. */
void result_figure(json_t *doc, const char *name, const char *unit, const char *better,
	json_t *labels, const struct series *s);
void result_latency(
	json_t *doc, const char *name, const char *mode, json_t *labels, const struct hist *h);
void result_endpoints(json_t *doc, const char *name, const char *unit, json_t *labels,
	char *const *names, const double *values, unsigned n);
void result_cpu(json_t *doc, json_t *labels, json_t *hostcpu);
void result_interval(json_t *doc, const char *name, const char *unit, json_t *labels,
	const double *times, const double *values, unsigned n);
/* `result`: what was found; 0: nothing, which is null in the document. The entry, for more members; NULL: none
 * was added. */
json_t *result_search(json_t *doc, const char *name, const char *unit, json_t *labels,
	const struct trial *trials, unsigned n, double result);

/* Of the conditions: which interface carries it at an endpoint, and what that takes over (nic.h); taken
 * over, NULL adds nothing. */
void result_interface(json_t *doc, const char *endpoint, json_t *nic);
/* Takes over all of another document, with `before` in front of their names. */
void result_interfaces(json_t *doc, const json_t *from, const char *before);

/* What a reader must know before believing the figures. Said once, however often it is found. */
void result_warn(json_t *doc, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Warns when so great a part (0..1) of all requests never came back that a quantile which is told is among
 * them. */
void result_warn_lost(json_t *doc, double part);
/* Ended early: what is there stays. The first reason is kept. */
void result_incomplete(json_t *doc, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds what `more`, an entry of the same figure or latency, has to `have`. What is no such entry adds
 * nothing. */
void result_more_values(json_t *have, const json_t *more);
void result_more_latencies(json_t *have, const json_t *more);
/* Is the interval of each rate at most that fraction of its mean on each side? */
bool result_narrow(const json_t *doc, double fraction);
/* Warns when the repeats of a rate do not agree; for when all figures are there. */
void result_agreement(json_t *doc);
void result_finish(json_t *doc); /* sets seconds */

/* Writes DIR/result.json whole or not at all; the directory exists. 0 or a negative errno. */
int result_write(const json_t *doc, const char *dir, struct err *e);

#endif
