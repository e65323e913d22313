/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * A transaction is a slot in its flow's ring: when it was due, when it was sent, whether it counts. Over
 * TCP answers come in the order of the questions; a datagram carries the low bytes of its number, and
 * the ring is so small against them that a number is never mistaken.
 *
 * Open loop: a thread has one schedule and gives each request to the next flow that has room. When none
 * has, requests stay due, and their latency grows from the time at which they should have been sent:
 * that is what a user of the path would have waited. What is still due when the time is over is sent for as
 * long as an answer is waited for, or the latencies would leave out those that waited longest. Between two
 * requests the thread sleeps until SPIN_NS before the next and looks at the clock from then on, for a timer's
 * wake-up is as late as a fast path's whole latency. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/clock.h"
#include "bench/flows/rr_thread.h"

enum { EVENTS = 64, RING_MAX = 256, RING_BYTES = 32 << 10, RING_ONE_TAG = 64 };
#define SPIN_NS  UINT64_C(50000)
#define WAIT_NS  (20 * NS_PER_MS) // until the phase is looked at again
#define SWEEP_NS (5 * NS_PER_MS) // between two looks for what timed out
#define PAUSE_NS (1 * NS_PER_MS) // after a connection was refused

enum counts {
	COUNTS_NOT,
	COUNTS,
	COUNTS_OVERDUE /* as a latency, but was sent too late to be a transaction */
};

struct slot {
	uint64_t due, sent; // due 0: free
	enum counts counts;
};

struct conn {
	int fd; // -1: not connected
	uint64_t out, in; // numbers: of the next request, of the oldest without an answer
	unsigned got; // bytes of the response under way
	uint64_t quiet_until; // after a refusal
	bool connecting;
	struct slot *ring;
};

struct client {
	struct rr_thread *t;
	struct rr_plan *plan;
	char *buf, *request;
	struct conn *conns;
	struct slot *slots;
	unsigned ring, next; // slots a flow; the flow to ask next
	uint64_t pending; // in all flows
	int epoll, failed;
	uint64_t start, asked; // open loop: when the schedule began; requests of it behind us
	uint64_t most; // how many of them count or come before; UINT64_MAX while counting
	uint64_t sweep_at;
	enum counts counts; // those that are sent now
	bool closed_counting;
	uint64_t turn; // when this turn of the loop began
	bool idle; // it did nothing but look at the clock, and for answers that were not there
};

static void done(struct client *c, struct slot *s, uint64_t now) {
	struct rr_thread *t = c->t;

	atomic_store_explicit(&t->done, atomic_load_explicit(&t->done, memory_order_relaxed) + 1,
		memory_order_relaxed);
	if (s->counts != COUNTS_NOT) {
		t->counted += s->counts == COUNTS;
		hist_add(&t->latency, now - s->due);
		if (c->plan->per_ns > 0)
			hist_add(&t->lateness, s->sent - s->due);
	}
	s->due = 0;
	c->pending--;
}

/* One flow, closed loop, blocking: one look at the clock a transaction, which ends one and begins the
 * next. */
static int ask_blocking(struct client *c, int fd, uint64_t number, uint64_t give_up) {
	struct rr_plan *p = c->plan;
	unsigned tag = p->udp ? rr_tag_bytes(p) : 0, got = 0;

	memcpy(c->request, &number, tag);
	if (send(fd, c->request, p->request, MSG_NOSIGNAL) != (ssize_t)p->request)
		return p->udp ? 0 : -EPIPE;
	while (got < p->response) {
		ssize_t n = recv(fd, c->buf, p->response - (p->udp ? 0 : got), 0);

		if (n > 0 && p->udp)
			got = (unsigned)n == p->response && memcmp(c->buf, c->request, tag) == 0
				      ? p->response
				      : 0; // a late one
		else if (n > 0)
			got += (unsigned)n;
		else if (n == 0 && !p->udp)
			return -ECONNRESET;
		else if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED)
			return -errno;
		if (n <= 0 && (rr_phase_of(c->t) == RR_ENDING || (p->udp && clock_ns() > give_up)))
			return 0;
	}
	return 1;
}

