/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "port/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "base/err.h"
#include "base/ifname.h"
#include "base/netns.h"
#include "frame/offload.h"

/* Devices of TAP ports.
 *
 * A TAP is made by TUNSETIFF on an open /dev/net/tun and belongs to the network namespace in which
 * that file was opened, so the control thread steps into the port's namespace for the open and back
 * out. Nothing else happens there. The sockets made inside keep talking to that namespace: one for
 * the interface ioctls (any family will do), one that hears of link changes.
 *
 * A device that was not there before is made with IFF_TUN_EXCL and goes when the last descriptor is
 * closed, however weir ends. One that was there (`ip tuntap add`) is attached to and left behind.
 * Asking rtnetlink first what stands under the name is only for the sake of good messages: TUNSETIFF
 * answers EINVAL and EBUSY to half a dozen questions.
 *
 * Sources: kernel Documentation/networking/tuntap.rst; drivers/net/tun.c; rtnetlink(7). */

static const char TUN_PATH[] = "/dev/net/tun";

/* What rtnetlink knows about a name. */
struct link_info {
	bool exists, tap, tun, multi_queue;
	unsigned attached; /* queues that some process has open */
	char kind[32]; /* "veth", "bridge"; empty for lo and hardware */
};

static void close_fd(int *fd) {
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void link_info_tun(struct link_info *li, struct rtattr *a, int len) {
	for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		uint8_t u8 = *(uint8_t *)RTA_DATA(a);

		switch (a->rta_type) {
		case IFLA_TUN_TYPE:
			li->tap = u8 == IFF_TAP;
			break;
		case IFLA_TUN_MULTI_QUEUE:
			li->multi_queue = u8 != 0;
			break;
		case IFLA_TUN_NUM_QUEUES:
		case IFLA_TUN_NUM_DISABLED_QUEUES:
			li->attached += *(uint32_t *)RTA_DATA(a);
			break;
		}
	}
}

static void link_info_parse(struct link_info *li, struct rtattr *a, int len) {
	struct rtattr *data = NULL;

	for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		struct rtattr *in = RTA_DATA(a);
		int left = (int)RTA_PAYLOAD(a);

		// The nested flag may be set in the type.
		if ((a->rta_type & NLA_TYPE_MASK) != IFLA_LINKINFO)
			continue;
		for (; RTA_OK(in, left); in = RTA_NEXT(in, left)) {
			if ((in->rta_type & NLA_TYPE_MASK) == IFLA_INFO_KIND)
				snprintf(li->kind, sizeof(li->kind), "%.*s", (int)RTA_PAYLOAD(in),
					(char *)RTA_DATA(in));
			if ((in->rta_type & NLA_TYPE_MASK) == IFLA_INFO_DATA)
				data = in;
		}
	}
	li->tun = strcmp(li->kind, "tun") == 0;
	if (li->tun && data != NULL)
		link_info_tun(li, RTA_DATA(data), (int)RTA_PAYLOAD(data));
}

/* Asks the namespace we are in what stands under `name`. */
static int link_query(const char *name, struct link_info *li) {
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
		struct rtattr a;
		char name[RTA_ALIGN(IFNAMSIZ)];
	} req = {
		.h = {.nlmsg_len = sizeof(req),
			.nlmsg_type = RTM_GETLINK,
			.nlmsg_flags = NLM_F_REQUEST},
		.a = {.rta_len = RTA_LENGTH(IFNAMSIZ), .rta_type = IFLA_IFNAME},
	};
	char buf[16384] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *h = (struct nlmsghdr *)buf;
	ssize_t n = -1;
	int fd;

	memset(li, 0, sizeof(*li));
	snprintf(req.name, sizeof(req.name), "%s", name);
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return -errno;
	if (send(fd, &req, sizeof(req), 0) == (ssize_t)sizeof(req))
		n = recv(fd, buf, sizeof(buf), 0);
	if (n < 0) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	close(fd);
	if (!NLMSG_OK(h, n))
		return -EPROTO;
	if (h->nlmsg_type == NLMSG_ERROR) {
		int code = ((struct nlmsgerr *)NLMSG_DATA(h))->error;

		return code == -ENODEV ? 0 : code;
	}
	li->exists = true;
	link_info_parse(li, IFLA_RTA(NLMSG_DATA(h)), (int)IFLA_PAYLOAD(h));
	return 0;
}

