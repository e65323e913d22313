/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Frames of a TAP's user side: what is sent here arrives at the interface, as from a VM behind it. One
 * system call a frame. A TAP that was not there is made and goes with us; it has one queue, shared by
 * all send queues, which the kernel locks by itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/err.h"
#include "base/netns.h"
#include "bench/frames/frame_port.h"
#include "host/netlink/link.h"
#include "port/tap.h"

enum { RX_ROOM = 2048 }; /* the rest of a longer frame is not looked at */

struct tap_end {
	struct tap tap;
	struct tap_queue q;
	uint8_t header[TAP_VNET_HDR]; /* all zero: nothing is left to do */
	unsigned room;
	uint8_t *tx[FRAME_QUEUES_MAX], *rx, *rest;
};

static void tap_end_close(struct frame_port *p) {
	struct tap_end *k = p->own;

	if (k->tap.queues > 0)
		tap_dev_close(&k->tap);
	for (unsigned i = 0; i < FRAME_QUEUES_MAX; i++)
		free(k->tx[i]);
	free(k->rx);
	free(k->rest);
	free(k->tap.netns);
	free(k);
}

/* One that is there may have several names; one that is made gets the one that it is given. */
static int name_device(struct tap_end *k, const char *name, struct err *e) {
	int back, rc = netns_enter(k->tap.netns, &back, e);

	if (rc < 0)
		return rc;
	rc = link_find(name, k->tap.ifname);
	netns_leave(back);
	if (rc > 0)
		return 0;
	if (strlen(name) >= sizeof(k->tap.ifname))
		return err_set(e, EINVAL,
			"there is no interface '%s', and one that is made has a name of at most "
			"%zu characters",
			name, sizeof(k->tap.ifname) - 1);
	strcpy(k->tap.ifname, name);
	return 0;
}

static int open_device(struct tap_end *k, const char *name, unsigned frame_max, struct err *e) {
	struct tap_dev_state st;
	int rc = name_device(k, name, e);

	if (rc < 0)
		return rc;
	k->tap.q[0] = &k->q;
	k->tap.queues = 1;
	rc = tap_dev_open(&k->tap, false, e);
	if (rc < 0) {
		k->tap.queues = 0;
		return rc;
	}
	// A guest of 1500 bytes needs no say in the MTU; longer frames do, when the device is ours.
	rc = tap_dev_state(&k->tap, &st);
	if (rc < 0)
		return err_set(e, -rc, "the device is gone");
	if (frame_max > st.mtu + 14 && !k->tap.created)
		return err_set(e, EMSGSIZE,
			"its MTU of %u carries frames up to %u bytes, %u are wanted", st.mtu,
			st.mtu + 14, frame_max);
	if (frame_max > st.mtu + 14)
		rc = tap_dev_set_mtu(&k->tap, frame_max - 14, e);
	return rc == 0 ? tap_dev_set_up(&k->tap, true, e) : rc;
}

static int tap_end_open(struct frame_port *p, const char *rest, struct err *e) {
	struct tap_end *k = calloc(1, sizeof(*k));
	bool ok = k != NULL;
	const char *name;
	int rc;

	if (k == NULL)
		return err_set(e, ENOMEM, "out of memory");
	p->own = k;
	k->room = p->want.frame_max;
	rc = frame_split_ns(rest, &k->tap.netns, &name, e);
	if (rc == 0)
		rc = open_device(k, name, p->want.frame_max, e);
	for (unsigned i = 0; i < p->want.queues; i++)
		ok = (k->tx[i] = calloc(FRAME_BATCH, k->room)) != NULL && ok;
	k->rx = malloc(FRAME_BATCH * RX_ROOM);
	k->rest = malloc(UINT16_MAX);
	if (rc == 0 && (!ok || k->rx == NULL || k->rest == NULL))
		rc = err_set(e, ENOMEM, "out of memory");
	if (rc < 0)
		tap_end_close(p);
	return rc;
}

static unsigned tap_end_lend(
	struct frame_port *p, unsigned queue, struct frame_batch *b, unsigned n) {
	struct tap_end *k = p->own;

	for (unsigned i = 0; i < n; i++)
		b->data[i] = k->tx[queue] + (size_t)i * k->room;
	return n;
}

static int tap_end_send(struct frame_port *p, unsigned queue, struct frame_batch *b, unsigned n) {
	struct tap_end *k = p->own;

	for (unsigned i = 0; i < n; i++) {
		struct iovec iov[] = {
			{k->header, sizeof(k->header)},
			{b->data[i], b->len[i]},
		};

		if (writev(k->q.fd, iov, 2) >= 0)
			continue;
		if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM)
			return (int)i;
		return -errno;
	}
	return (int)n;
}

static int tap_end_receive(struct frame_port *p, struct frame_batch *b) {
	struct tap_end *k = p->own;
	int n = 0;

	while (n < FRAME_BATCH) {
		uint8_t header[TAP_VNET_HDR], *to = k->rx + (size_t)n * RX_ROOM;
		struct iovec iov[] = {
			{header, sizeof(header)}, {to, RX_ROOM}, {k->rest, UINT16_MAX}};
		ssize_t got = readv(k->q.fd, iov, 3);

		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return n > 0 ? n : -errno;
		if (got < (ssize_t)sizeof(header))
			break;
		b->data[n] = to;
		b->len[n++] = (uint16_t)(got - (ssize_t)sizeof(header));
	}
	return n;
}

static void tap_end_release(struct frame_port *p, struct frame_batch *b, unsigned n) {
}

static uint64_t tap_end_missed(struct frame_port *p) {
	return 0; // the device counts them as its own tx_dropped, with those of before
}

static int tap_end_check(struct frame_port *p) {
	struct tap_end *k = p->own;
	struct tap_dev_state st;

	if (tap_dev_state(&k->tap, &st) < 0)
		return -ENODEV;
	return st.flags & IFF_UP ? 0 : -ENETDOWN;
}

const struct frame_kind frame_tap = {
	.prefix = "tap",
	.form = "tap:[NS/]NAME",
	.open = tap_end_open,
	.close = tap_end_close,
	.lend = tap_end_lend,
	.send = tap_end_send,
	.receive = tap_end_receive,
	.release = tap_end_release,
	.missed = tap_end_missed,
	.check = tap_end_check,
};
