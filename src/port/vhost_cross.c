/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_vhost.h>
#include <systemd/sd-event.h>

#include "base/closer.h"
#include "base/passed.h"
#include "port/vhost.h"
#include "port/vhost_message.h"

/* Messages on their way from the front end to librte_vhost, and answers on their way back.
 *
 * Bytes are collected until a message is whole, with the descriptors that came along. It is judged by
 * itself (vhost_message.h) and by those before it (vhost_session.h); then it crosses in one piece, or is
 * answered here in the library's place, or ends the connection. Answers are passed back one at a time; one
 * that refuses ends the connection too. That costs two copies of a few hundred bytes when a guest starts,
 * and nothing while frames flow. */

void cross_drop(struct vhost_dev *d) {
	struct door *door = &d->door;

	for (unsigned i = 0; i < door->nfds; i++)
		closer_close(d->owner, door->fds[i]);
	door->nfds = 0;
	door->have = 0;
}

/* Sends bytes with descriptors; false when the other side does not take them now. */
static bool pass(int to, const void *bytes, size_t len, const int *fds, unsigned nfds) {
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int) * VHOST_MSG_FDS)];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)bytes, .iov_len = len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (nfds > 0) {
		m.msg_control = control.room;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		control.h.cmsg_level = SOL_SOCKET;
		control.h.cmsg_type = SCM_RIGHTS;
		control.h.cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(&control.h), fds, sizeof(int) * nfds);
	}
	return sendmsg(to, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
}

/* Reads up to `len` bytes and appends descriptors; bytes read, 0 at the end, -1 with errno. */
static ssize_t fetch(
	struct vhost_dev *d, int from, void *bytes, size_t len, int *fds, unsigned *nfds) {
	int in[PASSED_MAX];
	unsigned came;
	ssize_t n = passed_recv(from, bytes, len, in, &came);
	const int error = errno;
	const bool fits = n >= 0 && came <= VHOST_MSG_FDS - *nfds;

	for (unsigned i = 0; i < came; i++)
		if (fits)
			fds[(*nfds)++] = in[i];
		else
			closer_close(d->owner, in[i]);
	errno = n < 0 ? error : EMSGSIZE;
	return fits || came == 0 ? n : -1;
}

/* The library hung up: without acknowledgements that is how it says no, and messages may have
 * followed the one it meant. */
static void library_hung_up(struct vhost_dev *d) {
	const char *last = message_name(d->door.last);
	char why[128];

	snprintf(why, sizeof(why), "a vhost-user message was refused: %s or one before it",
		last != NULL ? last : "the first");
	door_detach(d, why);
}

/* With acknowledgements it says so in one. */
static bool is_refusal(const uint8_t *reply, size_t len) {
	return !message_asks(message_u32(reply)) && len >= MESSAGE_HEADER + 8 &&
	       message_u64(reply + MESSAGE_HEADER) != 0;
}

/* Answers a request in the library's place; fd goes along when it is not -1. */
static void answer(
	struct vhost_dev *d, const struct message *m, const void *payload, uint32_t size, int fd) {
	uint8_t reply[MESSAGE_HEADER + 32];
	const uint32_t head[3] = {message_u32(m->bytes), MESSAGE_REPLY_FLAGS, size};

	memcpy(reply, head, sizeof(head));
	memcpy(reply + MESSAGE_HEADER, payload, size);
	pass(d->door.front, reply, MESSAGE_HEADER + size, &fd, fd >= 0);
}

/* VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD: weir leaves nothing in flight when it is killed that the rings
 * do not tell (ring_packed.c; the used index of split ones), so the region stays empty, and front ends
 * that insist on one get it. The library never sees it: its own use of it trusts indices that it reads
 * there, and the guest can write them at any moment. */
static void inflight_cross(struct vhost_dev *d, const struct message *m) {
	const uint8_t *p = m->bytes + MESSAGE_HEADER;
	struct door *door = &d->door;

	if (message_u32(m->bytes) == MESSAGE_GET_INFLIGHT_FD) {
		const uint32_t rings = message_u32(p + 16) & 0xffff;
		uint64_t reply[3] = {rings * MESSAGE_INFLIGHT_RING, 0, message_u32(p + 16)};
		int fd = memfd_create("weir in-flight", MFD_CLOEXEC);

		if (fd >= 0 && ftruncate(fd, (off_t)reply[0]) < 0) {
			close(fd);
			fd = -1;
		}
		answer(d, m, reply, 20, fd);
		if (fd >= 0)
			close(fd);
	} else if (door->acks && message_u32(m->bytes + 4) & MESSAGE_NEED_REPLY) {
		answer(d, m, (uint64_t[]){0}, 8, -1);
	}
	cross_drop(d);
}

