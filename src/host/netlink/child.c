/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/netlink/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_ms(void) {
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* What the child tells through its pipe. */
static int wait_for(int fd, unsigned limit_ms) {
	struct pollfd answer = {.fd = fd, .events = POLLIN};
	long long end = now_ms() + limit_ms;
	int left = (int)limit_ms, n, rc;

	while ((n = poll(&answer, 1, left)) < 0 && errno == EINTR)
		left = end > now_ms() ? (int)(end - now_ms()) : 0;
	if (n == 0)
		return -ETIMEDOUT;
	return read(fd, &rc, sizeof(rc)) == (ssize_t)sizeof(rc) ? rc : -EIO;
}

int child_do(int (*act)(const void *ctx), const void *ctx, unsigned limit_ms) {
	int pipe_fd[2], rc;
	pid_t child;

	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child == 0) {
		rc = act(ctx);
		_exit(write(pipe_fd[1], &rc, sizeof(rc)) == (ssize_t)sizeof(rc) ? 0 : 1);
	}
	rc = child < 0 ? -errno : 0;
	close(pipe_fd[1]);
	if (child > 0)
		rc = wait_for(pipe_fd[0], limit_ms);
	close(pipe_fd[0]);
	if (child > 0)
		waitpid(child, NULL, rc == -ETIMEDOUT ? WNOHANG : 0);
	return rc;
}
