/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/pair.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "bench/clock.h"
#include "bench/flows.h"
#include "bench/hostcpu.h"
#include "bench/result.h"

enum { LOOK_MS = 100, OVERTIME_S = 15 };

int pair_open(struct pair *p, const char *a, const char *b, const char *to, struct err *e) {
	const char *const names[] = {a, b};
	struct endpoint ep[2];
	int ret;

	memset(p, 0, sizeof(*p));
	for (int i = 0; i < 2; i++) {
		p->name[i] = names[i];
		ret = endpoint_parse(&ep[i], names[i], e);
		if (ret < 0)
			return ret;
	}
	if (ep[0].kind != ENDPOINT_HOST && strcmp(a, b) == 0)
		return err_set(e, EINVAL,
			"both ends are %s; traffic within one namespace crosses no path", a);
	for (int i = 0; i < 2; i++) {
		p->agent[i] = agent_open(&ep[i], e);
		if (p->agent[i] == NULL) {
			pair_close(p);
			return -EHOSTUNREACH;
		}
	}
	ret = agents_address(p->agent[0], p->agent[1], to, p->address, sizeof(p->address), e);
	if (ret < 0)
		pair_close(p);
	return ret;
}

void pair_close(struct pair *p) {
	agent_close(p->agent[0]);
	agent_close(p->agent[1]);
	p->agent[0] = p->agent[1] = NULL;
}

/* Hex digits that nobody guesses. */
static int make_cookie(char *text, struct err *e) {
	unsigned char raw[FLOWS_COOKIE];

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return err_set(e, EIO, "no random numbers: %s", strerror(errno));
	for (int i = 0; i < FLOWS_COOKIE; i++)
		sprintf(text + 2 * i, "%02x", raw[i]);
	return 0;
}

static json_t *request(const json_t *common, const json_t *own, const char *role) {
	json_t *v = json_copy((json_t *)common);

	json_object_update(v, (json_t *)own);
	json_object_set_new(v, "role", json_string(role));
	return v;
}

int pair_prepare(struct pair *p, json_t *common, json_t *own_a, json_t *own_b, struct err *e) {
	char cookie[2 * FLOWS_COOKIE + 1];
	json_t *answer = NULL, *ask;
	int ret = make_cookie(cookie, e);

	if (ret == 0) {
		json_object_set_new(common, "address", json_string(p->address));
		json_object_set_new(common, "cookie", json_string(cookie));
		answer = agent_ask(p->agent[1], "prepare", request(common, own_b, "listen"), e);
		ret = answer != NULL ? 0 : -EPROTO;
	}
	if (ret == 0) {
		ask = request(common, own_a, "connect");
		json_object_update(ask, answer);
		json_decref(answer);
		answer = agent_ask(p->agent[0], "prepare", ask, e);
		ret = answer != NULL ? 0 : -EPROTO;
	}
	json_decref(answer);
	json_decref(common);
	json_decref(own_a);
	json_decref(own_b);
	return ret;
}

static int ask_both(struct pair *p, const char *what, const json_t *args, struct err *e) {
	for (int i = 1; i >= 0; i--) { // who listens is ready first
		json_t *answer = agent_ask(
			p->agent[i], what, args != NULL ? json_copy((json_t *)args) : NULL, e);

		if (answer == NULL)
			return agent_gone(p->agent[i]) ? -EPIPE : -EPROTO;
		json_decref(answer);
	}
	return 0;
}

static int listen_to_both(struct pair *p, const struct bench *b,
	bool (*event)(void *arg, unsigned who, const json_t *event), void *arg, struct err *e) {
	uint64_t by = clock_ns() + b->omit_ns + b->time_ns + OVERTIME_S * NS_PER_S;
	bool stopped = false, done = false;
	int ret = 0;

	while (!done && ret == 0) {
		unsigned who = 0;
		json_t *v = NULL;

		if (bench_stopped && !stopped) {
			stopped = true;
			by = clock_ns() + OVERTIME_S * NS_PER_S;
			ret = ask_both(p, "end", NULL, e);
			continue;
		}
		ret = agents_wait(p->agent, 2, LOOK_MS, &who, &v, e);
		if (ret == 0)
			done = event(arg, who, v);
		json_decref(v);
		if (ret == -EAGAIN)
			ret = clock_ns() < by ? 0
					      : err_set(e, ETIMEDOUT,
							"the measurement does not come to its end");
	}
	if (ret == 0 && stopped)
		return err_set(e, ECANCELED, "interrupted");
	return ret;
}

int pair_measure(struct pair *p, const struct bench *b, uint64_t interval_ns,
	bool (*event)(void *arg, unsigned who, const json_t *event), void *arg, struct err *e) {
	json_t *when = json_pack("{s:I, s:I, s:I}", "omit", (json_int_t)b->omit_ns, "time",
		(json_int_t)b->time_ns, "interval", (json_int_t)interval_ns);
	int ret = ask_both(p, "start", when, e);

	json_decref(when);
	if (ret == 0)
		ret = listen_to_both(p, b, event, arg, e);
	if (ret == 0)
		ret = ask_both(p, "drop", NULL, e);
	return ret;
}

void pair_cpu(const struct pair *p, json_t *doc, json_t *const cpu[2], unsigned repeat, double bits,
	double frames) {
	bool one = cpu[0] != NULL && cpu[1] != NULL && agents_together(p->agent[0], p->agent[1]);
	char number[16], both[600];

	snprintf(number, sizeof(number), "%u", repeat + 1);
	snprintf(both, sizeof(both), "%s, %s", p->name[0], p->name[1]);
	if (one) // one host was looked at twice; the threads are two lists
		json_array_extend(
			json_object_get(cpu[0], "threads"), json_object_get(cpu[1], "threads"));
	for (int i = 0; i < 2; i++) {
		if (cpu[i] == NULL)
			continue;
		if (i == 1 && one) {
			json_decref(cpu[i]);
			continue;
		}
		hostcpu_per(cpu[i], bits, frames);
		result_cpu(doc,
			json_pack("{s:s, s:s}", "endpoint", one ? both : p->name[i], "repeat",
				number),
			cpu[i]);
	}
}
