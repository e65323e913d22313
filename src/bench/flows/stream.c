/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * `weir bench stream`: bulk transfer between two endpoints. The agents do the work (stream_job.c); this
 * tells them what, follows their events, and makes figures of their reports: what was offered, sent and
 * received are three numbers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "bench/clock.h"
#include "bench/flows/flows.h"
#include "bench/flows/pair.h"
#include "bench/flows/stream_flow.h"
#include "bench/flows/track.h"
#include "bench/options.h"
#include "bench/result.h"
#include "bench/threads.h"

enum metric {
	M_THROUGHPUT,
	M_OFFERED,
	M_SENT,
	M_LOSS,
	M_DUPLICATES,
	M_REORDERED,
	M_JITTER,
	M_RETRANSMITS,
	M_CWND,
	M_RTT,
	M_BYTES_SENT,
	M_BYTES_RECEIVED,
	M_SENDER_BUSY,
	M_RECEIVER_BUSY,
	METRICS
};

static const struct {
	const char *name, *unit, *better;
} metrics[METRICS] = {
	[M_THROUGHPUT] = {"throughput", "bit/s", "more"},
	[M_OFFERED] = {"offered", "bit/s", ""},
	[M_SENT] = {"sent", "bit/s", ""},
	[M_LOSS] = {"loss", "", "less"},
	[M_DUPLICATES] = {"duplicates", "", "less"},
	[M_REORDERED] = {"reordered", "", "less"},
	[M_JITTER] = {"jitter", "s", "less"},
	[M_RETRANSMITS] = {"retransmits", "", "less"},
	[M_CWND] = {"cwnd", "byte", ""},
	[M_RTT] = {"rtt", "s", "less"},
	[M_BYTES_SENT] = {"bytes sent", "byte", ""},
	[M_BYTES_RECEIVED] = {"bytes received", "byte", ""},
	[M_SENDER_BUSY] = {"busiest sender", "", ""},
	[M_RECEIVER_BUSY] = {"busiest receiver", "", ""},
};

enum { T_THROUGHPUT, T_SENT, T_RETRANSMITS, T_CWND, T_RTT, TRACKS };
static const struct {
	const char *name, *unit, *key;
} tracks[TRACKS] = {
	[T_THROUGHPUT] = {"throughput", "bit/s", "received"},
	[T_SENT] = {"sent", "bit/s", "sent"},
	[T_RETRANSMITS] = {"retransmits", "", "retransmits"},
	[T_CWND] = {"cwnd", "byte", "cwnd"},
	[T_RTT] = {"rtt", "s", "rtt"},
};

struct way { // from A to B, or from B to A
	bool wanted, sent, received;
	const char *name;
	struct series series[METRICS];
	struct track tracks[TRACKS];
	double sent_s, sent_datagrams, received_bits; // of this repeat
	double sender_load, receiver_load, overflows, unsent; // the worst of all repeats
	double all_sent, all_received; // datagrams, of all repeats
	unsigned empty; // repeats of which none arrived
	json_t *flows; // counted bytes a flow, of this repeat
	double received_s; // in so many seconds
};

struct stream {
	struct bench *b;
	struct pair pair;
	bool udp;
	uint64_t flows, length, rate, mss, interval;
	struct way way[2];
	json_t *cpu[2];
	const char *failed; // of a flow; the name of the endpoint is in failed_at
	char failed_text[128];
};

static double number(const json_t *event, const char *key) {
	return json_number_value(json_object_get(event, key));
}

static void add(struct way *w, enum metric m, double v) {
	series_add(&w->series[m], v);
}

/* What an end could not find out has no figure. */
static void add_known(struct way *w, enum metric m, const json_t *event, const char *key) {
	if (json_is_number(json_object_get(event, key)))
		add(w, m, number(event, key));
}

static void keep_most(double *most, double v) {
	*most = v > *most ? v : *most;
}

