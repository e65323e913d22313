/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/acceptor.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/log.h"

enum { AGAIN_US = 1000 * 1000 };

static void look_later(struct acceptor *a, int code) {
	if (!a->short_of)
		log_limited(LOG_L_WARN, a->what,
			"cannot take a connection: %s; trying again in 1 s, and every second",
			strerror(code));
	a->short_of = true;
	sd_event_source_set_enabled(a->io, SD_EVENT_OFF);
	sd_event_source_set_time_relative(a->timer, AGAIN_US);
	sd_event_source_set_enabled(a->timer, SD_EVENT_ONESHOT);
}

static int on_readable(sd_event_source *s, int fd, uint32_t revents, void *arg) {
	struct acceptor *a = arg;
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (conn >= 0) {
		a->short_of = false;
		a->arrived(conn, a->arg);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		look_later(a, errno);
	}
	return 0;
}

static int on_later(sd_event_source *s, uint64_t usec, void *arg) {
	struct acceptor *a = arg;

	return sd_event_source_set_enabled(a->io, a->paused ? SD_EVENT_OFF : SD_EVENT_ON);
}

int acceptor_open(struct acceptor *a, sd_event *loop, int fd, const char *what,
	void (*arrived)(int conn, void *arg), void *arg, struct err *e) {
	int ret;

	*a = (struct acceptor){.arrived = arrived, .arg = arg};
	snprintf(a->what, sizeof(a->what), "%s", what);
	ret = sd_event_add_io(loop, &a->io, fd, EPOLLIN, on_readable, a);
	if (ret >= 0)
		ret = sd_event_add_time(
			loop, &a->timer, CLOCK_MONOTONIC, UINT64_MAX, 0, on_later, a);
	if (ret >= 0)
		ret = sd_event_source_set_enabled(a->timer, SD_EVENT_OFF);
	if (ret >= 0)
		return 0;
	acceptor_close(a);
	return err_set(
		e, -ret, "%s: the event loop takes no more descriptors: %s", what, strerror(-ret));
}

int acceptor_move(struct acceptor *a, int fd, struct err *e) {
	int ret = sd_event_source_set_io_fd(a->io, fd);

	return ret >= 0 ? 0 : err_set(e, -ret, "the event loop takes no more descriptors");
}

void acceptor_pause(struct acceptor *a, bool pause) {
	int later = SD_EVENT_OFF;

	if (a->io == NULL || a->paused == pause)
		return;
	a->paused = pause;
	sd_event_source_get_enabled(a->timer, &later);
	if (later == SD_EVENT_OFF)
		sd_event_source_set_enabled(a->io, pause ? SD_EVENT_OFF : SD_EVENT_ON);
}

void acceptor_close(struct acceptor *a) {
	a->io = sd_event_source_disable_unref(a->io);
	a->timer = sd_event_source_disable_unref(a->timer);
}
