/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * The handshake is one fixed message each way: who connects says "weir-ask", cookie and the flow's
 * number, who listens answers "weir-yes" with the same. Over UDP anybody can claim any source, so a
 * question is first answered by "weir-try" with a number that is sent to that source alone, and only the
 * question that shows this number makes its source the flow's peer: a third host gets a datagram as long
 * as the one that claimed to come from it, and never the measurement. Over UDP a question may be lost and
 * is repeated; a repeated question is answered again for as long as the listener takes flows, and read
 * as an ordinary datagram of no measurement afterwards, which every instrument throws away. */
#include "bench/flows/flows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/clock.h"

enum {
	DIAL_MS = 3000, // for a connection to come about
	HELLO_MS = 1000, // for who has connected to say what for
	UDP_ASKS = 20, // times a question is asked, DIAL_MS in all
	FLOWS_PROOF = 16, // bytes that nobody guesses
	BUFFER = 4 << 20 // of a UDP socket: what comes while its reader does not run
};

struct hello {
	char what[8];
	char cookie[2 * FLOWS_COOKIE];
	uint32_t flow; // network order
	unsigned char proof[FLOWS_PROOF]; // UDP: of "weir-try", and of the question that follows
};

static const char ASK[8] = "weir-ask", TRY[8] = "weir-try", YES[8] = "weir-yes";

/* The number that the last source which asked was sent, and which source that was. */
struct proof {
	unsigned char number[FLOWS_PROOF];
	struct sockaddr_storage source;
	socklen_t len; // 0: nobody asked yet
};

struct flows_listener {
	struct flows_spec spec;
	unsigned nsocks; // 1 for TCP, one a flow for UDP
	int *socks, *fds; // -1: not yet there, or given away
	struct proof *proofs; // UDP: a flow's
	pthread_t thread;
	bool threaded;
	atomic_uint there; // flows that have come
	atomic_bool stop;
};

static int read_peers(struct flows_spec *s, const json_t *list, struct err *e) {
	const json_t *one;
	size_t i;
	int ret = 0;

	json_array_foreach (list, i, one) {
		const char *text = json_string_value(one);

		ret = text != NULL ? reach_add(&s->peers, text, e)
				   : err_set(e, EINVAL, "peers are a list of addresses");
		if (ret < 0)
			break;
	}
	return ret;
}

bool flows_may_come(const struct flows_spec *s, const struct sockaddr_storage *from) {
	return s->peers.n == 0 || reach_has(&s->peers, from);
}

int flows_spec_read(struct flows_spec *s, const json_t *args, struct err *e) {
	const char *address = NULL, *cookie = NULL;
	int udp = 0, flows = 0, mss = 0, zone = 0;

	memset(s, 0, sizeof(*s));
	if (json_unpack((json_t *)args, "{s:b, s:i, s:s, s:s, s?i, s?i}", "udp", &udp, "flows",
		    &flows, "address", &address, "cookie", &cookie, "mss", &mss, "zone", &zone) < 0)
		return err_set(e, EINVAL,
			"a request wants udp, flows, address and cookie, and perhaps mss");
	if (flows < 1 || flows > FLOWS_MAX)
		return err_set(
			e, EINVAL, "%d flows are not possible; 1 to %d are", flows, FLOWS_MAX);
	if (mss < 0 || mss > 65535)
		return err_set(e, EINVAL, "an MSS of %d is not possible", mss);
	if (strlen(cookie) != 2 * FLOWS_COOKIE || strlen(address) >= sizeof(s->address))
		return err_set(e, EINVAL, "the request's cookie or address has a wrong length");
	s->udp = udp;
	s->n = (unsigned)flows;
	s->mss = (unsigned)mss;
	s->zone = (unsigned)zone;
	memcpy(s->cookie, cookie, sizeof(s->cookie));
	memcpy(s->address, address, strlen(address));
	return read_peers(s, json_object_get(args, "peers"), e);
}

