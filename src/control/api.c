/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * The server side of the socket. The switch's control thread serves it between its other duties, so
 * no client may make it wait or make it keep much: a line has at most RPC_LINE_MAX bytes, a client
 * whose reply is not taken is not read from (so it holds one line and one reply), and one that takes
 * nothing for API_SLOW_S is dropped. There are API_CLIENTS_MAX places; when all are taken, the client
 * that was silent longest makes room if it was so for API_IDLE_S, else the newcomer is refused. */
#include "control/api.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/closer.h"
#include "base/listener.h"
#include "base/log.h"
#include "base/passed.h"
#include "base/sock.h"

enum { CHUNK = 16384, PENDING_MAX = 65536 };

#define SECOND 1000000ull

struct api_client {
	struct api *api;
	struct api_client *next;
	sd_event_source *io, *timer;
	int fd, passed;
	struct closer_owner *owner; /* of what it passed along */
	char *in;
	size_t in_len, in_room;
	size_t searched; /* bytes of `in` known to hold no newline */
	char *out;
	size_t out_len, out_off;
	uint64_t last; /* when it last sent or took something, CLOCK_MONOTONIC us */
	bool eof, closing; /* it sends no more; nothing more is read from it */
	bool kept; /* silence is no reason to drop it */
};

struct api {
	sd_event *loop;
	struct listener *listener;
	const struct rpc_method *methods;
	void *arg;
	void (*gone)(void *arg, struct api_client *c);
	struct api_client *clients;
	unsigned n;
};

static uint64_t now_us(sd_event *loop) {
	uint64_t t = 0;

	sd_event_now(loop, CLOCK_MONOTONIC, &t);
	return t;
}

static void client_drop(struct api_client *c) {
	struct api *a = c->api;

	for (struct api_client **p = &a->clients; *p != NULL; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			a->n--;
			break;
		}
	if (a->gone != NULL)
		a->gone(a->arg, c);
	sd_event_source_disable_unref(c->io);
	sd_event_source_disable_unref(c->timer);
	closer_close(c->owner, c->passed);
	closer_hang_up(c->owner, c->fd);
	closer_owner_free(c->owner);
	free(c->in);
	free(c->out);
	free(c);
}

int api_take_fd(struct api_client *c) {
	int fd = c->passed;

	c->passed = -1;
	return fd;
}

char *api_peer(const struct api_client *c, char *buf, size_t size) {
	return sock_peer(c->fd, buf, size);
}

void api_keep(struct api_client *c) {
	c->kept = true;
}

/* Reads once. 1: something came, 0: nothing now or the end, negative: broken. */
static int client_read(struct api_client *c) {
	int fds[PASSED_MAX], error;
	unsigned came;
	ssize_t n;

	if (c->in_room - c->in_len < CHUNK) {
		size_t room = c->in_room == 0 ? CHUNK : c->in_room * 2;
		char *in = realloc(c->in, room);

		if (in == NULL)
			return -ENOMEM;
		c->in = in;
		c->in_room = room;
	}
	n = passed_recv(c->fd, c->in + c->in_len, CHUNK, fds, &came);
	error = errno;
	for (unsigned i = 0; i < came; i++) { // only the last is kept
		closer_close(c->owner, c->passed);
		c->passed = fds[i];
	}
	if (n < 0)
		return error == EAGAIN || error == EINTR ? 0 : -error;
	if (n == 0)
		c->eof = true;
	c->in_len += (size_t)n;
	c->last = now_us(c->api->loop);
	return n > 0;
}

static int client_write(struct api_client *c) {
	while (c->out_off < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_off, c->out_len - c->out_off,
			MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		c->out_off += (size_t)n;
		c->last = now_us(c->api->loop);
	}
	free(c->out);
	c->out = NULL;
	c->out_len = c->out_off = 0;
	return 0;
}

/* Takes over `text`, unless `ret` says that there is none. */
static int client_say(struct api_client *c, int ret, char *text, size_t len) {
	char *out;

	if (ret < 0)
		return ret;
	if (text == NULL || c->out == NULL) {
		if (text != NULL) {
			c->out = text;
			c->out_len = len;
		}
		return 0;
	}
	out = realloc(c->out, c->out_len + len);
	if (out != NULL) {
		memcpy(out + c->out_len, text, len);
		c->out = out;
		c->out_len += len;
	}
	free(text);
	return out != NULL ? 0 : -ENOMEM;
}

/* Is there a whole line? Its length without the newline, else -1. */
static ssize_t client_line(struct api_client *c) {
	char *nl = c->in_len > c->searched
			   ? memchr(c->in + c->searched, '\n', c->in_len - c->searched)
			   : NULL;

	if (nl != NULL)
		return nl - c->in;
	c->searched = c->in_len;
	return -1;
}

