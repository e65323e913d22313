/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/flows/pair.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "bench/clock.h"
#include "bench/flows/flows.h"
#include "bench/hostcpu.h"
#include "bench/result.h"

enum { LOOK_MS = 100, OVERTIME_S = 15 };
#define START_NS (2 * NS_PER_MS) // for one agent of many to start what was prepared

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
	json_decref(p->host);
	p->host = NULL;
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

/* The address as end `i` is told it: B is at home there and has no use for A's zone. */
static json_t *address_for(const struct pair *p, int i) {
	char address[ZONED_MAX];

	memcpy(address, p->address, sizeof(address));
	if (i == 1)
		zone_strip(address);
	return json_string(address);
}

static json_t *request(const json_t *common, const json_t *own, const char *role) {
	json_t *v = json_copy((json_t *)common);

	json_object_update(v, (json_t *)own);
	json_object_set_new(v, "role", json_string(role));
	return v;
}

/* From where A's flows will come, which a server at B ties them to: its own address there, and, behind
 * a translator of addresses, that of the connection to B, which B adds itself. */
static void name_peer(struct pair *p, json_t *own_b) {
	json_t *source;
	struct err e;

	if (agent_endpoint(p->agent[1])->kind != ENDPOINT_HOST)
		return;
	source = agent_ask(p->agent[0], "source", json_pack("{s:s}", "address", p->address), &e);
	if (json_is_string(source))
		json_object_set_new(own_b, "peers", json_pack("[O]", source));
	json_decref(source);
}

