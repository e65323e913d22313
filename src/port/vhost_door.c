/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "base/closer.h"
#include "base/err.h"
#include "base/log.h"
#include "base/sock.h"
#include "port/vhost.h"

/* The door between a front end and librte_vhost: who may come in, and for how long.
 *
 * The library reads messages with blocking calls on one thread for all ports: half a message from
 * one guest would stop the protocol for all of them. It takes any number of clients on one socket,
 * tries to reconnect once a second, and believes some numbers. So users' sockets belong to weir, and
 * each connection has a twin, which the library makes to weir; vhost_cross.c carries messages from one
 * to the other.
 *
 *   nobody ─ comes, or is found ─► attached ─ leaves ─► nobody
 *                                     │
 *                                     └ lied ─► shut, with a reason, until somebody comes again
 *
 * A new twin has to wait until the library has let go of the last. Everything here runs on the control
 * thread, from its event loop. */

enum {
	RETRY_US = 50 * 1000, /* client mode: time between attempts to connect */
	// Client mode: breath after a fault, so that a liar costs little, but one that died in the middle
	// of a message is served within a second.
	AFTER_SHUT_US = 500 * 1000,
	HALF_MESSAGE_US = 2000 * 1000,
	GONE_US = 2 * 1000, /* the library is letting go of the last connection */
	STUCK_US = 100 * 1000, /* something of the last connection hangs at close */
	WAITING_MAX = 16, /* descriptors to be closed before nobody is let in any more */
};

static void source_drop(sd_event_source **s) {
	*s = sd_event_source_disable_unref(*s);
}

/* The timer is made with the port: a wait that begins needs no memory, and whoever waits is answered. */
static void door_timer(struct vhost_dev *d, uint64_t us) {
	sd_event_source_set_time_relative(d->door.on_timer, us);
	sd_event_source_set_enabled(d->door.on_timer, SD_EVENT_ONESHOT);
}

static void timer_off(struct door *door) {
	if (door->on_timer != NULL)
		sd_event_source_set_enabled(door->on_timer, SD_EVENT_OFF);
}

static void tell_attached(struct vhost_dev *d, bool attached) {
	const struct port_env *env = port_env_get();

	if (env->attached != NULL)
		env->attached(d->port, attached, env->arg);
}

enum { DOOR_NAME = PORT_NAME_MAX + 8 };

static const char *who_is(const struct vhost_dev *d, char buf[DOOR_NAME]) {
	snprintf(buf, DOOR_NAME, "port %s", d->port->name);
	return buf;
}

void door_detach(struct vhost_dev *d, const char *reason) {
	struct door *door = &d->door;
	char who[DOOR_NAME];

	source_drop(&door->on_front);
	source_drop(&door->on_back);
	cross_drop(d);
	if (door->back >= 0)
		close(door->back);
	closer_hang_up(d->owner, door->front);
	door->back = door->front = -1;
	if (d->peer[0] != '\0')
		tell_attached(d, false);
	d->peer[0] = '\0';
	if (reason != NULL) {
		d->shut = true;
		d->shuts++;
		snprintf(d->reason, sizeof(d->reason), "%s", reason);
		log_limited(LOG_L_WARN, who_is(d, who), "shut: %s", reason);
	}
	if (door->client && !door->link_down)
		door_timer(d, reason != NULL ? AFTER_SHUT_US : RETRY_US);
	else
		timer_off(door);
	device_wake(d);
}