/* Answers the lines that are there, as long as the client takes the replies. */
static int client_answer(struct api_client *c) {
	size_t used = 0;
	int ret = 0;

	while (ret == 0 && !c->closing && c->out_len - c->out_off < PENDING_MAX) {
		ssize_t n = client_line(c);
		size_t len;
		char *text;

		if (n < 0 && c->in_len <= RPC_LINE_MAX)
			break;
		if (n < 0 || n > RPC_LINE_MAX) {
			c->closing = true; // where the next line begins is anyone's guess
			ret = rpc_error(RPC_INVALID, "the line is longer than 1 MiB", &text, &len);
			ret = client_say(c, ret, text, len);
			break;
		}
		used = (size_t)n + 1;
		if (n > 0 && c->in[n - 1] == '\r')
			n--;
		if (n > 0) { // empty lines are passed over
			struct api_call call = {c->api->arg, c};

			ret = rpc_answer(c->api->methods, &call, c->in, (size_t)n, &text, &len);
			ret = client_say(c, ret, text, len);
		}
		memmove(c->in, c->in + used, c->in_len - used);
		c->in_len -= used;
		c->searched = 0;
		if (ret == 0)
			ret = client_write(c);
	}
	return ret;
}

/* After everything that happened to a client: what to wait for next. Drops it when it is done. */
static void client_settle(struct api_client *c, int ret) {
	bool waiting = c->out_off < c->out_len;

	if (ret == 0 && !waiting && c->in_room > PENDING_MAX && c->in_len == 0) {
		free(c->in); // one long line does not hold its memory for ever
		c->in = NULL;
		c->in_room = 0;
	}
	if (ret < 0 || (!waiting && (c->closing || c->eof))) {
		client_drop(c);
		return;
	}
	sd_event_source_set_io_events(c->io, waiting ? EPOLLOUT : EPOLLIN);
	if (waiting) {
		sd_event_source_set_time(c->timer, c->last + API_SLOW_S * SECOND);
		sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
	} else {
		sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
	}
}

static int on_client(sd_event_source *src, int fd, uint32_t revents, void *arg) {
	struct api_client *c = arg;
	int ret = client_write(c);

	if (ret == 0 && (revents & (EPOLLERR | EPOLLHUP)) != 0 && (revents & EPOLLIN) == 0)
		ret = -EPIPE;
	if (ret == 0 && (revents & EPOLLIN) != 0)
		ret = client_read(c);
	if (ret >= 0)
		ret = client_answer(c);
	client_settle(c, ret);
	return 0;
}

static int on_slow(sd_event_source *src, uint64_t usec, void *arg) {
	struct api_client *c = arg;

	if (now_us(c->api->loop) < c->last + API_SLOW_S * SECOND) {
		client_settle(c, 0);
		return 0;
	}
	log_limited(LOG_L_WARN, "API", "client dropped: it took nothing of a reply for %d s",
		API_SLOW_S);
	client_drop(c);
	return 0;
}

/* Makes room for one more; false when every place is in use. */
static bool make_room(struct api *a) {
	struct api_client *oldest = NULL;

	if (a->n < API_CLIENTS_MAX)
		return true;
	for (struct api_client *c = a->clients; c != NULL; c = c->next)
		if (!c->kept && (oldest == NULL || c->last < oldest->last))
			oldest = c;
	if (oldest == NULL || now_us(a->loop) < oldest->last + API_IDLE_S * SECOND)
		return false;
	client_drop(oldest);
	return true;
}

static int client_new(struct api *a, int fd) {
	struct api_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	*c = (struct api_client){.api = a, .fd = fd, .passed = -1, .last = now_us(a->loop)};
	c->owner = closer_owner_new("API client", NULL, NULL);
	if (c->owner == NULL || sd_event_add_io(a->loop, &c->io, fd, EPOLLIN, on_client, c) < 0 ||
		sd_event_add_time(a->loop, &c->timer, CLOCK_MONOTONIC, UINT64_MAX, 0, on_slow, c) <
			0) {
		sd_event_source_disable_unref(c->io);
		closer_owner_free(c->owner);
		free(c);
		return -ENOMEM;
	}
	sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
	c->next = a->clients;
	a->clients = c;
	a->n++;
	return 0;
}

static void on_connect(int conn, void *arg) {
	struct api *a = arg;

	if (!make_room(a)) {
		size_t len;
		char *text;

		if (rpc_error(RPC_REFUSED, "all 64 places for API clients are taken", &text,
			    &len) == 0)
			(void)!send(conn, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		free(text);
		closer_hang_up(NULL, conn);
	} else if (client_new(a, conn) < 0) {
		closer_hang_up(NULL, conn);
	}
}

int api_start(struct api **out, sd_event *loop, struct listener *listener,
	const struct rpc_method *methods, void *arg, void (*gone)(void *arg, struct api_client *c),
	struct err *e) {
	struct api *a = calloc(1, sizeof(*a));
	int ret;

	*out = NULL;
	if (a == NULL)
		return err_set(e, ENOMEM, "out of memory");
	*a = (struct api){
		.loop = loop, .listener = listener, .methods = methods, .arg = arg, .gone = gone};
	ret = closer_open(loop, e);
	if (ret == 0) {
		ret = listener_serve(listener, loop, "API socket", on_connect, a, e);
		if (ret < 0)
			closer_end();
	}
	if (ret < 0) {
		free(a);
		return ret;
	}
	*out = a;
	return 0;
}

void api_stop(struct api *a) {
	if (a == NULL)
		return;
	while (a->clients != NULL) {
		// It unlinks what it frees. NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
		client_drop(a->clients);
	}
	listener_close(a->listener);
	closer_end();
	free(a);
}
