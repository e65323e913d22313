/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "port/tap.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <rte_cycles.h>

#include "frame/offload.h"

/* TAP ports: the kernel at the other end, a frame a system call.
 *
 * Each frame comes and goes behind a struct virtio_net_hdr (virtio 1.2, 5.1.6; 12 bytes, little
 * endian), which is how checksums and segmentation are left to whoever can do them: the kernel
 * hands us TCP frames of up to 64 KiB and takes them back.
 *
 * In: one readv scatters a frame into the queue's arena: the header and the first bytes into a slot,
 * the rest where payload lies one behind the other, so that a batch of short ones stays within a few
 * pages. Only the first bytes are copied a second time, into the batch's room: the turn works on
 * those, and what it leaves is given again from the slot. The arena is read into only when all of it
 * has been given, so rx_done has nothing to return.
 *
 * Out: one writev of what was judged (the private head, with the tag put in) and of the payload
 * straight out of the sender's memory. The kernel copies it once and runs the frame up its stack
 * before the call returns. There is nothing that could be published later, so tx delivers at once;
 * a switch killed between tx and rx_done may repeat these frames, which a wire may do as well, while
 * the other order could lose them.
 *
 * Source: kernel Documentation/networking/tuntap.rst. */

enum {
	ETH_TAGGED_MAX = 18, /* Ethernet header and tag: what a frame may have beyond the MTU */
	MACS_LEN = 12,
	TAG_LEN = 4,
};

_Static_assert(sizeof(struct virtio_net_hdr_v1) == TAP_VNET_HDR, "header size");
_Static_assert(
	TAP_HEAD >= (int)FRAME_HEAD_FIRST && TAP_HEAD <= (int)FRAME_HEAD_MAX, "private head");

/* The longest frame that is not to be segmented. */
static unsigned frame_limit(const struct port *p) {
	return __atomic_load_n(&p->mtu, __ATOMIC_RELAXED) + (unsigned)ETH_TAGGED_MAX;
}

struct tap_arena *tap_arena_new(void) {
	// Pages come when a frame is put there: an idle port costs none.
	void *p = mmap(NULL, sizeof(struct tap_arena), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p != MAP_FAILED ? p : NULL;
}

void tap_arena_free(struct tap_arena *arena) {
	if (arena != NULL)
		munmap(arena, sizeof(*arena));
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

/* Nothing was there: how long nobody asks again. */
static void back_off(struct tap_queue *tq) {
	const uint64_t us = tq->tap->us, max = us * TAP_QUIET_MAX_US;

	tq->quiet = tq->quiet == 0 ? us : tq->quiet * 2;
	if (tq->quiet > max)
		tq->quiet = max;
	tq->quiet_until = rte_rdtsc() + tq->quiet;
}

static void come_back(struct tap_queue *tq) {
	tq->quiet = tq->quiet_until = 0;
}

/* Reads up to `budget` frames into the slots. */
static void read_frames(struct tap_queue *tq, unsigned budget) {
	struct tap_arena *a = tq->arena;
	uint32_t used = 0;
	uint64_t bytes = 0;

	tq->next = tq->filled = 0;
	while (tq->filled < budget && bytes < BATCH_BYTES) {
		struct tap_slot *s = &a->slot[tq->filled];
		struct iovec iov[3] = {
			{s->hdr, sizeof(s->hdr)},
			{s->head, sizeof(s->head)},
			{a->payload + used, FRAME_LEN_MAX - TAP_HEAD},
		};
		ssize_t n = readv(tq->fd, iov, 3);

		// EAGAIN: no more for now. All else means that the device is gone, of which the
		// control thread hears as well.
		if (n < (ssize_t)sizeof(s->hdr))
			return;
		s->len = (uint32_t)n - (uint32_t)sizeof(s->hdr);
		s->at = used;
		if (s->len > TAP_HEAD)
			used += (s->len - TAP_HEAD + 63) & ~63u;
		bytes += s->len;
		tq->filled++;
	}
}

/* The frame of a slot as the next of the batch. */
static void give(struct tap_arena *a, const struct tap_slot *s, struct batch *b, unsigned limit) {
	struct frame *f = &b->f[b->n];
	uint8_t *room = b->room[b->n];
	struct virtio_net_hdr_v1 hdr;

	memcpy(&hdr, s->hdr, sizeof(hdr));
	memcpy(room, s->head, TAP_HEAD);
	*f = (struct frame){.head = room, .len = s->len, .segs = &b->segs[b->nsegs]};
	f->head_len = f->len < TAP_HEAD ? (uint16_t)f->len : TAP_HEAD;
	if (f->len > TAP_HEAD) {
		b->segs[b->nsegs++] = (struct seg){a->payload + s->at, f->len - TAP_HEAD};
		f->nsegs = 1;
	}
	ol_from_hdr(&f->ol, &hdr);
	b->ngso += f->ol.gso_type != VIRTIO_NET_HDR_GSO_NONE;
	f->drop = judge(f, limit, room + FRAME_HEAD_MAX);
	b->n++;
	b->bytes += f->len;
}

unsigned tap_rx(struct rxq *q, struct batch *b, unsigned budget) {
	struct tap_queue *tq = tap_of_rx(q);
	unsigned limit = frame_limit(q->port);

	b->n = b->nsegs = b->ngso = 0;
	b->bytes = 0;
	if (tq->quiet_until != 0 && rte_rdtsc() < tq->quiet_until)
		return 0;
	if (tq->next == tq->filled)
		read_frames(tq, budget);
	while (b->n < budget && tq->next < tq->filled)
		give(tq->arena, &tq->arena->slot[tq->next++], b, limit);
	if (b->n == 0)
		back_off(tq);
	else
		come_back(tq);
	return b->n;
}

void tap_rx_keep(struct rxq *q, struct batch *b, unsigned from) {
	tap_of_rx(q)->next -= b->n - from;
}

void tap_rx_end(struct rxq *q) {
}

void tap_rx_done(struct rxq *q, struct batch *b) {
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

	if (f->flags & FRAME_UNCUT)
		return DROP_SEGMENT_LIMIT;
	if (gso_begin(&g, f) == 0)
		return g.why;
	tq->tx.c.segmented++;
	while (drop == DROP_NONE && gso_next(&g, &segment))
		drop = put(tq, &segment, tag, &segment.ol);
	return drop != DROP_NONE ? drop : g.why;
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

bool tap_tx_begin(struct txq *t) {
	rte_spinlock_lock(&t->lock);
	if (atomic_load_explicit(&t->active, memory_order_relaxed))
		return true;
	rte_spinlock_unlock(&t->lock);
	return false;
}

void tap_tx(struct txq *t, const struct tx_item *it, unsigned n) {
	struct tap_queue *tq = tap_of_tx(t);

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

/* The kernel has it already: see above. */
void tap_tx_publish(struct txq *t) {
}

void tap_tx_end(struct txq *t) {
	rte_spinlock_unlock(&t->lock);
}

/* ---- asleep ---- */

// The descriptor itself is readable while frames wait: there is nothing to arm, only to look.
bool tap_arm(struct rxq *q) {
	const struct tap_queue *tq = tap_of_rx(q);
	struct pollfd p = {.fd = tq->fd, .events = POLLIN};

	return tq->next < tq->filled || (poll(&p, 1, 0) == 1 && (p.revents & POLLIN) != 0);
}

void tap_disarm(struct rxq *q) {
	come_back(tap_of_rx(q)); // whoever slept wants to know at once
}

int tap_fd(struct rxq *q) {
	return tap_of_rx(q)->fd;
}
