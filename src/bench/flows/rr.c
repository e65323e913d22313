/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * `weir bench rr`: transactions between two endpoints. A asks, B answers (rr_job.c); latencies of all
 * repeats go into one histogram, their quantiles of each repeat into figures. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "bench/clock.h"
#include "bench/flows/flows.h"
#include "bench/flows/pair.h"
#include "bench/flows/rr_thread.h"
#include "bench/hist.h"
#include "bench/options.h"
#include "bench/result.h"
#include "bench/threads.h"

enum metric {
	M_TRANSACTIONS,
	M_OFFERED,
	M_LOST,
	M_REFUSED,
	M_MEAN,
	M_P50,
	M_P90,
	M_P99,
	M_P999,
	M_P9999,
	M_MAX,
	M_LATENESS,
	M_CLIENT_BUSY,
	M_SERVER_BUSY,
	METRICS
};

static const struct {
	const char *name, *unit, *better;
	double quantile; // of the latency; 0: something else
} metrics[METRICS] = {
	[M_TRANSACTIONS] = {"transactions", "1/s", "more", 0},
	[M_OFFERED] = {"offered", "1/s", "", 0},
	[M_LOST] = {"lost", "", "less", 0},
	[M_REFUSED] = {"refused", "", "less", 0},
	[M_MEAN] = {"latency mean", "s", "less", 0},
	[M_P50] = {"latency p50", "s", "less", 0.5},
	[M_P90] = {"latency p90", "s", "less", 0.9},
	[M_P99] = {"latency p99", "s", "less", 0.99},
	[M_P999] = {"latency p99.9", "s", "less", 0.999},
	[M_P9999] = {"latency p99.99", "s", "less", 0.9999},
	[M_MAX] = {"latency max", "s", "less", 1},
	[M_LATENESS] = {"sent late p99", "s", "", 0},
	[M_CLIENT_BUSY] = {"busiest client", "", "", 0},
	[M_SERVER_BUSY] = {"busiest server", "", "", 0},
};

enum { INTERVALS_MAX = 100000 };

struct rr {
	struct bench *b;
	struct pair pair;
	bool udp, tcp, connect, asked, answered;
	uint64_t flows, request, response, rate, timeout, interval;
	struct series series[METRICS];
	struct hist all, latest;
	double *at, *v; // transactions over the time of one repeat
	unsigned n;
	double client_load, server_load, unserved, lateness, p50; // the worst of all repeats
	double all_offered, all_done; // of all repeats
	double unanswered; // the greatest part of what was offered in a repeat
	json_t *cpu[2];
	const char *failed;
	char failed_text[128];
};

static double number(const json_t *event, const char *key) {
	return json_number_value(json_object_get(event, key));
}

static void add(struct rr *r, enum metric m, double v) {
	series_add(&r->series[m], v);
}

/* What an end could not find out has no figure. */
static void add_known(struct rr *r, enum metric m, const json_t *event, const char *key) {
	if (json_is_number(json_object_get(event, key)))
		add(r, m, number(event, key));
}

static void keep_most(double *most, double v) {
	*most = v > *most ? v : *most;
}

static void on_interval(struct rr *r, const json_t *v) {
	if (r->n == INTERVALS_MAX)
		return;
	r->at[r->n] = number(v, "to");
	r->v[r->n++] = number(v, "transactions");
	bench_progress(r->b, (double)r->b->time_ns / 1e9 - number(v, "to"),
		"rr %s to %s: %.0f transactions/s", r->pair.name[0], r->pair.name[1],
		number(v, "transactions"));
}

/* One that lost requests reach down to is somewhere above the timeout. */
static void add_quantile(struct rr *r, enum metric m, const struct hist *h) {
	if (hist_beyond(h, metrics[m].quantile))
		add(r, m, INFINITY);
	else if (hist_knows(h, metrics[m].quantile))
		add(r, m, (double)hist_quantile(h, metrics[m].quantile) / 1e9);
	r->series[m].above = (double)r->timeout / 1e9;
}

static void add_latencies(struct rr *r, const json_t *v) {
	struct hist *h = &r->latest;

	if (hist_load(h, json_object_get(v, "latency")) < 0 || h->count + h->lost == 0)
		return;
	hist_merge(&r->all, h);
	keep_most(&r->unanswered, (double)h->lost / (double)(h->count + h->lost));
	if (h->count > 0)
		add(r, M_MEAN, h->sum / (double)h->count / 1e9);
	for (int m = 0; m < METRICS; m++)
		if (metrics[m].quantile > 0)
			add_quantile(r, (enum metric)m, h);
	r->p50 = (double)hist_quantile(h, 0.5) / 1e9;
	if (r->rate == 0 || hist_load(h, json_object_get(v, "lateness")) < 0 || h->count == 0)
		return;
	if (hist_knows(h, 0.99))
		add(r, M_LATENESS, (double)hist_quantile(h, 0.99) / 1e9);
	keep_most(&r->lateness, (double)hist_quantile(h, 0.5) / 1e9 / r->p50);
}

