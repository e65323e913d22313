/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/clock.h"

enum { LINE_FIRST = 4096 };

int lines_init(struct lines *l, int fd, size_t max) {
	*l = (struct lines){.fd = fd, .room = LINE_FIRST, .max = max};
	l->buf = malloc(l->room);
	if (l->buf == NULL)
		return -ENOMEM;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return 0;
}

void lines_fini(struct lines *l) {
	free(l->buf);
	l->buf = NULL;
}

/* Takes the first line out of the buffer. */
static int take(struct lines *l, json_t **out) {
	char *end = memchr(l->buf, '\n', l->used);
	size_t n;

	n = end != NULL ? (size_t)(end - l->buf) : l->used;
	if (n >= l->max)
		return -EMSGSIZE;
	if (end == NULL)
		return -EAGAIN;
	l->last = n;
	*out = json_loadb(l->buf, n, 0, NULL);
	l->used -= n + 1;
	memmove(l->buf, end + 1, l->used);
	if (json_is_object(*out))
		return 0;
	json_decref(*out);
	*out = NULL;
	return -EPROTO;
}

static int fill(struct lines *l) {
	ssize_t n;

	if (l->used == l->room) {
		char *grown = realloc(l->buf, l->room * 2);

		if (grown == NULL)
			return -ENOMEM;
		l->buf = grown;
		l->room *= 2;
	}
	n = read(l->fd, l->buf + l->used, l->room - l->used);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPIPE;
	if (n == 0)
		return -EPIPE;
	l->used += (size_t)n;
	return 0;
}

/* poll until `end`; false when the time is over, or nobody is at the other end of a serial port. Signals
 * end it early, which callers see as time over only when it is. */
static bool wait_for(int fd, short what, uint64_t end) {
	struct pollfd p = {.fd = fd, .events = what};
	uint64_t now = clock_ns();
	int ms = now >= end ? 0 : (int)((end - now) / NS_PER_MS) + 1;

	return poll(&p, 1, ms) > 0 && p.revents != POLLHUP;
}

int lines_read(struct lines *l, json_t **out, int timeout_ms) {
	uint64_t end = clock_ns() + (uint64_t)timeout_ms * NS_PER_MS;
	int ret;

	*out = NULL;
	for (;;) {
		ret = take(l, out);
		if (ret != -EAGAIN)
			return ret;
		ret = fill(l);
		if (ret == 0)
			continue;
		if (ret != -EAGAIN)
			return ret;
		if (!wait_for(l->fd, POLLIN, end))
			return -EAGAIN;
	}
}

static int write_all(int fd, const char *p, size_t left, uint64_t end) {
	while (left > 0) {
		ssize_t n = write(fd, p, left);

		if (n > 0) {
			p += n;
			left -= (size_t)n;
		} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
			return -EPIPE;
		} else if (!wait_for(fd, POLLOUT, end)) {
			return -ETIMEDOUT;
		}
	}
	return 0;
}

int lines_write(struct lines *l, const json_t *v, int timeout_ms) {
	char *text = json_dumps(v, JSON_COMPACT);
	size_t n;
	int ret;

	if (text == NULL)
		return -ENOMEM;
	n = strlen(text);
	text[n] = '\n'; // its terminator is not needed any more
	ret = write_all(l->fd, text, n + 1, clock_ns() + (uint64_t)timeout_ms * NS_PER_MS);
	free(text);
	return ret;
}
