/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "port/tap.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <rte_cycles.h>
#include <systemd/sd-event.h>

#include "base/err.h"
#include "base/log.h"
#include "frame/offload.h"

/* TAP ports, the control thread's part.
 *
 * Whether a device is up is asked at open and whenever the kernel tells of a change, by whomever:
 * set down, moved to another namespace, removed. Workers see only `active`. A device that is gone
 * stays gone, also when another of its name comes: the port lets go of all it held, says so, and
 * waits to be opened anew. Of what others change, what the configuration sets is put right (MTU, and
 * down when `link: down` is wanted), and the rest is followed: name, namespace, up and down, carrier. A namespace that loses its name tells nobody; that is looked for when
 * somebody asks whether the port is gone. */

static struct tap *from_port(const struct port *p) {
	return tap_of_rx(p->rxq[0])->tap;
}

/* Takes the queues into or out of use; true when that changed something. */
static bool set_active(struct tap *t, bool active) {
	bool was = atomic_load(&t->q[0]->rx.active);

	for (unsigned i = 0; i < t->queues; i++) {
		struct tap_queue *tq = t->q[i];

		rte_spinlock_lock(&tq->tx.lock);
		atomic_store(&tq->tx.active, active);
		rte_spinlock_unlock(&tq->tx.lock);
		atomic_store(&tq->rx.active, active);
	}
	atomic_store(&t->port->active_pairs, active ? t->queues : 0);
	return was != active;
}

enum {
	/* After something was put right, nothing is for so long; longer when it has to be again soon. Two
	 * managers that disagree then cost a line in the log a minute, and no CPU. */
	RIGHTING_MIN_US = 1000 * 1000,
	RIGHTING_MAX_US = 64 * 1000 * 1000,
};

/* May something be put right now? Then the next wait begins. */
static bool righting_due(struct tap *t) {
	struct tap_righting *r = &t->righting;
	const uint64_t now = rte_rdtsc() / t->us, since = now - r->last_us;

	if (since < r->wait_us)
		return false;
	r->wait_us = since < 2 * r->wait_us ? 2 * r->wait_us : RIGHTING_MIN_US;
	if (r->wait_us > RIGHTING_MAX_US)
		r->wait_us = RIGHTING_MAX_US;
	r->last_us = now;
	return true;
}

/* What the configuration sets and somebody else changed. */
static void put_right(struct tap *t, const struct tap_dev_state *st) {
	const bool mtu = st->mtu != t->mtu, up = t->link_down && (st->flags & IFF_UP) != 0;
	const char *port = t->port->name;
	struct err e;

	if (st->hidden || (!mtu && !up) || !righting_due(t))
		return;
	if ((mtu && tap_dev_set_mtu(t, t->mtu, &e) < 0) ||
		(up && tap_dev_set_up(t, false, &e) < 0)) {
		if (!t->righting.failed)
			log_error("port %s: somebody changed its interface, and it cannot be put "
				  "right: %s; the port goes by its configuration",
				port, e.text);
		t->righting.failed = true;
		return;
	}
	t->righting.failed = false;
	if (mtu)
		log_warn("port %s: somebody set the MTU of %s to %u; it is %u again, as mtu: says",
			port, st->name, st->mtu, t->mtu);
	if (up)
		log_warn("port %s: somebody set %s up; it is down again, as link: says", port,
			st->name);
}

/* Whoever administers the namespace can do that in a loop. */
static void tell_followed(struct tap *t, const struct tap_dev_state *st, bool moved) {
	char port[PORT_NAME_MAX + 8];

	snprintf(port, sizeof(port), "port %s", t->port->name);
	if (strcmp(t->name, st->name) != 0)
		log_limited(
			LOG_L_INFO, port, "its interface %s is called %s now", t->name, st->name);
	if (moved != t->moved)
		log_limited(LOG_L_INFO, port, "its interface %s was moved %s", st->name,
			t->moved ? "to another network namespace"
				 : "back to its network namespace");
	memcpy(t->name, st->name, sizeof(t->name));
}

/* Why the port carries nothing, NULL: it can. */
static const char *idle_reason(
	const struct tap *t, const struct tap_dev_state *st, char *buf, size_t size) {
	if (t->link_down)
		return "its link is set down in the configuration";
	if ((st->flags & IFF_UP) == 0)
		snprintf(
			buf, size, "interface %s is down; `ip link set %s up`", st->name, st->name);
	else if (!st->carrier)
		snprintf(buf, size, "interface %s has no carrier; `ip link set %s carrier on`",
			st->name, st->name);
	else
		return NULL;
	return buf;
}

