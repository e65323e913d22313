/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * A socket file outlives the process that made it, and nothing in the file says whether anyone is
 * still behind it. The one way to find out is to connect: refused means stale, accepted (or a full
 * backlog) means live, and the kernel then tells who called listen(). Between that question and the
 * bind another process may come; sock_listen therefore holds a lock for both.
 *
 * The directory may be one that others can write to, who put links and files of theirs in the place of
 * ours at any moment. So it is opened once, what is in it is opened there (O_PATH), judged by type, owner
 * and number of names, and changed through that descriptor; only what we made is removed. */
#include "base/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/closer.h"
#include "base/err.h"
#include "base/lockfile.h"

enum {
	BACKLOG = 64,
	LOCK_MS = 500, // another switch of ours needs some 100 us
	LOCK_TRIES = 8 // it is removed by each who had it
};
#define LOCK_NAME ".weir-lock"

/* Fills the address; the path is not cut silently. */
static int address(struct sockaddr_un *sa, const char *path, struct err *e) {
	size_t n = strlen(path);

	if (n == 0)
		return err_set(
			e, EINVAL, "socket path is empty; give a path like /run/weir/weir.sock");
	if (n >= sizeof(sa->sun_path))
		return err_set(e, ENAMETOOLONG,
			"socket path '%.40s...' is %zu bytes long, at most %zu are possible; "
			"choose a shorter one",
			path, n, sizeof(sa->sun_path) - 1);
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	memcpy(sa->sun_path, path, n);
	return 0;
}

char *sock_peer(int fd, char *buf, size_t size) {
	struct ucred cred;
	socklen_t len = sizeof(cred);
	char file[32], comm[32] = "";
	int proc;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || cred.pid <= 0) {
		snprintf(buf, size, "another process");
		return buf;
	}
	snprintf(file, sizeof(file), "/proc/%d/comm", (int)cred.pid);
	proc = open(file, O_RDONLY | O_CLOEXEC);
	if (proc >= 0) {
		ssize_t n = read(proc, comm, sizeof(comm) - 1);

		comm[n > 0 ? n : 0] = '\0';
		comm[strcspn(comm, "\n")] = '\0';
		close(proc);
	}
	if (comm[0] != '\0')
		snprintf(buf, size, "pid %d (%s)", (int)cred.pid, comm);
	else
		snprintf(buf, size, "pid %d", (int)cred.pid);
	return buf;
}

/* A sentence for a system call on the path that failed. */
static int failed(const char *path, int code, struct err *e) {
	switch (code) {
	case EACCES:
	case EPERM:
		return err_set(e, code,
			"no permission for socket %s (user id %u); run as root or choose a path "
			"you may write to",
			path, (unsigned)geteuid());
	case ENOENT:
		return err_set(e, code,
			"no directory for socket %s; make it or choose another path", path);
	default:
		return err_set(e, code, "socket %s: %s", path, strerror(code));
	}
}

/* The directory a path is in, opened: what is done there from then on is done in this one, whatever
 * becomes of its name. A link to a directory, as /var/run is one, is followed. *name: the last part. */
static int open_dir(const char *path, const char **name) {
	const char *slash = strrchr(path, '/');
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)] = ".";
	int fd;

	*name = slash != NULL ? slash + 1 : path;
	if (slash != NULL)
		snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : -errno;
}

/* The address of a file that is open with O_PATH: no rename puts another in its place. */
static void address_of(struct sockaddr_un *sa, int file) {
	*sa = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(sa->sun_path, sizeof(sa->sun_path), "/proc/self/fd/%d", file);
}

/* Nobody listens at the socket file `st`: it goes, if it is one of ours. */
static int remove_stale(
	int dir, const char *name, const struct stat *st, const char *path, struct err *e) {
	int rc;

	if (st->st_uid != geteuid())
		return err_set(e, EEXIST,
			"socket %s was left behind by a process of user id %u, and weir removes "
			"what user id %u made only; remove it or choose another path",
			path, (unsigned)st->st_uid, (unsigned)geteuid());
	rc = lockfile_unlink_same(dir, name, st);
	if (rc == -ESTALE)
		return err_set(e, EADDRINUSE,
			"socket %s was replaced at this moment by another process; stop it or "
			"choose another path",
			path);
	return rc < 0 && rc != -ENOENT ? failed(path, -rc, e) : 0;
}

