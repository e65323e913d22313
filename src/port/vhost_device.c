/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <rte_vhost.h>

#include "base/err.h"
#include "port/vhost.h"

/* librte_vhost speaks the protocol; we walk the rings. Its thread calls us before and after each
 * message and when a ring becomes ready or stops being so. Before any message that changes memory
 * or a ring, the rings it concerns are taken from the workers (under the ring's lock, so that at
 * most one batch is waited for) and their positions told to the library; after it they are given
 * back with whatever the library then says of them.
 *
 * Features are disabled one by one and never set as a whole: with rte_vhost_driver_set_features the
 * library would wait for every queue that was ever mentioned, and a guest that uses one queue of
 * four (any firmware) would never start. */

/* What the library polls at once; one descriptor is its own. A listener of its own for each port would
 * take half of them, so it is the one that connects: see device_connect. */
enum { LIBRARY_FDS = 1024 };

static const uint64_t not_offered = 1ull << VHOST_F_LOG_ALL | 1ull << VIRTIO_F_IOMMU_PLATFORM;
static const uint64_t protocol_features =
	1ull << VHOST_USER_PROTOCOL_F_MQ | 1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK |
	1ull << VHOST_USER_PROTOCOL_F_NET_MTU | 1ull << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD |
	1ull << VHOST_USER_PROTOCOL_F_STATUS;

static struct vhost_dev *devices[PORTS_MAX];
static pthread_mutex_t devices_mu = PTHREAD_MUTEX_INITIALIZER;

static void memory_take(struct vhost_dev *d) {
	struct rte_vhost_memory *m = NULL;

	d->mem.n = 0;
	// The library does not look whether it has a table before it reads it.
	if (d->has_mem && (rte_vhost_get_mem_table(d->vid, &m) != 0 || m == NULL))
		device_fault(d, "no memory for the guest's memory table");
	for (unsigned i = 0; m != NULL && i < m->nregions && i < GMEM_REGIONS; i++)
		d->mem.r[d->mem.n++] = (struct gmem_region){.gpa = m->regions[i].guest_phys_addr,
			.size = m->regions[i].size,
			.hva = (uint8_t *)(uintptr_t)m->regions[i].host_user_addr};
	free(m);
	sigbus_watch(d);
}

/* The port whose twin socket the connection came in at. */
static struct vhost_dev *device_of(int vid) {
	struct vhost_dev *d = NULL;
	char path[128];
	const char *slash;

	if (rte_vhost_get_ifname(vid, path, sizeof(path)) < 0 ||
		(slash = strrchr(path, '/')) == NULL)
		return NULL;
	pthread_mutex_lock(&devices_mu);
	unsigned long slot = strtoul(slash + 1, NULL, 10);
	if (slot < PORTS_MAX)
		d = devices[slot];
	pthread_mutex_unlock(&devices_mu);
	return d;
}

/* Which ring a message changes: its index, VHOST_RINGS_MAX for all, -1 for none. */
static int ring_changed(const void *msg) {
	int64_t ring = message_ring(msg);

	switch (message_u32(msg)) {
	case MESSAGE_SET_FEATURES:
	case MESSAGE_RESET_OWNER:
	case MESSAGE_SET_MEM_TABLE:
	case MESSAGE_GET_VRING_BASE: // the library stops the whole device on the first of these
		return VHOST_RINGS_MAX;
	case MESSAGE_SET_VRING_NUM:
	case MESSAGE_SET_VRING_ADDR:
	case MESSAGE_SET_VRING_BASE:
	case MESSAGE_SET_VRING_ENABLE:
	case MESSAGE_SET_VRING_KICK:
	case MESSAGE_SET_VRING_CALL:
		return ring < VHOST_RINGS_MAX ? (int)ring : -1;
	default:
		return -1;
	}
}

