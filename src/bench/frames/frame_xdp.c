/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Frames of an interface by AF_XDP.
 *
 * A program of five instructions at the interface gives each frame to the socket of the queue it came
 * on; there is a socket for every queue that receives, so none is missed. Program and map go with
 * their descriptors, so nothing is left behind, however this process ends.
 *
 * Each socket has memory of its own: RECEIVE chunks wait in the fill ring or hold what was received,
 * SEND others are sent from and come back through the completion ring. Where the
 * kernel copies (a veth, a TAP) what is in the send ring goes out inside of sendto, which is called
 * until the ring is empty; a driver without copies says whether it wants to be woken.
 *
 * Source: kernel Documentation/networking/af_xdp.rst. */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/netns.h"
#include "bench/frames/frame_port.h"

enum {
	RECEIVE = 4096, /* chunks, and entries of the rings that they go through */
	SEND = 1024,
	CHUNK = 2048,
	CHUNK_LONG = 4096, /* the longest there is */
	CHUNK_HEAD = 256, /* XDP_PACKET_HEADROOM */
	KICKS = 256, /* sendto calls for one batch: the kernel sends 32 frames in each */
};

struct ring {
	uint32_t entries, *producer, *consumer, *flags;
	void *entry;
	void *map;
	size_t size;
};

struct queue {
	int fd;
	uint8_t *memory;
	struct ring rx, tx, fill, done;
	uint64_t spare[SEND]; /* chunks to send from */
	unsigned spares;
};

struct xdp {
	int map, program, link, promiscuous;
	unsigned chunk, queues, at, from; /* at: the queue asked next; from: the last batch's */
	struct queue q[FRAME_QUEUES_MAX];
};

