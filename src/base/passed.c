/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/passed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Are as many numbers free as a message can have descriptors? They are given out from the lowest: where the
 * last so many begin, none is in use unless those before were all in use at some time. */
static bool room_for_all(int some) {
	struct rlimit r;
	int first, fd;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur < PASSED_MAX)
		return false;
	first = r.rlim_cur > INT32_MAX ? INT32_MAX - PASSED_MAX : (int)r.rlim_cur - PASSED_MAX;
	fd = fcntl(some, F_DUPFD_CLOEXEC, first);
	if (fd >= 0)
		close(fd);
	return fd == first;
}

static void take(struct msghdr *m, int *fds, unsigned *n) {
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		unsigned came = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(fds + *n, CMSG_DATA(c), came * sizeof(int));
		*n += came;
	}
}

ssize_t passed_recv(int from, void *bytes, size_t len, int fds[PASSED_MAX], unsigned *n) {
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int) * PASSED_MAX)];
	} control;
	struct iovec iov = {.iov_base = bytes, .iov_len = len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t got;

	*n = 0;
	// Looked at first, without room: the kernel says whether descriptors come, and keeps them.
	got = recvmsg(from, &m, MSG_PEEK | MSG_DONTWAIT);
	if (got <= 0)
		return got;
	if (m.msg_flags & MSG_CTRUNC && !room_for_all(from)) {
		errno = EMFILE;
		return -1;
	}
	iov.iov_len = (size_t)got;
	m.msg_control = control.room;
	m.msg_controllen = sizeof(control.room);
	m.msg_flags = 0;
	got = recvmsg(from, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0)
		return -1;
	take(&m, fds, n);
	if (m.msg_flags & MSG_CTRUNC) {
		errno = EMFILE;
		return -1;
	}
	return got;
}

bool passed_is_eventfd(int fd) {
	char link[64], name[32];
	ssize_t n;

	if (fd < 0)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, name, sizeof(name) - 1);
	if (n < 0)
		return false;
	name[n] = '\0';
	return strcmp(name, "anon_inode:[eventfd]") == 0;
}

bool passed_is_memory(int fd) {
	return fcntl(fd, F_GET_SEALS) >= 0;
}

bool passed_is_stream(int fd) {
	socklen_t len = sizeof(int);
	int type;

	return fcntl(fd, F_GETPIPE_SZ) >= 0 ||
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
}
