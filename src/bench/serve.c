/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "bench/agent.h"
#include "bench/agent_guard.h"
#include "bench/places.h"
#include "bench/zone.h"

enum {
	SOCKS_MAX = 8,
	BACKLOG = 64,
	PROVE_MS = 5000, // some round trips, and a client's CPU that is busy
	SILENCE_MS = 60000 // of a coordinator that still runs a second is long
};

static volatile sig_atomic_t stopped;

static void on_signal(int sig) {
	stopped = 1;
}

/* SIGCHLD only has to interrupt a wait. */
static void on_child(int sig) {
}

static void catch_signals(void) {
	struct sigaction stop = {.sa_handler = on_signal}, child = {.sa_handler = on_child};

	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGCHLD, &child, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int listen_one(const struct addrinfo *a) {
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, rc;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (a->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

static void announce(int fd) {
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0 &&
		getnameinfo((struct sockaddr *)&sa, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		printf("weir: bench serve: listening at %s port %s\n", host, port);
	fflush(stdout);
}

/* As many of the addresses as can be; at least one. */
static int listen_all(const char *address, uint16_t port, struct pollfd *socks, struct err *e) {
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	const char *name = address != NULL ? address : "localhost";
	char service[8], plain[NI_MAXHOST];
	int n = 0, rc;

	snprintf(service, sizeof(service), "%u", port);
	rc = getaddrinfo(zone_name(name, plain, sizeof(plain)), service, &hints, &found);
	if (rc != 0)
		return err_set(e, ENOENT, "--listen %s: %s", name, gai_strerror(rc));
	rc = -ENOENT;
	for (struct addrinfo *a = found; a != NULL && n < SOCKS_MAX; a = a->ai_next) {
		int fd = listen_one(a);

		if (fd >= 0)
			socks[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
		else
			rc = fd;
	}
	freeaddrinfo(found);
	if (n == 0)
		return err_set(e, -rc, "cannot listen at %s port %u: %s%s", name, port,
			strerror(-rc), rc == -EADDRINUSE ? "; choose another with --port" : "");
	for (int i = 0; i < n; i++)
		announce(socks[i].fd);
	return n;
}

/* The child of one client; does not return. */
static void client(int fd, pid_t parent, struct agent_guard *guard) {
	socklen_t len = sizeof(guard->peer);
	int one = 1, idle = 10;

	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	fd = dup2(fd, 3);
	close_range(4, ~0U, 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	// A client whose machine vanished is given up after half a minute.
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &(int){2}, sizeof(int));
	if (getpeername(fd, (struct sockaddr *)&guard->peer, &len) < 0)
		_exit(1);
	guard->tied = !secret_is_loopback(&guard->peer);
	if (!guard->tied)
		guard->secret = NULL; // who is on this host could run an agent himself
	_exit(agent_run_guarded(fd, guard) < 0);
}

static void refuse(int fd) {
	dprintf(fd, "{\"error\": \"%d clients are here already; try again later\"}\n", PLACES_MAX);
}

static void accept_from(int sock, struct places *places, struct agent_guard *guard) {
	struct sockaddr_storage from = {0};
	int fd = accept4(sock, (struct sockaddr *)&from, &(socklen_t){sizeof(from)}, SOCK_CLOEXEC);
	pid_t self = getpid(), pid;
	int place;

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			usleep(100000); // who waits stays in the queue
		return;
	}
	place = places_find(places);
	if (place < 0) {
		refuse(fd);
	} else {
		guard->known = &places->known[place];
		pid = fork();
		if (pid == 0)
			client(fd, self, guard);
		if (pid > 0)
			places_take(places, place, pid, &from);
	}
	close(fd);
}

/* Beyond loopback a secret is wanted, and made where none is given: said before the sockets are, so that who
 * waits for those has it. */
static int choose_secret(struct secret *s, const char *file, const char *address, struct err *e) {
	int ret = secret_read(s, file, e);

	if (ret != -ENOENT || file != NULL)
		return ret;
	ret = secret_make(s, e);
	if (ret == 0 && address != NULL)
		printf("weir: bench serve: clients of other hosts want this in WEIR_BENCH_SECRET, "
		       "or "
		       "in a file for --secret-file: %.*s\n",
			(int)s->len, (const char *)s->text);
	return ret;
}

int serve_run(const char *address, uint16_t port, const char *secret_file,
	const struct reach *reach, struct err *e) {
	struct pollfd socks[SOCKS_MAX] = {0};
	struct secret secret = {0};
	struct agent_guard guard = {
		.secret = &secret, .prove_ms = PROVE_MS, .silence_ms = SILENCE_MS, .reach = *reach};
	struct places places;
	pid_t pid;
	int n;

	catch_signals();
	n = choose_secret(&secret, secret_file, address, e);
	if (n == 0)
		n = listen_all(address, port, socks, e);
	if (n < 0)
		return n;
	if (places_init(&places) < 0)
		return err_set(e, ENOMEM, "no memory for clients");
	while (!stopped) {
		int some = poll(socks, (nfds_t)n, 1000);

		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			places_leave(&places, pid);
		for (int i = 0; i < n && some > 0; i++)
			if (socks[i].revents != 0)
				accept_from(socks[i].fd, &places, &guard);
	}
	for (int i = 0; i < n; i++)
		close(socks[i].fd);
	places_fini(&places);
	return 0; // the children's death signal does the rest
}

/* udev makes links of the names, where there is one. */
static int find_port(char *path, size_t size, struct err *e) {
	char name[64];
	glob_t g = {0};
	bool found = false;

	glob("/sys/class/virtio-ports/*/name", 0, NULL, &g);
	for (size_t i = 0; i < g.gl_pathc && !found; i++) {
		char *dir = g.gl_pathv[i], *last = strrchr(dir, '/');

		found = file_line(name, sizeof(name), "%s", dir) == 0 &&
			strcmp(name, SERVE_PORT) == 0;
		*last = '\0';
		snprintf(path, size, "/dev%s", strrchr(dir, '/'));
	}
	globfree(&g);
	return found ? 0
		     : err_set(e, ENOENT,
			       "there is no virtio-serial port named '" SERVE_PORT
			       "' here; weir-bench(1) has what QEMU wants for it, --port "
			       "names another");
}

/* A terminal without a carrier and a pipe could keep open(2) waiting; reading then may wait again. */
static int open_device(const char *path, struct err *e) {
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return err_set(e, errno, "--port %s: %s", path, strerror(errno));
	if (fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) == 0)
		return fd;
	close(fd);
	return err_set(e, ENODEV,
		"--port %s: it is no character device; name the virtio-serial port, as "
		"/dev/vport0p1",
		path);
}

int serve_device(const char *path, struct err *e) {
	char found[300];

	catch_signals();
	if (path == NULL) {
		if (find_port(found, sizeof(found), e) < 0)
			return -ENOENT;
		path = found;
	}
	while (!stopped) {
		int fd = open_device(path, e);

		if (fd < 0)
			return fd;
		agent_run(fd, NULL);
		close(fd);
		if (!stopped)
			usleep(100000); // nobody is at the other end of the port
	}
	return 0;
}
