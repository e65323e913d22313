/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

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

FILE *file_fresh(const char *path) {
	int fd;
	FILE *f;

	if (unlink(path) < 0 && errno != ENOENT)
		return NULL;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (f == NULL && fd >= 0)
		close(fd);
	return f;
}
