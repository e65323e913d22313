/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * A guest's memory, rings and frames. Each ring owns as many buffers as it has descriptors, one for
 * each id; memory is reserved in full and touched only where used. Regions lie one behind the other
 * in guest-physical space but are separate files, so that an address range over a region's end looks
 * right and is not. */
#include "front.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define GPA_START   0x40000000ULL /* not 0, so that offsets taken for addresses show */
#define REGION_UNIT (2u << 20)

enum { RING_ALIGN = 4096, RING_SIZE_DEFAULT = 256, BUFFER_DEFAULT = 2048 };

static int fail(struct front *f, int err, const char *what) {
	snprintf(f->why, sizeof(f->why), "%s: %s", what, strerror(-err));
	return err;
}

void *front_alloc(struct front *f, unsigned region, size_t size, size_t align) {
	struct front_region *g = &f->region[region];
	size_t at = (g->used + align - 1) / align * align;

	if (at + size > g->size)
		return NULL;
	g->used = at + size;
	return g->map + at;
}

uint64_t front_gpa(const struct front *f, const void *p) {
	for (unsigned i = 0; i < f->nregions; i++) {
		const struct front_region *g = &f->region[i];

		if ((const uint8_t *)p >= g->map && (const uint8_t *)p < g->map + g->size)
			return g->gpa + ((const uint8_t *)p - g->map);
	}
	return 0;
}

static int make_region(struct front *f, unsigned i, uint64_t gpa, size_t size) {
	struct front_region *g = &f->region[i];

	*g = (struct front_region){.gpa = gpa, .size = size};
	g->fd = memfd_create("guest", MFD_CLOEXEC | (f->o.huge ? MFD_HUGETLB : 0));
	if (g->fd < 0 || ftruncate(g->fd, size) < 0)
		return fail(f, -errno, "guest memory");
	g->map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, g->fd, 0);
	if (g->map == MAP_FAILED) {
		g->map = NULL;
		return fail(f, -errno, "mapping guest memory");
	}
	return 0;
}

static size_t table_bytes(const struct front_options *o) {
	return o->indirect ? o->ring_size * FRONT_CHAIN_MAX * sizeof(struct vring_desc) : 0;
}

static int make_memory(struct front *f) {
	const struct front_options *o = &f->o;
	size_t areas = 3 * (16 * (size_t)o->ring_size + 2 * RING_ALIGN);
	size_t all = f->nrings *
		     (areas + table_bytes(o) + (size_t)o->ring_size * o->stride + RING_ALIGN);
	/* Everything but buffers is in region 0, so each is big enough for the worst split. */
	size_t each = f->nrings * (areas + table_bytes(o)) + all / o->regions + o->extra;
	int err = 0;

	each = (each + REGION_UNIT) / REGION_UNIT * REGION_UNIT;
	for (f->nregions = 0; f->nregions < o->regions && err == 0; f->nregions++)
		err = make_region(f, f->nregions, GPA_START + f->nregions * each, each);
	return err;
}

/* Brings the ring to its first state: nothing available, all ids free, no interrupts wanted. */
static void reset_ring(struct front *f, struct front_ring *r) {
	memset(r->desc, 0, 16 * (size_t)r->size);
	memset(r->avail, 0, 6 + 2 * (size_t)r->size);
	memset(r->used, 0, 6 + 8 * (size_t)r->size);
	r->packed = f->features & FRONT_BIT(VIRTIO_F_RING_PACKED);
	r->event_idx = f->features & FRONT_BIT(VIRTIO_RING_F_EVENT_IDX);
	r->in_order = f->features & FRONT_BIT(VIRTIO_F_IN_ORDER);
	r->next_avail = r->next_used = r->unpublished = 0;
	r->avail_wrap = r->used_wrap = true;
	r->order_head = r->order_tail = 0;
	r->in_run = false;
	r->first_free = 0;
	r->nfree = r->places = r->size;
	r->base = -1;
	for (unsigned i = 0; i < r->size; i++) {
		r->ids[i] = i;
		r->length[i] = 0;
	}
	front_ring_interrupts(r, false);
}