/* Whose sending and whose receiving: what A sends goes the first way, what A receives the second. */
static void on_interval(struct stream *s, unsigned who, const json_t *v) {
	double at = number(v, "to");
	struct way *out = &s->way[who], *in = &s->way[1 - who];

	for (int i = 0; i < TRACKS; i++)
		track_add(&(i == T_THROUGHPUT ? in : out)->tracks[i], at,
			json_object_get(v, tracks[i].key));
	if (json_object_get(v, "received") != NULL)
		bench_progress(s->b, (double)s->b->time_ns / 1e9 - at,
			"stream %s to %s: %.3f Gbit/s", s->pair.name[1 - who], s->pair.name[who],
			number(v, "received") / 1e9);
}

static void on_failure(struct stream *s, unsigned who, const json_t *v) {
	const char *why = json_string_value(json_object_get(v, "failed"));

	if (why == NULL || s->failed != NULL)
		return;
	snprintf(s->failed_text, sizeof(s->failed_text), "%s", why);
	s->failed = s->pair.name[who];
}

static void on_sent(struct stream *s, unsigned who, const json_t *v) {
	struct way *w = &s->way[who];
	double t = number(v, "seconds"), bits = number(v, "bytes") * 8;
	double rate = (double)s->rate;

	w->sent = true;
	if (t <= 0)
		return;
	w->sent_s = t;
	w->sent_datagrams = number(v, "datagrams");
	add(w, M_SENT, bits / t);
	add(w, M_BYTES_SENT, number(v, "total_bytes"));
	add_known(w, M_SENDER_BUSY, v, "busy");
	keep_most(&w->sender_load, number(v, "busy") + number(v, "waited"));
	if (s->udp)
		rate = number(v, "offered") * (double)s->length * 8 / t;
	if (rate > 0) {
		add(w, M_OFFERED, rate);
		keep_most(&w->unsent, 1 - bits / t / rate);
	}
	if (s->udp)
		return;
	add_known(w, M_RETRANSMITS, v, "retransmits");
	add_known(w, M_CWND, v, "cwnd");
	add_known(w, M_RTT, v, "rtt");
}

static void on_received(struct stream *s, unsigned who, const json_t *v) {
	struct way *w = &s->way[1 - who];
	double t = s->udp ? w->sent_s : number(v, "seconds"), unique;

	w->received = true;
	json_decref(w->flows);
	w->flows = json_incref(json_object_get(v, "flows"));
	w->received_bits = number(v, "bytes") * 8;
	w->received_s = t;
	if (t <= 0)
		return;
	add(w, M_THROUGHPUT, w->received_bits / t);
	add(w, M_BYTES_RECEIVED, number(v, "total_bytes"));
	add_known(w, M_RECEIVER_BUSY, v, "busy");
	keep_most(&w->receiver_load, number(v, "busy") + number(v, "waited"));
	if (!s->udp)
		return;
	unique = number(v, "datagrams") - number(v, "duplicates") - number(v, "late");
	if (w->sent_datagrams > 0)
		add(w, M_LOSS, 1 - unique / w->sent_datagrams);
	w->all_sent += w->sent_datagrams;
	w->all_received += number(v, "datagrams");
	w->empty += w->sent_datagrams > 0 && number(v, "datagrams") == 0;
	if (number(v, "datagrams") > 0) {
		add(w, M_DUPLICATES, number(v, "duplicates"));
		add(w, M_REORDERED, number(v, "reordered") + number(v, "late"));
	}
	add_known(w, M_JITTER, v, "jitter");
	keep_most(&w->overflows, number(v, "overflows"));
}

/* When a sender has ended, its receiver may end too. */
static void drain(struct stream *s, unsigned who) {
	struct err e;

	json_decref(agent_ask(s->pair.agent[who], "drain", NULL, &e)); // who vanished is seen later
}

