/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_net.h>
#include <rte_vhost.h>

#include "base/err.h"
#include "base/log.h"
#include "frame/offload.h"
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

static void wake(struct vhost_dev *d) {
	uint64_t one = 1;

	(void)!write(d->wake, &one, sizeof(one));
}

void device_still(struct vhost_dev *d) {
	for (unsigned i = 0; i < d->port->queues; i++) {
		atomic_store_explicit(&d->rx[i]->q.active, false, memory_order_relaxed);
		atomic_store_explicit(&d->tx[i]->q.active, false, memory_order_relaxed);
	}
	atomic_store(&d->faulted, true);
	wake(d);
}

void ring_fault(struct ring *v, const char *fmt, ...) {
	struct vhost_dev *d = v->dev;
	va_list ap;

	if (atomic_exchange(&d->fault_claimed, 1) != 0)
		return;
	va_start(ap, fmt);
	vsnprintf(d->fault, sizeof(d->fault), fmt, ap);
	va_end(ap);
	device_still(d);
}

/* A duplicate of what must be an eventfd. -1: none, or not one. */
static int eventfd_dup(int fd) {
	char link[64], name[32];
	ssize_t n;

	if (fd < 0)
		return -1;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, name, sizeof(name) - 1);
	if (n < 0)
		return -1;
	name[n] = '\0';
	if (strcmp(name, "anon_inode:[eventfd]") != 0)
		return -1;
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* Are the three areas of the ring where the library says, whole and aligned (virtio 1.2, 2.7, 2.8)? */
static bool ring_areas_hold(struct vhost_dev *d, unsigned idx, const struct rte_vhost_vring *rv,
	bool packed, bool event_idx) {
	const uint64_t n = rv->size, ev = event_idx ? 2 : 0;
	const struct {
		const void *p;
		uint64_t len, align;
	} area[3] = {
		{rv->desc, n * 16, 16},
		{rv->avail, packed ? 4 : 4 + 2 * n + ev, packed ? 4 : 2},
		{rv->used, packed ? 4 : 4 + 8 * n + ev, 4},
	};

	for (unsigned i = 0; i < 3; i++) {
		if (gmem_holds(&d->mem, area[i].p, area[i].len) &&
			(uintptr_t)area[i].p % area[i].align == 0)
			continue;
		if (atomic_exchange(&d->fault_claimed, 1) == 0)
			snprintf(d->fault, sizeof(d->fault),
				"queue %u: %s of a ring of %u is misaligned or outside guest "
				"memory",
				idx,
				i == 0   ? "the table"
				: i == 1 ? "the driver area"
					 : "the device area",
				rv->size);
		device_still(d);
		return false;
	}
	return true;
}

