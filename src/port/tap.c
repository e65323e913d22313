/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "port/tap.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <systemd/sd-event.h>

#include "base/err.h"
#include "frame/offload.h"

/* TAP ports: the kernel at the other end, a frame a system call.
 *
 * Each frame comes and goes behind a struct virtio_net_hdr (virtio 1.2, 5.1.6; 12 bytes, little
 * endian), which is how checksums and segmentation are left to whoever can do them: the kernel
 * hands us TCP frames of up to 64 KiB and takes them back.
 *
 * In: one readv scatters a frame into three places, the header, the private head in the batch's
 * room and the rest in the queue's arena, so nothing is copied a second time. Frames lie in the
 * arena one behind the other: a batch of short ones stays within a few pages. The arena belongs to
 * the batch until the next rx, so rx_done has nothing to return.
 *
 * Out: one writev of what was judged (the private head, with the tag put in) and of the payload
 * straight out of the sender's memory. The kernel copies it once and runs the frame up its stack
 * before the call returns. There is nothing that could be published later, so tx delivers at once;
 * a switch killed between tx and rx_done may repeat these frames, which a wire may do as well, while
 * the other order could lose them.
 *
 * Whether a device is up is asked by the control thread, at open and whenever the kernel tells of a
 * change; workers see only `active`. Source: kernel Documentation/networking/tuntap.rst. */

enum {
	ETH_TAGGED_MAX = 18, /* Ethernet header and tag: what a frame may have beyond the MTU */
	MACS_LEN = 12,
	TAG_LEN = 4,
};

_Static_assert(sizeof(struct virtio_net_hdr_v1) == TAP_VNET_HDR, "header size");
_Static_assert(
	TAP_HEAD >= (int)FRAME_HEAD_FIRST && TAP_HEAD <= (int)FRAME_HEAD_MAX, "private head");
_Static_assert(TAP_ARENA >= (int)FRAME_LEN_MAX, "a frame fits the arena");

static struct tap_queue *from_rx(struct rxq *q) {
	return (struct tap_queue *)((char *)q - offsetof(struct tap_queue, rx));
}

static struct tap_queue *from_tx(struct txq *t) {
	return (struct tap_queue *)((char *)t - offsetof(struct tap_queue, tx));
}

static struct tap *from_port(const struct port *p) {
	return from_rx(p->rxq[0])->tap;
}

/* The longest frame that is not to be segmented. */
static unsigned frame_limit(const struct port *p) {
	return __atomic_load_n(&p->mtu, __ATOMIC_RELAXED) + (unsigned)ETH_TAGGED_MAX;
}

/* ---- in ---- */

static void ol_from_hdr(struct offload *ol, const struct virtio_net_hdr_v1 *h) {
	ol->flags = h->flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID);
	ol->gso_type = h->gso_type;
	ol->hdr_len = le16toh(h->hdr_len);
	ol->gso_size = le16toh(h->gso_size);
	ol->csum_start = le16toh(h->csum_start);
	ol->csum_offset = le16toh(h->csum_offset);
}

