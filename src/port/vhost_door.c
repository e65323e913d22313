/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <rte_vhost.h>
#include <systemd/sd-event.h>

#include "base/err.h"
#include "base/log.h"
#include "base/sock.h"
#include "port/vhost.h"
#include "port/vhost_message.h"

/* The door between a front end and librte_vhost.
 *
 * The library reads messages with blocking calls on one thread for all ports: half a message from
 * one guest would stop the protocol for all of them. It takes any number of clients on one socket,
 * tries to reconnect once a second, and believes some numbers. So users' sockets belong to weir: each
 * connection has a twin, which the library makes to weir, a whole, admitted message crosses at a time, with its
 * descriptors, and answers come back the same way. It costs two copies of a few hundred bytes when a
 * guest starts, and nothing while frames flow.
 *
 * Everything here runs on the control thread, from its event loop. */

enum {
	RETRY_US = 50 * 1000, /* client mode: time between attempts to connect */
	// Client mode: breath after a fault, so that a liar costs little, but one that died in the middle
	// of a message is served within a second.
	AFTER_SHUT_US = 500 * 1000,
	HALF_MESSAGE_US = 2000 * 1000,
	GONE_US = 2 * 1000, /* the library is letting go of the last connection */
};

static char twin_dir[64];
static int twin_lock = -1; // of twin_dir, held as long as it is there
static unsigned twins;

static void door_timer(struct vhost_dev *d, uint64_t us);

static void fd_drop(int *fd) {
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Removes the directory of a switch that was killed: ours, and locked by nobody. Process ids would
 * not tell: the one that owns it may live in another pid namespace that shares /tmp. */
static void twin_dir_sweep(const char *path) {
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char pattern[128];
	struct stat st;
	glob_t in;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0) {
		snprintf(pattern, sizeof(pattern), "%s/*", path);
		if (glob(pattern, GLOB_NOSORT, NULL, &in) == 0) {
			for (size_t i = 0; i < in.gl_pathc; i++)
				unlink(in.gl_pathv[i]);
			globfree(&in);
		}
		rmdir(path);
	}
	close(fd);
}

/* A private directory for the library's sockets; those of switches that were killed are removed. */
static int twin_dir_make(struct err *e) {
	struct stat st;
	glob_t g;

	if (twins++ > 0)
		return 0;
	if (glob("/tmp/weir.??????", GLOB_NOSORT, NULL, &g) == 0) {
		for (size_t i = 0; i < g.gl_pathc; i++)
			twin_dir_sweep(g.gl_pathv[i]);
		globfree(&g);
	}
	for (;;) {
		strcpy(twin_dir, "/tmp/weir.XXXXXX");
		if (mkdtemp(twin_dir) == NULL) {
			twins--;
			return err_set(e, errno, "cannot make a directory in /tmp: %m");
		}
		twin_lock = open(twin_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		// Another switch may have swept it before it was locked.
		if (twin_lock >= 0 && flock(twin_lock, LOCK_EX | LOCK_NB) == 0 &&
			fstat(twin_lock, &st) == 0 && st.st_nlink > 0)
			return 0;
		if (twin_lock < 0 && errno != ENOENT) {
			rmdir(twin_dir);
			twins--;
			return err_set(e, errno, "cannot open a directory in /tmp: %m");
		}
		fd_drop(&twin_lock);
	}
}

static void twin_dir_drop(void) {
	if (--twins > 0)
		return;
	rmdir(twin_dir);
	fd_drop(&twin_lock);
}

static void fds_drop(struct door *door) {
	for (unsigned i = 0; i < door->nfds; i++)
		close(door->fds[i]);
	door->nfds = 0;
	door->have = 0;
}

static void source_drop(sd_event_source **s) {
	*s = sd_event_source_disable_unref(*s);
}

void door_detach(struct vhost_dev *d, const char *reason) {
	struct door *door = &d->door;

	source_drop(&door->on_front);
	source_drop(&door->on_back);
	fds_drop(door);
	fd_drop(&door->back);
	fd_drop(&door->front);
	d->peer[0] = '\0';
	if (reason != NULL) {
		d->shut = true;
		d->shuts++;
		snprintf(d->reason, sizeof(d->reason), "%s", reason);
		log_warn("port %s: shut: %s", d->port->name, reason);
	}
	if (door->client && !door->link_down)
		door_timer(d, reason != NULL ? AFTER_SHUT_US : RETRY_US);
	else
		source_drop(&door->on_timer);
	uint64_t one = 1;
	(void)!write(d->wake, &one, sizeof(one));
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
static ssize_t fetch(int from, void *bytes, size_t len, int *fds, unsigned *nfds) {
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int) * VHOST_MSG_FDS)];
	} control;
	struct iovec iov = {.iov_base = bytes, .iov_len = len};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room)};
	ssize_t n = recvmsg(from, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	unsigned came = 0;

	if (n < 0)
		return -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c)) {
		unsigned k = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		const int *in = (const int *)CMSG_DATA(c);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		came += k;
		for (unsigned i = 0; i < k; i++) {
			if (*nfds < VHOST_MSG_FDS)
				fds[(*nfds)++] = in[i];
			else
				close(in[i]);
		}
	}
	if (m.msg_flags & MSG_CTRUNC) {
		errno = came < VHOST_MSG_FDS ? EMFILE : EMSGSIZE;
		return -1;
	}
	return n;
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

		if (fd >= 0 && ftruncate(fd, (off_t)reply[0]) < 0)
			fd_drop(&fd);
		answer(d, m, reply, 20, fd);
		fd_drop(&fd);
	} else if (door->acks && message_u32(m->bytes + 4) & MESSAGE_NEED_REPLY) {
		answer(d, m, (uint64_t[]){0}, 8, -1);
	}
	fds_drop(door);
}