static unsigned receive_caps(uint64_t features) {
	static const struct {
		unsigned bit, cap;
	} map[] = {{VIRTIO_NET_F_GUEST_CSUM, CAP_CSUM}, {VIRTIO_NET_F_GUEST_TSO4, CAP_TSO4},
		{VIRTIO_NET_F_GUEST_TSO6, CAP_TSO6}, {VIRTIO_NET_F_GUEST_ECN, CAP_ECN},
		{VIRTIO_NET_F_GUEST_UFO, CAP_UFO}};
	unsigned caps = 0;

	for (unsigned i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (features >> map[i].bit & 1)
			caps |= map[i].cap;
	return caps;
}

/* Fills everything of the ring but the window. False: not to be started. */
static bool ring_describe(struct vhost_dev *d, unsigned idx, struct ring *v) {
	const uint64_t f = d->features;
	struct rte_vhost_vring rv;
	uint16_t avail = 0, used = 0;

	if (rte_vhost_get_vhost_vring(d->vid, idx, &rv) < 0 || rv.desc == NULL ||
		rv.avail == NULL || rv.used == NULL || rv.size == 0)
		return false;
	v->packed = f >> VIRTIO_F_RING_PACKED & 1;
	v->event_idx = f >> VIRTIO_RING_F_EVENT_IDX & 1;
	if (!ring_areas_hold(d, idx, &rv, v->packed, v->event_idx))
		return false;
	v->desc = rv.desc;
	v->avail = rv.avail;
	v->used = rv.used;
	v->size = rv.size;
	v->index = (uint16_t)idx;
	v->mem = &d->mem;
	v->dev = d;
	v->indirect = f >> VIRTIO_RING_F_INDIRECT_DESC & 1;
	v->mergeable = f >> VIRTIO_NET_F_MRG_RXBUF & 1;
	v->hdr_len = f & (1ull << VIRTIO_NET_F_MRG_RXBUF | 1ull << VIRTIO_F_VERSION_1 |
				 1ull << VIRTIO_F_RING_PACKED)
			     ? 12
			     : 10;
	v->caps = (uint8_t)receive_caps(f);
	v->len_max = d->port->mtu + 18u;
	v->signalled_valid = false;
	rte_vhost_get_vring_base(d->vid, idx, &avail, &used);
	// What is used is the truth: a switch that was killed left it so, and took nothing out of order.
	ring_set_base(v, v->packed ? avail : v->used->idx);
	if (v->packed && v->last_used >= v->size) {
		ring_fault(v, "queue %u: to go on at slot %u of a ring of %u", idx, v->last_used,
			v->size);
		return false;
	}
	if (v->packed)
		packed_recover(v); // else where the front end says
	v->callfd = rv.callfd < 0 ? -1 : eventfd_dup(rv.callfd);
	v->signalled = v->last_used;
	v->head = v->count = v->nsegs = v->staged = v->ntaken = 0;
	return true;
}

/* A front end that gives no descriptor says that it will not kick (VHOST_USER_VRING_NOFD_MASK); a
 * clock kicks in its place. The next tick comes only when the last was read: it wakes, and does not
 * disturb. */
static int clock_new(void) {
	const struct timespec tick = {.tv_nsec = VHOST_POLL_US * 1000};
	const struct itimerspec every = {tick, tick};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	if (fd >= 0)
		timerfd_settime(fd, 0, &every, NULL);
	return fd;
}

static bool kick_watch(struct vhost_rx *rx, int fd) {
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};

	rx->clocked = fd < 0;
	rx->kickfd = rx->clocked ? clock_new() : eventfd_dup(fd);
	return rx->kickfd >= 0 && epoll_ctl(rx->epfd, EPOLL_CTL_ADD, rx->kickfd, &ev) == 0;
}

static void update_pairs(struct vhost_dev *d) {
	unsigned n = 0;

	while (n < d->port->queues && d->started[2 * n] && d->started[2 * n + 1])
		n++;
	atomic_store(&d->port->active_pairs, (uint16_t)n);
	wake(d);
}

/* Who ran the ring before us may have been killed between giving buffers back and saying so; and the
 * worker may sleep, while the guest is told not to kick until the worker asked it to. */
static void wake_both(const struct ring *v, int kickfd) {
	if (v->callfd >= 0)
		call_guest(v->callfd);
	if (kickfd >= 0)
		call_guest(kickfd);
}

static void ring_start(struct vhost_dev *d, unsigned idx) {
	const unsigned pair = idx / 2;
	struct rte_vhost_vring rv = {.kickfd = -1};

	if (pair >= d->port->queues || d->started[idx] || !d->running || !d->ready[idx] ||
		atomic_load(&d->faulted))
		return;
	if (idx % 2 == 1) {
		struct vhost_rx *rx = d->rx[pair];

		rte_spinlock_lock(&rx->lock);
		if (ring_describe(d, idx, &rx->v)) {
			if (rte_vhost_get_vhost_vring(d->vid, (uint16_t)idx, &rv) == 0 &&
				!kick_watch(rx, rv.kickfd))
				ring_fault(&rx->v, "queue %u: %s", idx,
					rv.kickfd < 0 ? "no clock to be had for a guest that does "
							"not kick"
						      : "the kick descriptor is not an eventfd");
			ring_disarm(&rx->v);
			d->started[idx] = true;
			atomic_store(&rx->q.active, !atomic_load(&d->faulted));
			wake_both(&rx->v, rx->clocked ? -1 : rx->kickfd);
		}
		rte_spinlock_unlock(&rx->lock);
	} else {
		struct vhost_tx *tx = d->tx[pair];

		rte_spinlock_lock(&tx->q.lock);
		if (ring_describe(d, idx, &tx->v)) {
			if (tx->v.packed)
				tx->v.stage = calloc(tx->v.size, sizeof(tx->v.stage[0]));
			ring_disarm(&tx->v); // nobody waits for receive buffers
			d->started[idx] = true;
			atomic_store(&tx->q.active, !atomic_load(&d->faulted) &&
							    (!tx->v.packed || tx->v.stage != NULL));
			wake_both(&tx->v, -1);
		}
		rte_spinlock_unlock(&tx->q.lock);
	}
	update_pairs(d);
}

