/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Frames of an interface by AF_PACKET.
 *
 * Received frames come through a ring of the second version: it hands over frame by frame. The third
 * hands over blocks, and a frame would wait for its block, which the latency would show. Sent frames
 * go by sendmmsg: what the kernel takes has gone through the device's own queue discipline, and what
 * it refuses it says at once, so that `sent` is what the device counted.
 *
 * Each send queue is a socket of its own that receives nothing (protocol 0). The receiving one does
 * not see what this host sends (PACKET_IGNORE_OUTGOING), and takes every destination.
 *
 * Source: kernel Documentation/networking/packet_mmap.rst. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/netns.h"
#include "bench/frames/frame_port.h"
#include "host/netlink/link.h"

enum {
	RING_BYTES = 32 << 20,
	BLOCK = 1 << 20,
	SLOT_HEAD = 128, /* more than TPACKET2_HDRLEN and what goes before the frame */
	SEND_BUFFER = 8 << 20,
};

struct sender {
	int fd;
	uint8_t *buffers; /* FRAME_BATCH of `room` bytes */
	struct iovec iov[FRAME_BATCH];
	struct mmsghdr msg[FRAME_BATCH];
};

struct packet {
	int rx;
	uint8_t *ring;
	unsigned slot, slots, at; /* bytes of one, how many, the next */
	uint64_t missed;
	struct sender q[FRAME_QUEUES_MAX];
};

static int open_socket(int ifindex, int protocol, struct err *e) {
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = ifindex};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_set(e, errno, "cannot make a packet socket: %s%s", strerror(errno),
			errno == EPERM ? "; it takes CAP_NET_RAW" : "");
	to.sll_protocol = htons((uint16_t)protocol);
	if (protocol != 0)
		return fd; // bound once its ring is there
	if (bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		int rc = err_set(e, errno, "cannot use the interface: %s", strerror(errno));

		close(fd);
		return rc;
	}
	return fd;
}

