/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * `stream` as an agent does it: makes the flows, starts their threads, and reads their counters at the
 * moments that matter: where the warm-up ends, at each interval, where the time is over. A rate is a
 * difference of counters over the time that really lay between two readings. Then the senders end,
 * receivers read what is still under way, and the totals follow.
 *
 *   -> prepare {"job": "stream", "role": "listen"|"connect", "udp", "flows", "address", "cookie", "mss",
 *               "send": bool, "receive": bool, "length": bytes, "rate": bit/s a flow, "ports": [..],
 *               "host_cpu": false: no event "cpu"}
 *   <- {"ok": {"ports": [..]}}
 *   <- {"event": "interval", "from", "to": s, "sent", "received": bit/s, "retransmits", "cwnd", "rtt"}
 *   <- {"event": "cpu", "cpu": {hostcpu.h}}
 *   <- {"event": "sent"|"received", ...}, see report(); nothing more of that direction follows
 *
 * When an agent both sends and receives, it has twice as many flows, the first half leads from who
 * connects to who listens. */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/agent.h"
#include "bench/clock.h"
#include "bench/flows/flows.h"
#include "bench/flows/stream_flow.h"
#include "bench/hostcpu.h"
#include "bench/threads.h"

enum { TAKE_MS = 5000 };
#define ENDING_NS (5 * NS_PER_MS) // how often it is looked at then
#define DRAIN_NS  (3 * NS_PER_S) // what has not come after the drain by then will not come

/* What TCP says of all flows together. */
struct tcp_state {
	uint64_t retransmits, cwnd;
	double rtt_s, rtt_min_s;
};

/* The counters at one moment. */
struct reading {
	uint64_t at, sent, received;
	struct tcp_state tcp;
};

struct side { // sending or receiving
	bool exists, reported;
};

struct stream_job {
	struct flows_spec spec;
	struct flows_listener *listener;
	struct stream_plan plan;
	struct stream_flow *flows; // spec.n of them
	int *fds;
	struct thread_time *began; // a flow
	struct thread_load *loads;
	struct side send, receive;
	bool started;
	uint64_t due, time, interval, drain_by;
	struct reading begin, last, end;
	uint64_t *counted; // bytes of each flow: at begin, then from there to end
	bool watch_cpu, counting, over, end_asked;
	struct hostcpu *cpu;
};

static void drop(void *arg) {
	struct stream_job *j = arg;

	atomic_store(&j->plan.stop, true);
	flows_close(j->listener);
	for (unsigned i = 0; i < j->spec.n; i++) {
		if (j->fds != NULL && j->fds[i] >= 0)
			shutdown(j->fds[i], SHUT_RDWR); // ends calls that block
		if (j->flows != NULL && j->flows[i].plan != NULL)
			stream_flow_close(&j->flows[i]);
		else if (j->fds != NULL && j->fds[i] >= 0)
			close(j->fds[i]);
	}
	if (j->cpu != NULL)
		json_decref(hostcpu_end(j->cpu));
	free(j->flows);
	free(j->fds);
	free(j->began);
	free(j->loads);
	free(j->counted);
	free(j);
}

static int read_plan(struct stream_job *j, const json_t *args, struct err *e) {
	int send = 0, receive = 0, host_cpu = 1;
	json_int_t length = 0, rate = 0;
	size_t least = j->spec.udp ? STREAM_DATAGRAM_MIN : 1;
	size_t most = j->spec.udp ? FLOWS_UDP_MAX : STREAM_LENGTH_MAX;

	if (json_unpack((json_t *)args, "{s:b, s:b, s:I, s:I, s?b}", "send", &send, "receive",
		    &receive, "length", &length, "rate", &rate, "host_cpu", &host_cpu) < 0 ||
		(!send && !receive) || rate < 0)
		return err_set(e, EINVAL, "a stream wants send or receive, length and rate");
	if (length < (json_int_t)least || length > (json_int_t)most)
		return err_set(e, ERANGE, "a length of %lld is not possible; %zu to %zu bytes are",
			(long long)length, least, most);
	if (send && receive && j->spec.n % 2 != 0)
		return err_set(e, EINVAL, "both directions want an even number of flows");
	j->send.exists = send;
	j->receive.exists = receive;
	j->plan.udp = j->spec.udp;
	j->plan.length = (size_t)length;
	j->plan.rate = (uint64_t)rate;
	j->watch_cpu = host_cpu;
	return 0;
}

