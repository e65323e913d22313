/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

int netns_enter_fd(int fd, int *back) {
	*back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (*back < 0)
		return -errno;
	if (setns(fd, CLONE_NEWNET) < 0) {
		int rc = -errno;

		close(*back);
		*back = -1;
		return rc;
	}
	return 0;
}

void netns_leave(int back) {
	if (back < 0)
		return;
	if (setns(back, CLONE_NEWNET) < 0) {
		// From here on every socket would be made in a tenant's namespace.
		log_error("cannot return from a network namespace: %s", strerror(errno));
		abort();
	}
	close(back);
}

const char *netns_file(const char *netns, char *buf, size_t size) {
	snprintf(buf, size, "%s%s", strchr(netns, '/') != NULL ? "" : "/run/netns/", netns);
	return buf;
}

int netns_open(const char *netns, struct err *e) {
	char path[512];
	// Others may have put a FIFO there, at which open(2) waits for a writer.
	int fd = open(netns_file(netns, path, sizeof(path)), O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return err_set(e, ENOENT,
			"no network namespace '%s' (there is no %s); make it with `ip netns add`",
			netns, path);
	if (fd < 0)
		return err_set(
			e, errno, "network namespace '%s': %s: %s", netns, path, strerror(errno));
	if (ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET)
		return fd;
	close(fd);
	return err_set(e, EINVAL, "'%s' is not a network namespace", path);
}

int netns_enter(const char *netns, int *back, struct err *e) {
	int fd, rc;

	*back = -1;
	if (netns == NULL)
		return 0;
	fd = netns_open(netns, e);
	if (fd < 0)
		return fd;
	rc = netns_enter_fd(fd, back);
	close(fd);
	if (rc == -EPERM)
		return err_set(e, EPERM,
			"no permission to enter network namespace '%s'; weir needs CAP_SYS_ADMIN",
			netns);
	if (rc < 0)
		return err_set(
			e, -rc, "cannot enter network namespace '%s': %s", netns, strerror(-rc));
	return 0;
}
