/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

enum { PART_EXTRA = 10 }; /* a dot in front of the name, a dot and eight digits behind it */

static ssize_t slurp(char *buf, size_t size, const char *path) {
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 1;

	buf[0] = '\0';
	if (fd < 0)
		return -errno;
	while (n > 0 && len + 1 < size) {
		n = read(fd, buf + len, size - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (n < 0)
		n = -errno;
	close(fd);
	buf[len] = '\0';
	return n < 0 ? n : (ssize_t)len;
}

ssize_t file_read(char *buf, size_t size, const char *fmt, ...) {
	char path[PATH_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	return slurp(buf, size, path);
}

int file_line(char *buf, size_t size, const char *fmt, ...) {
	char path[PATH_MAX];
	va_list ap;
	ssize_t n;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	n = slurp(buf, size, path);
	buf[strcspn(buf, "\n")] = '\0';
	return n < 0 ? (int)n : 0;
}

static const char *type_name(mode_t mode) {
	return S_ISDIR(mode)    ? "directory"
	       : S_ISFIFO(mode) ? "pipe"
	       : S_ISSOCK(mode) ? "socket"
				: "device";
}

int file_open(const char *path, int flags, struct err *e) {
	int fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), code = errno;
	struct stat st = {0};
	bool known = (fd >= 0 ? fstat(fd, &st) : stat(path, &st)) == 0;

	if (fd >= 0 && S_ISREG(st.st_mode))
		return fd;
	if (fd >= 0)
		close(fd);
	if (!known || S_ISREG(st.st_mode))
		return err_set(e, code, "cannot read %s: %s", path, strerror(code));
	return err_set(e, EINVAL, "cannot read %s: it is a %s; name a regular file", path,
		type_name(st.st_mode));
}

FILE *file_stream(const char *path, struct err *e) {
	int fd = file_open(path, O_RDONLY, e);
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;

	if (fd >= 0 && f == NULL) {
		err_set(e, errno, "cannot read %s: %s", path, strerror(errno));
		close(fd);
	}
	return f;
}

/* A folder, and the name in it. */
static int folder_of(const char *path, char name[NAME_MAX + 1], struct err *e) {
	const char *slash = strrchr(path, '/'), *last = slash != NULL ? slash + 1 : path;
	char folder[PATH_MAX];
	int fd;

	if (strlen(path) >= PATH_MAX || strlen(last) > NAME_MAX - PART_EXTRA)
		return err_set(e, ENAMETOOLONG, "%.80s...: the name is too long", path);
	snprintf(folder, sizeof(folder), "%.*s", (int)(last - path), path);
	snprintf(name, NAME_MAX + 1, "%s", last);
	fd = open(slash != NULL ? folder : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : err_set(e, errno, "cannot write %s: %m", path);
}

/* What has the name now may be replaced or removed. 1: there is nothing. */
static int ours(int folder, const char *name, const char *path, struct err *e) {
	struct stat st;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 1 : err_set(e, errno, "cannot write %s: %m", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EEXIST,
			"%s exists and is no regular file; remove it or choose another place",
			path);
	if (st.st_uid != geteuid())
		return err_set(e, EPERM,
			"%s belongs to another user (%u); remove it or choose another place", path,
			(unsigned)st.st_uid);
	return 0;
}

static FILE *part_new(struct file_draft *d) {
	uint32_t salt = 0;
	FILE *f;
	int fd;

	(void)!getrandom(&salt, sizeof(salt), GRND_NONBLOCK);
	snprintf(d->part, sizeof(d->part), ".%.*s.%08x", NAME_MAX - PART_EXTRA, d->name, salt);
	fd = openat(d->folder, d->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (f == NULL && fd >= 0) {
		close(fd);
		unlinkat(d->folder, d->part, 0);
	}
	return f;
}

int file_draft_open(struct file_draft *d, const char *path, struct err *e) {
	int rc;

	d->folder = folder_of(path, d->name, e);
	if (d->folder < 0)
		return d->folder;
	snprintf(d->path, sizeof(d->path), "%s", path);
	rc = ours(d->folder, d->name, path, e);
	d->f = rc >= 0 ? part_new(d) : NULL;
	if (rc >= 0 && d->f == NULL)
		rc = err_set(e, errno, "cannot write %s: %m", path);
	if (rc < 0)
		close(d->folder);
	return rc < 0 ? rc : 0;
}

int file_draft_close(struct file_draft *d, bool keep, struct err *e) {
	bool bad = ferror(d->f) != 0;
	int rc = 0;

	errno = bad ? EIO : 0;
	if (fclose(d->f) != 0 || bad)
		rc = err_set(e, errno, "cannot write %s: %m", d->path);
	else if (keep)
		rc = ours(d->folder, d->name, d->path, e);
	if (rc >= 0 && keep && renameat(d->folder, d->part, d->folder, d->name) < 0)
		rc = err_set(e, errno, "cannot write %s: %m", d->path);
	if (rc < 0 || !keep)
		unlinkat(d->folder, d->part, 0);
	close(d->folder);
	return rc < 0 ? rc : 0;
}

int file_remove(const char *path, struct err *e) {
	char name[NAME_MAX + 1];
	int folder = folder_of(path, name, e), rc;

	if (folder < 0)
		return folder == -ENOENT ? 0 : folder;
	rc = ours(folder, name, path, e);
	if (rc == 0 && unlinkat(folder, name, 0) < 0)
		rc = err_set(e, errno, "cannot remove %s: %m", path);
	close(folder);
	return rc < 0 ? rc : 0;
}