static void all_before(struct vhost_dev *d, unsigned request) {
	rings_stop(d);
	d->mem.n = 0; // no ring starts before the table is taken again
	if (request != MESSAGE_SET_MEM_TABLE && request != MESSAGE_RESET_OWNER)
		return; // memory stays where it is
	sigbus_forget(d);
	d->has_mem = false;
	sigbus_taking(request == MESSAGE_SET_MEM_TABLE ? d : NULL);
}

static void all_after(struct vhost_dev *d, unsigned request) {
	sigbus_taking(NULL);
	if (request == MESSAGE_SET_MEM_TABLE)
		d->has_mem = true; // only called when the library took it
	memory_take(d);
	rings_start(d);
}

static enum rte_vhost_msg_result around_message(int vid, const void *msg,
	void (*all)(struct vhost_dev *, unsigned request),
	void (*one)(struct vhost_dev *, unsigned ring)) {
	struct vhost_dev *d = device_of(vid);
	int ring = ring_changed(msg);

	if (d == NULL || ring < 0)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	pthread_mutex_lock(&d->mu);
	if (ring == VHOST_RINGS_MAX)
		all(d, message_u32(msg));
	else
		one(d, (unsigned)ring);
	pthread_mutex_unlock(&d->mu);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static enum rte_vhost_msg_result before_message(int vid, void *msg) {
	return around_message(vid, msg, all_before, ring_stop);
}

static enum rte_vhost_msg_result after_message(int vid, void *msg) {
	return around_message(vid, msg, all_after, ring_start);
}

static int on_connection(int vid) {
	static const struct rte_vhost_user_extern_ops hooks = {before_message, after_message};
	struct vhost_dev *d = device_of(vid);

	if (d == NULL || d->vid >= 0)
		return -1;
	pthread_mutex_lock(&d->mu);
	d->vid = vid;
	d->running = d->has_mem = false;
	memset(d->ready, 0, sizeof(d->ready));
	pthread_mutex_unlock(&d->mu);
	return rte_vhost_extern_callback_register(vid, &hooks, NULL);
}

static void on_disconnection(int vid) {
	struct vhost_dev *d = device_of(vid);

	if (d == NULL)
		return;
	pthread_mutex_lock(&d->mu);
	rings_stop(d);
	sigbus_forget(d);
	sigbus_taking(NULL); // of a table that was refused
	d->mem.n = 0;
	d->vid = -1;
	d->features = 0;
	pthread_cond_broadcast(&d->gone);
	pthread_mutex_unlock(&d->mu);
	device_wake(d);
}

static int on_device(int vid) {
	struct vhost_dev *d = device_of(vid);

	if (d == NULL)
		return -1;
	pthread_mutex_lock(&d->mu);
	rings_stop(d);
	rte_vhost_get_negotiated_features(vid, &d->features);
	memory_take(d);
	d->running = true;
	rings_start(d);
	pthread_mutex_unlock(&d->mu);
	return 0;
}

static void on_device_gone(int vid) {
	struct vhost_dev *d = device_of(vid);

	if (d == NULL)
		return;
	pthread_mutex_lock(&d->mu);
	rings_stop(d);
	d->running = false;
	pthread_mutex_unlock(&d->mu);
}

static int on_ring(int vid, uint16_t ring, int enable) {
	struct vhost_dev *d = device_of(vid);

	if (d == NULL || ring >= VHOST_RINGS_MAX)
		return 0;
	pthread_mutex_lock(&d->mu);
	d->ready[ring] = enable;
	if (enable)
		ring_start(d, ring);
	else
		ring_stop(d, ring);
	pthread_mutex_unlock(&d->mu);
	return 0;
}

bool device_wait_gone(struct vhost_dev *d, unsigned ms) {
	struct timespec until;
	bool gone;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&d->mu);
	while (d->vid >= 0 && pthread_cond_timedwait(&d->gone, &d->mu, &until) == 0)
		;
	gone = d->vid < 0;
	pthread_mutex_unlock(&d->mu);
	return gone;
}

