/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "port/vhost.h"

/* The folder for the sockets at which librte_vhost connects to weir: one a process, in /tmp, for as long
 * as there are vhost-user ports. Its owner holds a lock on it (it is open to nobody else), which ends with
 * him however he ends, so a folder that nobody has locked was left behind and is removed by whoever comes
 * next: if it is called as only these are, is ours alone, and nothing is in it but sockets of ours with the
 * number of a port. */

#define TWIN_DIRS "/tmp/weir.vhost-"

static char twin_dir[64];
static int twin_lock = -1; // of twin_dir, held as long as it is there
static unsigned twins;

static bool is_twin(int dir, const char *name) {
	struct stat st;

	return name[0] != '\0' && name[strspn(name, "0123456789")] == '\0' &&
	       fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode) &&
	       st.st_uid == geteuid();
}

/* Removes the sockets in it, if nothing else is there. */
static bool empty_twins(int dir) {
	DIR *d = fdopendir(dup(dir));
	struct dirent *f;
	bool only = d != NULL;

	while (only && (f = readdir(d)) != NULL)
		only = strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0 ||
		       is_twin(dir, f->d_name);
	if (d != NULL)
		rewinddir(d);
	while (only && (f = readdir(d)) != NULL)
		if (is_twin(dir, f->d_name))
			unlinkat(dir, f->d_name, 0);
	if (d != NULL)
		closedir(d);
	return only;
}

/* Opens and locks a folder of ours; -1: it is another's, or in use. */
static int lock_folder(const char *path) {
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 077) == 0 &&
		flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	close(fd);
	errno = EWOULDBLOCK;
	return -1;
}

/* Removes the directory of a switch that was killed: ours, and locked by nobody. Process ids would
 * not tell: the one that owns it may live in another pid namespace that shares /tmp. */
static void twin_dir_sweep(const char *path) {
	int fd = lock_folder(path);

	if (fd < 0)
		return;
	if (empty_twins(fd))
		rmdir(path);
	close(fd);
}

static void unlock(void) {
	if (twin_lock >= 0)
		close(twin_lock);
	twin_lock = -1;
}

/* A private directory for the library's sockets; those of switches that were killed are removed. */
const char *twin_dir_take(struct err *e) {
	struct stat st;
	glob_t g;

	if (twins++ > 0)
		return twin_dir;
	if (glob(TWIN_DIRS "??????", GLOB_NOSORT, NULL, &g) == 0) {
		for (size_t i = 0; i < g.gl_pathc; i++)
			twin_dir_sweep(g.gl_pathv[i]);
		globfree(&g);
	}
	for (;;) {
		strcpy(twin_dir, TWIN_DIRS "XXXXXX");
		if (mkdtemp(twin_dir) == NULL) {
			twins--;
			err_set(e, errno, "cannot make a directory in /tmp: %m");
			return NULL;
		}
		twin_lock = lock_folder(twin_dir);
		// Another switch may have swept it before it was locked.
		if (twin_lock >= 0 && fstat(twin_lock, &st) == 0 && st.st_nlink > 0)
			return twin_dir;
		if (twin_lock < 0 && errno != ENOENT && errno != EWOULDBLOCK) {
			rmdir(twin_dir);
			twins--;
			err_set(e, errno, "cannot open a directory in /tmp: %m");
			return NULL;
		}
		unlock();
	}
}

int twin_dir_again(struct err *e) {
	int fd = -1;

	if (mkdir(twin_dir, 0700) == 0)
		fd = open(twin_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "cannot make directory %s again: %m", twin_dir);
	unlock();
	twin_lock = fd;
	(void)!flock(fd, LOCK_EX | LOCK_NB); // if it is being swept it is made once more
	return 0;
}

void twin_dir_give(void) {
	if (--twins > 0)
		return;
	rmdir(twin_dir);
	unlock();
}
