/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/prove/prove_place.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/netns.h"
#include "host/netlink/link.h"

static const char HERE[] = "/proc/thread-self/ns/net";

/* Files of this namespace and of a new one. */
static int make(struct place *p) {
	int rc = 0;

	p->home = open(HERE, O_RDONLY | O_CLOEXEC);
	if (p->home < 0 || unshare(CLONE_NEWNET) < 0)
		return -errno;
	p->away = open(HERE, O_RDONLY | O_CLOEXEC);
	if (p->away < 0)
		rc = -errno;
	netns_leave(dup(p->home));
	return rc;
}

/* In the namespace we are in, for interfaces to come. A kernel without IPv6 has no such file. */
static void quiet(void) {
	int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "1", 1) != 1)
		errno = 0; // a neighbour solicitation more: it is not counted
	close(fd);
}

static bool is_up(const char *name) {
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = {0};
	bool up;

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	up = fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &r) == 0 && (r.ifr_flags & IFF_UP) != 0;
	if (fd >= 0)
		close(fd);
	return up;
}

static void forget(struct place *p) {
	if (p->home >= 0)
		close(p->home);
	if (p->away >= 0)
		close(p->away);
	p->home = p->away = -1;
}

/* There: moves it to namespace `to` and sets it up, where that is wanted. */
static int move(struct place *p, int from, int to, bool up) {
	int back, rc, index;

	rc = netns_enter_fd(from, &back);
	if (rc < 0)
		return rc;
	index = (int)if_nametoindex(p->name);
	rc = index > 0 ? link_set_netns(index, to, PLACE_MS) : -ENODEV;
	netns_leave(back);
	if (rc < 0 || !up)
		return rc;
	rc = netns_enter_fd(to, &back);
	if (rc < 0)
		return rc;
	rc = link_set_up((int)if_nametoindex(p->name), true, PLACE_MS);
	netns_leave(back);
	return rc;
}

int place_take(struct place *p, const char *name, struct err *e) {
	int back, rc;

	*p = (struct place){.home = -1, .away = -1, .was_up = is_up(name)};
	snprintf(p->name, sizeof(p->name), "%s", name);
	rc = make(p);
	if (rc == 0)
		rc = netns_enter_fd(p->away, &back);
	if (rc == 0) {
		quiet();
		netns_leave(back);
		rc = move(p, p->home, p->away, true);
	}
	if (rc == 0)
		return 0;
	place_give_back(p);
	return err_set(e, -rc,
		"the interface %s cannot be moved into a network namespace of its own and set up "
		"there: %s",
		name, strerror(-rc));
}

void place_give_back(struct place *p) {
	if (p->home >= 0 && p->away >= 0)
		move(p, p->away, p->home, p->was_up);
	forget(p);
}
