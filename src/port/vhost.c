/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "port/vhost.h"

#include <errno.h>
#include <glob.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/virtio_net.h>
#include <rte_vhost.h>
#include <systemd/sd-event.h>

#include "base/closer.h"
#include "base/err.h"
#include "base/log.h"
#include "base/pages.h"
#include "frame/offload.h"

/* The vhost-user kind: what workers and the control thread call. The path of a frame is in
 * ring_pull.c and ring_put.c, the life of a connection in vhost_door.c and vhost_device.c. */

#define container(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

// Queues of all ports; control thread only.
static struct pages_pool rx_pool = {.block = sizeof(struct vhost_rx)};
static struct pages_pool tx_pool = {.block = sizeof(struct vhost_tx)};

static struct vhost_rx *rx_of(struct rxq *q) {
	return container(q, struct vhost_rx, q);
}

static struct vhost_tx *tx_of(struct txq *t) {
	return container(t, struct vhost_tx, q);
}

static struct vhost_dev *dev_of(const struct port *p) {
	return rx_of(p->rxq[0])->v.dev;
}

static unsigned vhost_rx(struct rxq *q, struct batch *b, unsigned budget) {
	struct vhost_rx *rx = rx_of(q);
	unsigned n = 0;

	// Taken by the library's thread only while it starts or stops the ring: no use in waiting.
	if (!rte_spinlock_trylock(&rx->lock))
		return 0;
	if (atomic_load_explicit(&q->active, memory_order_relaxed))
		n = ring_pull(&rx->v, b, budget);
	if (n == 0)
		rte_spinlock_unlock(&rx->lock);
	return n;
}

static void vhost_rx_keep(struct rxq *q, struct batch *b, unsigned from) {
	ring_keep(&rx_of(q)->v, from);
}

static void vhost_rx_done(struct rxq *q, struct batch *b) {
	struct ring *v = &rx_of(q)->v;

	if (v->ntaken > 0) // not when all was kept
		ring_return(v);
}

static void vhost_rx_end(struct rxq *q) {
	struct vhost_rx *rx = rx_of(q);

	if (__builtin_expect(ring_wants_call(&rx->v), 0))
		call_guest(rx->v.callfd);
	rte_spinlock_unlock(&rx->lock);
}

static bool vhost_tx_begin(struct txq *t) {
	// No lock for a ring that is not there: one that is just being started or stopped holds nobody up.
	if (!atomic_load_explicit(&t->active, memory_order_relaxed))
		return false;
	rte_spinlock_lock(&t->lock);
	if (atomic_load_explicit(&t->active, memory_order_relaxed))
		return true;
	rte_spinlock_unlock(&t->lock);
	return false;
}

/* Does the guest offer no buffer at all? Asked before anything is computed for it. */
static bool tx_full(struct vhost_tx *tx) {
	ring_fill(&tx->v, 1);
	return tx->v.count == 0;
}

/* Computes the checksum, of a copy: other receivers of a flood may take the request as it is. */
static enum drop tx_checksum(struct vhost_tx *tx, const struct frame *f, uint32_t tag) {
	uint8_t head[FRAME_HEAD_MAX];
	struct frame copy = *f;

	memcpy(head, f->head, f->head_len);
	copy.head = head;
	offload_csum(&copy);
	tx->q.c.checksummed++;
	return ring_put(&tx->v, &copy, tag);
}

/* Cuts the frame into segments. The first that does not fit ends it: there will be no room for those
 * behind it either, and TCP sends them again. */
static enum drop tx_segments(struct vhost_tx *tx, const struct frame *f, uint32_t tag) {
	struct tx_counters *c = &tx->q.c;
	struct frame segment;
	struct gso g;

	if (f->flags & FRAME_UNCUT)
		return DROP_SEGMENT_LIMIT;
	if (gso_begin(&g, f) == 0)
		return g.why;
	c->segmented++;
	while (gso_next(&g, &segment)) {
		enum drop why = segment.len > tx->v.len_max ? DROP_TOO_BIG
							    : ring_put(&tx->v, &segment, tag);

		if (why != DROP_NONE)
			return why;
		c->frames++;
		c->bytes += segment.len;
	}
	return g.why;
}

