/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * `rr` as an agent does it: one end asks, the other answers, with as many threads as flows, CPUs, or as
 * it was told, whichever are fewest. Only who asks counts.
 *
 *   -> prepare {"job": "rr", "role": "listen"|"connect", "udp", "connect": bool, "flows", "address",
 *               "cookie", "request", "response": bytes, "rate": 1/s in all, 0: closed loop, "timeout": ns,
 *               "ports": [..], "threads": at most so many, "host_cpu": false: no event "cpu"}
 *   <- {"ok": {"ports": [..]}}
 *   <- {"event": "interval", "from", "to": s, "transactions": 1/s}
 *   <- {"event": "cpu", "cpu": {hostcpu.h}}
 *   <- {"event": "asked"|"answered", ...}, see report() */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/agent.h"
#include "bench/clock.h"
#include "bench/flows/rr_thread.h"
#include "bench/hostcpu.h"
#include "bench/threads.h"

enum { TAKE_MS = 5000 };
#define ENDING_NS   (5 * NS_PER_MS)
#define LATE_NS     (200 * NS_PER_MS) // for a thread to see that the time is over
#define TIMEOUT_MAX (60 * NS_PER_S)
#define RATE_MAX    100e6

struct rr_job {
	struct flows_listener *listener;
	struct rr_plan plan;
	struct rr_thread *threads;
	unsigned n; // threads
	int *fds;
	double rate;
	unsigned threads_most; // 0: as many as CPUs
	bool asks, watch_cpu, started, counting, over, end_asked, drained, reported;
	struct thread_time *began;
	struct thread_load load; // of the busiest thread
	struct hostcpu *cpu;
	uint64_t due, time, interval, begin_at, end_at, last_at, last_done;
};

static void drop(void *arg) {
	struct rr_job *j = arg;

	atomic_store(&j->plan.stop, true);
	for (unsigned i = 0; j->fds != NULL && i < j->plan.spec.n; i++)
		if (j->fds[i] >= 0)
			shutdown(j->fds[i], SHUT_RDWR); // ends calls that block
	for (unsigned i = 0; j->threads != NULL && i < j->n; i++)
		rr_thread_end(&j->threads[i]);
	for (unsigned i = 0; j->fds != NULL && i < j->plan.spec.n; i++)
		if (j->fds[i] >= 0)
			close(j->fds[i]);
	flows_close(j->listener);
	if (j->cpu != NULL)
		json_decref(hostcpu_end(j->cpu));
	free(j->threads);
	free(j->began);
	free(j->fds);
	free(j);
}

static int read_plan(struct rr_job *j, const json_t *args, struct err *e) {
	int each = 0, request = 0, response = 0, threads = 0, host_cpu = 1;
	json_int_t timeout = 0;

	if (json_unpack((json_t *)args, "{s:b, s:i, s:i, s:F, s:I, s?i, s?b}", "connect", &each,
		    "request", &request, "response", &response, "rate", &j->rate, "timeout",
		    &timeout, "threads", &threads, "host_cpu", &host_cpu) < 0 ||
		threads < 0 || !(j->rate >= 0 && j->rate <= RATE_MAX) ||
		timeout < (json_int_t)NS_PER_MS || timeout > (json_int_t)TIMEOUT_MAX)
		return err_set(e, EINVAL,
			"an rr wants connect, request, response, rate (at most 100 million) and "
			"timeout (1 ms to 1 minute)");
	if (request < 1 || request > RR_SIZE_MAX || response < 1 || response > RR_SIZE_MAX)
		return err_set(e, ERANGE,
			"requests and responses of %d and %d bytes are not possible; 1 to %d are",
			request, response, RR_SIZE_MAX);
	if (each && j->plan.spec.udp)
		return err_set(e, EINVAL, "UDP has no connections to make each time");
	j->plan.udp = j->plan.spec.udp;
	j->plan.connect = each;
	j->plan.request = (unsigned)request;
	j->plan.response = (unsigned)response;
	j->plan.timeout_ns = (uint64_t)timeout;
	j->threads_most = (unsigned)threads;
	j->watch_cpu = host_cpu;
	return 0;
}

static int make_threads(struct rr_job *j, struct err *e) {
	unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN), flows = j->plan.spec.n;

	j->n = flows < cpus ? flows : cpus;
	if (j->threads_most > 0 && j->threads_most < j->n)
		j->n = j->threads_most;
	j->threads = aligned_alloc(_Alignof(struct rr_thread), j->n * sizeof(*j->threads));
	j->began = calloc(j->n, sizeof(*j->began));
	j->fds = malloc(flows * sizeof(int));
	if (j->threads == NULL || j->began == NULL || j->fds == NULL)
		return err_set(e, ENOMEM, "out of memory");
	memset(j->threads, 0, j->n * sizeof(*j->threads));
	for (unsigned i = 0; i < flows; i++)
		j->fds[i] = -1;
	return 0;
}

