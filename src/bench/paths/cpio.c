/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/paths/cpio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"

/* Header and name, and content, are each filled up to a multiple of four bytes. */
enum { ALIGN = 4, HEADER_LEN = 110 };

void cpio_begin(struct cpio *c, int fd) {
	*c = (struct cpio){.fd = fd};
}

static void put(struct cpio *c, const void *data, size_t len) {
	const char *p = data;

	while (len > 0 && c->error == 0) {
		ssize_t n = write(c->fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			c->error = -errno;
			return;
		}
		p += n;
		len -= (size_t)n;
		c->written += (size_t)n;
	}
}

static void fill(struct cpio *c) {
	static const char zero[ALIGN];

	put(c, zero, (ALIGN - c->written % ALIGN) % ALIGN);
}

static void entry(struct cpio *c, const char *path, mode_t mode, size_t size, unsigned major,
	unsigned minor) {
	char head[HEADER_LEN + 20];

	// inode, mode, uid, gid, links, mtime, size, device of the file, of the node, name, checksum
	snprintf(head, sizeof(head), "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		++c->ino, mode, 0, 0, 1, 0, (unsigned)size, 0, 0, major, minor,
		(unsigned)strlen(path) + 1, 0);
	put(c, head, HEADER_LEN);
	put(c, path, strlen(path) + 1);
	fill(c);
}

void cpio_dir(struct cpio *c, const char *path) {
	entry(c, path, S_IFDIR | 0755, 0, 0, 0);
}

void cpio_node(struct cpio *c, const char *path, mode_t mode, unsigned major, unsigned minor) {
	entry(c, path, mode, 0, major, minor);
}

void cpio_text(struct cpio *c, const char *path, const char *text) {
	entry(c, path, S_IFREG | 0644, strlen(text), 0, 0);
	put(c, text, strlen(text));
	fill(c);
}

void cpio_file(struct cpio *c, const char *path, const char *from, struct err *e) {
	char buf[65536];
	struct stat st;
	size_t left;
	int fd;

	if (c->error != 0)
		return;
	fd = file_open(from, O_RDONLY, e);
	c->error = fd < 0 ? fd : fstat(fd, &st) < 0 ? -errno : 0;
	if (c->error < 0) {
		if (fd >= 0)
			close(fd);
		return;
	}
	entry(c, path, S_IFREG | 0755, (size_t)st.st_size, 0, 0);
	for (left = (size_t)st.st_size; left > 0 && c->error == 0;) {
		ssize_t n = read(fd, buf, left < sizeof(buf) ? left : sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			c->error = err_set(e, EIO, "%s: %s", from,
				n < 0 ? strerror(errno) : "it became shorter while it was read");
			break;
		}
		put(c, buf, (size_t)n);
		left -= (size_t)n;
	}
	fill(c);
	close(fd);
}

int cpio_end(struct cpio *c, struct err *e) {
	entry(c, "TRAILER!!!", 0, 0, 0, 0);
	fill(c);
	if (c->error < 0 && e != NULL && e->text[0] == '\0')
		err_set(e, -c->error, "initramfs: %s", strerror(-c->error));
	return c->error;
}