static bool on_event(void *arg, unsigned who, const json_t *v) {
	struct stream *s = arg;
	const char *what = json_string_value(json_object_get(v, "event"));
	bool all = true;

	if (strcmp(what, "interval") == 0) {
		on_interval(s, who, v);
	} else if (strcmp(what, "cpu") == 0) {
		json_decref(s->cpu[who]);
		s->cpu[who] = json_incref(json_object_get(v, "cpu"));
	} else if (strcmp(what, "sent") == 0) {
		on_sent(s, who, v);
		on_failure(s, who, v);
		drain(s, 1 - who);
	} else if (strcmp(what, "received") == 0) {
		on_received(s, who, v);
		on_failure(s, who, v);
	}
	for (int i = 0; i < 2; i++)
		all &= !s->way[i].wanted || (s->way[i].sent && s->way[i].received);
	return all;
}

static json_t *labels(const struct stream *s, const struct way *w) {
	char flows[16];

	snprintf(flows, sizeof(flows), "%llu", (unsigned long long)s->flows);
	return json_pack("{s:s, s:s, s:s}", "direction", w->name, "protocol",
		s->udp ? "udp" : "tcp", "flows", flows);
}

/* The intervals of a repeat; and where it did not come to a report, their mean is its figure. */
static void finish_tracks(struct stream *s, struct way *w, unsigned repeat) {
	static const enum metric means[TRACKS] = {M_THROUGHPUT, M_SENT, METRICS, METRICS, METRICS};
	char text[16];

	snprintf(text, sizeof(text), "%u", repeat + 1);
	for (int i = 0; i < TRACKS; i++) {
		struct track *t = &w->tracks[i];
		json_t *l = labels(s, w);
		double sum = 0;

		json_object_set_new(l, "repeat", json_string(text));
		result_interval(s->b->doc, tracks[i].name, tracks[i].unit, l, t->at, t->v, t->n);
		for (unsigned k = 0; k < t->n; k++)
			sum += t->v[k];
		if (means[i] != METRICS && t->n > 0 && !(i == T_SENT ? w->sent : w->received))
			add(w, means[i], sum / t->n);
		t->n = 0;
	}
}

/* How the flows of a repeat shared the path. */
static void finish_flows(struct stream *s, struct way *w, unsigned repeat) {
	unsigned n = (unsigned)json_array_size(w->flows);
	char(*text)[16], **names, number_text[16];
	double *v;
	json_t *l;

	if (n < 2 || w->received_s <= 0)
		return;
	text = calloc(n, sizeof(*text));
	names = calloc(n, sizeof(*names));
	v = calloc(n, sizeof(*v));
	snprintf(number_text, sizeof(number_text), "%u", repeat + 1);
	for (unsigned i = 0; text != NULL && names != NULL && v != NULL && i < n; i++) {
		snprintf(text[i], sizeof(text[i]), "flow %u", i + 1);
		names[i] = text[i];
		v[i] = json_number_value(json_array_get(w->flows, i)) * 8 / w->received_s;
	}
	l = labels(s, w);
	json_object_set_new(l, "repeat", json_string(number_text));
	if (text != NULL && names != NULL && v != NULL)
		result_endpoints(s->b->doc, "throughput", "bit/s", l, names, v, n);
	free(text);
	free(names);
	free(v);
}

static void finish_repeat(struct stream *s, unsigned repeat) {
	double bits = 0;

	for (int i = 0; i < 2; i++) {
		if (!s->way[i].wanted)
			continue;
		bits += s->way[i].received_bits;
		finish_tracks(s, &s->way[i], repeat);
		finish_flows(s, &s->way[i], repeat);
	}
	pair_cpu(&s->pair, s->b->doc, s->cpu, repeat, bits, 0);
	s->cpu[0] = s->cpu[1] = NULL;
}