/* A frame that asks for what this guest did not negotiate. */
static __attribute__((noinline)) void tx_complete(
	struct vhost_tx *tx, const struct frame *f, uint32_t tag) {
	const bool gso = f->ol.gso_type != VIRTIO_NET_HDR_GSO_NONE;
	struct tx_counters *c = &tx->q.c;
	enum drop why = tx_full(tx) ? DROP_RING_FULL
			: gso       ? tx_segments(tx, f, tag)
				    : tx_checksum(tx, f, tag);

	if (why != DROP_NONE) {
		c->drops[why]++;
	} else if (!gso) {
		c->frames++;
		c->bytes += f->len;
	}
}

/* One frame that is not plain. */
static __attribute__((noinline)) void tx_one(struct vhost_tx *tx, struct frame *f, uint32_t tag) {
	struct tx_counters *c = &tx->q.c;
	enum drop why = DROP_TOO_BIG;

	if (offload_any(&f->ol) && !offload_fits(f, tx->v.caps)) {
		tx_complete(tx, f, tag);
		return;
	}
	if (f->len <= tx->v.len_max || f->ol.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		why = ring_put(&tx->v, f, tag);
	if (why != DROP_NONE) {
		c->drops[why]++;
		return;
	}
	c->frames++;
	c->bytes += f->len;
}

static void vhost_tx(struct txq *t, const struct tx_item *it, unsigned n) {
	struct vhost_tx *tx = tx_of(t);

	while (n > 0) {
		unsigned plain;

		ring_fill(&tx->v, n);
		plain = ring_put_plain(&tx->v, it, n, &t->c.bytes);
		t->c.frames += plain;
		it += plain;
		n -= plain;
		if (n == 0)
			return;
		tx_one(tx, it->f, it->tag);
		it++;
		n--;
	}
}

static void vhost_tx_publish(struct txq *t) {
	ring_publish(&tx_of(t)->v);
}

static void vhost_tx_end(struct txq *t) {
	struct vhost_tx *tx = tx_of(t);

	if (__builtin_expect(ring_wants_call(&tx->v), 0)) {
		call_guest(tx->v.callfd);
		t->c.notifications++;
	}
	rte_spinlock_unlock(&t->lock);
}

static bool vhost_arm(struct rxq *q) {
	struct vhost_rx *rx = rx_of(q);
	bool some = false;

	if (!rte_spinlock_trylock(&rx->lock))
		return true; // being started or stopped: look again
	if (atomic_load_explicit(&q->active, memory_order_relaxed))
		some = ring_arm(&rx->v);
	rte_spinlock_unlock(&rx->lock);
	return some;
}

static void vhost_disarm(struct rxq *q) {
	struct vhost_rx *rx = rx_of(q);
	struct epoll_event ev;
	uint64_t ticks;

	if (!rte_spinlock_trylock(&rx->lock))
		return;
	if (atomic_load_explicit(&q->active, memory_order_relaxed))
		ring_disarm(&rx->v);
	// Not read(): the guest could have emptied it and made it blocking.
	(void)!epoll_wait(rx->epfd, &ev, 1, 0);
	if (rx->clocked)
		(void)!read(rx->kickfd, &ticks, sizeof(ticks));
	rte_spinlock_unlock(&rx->lock);
}

static int vhost_fd(struct rxq *q) {
	return rx_of(q)->epfd;
}

/* A fault, or rings came or went: on the control thread. */
static int on_wake(sd_event_source *s, int fd, uint32_t revents, void *arg) {
	const struct port_env *env = port_env_get();
	struct vhost_dev *d = arg;
	char text[192];
	uint64_t n;

	(void)!read(fd, &n, sizeof(n));
	if (atomic_load(&d->faulted) && !d->shut) {
		if (atomic_load(&d->shrunk))
			snprintf(text, sizeof(text),
				"the guest's memory file became shorter than its memory table "
				"says");
		else
			memcpy(text, d->fault, sizeof(text));
		door_detach(d, text);
	}
	if (env->changed != NULL)
		env->changed(d->port, env->arg);
	return 0;
}

static void dev_free(struct vhost_dev *d) {
	for (unsigned i = 0; i < QUEUES_MAX; i++) {
		if (d->rx[i] != NULL && d->rx[i]->epfd >= 0)
			close(d->rx[i]->epfd);
		pages_give(&rx_pool, d->rx[i]);
		pages_give(&tx_pool, d->tx[i]);
	}
	sd_event_source_disable_unref(d->on_wake);
	if (d->wake >= 0)
		close(d->wake);
	closer_owner_free(d->owner);
	pthread_cond_destroy(&d->gone);
	pthread_mutex_destroy(&d->mu);
	free(d);
}

static struct vhost_dev *dev_new(struct port *p) {
	struct vhost_dev *d = calloc(1, sizeof(*d));
	char what[PORT_NAME_MAX + 8];

	if (d == NULL)
		return NULL;
	snprintf(what, sizeof(what), "port %s", p->name);
	d->owner = closer_owner_new(what, door_hangs, d);
	d->port = p;
	d->vid = -1;
	d->door.front = d->door.back = -1;
	pthread_mutex_init(&d->mu, NULL);
	pthread_cond_init(&d->gone, NULL);
	d->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (unsigned i = 0; i < p->queues; i++) {
		struct vhost_rx *rx = d->rx[i] = pages_take(&rx_pool);
		struct vhost_tx *tx = d->tx[i] = pages_take(&tx_pool);

		if (rx != NULL)
			rx->epfd = -1; // what dev_free looks at
		if (rx == NULL || tx == NULL)
			goto fail;
		memset(rx, 0, offsetof(struct vhost_rx, v.win)); // windows are touched when used
		memset(tx, 0, offsetof(struct vhost_tx, v.win));
		rx->v.dev = tx->v.dev = d;
		rx->v.callfd = tx->v.callfd = rx->kickfd = -1;
		rx->epfd = epoll_create1(EPOLL_CLOEXEC);
		rx->q.port = tx->q.port = p;
		rx->q.index = tx->q.index = (uint16_t)i;
		rx->q.worker = -1;
		p->rxq[i] = &rx->q;
		p->txq[i] = &tx->q;
		if (rx->epfd < 0)
			goto fail;
	}
	if (d->wake < 0 || d->owner == NULL)
		goto fail;
	return d;
fail:
	dev_free(d);
	return NULL;
}

static int vhost_open(struct port *p, const struct port_spec *s, struct err *e) {
	const struct port_env *env = port_env_get();
	struct vhost_dev *d = dev_new(p);
	int rc;

	if (d == NULL)
		return err_set(e, ENOMEM, "no memory or descriptors for %u queue pairs", p->queues);
	sigbus_install();
	call_init();
	rc = closer_open(env->loop, e);
	if (rc < 0) {
		dev_free(d);
		return rc;
	}
	rc = sd_event_add_io(env->loop, &d->on_wake, d->wake, EPOLLIN, on_wake, d);
	if (rc >= 0)
		rc = door_open(d, s, e);
	else
		rc = err_set(e, -rc, "the event loop takes no more descriptors");
	if (rc < 0) {
		dev_free(d);
		closer_end();
	}
	return rc;
}

static int vhost_set(struct port *p, const struct port_spec *s, struct err *e) {
	struct vhost_dev *d = dev_of(p);

	if (strcmp(s->path, d->door.path) != 0 || s->any_memory != d->door.any_memory ||
		s->client != d->door.client || s->mtu != p->mtu ||
		strcmp(s->group != NULL ? s->group : "", d->door.group) != 0)
		return err_set(e, ENOTSUP,
			"path, mode, group, memory and mtu of a vhost-user port need it reopened");
	return door_set_link(d, s->link_down, e);
}

static void vhost_close(struct port *p) {
	struct vhost_dev *d = dev_of(p);

	door_close(d);
	dev_free(d);
	closer_end();
}

_Static_assert(
	CLOSER_OWNERS > (int)PORTS_MAX, "each port can make a closer hang, and the others' go on");

/* Who wrote past the end of a port's rings may have written anything anywhere: nothing that goes on from
 * there can be trusted, and another port's guest would read it. */
static void vhost_look(struct port *p) {
	struct vhost_dev *d = dev_of(p);

	for (unsigned i = 0; i < p->queues; i++) {
		if (pages_intact(&rx_pool, d->rx[i]) && pages_intact(&tx_pool, d->tx[i]))
			continue;
		log_error("port %s: memory behind the rings of queue pair %u was written over; "
			  "weir ends before more is spoilt, and is to be started again",
			p->name, i);
		abort();
	}
	door_look(d);
}

static void feature_words(uint64_t f, char *out, size_t size) {
	static const struct {
		unsigned bit;
		const char *word;
	} words[] = {
		{VIRTIO_F_VERSION_1, "version-1"},
		{VIRTIO_F_RING_PACKED, "packed"},
		{VIRTIO_F_IN_ORDER, "in-order"},
		{VIRTIO_RING_F_INDIRECT_DESC, "indirect"},
		{VIRTIO_RING_F_EVENT_IDX, "event-idx"},
		{VIRTIO_NET_F_MRG_RXBUF, "mrg-rxbuf"},
		{VIRTIO_NET_F_MQ, "mq"},
		{VIRTIO_NET_F_MTU, "mtu"},
		{VIRTIO_NET_F_CSUM, "csum"},
		{VIRTIO_NET_F_HOST_TSO4, "tso4"},
		{VIRTIO_NET_F_HOST_TSO6, "tso6"},
		{VIRTIO_NET_F_HOST_ECN, "ecn"},
		{VIRTIO_NET_F_HOST_UFO, "ufo"},
		{VIRTIO_NET_F_GUEST_CSUM, "guest-csum"},
		{VIRTIO_NET_F_GUEST_TSO4, "guest-tso4"},
		{VIRTIO_NET_F_GUEST_TSO6, "guest-tso6"},
		{VIRTIO_NET_F_GUEST_ECN, "guest-ecn"},
		{VIRTIO_NET_F_GUEST_UFO, "guest-ufo"},
	};
	size_t n = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (f >> words[i].bit & 1 && n < size)
			n += (size_t)snprintf(
				out + n, size - n, "%s%s", n > 0 ? " " : "", words[i].word);
}

/* No queue runs, and nothing is wrong: what is waited for. */
static void waits(const struct vhost_dev *d, char *out, size_t size) {
	const char *nobody = d->door.client ? "nobody listens at the socket"
					    : "nobody has connected to the socket";
	char how[150];

	if (d->door.front >= 0) {
		session_waits(&d->door.session, out, size);
	} else if (d->attaches == 0) {
		snprintf(out, size, "%s yet", nobody);
	} else {
		session_left(&d->door.session, how, sizeof(how));
		snprintf(out, size, "%s again%s", nobody, how);
	}
}

static void vhost_status(struct port *p, struct port_status *out) {
	struct vhost_dev *d = dev_of(p);

	pthread_mutex_lock(&d->mu);
	feature_words(d->features, out->features, sizeof(out->features));
	for (unsigned i = 0; i < p->queues && out->ring_size == 0; i++)
		if (d->started[2 * i + 1])
			out->ring_size = d->rx[i]->v.size;
	pthread_mutex_unlock(&d->mu);
	memcpy(out->peer, d->peer, sizeof(out->peer));
	out->reconnects = d->attaches > 0 ? d->attaches - 1 : 0;
	out->shuts = d->shuts;
	if (d->door.link_down) {
		out->state = PORT_DOWN;
		snprintf(out->reason, sizeof(out->reason), "link: down is configured");
	} else if (d->shut) {
		out->state = PORT_SHUT;
		memcpy(out->reason, d->reason, sizeof(out->reason));
	} else if (out->active_pairs > 0) {
		out->state = PORT_UP;
	} else if (d->door.listener.missed) {
		out->state = PORT_DOWN;
		snprintf(out->reason, sizeof(out->reason), "%.*s", (int)sizeof(out->reason) - 1,
			d->door.listener.why.text);
	} else {
		out->state = PORT_WAITING;
		waits(d, out->reason, sizeof(out->reason));
	}
}

const struct port_ops vhost_port_ops = {
	.kind = "vhost-user",
	.steps = 1,
	.open = vhost_open,
	.set = vhost_set,
	.close = vhost_close,
	.status = vhost_status,
	.look = vhost_look,
	.rx = vhost_rx,
	.rx_keep = vhost_rx_keep,
	.rx_done = vhost_rx_done,
	.rx_end = vhost_rx_end,
	.tx_begin = vhost_tx_begin,
	.tx = vhost_tx,
	.tx_publish = vhost_tx_publish,
	.tx_end = vhost_tx_end,
	.arm = vhost_arm,
	.disarm = vhost_disarm,
	.fd = vhost_fd,
};