static enum drop judge(struct frame *f, unsigned limit, const uint8_t *room_end) {
	if (f->len < FRAME_LEN_MIN)
		return DROP_RUNT;
	if (f->ol.gso_type == VIRTIO_NET_HDR_GSO_NONE && f->len > limit)
		return DROP_OVERSIZE;
	if ((f->ol.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0 && f->ol.gso_type == 0)
		return DROP_NONE;
	return offload_check(f, room_end);
}

static unsigned tap_rx(struct rxq *q, struct batch *b, unsigned budget) {
	struct tap_queue *tq = from_rx(q);
	unsigned limit = frame_limit(q->port);
	uint32_t used = 0;

	b->n = b->nsegs = 0;
	b->bytes = 0;
	while (b->n < budget && used + FRAME_LEN_MAX <= TAP_ARENA) {
		struct frame *f = &b->f[b->n];
		uint8_t *room = b->room[b->n];
		struct virtio_net_hdr_v1 hdr;
		struct iovec iov[3] = {
			{&hdr, sizeof(hdr)},
			{room, TAP_HEAD},
			{tq->arena + used, FRAME_LEN_MAX - TAP_HEAD},
		};
		ssize_t n = readv(tq->fd, iov, 3);

		// EAGAIN: no more for now. All else means that the device is gone, of which the
		// control thread hears.
		if (n < (ssize_t)sizeof(hdr))
			break;
		*f = (struct frame){
			.head = room,
			.len = (uint32_t)n - (uint32_t)sizeof(hdr),
			.segs = &b->segs[b->nsegs],
		};
		f->head_len = f->len < TAP_HEAD ? (uint16_t)f->len : TAP_HEAD;
		if (f->len > TAP_HEAD) {
			b->segs[b->nsegs++] = (struct seg){tq->arena + used, f->len - TAP_HEAD};
			f->nsegs = 1;
			used += (f->len - TAP_HEAD + 63) & ~63u;
		}
		ol_from_hdr(&f->ol, &hdr);
		f->drop = judge(f, limit, room + FRAME_HEAD_MAX);
		b->n++;
		b->bytes += f->len;
	}
	return b->n;
}

static void tap_rx_done(struct rxq *q, struct batch *b) {
}

/* ---- out ---- */

static enum drop why_not(int code) {
	switch (code) {
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
		return DROP_RING_FULL;
	case EIO: // tun's word for an interface that is not up
	case ENETDOWN:
	case EBADFD: // the device was removed
		return DROP_PORT_DOWN;
	default: // EINVAL: a header it does not like; EFAULT: the payload's memory vanished
		return DROP_TX_ERROR;
	}
}

/* Writes the frame as it is, the tag put in, asking the kernel for `ol`. */
static enum drop put(
	const struct tap_queue *tq, const struct frame *f, uint32_t tag, const struct offload *ol) {
	struct {
		struct virtio_net_hdr_v1 hdr;
		uint8_t bytes[FRAME_HEAD_MAX + TAG_LEN];
	} lead;
	struct iovec iov[1 + FRAME_SEGS_MAX];
	unsigned shift = tag != 0 ? TAG_LEN : 0;
	unsigned n = 1;

	lead.hdr = (struct virtio_net_hdr_v1){
		// What someone else found valid is not the receiver's to believe.
		.flags = ol->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = ol->gso_type,
	};
	// The kernel counts from the first byte it is given, tag and all.
	if (ol->gso_type != 0) {
		lead.hdr.hdr_len = htole16(ol->hdr_len + shift);
		lead.hdr.gso_size = htole16(ol->gso_size);
	}
	if (lead.hdr.flags != 0) {
		lead.hdr.csum_start = htole16(ol->csum_start + shift);
		lead.hdr.csum_offset = htole16(ol->csum_offset);
	}
	if (tag != 0) {
		uint32_t wire = htonl(tag);

		memcpy(lead.bytes, f->head, MACS_LEN);
		memcpy(lead.bytes + MACS_LEN, &wire, TAG_LEN);
		memcpy(lead.bytes + MACS_LEN + TAG_LEN, f->head + MACS_LEN, f->head_len - MACS_LEN);
	} else {
		memcpy(lead.bytes, f->head, f->head_len);
	}
	iov[0] = (struct iovec){&lead, sizeof(lead.hdr) + f->head_len + shift};
	for (unsigned i = 0; i < f->nsegs; i++)
		iov[n++] = (struct iovec){f->segs[i].base, f->segs[i].len};
	if (writev(tq->fd, iov, (int)n) < 0)
		return why_not(errno);
	return DROP_NONE;
}

/* Cuts the frame into segments the kernel takes. The first that is refused ends it: TCP sends the
 * rest again anyway. */
static enum drop put_segments(struct tap_queue *tq, const struct frame *f, uint32_t tag) {
	struct gso g;
	struct frame segment;
	enum drop drop = DROP_NONE;