int tap_check_name(const char *name, struct err *e) {
	if (ifname_valid(name))
		return 0;
	return err_set(
		e, EINVAL, "'%s' is no name of an interface; that has %s", name, IFNAME_RULE);
}

/* Can we attach `queues` queues to what is there? */
static int check_link(const struct tap *t, const struct link_info *li, struct err *e) {
	const char *name = t->ifname;
	char who[64];

	if (!li->exists)
		return 0;
	if (!li->tun)
		return err_set(e, EEXIST,
			"interface '%s' exists and is not a TAP device%s%s; use another name", name,
			li->kind[0] != '\0' ? " but of kind " : "", li->kind);
	if (!li->tap)
		return err_set(e, EEXIST,
			"interface '%s' exists and is a TUN device, which carries no Ethernet "
			"frames; make it "
			"with `ip tuntap add %s mode tap`",
			name, name);
	if (li->attached > 0)
		return err_set(e, EBUSY,
			"TAP device '%s' is in use by %s (%u queues attached); a TAP has one user "
			"side, and it is taken",
			name, tap_owner(name, who, sizeof(who)), li->attached);
	if (t->queues > 1 && !li->multi_queue)
		return err_set(e, EINVAL,
			"TAP device '%s' exists with a single queue, but %u are wanted; use "
			"`queues: 1`, or "
			"make it with `ip tuntap add %s mode tap multi_queue`",
			name, t->queues, name);
	return 0;
}

static int attach_error(const struct tap *t, int code, struct err *e) {
	char who[64];

	switch (code) {
	case EPERM:
		return err_set(e, code,
			"no permission to use TAP device '%s'; weir needs CAP_NET_ADMIN, or the "
			"device must "
			"be made for its user: `ip tuntap add %s mode tap user NAME%s`",
			t->ifname, t->ifname, t->queues > 1 ? " multi_queue" : "");
	case EBUSY:
		return err_set(e, code, "TAP device '%s' is in use by %s", t->ifname,
			tap_owner(t->ifname, who, sizeof(who)));
	case E2BIG:
		return err_set(
			e, code, "TAP device '%s' cannot have %u queues", t->ifname, t->queues);
	default:
		return err_set(e, code, "TAP device '%s': %s", t->ifname, strerror(code));
	}
}

/* One queue: an open file, attached, set up as tap.c wants it. -1: the error is set. */
static int queue_open(const struct tap *t, bool excl, struct err *e) {
	struct ifreq ifr = {0};
	int header = TAP_VNET_HDR, little = 1, rc;
	int fd = open(TUN_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
		return err_set(e, ENOENT,
			"no %s: this kernel or container has no TUN/TAP driver (`modprobe tun`)",
			TUN_PATH);
	if (fd < 0)
		return err_set(e, errno, "%s: %s", TUN_PATH, strerror(errno));
	memcpy(ifr.ifr_name, t->ifname, sizeof(ifr.ifr_name));
	ifr.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
				(t->multi_queue ? IFF_MULTI_QUEUE : 0) | (excl ? IFF_TUN_EXCL : 0));
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		rc = attach_error(t, errno, e);
	else if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 || ioctl(fd, TUNSETVNETLE, &little) < 0)
		rc = err_set(e, errno, "TAP device '%s': the kernel refuses virtio 1 headers: %s",
			t->ifname, strerror(errno));
	else
		return fd;
	close(fd);
	return rc;
}

/* What the kernel may leave undone in frames for us; a property of the device, not of the queue.
 * UDP segmentation is not asked for: struct offload has no word for it. */
static unsigned negotiate_offloads(int fd) {
	static const struct {
		unsigned tun, caps;
	} steps[] = {
		{TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
			CAP_CSUM | CAP_TSO4 | CAP_TSO6 | CAP_ECN},
		{TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6, CAP_CSUM | CAP_TSO4 | CAP_TSO6},
		{TUN_F_CSUM, CAP_CSUM},
	};

	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (ioctl(fd, TUNSETOFFLOAD, steps[i].tun) == 0)
			return steps[i].caps;
	return 0;
}

