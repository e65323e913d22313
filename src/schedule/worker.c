/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "schedule/worker.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_pause.h>
#include <rte_rcu_qsbr.h>

#include "base/cpus.h"
#include "base/err.h"
#include "base/pages.h"
#include "schedule/push.h"
#include "schedule/sched.h"

/* The loop of a worker:
 *
 *     take up a new snapshot, if there is one → whose turn → run the turn → sleep, if nothing moves
 *
 * A worker says so each time round that it holds nothing of the snapshot before (a quiescent state of
 * librte_rcu); publish waits for all of them. Asleep it is offline, and nobody waits for it.
 *
 * Before it sleeps it asks every one of its queues for a kick and looks once more; a kick, or the
 * eventfd that publish and stop write, wakes it. A queue stays armed until it is pulled again. */

enum {
	IDLE_POLL_US = 50, /* adaptive: polling for nothing, before it asks for kicks */
	SLEEP_MAX_MS = 1000,
	SPIN_US = 20, /* a turn; a worker that takes longer is not on its CPU */
	LOOK_US = 50, /* then, how often to look whether it was */
};

const char *const stage_names[STAGE_COUNT] = {"pull", "parse", "verdict", "push", "notify"};

struct worker {
	struct workers *all;
	unsigned index;
	pthread_t thread;
	int cpu, epfd, wakefd;
	const struct snapshot *snap;
	uint64_t
		serial; /* of snap, which may be gone and its memory another snapshot's after a sleep */
	struct sched *sched;
	struct push push;
	struct batch *batch;
	struct worker_stats st __attribute__((aligned(64))); /* st.cycles: TSC at the start */
	_Atomic uint64_t asleep_since; /* TSC; 0: awake */
};

struct workers {
	unsigned n;
	atomic_bool stop;
	_Atomic(enum idle_mode) idle;
	struct snapshot *_Atomic snap;
	uint64_t serial; /* of the last one published; control thread only */
	struct rte_rcu_qsbr *rcu;
	_Atomic(capture_fn *) capture;
	void *capture_arg;
	struct worker w[];
};

uint64_t workers_hz(void) {
	return rte_get_tsc_hz();
}

static uint32_t coarse_seconds(void) {
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts); // no system call
	return (uint32_t)ts.tv_sec;
}

/* Multi-queue ports remember on which queue a flow came. */
static void note_flows(struct rxq *q, struct batch *b) {
	for (unsigned i = 0; i < b->n; i++)
		if (b->f[i].drop == DROP_NONE)
			port_note_flow(q->port, &b->f[i], b->room[i] + FRAME_HEAD_MAX, q->index);
}

static void capture_in(capture_fn *fn, void *arg, struct port *p, struct batch *b) {
	if (!atomic_load_explicit(&p->capture, memory_order_relaxed))
		return;
	for (unsigned i = 0; i < b->n; i++)
		if (b->f[i].len >= FRAME_LEN_MIN && b->f[i].head_len > 0)
			fn(arg, p, 0, &b->f[i], 0);
}

static void capture_out(capture_fn *fn, void *arg, const struct push *p) {
	for (unsigned g = 0; g < p->n; g++) {
		struct port *port = p->groups[g].t->port;

		if (!atomic_load_explicit(&port->capture, memory_order_relaxed))
			continue;
		for (unsigned i = 0; i < p->groups[g].n; i++)
			fn(arg, port, 1, p->groups[g].it[i].f, p->groups[g].it[i].tag);
	}
}

/* What the turn has no room for stays with its sender. */
static void keep_rest(struct rxq *q, struct batch *b, const struct push *p) {
	q->resume = p->resume;
	if (__builtin_expect(p->done == b->n, 1))
		return;
	q->port->ops->rx_keep(q, b, p->done);
	b->n = (uint16_t)p->done;
	b->bytes = 0;
	for (unsigned i = 0; i < b->n; i++)
		b->bytes += b->f[i].len;
}

/* Books what the worker did, and whether it was more than a turn may be. */
static void book_turn(struct worker *w, struct rxq *q, const struct batch *b, uint64_t cycles) {
	struct worker_stats *st = &w->st;

	st->busy_cycles += cycles;
	st->frames += b->n;
	st->turns++;
	if (__builtin_expect(cycles > q->c.longest_turn, 0))
		q->c.longest_turn = cycles;
	if (__builtin_expect(cycles > st->longest_turn, 0))
		st->longest_turn = cycles;
	if (__builtin_expect(cycles > TURN_CYCLES_MAX, 0)) {
		q->c.long_turns++;
		st->long_turns++;
	}
}

