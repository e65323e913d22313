/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * The socket: messages of the vhost-user protocol and the steps made of them. */
#include "front.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { FDS_MAX = 64, ANSWER_TIMEOUT_S = 5 };

static int fail(struct front *f, int err, const char *what) {
	snprintf(f->why, sizeof(f->why), "%s: %s", what, strerror(-err));
	return err;
}

int front_raw(struct front *f, const void *bytes, size_t n, const int *fds, unsigned nfds) {
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = (void *)bytes, .iov_len = n};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t sent;

	if (nfds > FDS_MAX)
		return -E2BIG;
	if (nfds > 0) {
		struct cmsghdr *c = &control.align;

		memset(&control, 0, sizeof(control));
		msg.msg_control = control.room;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	sent = sendmsg(f->sock, &msg, MSG_NOSIGNAL);
	return sent < 0 ? -errno : (int)sent;
}

/* Reads exactly n bytes; a descriptor that comes along goes to *fd. */
static int receive(struct front *f, void *bytes, size_t n, int *fd) {
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control;

	for (size_t got = 0; got < n;) {
		struct iovec iov = {.iov_base = (char *)bytes + got, .iov_len = n - got};
		struct msghdr msg = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control.room,
			.msg_controllen = sizeof(control.room)};
		ssize_t r = recvmsg(f->sock, &msg, MSG_CMSG_CLOEXEC);
		struct cmsghdr *c;

		if (r == 0)
			return -ECONNRESET;
		if (r < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		c = CMSG_FIRSTHDR(&msg);
		if (c != NULL && c->cmsg_type == SCM_RIGHTS) {
			int came;

			memcpy(&came, CMSG_DATA(c), sizeof(came));
			if (fd != NULL && *fd < 0)
				*fd = came;
			else
				close(came);
		}
		got += r;
	}
	return 0;
}

static int receive_message(struct front *f, struct front_message *m, int *fd) {
	int err = receive(f, m, FRONT_HEADER, fd);

	if (err != 0)
		return err;
	if (m->size > sizeof(m->bytes))
		return -EPROTO;
	return receive(f, m->bytes, m->size, fd);
}

static int send_message(
	struct front *f, struct front_message *m, uint32_t flags, const int *fds, unsigned nfds) {
	int n;

	m->flags = FRONT_VERSION | flags;
	n = front_raw(f, m, FRONT_HEADER + m->size, fds, nfds);
	if (n < 0)
		return n;
	return (uint32_t)n == FRONT_HEADER + m->size ? 0 : -EIO;
}

int front_message(struct front *f, struct front_message *m, const int *fds, unsigned nfds) {
	bool ack = f->protocol & FRONT_P_REPLY_ACK;
	uint32_t request = m->request;
	char what[64];
	int err = send_message(f, m, ack ? FRONT_NEED_REPLY : 0, fds, nfds);

	if (err == 0 && ack) {
		err = receive_message(f, m, NULL);
		if (err == 0)
			err = m->request != request || m->size != 8 ? -EPROTO
			      : m->u64 != 0                         ? -EREMOTEIO
								    : 0;
	}
	snprintf(what, sizeof(what), "vhost-user request %u", request);
	return err == 0 ? 0 : fail(f, err, what);
}

int front_ask(struct front *f, struct front_message *m, int *fd) {
	uint32_t request = m->request;
	char what[64];
	int err = send_message(f, m, 0, NULL, 0);

	if (err == 0)
		err = receive_message(f, m, fd);
	if (err == 0 && m->request != request)
		err = -EPROTO;
	snprintf(what, sizeof(what), "vhost-user question %u", request);
	return err == 0 ? 0 : fail(f, err, what);
}