static void *prepare(const json_t *args, const char *device, json_t **answer, struct err *e) {
	struct stream_job *j = NULL;
	const char *role = json_string_value(json_object_get(args, "role"));
	bool listens = role != NULL && strcmp(role, "listen") == 0;
	size_t bytes;
	json_t *ports = NULL;

	j = calloc(1, sizeof(*j));
	if (j == NULL) {
		err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	if (flows_spec_read(&j->spec, args, e) < 0 || read_plan(j, args, e) < 0) {
		j->spec.n = 0;
		goto failed;
	}
	if (device != NULL)
		strncpy(j->spec.device, device, sizeof(j->spec.device) - 1);
	bytes = j->spec.n * sizeof(*j->flows);
	j->flows = aligned_alloc(_Alignof(struct stream_flow), bytes);
	j->fds = malloc(j->spec.n * sizeof(int));
	j->began = calloc(j->spec.n, sizeof(*j->began));
	j->loads = calloc(j->spec.n, sizeof(*j->loads));
	j->counted = calloc(j->spec.n, sizeof(*j->counted));
	if (j->flows == NULL || j->fds == NULL || j->began == NULL || j->loads == NULL ||
		j->counted == NULL) {
		err_set(e, ENOMEM, "out of memory");
		j->spec.n = 0;
		goto failed;
	}
	memset(j->flows, 0, bytes);
	for (unsigned i = 0; i < j->spec.n; i++)
		j->fds[i] = -1;
	if (listens)
		j->listener = flows_listen(&j->spec, &ports, e);
	if (listens ? j->listener == NULL
		    : flows_connect(&j->spec, json_object_get(args, "ports"), j->fds, e) < 0)
		goto failed;
	for (unsigned i = 0; i < j->spec.n; i++) {
		bool away = i < j->spec.n / 2; // from who connects

		j->flows[i].fd = -1;
		j->flows[i].sends = j->send.exists && (!j->receive.exists || away != listens);
	}
	*answer = listens ? json_pack("{s:o}", "ports", ports) : json_object();
	return j;
failed:
	drop(j);
	return NULL;
}

static int start(
	void *arg, uint64_t begin_ns, uint64_t time_ns, uint64_t interval_ns, struct err *e) {
	struct stream_job *j = arg;

	if (j->listener != NULL && flows_take(j->listener, j->fds, TAKE_MS, e) < 0)
		return -ETIMEDOUT;
	j->started = true;
	j->due = clock_ns();
	if (begin_ns > j->due)
		j->due = begin_ns;
	j->time = time_ns;
	j->interval = interval_ns;
	for (unsigned i = 0; i < j->spec.n; i++) {
		j->flows[i].plan = &j->plan;
		j->flows[i].fd = j->fds[i];
		if (stream_flow_start(&j->flows[i]) < 0)
			return err_set(e, EAGAIN, "cannot start %u threads", j->spec.n);
	}
	return 0;
}

static void read_tcp(const struct stream_job *j, struct tcp_state *t) {
	unsigned n = 0;

	for (unsigned i = 0; i < j->spec.n && !j->spec.udp; i++) {
		struct tcp_info ti = {0};
		socklen_t len = sizeof(ti);

		if (!j->flows[i].sends ||
			getsockopt(j->flows[i].fd, IPPROTO_TCP, TCP_INFO, &ti, &len) < 0)
			continue;
		n++;
		t->retransmits += ti.tcpi_total_retrans;
		t->cwnd += (uint64_t)ti.tcpi_snd_cwnd * ti.tcpi_snd_mss;
		t->rtt_s += ti.tcpi_rtt * 1e-6;
		if (n == 1 || ti.tcpi_min_rtt * 1e-6 < t->rtt_min_s)
			t->rtt_min_s = ti.tcpi_min_rtt * 1e-6;
	}
	if (n > 0)
		t->rtt_s /= n;
}

/* `each`, when it is not NULL: becomes the bytes of each flow since what it was. */
static struct reading read_all(const struct stream_job *j, uint64_t *each) {
	struct reading r = {0};

	read_tcp(j, &r.tcp);
	r.at = clock_ns();
	for (unsigned i = 0; i < j->spec.n; i++) {
		uint64_t bytes = atomic_load(&j->flows[i].moved.bytes);

		if (j->flows[i].sends)
			r.sent += bytes;
		else
			r.received += bytes;
		if (each != NULL)
			each[i] = bytes - each[i];
	}
	return r;
}

static uint64_t got(void *arg) {
	struct stream_job *j = arg;

	return j->started ? read_all(j, NULL).received : 0;
}

static double seconds(uint64_t from, uint64_t to) {
	return (double)(to - from) / 1e9;
}

/* Of what is never 0 once it is known. */
static json_t *positive(double v) {
	return v > 0 ? json_real(v) : json_null();
}

static json_t *interval_event(struct stream_job *j, const struct reading *now) {
	double t = seconds(j->last.at, now->at);
	json_t *v = json_pack("{s:s, s:f, s:f}", "event", "interval", "from",
		seconds(j->begin.at, j->last.at), "to", seconds(j->begin.at, now->at));

	if (j->send.exists)
		json_object_set_new(
			v, "sent", json_real((double)(now->sent - j->last.sent) * 8 / t));
	if (j->receive.exists)
		json_object_set_new(v, "received",
			json_real((double)(now->received - j->last.received) * 8 / t));
	if (j->send.exists && !j->spec.udp) {
		json_object_set_new(v, "retransmits",
			json_integer((json_int_t)(now->tcp.retransmits - j->last.tcp.retransmits)));
		json_object_set_new(v, "cwnd", positive((double)now->tcp.cwnd));
		json_object_set_new(v, "rtt", positive(now->tcp.rtt_s));
	}
	j->last = *now;
	return v;
}

static void begin_counting(struct stream_job *j) {
	static const char *const roles[] = {"sender", "receiver", "sender and receiver"};
	pid_t self = getpid();
	const char *role = roles[j->send.exists && j->receive.exists ? 2 : j->send.exists ? 0 : 1];

	j->cpu = j->watch_cpu ? hostcpu_begin(&self, &role, 1) : NULL;
	for (unsigned i = 0; i < j->spec.n; i++)
		j->began[i] = thread_time(atomic_load(&j->flows[i].tid));
	atomic_store(&j->plan.phase, STREAM_COUNTED);
	j->begin = j->last = read_all(j, j->counted);
	j->counting = true;
}

static void end_counting(struct stream_job *j, void (*say)(void *, json_t *), void *to) {
	json_t *cpu;

	j->end = read_all(j, j->counted);
	atomic_store(&j->plan.phase, STREAM_AFTER);
	for (unsigned i = 0; i < j->spec.n; i++)
		j->loads[i] = thread_load(j->began[i], thread_time(atomic_load(&j->flows[i].tid)));
	j->over = true;
	if (j->end.at > j->last.at + j->interval / 2)
		say(to, interval_event(j, &j->end));
	cpu = j->cpu != NULL ? hostcpu_end(j->cpu) : NULL;
	j->cpu = NULL;
	atomic_store(&j->plan.phase, STREAM_ENDING);
	if (cpu != NULL)
		say(to, json_pack("{s:s, s:o}", "event", "cpu", "cpu", cpu));
}

static bool side_ended(const struct stream_job *j, bool sends) {
	for (unsigned i = 0; i < j->spec.n; i++)
		if (j->flows[i].sends == sends && !atomic_load(&j->flows[i].ended))
			return false;
	return true;
}

static void set_count(json_t *v, const char *key, uint64_t n) {
	json_object_set_new(v, key, json_integer((json_int_t)n));
}

/* What one flow adds to the report of its side. */
struct sums {
	uint64_t bytes, datagrams, counted_bytes, counted_datagrams;
	uint64_t offered_bytes, offered_datagrams, duplicates, reordered, late, overflows;
	double jitter_s;
	unsigned jitters; // flows that know theirs
	struct thread_load load; // of the busiest thread
	int failed;
};

static void sum_flow(struct sums *s, const struct stream_flow *f, struct thread_load load) {
	s->bytes += atomic_load(&f->moved.bytes);
	s->datagrams += atomic_load(&f->moved.datagrams);
	s->counted_bytes += atomic_load(&f->moved.counted_bytes);
	s->counted_datagrams += atomic_load(&f->moved.counted_datagrams);
	s->offered_bytes += atomic_load(&f->offered.bytes);
	s->offered_datagrams += atomic_load(&f->offered.counted_datagrams);
	s->duplicates += f->seqs.duplicates;
	s->reordered += f->seqs.reordered;
	s->late += f->seqs.late;
	s->overflows += atomic_load(&f->overflows) - f->overflows_before;
	if (f->transits > 1) {
		s->jitter_s += f->jitter_ns * 1e-9;
		s->jitters++;
	}
	s->load = thread_busier(s->load, load);
	if (s->failed == 0)
		s->failed = atomic_load(&f->failed);
}

/* {"began", "ended": ns of clock_ns(), "seconds": of what was counted, "bytes": in it, "total_bytes": from start to end, "flows": [bytes a
 * flow, of what was counted], "busy", "waited": of the busiest thread, "failed": sentence or null}; senders over TCP add
 * "retransmits", "cwnd", "rtt", "rtt_min"; over UDP all add "datagrams" (counted) and "total_datagrams",
 * senders "offered" (datagrams), receivers "duplicates", "reordered", "late", "jitter", "overflows". What
 * could not be found out is null. */
static json_t *report(const struct stream_job *j, bool sends) {
	struct sums s = {.load = THREAD_UNKNOWN};
	json_t *v = json_pack("{s:s, s:f}", "event", sends ? "sent" : "received", "seconds",
		seconds(j->begin.at, j->end.at));
	json_t *flows = json_array();

	for (unsigned i = 0; i < j->spec.n; i++) {
		const struct stream_flow *f = &j->flows[i];

		if (f->sends != sends)
			continue;
		sum_flow(&s, f, j->loads[i]);
		json_array_append_new(flows,
			json_integer((json_int_t)(j->spec.udp ? atomic_load(&f->moved.counted_bytes)
							      : j->counted[i])));
	}
	json_object_set_new(v, "flows", flows);
	set_count(v, "began", j->begin.at);
	set_count(v, "ended", j->end.at);
	set_count(v, "total_bytes", s.bytes);
	set_count(v, "bytes",
		j->spec.udp ? s.counted_bytes
		: sends     ? j->end.sent - j->begin.sent
			    : j->end.received - j->begin.received);
	thread_load_tell(v, s.load);
	json_object_set_new(
		v, "failed", s.failed != 0 ? json_string(strerror(s.failed)) : json_null());
	if (sends && !j->spec.udp) {
		set_count(v, "offered_bytes", s.offered_bytes);
		set_count(v, "retransmits", j->end.tcp.retransmits - j->begin.tcp.retransmits);
		json_object_set_new(v, "cwnd", positive((double)j->end.tcp.cwnd));
		json_object_set_new(v, "rtt", positive(j->end.tcp.rtt_s));
		json_object_set_new(v, "rtt_min", positive(j->end.tcp.rtt_min_s));
	}
	if (!j->spec.udp)
		return v;
	set_count(v, "datagrams", s.counted_datagrams);
	set_count(v, "total_datagrams", s.datagrams);
	if (sends) {
		set_count(v, "offered", s.offered_datagrams);
		return v;
	}
	set_count(v, "duplicates", s.duplicates);
	set_count(v, "reordered", s.reordered);
	set_count(v, "late", s.late);
	set_count(v, "overflows", s.overflows);
	json_object_set_new(
		v, "jitter", s.jitters > 0 ? json_real(s.jitter_s / s.jitters) : json_null());
	return v;
}

static void report_ended(struct stream_job *j, void (*say)(void *, json_t *), void *to) {
	if (j->send.exists && !j->send.reported && side_ended(j, true)) {
		j->send.reported = true;
		say(to, report(j, true));
	}
	if (j->receive.exists && !j->receive.reported && side_ended(j, false)) {
		j->receive.reported = true;
		say(to, report(j, false));
	}
}

static uint64_t step(void *arg, void (*say)(void *to, json_t *event), void *to) {
	struct stream_job *j = arg;
	uint64_t now = clock_ns(), next;

	if (!j->counting && (now >= j->due || j->end_asked))
		begin_counting(j);
	if (!j->counting)
		return j->due;
	if (!j->over && (now >= j->due + j->time || j->end_asked))
		end_counting(j, say, to);
	if (j->over) {
		if (j->drain_by != 0 && now > j->drain_by)
			atomic_store(&j->plan.stop, true);
		report_ended(j, say, to);
		return now + ENDING_NS;
	}
	next = j->last.at + j->interval;
	if (now >= next) {
		struct reading r = read_all(j, NULL);

		say(to, interval_event(j, &r));
		next = j->last.at + j->interval;
	}
	return next < j->due + j->time ? next : j->due + j->time;
}

static void end(void *arg) {
	struct stream_job *j = arg;

	j->end_asked = true;
}

static void drain(void *arg) {
	struct stream_job *j = arg;

	j->drain_by = clock_ns() + DRAIN_NS;
	atomic_store(&j->plan.drained, true);
}

const struct job_kind job_stream = {
	.name = "stream",
	.prepare = prepare,
	.start = start,
	.step = step,
	.end = end,
	.drain = drain,
	.got = got,
	.drop = drop,
};