/* Buffers as large as may be; what is refused stays as it was. */
static void widen(int fd) {
	int size = BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	size = BUFFER / 4;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static int make(const struct flows_spec *s, int family, struct err *e) {
	struct rlimit files;
	int one = 1, mss = (int)s->mss, fd;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	fd = socket(family, (s->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(e, errno, "cannot make a socket: %s", strerror(errno));
	if (s->udp) {
		widen(fd);
	} else {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	}
	if (!s->udp && mss != 0 && setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss)) < 0) {
		int rc = errno;

		close(fd);
		return err_set(e, rc, "the kernel takes no MSS of %d: %s", mss, strerror(rc));
	}
	if (s->device[0] != '\0' && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, s->device,
					    (socklen_t)strlen(s->device)) < 0) {
		int rc = errno;

		close(fd);
		return err_set(e, rc, "cannot bind to interface %s: %s", s->device, strerror(rc));
	}
	return fd;
}

void flows_patience(int fd, int ms) {
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static int bind_one(const struct flows_spec *s, int *fd, unsigned *port, struct err *e) {
	struct sockaddr_storage sa = {0};
	socklen_t len = 0;
	int ret = zone_resolve(s->address, 0, s->zone, &sa, &len, e), sock;

	if (ret < 0)
		return ret;
	sock = make(s, sa.ss_family, e);
	if (sock < 0)
		return sock;
	*fd = sock;
	if (bind(sock, (struct sockaddr *)&sa, len) < 0 ||
		(!s->udp && listen(sock, FLOWS_MAX) < 0) ||
		getsockname(sock, (struct sockaddr *)&sa, &len) < 0)
		return err_set(e, errno, "cannot listen at %s: %s", s->address, strerror(errno));
	// NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): getsockname has filled it
	*port = ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
					       : ((struct sockaddr_in *)&sa)->sin_port);
	return 0;
}

/* Is it our question; which flow is it? -1: no. */
static int asked(const struct flows_listener *l, const struct hello *h, ssize_t n) {
	uint32_t flow = ntohl(h->flow);

	if (n != (ssize_t)sizeof(*h) || memcmp(h->what, ASK, sizeof(ASK)) != 0 ||
		memcmp(h->cookie, l->spec.cookie, sizeof(h->cookie)) != 0 || flow >= l->spec.n)
		return -1;
	return (int)flow;
}

static void take_tcp(struct flows_listener *l) {
	struct sockaddr_storage from = {0};
	socklen_t len = sizeof(from);
	int fd = accept4(l->socks[0], (struct sockaddr *)&from, &len, SOCK_CLOEXEC);
	int flow, one = 1;
	struct hello h;

	if (fd < 0)
		return;
	if (!flows_may_come(&l->spec, &from)) {
		close(fd);
		return;
	}
	flows_patience(fd, HELLO_MS);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	flow = asked(l, &h, recv(fd, &h, sizeof(h), MSG_WAITALL));
	memcpy(h.what, YES, sizeof(YES));
	if (flow < 0 || l->fds[flow] >= 0 ||
		send(fd, &h, sizeof(h), MSG_NOSIGNAL) != (ssize_t)sizeof(h)) {
		close(fd);
		return;
	}
	l->fds[flow] = fd;
	atomic_fetch_add(&l->there, 1);
}

/* Has this source shown that it receives what is sent to it? Else it is sent the number to show. */
static bool proven(struct flows_listener *l, unsigned i, struct hello *h,
	const struct sockaddr_storage *from, socklen_t len) {
	struct proof *p = &l->proofs[i];
	bool same = p->len == len && memcmp(&p->source, from, len) == 0;

	if (same && memcmp(h->proof, p->number, sizeof(p->number)) == 0)
		return true;
	if (!same && getrandom(p->number, sizeof(p->number), 0) != (ssize_t)sizeof(p->number))
		return false;
	p->source = *from;
	p->len = len;
	memcpy(h->what, TRY, sizeof(TRY));
	memcpy(h->proof, p->number, sizeof(p->number));
	sendto(l->socks[i], h, sizeof(*h), MSG_NOSIGNAL | MSG_DONTWAIT,
		(const struct sockaddr *)from, len);
	return false;
}

