/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/netlink/link.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "host/netlink/nl.h"
#include "host/root.h"

/* Three dumps, decoded as they come. The kernel marks a dump whose subject changed while it was told
 * (NLM_F_DUMP_INTR): entries may be missing or twice, so all is asked for anew. */

enum {
	DUMP_TRIES = 20,
	EVENT_ROOM = 32 << 10, /* the kernel's broadcasts have no VF list and fit a page */
};

static int take(void *ctx, const void *bytes, size_t len) {
	return links_decode(ctx, bytes, len);
}

static int dump(struct links *l, int type, size_t header, bool vfs) {
	struct nl_request r;
	struct nlmsghdr *h = nl_begin(&r, type, NLM_F_DUMP);

	mnl_nlmsg_put_extra_header(h, header);
	if (vfs)
		mnl_attr_put_u32(h, IFLA_EXT_MASK, RTEXT_FILTER_VF);
	return nl_ask(NETLINK_ROUTE, h, take, l);
}

static int read_kernel(struct links *l) {
	int rc = dump(l, RTM_GETLINK, sizeof(struct ifinfomsg), true);

	if (rc == 0)
		rc = dump(l, RTM_GETADDR, sizeof(struct ifaddrmsg), false);
	if (rc == 0)
		rc = dump(l, RTM_GETROUTE, sizeof(struct rtmsg), false);
	return rc;
}

static int read_recorded(const struct root *r, struct links *l, struct err *e) {
	static const char *const file[] = {"link.nl", "addr.nl", "route.nl"};
	int rc = 0;

	for (unsigned i = 0; i < sizeof(file) / sizeof(file[0]) && rc == 0; i++) {
		rc = nl_recorded(r, file[i], take, l);
		if (rc < 0)
			err_set(e, -rc, "%s/netlink/%s cannot be used: %s", r->at, file[i],
				rc == -EBADMSG ? "a message in it is cut or has a wrong length; "
						 "record it anew"
					       : strerror(-rc));
	}
	return rc;
}

int links_read(const struct root *r, struct links *l, struct err *e) {
	int rc = -EINTR;

	*l = (struct links){0};
	if (r->recorded)
		rc = read_recorded(r, l, e);
	else
		for (int i = 0; i < DUMP_TRIES && rc == -EINTR; i++) {
			links_free(l);
			rc = read_kernel(l);
		}
	if (rc < 0)
		links_free(l);
	if (rc == -EINTR)
		err_set(e, EINTR,
			"the network interfaces changed each of the %d times they were read; `ip "
			"monitor` shows what changes them",
			DUMP_TRIES);
	else if (rc < 0 && !r->recorded)
		err_set(e, -rc, "the kernel does not tell its network interfaces: %s",
			strerror(-rc));
	return rc;
}

void links_free(struct links *l) {
	for (unsigned i = 0; i < l->nlinks; i++) {
		free(l->link[i].vf);
		free(l->link[i].altname);
	}
	free(l->link);
	free(l->address);
	free(l->route);
	*l = (struct links){0};
}

const struct link *links_index(const struct links *l, int index) {
	for (unsigned i = 0; i < l->nlinks; i++)
		if (l->link[i].index == index)
			return &l->link[i];
	return NULL;
}

static bool is_called(const struct link *l, const char *name) {
	bool so = strcmp(l->name, name) == 0;

	for (unsigned i = 0; i < l->naltnames && !so; i++)
		so = strcmp(l->altname[i], name) == 0;
	return so;
}

const struct link *links_name(const struct links *l, const char *name) {
	for (unsigned i = 0; i < l->nlinks; i++)
		if (is_called(&l->link[i], name))
			return &l->link[i];
	return NULL;
}

/* The kernel looks among all names for either attribute, but IFLA_IFNAME has no room for long ones, and
 * before Linux 5.5 there was no other. */
int link_find(const char *name, char own[IFNAMSIZ]) {
	struct nl_request r;
	struct nlmsghdr *h = nl_begin(&r, RTM_GETLINK, NLM_F_ACK);
	struct links l = {0};
	size_t n = strlen(name);
	int rc;

	own[0] = '\0';
	if (n == 0 || n >= LINK_NAME_MAX)
		return -ENODEV;
	mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(h, n < IFNAMSIZ ? IFLA_IFNAME : IFLA_ALT_IFNAME, name);
	rc = nl_ask(NETLINK_ROUTE, h, take, &l);
	if (rc == 0 && l.nlinks != 1)
		rc = -ENODEV;
	if (rc == 0) {
		rc = l.link[0].index;
		memcpy(own, l.link[0].name, IFNAMSIZ);
	}
	links_free(&l);
	return rc;
}

int link_events_open(void) {
	struct sockaddr_nl nl = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE), rc;

	if (fd < 0 || bind(fd, (struct sockaddr *)&nl, sizeof(nl)) == 0)
		return fd < 0 ? -errno : fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* false: something in it could not be understood. */
static bool tell(const void *bytes, size_t len, void (*changed)(void *ctx, int index, bool gone),
	void *ctx) {
	const struct nlmsghdr *h;
	size_t at = 0;

	while ((h = nl_next(bytes, len, &at)) != NULL) {
		const struct ifinfomsg *i = mnl_nlmsg_get_payload(h);

		if (h->nlmsg_type != RTM_NEWLINK && h->nlmsg_type != RTM_DELLINK)
			continue;
		if (mnl_nlmsg_get_payload_len(h) < sizeof(*i) || i->ifi_index <= 0)
			return false;
		// A bridge tells its members' leaving as the "deletion" of a link of its family.
		changed(ctx, i->ifi_index,
			h->nlmsg_type == RTM_DELLINK && i->ifi_family == AF_UNSPEC);
	}
	return at == len;
}

int link_events_read(int fd, void (*changed)(void *ctx, int index, bool gone), void *ctx) {
	static const struct sockaddr_nl nobody;
	char bytes[EVENT_ROOM] __attribute__((aligned(MNL_ALIGNTO)));

	for (;;) {
		struct sockaddr_nl from = nobody;
		socklen_t size = sizeof(from);
		ssize_t n = recvfrom(
			fd, bytes, sizeof(bytes), MSG_TRUNC, (struct sockaddr *)&from, &size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != ENOBUFS)
			return errno == EAGAIN ? 0 : -errno;
		if (n >= 0 && from.nl_pid != 0)
			continue;
		if (n < 0 || (size_t)n > sizeof(bytes) || !tell(bytes, (size_t)n, changed, ctx))
			changed(ctx, 0, false);
	}
}