static void on_asked(struct rr *r, const json_t *v) {
	double t = number(v, "seconds"), n = number(v, "transactions"),
	       offered = number(v, "offered");

	r->asked = true;
	if (t <= 0)
		return;
	r->all_offered += offered;
	r->all_done += n;
	add(r, M_TRANSACTIONS, n / t);
	if (r->rate > 0) {
		add(r, M_OFFERED, offered / t);
		keep_most(&r->unserved, offered > 0 ? 1 - n / offered : 0);
	}
	if (r->udp || r->connect)
		add(r, M_LOST, number(v, "lost"));
	if (r->connect)
		add(r, M_REFUSED, number(v, "refused"));
	add_latencies(r, v);
	add_known(r, M_CLIENT_BUSY, v, "busy");
	keep_most(&r->client_load, number(v, "busy") + number(v, "waited"));
}

static void on_answered(struct rr *r, const json_t *v) {
	r->answered = true;
	add_known(r, M_SERVER_BUSY, v, "busy");
	keep_most(&r->server_load, number(v, "busy") + number(v, "waited"));
}

static void on_failure(struct rr *r, unsigned who, const json_t *v) {
	const char *why = json_string_value(json_object_get(v, "failed"));

	if (why == NULL || r->failed != NULL)
		return;
	snprintf(r->failed_text, sizeof(r->failed_text), "%s", why);
	r->failed = r->pair.name[who];
}

static bool on_event(void *arg, unsigned who, const json_t *v) {
	struct rr *r = arg;
	const char *what = json_string_value(json_object_get(v, "event"));
	struct err e;

	if (strcmp(what, "interval") == 0 && who == 0) {
		on_interval(r, v);
	} else if (strcmp(what, "cpu") == 0) {
		json_decref(r->cpu[who]);
		r->cpu[who] = json_incref(json_object_get(v, "cpu"));
	} else if (strcmp(what, "asked") == 0 && who == 0) {
		on_asked(r, v);
		on_failure(r, who, v);
		json_decref(agent_ask(r->pair.agent[1], "drain", NULL, &e));
	} else if (strcmp(what, "answered") == 0 && who == 1) {
		on_answered(r, v);
		on_failure(r, who, v);
	}
	return r->asked && r->answered;
}

static const char *mode(const struct rr *r) {
	return r->rate > 0 ? "open" : "closed";
}

static json_t *labels(const struct rr *r) {
	char flows[16];

	snprintf(flows, sizeof(flows), "%llu", (unsigned long long)r->flows);
	return json_pack("{s:s, s:s, s:s}", "protocol",
		r->udp       ? "udp"
		: r->connect ? "connect"
			     : "tcp",
		"flows", flows, "mode", mode(r));
}

/* What a repeat that did not come to its report has shown is its intervals. */
static void finish_repeat(struct rr *r, unsigned repeat) {
	json_t *l = labels(r);
	char text[16];
	double sum = 0;

	snprintf(text, sizeof(text), "%u", repeat + 1);
	json_object_set_new(l, "repeat", json_string(text));
	result_interval(r->b->doc, "transactions", "1/s", l, r->at, r->v, r->n);
	for (unsigned i = 0; i < r->n; i++)
		sum += r->v[i];
	if (!r->asked && r->n > 0)
		add(r, M_TRANSACTIONS, sum / r->n);
	pair_cpu(&r->pair, r->b->doc, r->cpu, repeat, 0, 0);
	r->cpu[0] = r->cpu[1] = NULL;
}

static int once(struct bench *b, unsigned repeat, void *arg, struct err *e) {
	struct rr *r = arg;
	json_t *common = json_pack("{s:s, s:b, s:b, s:I, s:I, s:I, s:f, s:I}", "job", "rr", "udp",
		r->udp, "connect", r->connect, "flows", (json_int_t)r->flows, "request",
		(json_int_t)r->request, "response", (json_int_t)r->response, "rate",
		(double)r->rate, "timeout", (json_int_t)r->timeout);
	int ret;

	r->asked = r->answered = false;
	r->n = 0;
	ret = pair_prepare(&r->pair, common, json_object(), json_object(), e);
	if (ret == 0)
		ret = pair_measure(&r->pair, 1, b, r->interval, NULL, on_event, r, e);
	finish_repeat(r, repeat);
	if (ret == 0 && r->failed != NULL)
		return err_set(e, EIO, "a flow at %s ended early: %s", r->failed, r->failed_text);
	return ret;
}

static bool narrow(void *arg, double fraction) {
	struct rr *r = arg;

	return series_narrow(&r->series[r->rate > 0 ? M_P50 : M_TRANSACTIONS], fraction);
}

static void warn(struct rr *r) {
	json_t *doc = r->b->doc;

	// One flow in closed loop rests while it waits; that it never does is no fault of many.
	if (r->client_load > THREAD_SATURATED)
		result_warn(doc,
			"a client thread at %s never rested (%.0f %% of a CPU or waiting for one); "
			"the figure may be its own",
			r->pair.name[0], r->client_load * 100);
	if (r->server_load > THREAD_SATURATED)
		result_warn(doc,
			"a server thread at %s never rested (%.0f %% of a CPU or waiting for one)",
			r->pair.name[1], r->server_load * 100);
	if (r->unserved > 0.01)
		result_warn(doc,
			"of the transactions offered, up to %.1f %% were not completed: the rate "
			"is "
			"more than path and ends can do, or some were lost",
			r->unserved * 100);
	result_warn_lost(doc, r->unanswered);
	if (r->lateness > 0.2)
		result_warn(doc,
			"half of the requests were sent late by more than %.0f %% of the median "
			"latency, which counts as latency: the client is short of CPU or the rate "
			"is "
			"too high",
			r->lateness * 100);
}

