/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/flows/rr_thread.h"

enum { EVENTS = 64, STACK = 256 << 10, CONNECTIONS_MAX = 16384 };

int rr_thread_start(struct rr_thread *t, void *(*run)(void *)) {
	pthread_attr_t attr;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	rc = pthread_create(&t->thread, &attr, run, t);
	pthread_attr_destroy(&attr);
	t->threaded = rc == 0;
	return rc == 0 ? 0 : -EAGAIN;
}

void rr_thread_end(struct rr_thread *t) {
	if (t->threaded)
		pthread_join(t->thread, NULL);
	t->threaded = false;
}

unsigned rr_tag_bytes(const struct rr_plan *p) {
	unsigned n = p->request < p->response ? p->request : p->response;

	return n < RR_TAG_MAX ? n : RR_TAG_MAX;
}

int rr_phase_of(const struct rr_thread *t) {
	if (atomic_load_explicit(&t->plan->stop, memory_order_relaxed))
		return RR_ENDING;
	return atomic_load_explicit(&t->plan->phase, memory_order_relaxed);
}

/* What one thread works with: the request as it comes, the response (the tag is copied into it), and
 * how much of a request has come over each descriptor. */
struct server {
	struct rr_thread *t;
	char *in, *out;
	unsigned *got;
	int epoll;
	unsigned open; // connections, where each transaction makes one
};

/* 0: go on; 1: this connection has ended; else -errno. */
static int answer_tcp(struct server *s, int fd, unsigned *got, int flags) {
	struct rr_plan *p = s->t->plan;
	ssize_t n = recv(fd, s->in, RR_SIZE_MAX, flags);

	if (n == 0)
		return 1;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : errno == ECONNRESET ? 1 : -errno;
	for (*got += (unsigned)n; *got >= p->request; *got -= p->request)
		if (send(fd, s->out, p->response, MSG_NOSIGNAL) != (ssize_t)p->response)
			return 1; // who does not read his answers gets no more
	return 0;
}

static int answer_udp(struct server *s, int fd, int flags) {
	struct rr_plan *p = s->t->plan;
	ssize_t n = recv(fd, s->in, RR_SIZE_MAX, flags);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR || errno == ECONNREFUSED ? 0 : -errno;
	if ((unsigned)n != p->request)
		return 0; // a late question of the handshake, or a stranger's
	memcpy(s->out, s->in, rr_tag_bytes(p));
	send(fd, s->out, p->response, MSG_NOSIGNAL); // what is lost here is lost on the path
	return 0;
}

static int serve_one(struct server *s) {
	int fd = s->t->fds[0], ret = 0;
	unsigned got = 0;

	flows_patience(fd, RR_PATIENCE_MS);
	while (ret == 0 && rr_phase_of(s->t) != RR_ENDING)
		ret = s->t->plan->udp ? answer_udp(s, fd, 0) : answer_tcp(s, fd, &got, 0);
	return ret > 0 ? 0 : ret;
}

static int watch(struct server *s, int fd) {
	// Of several that wait at one listening socket, one is enough.
	uint32_t events = fd == s->t->listening ? EPOLLIN | EPOLLEXCLUSIVE : EPOLLIN;
	struct epoll_event ev = {.events = events, .data.fd = fd};

	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static void take(struct server *s) {
	struct sockaddr_storage from = {0};
	socklen_t len = sizeof(from);
	int fd = accept4(s->t->listening, (struct sockaddr *)&from, &len, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (!flows_may_come(&s->t->plan->spec, &from) || fd >= CONNECTIONS_MAX ||
		s->open >= CONNECTIONS_MAX || watch(s, fd) < 0) {
		close(fd);
		return;
	}
	flows_patience(fd, RR_PATIENCE_MS);
	s->got[fd] = 0;
	s->open++;
}

static int on_readable(struct server *s, int fd) {
	int ret;

	if (fd == s->t->listening) {
		take(s);
		return 0;
	}
	ret = s->t->plan->udp ? answer_udp(s, fd, MSG_DONTWAIT)
			      : answer_tcp(s, fd, &s->got[fd], MSG_DONTWAIT);
	if (ret == 0)
		return 0;
	if (s->t->listening < 0) { // the flow is closed by who made it
		epoll_ctl(s->epoll, EPOLL_CTL_DEL, fd, NULL);
		return ret > 0 ? 0 : ret;
	}
	close(fd);
	s->open--;
	return 0;
}

static int serve_many(struct server *s) {
	struct epoll_event ev[EVENTS];
	int ret = 0;

	for (unsigned i = 0; i < s->t->n && ret == 0; i++) {
		flows_patience(s->t->fds[i], RR_PATIENCE_MS);
		ret = s->t->fds[i] < CONNECTIONS_MAX ? watch(s, s->t->fds[i]) : -EMFILE;
	}
	if (ret == 0 && s->t->listening >= 0)
		ret = watch(s, s->t->listening);
	while (ret == 0 && rr_phase_of(s->t) != RR_ENDING) {
		int n = epoll_wait(s->epoll, ev, EVENTS, RR_PATIENCE_MS);

		for (int i = 0; i < n && ret == 0; i++)
			ret = on_readable(s, ev[i].data.fd);
	}
	// Connections of clients that have not closed them yet.
	for (int fd = 0; fd < CONNECTIONS_MAX && s->t->listening >= 0 && s->open > 0; fd++) {
		if (fd != s->t->listening && epoll_ctl(s->epoll, EPOLL_CTL_DEL, fd, NULL) == 0) {
			close(fd);
			s->open--;
		}
	}
	return ret;
}

static void *run(void *arg) {
	struct rr_thread *t = arg;
	struct server s = {.t = t, .epoll = epoll_create1(EPOLL_CLOEXEC)};
	int ret = -ENOMEM;

	atomic_store(&t->tid, (int)syscall(SYS_gettid));
	s.in = malloc(RR_SIZE_MAX);
	s.out = calloc(1, RR_SIZE_MAX);
	s.got = calloc(CONNECTIONS_MAX, sizeof(*s.got));
	if (s.in != NULL && s.out != NULL && s.got != NULL && s.epoll >= 0)
		ret = t->n == 1 && t->listening < 0 ? serve_one(&s) : serve_many(&s);
	if (s.epoll >= 0)
		close(s.epoll);
	free(s.in);
	free(s.out);
	free(s.got);
	atomic_store(&t->failed, -ret);
	atomic_store(&t->ended, true);
	return NULL;
}

int rr_server_start(struct rr_thread *t) {
	return rr_thread_start(t, run);
}