static int run_one(struct client *c) {
	struct slot s = {0};
	int fd = c->t->fds[0], ret = 0, phase;
	uint64_t number = 0, now = clock_ns();
	uint64_t patience = RR_PATIENCE_MS * NS_PER_MS;

	if (c->plan->udp && c->plan->timeout_ns < patience)
		patience = c->plan->timeout_ns;
	flows_patience(fd, (int)(patience / NS_PER_MS));
	while (ret >= 0 && (phase = rr_phase_of(c->t)) < RR_AFTER) {
		s = (struct slot){.due = now,
			.sent = now,
			.counts = phase == RR_COUNTED ? COUNTS : COUNTS_NOT};
		c->pending = 1;
		c->t->offered += s.counts;
		ret = ask_blocking(c, fd, number++, now + c->plan->timeout_ns);
		now = clock_ns();
		if (ret == 1)
			done(c, &s, now);
		else if (ret == 0 && s.counts == COUNTS && rr_phase_of(c->t) != RR_ENDING)
			c->t->lost++;
	}
	return ret < 0 ? ret : 0;
}

static struct slot *slot_of(struct client *c, struct conn *f, uint64_t number) {
	return &f->ring[number % c->ring];
}

static void hang_up(struct conn *f) {
	// Reset, not FIN: the port is free again at once, there are but 28,000 of them.
	struct linger hard = {.l_onoff = 1, .l_linger = 0};

	setsockopt(f->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(f->fd);
	f->fd = -1;
	f->got = 0;
	f->connecting = false;
}

/* The oldest of the flow is given up. */
static void lose(struct client *c, struct conn *f, bool refused) {
	struct slot *s = slot_of(c, f, f->in);

	if (s->counts != COUNTS_NOT && refused)
		c->t->refused++;
	else if (s->counts != COUNTS_NOT)
		c->t->lost++;
	s->due = 0;
	c->pending--;
	f->in++;
	if (!c->plan->connect)
		return;
	if (f->fd >= 0)
		hang_up(f);
	f->quiet_until = clock_ns() + PAUSE_NS;
}

static bool has_room(const struct client *c, const struct conn *f, uint64_t now) {
	return f->out - f->in < c->ring && now >= f->quiet_until;
}

static void send_request(struct client *c, struct conn *f, uint64_t number) {
	if (c->plan->udp)
		memcpy(c->request, &number, rr_tag_bytes(c->plan));
	if (send(f->fd, c->request, c->plan->request, MSG_NOSIGNAL) != (ssize_t)c->plan->request &&
		!c->plan->udp && !c->plan->connect)
		c->failed = -EPIPE;
}

static void dial(struct client *c, struct conn *f) {
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = f};

	f->fd = flows_dial(&c->plan->spec, c->plan->port, false, NULL);
	f->connecting = true;
	if (f->fd < 0 || epoll_ctl(c->epoll, EPOLL_CTL_ADD, f->fd, &ev) < 0)
		lose(c, f, true);
}

static void ask(struct client *c, struct conn *f, uint64_t due, uint64_t now) {
	struct slot *s = slot_of(c, f, f->out);
	uint64_t number = f->out++;

	*s = (struct slot){.due = due, .sent = now, .counts = c->counts};
	c->t->offered += s->counts == COUNTS;
	c->pending++;
	if (c->plan->connect)
		dial(c, f);
	else
		send_request(c, f, number);
}

/* Which request a datagram answers; SIZE_MAX-like when none that is awaited. */
static void on_datagram(struct client *c, struct conn *f, ssize_t n, uint64_t now) {
	unsigned tag = rr_tag_bytes(c->plan);
	uint64_t low = 0, mask = tag == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * tag) - 1, number;
	struct slot *s;

	if ((unsigned)n != c->plan->response)
		return;
	memcpy(&low, c->buf, tag);
	number = f->in + ((low - f->in) & mask);
	s = number < f->out ? slot_of(c, f, number) : NULL;
	if (s == NULL || s->due == 0) {
		c->t->late++;
		return;
	}
	done(c, s, now);
	while (f->in < f->out && slot_of(c, f, f->in)->due == 0)
		f->in++;
}

static void on_bytes(struct client *c, struct conn *f, ssize_t n, uint64_t now) {
	for (f->got += (unsigned)n; f->got >= c->plan->response && f->in < f->out;
		f->got -= c->plan->response)
		done(c, slot_of(c, f, f->in++), now);
}