static bool refresh(struct tap *t) {
	const bool moved = t->moved;
	struct tap_dev_state st;
	char why[128];
	bool changed;

	if (t->gone)
		return false;
	t->gone = t->ns_gone || tap_dev_state(t, &st) < 0;
	changed = set_active(t, !t->gone && idle_reason(t, &st, why, sizeof(why)) == NULL);
	if (t->gone) {
		t->source = sd_event_source_disable_unref(t->source);
		tap_dev_let_go(t);
		return true;
	}
	tell_followed(t, &st, moved);
	put_right(t, &st);
	return changed;
}

/* Do the messages tell of our interface? */
static bool about_us(const struct tap *t, const struct nlmsghdr *h, ssize_t n) {
	for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
		const struct ifinfomsg *i = NLMSG_DATA(h);

		if ((h->nlmsg_type == RTM_NEWLINK || h->nlmsg_type == RTM_DELLINK) &&
			h->nlmsg_len >= NLMSG_LENGTH(sizeof(*i)) && i->ifi_index == t->ifindex)
			return true;
	}
	return n > 0; // cut off: it may have been
}

static int link_event(sd_event_source *s, int fd, uint32_t revents, void *arg) {
	const struct port_env *env = port_env_get();
	struct tap *t = arg;
	char buf[8192] __attribute__((aligned(NLMSG_ALIGNTO)));
	bool look = false;
	ssize_t n;

	// What they say of it does not matter: it is a reason to look. Lost messages (ENOBUFS) are one, too.
	while ((n = recv(fd, buf, sizeof(buf), 0)) >= 0 || errno == ENOBUFS || errno == EINTR)
		look |= n < 0 || about_us(t, (const struct nlmsghdr *)buf, n);
	if (look && refresh(t) && env->changed != NULL)
		env->changed(t->port, env->arg);
	return 0;
}

static void tap_free(struct tap *t) {
	for (unsigned i = 0; i < t->queues; i++) {
		if (t->q[i] == NULL)
			continue;
		tap_arena_free(t->q[i]->arena);
		free(t->q[i]);
	}
	free(t->netns);
	free(t);
}

static int add_queue(struct tap *t, unsigned i) {
	struct tap_queue *tq = aligned_alloc(64, sizeof(*tq));

	if (tq == NULL)
		return -ENOMEM;
	memset(tq, 0, sizeof(*tq));
	t->q[i] = tq;
	tq->tap = t;
	tq->fd = -1;
	tq->rx.port = tq->tx.port = t->port;
	tq->rx.index = tq->tx.index = (uint16_t)i;
	tq->rx.worker = -1;
	rte_spinlock_init(&tq->tx.lock);
	tq->arena = tap_arena_new();
	return tq->arena != NULL ? 0 : -ENOMEM;
}

static struct tap *tap_new(struct port *p, const struct port_spec *s) {
	struct tap *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->port = p;
	t->link_down = s->link_down;
	t->mtu = s->mtu;
	t->existing = s->existing;
	t->us = rte_get_tsc_hz() / 1000000;
	t->queues = s->queues;
	snprintf(t->ifname, sizeof(t->ifname), "%s", s->path);
	if (s->netns != NULL && (t->netns = strdup(s->netns)) == NULL)
		goto fail;
	for (unsigned i = 0; i < t->queues; i++)
		if (add_queue(t, i) < 0)
			goto fail;
	return t;
fail:
	tap_free(t);
	return NULL;
}

static int set_device(struct tap *t, const struct port_spec *s, struct err *e) {
	int rc = tap_dev_set_mtu(t, s->mtu, e);

	return rc < 0 ? rc : tap_dev_set_up(t, !s->link_down, e);
}

