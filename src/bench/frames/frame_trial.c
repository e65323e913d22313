/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * A trial: sinks first, then a frame from every MAC so that switches know where they are, then the
 * generators, all from the same tick on, then the wait for stragglers. The frames of each trial carry
 * a number of its own, so what still comes of an earlier one is foreign. */
#include "bench/frames/frame_trial.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/bench.h"
#include "bench/frames/frame_bed.h"
#include "bench/tick.h"

enum {
	LOOK_MS = 20, /* how often the main thread looks after stop, ports and progress */
	HEAD_START_US = 2000,
	TAKEN_S = 2, /* at most, for a switch that has no CPU */
	MAGIC = 0x7765, /* "we" */
};
static const double HELD_WITHIN = 0.001;

struct trial {
	const struct frame_trial *t;
	struct frame_bed *bed;
	struct frame_run run;
	unsigned directions, senders, receivers;
	struct frame_sender sender[FRAME_QUEUES_MAX];
	struct frame_receiver receiver[2];
	pthread_t sending[FRAME_QUEUES_MAX], receiving[2];
};

void frame_pin(int cpu) {
	cpu_set_t one;

	if (cpu < 0)
		return;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

void frame_run_fail(struct frame_run *r, int code, unsigned endpoint) {
	int none = 0;

	if (atomic_compare_exchange_strong(&r->error, &none, code))
		atomic_store(&r->culprit, (int)endpoint);
	atomic_store(&r->stop, true);
}

static int look_for_pci(const struct frame_kind *ka, const char *a, const struct frame_kind *kb,
	const char *b, bool *pci, struct err *e) {
	int rc = ka == &frame_dpdk ? frame_dpdk_pci(strchr(a, ':') + 1, e) : 0;

	*pci = rc > 0;
	if (rc >= 0 && kb == &frame_dpdk) {
		rc = frame_dpdk_pci(strchr(b, ':') + 1, e);
		*pci |= rc > 0;
	}
	return rc < 0 ? rc : 0;
}

int frame_bed_open(struct frame_bed **out, const char *a, const char *b,
	const struct frame_bed_want *want, struct err *e) {
	const struct frame_kind *ka = frame_kind_of(a, e), *kb;
	struct frame_port_want w = {.queues = want->threads, .frame_max = want->frame_max};
	struct frame_bed *bed;
	bool pci;
	int rc;

	kb = ka != NULL ? frame_kind_of(b, e) : NULL;
	if (kb == NULL)
		return -EINVAL;
	if (strcmp(a, b) == 0)
		return err_set(e, EINVAL, "both endpoints are '%s'; frames need two", a);
	bed = calloc(1, sizeof(*bed));
	if (bed == NULL)
		return err_set(e, ENOMEM, "out of memory");
	bed->want = *want;
	(void)!getrandom(&bed->nonce, sizeof(bed->nonce), 0);
	rc = look_for_pci(ka, a, kb, b, &pci, e);
	if (rc == 0 && (ka->eal || kb->eal))
		rc = frame_eal_start(ka->eal + kb->eal, want->frame_max, pci, e);
	if (rc == 0)
		rc = frame_port_open(&bed->port[0], a, &w, e);
	if (!want->both)
		w.queues = 1; // it still says where its MACs are
	if (rc == 0)
		rc = frame_port_open(&bed->port[1], b, &w, e);
	if (rc < 0) {
		frame_bed_close(bed);
		return rc;
	}
	*out = bed;
	return 0;
}

void frame_bed_close(struct frame_bed *bed) {
	frame_port_close(bed->port[0]);
	frame_port_close(bed->port[1]);
	free(bed);
}

const uint8_t *frame_bed_mac(const struct frame_bed *bed, unsigned side) {
	return bed->port[side]->mac;
}

uint64_t frame_bed_link(const struct frame_bed *bed, unsigned side) {
	return bed->port[side]->link;
}

static int prepare(struct trial *x) {
	const struct frame_bed_want *w = &x->bed->want;
	struct frame_run *r = &x->run;
	uint64_t late = (uint64_t)((double)x->t->late_ns * tick_hz() / 1e9);
	int rc = 0;

	r->magic = (uint32_t)MAGIC << 16 | x->bed->nonce++;
	r->threads = w->threads;
	r->streams = x->directions * w->threads;
	r->stream = calloc(r->streams, sizeof(*r->stream));
	if (r->stream == NULL)
		return -ENOMEM;
	x->senders = w->threads;
	for (unsigned i = 0; i < w->threads && rc == 0; i++) {
		struct frame_sender *s = &x->sender[i];

		s->run = r;
		s->lanes = x->directions;
		s->cpu = w->cpus != NULL ? w->cpus[i] : -1;
		for (unsigned d = 0; d < x->directions && rc == 0; d++) {
			struct frame_lane *l = &s->lane[d];

			l->port = x->bed->port[d];
			l->queue = i;
			l->magic = r->magic;
			l->stream = (uint8_t)(d * w->threads + i);
			rc = frame_lane_init(l, x->t, d, i, w->threads);
			if (rc == 0)
				rc = frame_stream_init(
					&r->stream[l->stream], l->flows, late, 1e9 / tick_hz());
			if (rc == 0)
				r->stream[l->stream].plan = frame_lane_plan(l);
		}
	}
	x->receivers = w->sinks;
	for (unsigned i = 0; i < w->sinks; i++) {
		x->receiver[i].run = r;
		x->receiver[i].cpu = w->sink_cpus != NULL ? w->sink_cpus[i] : -1;
	}
	for (unsigned i = 0; i < 2; i++) {
		struct frame_receiver *s = &x->receiver[w->sinks == 2 ? i : 0];

		s->index[s->ports] = i;
		s->port[s->ports++] = x->bed->port[i];
	}
	return rc;
}

static void dispose(struct trial *x) {
	for (unsigned i = 0; i < x->run.streams && x->run.stream != NULL; i++)
		frame_stream_fini(&x->run.stream[i]);
	for (unsigned i = 0; i < x->senders; i++)
		for (unsigned d = 0; d < x->directions; d++)
			frame_lane_fini(&x->sender[i].lane[d]);
	free(x->run.stream);
	free(x);
}

/* Starts n threads and waits until they run. */
static int start(struct trial *x, pthread_t *to, unsigned n, void *(*entry)(void *), void *args,
	size_t size, unsigned *started) {
	unsigned ready = atomic_load(&x->run.ready);

	for (*started = 0; *started < n; ++*started)
		if (pthread_create(&to[*started], NULL, entry, (char *)args + *started * size) != 0)
			return -EAGAIN;
	while (atomic_load(&x->run.ready) < ready + n)
		usleep(100);
	return 0;
}

/* Looks after a part of the trial that lasts until the tick `end`, or until the senders have ended. */
static void attend(struct trial *x, uint64_t end, double after_s, bool sending) {
	struct frame_run *r = &x->run;

	for (;;) {
		double left = ((double)end - (double)tick_now()) / tick_hz();

		if (left <= 0 || (sending && atomic_load(&r->stop)))
			return;
		if (sending && atomic_load(&r->ended) == x->senders)
			return;
		if (bench_stopped && sending)
			atomic_store(&r->stop, true);
		for (unsigned i = 0; i < 2; i++) {
			int rc = x->bed->port[i]->kind->check(x->bed->port[i]);

			if (rc < 0)
				frame_run_fail(r, rc, i);
		}
		if (x->t->progress != NULL)
			x->t->progress(x->t->arg, left + after_s);
		usleep(left * 1e3 < LOOK_MS ? (unsigned)(left * 1e6) + 1 : LOOK_MS * 1000);
	}
}

static int learn(struct trial *x) {
	uint64_t end;

	for (unsigned i = 0; i < 2; i++) {
		int64_t n = frame_learn(x->bed->port[i], x->t->shape, i, x->run.magic);

		if (n < 0) {
			frame_run_fail(&x->run, (int)n, i);
			return (int)n;
		}
		x->run.at[i].learning_sent = (uint64_t)n;
	}
	end = tick_now() + (uint64_t)((double)x->t->learn_ns / 1e9 * tick_hz());
	for (;;) {
		double left = ((double)end - (double)tick_now()) / tick_hz();

		if (left <= 0 || bench_stopped)
			return 0;
		usleep(left * 1e3 < LOOK_MS ? (unsigned)(left * 1e6) + 1 : LOOK_MS * 1000);
	}
}

/* What was sent counts as sent: it must not lie in a ring that goes away with its port. */
static void wait_taken(struct trial *x) {
	uint64_t end = tick_now() + (uint64_t)(tick_hz() * TAKEN_S);

	for (unsigned i = 0; i < 2; i++) {
		struct frame_port *p = x->bed->port[i];

		while (p->kind->waiting != NULL && p->kind->waiting(p) > 0 && tick_now() < end &&
			p->kind->check(p) == 0)
			usleep(1000);
	}
}

static int send_all(struct trial *x) {
	struct frame_run *r = &x->run;
	double hz = tick_hz(), settle_s = (double)x->t->settle_ns / 1e9;
	uint64_t begin, end;
	unsigned n;
	int rc = start(
		x, x->sending, x->senders, frame_send_thread, x->sender, sizeof(x->sender[0]), &n);

	begin = tick_now() + (uint64_t)(hz * HEAD_START_US / 1e6);
	end = begin + (uint64_t)((double)(x->t->time_ns + x->t->then_ns) / 1e9 * hz);
	atomic_store(&r->end, rc == 0 ? end : begin);
	atomic_store(&r->begin, begin);
	if (rc == 0 && x->t->sending != NULL)
		x->t->sending(x->t->arg, true);
	if (rc == 0)
		attend(x, end, settle_s, true);
	while (rc == 0 && atomic_load(&r->ended) < n)
		usleep(500);
	if (rc == 0 && x->t->sending != NULL)
		x->t->sending(x->t->arg, false);
	atomic_store(&r->leave, true);
	for (unsigned i = 0; i < n; i++)
		pthread_join(x->sending[i], NULL);
	if (rc == 0 && atomic_load(&r->error) == 0) {
		wait_taken(x);
		attend(x, tick_now() + (uint64_t)(settle_s * hz), 0, false);
	}
	return rc;
}

static int run(struct trial *x) {
	unsigned n;
	int rc = start(x, x->receiving, x->receivers, frame_receive_thread, x->receiver,
		sizeof(x->receiver[0]), &n);

	for (unsigned i = 0; i < 2 && rc == 0; i++)
		x->run.at[i].missed = x->bed->port[i]->kind->missed(x->bed->port[i]);
	if (rc == 0)
		rc = learn(x);
	if (rc == 0)
		rc = send_all(x);
	atomic_store(&x->run.finish, true);
	for (unsigned i = 0; i < n; i++)
		pthread_join(x->receiving[i], NULL);
	for (unsigned i = 0; i < 2 && rc == 0; i++)
		x->run.at[i].missed =
			x->bed->port[i]->kind->missed(x->bed->port[i]) - x->run.at[i].missed;
	return rc;
}

/* Who was the limit? Refusals tell on the port; when the threads were held up for longer than what is
 * missing would have taken, it was that. */
static enum frame_limit judge(const struct frame_trial *t, const struct frame_count *c) {
	double missing = (double)c->offered - (double)c->sent;

	if (t->rate == 0)
		return c->refusals > 0 ? FRAME_LIMIT_PORT : FRAME_LIMIT_CPU;
	if (missing <= (double)c->offered * HELD_WITHIN)
		return FRAME_HELD;
	if (c->away_s * t->rate >= missing)
		return FRAME_LIMIT_TAKEN;
	return c->refusals > 0 ? FRAME_LIMIT_PORT : FRAME_LIMIT_CPU;
}

static void sum_direction(const struct trial *x, unsigned d, struct frame_count *c) {
	hist_reset(&c->latency);
	hist_reset(&c->from_due);
	for (unsigned i = 0; i < x->senders; i++) {
		const struct frame_sender *s = &x->sender[i];
		const struct frame_lane *l = &s->lane[d];
		const struct frame_stream *in = &x->run.stream[l->stream];
		double seconds = (double)(s->ended - x->run.begin) / tick_hz();
		double until = frame_lane_lost_until(l, in, s->ended - x->run.begin);

		c->offered += l->due;
		c->sent += l->sent;
		c->refusals += l->refusals;
		c->received += in->received;
		c->duplicated += in->duplicated;
		c->reordered += in->reordered;
		c->late += in->late;
		c->early += in->early;
		if ((double)in->early_max / tick_hz() > c->early_max_s)
			c->early_max_s = (double)in->early_max / tick_hz();
		c->unknown += in->unknown;
		hist_merge(&c->latency, &in->latency);
		hist_merge(&c->from_due, &in->from_due);
		c->away_s += (double)s->away / tick_hz() / x->senders;
		if ((double)s->away_max / tick_hz() > c->away_max_s)
			c->away_max_s = (double)s->away_max / tick_hz();
		if (until > c->lost_until_s)
			c->lost_until_s = until;
		if (seconds > c->seconds)
			c->seconds = seconds;
	}
	c->lost = c->sent > c->received ? c->sent - c->received : 0;
	hist_lose(&c->latency, c->lost, x->t->settle_ns);
	if (x->t->rate > 0 && c->offered > c->from_due.count)
		hist_lose(&c->from_due, c->offered - c->from_due.count, x->t->settle_ns);
	c->limit = judge(x->t, c);
}

static void sum_up(const struct trial *x, struct frame_outcome *out) {
	out->directions = x->directions;
	if (x->run.begin != 0)
		for (unsigned d = 0; d < x->directions; d++)
			sum_direction(x, d, &out->direction[d]);
	for (unsigned i = 0; i < x->receivers; i++) {
		const struct frame_receiver *s = &x->receiver[i];

		for (unsigned k = 0; k < s->ports; k++) {
			out->at[s->index[k]] = x->run.at[s->index[k]];
			out->at[s->index[k]].away_max_s = (double)s->away_max / tick_hz();
		}
	}
}

int frame_trial_run(struct frame_bed *bed, const struct frame_trial *t, struct frame_outcome *out,
	struct err *e) {
	struct trial *x = calloc(1, sizeof(*x));
	int rc, error;

	memset(out, 0, sizeof(*out));
	if (x == NULL)
		return err_set(e, ENOMEM, "out of memory");
	x->t = t;
	x->bed = bed;
	x->directions = bed->want.both ? 2 : 1;
	rc = prepare(x);
	if (rc == 0)
		rc = run(x);
	error = atomic_load(&x->run.error);
	if (rc == 0 || error < 0)
		sum_up(x, out);
	out->interrupted = bench_stopped != 0;
	if (error < 0)
		rc = err_set(e, -error, "%s: gone in the middle of the measurement: %s",
			bed->port[atomic_load(&x->run.culprit)]->name, strerror(-error));
	else if (rc < 0)
		err_set(e, -rc, "the trial could not start: %s", strerror(-rc));
	else if (out->interrupted)
		rc = err_set(e, ECANCELED, "interrupted");
	dispose(x);
	return rc;
}