static void on_event(struct client *c, struct conn *f, uint32_t events) {
	bool datagrams = c->plan->udp;
	ssize_t n;

	if (f->fd < 0)
		return; // closed by an event before this one
	if (f->connecting && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
		int rc = 0;
		socklen_t len = sizeof(rc);

		getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &rc, &len);
		if (rc != 0) {
			lose(c, f, true);
			return;
		}
		f->connecting = false;
		send_request(c, f, f->in);
	}
	do {
		n = recv(f->fd, c->buf, RR_SIZE_MAX, MSG_DONTWAIT);
		if (n > 0 && datagrams)
			on_datagram(c, f, n, clock_ns());
		else if (n > 0)
			on_bytes(c, f, n, clock_ns());
	} while (n > 0 && datagrams);
	if (c->plan->connect && f->in == f->out)
		hang_up(f);
	else if (c->plan->connect && (n == 0 || (n < 0 && errno != EAGAIN)))
		lose(c, f, true);
	else if (!datagrams && (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)))
		c->failed = n == 0 ? -ECONNRESET : -errno;
}

/* Gives up what waits too long; only what can get lost. */
static void sweep(struct client *c, uint64_t now) {
	if (now < c->sweep_at || (!c->plan->udp && !c->plan->connect))
		return;
	c->sweep_at = now + SWEEP_NS;
	for (unsigned i = 0; i < c->t->n; i++) {
		struct conn *f = &c->conns[i];

		while (f->in < f->out) {
			struct slot *s = slot_of(c, f, f->in);

			if (s->due != 0 && now < s->sent + c->plan->timeout_ns)
				break;
			if (s->due != 0)
				lose(c, f, false);
			else
				f->in++;
		}
	}
}

static uint64_t due_at(const struct client *c, uint64_t number) {
	return c->start + (uint64_t)((double)number / c->plan->per_ns);
}

/* Sends what is due; returns when the next is. */
static uint64_t ask_scheduled(struct client *c) {
	uint64_t now = clock_ns(), due;

	while ((due = due_at(c, c->asked)) <= now && c->asked < c->most) {
		unsigned tried = 0;

		while (tried < c->t->n && !has_room(c, &c->conns[c->next], now)) {
			c->next = (c->next + 1) % c->t->n;
			tried++;
		}
		if (tried == c->t->n)
			return now + SPIN_NS * 4; // an answer makes room, and wakes
		ask(c, &c->conns[c->next], due, now);
		c->next = (c->next + 1) % c->t->n;
		c->asked++;
		now = clock_ns();
	}
	return c->asked < c->most ? due : now + WAIT_NS;
}

static uint64_t ask_idle(struct client *c) {
	uint64_t now = clock_ns(), next = now + WAIT_NS;

	for (unsigned i = 0; i < c->t->n; i++) {
		struct conn *f = &c->conns[i];

		if (f->in == f->out && now >= f->quiet_until) {
			now = clock_ns();
			ask(c, f, now, now);
		} else if (f->in == f->out && f->quiet_until < next) {
			next = f->quiet_until;
		}
	}
	return next;
}

static void wait_events(struct client *c, uint64_t until) {
	struct epoll_event ev[EVENTS];
	uint64_t now = clock_ns(), spin = c->plan->per_ns > 0 ? SPIN_NS : 0, left;
	struct timespec ts = {0};
	int n;

	left = until > now + spin ? until - now - spin : 0;
	left = left < WAIT_NS ? left : WAIT_NS;
	ts.tv_nsec = (long)left;
	n = epoll_pwait2(c->epoll, ev, EVENTS, &ts, NULL);
	c->idle = left == 0 && n == 0;
	for (int i = 0; i < n; i++)
		on_event(c, ev[i].data.ptr, ev[i].events);
}

/* What was due when the time was over and had not been sent is offered all the same. */
static void close_counting(struct client *c) {
	uint64_t now = clock_ns();

	if (c->closed_counting)
		return;
	c->closed_counting = true;
	c->counts = COUNTS_OVERDUE;
	c->most = c->asked;
	if (c->plan->per_ns > 0 && now > due_at(c, c->asked))
		c->most = (uint64_t)((double)(now - c->start) * c->plan->per_ns) + 1;
	c->t->offered += c->most - c->asked;
}