static int tap_open(struct port *p, const struct port_spec *s, struct err *e) {
	sd_event *loop = port_env_get()->loop;
	struct tap *t;
	int rc;

	rc = tap_check_name(s->path != NULL ? s->path : "", e);
	if (rc < 0)
		return rc;
	t = tap_new(p, s);
	if (t == NULL)
		return err_set(e, ENOMEM, "no memory for %u TAP queues", (unsigned)s->queues);
	rc = tap_dev_open(t, loop != NULL, e);
	if (rc < 0)
		goto fail;
	rc = set_device(t, s, e);
	if (rc == 0 && loop != NULL) {
		rc = sd_event_add_io(loop, &t->source, t->events, POLLIN, link_event, t);
		if (rc < 0)
			err_set(e, -rc, "cannot watch the TAP device: %s", strerror(-rc));
	}
	if (rc < 0) {
		tap_dev_close(t);
		goto fail;
	}
	for (unsigned i = 0; i < t->queues; i++) {
		atomic_store(&t->q[i]->tx.caps, (uint8_t)t->caps);
		p->rxq[i] = &t->q[i]->rx;
		p->txq[i] = &t->q[i]->tx;
	}
	refresh(t);
	return 0;
fail:
	tap_free(t);
	return rc;
}

static int tap_set(struct port *p, const struct port_spec *s, struct err *e) {
	struct tap *t = from_port(p);
	bool same_ns = s->netns == NULL || t->netns == NULL ? s->netns == t->netns
							    : strcmp(s->netns, t->netns) == 0;
	int rc;

	if (s->path == NULL || strcmp(s->path, t->ifname) != 0 || !same_ns)
		return err_set(e, ENOTSUP,
			"interface and namespace of a TAP port do not change while it "
			"runs; it must be reopened");
	rc = set_device(t, s, e);
	if (rc < 0) {
		tap_dev_set_mtu(t, p->mtu, NULL);
		return rc;
	}
	t->link_down = s->link_down;
	t->mtu = s->mtu;
	refresh(t);
	return 0;
}

static void tap_close(struct port *p) {
	struct tap *t = from_port(p);

	sd_event_source_disable_unref(t->source);
	tap_dev_close(t);
	tap_free(t);
}

static void add_word(struct port_status *out, bool on, const char *word) {
	size_t n = strlen(out->features);

	if (on)
		snprintf(out->features + n, sizeof(out->features) - n, "%s%s", n > 0 ? " " : "",
			word);
}

static void tap_status(struct port *p, struct port_status *out) {
	struct tap *t = from_port(p);
	struct tap_dev_state st;
	const char *why;

	add_word(out, true, "vnet-hdr");
	add_word(out, t->caps & CAP_CSUM, "csum");
	add_word(out, t->caps & CAP_TSO4, "tso4");
	add_word(out, t->caps & CAP_TSO6, "tso6");
	add_word(out, t->caps & CAP_ECN, "ecn");
	add_word(out, t->multi_queue, "multi-queue");
	add_word(out, !t->created, "existing");
	snprintf(out->peer, sizeof(out->peer), "%s%.60s%s", t->netns != NULL ? "netns " : "kernel",
		t->netns != NULL ? t->netns : "", t->moved ? ", moved elsewhere" : "");
	out->state = PORT_DOWN;
	if (t->ns_gone) {
		snprintf(
			out->reason, sizeof(out->reason), "network namespace %s is gone", t->netns);
		return;
	}
	if (tap_dev_state(t, &st) < 0) {
		snprintf(out->reason, sizeof(out->reason), "interface %s was removed", t->ifname);
		return;
	}
	memcpy(out->interface, st.name, sizeof(out->interface));
	why = idle_reason(t, &st, out->reason, sizeof(out->reason));
	if (why == NULL)
		out->state = PORT_UP;
	else if (why != out->reason)
		snprintf(out->reason, sizeof(out->reason), "%s", why);
}

static bool tap_gone(struct port *p, bool *existed) {
	struct tap *t = from_port(p);

	t->ns_gone |= !t->gone && tap_dev_ns_gone(t);
	refresh(t);
	*existed = !t->created;
	return t->gone;
}

const struct port_ops tap_port_ops = {
	.kind = "tap",
	.steps = 5, // a system call is more than five copies; so many that a batch of 64 is a turn
	.open = tap_open,
	.set = tap_set,
	.close = tap_close,
	.status = tap_status,
	.gone = tap_gone,
	.rx = tap_rx,
	.rx_keep = tap_rx_keep,
	.rx_done = tap_rx_done,
	.rx_end = tap_rx_end,
	.tx_begin = tap_tx_begin,
	.tx = tap_tx,
	.tx_publish = tap_tx_publish,
	.tx_end = tap_tx_end,
	.arm = tap_arm,
	.disarm = tap_disarm,
	.fd = tap_fd,
};