static uint32_t load(const uint32_t *p) {
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void store(uint32_t *p, uint32_t v) {
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static int bpf(int command, union bpf_attr *attr) {
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* bpf_redirect_map(map, ctx->rx_queue_index, XDP_PASS) */
static int load_program(struct xdp *x) {
	const struct bpf_insn code[] = {
		{.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1, .off = 16},
		{.code = BPF_LD | BPF_DW | BPF_IMM,
			.dst_reg = 1,
			.src_reg = BPF_PSEUDO_MAP_FD,
			.imm = x->map},
		{.code = 0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_XDP,
		.insns = (uintptr_t)code,
		.insn_cnt = sizeof(code) / sizeof(code[0]),
		.license = (uintptr_t) "BSD",
	};

	x->program = bpf(BPF_PROG_LOAD, &attr);
	return x->program;
}

static int attach(struct xdp *x, int ifindex, struct err *e) {
	union bpf_attr map = {.map_type = BPF_MAP_TYPE_XSKMAP,
		.key_size = 4,
		.value_size = 4,
		.max_entries = FRAME_QUEUES_MAX};
	union bpf_attr link = {
		.link_create = {.target_ifindex = (uint32_t)ifindex, .attach_type = BPF_XDP}};

	x->map = bpf(BPF_MAP_CREATE, &map);
	if (x->map < 0 || load_program(x) < 0)
		return err_set(e, errno, "the kernel takes no XDP program: %s%s", strerror(errno),
			errno == EPERM ? "; it takes CAP_BPF and CAP_NET_ADMIN" : "");
	for (unsigned i = 0; i < x->queues; i++) {
		uint32_t key = i, fd = (uint32_t)x->q[i].fd;
		union bpf_attr put = {.map_fd = (uint32_t)x->map,
			.key = (uintptr_t)&key,
			.value = (uintptr_t)&fd};

		if (bpf(BPF_MAP_UPDATE_ELEM, &put) < 0)
			return err_set(e, errno, "queue %u: %s", i, strerror(errno));
	}
	link.link_create.prog_fd = (uint32_t)x->program;
	x->link = bpf(BPF_LINK_CREATE, &link);
	if (x->link < 0)
		return err_set(e, errno, "the interface takes no XDP program: %s%s",
			strerror(errno),
			errno == EBUSY ? "; another is there (`ip link set DEVICE xdp off`)" : "");
	return 0;
}

static int map_ring(struct queue *q, struct ring *r, int option, uint64_t page,
	const struct xdp_ring_offset *at, size_t entry) {
	if (setsockopt(q->fd, SOL_XDP, option, &r->entries, sizeof(r->entries)) < 0)
		return -errno;
	r->size = at->desc + r->entries * entry;
	r->map = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, q->fd,
		(off_t)page);
	if (r->map == MAP_FAILED) {
		r->map = NULL;
		return -errno;
	}
	r->producer = (uint32_t *)((char *)r->map + at->producer);
	r->consumer = (uint32_t *)((char *)r->map + at->consumer);
	r->flags = (uint32_t *)((char *)r->map + at->flags);
	r->entry = (char *)r->map + at->desc;
	return 0;
}

static int make_rings(struct queue *q, unsigned chunk) {
	struct xdp_umem_reg reg = {.len = (RECEIVE + SEND) * (uint64_t)chunk, .chunk_size = chunk};
	struct xdp_mmap_offsets at;
	socklen_t size = sizeof(at);
	int rc;

	q->rx.entries = q->fill.entries = RECEIVE;
	q->tx.entries = q->done.entries = SEND;
	q->memory = mmap(NULL, reg.len, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (q->memory == MAP_FAILED) {
		q->memory = NULL;
		return -errno;
	}
	reg.addr = (uintptr_t)q->memory;
	q->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (q->fd < 0 || setsockopt(q->fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) < 0 ||
		getsockopt(q->fd, SOL_XDP, XDP_MMAP_OFFSETS, &at, &size) < 0)
		return -errno;
	rc = map_ring(q, &q->fill, XDP_UMEM_FILL_RING, XDP_UMEM_PGOFF_FILL_RING, &at.fr, 8);
	if (rc == 0)
		rc = map_ring(q, &q->done, XDP_UMEM_COMPLETION_RING, XDP_UMEM_PGOFF_COMPLETION_RING,
			&at.cr, 8);
	if (rc == 0)
		rc = map_ring(
			q, &q->rx, XDP_RX_RING, XDP_PGOFF_RX_RING, &at.rx, sizeof(struct xdp_desc));
	if (rc == 0)
		rc = map_ring(
			q, &q->tx, XDP_TX_RING, XDP_PGOFF_TX_RING, &at.tx, sizeof(struct xdp_desc));
	return rc;
}

static int open_queue(struct xdp *x, unsigned i, int ifindex, struct err *e) {
	struct sockaddr_xdp to = {.sxdp_family = AF_XDP,
		.sxdp_flags = XDP_USE_NEED_WAKEUP,
		.sxdp_ifindex = (uint32_t)ifindex,
		.sxdp_queue_id = i};
	struct queue *q = &x->q[i];
	int rc = make_rings(q, x->chunk);

	if (rc == 0 && bind(q->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		rc = -errno;
	if (rc < 0)
		return err_set(e, -rc, "no AF_XDP socket for queue %u: %s%s", i, strerror(-rc),
			rc == -EBUSY     ? "; another has it"
			: rc == -ENOBUFS ? "; it takes more locked memory (ulimit -l)"
					 : "");
	for (uint64_t k = 0; k < RECEIVE; k++)
		((uint64_t *)q->fill.entry)[k] = k * x->chunk;
	for (uint64_t k = 0; k < SEND; k++)
		q->spare[q->spares++] = (RECEIVE + k) * x->chunk;
	store(q->fill.producer, RECEIVE);
	return 0;
}

/* Sockets for all queues that receive, and for those to send on. */
static int count_queues(
	struct xdp *x, int fd, const char *name, const struct frame_port_want *w, struct err *e) {
	struct ethtool_channels c = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq ifr = {.ifr_data = (void *)&c};
	unsigned rx = 1, tx = 1;

	strcpy(ifr.ifr_name, name);
	if (ioctl(fd, SIOCETHTOOL, &ifr) == 0) {
		rx = c.combined_count + c.rx_count;
		tx = c.combined_count + c.tx_count;
	}
	if (w->queues > tx)
		return err_set(
			e, EINVAL, "the device has %u send queues; use at most so many CPUs", tx);
	if (rx > FRAME_QUEUES_MAX)
		return err_set(e, EINVAL,
			"it receives on %u queues, up to %d can be looked at; `ethtool -L %s "
			"combined %d`",
			rx, FRAME_QUEUES_MAX, name, FRAME_QUEUES_MAX);
	x->queues = w->queues > rx ? w->queues : rx;
	return 0;
}

static int open_inside(
	struct xdp *x, const struct frame_port_want *w, const char *name, struct err *e) {
	char own[IFNAMSIZ];
	int ifindex = frame_find_interface(name, w->frame_max, own, e), rc;
	struct packet_mreq mreq = {.mr_ifindex = ifindex, .mr_type = PACKET_MR_PROMISC};

	if (ifindex < 0)
		return ifindex;
	x->chunk = w->frame_max > CHUNK - CHUNK_HEAD ? CHUNK_LONG : CHUNK;
	if (w->frame_max > CHUNK_LONG - CHUNK_HEAD)
		return err_set(e, EMSGSIZE, "AF_XDP carries frames up to %d bytes, %u are wanted",
			CHUNK_LONG - CHUNK_HEAD, w->frame_max);
	// Promiscuous for as long as this socket, which receives nothing, is open.
	x->promiscuous = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (x->promiscuous < 0)
		return err_set(e, errno, "cannot make a packet socket: %s", strerror(errno));
	setsockopt(x->promiscuous, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mreq, sizeof(mreq));
	rc = count_queues(x, x->promiscuous, own, w, e);
	for (unsigned i = 0; i < x->queues && rc == 0; i++)
		rc = open_queue(x, i, ifindex, e);
	return rc == 0 ? attach(x, ifindex, e) : rc;
}

static void close_fd(int fd) {
	if (fd >= 0)
		close(fd);
}

static void xdp_close(struct frame_port *p) {
	struct xdp *x = p->own;

	close_fd(x->link);
	close_fd(x->program);
	close_fd(x->map);
	close_fd(x->promiscuous);
	for (unsigned i = 0; i < FRAME_QUEUES_MAX; i++) {
		struct ring *r[] = {&x->q[i].rx, &x->q[i].tx, &x->q[i].fill, &x->q[i].done};

		for (unsigned k = 0; k < 4; k++)
			if (r[k]->map != NULL)
				munmap(r[k]->map, r[k]->size);
		close_fd(x->q[i].fd);
		if (x->q[i].memory != NULL)
			munmap(x->q[i].memory, (RECEIVE + SEND) * (size_t)x->chunk);
	}
	free(x);
}

static int xdp_open(struct frame_port *p, const char *rest, struct err *e) {
	struct xdp *x = calloc(1, sizeof(*x));
	const char *name;
	char *ns = NULL;
	int back, rc;

	if (x == NULL)
		return err_set(e, ENOMEM, "out of memory");
	p->own = x;
	x->map = x->program = x->link = x->promiscuous = -1;
	for (unsigned i = 0; i < FRAME_QUEUES_MAX; i++)
		x->q[i].fd = -1;
	rc = frame_split_ns(rest, &ns, &name, e);
	if (rc == 0)
		rc = netns_enter(ns, &back, e);
	if (rc == 0) {
		rc = open_inside(x, &p->want, name, e);
		p->link = rc == 0 ? frame_link_speed(name) : 0;
		netns_leave(back);
	}
	free(ns);
	if (rc < 0)
		xdp_close(p);
	return rc;
}

static void take_back(struct queue *q) {
	uint32_t at = *q->done.consumer, end = load(q->done.producer);

	for (; at != end; at++)
		q->spare[q->spares++] = ((uint64_t *)q->done.entry)[at % SEND];
	store(q->done.consumer, at);
}

/* Has the kernel send what is in the ring; -1 with errno when the device is gone. */
static int kick(struct queue *q) {
	for (unsigned i = 0; i < KICKS; i++) {
		if (load(q->tx.consumer) == *q->tx.producer ||
			!(load(q->tx.flags) & XDP_RING_NEED_WAKEUP))
			return 0;
		// A frame that a queue at the other end has no room for: EBUSY, and it is lost.
		if (sendto(q->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno != EAGAIN &&
			errno != EBUSY && errno != ENOBUFS && errno != EINTR)
			return -1;
	}
	return 0;
}

static unsigned xdp_lend(struct frame_port *p, unsigned queue, struct frame_batch *b, unsigned n) {
	struct queue *q = &((struct xdp *)p->own)->q[queue];

	if (q->spares < n) {
		kick(q);
		take_back(q);
	}
	if (q->spares < n)
		n = q->spares;
	for (unsigned i = 0; i < n; i++)
		b->data[i] = q->memory + q->spare[q->spares - 1 - i];
	return n;
}

static int xdp_send(struct frame_port *p, unsigned queue, struct frame_batch *b, unsigned n) {
	struct queue *q = &((struct xdp *)p->own)->q[queue];
	uint32_t at = *q->tx.producer;

	for (unsigned i = 0; i < n; i++, at++)
		((struct xdp_desc *)q->tx.entry)[at % SEND] = (struct xdp_desc){
			.addr = (uint64_t)(b->data[i] - q->memory), .len = b->len[i]};
	q->spares -= n;
	store(q->tx.producer, at);
	return kick(q) < 0 ? -errno : (int)n;
}

static int xdp_receive(struct frame_port *p, struct frame_batch *b) {
	struct xdp *x = p->own;
	unsigned n = 0;

	for (unsigned i = 0; i < x->queues && n == 0; i++) {
		struct queue *q = &x->q[x->at];
		uint32_t at = *q->rx.consumer, end = load(q->rx.producer);

		if (at == end && (load(q->fill.flags) & XDP_RING_NEED_WAKEUP))
			recvfrom(q->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
		for (; at != end && n < FRAME_BATCH; at++, n++) {
			const struct xdp_desc *d = &((struct xdp_desc *)q->rx.entry)[at % RECEIVE];

			b->data[n] = q->memory + d->addr;
			b->len[n] = (uint16_t)d->len;
		}
		x->from = x->at;
		x->at = x->at + 1 < x->queues ? x->at + 1 : 0;
	}
	return (int)n;
}

static void xdp_release(struct frame_port *p, struct frame_batch *b, unsigned n) {
	struct xdp *x = p->own;
	struct queue *q = &x->q[x->from];
	uint32_t at = *q->fill.producer;

	for (unsigned i = 0; i < n; i++, at++)
		((uint64_t *)q->fill.entry)[at % RECEIVE] =
			(uint64_t)(b->data[i] - q->memory) & ~(uint64_t)(x->chunk - 1);
	store(q->rx.consumer, *q->rx.consumer + n);
	store(q->fill.producer, at);
}

static uint64_t xdp_missed(struct frame_port *p) {
	struct xdp *x = p->own;
	uint64_t n = 0;

	for (unsigned i = 0; i < x->queues; i++) {
		struct xdp_statistics st = {0};
		socklen_t size = sizeof(st);

		if (getsockopt(x->q[i].fd, SOL_XDP, XDP_STATISTICS, &st, &size) == 0)
			n += st.rx_dropped + st.rx_ring_full;
	}
	return n;
}

static unsigned xdp_waiting(struct frame_port *p) {
	struct xdp *x = p->own;
	unsigned n = 0;

	for (unsigned i = 0; i < x->queues; i++) {
		kick(&x->q[i]);
		take_back(&x->q[i]);
		n += SEND - x->q[i].spares;
	}
	return n;
}

/* The kernel leaves an error with the socket when the interface goes. */
static int xdp_check(struct frame_port *p) {
	struct xdp *x = p->own;
	socklen_t size = sizeof(int);
	int code = 0;

	getsockopt(x->q[0].fd, SOL_SOCKET, SO_ERROR, &code, &size);
	return -code;
}

const struct frame_kind frame_xdp = {
	.prefix = "xdp",
	.form = "xdp:[NS/]NAME",
	.open = xdp_open,
	.close = xdp_close,
	.lend = xdp_lend,
	.send = xdp_send,
	.receive = xdp_receive,
	.release = xdp_release,
	.missed = xdp_missed,
	.waiting = xdp_waiting,
	.check = xdp_check,
};