/* A turn has begun; the last one was spun away if it found nothing to do. */
static void count_idle(struct client *c, uint64_t turn) {
	if (c->idle)
		atomic_store_explicit(&c->t->spun,
			atomic_load_explicit(&c->t->spun, memory_order_relaxed) + turn - c->turn,
			memory_order_relaxed);
	c->turn = turn;
	c->idle = false;
}

static int run_many(struct client *c) {
	uint64_t end = 0;
	int phase;

	c->start = clock_ns() + c->t->offset_ns;
	c->most = UINT64_MAX;
	while (c->failed == 0 && (phase = rr_phase_of(c->t)) < RR_ENDING) {
		uint64_t turn = clock_ns(), next = turn + WAIT_NS, asked = c->asked;

		count_idle(c, turn);
		if (phase == RR_AFTER)
			close_counting(c);
		else
			c->counts = phase == RR_COUNTED ? COUNTS : COUNTS_NOT;
		if (c->plan->per_ns > 0 && (end == 0 || clock_ns() < end))
			next = ask_scheduled(c);
		else if (phase < RR_AFTER)
			next = ask_idle(c);
		if (phase == RR_AFTER && end == 0)
			end = clock_ns() + c->plan->timeout_ns;
		if (phase == RR_AFTER && ((c->pending == 0 && c->asked == c->most) ||
						 clock_ns() > end + 2 * SWEEP_NS))
			break;
		wait_events(c, next);
		c->idle &= c->asked == asked;
		sweep(c, clock_ns());
	}
	for (unsigned i = 0; i < c->t->n && c->plan->connect; i++)
		if (c->conns[i].fd >= 0)
			hang_up(&c->conns[i]);
	return c->failed;
}

static unsigned ring_size(const struct rr_plan *p) {
	unsigned largest = p->request > p->response ? p->request : p->response;
	unsigned n = RING_BYTES / largest;

	if (p->per_ns <= 0 || p->connect || n < 1)
		return 1;
	n = n < RING_MAX ? n : RING_MAX;
	return p->udp && rr_tag_bytes(p) == 1 && n > RING_ONE_TAG ? RING_ONE_TAG : n;
}

static int prepare(struct client *c) {
	c->ring = ring_size(c->plan);
	c->buf = malloc(RR_SIZE_MAX);
	c->request = calloc(1, RR_SIZE_MAX);
	c->conns = calloc(c->t->n, sizeof(*c->conns));
	c->slots = calloc((size_t)c->t->n * c->ring, sizeof(*c->slots));
	if (c->buf == NULL || c->request == NULL || c->conns == NULL || c->slots == NULL)
		return -ENOMEM;
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll < 0)
		return -errno;
	for (unsigned i = 0; i < c->t->n; i++) {
		struct conn *f = &c->conns[i];
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = f};

		f->ring = c->slots + (size_t)i * c->ring;
		f->fd = c->plan->connect ? -1 : c->t->fds[i];
		if (f->fd < 0)
			continue;
		flows_patience(f->fd, RR_PATIENCE_MS);
		if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, f->fd, &ev) < 0)
			return -errno;
	}
	return 0;
}

static void *run(void *arg) {
	struct rr_thread *t = arg;
	struct client c = {.t = t, .plan = t->plan, .epoll = -1};
	int ret;

	atomic_store(&t->tid, (int)syscall(SYS_gettid));
	prctl(PR_SET_TIMERSLACK, 1UL);
	hist_reset(&t->latency);
	hist_reset(&t->lateness);
	ret = prepare(&c);
	if (ret == 0 && t->n == 1 && t->plan->per_ns <= 0 && !t->plan->connect)
		ret = run_one(&c);
	else if (ret == 0)
		ret = run_many(&c);
	if (c.epoll >= 0)
		close(c.epoll);
	free(c.buf);
	free(c.request);
	free(c.conns);
	free(c.slots);
	// Who looks at this thread's time does so before it is gone.
	atomic_store(&t->rested, true);
	while (ret == 0 && rr_phase_of(t) < RR_ENDING)
		usleep(1000);
	atomic_store(&t->failed, -ret);
	atomic_store(&t->ended, true);
	return NULL;
}

int rr_client_start(struct rr_thread *t) {
	return rr_thread_start(t, run);
}
