/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "host/netlink/child.h"

/* The path that printf text names under the root, into `path`. */
#define UNDER(r, path, fmt)                                                      \
	do {                                                                     \
		va_list ap_;                                                     \
		size_t n_ = (size_t)snprintf(path, sizeof(path), "%s", (r)->at); \
		va_start(ap_, fmt);                                              \
		vsnprintf((path) + n_, sizeof(path) - n_, fmt, ap_);             \
		va_end(ap_);                                                     \
	} while (0)

int root_open(struct root *r, const char *prefix, struct err *e) {
	size_t n = prefix != NULL ? strlen(prefix) : 0;

	*r = (struct root){.recorded = prefix != NULL};
	while (n > 1 && prefix[n - 1] == '/')
		n--;
	if (n >= sizeof(r->at))
		return err_set(e, ENAMETOOLONG,
			"--sysfs: the path has %zu bytes; at most %zu are allowed", n,
			sizeof(r->at) - 1);
	if (prefix != NULL)
		memcpy(r->at, prefix, n);
	if (!root_has(r, "/sys"))
		return err_set(e, ENOENT,
			"there is no %s/sys; --sysfs names a folder that holds a recorded sys/",
			r->at);
	return 0;
}

ssize_t root_read(const struct root *r, char *buf, size_t size, const char *fmt, ...) {
	char path[PATH_MAX];

	UNDER(r, path, fmt);
	return file_read(buf, size, "%s", path);
}

int root_line(const struct root *r, char *buf, size_t size, const char *fmt, ...) {
	char path[PATH_MAX];

	UNDER(r, path, fmt);
	return file_line(buf, size, "%s", path);
}

long long root_number(const struct root *r, long long none, const char *fmt, ...) {
	char path[PATH_MAX], text[32], *end;
	long long n;

	UNDER(r, path, fmt);
	if (file_line(text, sizeof(text), "%s", path) < 0)
		return none;
	n = strtoll(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
	return end != text && *end == '\0' ? n : none;
}

char *root_target(const struct root *r, char *buf, size_t size, const char *fmt, ...) {
	char path[PATH_MAX];
	ssize_t n;

	UNDER(r, path, fmt);
	n = readlink(path, buf, size - 1);
	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

char *root_link(const struct root *r, char *buf, size_t size, const char *fmt, ...) {
	char path[PATH_MAX], to[PATH_MAX];
	const char *last;
	ssize_t n;

	UNDER(r, path, fmt);
	n = readlink(path, to, sizeof(to) - 1);
	to[n > 0 ? n : 0] = '\0';
	last = strrchr(to, '/');
	snprintf(buf, size, "%s", last != NULL ? last + 1 : to);
	return buf;
}

bool root_has(const struct root *r, const char *fmt, ...) {
	char path[PATH_MAX];

	UNDER(r, path, fmt);
	return access(path, F_OK) == 0;
}

static int no_dots(const struct dirent *d) {
	return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

static int by_name(const struct dirent **a, const struct dirent **b) {
	return strcmp((*a)->d_name, (*b)->d_name);
}

int root_names(const struct root *r, char ***names, const char *fmt, ...) {
	char path[PATH_MAX];
	struct dirent **list;
	int n, kept = 0;

	UNDER(r, path, fmt);
	*names = NULL;
	n = scandir(path, &list, no_dots, by_name);
	if (n < 0)
		return -errno;
	*names = calloc((size_t)n + 1, sizeof(**names));
	for (int i = 0; i < n; i++) {
		char *name = *names != NULL ? strdup(list[i]->d_name) : NULL;

		if (name != NULL)
			(*names)[kept++] = name;
		free(list[i]);
	}
	free(list);
	if (*names == NULL || kept < n) {
		root_names_free(*names, kept);
		*names = NULL;
		return -ENOMEM;
	}
	return kept;
}

void root_names_free(char **names, int n) {
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

struct writing {
	const char *path, *value;
};

static int write_value(const void *ctx) {
	const struct writing *w = ctx;
	int fd = open(w->path, O_WRONLY | O_CLOEXEC | O_TRUNC);
	size_t len = strlen(w->value);

	if (fd < 0)
		return -errno;
	errno = 0;
	if (write(fd, w->value, len) != (ssize_t)len || close(fd) < 0)
		return errno != 0 ? -errno : -EIO;
	return 0;
}

int root_write(const struct root *r, const char *value, unsigned limit_ms, const char *fmt, ...) {
	char path[PATH_MAX];

	UNDER(r, path, fmt);
	return child_do(write_value, &(struct writing){path, value}, limit_ms);
}
