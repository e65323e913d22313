/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "host/change/journal.h"

/* One weir at a time: flock on STATE/lock, in which its holder wrote who it is. A child that still hangs in
 * a write to a driver holds it on, as it should. */

enum { LOOK_US = 20000 };

static unsigned long now_ms(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long)t.tv_sec * 1000 + (unsigned long)t.tv_nsec / 1000000;
}

/* STATE and STATE/journal. */
static int make_folders(const char *state, struct err *e) {
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/journal", state);
	for (char *p = strchr(path + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		mkdir(path, 0755); // what is missing in the end is told by the last one
		*p = '/';
	}
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_set(e, errno, "cannot make %s: %s%s", path, strerror(errno),
			errno == EACCES ? "; weir changes a host as root only, or with --state DIR"
					: "; --state DIR names another place");
	return 0;
}

static int busy(const char *path, unsigned wait_ms, struct err *e) {
	char who[COMMAND_MAX + 16];

	if (file_line(who, sizeof(who), "%s", path) < 0 || who[0] == '\0')
		snprintf(who, sizeof(who), "another weir");
	return err_set(e, EBUSY,
		"%s is changing this host%s; try again when it is done, or wait longer with --wait",
		who, wait_ms > 0 ? " all the while" : "");
}

int lock_take(const char *state, const char *command, unsigned wait_ms, struct err *e) {
	unsigned long end = now_ms() + wait_ms;
	char path[PATH_MAX];
	int fd;

	if (make_folders(state, e) < 0)
		return -EACCES;
	snprintf(path, sizeof(path), "%s/lock", state);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_set(e, errno, "cannot open %s: %s; --state DIR names another place",
			path, strerror(errno));
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR) {
			close(fd);
			return err_set(e, errno, "cannot lock %s: %s", path, strerror(errno));
		}
		if (now_ms() >= end) {
			close(fd);
			return busy(path, wait_ms, e);
		}
		usleep(LOOK_US);
	}
	// Who could not write its name holds the lock all the same.
	if (ftruncate(fd, 0) == 0)
		dprintf(fd, "weir %d (%.*s)\n", (int)getpid(), COMMAND_MAX, command);
	return fd;
}

void lock_drop(int fd) {
	flock(fd, LOCK_UN);
	close(fd);
}