int pair_prepare(struct pair *p, json_t *common, json_t *own_a, json_t *own_b, struct err *e) {
	char cookie[2 * FLOWS_COOKIE + 1];
	json_t *answer = NULL, *ask;
	int ret = make_cookie(cookie, e);

	if (ret == 0) {
		json_object_set_new(own_a, "address", address_for(p, 0));
		json_object_set_new(own_b, "address", address_for(p, 1));
		json_object_set_new(common, "cookie", json_string(cookie));
		name_peer(p, own_b);
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

/* Everybody who takes part. */
struct crowd {
	struct pair *p;
	struct agent *agents[AGENTS_MAX]; // A and B of each
	unsigned n;
	uint64_t begin, end; // of counting
	uint64_t time, interval;
	enum pair_moment moment;
	const struct bench *b;
};

/* Those who listen are ready first. */
static int ask_all(struct crowd *c, const char *what,
	json_t *(*args)(const struct crowd *c, unsigned i), struct err *e) {
	for (unsigned k = 0; k < c->n; k++) {
		unsigned i = k < c->n / 2 ? 2 * k + 1 : 2 * (k - c->n / 2);
		uint64_t asked = clock_ns();
		json_t *answer = agent_ask(c->agents[i], what, args != NULL ? args(c, i) : NULL, e);

		if (answer == NULL)
			return agent_gone(c->agents[i]) ? -EPIPE : -EPROTO;
		json_decref(answer);
		if (args != NULL && !agent_here(c->agents[i]))
			c->p[i / 2].late[i % 2] = clock_ns() - asked;
	}
	return 0;
}

static json_t *start_args(const struct crowd *c, unsigned i) {
	uint64_t now = clock_ns();
	json_t *args = json_pack("{s:I, s:I, s:I}", "time", (json_int_t)c->time, "interval",
		(json_int_t)c->interval, "omit", (json_int_t)(c->begin > now ? c->begin - now : 0));

	if (agent_here(c->agents[i]))
		json_object_set_new(args, "at", json_integer((json_int_t)c->begin));
	return args;
}

/* The agent of a VM sees its own CPUs alone; what they cost is seen here, while they
 * count. */
static void watch_host(struct pair *p, enum pair_moment moment) {
	const char *roles[] = {"vm", "vm"};
	pid_t pids[2];
	unsigned n = 0;
	bool any = false;

	for (int i = 0; i < 2; i++) {
		any |= agent_vm(p->agent[i], &pids[n]);
		n += pids[n] > 0;
	}
	if (moment == PAIR_BEGINS && any)
		p->watching = hostcpu_begin(pids, roles, n);
	if (moment != PAIR_OVER || p->watching == NULL)
		return;
	json_decref(p->host);
	p->host = hostcpu_end(p->watching);
	p->watching = NULL;
}

/* What becomes due as time goes by. */
static int keep_time(struct crowd *c,
	int (*counting)(void *arg, enum pair_moment moment, double left_s, struct err *e),
	void *arg, struct err *e) {
	uint64_t now = clock_ns();
	enum pair_moment moment = c->moment;
	const struct bench *b = c->b;
	double left = ((double)c->end - (double)now) / 1e9;

	if (now < c->begin || moment == PAIR_OVER)
		return 0;
	c->moment = now >= c->end ? PAIR_OVER : PAIR_COUNTS;
	if (b->counting != NULL && (moment == PAIR_BEGINS || c->moment == PAIR_OVER))
		b->counting(b->counting_arg, moment == PAIR_BEGINS);
	if (counting == NULL) {
		watch_host(c->p, c->moment == PAIR_OVER ? PAIR_OVER : moment);
		return 0;
	}
	return counting(arg, c->moment == PAIR_OVER ? PAIR_OVER : moment, left, e);
}

/* Milliseconds until the next thing that is due. */
static int patience(const struct crowd *c) {
	uint64_t now = clock_ns(), next = now < c->begin ? c->begin : c->end;

	if (now >= next || next - now > LOOK_MS * NS_PER_MS)
		return LOOK_MS;
	return (int)((next - now) / NS_PER_MS) + 1;
}

static int listen_to_all(struct crowd *c,
	int (*counting)(void *arg, enum pair_moment moment, double left_s, struct err *e),
	bool (*event)(void *arg, unsigned who, const json_t *event), void *arg, struct err *e) {
	uint64_t by = c->end + OVERTIME_S * NS_PER_S;
	bool stopped = false, done = false;
	int ret = 0;

	while (!done && ret == 0) {
		unsigned who = 0;
		json_t *v = NULL;

		if (bench_stopped && !stopped) {
			stopped = true;
			c->end = clock_ns();
			by = c->end + OVERTIME_S * NS_PER_S;
			ret = ask_all(c, "end", NULL, e);
			continue;
		}
		ret = keep_time(c, counting, arg, e);
		if (ret == 0)
			ret = agents_wait(c->agents, c->n, patience(c), &who, &v, e);
		if (ret == 0)
			done = event(arg, who, v);
		json_decref(v);
		if (ret == -EAGAIN)
			ret = clock_ns() < by ? 0
					      : err_set(e, ETIMEDOUT,
							"the measurement does not come to its end");
	}
	watch_host(c->p, PAIR_OVER);
	if (ret == 0 && stopped)
		return err_set(e, ECANCELED, "interrupted");
	return ret;
}

/* Once, before anything is measured; an agent that does not know says nothing. */
static void tell_interfaces(struct pair *p, json_t *doc) {
	struct err e;

	for (int i = 0; i < 2 && !p->told; i++) {
		json_t *nic = agent_ask(p->agent[i], "interface",
			json_pack("{s:o}", "address", address_for(p, i)), &e);

		if (json_is_object(nic))
			result_interface(doc, p->name[i], json_incref(nic));
		json_decref(nic);
	}
	p->told = true;
}

int pair_measure(struct pair *p, unsigned n, const struct bench *b, uint64_t interval_ns,
	int (*counting)(void *arg, enum pair_moment moment, double left_s, struct err *e),
	bool (*event)(void *arg, unsigned who, const json_t *event), void *arg, struct err *e) {
	struct crowd c = {.p = p,
		.b = b,
		.n = 2 * n,
		.moment = PAIR_BEGINS,
		.time = b->time_ns,
		.interval = interval_ns};
	uint64_t from;
	int ret;

	for (unsigned i = 0; i < n; i++)
		tell_interfaces(&p[i], b->doc);
	ret = bench_meet(b->meeting, clock_ns(), &from, e);

	if (ret < 0)
		return ret;
	for (unsigned i = 0; i < c.n; i++)
		c.agents[i] = p[i / 2].agent[i % 2];
	c.begin = from + b->omit_ns + (n > 1 ? c.n * START_NS : 0);
	c.end = c.begin + b->time_ns;
	ret = ask_all(&c, "start", start_args, e);
	for (unsigned i = 0; i < c.n && b->meeting != NULL; i++)
		if (p[i / 2].late[i % 2] > b->meeting->late)
			b->meeting->late = p[i / 2].late[i % 2];
	if (ret == 0)
		ret = listen_to_all(&c, counting, event, arg, e);
	if (ret == 0)
		ret = ask_all(&c, "drop", NULL, e);
	return ret;
}

void pair_cpu(struct pair *p, json_t *doc, json_t *const cpu[2], unsigned repeat, double bits,
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
	if (p->host == NULL)
		return;
	hostcpu_per(p->host, bits, frames);
	result_cpu(
		doc, json_pack("{s:s, s:s}", "endpoint", "this host", "repeat", number), p->host);
	p->host = NULL;
}
