/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/lockfile.h"
#include "host/change/journal.h"

/* One weir at a time: flock on STATE/lock, in which its holder wrote who it is. A child that still hangs in
 * a write to a driver holds it on, as it should. Nobody else can: the file is open to its owner alone, and
 * the folder is one that nobody else can write to, for what stands in its journal is done to the host. */

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

/* The folder, opened; it has to be ours alone to write to. */
static int open_folder(const char *path, struct err *e) {
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		err_set(e, errno, "cannot open %s: %s; --state DIR names another place", path,
			strerror(errno));
	else if (st.st_uid != geteuid())
		err_set(e, EPERM,
			"the folder %s belongs to user id %u, and what is in weir's journal is "
			"done "
			"to the host; --state DIR names another place",
			path, (unsigned)st.st_uid);
	else if ((st.st_mode & 022) != 0)
		err_set(e, EPERM,
			"others may write to %s (mode %03o), and what is in weir's journal is done "
			"to the host; 'chmod go-w %s', or --state DIR names another place",
			path, (unsigned)st.st_mode & 0777, path);
	else
		return fd;
	if (fd >= 0)
		close(fd);
	return -EPERM;
}

int lock_open(const char *state, const char *name, struct err *e) {
	char path[PATH_MAX];
	int dir, fd;

	if (make_folders(state, e) < 0)
		return -EACCES;
	snprintf(path, sizeof(path), "%s/journal", state);
	fd = open_folder(path, e);
	if (fd < 0)
		return fd;
	close(fd);
	dir = open_folder(state, e);
	if (dir < 0)
		return dir;
	fd = lockfile_open(dir, name);
	close(dir);
	if (fd == -EPERM)
		return err_set(e, EPERM,
			"%s/%s is no file of ours alone; remove it, or --state DIR names another "
			"place",
			state, name);
	return fd >= 0 ? fd
		       : err_set(e, -fd, "cannot open %s/%s: %s; --state DIR names another place",
				 state, name, strerror(-fd));
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
	char path[PATH_MAX];
	int fd = lock_open(state, "lock", e), rc;

	if (fd < 0)
		return fd;
	snprintf(path, sizeof(path), "%s/lock", state);
	rc = lockfile_lock(fd, wait_ms);
	if (rc < 0) {
		close(fd);
		return rc == -EWOULDBLOCK
			       ? busy(path, wait_ms, e)
			       : err_set(e, -rc, "cannot lock %s: %s", path, strerror(-rc));
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