/* When each transaction connects, one connection shows that the other end is who it should be. */
static int open_flows(
	struct rr_job *j, bool listens, const json_t *args, json_t **ports, struct err *e) {
	struct flows_spec spec = j->plan.spec;
	const json_t *theirs = json_object_get(args, "ports");
	int ret;

	spec.n = j->plan.connect ? 1 : spec.n;
	j->plan.port = (unsigned)json_integer_value(json_array_get(theirs, 0));
	if (!listens) {
		ret = flows_connect(&spec, theirs, j->fds, e);
		if (ret == 0 && j->plan.connect) {
			close(j->fds[0]);
			j->fds[0] = -1;
		}
		return ret;
	}
	j->listener = flows_listen(&spec, ports, e);
	return j->listener != NULL ? 0 : -EADDRNOTAVAIL;
}

static void *prepare(const json_t *args, const char *device, json_t **answer, struct err *e) {
	struct rr_job *j = calloc(1, sizeof(*j));
	const char *role = json_string_value(json_object_get(args, "role"));
	bool listens = role != NULL && strcmp(role, "listen") == 0;
	json_t *ports = NULL;

	if (j == NULL) {
		err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	j->asks = !listens;
	if (flows_spec_read(&j->plan.spec, args, e) < 0 || read_plan(j, args, e) < 0)
		goto failed;
	if (device != NULL)
		strncpy(j->plan.spec.device, device, sizeof(j->plan.spec.device) - 1);
	if (make_threads(j, e) < 0 || open_flows(j, listens, args, &ports, e) < 0)
		goto failed;
	*answer = listens ? json_pack("{s:o}", "ports", ports) : json_object();
	return j;
failed:
	drop(j);
	return NULL;
}

/* The listener's flows, and for those that connect each time its socket. */
static int take_flows(struct rr_job *j, int *listening, struct err *e) {
	int ret;

	*listening = -1;
	if (j->listener == NULL)
		return 0;
	ret = flows_take(j->listener, j->fds, TAKE_MS, e);
	if (ret == 0 && j->plan.connect) {
		close(j->fds[0]);
		j->fds[0] = -1;
		*listening = flows_listening(j->listener);
		fcntl(*listening, F_SETFL, O_NONBLOCK); // several threads wait there
	}
	return ret;
}

static int start(
	void *arg, uint64_t begin_ns, uint64_t time_ns, uint64_t interval_ns, struct err *e) {
	struct rr_job *j = arg;
	unsigned flows = j->plan.spec.n;
	int listening, ret = take_flows(j, &listening, e);

	if (ret < 0)
		return ret;
	j->due = clock_ns();
	if (begin_ns > j->due)
		j->due = begin_ns;
	j->time = time_ns;
	j->interval = interval_ns;
	j->started = true;
	j->plan.per_ns = j->rate / 1e9 / j->n;
	for (unsigned i = 0, at = 0; i < j->n; i++) {
		struct rr_thread *t = &j->threads[i];

		t->plan = &j->plan;
		t->listening = listening;
		t->fds = j->fds + at;
		t->n = flows / j->n + (i < flows % j->n);
		at += t->n;
		if (j->plan.connect && !j->asks)
			t->n = 0;
		if (j->rate > 0)
			t->offset_ns = (uint64_t)(1e9 / j->rate * i);
		if ((j->asks ? rr_client_start(t) : rr_server_start(t)) < 0)
			return err_set(e, EAGAIN, "cannot start %u threads", j->n);
	}
	return 0;
}

static uint64_t done_so_far(const struct rr_job *j) {
	uint64_t n = 0;

	for (unsigned i = 0; i < j->n; i++)
		n += atomic_load(&j->threads[i].done);
	return n;
}

/* A sign of life for whoever answers: bytes of responses. */
static uint64_t got(void *arg) {
	struct rr_job *j = arg;

	return j->started ? done_so_far(j) * j->plan.response : 0;
}

static struct thread_time time_of(const struct rr_thread *t) {
	struct thread_time now = thread_time(atomic_load(&t->tid));

	now.spun = atomic_load(&t->spun);
	return now;
}

static void begin_counting(struct rr_job *j) {
	const char *role = j->asks ? "client" : "server";
	pid_t self = getpid();

	j->cpu = j->watch_cpu ? hostcpu_begin(&self, &role, 1) : NULL;
	for (unsigned i = 0; i < j->n; i++)
		j->began[i] = time_of(&j->threads[i]);
	j->begin_at = j->last_at = clock_ns();
	atomic_store(&j->plan.phase, RR_COUNTED);
	j->last_done = done_so_far(j);
	j->counting = true;
}

static void interval_over(
	struct rr_job *j, uint64_t now, void (*say)(void *to, json_t *event), void *to) {
	uint64_t n = done_so_far(j);

	if (j->asks)
		say(to, json_pack("{s:s, s:f, s:f, s:f}", "event", "interval", "from",
				(double)(j->last_at - j->begin_at) / 1e9, "to",
				(double)(now - j->begin_at) / 1e9, "transactions",
				(double)(n - j->last_done) * 1e9 / (double)(now - j->last_at)));
	j->last_at = now;
	j->last_done = n;
}

static void end_counting(struct rr_job *j, void (*say)(void *, json_t *), void *to) {
	double spun = 0;
	json_t *cpu;

	j->load = THREAD_UNKNOWN;
	j->end_at = clock_ns();
	if (j->asks)
		atomic_store(&j->plan.phase, RR_AFTER);
	for (unsigned i = 0; i < j->n; i++) {
		struct thread_load l = thread_load(j->began[i], time_of(&j->threads[i]));

		j->load = thread_busier(j->load, l);
		spun += isnan(l.spun) ? 0 : l.spun;
	}
	j->over = true;
	if (j->end_at > j->last_at + j->interval / 2)
		interval_over(j, j->end_at, say, to);
	cpu = j->cpu != NULL ? hostcpu_end(j->cpu) : NULL;
	j->cpu = NULL;
	if (spun > 0)
		hostcpu_spun(cpu, spun);
	if (cpu != NULL)
		say(to, json_pack("{s:s, s:o}", "event", "cpu", "cpu", cpu));
}

static bool all_rested(const struct rr_job *j) {
	for (unsigned i = 0; i < j->n; i++)
		if (!atomic_load(&j->threads[i].rested))
			return false;
	return true;
}

static bool all_ended(const struct rr_job *j) {
	for (unsigned i = 0; i < j->n; i++)
		if (!atomic_load(&j->threads[i].ended))
			return false;
	return true;
}

/* {"began", "ended": ns of clock_ns(), "seconds", "busy", "waited": of the busiest thread or null, "failed": sentence or null}; who asked adds
 * "transactions", "offered", "lost", "late", "refused": of those that began while counting; "latency" and,
 * in open loop, "lateness", histograms; to "latency" all are lost that were offered and not answered. */
static json_t *report(const struct rr_job *j) {
	struct hist *latency = malloc(sizeof(*latency)), *lateness = malloc(sizeof(*lateness));
	uint64_t counted = 0, offered = 0, lost = 0, late = 0, refused = 0;
	json_t *v = json_pack("{s:s, s:I, s:I, s:f}", "event", j->asks ? "asked" : "answered",
		"began", (json_int_t)j->begin_at, "ended", (json_int_t)j->end_at, "seconds",
		(double)(j->end_at - j->begin_at) / 1e9);
	int failed = latency != NULL && lateness != NULL ? 0 : ENOMEM;

	thread_load_tell(v, j->load);
	if (failed == 0) {
		hist_reset(latency);
		hist_reset(lateness);
	}
	for (unsigned i = 0; i < j->n && failed == 0; i++) {
		const struct rr_thread *t = &j->threads[i];

		counted += t->counted;
		offered += t->offered;
		lost += t->lost;
		late += t->late;
		refused += t->refused;
		failed = atomic_load(&t->failed);
		if (!j->asks)
			continue;
		hist_merge(latency, &t->latency);
		hist_merge(lateness, &t->lateness);
	}
	if (j->asks && failed == 0 && offered > latency->count)
		hist_lose(latency, offered - latency->count, j->plan.timeout_ns);
	json_object_set_new(v, "failed", failed != 0 ? json_string(strerror(failed)) : json_null());
	if (j->asks && latency != NULL && lateness != NULL)
		json_object_update_new(
			v, json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "transactions",
				   (json_int_t)counted, "offered", (json_int_t)offered, "lost",
				   (json_int_t)lost, "late", (json_int_t)late, "refused",
				   (json_int_t)refused, "latency", hist_json(latency), "lateness",
				   hist_json(lateness)));
	free(latency);
	free(lateness);
	return v;
}