	if (gso_begin(&g, f) == 0)
		return DROP_SEGMENT_FAILED;
	tq->tx.c.segmented++;
	while (drop == DROP_NONE && gso_next(&g, &segment))
		drop = put(tq, &segment, tag, &segment.ol);
	return drop;
}

static enum drop deliver(struct tap_queue *tq, struct frame *f, uint32_t tag) {
	if (f->ol.gso_type == VIRTIO_NET_HDR_GSO_NONE && f->len > frame_limit(tq->tx.port))
		return DROP_TOO_BIG;
	if (!offload_any(&f->ol) || offload_fits(f, tq->tap->caps))
		return put(tq, f, tag, &f->ol);
	if (f->ol.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return put_segments(tq, f, tag);
	offload_csum(f);
	tq->tx.c.checksummed++;
	return put(tq, f, tag, &f->ol);
}

static bool tap_tx_begin(struct txq *t) {
	rte_spinlock_lock(&t->lock);
	if (atomic_load_explicit(&t->active, memory_order_relaxed))
		return true;
	rte_spinlock_unlock(&t->lock);
	return false;
}

static void tap_tx(struct txq *t, const struct tx_item *it, unsigned n) {
	struct tap_queue *tq = from_tx(t);

	for (unsigned i = 0; i < n; i++) {
		struct frame *f = it[i].f;
		enum drop drop = deliver(tq, f, it[i].tag);

		if (drop != DROP_NONE) {
			t->c.drops[drop]++;
			continue;
		}
		t->c.frames++;
		t->c.bytes += f->len;
	}
}

static void tap_tx_end(struct txq *t) {
	rte_spinlock_unlock(&t->lock);
}

/* ---- asleep ---- */

// The descriptor itself is readable while frames wait: there is nothing to arm, only to look.
static bool tap_arm(struct rxq *q) {
	struct pollfd p = {.fd = from_rx(q)->fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLIN) != 0;
}

static void tap_disarm(struct rxq *q) {
}

// That of a device which is gone would wake its sleeper for ever.
static int tap_fd(struct rxq *q) {
	return atomic_load_explicit(&q->active, memory_order_relaxed) ? from_rx(q)->fd : -1;
}

/* ---- control ---- */

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

static bool refresh(struct tap *t) {
	struct tap_dev_state st;

	return set_active(t, tap_dev_state(t, &st) == 0 && (st.flags & IFF_UP) != 0);
}

static int link_event(sd_event_source *s, int fd, uint32_t revents, void *arg) {
	const struct port_env *env = port_env_get();
	struct tap *t = arg;
	char buf[8192];

	// What it says does not matter: it is a reason to look. Lost messages (ENOBUFS) are one, too.
	while (recv(fd, buf, sizeof(buf), 0) >= 0 || errno == ENOBUFS || errno == EINTR)
		;
	if (refresh(t) && env->changed != NULL)
		env->changed(t->port, env->arg);
	return 0;
}

static void tap_free(struct tap *t) {
	for (unsigned i = 0; i < t->queues; i++) {
		if (t->q[i] == NULL)
			continue;
		if (t->q[i]->arena != NULL)
			munmap(t->q[i]->arena, TAP_ARENA);
		free(t->q[i]);
	}
	free(t->netns);
	free(t);
}

static int add_queue(struct tap *t, unsigned i) {
	struct tap_queue *tq = aligned_alloc(64, sizeof(*tq));
	void *arena;

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
	// Pages come when a frame is put there: an idle port costs none.
	arena = mmap(NULL, TAP_ARENA, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena == MAP_FAILED)
		return -ENOMEM;
	tq->arena = arena;
	return 0;
}

static struct tap *tap_new(struct port *p, const struct port_spec *s) {
	struct tap *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->port = p;
	t->link_down = s->link_down;
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

	if (s->path == NULL || strlen(s->path) >= IFNAMSIZ)
		return err_set(e, EINVAL,
			"interface name '%s' is too long; %d characters are the most",
			s->path != NULL ? s->path : "", IFNAMSIZ - 1);
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
	refresh(t);
	return 0;
}

static void tap_close(struct port *p) {
	struct tap *t = from_port(p);

	sd_event_source_unref(t->source);
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

	add_word(out, true, "vnet-hdr");
	add_word(out, t->caps & CAP_CSUM, "csum");
	add_word(out, t->caps & CAP_TSO4, "tso4");
	add_word(out, t->caps & CAP_TSO6, "tso6");
	add_word(out, t->caps & CAP_ECN, "ecn");
	add_word(out, t->multi_queue, "multi-queue");
	add_word(out, !t->created, "existing");
	snprintf(out->peer, sizeof(out->peer), "%s%s", t->netns != NULL ? "netns " : "kernel",
		t->netns != NULL ? t->netns : "");
	out->state = PORT_DOWN;
	if (tap_dev_state(t, &st) < 0) {
		snprintf(out->reason, sizeof(out->reason),
			"interface %s was removed; remove the port and add it again", t->ifname);
		return;
	}
	out->mtu = (uint16_t)st.mtu;
	if (t->link_down)
		snprintf(out->reason, sizeof(out->reason),
			"its link is set down in the configuration");
	else if ((st.flags & IFF_UP) == 0)
		snprintf(out->reason, sizeof(out->reason),
			"interface %s is down; `ip link set %s up`", st.name, st.name);
	else if ((st.flags & IFF_RUNNING) == 0)
		snprintf(out->reason, sizeof(out->reason), "interface %s has no carrier", st.name);
	else
		out->state = PORT_UP;
}

const struct port_ops tap_port_ops = {
	.kind = "tap",
	.open = tap_open,
	.set = tap_set,
	.close = tap_close,
	.status = tap_status,
	.rx = tap_rx,
	.rx_done = tap_rx_done,
	.tx_begin = tap_tx_begin,
	.tx = tap_tx,
	.tx_end = tap_tx_end,
	.arm = tap_arm,
	.disarm = tap_disarm,
	.fd = tap_fd,
};