/* What is at the path, and does anybody listen there? */
static int judge_file(int dir, const char *name, int file, const char *path, struct err *e) {
	struct sockaddr_un sa;
	struct stat st;
	char who[64];
	int fd, ret;

	if (fstat(file, &st) < 0)
		return failed(path, errno, e);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, EEXIST,
			"%s exists and is no socket; remove it or choose another path", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return failed(path, errno, e);
	address_of(&sa, file);
	ret = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ? errno : 0;
	switch (ret) {
	case 0:
		ret = err_set(e, EADDRINUSE,
			"socket %s is in use by %s; stop it or choose another path", path,
			sock_peer(fd, who, sizeof(who)));
		closer_hang_up(NULL, fd); // he may have sent something at once
		fd = -1;
		break;
	case ECONNREFUSED:
		ret = remove_stale(dir, name, &st, path, e);
		break;
	case EAGAIN:
	case EPROTOTYPE:
		ret = err_set(e, EADDRINUSE,
			"socket %s is in use by another process; stop it or choose another path",
			path);
		break;
	default:
		ret = failed(path, ret, e);
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

static int claim_in(int dir, const char *name, const char *path, struct err *e) {
	int file = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), ret;

	if (file < 0)
		return errno == ENOENT ? 0 : failed(path, errno, e);
	ret = judge_file(dir, name, file, path, e);
	close(file);
	return ret;
}

int sock_claim(const char *path, struct err *e) {
	struct sockaddr_un sa;
	const char *name;
	int dir, ret = address(&sa, path, e);

	if (ret < 0)
		return ret;
	dir = open_dir(path, &name);
	if (dir < 0)
		return dir == -ENOENT ? 0 : failed(path, -dir, e);
	ret = claim_in(dir, name, path, e);
	close(dir);
	return ret;
}

int sock_make_dir(const char *path, struct err *e) {
	char *copy = strdup(path);
	const char *dir;
	int ret = 0;

	if (copy == NULL)
		return err_set(e, ENOMEM, "out of memory");
	dir = dirname(copy);
	if (mkdir(dir, 0755) < 0 && errno != EEXIST) {
		ret = errno;
		if (ret == EACCES || ret == EPERM || ret == EROFS)
			err_set(e, ret,
				"no permission to make directory %s for socket %s (user id %u); "
				"run as root or choose another path",
				dir, path, (unsigned)geteuid());
		else
			err_set(e, ret,
				"cannot make directory %s for socket %s: %s; choose another path",
				dir, path, strerror(ret));
		ret = -ret;
	}
	free(copy);
	return ret;
}

/* The socket of ours that has this name, as a descriptor (O_PATH) that no rename can change; -errno. A
 * second name would be a link that somebody made to another socket of ours. */
static int open_ours(int dir, const char *name, struct stat *st) {
	int file = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	*st = (struct stat){0};
	if (file < 0)
		return -errno;
	if (fstat(file, st) == 0 && S_ISSOCK(st->st_mode) && st->st_uid == geteuid() &&
		st->st_nlink == 1)
		return file;
	close(file);
	return -EPERM;
}

static int swapped(const char *path, struct err *e) {
	return err_set(e, EPERM,
		"%s was replaced at this moment by another process; choose a directory only you "
		"may write to",
		path);
}

/* What the umask took of the mode is put back. */
static int set_mode(int dir, const char *name, mode_t mode, const char *path, struct err *e) {
	struct sockaddr_un sa;
	struct stat st;
	int file = open_ours(dir, name, &st), ret = 0;

	if (file < 0)
		return swapped(path, e);
	address_of(&sa, file);
	if ((st.st_mode & 07777) != mode && chmod(sa.sun_path, mode) < 0)
		ret = failed(path, errno, e);
	close(file);
	return ret;
}

/* Claims, binds and listens while the directory is locked. The address is the path as it was given: `ss`
 * and `fuser` show and seek it. What was bound is then looked for in the directory that was opened, and a
 * path that led elsewhere meanwhile is an error. */
static int bind_locked(int dir, const char *name, const char *path, mode_t mode, struct err *e) {
	struct sockaddr_un sa;
	int fd, ret = claim_in(dir, name, path, e);

	if (ret < 0)
		return ret;
	address(&sa, path, NULL);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return failed(path, errno, e);
	// The mode counts from the first moment: fchmod before bind decides what bind makes.
	if (fchmod(fd, mode) < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		ret = failed(path, errno, e);
		close(fd);
		return ret;
	}
	ret = set_mode(dir, name, mode, path, e);
	if (ret == 0 && listen(fd, BACKLOG) < 0)
		ret = failed(path, errno, e);
	if (ret == 0)
		return fd;
	sock_remove(path, sock_file(path));
	close(fd);
	return ret;
}

/* A lock on the directory itself could be held by everybody who may look into it. This one is a file of
 * ours in it, there for the moment of the claim. -1: it cannot be had, and the claim is made without;
 * what is lost then is the order of two switches of one user that start at once. */
static int lock_dir(int dir) {
	for (int i = 0; i < LOCK_TRIES; i++) {
		int fd = lockfile_open(dir, LOCK_NAME), rc;

		if (fd < 0)
			return -1;
		rc = lockfile_lock(fd, LOCK_MS);
		if (rc == 0)
			return fd;
		close(fd);
		if (rc != -ESTALE)
			return -1;
	}
	return -1;
}

static void unlock_dir(int dir, int lock) {
	struct stat st;

	if (lock < 0)
		return;
	if (fstat(lock, &st) == 0)
		lockfile_unlink_same(dir, LOCK_NAME, &st);
	close(lock);
}

int sock_listen(const char *path, mode_t mode, struct err *e) {
	struct sockaddr_un sa;
	const char *name;
	int dir, lock, ret = address(&sa, path, e);

	if (ret == 0)
		ret = sock_make_dir(path, e);
	if (ret < 0)
		return ret;
	dir = open_dir(path, &name);
	if (dir < 0)
		return failed(path, -dir, e);
	lock = lock_dir(dir);
	ret = bind_locked(dir, name, path, mode, e);
	unlock_dir(dir, lock);
	close(dir);
	return ret;
}

int sock_set_group(const char *path, gid_t group, struct err *e) {
	const char *name;
	struct stat st;
	int dir = open_dir(path, &name), file, ret = 0;

	if (dir < 0)
		return failed(path, -dir, e);
	file = open_ours(dir, name, &st);
	close(dir);
	if (file < 0)
		return swapped(path, e);
	if (fchownat(file, "", (uid_t)-1, group, AT_EMPTY_PATH) < 0)
		ret = failed(path, errno, e);
	close(file);
	return ret;
}

void sock_remove(const char *path, struct sock_file made) {
	const char *name;
	struct stat st;
	int dir = open_dir(path, &name), file;

	if (dir < 0)
		return;
	file = open_ours(dir, name, &st);
	if (file >= 0 && st.st_dev == made.dev && st.st_ino == made.ino)
		lockfile_unlink_same(dir, name, &st);
	if (file >= 0)
		close(file);
	close(dir);
}

struct sock_file sock_file(const char *path) {
	struct stat st;

	return lstat(path, &st) == 0 ? (struct sock_file){st.st_dev, st.st_ino}
				     : (struct sock_file){0};
}

bool sock_file_same(struct sock_file a, struct sock_file b) {
	return a.dev == b.dev && a.ino == b.ino;
}

static int connect_to(const char *path, int flags, struct err *e) {
	struct sockaddr_un sa;
	int fd, ret = address(&sa, path, e);

	if (ret < 0)
		return ret;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (fd < 0)
		return failed(path, errno, e);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	ret = errno;
	close(fd);
	if (ret == ENOENT || ret == ECONNREFUSED)
		return err_set(e, ret,
			"no switch is running at %s; start one with 'weir switch' or name its "
			"socket with --api or WEIR_API",
			path);
	return failed(path, ret, e);
}

int sock_connect(const char *path, struct err *e) {
	return connect_to(path, 0, e);
}

int sock_connect_now(const char *path, struct err *e) {
	return connect_to(path, SOCK_NONBLOCK, e);
}