static uint64_t step(void *arg, void (*say)(void *to, json_t *event), void *to) {
	struct rr_job *j = arg;
	uint64_t now = clock_ns(), next;

	if (!j->counting && (now >= j->due || j->end_asked))
		begin_counting(j);
	if (!j->counting)
		return j->due;
	if (!j->over && (now >= j->due + j->time || j->end_asked))
		end_counting(j, say, to);
	if (j->over) {
		// Who asks waits for the last answers; who answers until nobody asks any more.
		if (j->asks ? all_rested(j) || now >= j->end_at + j->plan.timeout_ns + LATE_NS
			    : j->drained)
			atomic_store(&j->plan.phase, RR_ENDING);
		if (!j->reported && all_ended(j)) {
			j->reported = true;
			say(to, report(j));
		}
		return now + ENDING_NS;
	}
	next = j->last_at + j->interval;
	if (now >= next) {
		interval_over(j, now, say, to);
		next = j->last_at + j->interval;
	}
	return next < j->due + j->time ? next : j->due + j->time;
}

static void end(void *arg) {
	struct rr_job *j = arg;

	j->end_asked = true;
}

static void drain(void *arg) {
	struct rr_job *j = arg;

	j->drained = true;
}

const struct job_kind job_rr = {
	.name = "rr",
	.prepare = prepare,
	.start = start,
	.step = step,
	.end = end,
	.drain = drain,
	.got = got,
	.drop = drop,
};