static int make_ring(struct front *f, unsigned index) {
	struct front_ring *r = &f->ring[index];
	const struct front_options *o = &f->o;

	*r = (struct front_ring){
		.index = index, .size = o->ring_size, .buffer_size = o->buffer_size};
	r->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->desc = front_alloc(f, 0, 16 * (size_t)r->size, RING_ALIGN);
	r->avail = front_alloc(f, 0, 6 + 2 * (size_t)r->size, RING_ALIGN);
	r->used = front_alloc(f, 0, 6 + 8 * (size_t)r->size, RING_ALIGN);
	r->pdesc = (struct vring_packed_desc *)r->desc;
	r->driver = (struct vring_packed_desc_event *)r->avail;
	r->device = (struct vring_packed_desc_event *)r->used;
	r->desc_uva = (uintptr_t)r->desc;
	r->driver_uva = (uintptr_t)r->avail;
	r->device_uva = (uintptr_t)r->used;
	r->ids = calloc(r->size, sizeof(*r->ids));
	r->length = calloc(r->size, sizeof(*r->length));
	r->order = calloc(r->size, sizeof(*r->order));
	r->buf = calloc(r->size, sizeof(*r->buf));
	r->buf_gpa = calloc(r->size, sizeof(*r->buf_gpa));
	if (o->indirect) {
		r->table = front_alloc(f, 0, table_bytes(o), RING_ALIGN);
		r->table_gpa = front_gpa(f, r->table);
	}
	if (r->kick < 0 || r->call < 0 || r->ids == NULL || r->length == NULL || r->order == NULL ||
		r->buf == NULL || r->buf_gpa == NULL)
		return fail(f, -ENOMEM, "ring");
	for (unsigned i = 0; i < r->size; i++) {
		r->buf[i] = front_alloc(f, i % f->nregions, o->stride, 64);
		if (r->buf[i] == NULL)
			return fail(f, -ENOMEM, "buffers");
		r->buf_gpa[i] = front_gpa(f, r->buf[i]);
	}
	return 0;
}

static void defaults(struct front_options *o) {
	if (o->pairs == 0)
		o->pairs = 1;
	if (o->ring_size == 0)
		o->ring_size = RING_SIZE_DEFAULT;
	if (o->features == 0)
		o->features = FRONT_F_PLAIN;
	if (o->protocol == 0)
		o->protocol = FRONT_P_ALL;
	if (o->regions == 0)
		o->regions = 1;
	if (o->buffer_size == 0)
		o->buffer_size = BUFFER_DEFAULT;
	if (o->stride < o->buffer_size)
		o->stride = o->buffer_size;
	if (o->chain == 0)
		o->chain = 1;
}

int front_init(struct front *f, const struct front_options *o) {
	int err;

	*f = (struct front){.o = *o, .sock = -1, .listener = -1, .inflight_fd = -1};
	defaults(&f->o);
	if (f->o.pairs > FRONT_PAIRS_MAX || f->o.regions > FRONT_REGIONS_MAX ||
		f->o.chain > FRONT_CHAIN_MAX - 1)
		return fail(f, -EINVAL, "options");
	f->nrings = 2 * f->o.pairs;
	err = make_memory(f);
	for (unsigned i = 0; i < f->nrings && err == 0; i++)
		err = make_ring(f, i);
	return err;
}

void front_layout(struct front *f) {
	bool v1 = f->features & FRONT_BIT(VIRTIO_F_VERSION_1);
	bool merge = f->features & FRONT_BIT(VIRTIO_NET_F_MRG_RXBUF);

	f->header = v1 || merge ? sizeof(struct virtio_net_hdr_v1) : sizeof(struct virtio_net_hdr);
	for (unsigned i = 0; i < f->nrings; i++)
		reset_ring(f, &f->ring[i]);
}

