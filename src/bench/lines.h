/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_LINES_H
#define WEIR_BENCH_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

/* JSON objects over a byte stream, a line each: what coordinator and agent speak, over a socketpair,
 * a TCP connection or a serial port. The descriptor is made non-blocking and stays the caller's. One
 * thread. */
struct lines {
	int fd;
	char *buf;
	size_t used, room, max;
	size_t last; /* bytes of the line that was read last */
};

/* No line longer than `max` is taken. -ENOMEM. */
int lines_init(struct lines *l, int fd, size_t max);
void lines_fini(struct lines *l); /* not the descriptor */

/* The next object (*out is the caller's to release) if it is there or comes within the time; 0
 * milliseconds: only look. 0; -EAGAIN: not yet; -EPIPE: the other end is gone; -EMSGSIZE: a line is
 * too long; -EPROTO: a line is no JSON object. */
int lines_read(struct lines *l, json_t **out, int timeout_ms);

/* 0; -ETIMEDOUT: the other end does not read; -EPIPE; -ENOMEM. After a failure the stream is unusable. */
int lines_write(struct lines *l, const json_t *v, int timeout_ms);

#endif
