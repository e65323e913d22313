/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/netlink/nl.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/netlink/child.h"
#include "host/root.h"

/* A request goes to a socket of its own, which is closed behind the answer: no answer of an earlier
 * question can be taken for that of a later one.
 *
 * One message of a link with hundreds of VFs is longer than any fixed buffer, and what does not fit a
 * receive buffer is lost: each datagram is looked at first for its length.
 *
 * Source: kernel Documentation/userspace-api/netlink/intro.rst; netlink(7). */

enum { FIRST_ROOM = 64 << 10 };

struct buffer {
	char *at;
	size_t room;
};

/* What it held is lost. */
static int make_room(struct buffer *b, size_t n) {
	char *at;

	if (n <= b->room)
		return 0;
	n = n < FIRST_ROOM ? FIRST_ROOM : n;
	at = calloc(1, n);
	if (at == NULL)
		return -ENOMEM;
	free(b->at);
	b->at = at;
	b->room = n;
	return 0;
}

const struct nlmsghdr *nl_next(const void *bytes, size_t len, size_t *at) {
	const struct nlmsghdr *h = (const void *)((const char *)bytes + *at);
	size_t left = len - *at;

	if (left < sizeof(*h) || h->nlmsg_len < sizeof(*h) || h->nlmsg_len > left)
		return NULL;
	*at += MNL_ALIGN((size_t)h->nlmsg_len) < left ? MNL_ALIGN((size_t)h->nlmsg_len) : left;
	return h;
}

const struct nlattr *nl_attr_next(const void *bytes, size_t len, size_t *at) {
	const struct nlattr *a = (const void *)((const char *)bytes + *at);
	size_t left = len - *at;

	if (left < sizeof(*a) || a->nla_len < sizeof(*a) || a->nla_len > left)
		return NULL;
	*at += MNL_ALIGN((size_t)a->nla_len) < left ? MNL_ALIGN((size_t)a->nla_len) : left;
	return a;
}

void nl_text(char *to, size_t size, const struct nlattr *a) {
	size_t n = strnlen(mnl_attr_get_payload(a), mnl_attr_get_payload_len(a));

	n = n < size ? n : size - 1;
	memcpy(to, mnl_attr_get_payload(a), n);
	to[n] = '\0';
}

struct nlmsghdr *nl_begin(struct nl_request *r, int type, int flags) {
	struct nlmsghdr *h;

	memset(r, 0, sizeof(*r));
	h = mnl_nlmsg_put_header(r->bytes);
	h->nlmsg_type = (uint16_t)type;
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	return h;
}

static int open_socket(int protocol) {
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), one = 1;

	if (fd < 0)
		return -errno;
	// Kernels before 4.20 know neither and answer all the same.
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	return fd;
}

static ssize_t failed(void) {
	return errno > 0 ? -errno : -EIO;
}

/* One datagram of the kernel's, its length; 0: one of somebody else, to be ignored. */
static ssize_t receive(int fd, struct buffer *b) {
	struct sockaddr_nl from = {0};
	socklen_t size = sizeof(from);
	ssize_t n;

	do
		n = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return failed();
	if (make_room(b, (size_t)n) < 0)
		return -ENOMEM;
	do
		n = recvfrom(fd, b->at, b->room, 0, (struct sockaddr *)&from, &size);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return failed();
	return from.nl_pid == 0 ? n : 0;
}

/* Looks for the end of the answer: 1 when it is there, 0 when more is to come, or the errno it ends
 * with. */
static int look_for_end(const char *bytes, size_t len) {
	const struct nlmsghdr *h;
	size_t at = 0;

	while ((h = nl_next(bytes, len, &at)) != NULL) {
		bool has_code = h->nlmsg_len >= sizeof(*h) + sizeof(int);
		int code = 0;

		if (h->nlmsg_flags & NLM_F_DUMP_INTR)
			return -EINTR;
		if (h->nlmsg_type != NLMSG_DONE && h->nlmsg_type != NLMSG_ERROR)
			continue;
		if (!has_code)
			return h->nlmsg_type == NLMSG_DONE ? 1 : -EBADMSG;
		memcpy(&code, h + 1, sizeof(code));
		return code < 0 ? code : 1;
	}
	return at == len ? 0 : -EBADMSG;
}

static int take_answer(int fd, nl_take *take, void *ctx) {
	struct buffer b = {0};
	int end = 0, rc = make_room(&b, FIRST_ROOM);

	while (end == 0 && rc == 0) {
		ssize_t n = receive(fd, &b);

		rc = n < 0 ? (int)n : 0;
		if (n <= 0)
			continue;
		end = look_for_end(b.at, (size_t)n);
		if (end >= 0 && take != NULL)
			rc = take(ctx, b.at, (size_t)n);
	}
	free(b.at);
	return end < 0 ? end : rc;
}

int nl_ask(int protocol, const struct nlmsghdr *ask, nl_take *take, void *ctx) {
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	int fd = open_socket(protocol), rc = 0;

	if (fd < 0)
		return fd;
	if (sendto(fd, ask, ask->nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		rc = -errno;
	if (rc == 0)
		rc = take_answer(fd, take, ctx);
	close(fd);
	return rc;
}

struct asking {
	int protocol;
	const struct nlmsghdr *ask;
};

static int ask_in_child(const void *ctx) {
	const struct asking *a = ctx;

	return nl_ask(a->protocol, a->ask, NULL, NULL);
}

int nl_change(int protocol, const struct nlmsghdr *ask, unsigned limit_ms) {
	return child_do(ask_in_child, &(struct asking){protocol, ask}, limit_ms);
}

int nl_recorded(const struct root *r, const char *name, nl_take *take, void *ctx) {
	struct buffer b = {0};
	ssize_t n = 0;
	int rc = 0;

	// A file that fills the buffer may be longer.
	do {
		rc = make_room(&b, b.room * 2 + 1);
		if (rc == 0)
			n = root_read(r, b.at, b.room, "/netlink/%s", name);
	} while (rc == 0 && n + 1 == (ssize_t)b.room && b.room < NL_FILE_MAX);
	if (rc == 0 && n == -ENOENT)
		n = 0;
	if (rc == 0 && n < 0)
		rc = (int)n;
	if (rc == 0 && n > 0)
		rc = take(ctx, b.at, (size_t)n);
	free(b.at);
	return rc;
}
