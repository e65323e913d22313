/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * A socket file outlives the process that made it, and nothing in the file says whether anyone is
 * still behind it. The one way to find out is to connect: refused means stale, accepted (or a full
 * backlog) means live, and the kernel then tells who called listen(). Between that question and the
 * bind another process may come; sock_listen therefore holds a lock on the directory for both. */
#include "base/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/closer.h"
#include "base/err.h"

enum { BACKLOG = 64 };

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

int sock_claim(const char *path, struct err *e) {
	struct sockaddr_un sa;
	struct stat st;
	char who[64];
	int fd, ret = address(&sa, path, e);

	if (ret < 0)
		return ret;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : failed(path, errno, e);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, EEXIST,
			"%s exists and is no socket; remove it or choose another path", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return failed(path, errno, e);
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
		ret = unlink(path) < 0 && errno != ENOENT ? failed(path, errno, e) : 0;
		break;
	case ENOENT: // its owner was just leaving
		ret = 0;
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

/* Claims, binds and listens while the directory is locked. */
static int bind_locked(const char *path, mode_t mode, struct err *e) {
	struct sockaddr_un sa;
	int fd, ret = sock_claim(path, e);

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
	if (chmod(path, mode) < 0 || listen(fd, BACKLOG) < 0) {
		ret = failed(path, errno, e);
		unlink(path);
		close(fd);
		return ret;
	}
	return fd;
}

int sock_listen(const char *path, mode_t mode, struct err *e) {
	struct sockaddr_un sa;
	char *copy;
	int dir, ret = address(&sa, path, e);

	if (ret == 0)
		ret = sock_make_dir(path, e);
	if (ret < 0)
		return ret;
	copy = strdup(path);
	if (copy == NULL)
		return err_set(e, ENOMEM, "out of memory");
	dir = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	if (dir < 0)
		return failed(path, errno, e);
	// Somebody may hold such a lock for reasons of his own: wait a little, then go on without.
	for (int i = 0; flock(dir, LOCK_EX | LOCK_NB) < 0 && i < 50; i++)
		usleep(10000);
	ret = bind_locked(path, mode, e);
	close(dir);
	return ret;
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