/* The number of the interface of that name in the namespace that `ctl` talks to; 0: none. */
static int index_of(int ctl, const char *name) {
	struct ifreq ifr = {0};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return ioctl(ctl, SIOCGIFINDEX, &ifr) == 0 ? ifr.ifr_ifindex : 0;
}

/* The sockets that talk to the namespace we are in. */
static int open_sockets(struct tap *t, bool watch, struct err *e) {
	struct sockaddr_nl nl = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};

	t->ctl = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (t->ctl < 0)
		return err_set(e, errno, "cannot make a socket: %s", strerror(errno));
	if (!watch)
		return 0;
	t->events = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (t->events < 0 || bind(t->events, (struct sockaddr *)&nl, sizeof(nl)) < 0)
		return err_set(e, errno, "cannot listen for link changes: %s", strerror(errno));
	return 0;
}

/* Which namespace we are in. */
static void remember_ns(struct tap *t) {
	struct stat st;

	if (stat("/proc/thread-self/ns/net", &st) < 0)
		return;
	t->home_dev = st.st_dev;
	t->home_ino = st.st_ino;
	t->named = t->netns != NULL;
}

static int open_inside(struct tap *t, bool watch, struct err *e) {
	struct link_info li;
	int rc = open_sockets(t, watch, e);

	if (rc < 0)
		return rc;
	rc = link_query(t->ifname, &li);
	if (rc < 0)
		return err_set(e, -rc, "interface '%s': %s", t->ifname, strerror(-rc));
	rc = check_link(t, &li, e);
	if (rc < 0)
		return rc;
	if (t->existing && !li.exists)
		return err_set(e, ENODEV,
			"there is no interface '%s'; make it with `ip tuntap add %s mode tap%s`",
			t->ifname, t->ifname, t->queues > 1 ? " multi_queue" : "");
	remember_ns(t);
	t->created = !li.exists;
	t->multi_queue = li.exists ? li.multi_queue : t->queues > 1;
	for (unsigned i = 0; i < t->queues; i++) {
		rc = queue_open(t, t->created && i == 0, e);
		if (rc < 0)
			return rc;
		t->q[i]->fd = rc;
	}
	t->caps = negotiate_offloads(t->q[0]->fd);
	t->ifindex = index_of(t->ctl, t->ifname);
	snprintf(t->name, sizeof(t->name), "%s", t->ifname);
	return 0;
}

int tap_dev_open(struct tap *t, bool watch, struct err *e) {
	int back, rc;

	t->ctl = t->events = -1;
	for (unsigned i = 0; i < t->queues; i++)
		t->q[i]->fd = -1;
	rc = tap_check_name(t->ifname, e);
	if (rc < 0)
		return rc;
	rc = netns_enter(t->netns, &back, e);
	if (rc < 0)
		return rc;
	rc = open_inside(t, watch, e);
	netns_leave(back);
	if (rc < 0)
		tap_dev_close(t);
	return rc;
}

void tap_dev_close(struct tap *t) {
	for (unsigned i = 0; i < t->queues; i++)
		close_fd(&t->q[i]->fd);
	close_fd(&t->ctl);
	close_fd(&t->events);
}

/* Is this the namespace where the device was found? */
static bool at_home(const struct tap *t) {
	struct stat st;

	return stat("/proc/thread-self/ns/net", &st) == 0 && st.st_ino == t->home_ino &&
	       st.st_dev == t->home_dev;
}

/* The device, `name` now, left the namespace that `ctl` talks to: opens the sockets anew where it is. */
static int follow(struct tap *t, const char *name) {
	struct tap now = {.ctl = -1, .events = -1};
	bool home = false;
	int back, rc;
	int ns = ioctl(t->q[0]->fd, TUNGETDEVNETNS);

	if (ns < 0)
		return -errno;
	rc = netns_enter_fd(ns, &back);
	close(ns);
	if (rc < 0)
		return rc;
	rc = open_sockets(&now, t->events >= 0, NULL);
	home = at_home(t);
	netns_leave(back);
	// The new one is watched before the old one is closed: their numbers must differ.
	if (rc == 0 && t->source != NULL)
		rc = sd_event_source_set_io_fd(t->source, now.events);
	if (rc < 0) {
		close_fd(&now.ctl);
		close_fd(&now.events);
		return rc;
	}
	close_fd(&t->ctl);
	close_fd(&t->events);
	t->ctl = now.ctl;
	t->events = now.events;
	t->named = false;
	t->moved = !home;
	t->ifindex = index_of(t->ctl, name);
	return 0;
}

