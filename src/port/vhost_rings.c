/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_net.h>
#include <rte_vhost.h>

#include "base/passed.h"
#include "frame/offload.h"
#include "port/vhost.h"

/* Rings are given to the workers and taken from them, with the device's mutex held.
 *
 * A ring starts when the library calls it ready: where it lies is looked at once more, now in our own
 * addresses, its position and its descriptors are taken, and the worker is woken. It stops under its lock,
 * so that at most one batch is waited for; what was begun is undone, and its position told to the
 * library. A fault stills all rings of the device at once, from any thread. */

void device_wake(struct vhost_dev *d) {
	uint64_t one = 1;

	(void)!write(d->wake, &one, sizeof(one));
}

void device_still(struct vhost_dev *d) {
	for (unsigned i = 0; i < d->port->queues; i++) {
		atomic_store_explicit(&d->rx[i]->q.active, false, memory_order_relaxed);
		atomic_store_explicit(&d->tx[i]->q.active, false, memory_order_relaxed);
	}
	atomic_store(&d->faulted, true);
	device_wake(d);
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

void device_fault(struct vhost_dev *d, const char *text) {
	if (atomic_exchange(&d->fault_claimed, 1) != 0)
		return;
	snprintf(d->fault, sizeof(d->fault), "%s", text);
	device_still(d);
}

/* A duplicate of what must be an eventfd. -1: none, or not one. */
static int eventfd_dup(int fd) {
	return passed_is_eventfd(fd) ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
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

/* Fills everything of the ring, with an empty window. False: not to be started. */
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
	ring_unwind(v);
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
	device_wake(d);
}

/* Who ran the ring before us may have been killed between giving buffers back and saying so; and the
 * worker may sleep, while the guest is told not to kick until the worker asked it to. */
static void wake_both(const struct ring *v, int kickfd) {
	if (v->callfd >= 0)
		call_guest(v->callfd);
	if (kickfd >= 0)
		call_guest(kickfd);
}

void ring_start(struct vhost_dev *d, unsigned idx) {
	const unsigned pair = idx / 2;
	struct rte_vhost_vring rv = {.kickfd = -1};

	// Without memory: while a message changes it. Rings start again when that is over.
	if (pair >= d->port->queues || d->started[idx] || !d->running || !d->ready[idx] ||
		d->mem.n == 0 || atomic_load(&d->faulted))
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
			rx->q.resume = 0; // of the ring before
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
			const bool scarce = tx->v.packed && tx->v.stage == NULL;

			if (scarce)
				ring_fault(&tx->v, "queue %u: no memory for a packed ring", idx);
			ring_disarm(&tx->v); // nobody waits for receive buffers
			atomic_store(&tx->q.caps, tx->v.caps);
			d->started[idx] = true;
			atomic_store(&tx->q.active, !scarce && !atomic_load(&d->faulted));
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

void ring_stop(struct vhost_dev *d, unsigned idx) {
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

void rings_start(struct vhost_dev *d) {
	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++)
		ring_start(d, i);
}

void rings_stop(struct vhost_dev *d) {
	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++)
		ring_stop(d, i);
}