/* Books frames that got nowhere, and what the turn was to the queue. */
static void book(struct rxq *q, const struct batch *b, unsigned live, uint64_t cycles) {
	for (unsigned i = 0; live < b->n && i < b->n; i++)
		if (b->f[i].drop != DROP_NONE)
			q->c.drops[b->f[i].drop]++;
	q->c.frames += b->n;
	q->c.bytes += b->bytes;
	q->c.turns++;
	q->c.cycles += cycles;
}

static unsigned run_turn(struct worker *w, struct turn turn) {
	const struct snapshot *s = w->snap;
	struct rxq *q = turn.q;
	const struct port_ops *ops = q->port->ops;
	const uint16_t in = q->port->id;
	capture_fn *capture = atomic_load_explicit(&w->all->capture, memory_order_relaxed);
	struct batch *b = w->batch;
	uint64_t t[STAGE_COUNT + 1];
	unsigned n, live;

	if (__builtin_expect(q->armed, 0)) {
		q->armed = false;
		ops->disarm(q);
	}
	t[0] = rte_rdtsc();
	n = ops->rx(q, b, turn.budget);
	if (n == 0)
		return 0;
	t[1] = rte_rdtsc();
	fwd_parse(s->fwd, b, in, NULL);
	t[2] = rte_rdtsc();
	fwd_verdict(s->fwd, b, in, coarse_seconds(), NULL);
	if (q->port->flow_queue != NULL)
		note_flows(q, b);
	w->push.resume = q->resume;
	live = push_group(&w->push, s, b, in, NULL);
	keep_rest(q, b, &w->push);
	t[3] = rte_rdtsc();
	if (__builtin_expect(capture != NULL, 0)) {
		capture_in(capture, w->all->capture_arg, q->port, b);
		capture_out(capture, w->all->capture_arg, &w->push);
	}
	push_copy(&w->push);
	t[4] = rte_rdtsc();
	ops->rx_done(q, b);
	push_publish(&w->push);
	// What was published must be out before anybody's wish to be told is read; once for all rings.
	atomic_thread_fence(memory_order_seq_cst);
	ops->rx_end(q);
	push_end(&w->push);
	t[5] = rte_rdtsc();
	for (unsigned i = 0; i < STAGE_COUNT; i++)
		w->st.stage_cycles[i] += t[i + 1] - t[i];
	book(q, b, live, t[5] - t[0]);
	book_turn(w, q, b, t[5] - t[0]);
	sched_ran(w->sched, q, b->n, b->bytes, t[5] - t[0]);
	return n;
}

/* The descriptors to sleep on, for the queues of this snapshot. */
static void watch_queues(struct worker *w) {
	struct epoll_event ev = {.events = EPOLLIN};

	close(w->epfd);
	w->epfd = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(w->epfd, EPOLL_CTL_ADD, w->wakefd, &ev);
	for (unsigned i = 0; i < w->snap->nqueues[w->index]; i++) {
		struct rxq *q = w->snap->queues[w->index][i];
		int fd = q->port->ops->fd(q);

		if (fd >= 0)
			epoll_ctl(w->epfd, EPOLL_CTL_ADD, fd, &ev);
	}
}

static void take_up(struct worker *w, const struct snapshot *s) {
	w->snap = s;
	w->serial = s->serial;
	sched_assign(w->sched, s->queues[w->index], s->nqueues[w->index]);
	watch_queues(w);
}

/* True when a queue has frames after all. */
static bool arm_queues(struct worker *w) {
	for (unsigned i = 0; w->snap != NULL && i < w->snap->nqueues[w->index]; i++) {
		struct rxq *q = w->snap->queues[w->index][i];

		q->armed = true;
		if (q->port->ops->arm(q))
			return true;
	}
	return false;
}

static void sleep_until_kicked(struct worker *w) {
	const uint64_t since = rte_rdtsc();
	struct epoll_event ev[16];
	uint64_t n;

	if (arm_queues(w))
		return;
	atomic_store_explicit(&w->asleep_since, since, memory_order_relaxed);
	rte_rcu_qsbr_thread_offline(w->all->rcu, w->index);
	epoll_wait(w->epfd, ev, 16, SLEEP_MAX_MS);
	rte_rcu_qsbr_thread_online(w->all->rcu, w->index);
	(void)!read(w->wakefd, &n, sizeof(n));
	w->st.sleeps++;
	w->st.sleep_cycles += rte_rdtsc() - since;
	atomic_store_explicit(&w->asleep_since, 0, memory_order_relaxed);
}

/* A whole round over the queues found nothing, the first such round was `idle` cycles ago. True when
 * the worker slept. */
static bool rest(struct worker *w, uint64_t idle) {
	const enum idle_mode mode = atomic_load_explicit(&w->all->idle, memory_order_relaxed);
	const bool work = w->snap != NULL && w->snap->nqueues[w->index] > 0;

	if (mode == IDLE_BUSY || (mode == IDLE_ADAPTIVE && work &&
					 idle < rte_get_tsc_hz() / 1000000 * IDLE_POLL_US)) {
		rte_pause();
		return false;
	}
	sleep_until_kicked(w);
	return true;
}