static void take_udp(struct flows_listener *l, unsigned i) {
	struct sockaddr_storage from = {0};
	socklen_t len = sizeof(from);
	struct hello h;
	int flow = asked(l, &h,
		recvfrom(l->socks[i], &h, sizeof(h), MSG_DONTWAIT, (struct sockaddr *)&from, &len));

	if (flow != (int)i || !flows_may_come(&l->spec, &from))
		return;
	if (l->fds[i] < 0) {
		if (!proven(l, i, &h, &from, len) ||
			connect(l->socks[i], (struct sockaddr *)&from, len) < 0)
			return;
		l->fds[i] = l->socks[i];
		atomic_fetch_add(&l->there, 1);
	}
	memcpy(h.what, YES, sizeof(YES));
	send(l->socks[i], &h, sizeof(h), MSG_NOSIGNAL);
}

/* TCP is done when all are there; UDP goes on answering, for answers get lost. */
static void *taking(void *arg) {
	struct flows_listener *l = arg;
	struct pollfd *p = calloc(l->nsocks, sizeof(*p));

	for (unsigned i = 0; p != NULL && i < l->nsocks; i++)
		p[i] = (struct pollfd){.fd = l->socks[i], .events = POLLIN};
	while (p != NULL && !atomic_load(&l->stop) &&
		(l->spec.udp || atomic_load(&l->there) < l->spec.n)) {
		if (poll(p, l->nsocks, 50) <= 0)
			continue;
		for (unsigned i = 0; i < l->nsocks; i++) {
			if (p[i].revents != 0 && l->spec.udp)
				take_udp(l, i);
			else if (p[i].revents != 0)
				take_tcp(l);
		}
	}
	free(p);
	return NULL;
}

struct flows_listener *flows_listen(const struct flows_spec *s, json_t **ports, struct err *e) {
	struct flows_listener *l = calloc(1, sizeof(*l));

	*ports = json_array();
	if (l == NULL || *ports == NULL)
		goto memory;
	l->spec = *s;
	l->nsocks = s->udp ? s->n : 1;
	l->socks = malloc(s->n * sizeof(int));
	l->fds = malloc(s->n * sizeof(int));
	l->proofs = calloc(s->n, sizeof(*l->proofs));
	if (l->socks == NULL || l->fds == NULL || l->proofs == NULL)
		goto memory;
	for (unsigned i = 0; i < s->n; i++)
		l->socks[i] = l->fds[i] = -1;
	for (unsigned i = 0; i < l->nsocks; i++) {
		unsigned port = 0;

		if (bind_one(s, &l->socks[i], &port, e) < 0)
			goto failed;
		json_array_append_new(*ports, json_integer(port));
	}
	if (pthread_create(&l->thread, NULL, taking, l) != 0) {
		err_set(e, EAGAIN, "cannot start a thread");
		goto failed;
	}
	l->threaded = true;
	return l;
memory:
	err_set(e, ENOMEM, "out of memory");
failed:
	flows_close(l);
	json_decref(*ports);
	*ports = NULL;
	return NULL;
}

static void end_thread(struct flows_listener *l) {
	atomic_store(&l->stop, true);
	if (l->threaded)
		pthread_join(l->thread, NULL);
	l->threaded = false;
}

int flows_take(struct flows_listener *l, int *fds, int timeout_ms, struct err *e) {
	uint64_t end = clock_ns() + (uint64_t)timeout_ms * NS_PER_MS;

	while (atomic_load(&l->there) < l->spec.n && clock_ns() < end)
		usleep(1000);
	if (atomic_load(&l->there) < l->spec.n)
		return err_set(e, ETIMEDOUT, "only %u of %u flows have come to %s",
			atomic_load(&l->there), l->spec.n, l->spec.address);
	end_thread(l);
	for (unsigned i = 0; i < l->spec.n; i++) {
		fds[i] = l->fds[i];
		l->fds[i] = -1;
		if (l->spec.udp)
			l->socks[i] = -1; // the same descriptor
	}
	return 0;
}