static int open_sender(struct sender *s, int ifindex, unsigned room, struct err *e) {
	int size = SEND_BUFFER;

	s->fd = open_socket(ifindex, 0, e);
	if (s->fd < 0)
		return s->fd;
	setsockopt(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	s->buffers = calloc(FRAME_BATCH, room);
	if (s->buffers == NULL)
		return err_set(e, ENOMEM, "out of memory");
	for (unsigned i = 0; i < FRAME_BATCH; i++) {
		s->iov[i].iov_base = s->buffers + (size_t)i * room;
		s->msg[i].msg_hdr.msg_iov = &s->iov[i];
		s->msg[i].msg_hdr.msg_iovlen = 1;
	}
	return 0;
}

static int open_ring(struct packet *k, int ifindex, unsigned frame_max, struct err *e) {
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_ifindex = ifindex, .sll_protocol = htons(ETH_P_ALL)};
	struct packet_mreq promiscuous = {.mr_ifindex = ifindex, .mr_type = PACKET_MR_PROMISC};
	struct tpacket_req req = {.tp_block_size = BLOCK, .tp_block_nr = RING_BYTES / BLOCK};
	int version = TPACKET_V2, one = 1;

	k->slot = 2048;
	while (k->slot < frame_max + SLOT_HEAD)
		k->slot *= 2;
	k->slots = RING_BYTES / k->slot;
	req.tp_frame_size = k->slot;
	req.tp_frame_nr = k->slots;
	if (setsockopt(k->rx, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
		setsockopt(k->rx, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0 ||
		setsockopt(k->rx, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) < 0)
		return err_set(e, errno, "the kernel gives no ring of %d MiB: %s", RING_BYTES >> 20,
			strerror(errno));
	k->ring =
		mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, k->rx, 0);
	if (k->ring == MAP_FAILED) {
		k->ring = NULL;
		return err_set(e, errno, "cannot map its ring: %s", strerror(errno));
	}
	if (bind(k->rx, (struct sockaddr *)&to, sizeof(to)) < 0 ||
		setsockopt(k->rx, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous,
			sizeof(promiscuous)) < 0)
		return err_set(e, errno, "cannot use the interface: %s", strerror(errno));
	return 0;
}

int frame_find_interface(const char *name, unsigned frame_max, char own[IFNAMSIZ], struct err *e) {
	int index = link_find(name, own), fd, rc = 0;
	struct ifreq ifr = {0};

	if (index < 0)
		return err_set(e, -index, "there is no interface '%s'", name);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(ifr.ifr_name, own, IFNAMSIZ);
	if (ioctl(fd, SIOCGIFFLAGS, &ifr) == 0 && !(ifr.ifr_flags & IFF_UP))
		rc = err_set(e, ENETDOWN, "the interface is down; `ip link set %s up`", name);
	else if (ioctl(fd, SIOCGIFMTU, &ifr) == 0 && frame_max > (unsigned)ifr.ifr_mtu + ETH_HLEN)
		rc = err_set(e, EMSGSIZE,
			"its MTU of %d carries frames up to %d bytes, %u are wanted", ifr.ifr_mtu,
			ifr.ifr_mtu + ETH_HLEN, frame_max);
	close(fd);
	return rc < 0 ? rc : index;
}

static int open_inside(
	struct packet *k, const struct frame_port_want *w, const char *name, struct err *e) {
	char own[IFNAMSIZ];
	int ifindex = frame_find_interface(name, w->frame_max, own, e), rc;

	if (ifindex < 0)
		return ifindex;
	k->rx = open_socket(ifindex, ETH_P_ALL, e);
	if (k->rx < 0)
		return k->rx;
	rc = open_ring(k, ifindex, w->frame_max, e);
	for (unsigned i = 0; i < w->queues && rc == 0; i++)
		rc = open_sender(&k->q[i], ifindex, w->frame_max, e);
	return rc;
}

static void packet_close(struct frame_port *p) {
	struct packet *k = p->own;

	for (unsigned i = 0; i < FRAME_QUEUES_MAX; i++) {
		if (k->q[i].fd >= 0)
			close(k->q[i].fd);
		free(k->q[i].buffers);
	}
	if (k->ring != NULL)
		munmap(k->ring, RING_BYTES);
	if (k->rx >= 0)
		close(k->rx);
	free(k);
}

static int packet_open(struct frame_port *p, const char *rest, struct err *e) {
	struct packet *k = calloc(1, sizeof(*k));
	const char *name;
	char *ns = NULL;
	int back, rc;

	if (k == NULL)
		return err_set(e, ENOMEM, "out of memory");
	p->own = k;
	k->rx = -1;
	for (unsigned i = 0; i < FRAME_QUEUES_MAX; i++)
		k->q[i].fd = -1;
	rc = frame_split_ns(rest, &ns, &name, e);
	if (rc == 0)
		rc = netns_enter(ns, &back, e);
	if (rc == 0) {
		rc = open_inside(k, &p->want, name, e);
		p->link = rc == 0 ? frame_link_speed(name) : 0;
		netns_leave(back);
	}
	free(ns);
	if (rc < 0)
		packet_close(p);
	return rc;
}

static unsigned packet_lend(
	struct frame_port *p, unsigned queue, struct frame_batch *b, unsigned n) {
	struct sender *s = &((struct packet *)p->own)->q[queue];

	for (unsigned i = 0; i < n; i++)
		b->data[i] = s->iov[i].iov_base;
	return n;
}

static int packet_send(struct frame_port *p, unsigned queue, struct frame_batch *b, unsigned n) {
	struct sender *s = &((struct packet *)p->own)->q[queue];
	int sent;

	for (unsigned i = 0; i < n; i++)
		s->iov[i].iov_len = b->len[i];
	sent = sendmmsg(s->fd, s->msg, n, MSG_DONTWAIT);
	if (sent >= 0)
		return sent;
	// No room in a queue, here or at the other end of a veth: that frame was not sent.
	if (errno == ENOBUFS || errno == EAGAIN || errno == EINTR || errno == ENOMEM)
		return 0;
	return -errno;
}

static int packet_receive(struct frame_port *p, struct frame_batch *b) {
	struct packet *k = p->own;
	int n = 0;

	for (unsigned at = k->at; n < FRAME_BATCH; n++) {
		struct tpacket2_hdr *h = (void *)(k->ring + (size_t)at * k->slot);

		if (!(__atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
			break;
		b->token[n] = h;
		b->data[n] = (uint8_t *)h + h->tp_mac;
		b->len[n] = (uint16_t)h->tp_len;
		at = at + 1 < k->slots ? at + 1 : 0;
	}
	return n;
}

static void packet_release(struct frame_port *p, struct frame_batch *b, unsigned n) {
	struct packet *k = p->own;

	for (unsigned i = 0; i < n; i++) {
		struct tpacket2_hdr *h = b->token[i];

		__atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		k->at = k->at + 1 < k->slots ? k->at + 1 : 0;
	}
}

static uint64_t packet_missed(struct frame_port *p) {
	struct packet *k = p->own;
	struct tpacket_stats st;
	socklen_t size = sizeof(st);

	// The kernel begins anew at each question.
	if (getsockopt(k->rx, SOL_PACKET, PACKET_STATISTICS, &st, &size) == 0)
		k->missed += st.tp_drops;
	return k->missed;
}

/* The kernel leaves an error with the socket when the interface goes down or away. */
static int packet_check(struct frame_port *p) {
	struct packet *k = p->own;
	socklen_t size = sizeof(int);
	int code = 0;

	getsockopt(k->rx, SOL_SOCKET, SO_ERROR, &code, &size);
	return -code;
}

const struct frame_kind frame_packet = {
	.prefix = "if",
	.form = "if:[NS/]NAME",
	.open = packet_open,
	.close = packet_close,
	.lend = packet_lend,
	.send = packet_send,
	.receive = packet_receive,
	.release = packet_release,
	.missed = packet_missed,
	.check = packet_check,
};