static void finish(struct rr *r) {
	for (int m = 0; m < METRICS; m++)
		result_figure(r->b->doc, metrics[m].name, metrics[m].unit, metrics[m].better,
			labels(r), &r->series[m]);
	result_latency(r->b->doc, "latency", mode(r), labels(r), &r->all);
	warn(r);
}

/* A path on which nothing was answered was not measured. 0, or -ENODATA with the sentence. */
static int check_answers(const struct rr *r, struct err *e) {
	if (r->all_done > 0 || r->all_offered == 0)
		return 0;
	return err_set(e, ENODATA,
		"none of %.0f requests from %s was answered by %s within %g ms; is something on "
		"the "
		"way dropping them, or --timeout too short?",
		r->all_offered, r->pair.name[0], r->pair.name[1], (double)r->timeout / 1e6);
}

static int check(const struct rr *r, int argc, struct err *e) {
	if (argc != 3)
		return err_set(
			e, EINVAL, "between which two endpoints? there are: " ENDPOINT_KINDS);
	if (r->udp + r->tcp + r->connect > 1)
		return err_set(e, EINVAL, "--tcp, --udp and --connect exclude each other");
	return 0;
}

static int run(struct bench *b, int argc, char **argv, struct err *e) {
	struct rr *r = calloc(1, sizeof(*r));
	const char *to = NULL;
	const struct option_spec options[] = {
		{"tcp", OPTION_FLAG, &r->tcp},
		{"udp", OPTION_FLAG, &r->udp},
		{"connect", OPTION_FLAG, &r->connect},
		{"flows", OPTION_COUNT, &r->flows, 1, FLOWS_MAX},
		{"request", OPTION_SIZE, &r->request, 1, RR_SIZE_MAX},
		{"response", OPTION_SIZE, &r->response, 1, RR_SIZE_MAX},
		{"rate", OPTION_COUNT, &r->rate, 1, 100000000},
		{"timeout", OPTION_DURATION, &r->timeout, NS_PER_MS, 60 * NS_PER_S},
		{"interval", OPTION_DURATION, &r->interval, 10 * NS_PER_MS, 3600 * NS_PER_S},
		{"to", OPTION_TEXT, &to},
		{NULL},
	};
	int ret;

	if (r == NULL)
		return err_set(e, ENOMEM, "out of memory");
	r->b = b;
	r->flows = r->request = r->response = 1;
	r->timeout = r->interval = NS_PER_S;
	hist_reset(&r->all);
	r->at = malloc(INTERVALS_MAX * sizeof(double));
	r->v = malloc(INTERVALS_MAX * sizeof(double));
	ret = r->at == NULL || r->v == NULL ? err_set(e, ENOMEM, "out of memory")
					    : options_take(options, &argc, argv, e);
	if (ret == -ERANGE)
		ret = -EINVAL;
	if (ret == 0)
		ret = check(r, argc, e);
	if (ret == 0)
		ret = pair_open(&r->pair, argv[1], argv[2], to, e);
	if (ret == 0) {
		ret = bench_repeat(b, once, narrow, r, e);
		if (ret == 0)
			ret = check_answers(r, e);
		finish(r);
		pair_close(&r->pair);
	}
	free(r->at);
	free(r->v);
	free(r);
	return ret;
}

const struct instrument bench_rr = {
	.name = "rr",
	.args = "A B [OPTIONS]",
	.brief = "Measure transactions between two endpoints: how many, and how long each takes",
	.help = "\n"
		"A asks B and B answers. Endpoints are ns:NAME, if:NAME, vm:NAME (with a 'weir "
		"bench agent' in\n"
		"it) or HOST[:PORT] (a 'weir bench serve' there).\n"
		"\n"
		"Closed loop: each flow asks again when it has its answer. With --rate it is an "
		"open loop:\n"
		"requests are sent when they are due, whatever became of those before, and latency "
		"counts from\n"
		"the time at which they were due, so that a path that stands still cannot hide "
		"it.\n"
		"\n"
		"  --udp           datagrams; lost ones are counted; default: TCP (--tcp)\n"
		"  --connect       a TCP connection for each transaction\n"
		"  --flows N       so many at once, 1 to 1024 (1), on as many threads as there are "
		"CPUs\n"
		"  --request 1     bytes, at most 32KiB\n"
		"  --response 1    the same\n"
		"  --rate N        transactions a second, of all flows together\n"
		"  --timeout 1s    after which a datagram or a connection is given up\n"
		"  --interval 1s   between two values of what is plotted over time\n"
		"  --to ADDRESS    the address of B to use, when it has several\n"
		"\n",
	.run = run,
};