int flows_listening(const struct flows_listener *l) {
	return l->socks[0];
}

void flows_close(struct flows_listener *l) {
	if (l == NULL)
		return;
	end_thread(l);
	for (unsigned i = 0; i < l->spec.n; i++) {
		if (l->fds != NULL && l->fds[i] >= 0 && !l->spec.udp)
			close(l->fds[i]);
		if (l->socks != NULL && l->socks[i] >= 0)
			close(l->socks[i]);
	}
	free(l->socks);
	free(l->fds);
	free(l->proofs);
	free(l);
}

int flows_dial(const struct flows_spec *s, unsigned port, bool wait, struct err *e) {
	struct sockaddr_storage sa = {0};
	socklen_t len = 0;
	int ret = zone_resolve(s->address, port, s->zone, &sa, &len, e), fd;

	if (ret < 0)
		return ret;
	fd = make(s, sa.ss_family, e);
	if (fd < 0)
		return fd;
	flows_patience(fd, DIAL_MS); // also bounds connect
	if (!wait)
		fcntl(fd, F_SETFL, O_NONBLOCK);
	if (connect(fd, (struct sockaddr *)&sa, len) == 0 || (!wait && errno == EINPROGRESS))
		return fd;
	ret = errno;
	close(fd);
	return err_set(e, ret, "cannot connect to %s port %u: %s", s->address, port,
		ret == EINPROGRESS ? "no answer" : strerror(ret));
}

/* Asks until the answer is there. */
static int ask(const struct flows_spec *s, int fd, unsigned flow, struct err *e) {
	struct hello question = {.flow = htonl(flow)}, answer;
	ssize_t n = -1;

	memcpy(question.what, ASK, sizeof(ASK));
	memcpy(question.cookie, s->cookie, sizeof(question.cookie));
	flows_patience(fd, s->udp ? DIAL_MS / UDP_ASKS : DIAL_MS);
	for (int i = 0; i < (s->udp ? UDP_ASKS : 1); i++) {
		uint64_t again = clock_ns() + DIAL_MS / UDP_ASKS * NS_PER_MS;

		if (send(fd, &question, sizeof(question), MSG_NOSIGNAL) < 0 && !s->udp)
			break;
		n = recv(fd, &answer, sizeof(answer), s->udp ? 0 : MSG_WAITALL);
		if (n == (ssize_t)sizeof(answer) && memcmp(answer.what, YES, sizeof(YES)) == 0 &&
			memcmp(answer.cookie, s->cookie, sizeof(answer.cookie)) == 0)
			return 0;
		if (s->udp && n == (ssize_t)sizeof(answer) &&
			memcmp(answer.what, TRY, sizeof(TRY)) == 0 &&
			memcmp(answer.cookie, s->cookie, sizeof(answer.cookie)) == 0) {
			memcpy(question.proof, answer.proof, sizeof(question.proof));
			continue; // shown at once
		}
		if (s->udp)
			clock_sleep_until(again); // an error came at once
	}
	return err_set(
		e, ETIMEDOUT, "flow %u to %s: the other end does not answer", flow, s->address);
}

int flows_connect(const struct flows_spec *s, const json_t *ports, int *fds, struct err *e) {
	int ret = 0;

	for (unsigned i = 0; i < s->n; i++)
		fds[i] = -1;
	for (unsigned i = 0; i < s->n && ret == 0; i++) {
		json_int_t port = json_integer_value(json_array_get(ports, s->udp ? i : 0));

		if (port < 1 || port > 65535)
			ret = err_set(e, EINVAL, "a request wants a port for each flow");
		else
			fds[i] = flows_dial(s, (unsigned)port, true, e);
		if (ret == 0)
			ret = fds[i] < 0 ? fds[i] : ask(s, fds[i], i, e);
	}
	for (unsigned i = 0; i < s->n && ret < 0; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
	return ret;
}
