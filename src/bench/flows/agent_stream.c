/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/flows/agent_stream.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sock.h"
#include "bench/agent.h"
#include "bench/paths/guest.h"
#include "bench/zone.h"
#include "host/netlink/link.h"

enum { CONNECT_MS = 3000 };

/* Adds a name to a list of them, as far as there is room; returns its new length. */
static size_t list_add(char *list, size_t size, size_t used, const char *name) {
	int n = snprintf(list + used, size - used, "%s%s", used > 0 ? ", " : "", name);

	if (n > 0 && used + (size_t)n < size)
		return used + (size_t)n;
	list[used] = '\0';
	return used;
}

/* Says which namespaces there are. */
static int no_ns(const struct endpoint *ep, struct err *e) {
	DIR *d = opendir("/run/netns");
	char names[256] = "";
	size_t used = 0;
	struct dirent *f;

	while (d != NULL && (f = readdir(d)) != NULL) {
		if (f->d_name[0] != '.')
			used = list_add(names, sizeof(names), used, f->d_name);
	}
	if (d != NULL)
		closedir(d);
	return err_set(e, ENOENT, "endpoint %s: no such namespace; there are: %s", ep->text,
		used > 0 ? names : "none (make one with `ip netns add`)");
}

static int no_if(const struct endpoint *ep, struct err *e) {
	struct if_nameindex *all = if_nameindex();
	char names[256] = "";
	size_t used = 0;

	for (struct if_nameindex *i = all; i != NULL && i->if_name != NULL; i++)
		used = list_add(names, sizeof(names), used, i->if_name);
	if (all != NULL)
		if_freenameindex(all);
	return err_set(e, ENODEV, "endpoint %s: no such interface; there are: %s", ep->text, names);
}

/* The child's life; does not return. Ctrl-C is for the coordinator, who then ends its agents. */
static void child(int fd, int ns, const char *device, pid_t parent) {
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (ns >= 0 && setns(ns, CLONE_NEWNET) < 0) {
		dprintf(fd, "{\"error\": \"cannot enter the namespace: %s\"}\n", strerror(errno));
		_exit(1);
	}
	fd = dup2(fd, 3);
	close_range(4, ~0U, 0); // other agents' streams among them
	_exit(agent_run(fd, device) < 0);
}

static int open_child(struct agent_stream *s, const struct endpoint *ep, struct err *e) {
	char path[ENDPOINT_NAME_MAX + 16], device[IFNAMSIZ];
	int pair[2], ns = -1;
	pid_t self = getpid();

	snprintf(path, sizeof(path), "/run/netns/%s", ep->name);
	if (ep->kind == ENDPOINT_NS)
		ns = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (ep->kind == ENDPOINT_NS && ns < 0)
		return errno == ENOENT ? no_ns(ep, e)
				       : err_set(e, errno, "endpoint %s: %s: %s", ep->text, path,
						 strerror(errno));
	if (ep->kind == ENDPOINT_IF && link_find(ep->name, device) < 0)
		return no_if(ep, e);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		close(ns);
		return err_set(e, errno, "cannot make a socket: %s", strerror(errno));
	}
	s->child = fork();
	if (s->child == 0)
		child(pair[1], ns, ep->kind == ENDPOINT_IF ? device : NULL, self);
	close(pair[1]);
	if (ns >= 0)
		close(ns);
	if (s->child < 0) {
		s->child = 0;
		close(pair[0]);
		return err_set(e, EAGAIN, "cannot start a process");
	}
	return pair[0];
}

/* connect that is bounded; takes a socket that does not block. */
static int connect_in_time(int fd, const struct addrinfo *to) {
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof(int);
	int rc = 0;

	if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	if (poll(&p, 1, CONNECT_MS) <= 0)
		return -ETIMEDOUT;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &rc, &len);
	return -rc;
}

static int open_host(const struct endpoint *ep, struct err *e) {
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	int fd = -1, rc, one = 1;
	char port[8], name[ENDPOINT_NAME_MAX];

	snprintf(port, sizeof(port), "%u", ep->port);
	rc = getaddrinfo(zone_name(ep->name, name, sizeof(name)), port, &hints, &found);
	if (rc != 0)
		return err_set(e, ENOENT,
			"endpoint '%s': no host of that name (%s); there are: " ENDPOINT_KINDS,
			ep->text, gai_strerror(rc));
	rc = -ENOENT;
	for (struct addrinfo *i = found; i != NULL && fd < 0; i = i->ai_next) {
		fd = socket(i->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		rc = fd < 0 ? -errno : connect_in_time(fd, i);
		if (rc < 0 && fd >= 0) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(found);
	if (fd < 0)
		return err_set(e, -rc,
			"endpoint %s: port %u does not answer: %s; is `weir bench serve` running "
			"there, and with --listen?",
			ep->text, ep->port, strerror(-rc));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* The names behind which VMs are. */
static const char *vms_there(char *names, size_t size) {
	DIR *d = opendir(ENDPOINT_VM_DIR);
	size_t used = 0;
	struct dirent *f;

	snprintf(names, size, "none");
	while (d != NULL && (f = readdir(d)) != NULL) {
		char *dot = strrchr(f->d_name, '.');

		if (dot == NULL || dot == f->d_name || strcmp(dot, ".sock") != 0)
			continue;
		*dot = '\0';
		used = list_add(names, size, used, f->d_name);
	}
	if (d != NULL)
		closedir(d);
	return names;
}

/* A VM of `weir bench paths`, or one whose serial port is a socket of this host. */
static int open_vm(struct agent_stream *s, const struct endpoint *ep, struct err *e) {
	int fd = guest_stream(ep->name);
	char path[ENDPOINT_NAME_MAX + 32], names[256];
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (fd >= 0) {
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		return fd >= 0 ? fd
			       : err_set(e, errno, "endpoint %s: %s", ep->text, strerror(errno));
	}
	snprintf(path, sizeof(path), ep->name[0] == '/' ? "%s" : ENDPOINT_VM_DIR "/%s.sock",
		ep->name);
	fd = sock_connect_now(path, NULL);
	if (fd == -ENOENT)
		return err_set(e, ENOENT,
			"endpoint %s: there is no %s, the socket of its serial port; there are "
			"in " ENDPOINT_VM_DIR ": %s",
			ep->text, path, vms_there(names, sizeof(names)));
	if (fd < 0)
		return err_set(e, -fd, "endpoint %s: %s: %s", ep->text, path, strerror(-fd));
	s->is_vm = true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
		s->listener = peer.pid;
	return fd;
}

int agent_stream_open(struct agent_stream *s, const struct endpoint *ep, struct err *e) {
	*s = (struct agent_stream){0};
	switch (ep->kind) {
	case ENDPOINT_NS:
	case ENDPOINT_IF:
		return open_child(s, ep, e);
	case ENDPOINT_HOST:
		return open_host(ep, e);
	case ENDPOINT_VM:
		return open_vm(s, ep, e);
	default:
		return err_set(e, EINVAL,
			"endpoint %s carries frames alone, no TCP or UDP; measure it with `weir "
			"bench frames`, or give ns:NAME, if:NAME, vm:NAME or HOST[:PORT]",
			ep->text);
	}
}