/* A whole message is in door->msg: answers it, passes it on, or ends the connection (false). */
static bool message_cross(struct vhost_dev *d) {
	struct door *door = &d->door;
	const struct message m = {
		.bytes = door->msg, .len = door->have, .fds = door->fds, .nfds = door->nfds};
	const struct message_limits limits = {.queues = d->port->queues, .mtu = d->port->mtu};
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
		fds_drop(door);
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
	fds_drop(door);
	return true;
}

static uint64_t now_us(void) {
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void front_ended(struct vhost_dev *d, const char *how) {
	char why[192];

	if (d->door.have == 0) {
		door_detach(d, NULL);
		return;
	}
	snprintf(why, sizeof(why), "the connection %s after %u bytes of a vhost-user message", how,
		d->door.have);
	door_detach(d, why);
}

static int on_front(sd_event_source *s, int fd, uint32_t revents, void *arg) {
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
		n = fetch(fd, door->msg + door->have, want - door->have, door->fds, &door->nfds);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0 && errno == EMSGSIZE) {
			door_detach(d, "a vhost-user message with more descriptors than the 8 that "
				       "are allowed");
			return 0;
		}
		if (n < 0 && errno == EMFILE) {
			door_detach(d, "weir may open no more files, and a vhost-user message "
				       "brought some; raise its limit (LimitNOFILE=)");
			return 0;
		}
		if (n <= 0) {
			front_ended(d, "ended");
			return 0;
		}
		if (door->have == 0)
			door->half_since = now_us();
		door->have += (unsigned)n;
		if (door->have == MESSAGE_HEADER && message_u32(door->msg + 8) == 0) {
			messages++;
			if (!message_cross(d))
				return 0;
		}
	}
	if (door->have > 0)
		door_timer(d, HALF_MESSAGE_US);
	return 0;
}