/* A whole message is in door->msg: answers it, passes it on, or ends the connection (false). */
static bool message_cross(struct vhost_dev *d) {
	struct door *door = &d->door;
	const struct message m = {
		.bytes = door->msg, .len = door->have, .fds = door->fds, .nfds = door->nfds};
	const struct message_limits limits = {
		.queues = d->port->queues, .mtu = d->port->mtu, .any_memory = door->any_memory};
	const unsigned request = message_u32(door->msg);
	char why[192];

	if (!message_admit(&m, &limits, why, sizeof(why)) ||
		!session_admit(&door->session, &m, why, sizeof(why))) {
		door_detach(d, why);
		return false;
	}
	switch (request) {
	case MESSAGE_GET_QUEUE_NUM: // the library would say 128
		answer(d, &m, (uint64_t[]){d->port->queues}, 8, -1);
		cross_drop(d);
		return true;
	case MESSAGE_GET_INFLIGHT_FD:
	case MESSAGE_SET_INFLIGHT_FD:
		inflight_cross(d, &m);
		return true;
	case MESSAGE_SET_PROTOCOL_FEATURES:
		door->acks =
			message_u64(m.bytes + MESSAGE_HEADER) >> VHOST_USER_PROTOCOL_F_REPLY_ACK &
			1;
		break;
	default:
		break;
	}
	door->last = request;
	if (!pass(door->back, door->msg, door->have, door->fds, door->nfds)) {
		if (errno == EPIPE || errno == ECONNRESET)
			library_hung_up(d);
		else
			door_detach(d, "more vhost-user messages at once than librte_vhost takes");
		return false;
	}
	cross_drop(d);
	return true;
}

int cross_on_front(sd_event_source *s, int fd, uint32_t revents, void *arg) {
	struct vhost_dev *d = arg;
	struct door *door = &d->door;
	char why[128];

	for (unsigned messages = 0; messages < 64;) { // then others have their turn
		size_t want = MESSAGE_HEADER;
		ssize_t n;

		if (door->have >= MESSAGE_HEADER) {
			uint32_t payload = message_u32(door->msg + 8);

			if (payload > VHOST_MSG_MAX - MESSAGE_HEADER) {
				snprintf(why, sizeof(why),
					"a vhost-user message of %u bytes; at most %d are expected",
					payload, VHOST_MSG_MAX - MESSAGE_HEADER);
				door_detach(d, why);
				return 0;
			}
			want += payload;
		}
		if (door->have == want) {
			messages++;
			if (!message_cross(d))
				return 0;
			continue;
		}
		n = fetch(d, fd, door->msg + door->have, want - door->have, door->fds, &door->nfds);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0 && errno == EMSGSIZE) {
			// They come with its header, or behind it.
			door_detach(d, message_u32(door->msg) == MESSAGE_SET_MEM_TABLE
					       ? "a memory table with more descriptors, one a "
						 "region, than the 8 that are allowed: give the "
						 "guest " MESSAGE_FEWER_REGIONS
					       : "a vhost-user message with more descriptors than "
						 "the 8 that are allowed");
			return 0;
		}
		if (n < 0 && errno == EMFILE) {
			door_detach(d, "weir may open no more files, and a vhost-user message "
				       "brought some; raise its limit (LimitNOFILE=)");
			return 0;
		}
		if (n <= 0) {
			door_ended(d, "ended");
			return 0;
		}
		if (door->have == 0)
			door->half_since = door_now_us();
		door->have += (unsigned)n;
		if (door->have == MESSAGE_HEADER && message_u32(door->msg + 8) == 0) {
			messages++;
			if (!message_cross(d))
				return 0;
		}
	}
	if (door->have > 0)
		door_await_rest(d);
	return 0;
}

/* Answers of the library; its end of the twin closes when it refused a message. */
int cross_on_back(sd_event_source *s, int fd, uint32_t revents, void *arg) {
	struct vhost_dev *d = arg;
	uint8_t bytes[VHOST_MSG_MAX];
	int fds[VHOST_MSG_FDS];
	unsigned nfds = 0;
	ssize_t n = fetch(d, fd, bytes, MESSAGE_HEADER, fds, &nfds), size = 0;
	char why[128];

	if (n < 0 && errno == EAGAIN)
		return 0;
	// It writes an answer at once: behind the header the rest is there.
	if (n == MESSAGE_HEADER)
		size = message_u32(bytes + 8);
	if (size > VHOST_MSG_MAX - MESSAGE_HEADER ||
		(size > 0 && fetch(d, fd, bytes + n, (size_t)size, fds, &nfds) != size))
		n = 0;
	if (n != MESSAGE_HEADER) {
		library_hung_up(d);
	} else if (!pass(d->door.front, bytes, (size_t)(n + size), fds, nfds)) {
		door_detach(d, "the front end does not read its answers");
	} else if (is_refusal(bytes, (size_t)(n + size))) {
		snprintf(why, sizeof(why), "the vhost-user message %s was refused",
			message_name(message_u32(bytes)));
		door_detach(d, why);
	}
	for (unsigned i = 0; i < nfds; i++)
		close(fds[i]);
	return 0;
}
