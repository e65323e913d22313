/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_US = 10000, OPEN_TRIES = 16 };

static unsigned long now_ms(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long)t.tv_sec * 1000 + (unsigned long)t.tv_nsec / 1000000;
}

bool lockfile_same(const struct stat *a, const struct stat *b) {
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

int lockfile_unlink_same(int dir, const char *name, const struct stat *st) {
	struct stat there;

	if (fstatat(dir, name, &there, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!lockfile_same(&there, st))
		return -ESTALE;
	return unlinkat(dir, name, 0) < 0 ? -errno : 0;
}

/* Nobody else may have a hand in it. */
static bool ours_alone(const struct stat *st) {
	return S_ISREG(st->st_mode) && st->st_uid == geteuid() && st->st_nlink <= 1;
}

/* A file with a mode of before: who has it open keeps it open, and perhaps locked for good. */
static int shut_others_out(int dir, const char *name, int fd, const struct stat *st) {
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		lockfile_unlink_same(dir, name, st);
		return -EAGAIN;
	}
	flock(fd, LOCK_UN);
	return fchmod(fd, 0600) == 0 ? fd : -errno;
}

static int open_once(int dir, const char *name) {
	// A FIFO, a device or a link that somebody put there is neither waited for nor followed.
	int fd = openat(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0)
		return errno == ELOOP || errno == ENXIO || errno == EISDIR ? -EPERM : -errno;
	if (fstat(fd, &st) < 0 || !ours_alone(&st)) {
		close(fd);
		return -EPERM;
	}
	return (st.st_mode & 077) == 0 ? fd : shut_others_out(dir, name, fd, &st);
}

int lockfile_open(int dir, const char *name) {
	int fd = -EAGAIN;

	for (int i = 0; i < OPEN_TRIES && fd == -EAGAIN; i++)
		fd = open_once(dir, name);
	return fd;
}

int lockfile_lock(int fd, unsigned ms) {
	unsigned long end = now_ms() + ms;
	struct stat st;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (now_ms() >= end)
			return -EWOULDBLOCK;
		usleep(LOOK_US);
	}
	return fstat(fd, &st) == 0 && st.st_nlink > 0 ? 0 : -ESTALE;
}