static void *worker_main(void *arg) {
	struct worker *w = arg;
	struct workers *all = w->all;
	uint64_t idle_since = 0; // TSC; 0: the last round moved frames
	unsigned empty = 0; // turns for nothing in this round

	rte_rcu_qsbr_thread_register(all->rcu, w->index);
	rte_rcu_qsbr_thread_online(all->rcu, w->index);
	while (!atomic_load_explicit(&all->stop, memory_order_relaxed)) {
		const struct snapshot *s;
		struct turn turn;

		// Before the snapshot is looked at, so that nothing of the last one is held.
		rte_rcu_qsbr_quiescent(all->rcu, w->index);
		s = atomic_load_explicit(&all->snap, memory_order_acquire);
		if (s != NULL && s->serial != w->serial)
			take_up(w, s);
		turn = sched_next(w->sched);
		if (turn.q != NULL && run_turn(w, turn) > 0) {
			empty = 0;
			idle_since = 0;
			continue;
		}
		// The clock is read once a round, not at each empty queue.
		if (turn.q != NULL && ++empty < w->snap->nqueues[w->index])
			continue;
		empty = 0;
		if (idle_since == 0)
			idle_since = rte_rdtsc();
		if (rest(w, rte_rdtsc() - idle_since))
			idle_since = 0;
	}
	rte_rcu_qsbr_thread_offline(all->rcu, w->index);
	rte_rcu_qsbr_thread_unregister(all->rcu, w->index);
	return NULL;
}

static void wake(struct worker *w) {
	uint64_t one = 1;

	(void)!write(w->wakefd, &one, sizeof(one));
}

static int check_cpu(int cpu, struct err *e) {
	char list[256];

	if (cpus_allowed(cpu))
		return 0;
	cpus_text(list, sizeof(list));
	return err_set(e, EINVAL, "workers: there is no CPU %d here; there are: %s", cpu, list);
}

static int worker_init(struct workers *all, unsigned i, int cpu, struct err *e) {
	struct worker *w = &all->w[i];

	w->all = all;
	w->index = i;
	w->cpu = cpu;
	w->wakefd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->epfd = epoll_create1(EPOLL_CLOEXEC);
	w->sched = sched_new();
	w->batch = pages_new(sizeof(*w->batch));
	if (w->wakefd < 0 || w->epfd < 0 || w->sched == NULL || w->batch == NULL ||
		push_init(&w->push) < 0)
		return err_set(
			e, ENOMEM, "workers: no memory or descriptors for a worker on CPU %d", cpu);
	struct epoll_event ev = {.events = EPOLLIN};
	epoll_ctl(w->epfd, EPOLL_CTL_ADD, w->wakefd, &ev);
	return 0;
}

static void worker_fini(struct worker *w) {
	if (w->wakefd >= 0)
		close(w->wakefd);
	if (w->epfd >= 0)
		close(w->epfd);
	sched_free(w->sched);
	pages_free(w->batch, sizeof(*w->batch));
	push_fini(&w->push);
}

static int worker_run(struct worker *w, struct err *e) {
	pthread_attr_t attr;
	cpu_set_t set;
	char name[16];
	int rc;

	CPU_ZERO(&set);
	CPU_SET(w->cpu, &set);
	pthread_attr_init(&attr);
	rc = pthread_attr_setaffinity_np(&attr, sizeof(set), &set); // which needs memory
	w->st.cycles = rte_rdtsc(); // until someone asks: the start
	if (rc == 0)
		rc = pthread_create(&w->thread, &attr, worker_main, w);
	pthread_attr_destroy(&attr);
	if (rc != 0)
		return err_set(e, rc, "workers: cannot run on CPU %d: %s", w->cpu, strerror(rc));
	snprintf(name, sizeof(name), "worker-%d", w->cpu);
	pthread_setname_np(w->thread, name);
	return 0;
}

/* Ends the first `running` threads and frees everything. */
static void shut_down(struct workers *all, unsigned running) {
	atomic_store(&all->stop, true);
	for (unsigned i = 0; i < running; i++)
		wake(&all->w[i]);
	for (unsigned i = 0; i < running; i++)
		pthread_join(all->w[i].thread, NULL);
	for (unsigned i = 0; i < all->n; i++)
		worker_fini(&all->w[i]);
	snapshot_free(atomic_load(&all->snap));
	free(all->rcu);
	free(all);
}