static int once(struct bench *b, unsigned repeat, void *arg, struct err *e) {
	struct stream *s = arg;
	bool away = s->way[0].wanted, back = s->way[1].wanted;
	uint64_t ways = (uint64_t)away + back;
	json_t *common = json_pack("{s:s, s:b, s:I, s:I, s:I, s:I}", "job", "stream", "udp", s->udp,
		"flows", (json_int_t)s->flows * (json_int_t)ways, "length", (json_int_t)s->length,
		"rate", (json_int_t)(s->rate / s->flows), "mss", (json_int_t)s->mss);
	int ret;

	for (int i = 0; i < 2; i++) {
		struct way *w = &s->way[i];

		w->sent = w->received = false;
		w->sent_s = w->sent_datagrams = w->received_bits = w->received_s = 0;
		json_decref(w->flows);
		w->flows = NULL;
	}
	ret = pair_prepare(&s->pair, common, json_pack("{s:b, s:b}", "send", away, "receive", back),
		json_pack("{s:b, s:b}", "send", back, "receive", away), e);
	if (ret == 0)
		ret = pair_measure(&s->pair, 1, b, s->interval, NULL, on_event, s, e);
	finish_repeat(s, repeat);
	if (ret == 0 && s->failed != NULL)
		return err_set(e, EIO, "a flow at %s ended early: %s", s->failed, s->failed_text);
	return ret;
}

static bool narrow(void *arg, double fraction) {
	struct stream *s = arg;

	for (int i = 0; i < 2; i++)
		if (s->way[i].wanted && !series_narrow(&s->way[i].series[M_THROUGHPUT], fraction))
			return false;
	return true;
}

static void warn(const struct stream *s, const struct way *w, int from) {
	json_t *doc = s->b->doc;

	if (w->sender_load > THREAD_SATURATED)
		result_warn(doc,
			"the sender was the limit: a thread at %s never rested (%.0f %% of a CPU "
			"or "
			"waiting for one), so the figure is what it can send, not what the path "
			"can "
			"carry",
			s->pair.name[from], w->sender_load * 100);
	if (w->receiver_load > THREAD_SATURATED)
		result_warn(doc,
			"the receiver was the limit: a thread at %s never rested (%.0f %% of a CPU "
			"or "
			"waiting for one)",
			s->pair.name[1 - from], w->receiver_load * 100);
	if (w->overflows > 0)
		result_warn(doc,
			"the receiver was the limit: %.0f datagrams reached %s and found its "
			"socket "
			"full; they count as lost",
			w->overflows, s->pair.name[1 - from]);
	if (w->empty > 0)
		result_warn(doc,
			"of what %s sent, nothing arrived at %s in %u of %u repeats: there is no "
			"jitter, and no order to judge, of these",
			s->pair.name[from], s->pair.name[1 - from], w->empty, w->series[M_LOSS].n);
	if (w->unsent > 0.01)
		result_warn(doc, "of what was offered at %s, up to %.1f %% could not be sent",
			s->pair.name[from], w->unsent * 100);
}

/* A path that carried nothing was not measured. 0, or -ENODATA with the sentence. */
static int check_arrivals(const struct stream *s, struct err *e) {
	for (int i = 0; i < 2; i++) {
		const struct way *w = &s->way[i];

		if (w->wanted && w->all_sent > 0 && w->all_received == 0)
			return err_set(e, ENODATA,
				"none of %.0f datagrams from %s arrived at %s; is something on the "
				"way dropping UDP, or --length more than its MTU?",
				w->all_sent, s->pair.name[i], s->pair.name[1 - i]);
	}
	return 0;
}

static void finish(struct stream *s) {
	for (int i = 0; i < 2; i++) {
		struct way *w = &s->way[i];

		for (int m = 0; m < METRICS && w->wanted; m++)
			result_figure(s->b->doc, metrics[m].name, metrics[m].unit,
				metrics[m].better, labels(s, w), &w->series[m]);
		if (w->wanted)
			warn(s, w, i);
		for (int t = 0; t < TRACKS; t++)
			track_free(&w->tracks[t]);
		json_decref(w->flows);
	}
}