static void ring_fds_close(struct vhost_rx *rx, struct ring *v) {
	if (rx != NULL && rx->kickfd >= 0) {
		// Others hold the same eventfd open, so closing alone would not take it out.
		epoll_ctl(rx->epfd, EPOLL_CTL_DEL, rx->kickfd, NULL);
		close(rx->kickfd);
		rx->kickfd = -1;
		rx->clocked = false;
	}
	if (v->callfd >= 0)
		close(v->callfd);
	v->callfd = -1;
}

static void ring_stop(struct vhost_dev *d, unsigned idx) {
	const unsigned pair = idx / 2;
	struct vhost_rx *rx;
	struct ring *v;
	rte_spinlock_t *lock;

	if (pair >= d->port->queues || !d->started[idx])
		return;
	rx = idx % 2 == 1 ? d->rx[pair] : NULL;
	v = rx != NULL ? &rx->v : &d->tx[pair]->v;
	lock = rx != NULL ? &rx->lock : &d->tx[pair]->q.lock;
	atomic_store(rx != NULL ? &rx->q.active : &d->tx[pair]->q.active, false);
	rte_spinlock_lock(lock); // whoever is in a turn with it ends that first
	ring_unwind(v);
	rte_vhost_set_vring_base(d->vid, (uint16_t)idx, ring_base(v), ring_base(v));
	ring_fds_close(rx, v);
	free(v->stage);
	v->stage = NULL;
	d->started[idx] = false;
	rte_spinlock_unlock(lock);
	update_pairs(d);
}

static void rings_start(struct vhost_dev *d) {
	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++)
		ring_start(d, i);
}

static void rings_stop(struct vhost_dev *d) {
	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++)
		ring_stop(d, i);
}

static void memory_take(struct vhost_dev *d) {
	struct rte_vhost_memory *m = NULL;

	d->mem.n = 0;
	// The library does not look whether it has a table before it reads it.
	if (d->has_mem && rte_vhost_get_mem_table(d->vid, &m) == 0 && m != NULL) {
		for (unsigned i = 0; i < m->nregions && i < GMEM_REGIONS; i++)
			d->mem.r[d->mem.n++] =
				(struct gmem_region){.gpa = m->regions[i].guest_phys_addr,
					.size = m->regions[i].size,
					.hva = (uint8_t *)(uintptr_t)m->regions[i].host_user_addr};
	}
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

static enum rte_vhost_msg_result before_message(int vid, void *msg) {
	struct vhost_dev *d = device_of(vid);
	int ring = ring_changed(msg);

	if (d == NULL || ring < 0)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	pthread_mutex_lock(&d->mu);
	if (ring == VHOST_RINGS_MAX) {
		rings_stop(d);
		sigbus_forget(d);
		if (message_u32(msg) == MESSAGE_SET_MEM_TABLE ||
			message_u32(msg) == MESSAGE_RESET_OWNER)
			d->has_mem = false;
	} else {
		ring_stop(d, (unsigned)ring);
	}
	pthread_mutex_unlock(&d->mu);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static enum rte_vhost_msg_result after_message(int vid, void *msg) {
	struct vhost_dev *d = device_of(vid);
	int ring = ring_changed(msg);

	if (d == NULL || ring < 0)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	pthread_mutex_lock(&d->mu);
	if (ring == VHOST_RINGS_MAX) {
		if (message_u32(msg) == MESSAGE_SET_MEM_TABLE)
			d->has_mem = true; // only called when the library took it
		memory_take(d);
		rings_start(d);
	} else {
		ring_start(d, (unsigned)ring);
	}
	pthread_mutex_unlock(&d->mu);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
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
	d->mem.n = 0;
	d->vid = -1;
	d->features = 0;
	pthread_cond_broadcast(&d->gone);
	pthread_mutex_unlock(&d->mu);
	wake(d);
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
	if (fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(fd, 1) == 0)
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