/* Answers of the library; its end of the twin closes when it refused a message. */
static int on_back(sd_event_source *s, int fd, uint32_t revents, void *arg) {
	struct vhost_dev *d = arg;
	uint8_t bytes[VHOST_MSG_MAX];
	int fds[VHOST_MSG_FDS];
	unsigned nfds = 0;
	ssize_t n = fetch(fd, bytes, MESSAGE_HEADER, fds, &nfds), size = 0;
	char why[128];

	if (n < 0 && errno == EAGAIN)
		return 0;
	// It writes an answer at once: behind the header the rest is there.
	if (n == MESSAGE_HEADER)
		size = message_u32(bytes + 8);
	if (size > VHOST_MSG_MAX - MESSAGE_HEADER ||
		(size > 0 && fetch(fd, bytes + n, (size_t)size, fds, &nfds) != size))
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

/* A front end is there: makes its twin, as soon as the library has let go of the one before. */
static void attach(struct vhost_dev *d) {
	const struct port_env *env = port_env_get();
	struct door *door = &d->door;
	uint64_t offered = 0;
	struct err e;

	if (!device_wait_gone(d, 0)) {
		door_timer(d, GONE_US);
		return;
	}
	source_drop(&door->on_timer);
	atomic_store(&d->shrunk, false);
	atomic_store(&d->fault_claimed, 0);
	atomic_store(&d->faulted, false);
	d->shut = false;
	d->reason[0] = '\0';
	door->acks = false;
	door->last = 0;
	door->back = device_connect(d, &offered, &e);
	if (door->back < 0) {
		door_detach(d, e.text);
		return;
	}
	session_begin(&door->session, offered);
	d->attaches++;
	if (sd_event_add_io(env->loop, &door->on_front, door->front, EPOLLIN, on_front, d) < 0 ||
		sd_event_add_io(env->loop, &door->on_back, door->back, EPOLLIN, on_back, d) < 0)
		door_detach(d, "the event loop takes no more descriptors");
}

/* Is the front end gone, although its last messages may wait to be read? */
static bool front_gone(const struct door *door) {
	struct pollfd p = {.fd = door->front, .events = POLLRDHUP};

	return door->front >= 0 && poll(&p, 1, 0) > 0 && p.revents & (POLLRDHUP | POLLHUP);
}

static void on_arrival(int conn, void *arg) {
	struct vhost_dev *d = arg;
	char who[96];

	if (front_gone(&d->door)) // one that comes back may be seen before its end is
		front_ended(d, "ended");
	if (d->door.front >= 0) {
		log_warn("port %s: refused a second front end, %s; the port belongs to %s",
			d->port->name, sock_peer(conn, who, sizeof(who)), d->peer);
		close(conn);
		return;
	}
	d->door.front = conn;
	sock_peer(conn, d->peer, sizeof(d->peer));
	attach(d);
}

/* Client mode. The front end may come at any time: nothing is said about attempts that fail. */
static void try_connect(struct vhost_dev *d) {
	struct err e;
	int fd = sock_connect_now(d->door.path, &e);

	if (fd < 0) {
		door_timer(d, RETRY_US);
		return;
	}
	d->door.front = fd;
	sock_peer(fd, d->peer, sizeof(d->peer));
	attach(d);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *arg) {
	struct vhost_dev *d = arg;
	struct door *door = &d->door;

	source_drop(&door->on_timer);
	if (door->front < 0) {
		if (door->client && !door->link_down)
			try_connect(d);
	} else if (door->back < 0) {
		attach(d);
	} else if (door->have > 0) {
		uint64_t age = now_us() - door->half_since;

		if (age >= HALF_MESSAGE_US)
			front_ended(d, "fell silent");
		else
			door_timer(d, HALF_MESSAGE_US - age);
	}
	return 0;
}

static void door_timer(struct vhost_dev *d, uint64_t us) {
	source_drop(&d->door.on_timer);
	if (sd_event_add_time_relative(port_env_get()->loop, &d->door.on_timer, CLOCK_MONOTONIC, us,
		    1000, on_timer, d) < 0)
		log_error("port %s: no timer to be had; it will not reconnect by itself",
			d->port->name);
}

/* Who may connect besides root and ourselves. */
static int let_group_in(struct door *door, struct err *e) {
	struct group *g;

	if (door->group[0] == '\0')
		return 0;
	g = getgrnam(door->group);
	if (g == NULL)
		return err_set(e, EINVAL, "group: there is no group '%s'", door->group);
	if (chown(door->path, (uid_t)-1, g->gr_gid) < 0)
		return err_set(e, errno, "group: cannot give %s to group '%s': %m", door->path,
			door->group);
	return 0;
}

static int listen_here(struct vhost_dev *d, struct err *e) {
	struct door *door = &d->door;
	char what[PORT_NAME_MAX + 8];
	int rc;

	door->listener = sock_listen(door->path, door->group[0] != '\0' ? 0660 : 0600, e);
	if (door->listener < 0)
		return door->listener;
	rc = let_group_in(door, e);
	if (rc == 0) {
		snprintf(what, sizeof(what), "port %s", d->port->name);
		rc = acceptor_open(&door->acceptor, port_env_get()->loop, door->listener, what,
			on_arrival, d, e);
	}
	if (rc < 0) {
		fd_drop(&door->listener);
		unlink(door->path);
	}
	return rc;
}

int door_set_link(struct vhost_dev *d, bool down, struct err *e) {
	struct door *door = &d->door;

	if (door->link_down == down)
		return 0;
	door->link_down = down;
	if (down) {
		// A front end whose socket closes takes the link down in the guest; one that finds nobody
		// listening leaves it so.
		if (!door->client) {
			acceptor_close(&door->acceptor);
			fd_drop(&door->listener);
			unlink(door->path);
		}
		door_detach(d, NULL);
		return 0;
	}
	if (door->client) {
		door_timer(d, 0);
		return 0;
	}
	door->link_down = listen_here(d, e) < 0;
	return door->link_down ? -EADDRINUSE : 0;
}

int door_open(struct vhost_dev *d, const struct port_spec *s, struct err *e) {
	struct door *door = &d->door;
	int rc;

	if (strlen(s->path) >= sizeof(door->path))
		return err_set(e, ENAMETOOLONG,
			"socket path of %zu bytes; at most %zu are possible", strlen(s->path),
			sizeof(door->path) - 1);
	strcpy(door->path, s->path);
	snprintf(door->group, sizeof(door->group), "%s", s->group != NULL ? s->group : "");
	door->client = s->client;
	door->link_down = true;
	rc = twin_dir_make(e);
	if (rc < 0)
		return rc;
	rc = device_open(d, twin_dir, e);
	if (rc == 0 && !s->link_down) {
		rc = door_set_link(d, false, e);
		if (rc < 0)
			device_close(d);
	}
	if (rc < 0)
		twin_dir_drop();
	return rc;
}

void door_close(struct vhost_dev *d) {
	struct door *door = &d->door;

	door->link_down = true;
	if (!door->client && door->listener >= 0) {
		acceptor_close(&door->acceptor);
		fd_drop(&door->listener);
		unlink(door->path);
	}
	door_detach(d, NULL);
	source_drop(&door->on_timer);
	if (!device_wait_gone(d, 2000))
		log_error("port %s: librte_vhost keeps the connection", d->port->name);
	device_close(d);
	twin_dir_drop();
}