enum { LENGTH_TCP = 128 << 10, LENGTH_UDP = 1448 };
#define RATE_MAX UINT64_C(10000000000000)

static int run(struct bench *b, int argc, char **argv, struct err *e) {
	struct stream *s = calloc(1, sizeof(*s));
	bool reverse = false, bidir = false;
	const char *to = NULL;
	const struct option_spec options[] = {
		{"udp", OPTION_FLAG, &s->udp},
		{"flows", OPTION_COUNT, &s->flows, 1, FLOWS_MAX / 2},
		{"reverse", OPTION_FLAG, &reverse},
		{"bidir", OPTION_FLAG, &bidir},
		{"mss", OPTION_COUNT, &s->mss, 88, 65495},
		{"rate", OPTION_RATE, &s->rate, 8000, RATE_MAX},
		{"length", OPTION_SIZE, &s->length, 1, STREAM_LENGTH_MAX},
		{"interval", OPTION_DURATION, &s->interval, 10 * NS_PER_MS, 3600 * NS_PER_S},
		{"to", OPTION_TEXT, &to},
		{NULL},
	};
	int ret;

	if (s == NULL)
		return err_set(e, ENOMEM, "out of memory");
	s->b = b;
	s->flows = 1;
	s->interval = NS_PER_S;
	ret = options_take(options, &argc, argv, e);
	if (ret < 0)
		ret = -EINVAL;
	else if (argc != 3)
		ret = err_set(e, EINVAL, "between which two endpoints? there are: " ENDPOINT_KINDS);
	else if (reverse && bidir)
		ret = err_set(e, EINVAL, "--reverse and --bidir exclude each other");
	else if (s->udp && s->mss != 0)
		ret = err_set(e, EINVAL, "--mss is of TCP; for UDP give --length");
	if (s->length == 0)
		s->length = s->udp ? LENGTH_UDP : LENGTH_TCP;
	if (ret == 0 && s->udp && (s->length < STREAM_DATAGRAM_MIN || s->length > FLOWS_UDP_MAX))
		ret = err_set(e, EINVAL, "--length of a datagram is %d to %d bytes",
			STREAM_DATAGRAM_MIN, FLOWS_UDP_MAX);
	s->way[0].wanted = !reverse;
	s->way[1].wanted = reverse || bidir;
	s->way[0].name = "a to b";
	s->way[1].name = "b to a";
	if (ret == 0)
		ret = pair_open(&s->pair, argv[1], argv[2], to, e);
	if (ret == 0) {
		ret = bench_repeat(b, once, narrow, s, e);
		if (ret == 0)
			ret = check_arrivals(s, e);
		finish(s);
		pair_close(&s->pair);
	}
	free(s);
	return ret;
}

const struct instrument bench_stream = {
	.name = "stream",
	.args = "A B [OPTIONS]",
	.brief = "Measure bulk transfer between two endpoints, over TCP or UDP",
	.help = "\n"
		"A and B are ns:NAME, if:NAME, vm:NAME (with a 'weir bench agent' in it) or "
		"HOST[:PORT] (a\n"
		"'weir bench serve' there). A sends to B.\n"
		"\n"
		"  --udp           UDP, with loss, duplicates, order and jitter; default: TCP\n"
		"  --flows N       so many at once, 1 to 512 (1)\n"
		"  --reverse       B sends to A\n"
		"  --bidir         both at once, N flows each\n"
		"  --rate 1Gbit    of payload, all flows of a direction together; default: all "
		"that goes\n"
		"  --length 128KiB of a write; of a datagram 24 to 65507 bytes (1448)\n"
		"  --mss N         TCP's segments carry at most N bytes\n"
		"  --interval 1s   between two values of what is plotted over time\n"
		"  --to ADDRESS    the address of B to use, when it has several\n"
		"\n",
	.run = run,
};