/* A number of its own for each port: two may have the same id while one takes the other's place. */
static bool slot_claim(struct vhost_dev *d) {
	bool found = false;

	pthread_mutex_lock(&devices_mu);
	for (unsigned i = 0; i < PORTS_MAX && !found; i++) {
		found = devices[i] == NULL;
		if (!found)
			continue;
		devices[i] = d;
		d->slot = i;
	}
	pthread_mutex_unlock(&devices_mu);
	return found;
}

static void slot_release(struct vhost_dev *d) {
	sigbus_forget(d);
	pthread_mutex_lock(&devices_mu);
	devices[d->slot] = NULL;
	pthread_mutex_unlock(&devices_mu);
}

int device_open(struct vhost_dev *d, const char *dir, struct err *e) {
	if (!slot_claim(d))
		return err_set(e, ENOMEM, "%d vhost-user ports are the most", PORTS_MAX);
	snprintf(d->door.twin, sizeof(d->door.twin), "%s/%u", dir, d->slot);
	return 0;
}

static void device_unregister(struct vhost_dev *d) {
	if (d->registered)
		rte_vhost_driver_unregister(d->door.twin);
	d->registered = false;
}

void device_close(struct vhost_dev *d) {
	device_unregister(d);
	slot_release(d);
}

/* Registers with the library, and makes it connect to the twin socket. */
static int device_start(struct vhost_dev *d, uint64_t *offered, struct err *e) {
	static const struct rte_vhost_device_ops ops = {
		.new_device = on_device,
		.destroy_device = on_device_gone,
		.vring_state_changed = on_ring,
		.new_connection = on_connection,
		.destroy_connection = on_disconnection,
	};
	const char *path = d->door.twin;
	bool attached;

	device_unregister(d); // of the connection before
	if (rte_vhost_driver_register(path, RTE_VHOST_USER_CLIENT | RTE_VHOST_USER_NO_RECONNECT) <
		0)
		return err_set(e, ENOMEM, "librte_vhost has no room for another port");
	d->registered = true;
	if (rte_vhost_driver_disable_features(path, not_offered) < 0 ||
		rte_vhost_driver_get_features(path, offered) < 0 ||
		rte_vhost_driver_set_protocol_features(path, protocol_features) < 0 ||
		rte_vhost_driver_callback_register(path, &ops) < 0 ||
		rte_vhost_driver_start(path) < 0)
		return err_set(e, EIO, "librte_vhost cannot connect to %s", path);
	pthread_mutex_lock(&d->mu);
	attached = d->vid >= 0; // on_connection was called, unless there was no room for it
	pthread_mutex_unlock(&d->mu);
	if (!attached)
		return err_set(e, ENOSPC,
			"librte_vhost serves %d front ends at once, and has them; detach one",
			LIBRARY_FDS - 1);
	return 0;
}

/* In a folder that is ours alone. */
static int twin_listen(const char *path, struct err *e) {
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc;

	strcpy(sa.sun_path, path);
	rc = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&sa, sizeof(sa));
	if (fd >= 0 && rc < 0 && errno == ENOENT && twin_dir_again(e) == 0)
		rc = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
	if (rc == 0 && listen(fd, 1) == 0)
		return fd;
	rc = err_set(e, errno, "cannot listen for librte_vhost at %s: %m", path);
	if (fd >= 0)
		close(fd);
	return rc;
}

int device_connect(struct vhost_dev *d, uint64_t *offered, struct err *e) {
	int listener = twin_listen(d->door.twin, e), fd = -1, rc;

	if (listener < 0)
		return listener;
	rc = device_start(d, offered, e);
	if (rc == 0) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			rc = err_set(e, errno, "cannot take librte_vhost's connection: %m");
	}
	close(listener);
	unlink(d->door.twin);
	return rc < 0 ? rc : fd;
}
