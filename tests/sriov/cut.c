/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Loaded before libc (LD_PRELOAD) into the weir under test, to make happen what a host does once in a year:
 *
 *   CUT_WRITE=N   killed when it would write the Nth line of its journal: what the line tells was done
 *   CUT_SYNC=N    killed when it has written it: what the line tells was not begun
 *   FAIL=NAME     a write to a file of that name fails with EIO
 *   HANG=NAME     a write to a file of that name takes HANG_S seconds
 *
 * strace's injections can do the same, but stop at every system call, which in an emulated guest takes
 * minutes. */

ssize_t write(int fd, const void *buf, size_t n);
int fdatasync(int fd);

static char *path_of(int fd, char path[PATH_MAX]) {
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	path[n > 0 ? n : 0] = '\0';
	return path;
}

static int is(const char *variable, const char *path) {
	const char *name = getenv(variable), *last = strrchr(path, '/');

	return name != NULL && last != NULL && strcmp(last + 1, name) == 0;
}

static void count(const char *variable, const char *path, int *n) {
	const char *at = getenv(variable);

	if (at != NULL && strstr(path, "/journal/") != NULL && ++*n == atoi(at))
		kill(getpid(), SIGKILL);
}

ssize_t write(int fd, const void *buf, size_t n) {
	ssize_t (*real)(int, const void *, size_t) =
		(ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
	static int lines;
	char path[PATH_MAX];

	count("CUT_WRITE", path_of(fd, path), &lines);
	if (is("HANG", path) && getenv("HANG_S") != NULL)
		sleep((unsigned)atoi(getenv("HANG_S")));
	if (is("FAIL", path)) {
		errno = EIO;
		return -1;
	}
	return real(fd, buf, n);
}

int fdatasync(int fd) {
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
	static int lines;
	char path[PATH_MAX];

	count("CUT_SYNC", path_of(fd, path), &lines);
	return real(fd);
}