bool front_hung_up(struct front *f, int timeout_ms) {
	struct pollfd p = {.fd = f->sock, .events = POLLIN};
	char waste[256];

	if (f->sock < 0)
		return true;
	while (poll(&p, 1, timeout_ms) > 0) {
		ssize_t n = recv(f->sock, waste, sizeof(waste), MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return true;
	}
	return false;
}

static int connect_once(const struct sockaddr_un *a) {
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (s < 0)
		return -errno;
	if (connect(s, (const struct sockaddr *)a, sizeof(*a)) == 0)
		return s;
	err = -errno;
	close(s);
	return err;
}

static int listen_at(struct front *f, const struct sockaddr_un *a) {
	if (f->listener >= 0)
		return 0;
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (f->listener < 0)
		return -errno;
	unlink(a->sun_path);
	if (bind(f->listener, (const struct sockaddr *)a, sizeof(*a)) < 0 ||
		listen(f->listener, 1) < 0)
		return -errno;
	return 0;
}

static int accept_one(struct front *f, const struct sockaddr_un *a) {
	struct pollfd p = {.events = POLLIN};
	int err = listen_at(f, a), s;

	if (err != 0)
		return err;
	p.fd = f->listener;
	if (poll(&p, 1, f->o.timeout_ms ? f->o.timeout_ms : ANSWER_TIMEOUT_S * 1000) <= 0)
		return -ETIMEDOUT;
	s = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
	return s < 0 ? -errno : s;
}

int front_connect(struct front *f) {
	enum { STEP_MS = 10 };
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = ANSWER_TIMEOUT_S};
	int s = -ENAMETOOLONG;

	if (strlen(f->o.path) < sizeof(a.sun_path)) {
		strcpy(a.sun_path, f->o.path);
		s = f->o.listen ? accept_one(f, &a) : connect_once(&a);
		for (int ms = 0; s < 0 && !f->o.listen && ms < f->o.timeout_ms; ms += STEP_MS) {
			nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
			s = connect_once(&a);
		}
	}
	if (s < 0)
		return fail(f, s, f->o.path);
	f->sock = s;
	f->protocol = 0;
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return 0;
}

static int ask_u64(struct front *f, uint32_t request, uint64_t *answer) {
	struct front_message m = {.request = request};
	int err = front_ask(f, &m, NULL);

	*answer = m.u64;
	return err;
}

static int tell_u64(struct front *f, uint32_t request, uint64_t value) {
	struct front_message m = {.request = request, .size = 8, .u64 = value};

	return front_message(f, &m, NULL, 0);
}

int front_negotiate(struct front *f) {
	uint64_t queues = 1;
	int err = ask_u64(f, FRONT_GET_FEATURES, &f->offered);

	if (err != 0)
		return err;
	f->features = f->offered & (f->o.features | FRONT_F_PROTOCOL);
	if (f->features & FRONT_F_PROTOCOL) {
		uint64_t chosen;

		err = ask_u64(f, FRONT_GET_PROTOCOL_FEATURES, &f->offered_protocol);
		chosen = f->offered_protocol & f->o.protocol;
		if (err == 0)
			err = tell_u64(f, FRONT_SET_PROTOCOL_FEATURES, chosen);
		f->protocol = err == 0 ? chosen : 0;
	}
	if (err == 0 && f->protocol & FRONT_P_MQ)
		err = ask_u64(f, FRONT_GET_QUEUE_NUM, &queues);
	if (err == 0 && queues < f->o.pairs)
		err = fail(f, -ERANGE, "queue pairs");
	return err != 0 ? err : tell_u64(f, FRONT_SET_OWNER, 0);
}

int front_set_features(struct front *f) {
	int err = tell_u64(f, FRONT_SET_FEATURES, f->features);

	if (err == 0 && f->o.mtu != 0 && f->protocol & FRONT_P_MTU)
		err = tell_u64(f, FRONT_NET_SET_MTU, f->o.mtu);
	return err;
}

int front_set_memory(struct front *f) {
	struct front_message m = {
		.request = FRONT_SET_MEM_TABLE, .size = 8, .memory.nregions = f->nregions};
	int fds[FRONT_REGIONS_MAX];

	for (unsigned i = 0; i < f->nregions; i++) {
		m.memory.region[i].gpa = f->region[i].gpa;
		m.memory.region[i].size = f->region[i].size;
		m.memory.region[i].uva = (uintptr_t)f->region[i].map;
		fds[i] = f->region[i].fd;
		m.size += sizeof(m.memory.region[i]);
	}
	return front_message(f, &m, fds, f->nregions);
}