uint64_t door_now_us(void) {
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void door_ended(struct vhost_dev *d, const char *how) {
	char why[192];

	if (d->door.have == 0) {
		door_detach(d, NULL);
		return;
	}
	snprintf(why, sizeof(why), "the connection %s after %u bytes of a vhost-user message", how,
		d->door.have);
	door_detach(d, why);
}

/* Nobody is let in while something of those before hangs at close, or too much waits to be closed. */
static bool must_wait(const struct vhost_dev *d) {
	return closer_stuck(d->owner) || closer_waiting(d->owner) >= WAITING_MAX;
}

/* A front end is there: makes its twin, as soon as the library has let go of the one before. */
static void attach(struct vhost_dev *d) {
	const struct port_env *env = port_env_get();
	struct door *door = &d->door;
	uint64_t offered = 0;
	struct err e;

	if (must_wait(d) || !device_wait_gone(d, 0)) {
		door_timer(d, must_wait(d) ? STUCK_US : GONE_US);
		return;
	}
	timer_off(door);
	tell_attached(d, true);
	atomic_store(&d->shrunk, false);
	atomic_store(&d->fault_claimed, 0);
	atomic_store(&d->faulted, false);
	d->shut = false;
	d->reason[0] = '\0';
	door->acks = false;
	door->last = 0;
	door->back = device_connect(d, &offered, &e);
	if (door->back < 0) {
		door_detach(d, e.text);
		return;
	}
	session_begin(&door->session, offered);
	d->attaches++;
	if (sd_event_add_io(env->loop, &door->on_front, door->front, EPOLLIN, cross_on_front, d) <
			0 ||
		sd_event_add_io(env->loop, &door->on_back, door->back, EPOLLIN, cross_on_back, d) <
			0)
		door_detach(d, "the event loop takes no more descriptors");
}

/* Is the front end gone, although its last messages may wait to be read? */
static bool front_gone(const struct door *door) {
	struct pollfd p = {.fd = door->front, .events = POLLRDHUP};

	return door->front >= 0 && poll(&p, 1, 0) > 0 && p.revents & (POLLRDHUP | POLLHUP);
}

static void on_arrival(int conn, void *arg) {
	struct vhost_dev *d = arg;
	char who[96], subject[DOOR_NAME];

	if (front_gone(&d->door)) // one that comes back may be seen before its end is
		door_ended(d, "ended");
	if (d->door.front >= 0) {
		log_limited(LOG_L_WARN, who_is(d, subject),
			"refused a second front end, %s; the port belongs to %s",
			sock_peer(conn, who, sizeof(who)), d->peer);
		closer_hang_up(d->owner, conn);
		if (closer_waiting(d->owner) >= WAITING_MAX)
			acceptor_pause(&d->door.listener.acceptor, true); // door_look goes on
		return;
	}
	d->door.front = conn;
	sock_peer(conn, d->peer, sizeof(d->peer));
	attach(d);
}

/* Client mode. The front end may come at any time: nothing is said about attempts that fail. */
static void try_connect(struct vhost_dev *d) {
	struct err e;
	int fd = sock_connect_now(d->door.path, &e);

	if (fd < 0) {
		door_timer(d, RETRY_US);
		return;
	}
	d->door.front = fd;
	sock_peer(fd, d->peer, sizeof(d->peer));
	attach(d);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *arg) {
	struct vhost_dev *d = arg;
	struct door *door = &d->door;

	if (door->front < 0) {
		if (door->client && !door->link_down)
			try_connect(d);
	} else if (door->back < 0) {
		attach(d);
	} else if (door->have > 0) {
		uint64_t age = door_now_us() - door->half_since;

		if (age >= HALF_MESSAGE_US)
			door_ended(d, "fell silent");
		else
			door_timer(d, HALF_MESSAGE_US - age);
	}
	return 0;
}

void door_await_rest(struct vhost_dev *d) {
	door_timer(d, HALF_MESSAGE_US);
}

void door_look(struct vhost_dev *d) {
	if (closer_waiting(d->owner) < WAITING_MAX)
		acceptor_pause(&d->door.listener.acceptor, false);
	listener_look(&d->door.listener);
}

void door_hangs(void *arg) {
	door_detach(arg,
		"what a front end passed along, or its connection, hangs when it is closed; "
		"nobody is let in until it is closed");
}

static int listen_here(struct vhost_dev *d, struct err *e) {
	struct door *door = &d->door;
	const bool any = door->group[0] != '\0';
	char what[DOOR_NAME];
	int rc = listener_open(&door->listener, door->path, door->group, any ? 0660 : 0600, e);

	if (rc < 0)
		return rc;
	door->listener.owner = d->owner;
	rc = listener_serve(
		&door->listener, port_env_get()->loop, who_is(d, what), on_arrival, d, e);
	if (rc < 0)
		listener_close(&door->listener);
	return rc;
}

int door_set_link(struct vhost_dev *d, bool down, struct err *e) {
	struct door *door = &d->door;

	if (door->link_down == down)
		return 0;
	door->link_down = down;
	if (down) {
		// A front end whose socket closes takes the link down in the guest; one that finds nobody
		// listening leaves it so.
		listener_close(&door->listener);
		door_detach(d, NULL);
		return 0;
	}
	if (door->client) {
		door_timer(d, 0);
		return 0;
	}
	door->link_down = listen_here(d, e) < 0;
	return door->link_down ? -EADDRINUSE : 0;
}

static int timer_new(struct vhost_dev *d, struct err *e) {
	int rc = sd_event_add_time(port_env_get()->loop, &d->door.on_timer, CLOCK_MONOTONIC,
		UINT64_MAX, 1000, on_timer, d);

	if (rc >= 0)
		rc = sd_event_source_set_enabled(d->door.on_timer, SD_EVENT_OFF);
	return rc >= 0 ? 0 : err_set(e, -rc, "the event loop takes no more timers");
}

int door_open(struct vhost_dev *d, const struct port_spec *s, struct err *e) {
	struct door *door = &d->door;
	const char *dir;
	int rc;

	if (strlen(s->path) >= sizeof(door->path))
		return err_set(e, ENAMETOOLONG,
			"socket path of %zu bytes; at most %zu are possible", strlen(s->path),
			sizeof(door->path) - 1);
	strcpy(door->path, s->path);
	snprintf(door->group, sizeof(door->group), "%s", s->group != NULL ? s->group : "");
	door->client = s->client;
	door->any_memory = s->any_memory;
	door->link_down = true;
	dir = twin_dir_take(e);
	if (dir == NULL)
		return -EIO;
	rc = device_open(d, dir, e);
	if (rc == 0) {
		rc = timer_new(d, e);
		if (rc == 0 && !s->link_down)
			rc = door_set_link(d, false, e);
		if (rc < 0)
			device_close(d);
	}
	if (rc < 0) {
		source_drop(&door->on_timer);
		twin_dir_give();
	}
	return rc;
}

void door_close(struct vhost_dev *d) {
	struct door *door = &d->door;

	door->link_down = true;
	listener_close(&door->listener);
	door_detach(d, NULL);
	source_drop(&door->on_timer);
	if (!device_wait_gone(d, 2000))
		log_error("port %s: librte_vhost keeps the connection", d->port->name);
	device_close(d);
	twin_dir_give();
}