static int attach(struct front *f, bool anew) {
	int err = front_connect(f);

	if (err == 0)
		err = front_negotiate(f);
	if (err == 0)
		err = front_set_features(f);
	if (err == 0 && anew)
		front_layout(f);
	if (err == 0)
		err = front_set_memory(f);
	if (err == 0)
		err = front_set_inflight(f);
	if (err == 0)
		err = front_start(f);
	return err;
}

int front_open(struct front *f, const struct front_options *o) {
	int err = front_init(f, o);

	if (err == 0)
		err = attach(f, true);
	if (err == 0)
		err = front_post(f);
	if (err != 0) {
		char why[sizeof(f->why)];

		memcpy(why, f->why, sizeof(why));
		front_close(f);
		memcpy(f->why, why, sizeof(why));
	}
	return err;
}

int front_reconnect(struct front *f) {
	front_disconnect(f);
	return attach(f, false);
}

static void close_fd(int *fd) {
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void front_disconnect(struct front *f) {
	close_fd(&f->sock);
}

void front_close(struct front *f) {
	front_disconnect(f);
	if (f->listener >= 0)
		unlink(f->o.path);
	close_fd(&f->listener);
	close_fd(&f->inflight_fd);
	for (unsigned i = 0; i < f->nrings; i++) {
		struct front_ring *r = &f->ring[i];

		if (r->size == 0)
			continue; /* never made */
		close_fd(&r->kick);
		close_fd(&r->call);
		free(r->ids);
		free(r->length);
		free(r->order);
		free(r->buf);
		free(r->buf_gpa);
	}
	for (unsigned i = 0; i < f->nregions; i++) {
		if (f->region[i].map != NULL)
			munmap(f->region[i].map, f->region[i].size);
		close_fd(&f->region[i].fd);
	}
	f->nrings = f->nregions = 0;
}

static void post(struct front_ring *r) {
	for (int id = front_ring_next(r); id >= 0; id = front_ring_next(r)) {
		struct front_piece p = {r->buf_gpa[id], r->buffer_size, true};

		if (front_ring_put(r, &p, 1, false) < 0)
			return;
	}
}

int front_post(struct front *f) {
	for (unsigned i = 0; i < f->o.pairs; i++) {
		post(front_rx(f, i));
		front_ring_publish(front_rx(f, i));
	}
	return 0;
}

int front_reap(struct front *f, unsigned pair) {
	int n = 0;

	while (front_ring_take(front_tx(f, pair), NULL) >= 0)
		n++;
	return n;
}

unsigned front_cut(const struct front *f, struct front_piece *p, uint64_t gpa, uint32_t len) {
	unsigned n = 0, parts = f->o.chain;

	if (f->o.header_alone) {
		p[n++] = (struct front_piece){gpa, f->header, false};
		gpa += f->header;
		len -= f->header;
	}
	for (; parts > 0; parts--) {
		uint32_t piece = parts == 1 ? len : len / parts;

		if (piece == 0)
			continue;
		p[n++] = (struct front_piece){gpa, piece, false};
		gpa += piece;
		len -= piece;
	}
	return n;
}

int front_put(struct front *f, unsigned pair, const void *frame, size_t len,
	const struct virtio_net_hdr_v1 *h) {
	static const struct virtio_net_hdr_v1 none;
	struct front_ring *r = front_tx(f, pair);
	struct front_piece p[FRONT_CHAIN_MAX];
	int id;

	if (f->header + len > r->buffer_size)
		return -EMSGSIZE;
	if (r->places < f->o.chain + 1u)
		front_reap(f, pair);
	id = front_ring_next(r);
	if (id < 0)
		return id;
	memcpy(r->buf[id], h != NULL ? h : &none, f->header);
	memcpy(r->buf[id] + f->header, frame, len);
	id = front_ring_put(r, p, front_cut(f, p, r->buf_gpa[id], f->header + len), f->o.indirect);
	return id < 0 ? id : 0;
}

void front_flush(struct front *f, unsigned pair) {
	front_ring_publish(front_tx(f, pair));
}

int front_send(struct front *f, unsigned pair, const void *frame, size_t len,
	const struct virtio_net_hdr_v1 *h) {
	int err = front_put(f, pair, frame, len, h);

	if (err == 0)
		front_flush(f, pair);
	return err;
}

/* Copies up to `room` bytes of a buffer behind what is there already. */
static void collect(void *frame, size_t room, size_t *len, const uint8_t *from, size_t n) {
	if (*len < room)
		memcpy((uint8_t *)frame + *len, from, n < room - *len ? n : room - *len);
	*len += n;
}

int front_recv(
	struct front *f, unsigned pair, void *frame, size_t room, struct virtio_net_hdr_v1 *h) {
	struct front_ring *r = front_rx(f, pair);
	struct virtio_net_hdr_v1 head = {.num_buffers = 1};
	bool merge = f->features & FRONT_BIT(VIRTIO_NET_F_MRG_RXBUF);
	uint32_t written;
	size_t len = 0;
	int id = front_ring_take(r, &written);

	if (id == -EAGAIN)
		return id;
	if (id < 0)
		return fail(f, id, "a used entry names a buffer the switch was not given");
	if (written < f->header || written > r->buffer_size)
		return fail(f, -EPROTO, "a used length does not fit its buffer");
	memcpy(&head, r->buf[id], f->header);
	if (!merge)
		head.num_buffers = 1;
	if (head.num_buffers == 0)
		return fail(f, -EPROTO, "a frame in no buffers");
	collect(frame, room, &len, r->buf[id] + f->header, written - f->header);
	for (unsigned i = 1; i < head.num_buffers; i++) {
		id = front_ring_take(r, &written);
		if (id < 0 || written > r->buffer_size)
			return fail(f, -EPROTO, "a merged frame's later buffer is not there");
		collect(frame, room, &len, r->buf[id], written);
	}
	if (h != NULL)
		*h = head;
	post(r);
	front_ring_publish(r);
	return (int)len;
}

int front_wait(struct front_ring *r, int timeout_ms) {
	struct pollfd p = {.fd = r->call, .events = POLLIN};
	uint64_t calls;

	front_ring_interrupts(r, true);
	while (!front_ring_ready(r) && poll(&p, 1, timeout_ms) > 0)
		if (read(r->call, &calls, sizeof(calls)) == sizeof(calls))
			r->calls += calls;
	front_ring_interrupts(r, false);
	return front_ring_ready(r);
}

void front_udp_frame(uint8_t *out, size_t len, const uint8_t *dst, const uint8_t *src) {
	enum { ETHER = 14, DISCARD = 9 };
	struct iphdr ip = {.version = 4,
		.ihl = 5,
		.tot_len = htons(len - ETHER),
		.ttl = 64,
		.protocol = IPPROTO_UDP,
		.saddr = htonl(0xc6120001), /* 198.18.0.0/15, for benchmarks: RFC 2544 C.2.2 */
		.daddr = htonl(0xc6130001)};
	struct udphdr udp = {.source = htons(DISCARD),
		.dest = htons(DISCARD),
		.len = htons(len - ETHER - sizeof(ip))};
	uint16_t words[sizeof(ip) / 2];
	uint32_t sum = 0;

	memcpy(words, &ip, sizeof(ip));
	for (unsigned i = 0; i < sizeof(ip) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	ip.check = ~(sum + (sum >> 16));
	memset(out, 0, len);
	memcpy(out, dst, 6);
	memcpy(out + 6, src, 6);
	out[12] = 0x08;
	memcpy(out + ETHER, &ip, sizeof(ip));
	memcpy(out + ETHER + sizeof(ip), &udp, sizeof(udp));
}