int front_set_inflight(struct front *f) {
	struct front_message m = {.request = FRONT_GET_INFLIGHT_FD,
		.size = sizeof(m.inflight),
		.inflight = {.queues = f->nrings, .ring_size = f->o.ring_size}};
	int err = 0;

	if (!(f->protocol & FRONT_P_INFLIGHT_SHMFD))
		return 0;
	if (f->inflight_fd < 0) {
		err = front_ask(f, &m, &f->inflight_fd);
		if (err == 0 && f->inflight_fd < 0)
			err = fail(f, -EPROTO, "no in-flight region came");
		f->inflight = m;
	}
	if (err != 0)
		return err;
	m = f->inflight;
	m.request = FRONT_SET_INFLIGHT_FD;
	return front_message(f, &m, &f->inflight_fd, 1);
}

static int tell_state(struct front *f, uint32_t request, uint32_t index, uint32_t num) {
	struct front_message m = {.request = request, .size = 8, .state = {index, num}};

	return front_message(f, &m, NULL, 0);
}

int front_set_ring(struct front *f, struct front_ring *r) {
	struct front_message addr = {.request = FRONT_SET_VRING_ADDR,
		.size = sizeof(addr.addr),
		.addr = {.index = r->index,
			.desc = r->desc_uva,
			.avail = r->driver_uva,
			.used = r->device_uva}};
	struct front_message kick = {.request = FRONT_SET_VRING_KICK, .size = 8, .u64 = r->index};
	struct front_message call = {.request = FRONT_SET_VRING_CALL, .size = 8, .u64 = r->index};
	uint32_t base = r->base >= 0 ? (uint32_t)r->base : front_ring_base(r);
	int err = tell_state(f, FRONT_SET_VRING_NUM, r->index, r->size);

	if (err == 0)
		err = tell_state(f, FRONT_SET_VRING_BASE, r->index, base);
	if (err == 0)
		err = front_message(f, &addr, NULL, 0);
	if (err == 0)
		err = front_message(f, &call, &r->call, 1);
	if (err == 0)
		err = front_message(f, &kick, &r->kick, 1);
	r->base = -1;
	return err;
}

int front_enable(struct front *f, struct front_ring *r, bool on) {
	if (!(f->features & FRONT_F_PROTOCOL))
		return 0; /* rings are born enabled then */
	return tell_state(f, FRONT_SET_VRING_ENABLE, r->index, on);
}

int front_stop(struct front *f) {
	int err = 0;

	for (unsigned i = 0; i < f->nrings && err == 0; i++)
		err = front_enable(f, &f->ring[i], false);
	for (unsigned i = 0; i < f->nrings && err == 0; i++) {
		struct front_message m = {
			.request = FRONT_GET_VRING_BASE, .size = 8, .state = {f->ring[i].index, 0}};

		err = front_ask(f, &m, NULL);
		f->ring[i].base = m.state.num;
		if (f->ring[i].packed &&
			m.state.num <= UINT16_MAX) /* some tell the avail half only */
			f->ring[i].base |= (int64_t)m.state.num << 16;
	}
	return err;
}

int front_start(struct front *f) {
	struct front_message m = {.request = FRONT_GET_FEATURES};
	int err = 0;

	for (unsigned i = 0; i < f->nrings && err == 0; i++)
		err = front_set_ring(f, &f->ring[i]);
	for (unsigned i = 0; i < f->nrings && err == 0; i++)
		err = front_enable(f, &f->ring[i], true);
	if (err == 0) /* rings start after the acknowledgement, but before the next answer */
		err = front_ask(f, &m, NULL);
	for (unsigned i = 0; i < f->nrings && err == 0; i++)
		front_ring_kick(&f->ring[i]); /* what was queued meanwhile */
	return err;
}