int workers_start(
	struct workers **out, const int *cpus, unsigned n, enum idle_mode idle, struct err *e) {
	struct workers *all;
	unsigned running = 0;
	int rc = 0;

	*out = NULL;
	if (n == 0 || n > WORKERS_MAX)
		return err_set(e, EINVAL, "workers: %u CPUs; 1 to %d are possible", n, WORKERS_MAX);
	all = aligned_alloc(64, (sizeof(*all) + n * sizeof(all->w[0]) + 63) & ~63ul);
	if (all == NULL)
		return err_set(e, ENOMEM, "workers: no memory");
	memset(all, 0, sizeof(*all) + n * sizeof(all->w[0]));
	all->n = n;
	for (unsigned i = 0; i < n; i++)
		all->w[i].wakefd = all->w[i].epfd = -1;
	atomic_store(&all->idle, idle);
	all->rcu = aligned_alloc(64, (rte_rcu_qsbr_get_memsize(WORKERS_MAX) + 63) & ~63ul);
	if (all->rcu == NULL || rte_rcu_qsbr_init(all->rcu, WORKERS_MAX) != 0)
		rc = err_set(e, ENOMEM, "workers: no memory");
	for (unsigned i = 0; i < n && rc == 0; i++) {
		rc = check_cpu(cpus[i], e);
		if (rc == 0)
			rc = worker_init(all, i, cpus[i], e);
	}
	for (; running < n && rc == 0; running++)
		rc = worker_run(&all->w[running], e);
	if (rc < 0) {
		shut_down(all, running > 0 ? running - 1 : 0);
		return rc;
	}
	*out = all;
	return 0;
}

void workers_stop(struct workers *all) {
	if (all != NULL)
		shut_down(all, all->n);
}

unsigned workers_count(const struct workers *all) {
	return all->n;
}

void workers_set_idle(struct workers *all, enum idle_mode idle) {
	atomic_store(&all->idle, idle);
	for (unsigned i = 0; i < all->n; i++)
		wake(&all->w[i]);
}

/* Waits until no worker holds anything of what was before. A worker that shares its CPU may wait for
 * that, even with this very thread, so the CPU is not kept from it. */
static void workers_pass(struct workers *all) {
	const uint64_t token = rte_rcu_qsbr_start(all->rcu);
	const uint64_t until = rte_rdtsc() + rte_get_tsc_hz() / 1000000 * SPIN_US;

	while (rte_rcu_qsbr_check(all->rcu, token, false) == 0)
		if (rte_rdtsc() < until)
			rte_pause();
		else
			nanosleep(&(struct timespec){.tv_nsec = LOOK_US * 1000}, NULL);
}

uint64_t workers_mark(struct workers *all) {
	return rte_rcu_qsbr_start(all->rcu);
}

int workers_late(const struct workers *all, uint64_t mark) {
	for (unsigned i = 0; i < all->n; i++) {
		uint64_t seen = __atomic_load_n(&all->rcu->qsbr_cnt[i].cnt, __ATOMIC_ACQUIRE);

		if (seen != __RTE_QSBR_CNT_THR_OFFLINE && seen < mark)
			return all->w[i].cpu;
	}
	return -1;
}

void workers_set_capture(struct workers *all, capture_fn *fn, void *arg) {
	// Taken away before what it points at goes: no worker is inside when this returns.
	if (fn != NULL && all->capture_arg != arg)
		all->capture_arg = arg;
	atomic_store(&all->capture, fn);
	workers_pass(all);
}

static struct snapshot *swap(struct workers *all, struct snapshot *s) {
	struct snapshot *was;

	s->serial = ++all->serial;
	was = atomic_exchange(&all->snap, s);
	for (unsigned i = 0; i < all->n; i++)
		wake(&all->w[i]);
	workers_pass(all);
	return was;
}

void workers_publish(struct workers *all, struct snapshot *s) {
	const struct snapshot *was = atomic_load(&all->snap);
	struct snapshot *rest = was != NULL ? snapshot_without_moved(s, was) : NULL;

	// One worker may be in a turn of a queue that another would begin with.
	if (rest != NULL)
		snapshot_free(swap(all, rest));
	rest = swap(all, s);
	if (rest != NULL && rest->fwd == s->fwd)
		rest->fwd = NULL; // it was lent
	snapshot_free(rest);
}

const struct snapshot *workers_snapshot(const struct workers *all) {
	return atomic_load(&all->snap);
}

void workers_stats(const struct workers *all, unsigned index, struct worker_stats *out) {
	const struct worker *w = &all->w[index];
	const struct snapshot *s = atomic_load(&all->snap);
	uint64_t since, now;

	*out = w->st;
	since = atomic_load_explicit(&w->asleep_since, memory_order_relaxed);
	now = rte_rdtsc();
	out->cpu = w->cpu;
	out->queues = s != NULL ? s->nqueues[index] : 0;
	out->cycles = now - w->st.cycles;
	if (since != 0 && now > since)
		out->sleep_cycles += now - since; // of the sleep it is in
}