bool tap_dev_ns_gone(const struct tap *t) {
	char path[512];
	struct stat st;

	if (!t->named)
		return false;
	if (stat(netns_file(t->netns, path, sizeof(path)), &st) == 0)
		return st.st_ino != t->home_ino || st.st_dev != t->home_dev;
	return errno == ENOENT && strncmp(path, "/proc/", 6) != 0;
}

/* As the kernel has it now; IFF_RUNNING tells of it only when its link watch ran, up to a second later. */
static bool carrier_of(int ctl, const char *name) {
	struct ethtool_value link = {.cmd = ETHTOOL_GLINK};
	struct ifreq ifr = {.ifr_data = (char *)&link};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return ioctl(ctl, SIOCETHTOOL, &ifr) < 0 || link.data != 0;
}

int tap_dev_state(struct tap *t, struct tap_dev_state *out) {
	struct ifreq ifr = {0};

	memset(out, 0, sizeof(*out));
	if (ioctl(t->q[0]->fd, TUNGETIFF, &ifr) < 0)
		return -ENODEV;
	memcpy(out->name, ifr.ifr_name, sizeof(out->name));
	// Another may have its name where it was.
	if (index_of(t->ctl, out->name) != t->ifindex && follow(t, out->name) < 0) {
		out->hidden = out->carrier = true;
		out->flags = IFF_UP;
		out->mtu = t->mtu;
		return 0;
	}
	if (ioctl(t->ctl, SIOCGIFFLAGS, &ifr) == 0)
		out->flags = (unsigned short)ifr.ifr_flags;
	out->carrier = carrier_of(t->ctl, out->name);
	if (ioctl(t->ctl, SIOCGIFMTU, &ifr) == 0)
		out->mtu = (unsigned)ifr.ifr_mtu;
	return 0;
}

void tap_dev_let_go(struct tap *t) {
	int own = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (own >= 0)
		dup3(own, t->ctl, O_CLOEXEC);
	close_fd(&own);
	for (unsigned i = 0; i < t->queues; i++)
		dup3(t->ctl, t->q[i]->fd, O_CLOEXEC);
	close_fd(&t->events);
}

static int set_error(const struct tap_dev_state *st, const char *what, int code, struct err *e) {
	return err_set(e, code, "cannot set %s of TAP device '%s': %s%s", what, st->name,
		strerror(code), code == EPERM ? "; weir needs CAP_NET_ADMIN" : "");
}

int tap_dev_set_mtu(struct tap *t, unsigned mtu, struct err *e) {
	struct tap_dev_state st;
	struct ifreq ifr = {0};

	if (tap_dev_state(t, &st) < 0)
		return err_set(e, ENODEV, "TAP device '%s' is gone", t->ifname);
	if (st.mtu == mtu || st.hidden)
		return 0;
	memcpy(ifr.ifr_name, st.name, sizeof(st.name));
	ifr.ifr_mtu = (int)mtu;
	if (ioctl(t->ctl, SIOCSIFMTU, &ifr) < 0)
		return set_error(&st, "the mtu", errno, e);
	return 0;
}

int tap_dev_set_up(struct tap *t, bool up, struct err *e) {
	struct tap_dev_state st;
	struct ifreq ifr = {0};

	if (tap_dev_state(t, &st) < 0)
		return err_set(e, ENODEV, "TAP device '%s' is gone", t->ifname);
	if (((st.flags & IFF_UP) != 0) == up || st.hidden)
		return 0;
	memcpy(ifr.ifr_name, st.name, sizeof(st.name));
	ifr.ifr_flags = (short)(up ? st.flags | IFF_UP : st.flags & ~(unsigned)IFF_UP);
	if (ioctl(t->ctl, SIOCSIFFLAGS, &ifr) < 0)
		return set_error(&st, up ? "up" : "down", errno, e);
	return 0;
}
