/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * A guest that lies in its packed rings. */
#include "bed.h"

#include <string.h>

enum { FRAME = 64, WHOLE = sizeof(struct virtio_net_hdr_v1) + FRAME };
#define PACKED   (FRONT_F_PLAIN | FRONT_BIT(VIRTIO_F_RING_PACKED))
#define INDIRECT FRONT_BIT(VIRTIO_RING_F_INDIRECT_DESC)
#define EVENT    FRONT_BIT(VIRTIO_RING_F_EVENT_IDX)

/* Writes one descriptor where the driver is, available, with these flags besides. */
static void show(struct front_ring *r, uint64_t addr, uint32_t len, uint16_t id, uint16_t flags) {
	struct vring_packed_desc *d = &r->pdesc[r->next_avail];

	d->addr = addr;
	d->len = len;
	d->id = id;
	flags |= 1u << (r->avail_wrap ? VRING_PACKED_DESC_F_AVAIL : VRING_PACKED_DESC_F_USED);
	__atomic_store_n(&d->flags, flags, __ATOMIC_RELEASE);
	if (++r->next_avail == r->size) {
		r->next_avail = 0;
		r->avail_wrap = !r->avail_wrap;
	}
	front_ring_kick(r);
}

static uint64_t good(struct front *f) {
	return front_tx(f, 0)->buf_gpa[0];
}

static uint64_t end_of_memory(struct front *f) {
	return f->region[f->nregions - 1].gpa + f->region[f->nregions - 1].size;
}

static void below_memory(struct front *f) {
	show(front_tx(f, 0), 0x1000, WHOLE, 1, 0);
}

static void over_the_end(struct front *f) {
	show(front_tx(f, 0), end_of_memory(f) - 8, WHOLE, 1, 0);
}

static void wraps(struct front *f) {
	show(front_tx(f, 0), UINT64_MAX - 16, 4096, 1, 0);
}

static void endless(struct front *f) {
	show(front_tx(f, 0), good(f), UINT32_MAX, 1, 0);
}

static void no_bytes(struct front *f) {
	show(front_tx(f, 0), good(f), 0, 1, 0);
}

static void id_outside(struct front *f) {
	show(front_tx(f, 0), good(f), WHOLE, 0xffff, 0);
}

static void id_twice(struct front *f) {
	show(front_tx(f, 0), good(f), WHOLE, 7, 0);
	show(front_tx(f, 0), good(f), WHOLE, 7, 0);
}

static void chain_without_end(struct front *f) {
	struct front_ring *r = front_tx(f, 0);

	for (unsigned i = 0; i < r->size; i++)
		show(r, good(f), 1, 1, VRING_DESC_F_NEXT);
}

static void chain_not_there_yet(struct front *f) {
	show(front_tx(f, 0), good(f), 12, 1, VRING_DESC_F_NEXT);
}

static void show_table(struct front *f, uint64_t addr, uint16_t flags, uint32_t len) {
	struct front_ring *r = front_tx(f, 0);
	struct vring_packed_desc d[2] = {{good(f), 12, 0, 0}, {addr, FRAME, 0, flags}};

	memcpy(r->buf[r->size - 1], d, sizeof(d));
	show(r, r->buf_gpa[r->size - 1], len, 1, VRING_DESC_F_INDIRECT);
}

static void table_odd(struct front *f) {
	show_table(f, good(f), 0, 33);
}

static void table_empty(struct front *f) {
	show_table(f, good(f), 0, 0);
}

static void table_nested(struct front *f) {
	show_table(f, good(f), VRING_DESC_F_INDIRECT, 32);
}

static void table_writable(struct front *f) {
	show_table(f, good(f), VRING_DESC_F_WRITE, 32);
}

static void table_to_nowhere(struct front *f) {
	show_table(f, 0x4000, 0, 32);
}

static void table_outside(struct front *f) {
	show(front_tx(f, 0), end_of_memory(f) - 16, 32, 1, VRING_DESC_F_INDIRECT);
}

static void table_chained(struct front *f) {
	show(front_tx(f, 0), good(f), 32, 1, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT);
	show(front_tx(f, 0), good(f), 32, 1, 0);
}

static void write_in_transmit(struct front *f) {
	show(front_tx(f, 0), good(f), WHOLE, 1, VRING_DESC_F_WRITE);
}

static void spoil_receive(struct front *f, uint64_t addr, uint32_t len, uint16_t clear) {
	struct front_ring *r = front_rx(f, 0);

	for (unsigned i = 0; i < r->size; i++) {
		r->pdesc[i].addr = addr;
		r->pdesc[i].len = len;
		r->pdesc[i].flags &= ~clear;
	}
	bed_mate_sends(r->size);
}

static void receive_outside(struct front *f) {
	spoil_receive(f, 0x5000, 2048, 0);
}

static void receive_read_only(struct front *f) {
	spoil_receive(f, good(f), 2048, VRING_DESC_F_WRITE);
}

static void receive_tiny(struct front *f) {
	spoil_receive(f, good(f), 3, 0);
}

/* Lengths whose sum has no room in 32 bits: 12 bytes, then 4 GiB in each buffer. */
static void receive_4_gib(struct front *f) {
	struct front_ring *r = front_rx(f, 0);

	for (unsigned i = 0; i < r->size; i++) {
		r->pdesc[i].addr = good(f);
		r->pdesc[i].len = i % 32 == 0 ? 12 : UINT32_MAX;
	}
	bed_mate_sends(r->size);
}

/* Wrap bits at random: descriptors come and go as the switch looks. */
static void wrap_at_random(struct front *f) {
	struct front_ring *r = front_tx(f, 0);
	uint32_t seed = 4711;

	for (unsigned i = 0; i < 200000; i++) {
		struct vring_packed_desc *d = &r->pdesc[i % r->size];

		seed = seed * 1664525 + 1013904223;
		d->addr = good(f);
		d->len = seed >> 4 & 0x7ff;
		d->id = seed >> 8 & 0xff;
		__atomic_store_n(&d->flags, (uint16_t)(seed >> 16 & 0x8081), __ATOMIC_RELEASE);
	}
	front_ring_kick(r);
}

static void events_at_random(struct front *f) {
	struct front_ring *rings[2] = {front_rx(f, 0), front_tx(f, 0)};

	for (unsigned i = 0; i < 2; i++) {
		rings[i]->driver->flags = 0xffff;
		rings[i]->driver->off_wrap = 0x7fff;
	}
	bed_mate_sends(100);
}

static struct lie lies[] = {
	{"a descriptor below guest memory shuts the port", below_memory, SHUT, "outside"},
	{"a descriptor over the end of guest memory shuts the port", over_the_end, SHUT, "outside"},
	{"a descriptor whose end wraps around shuts the port", wraps, SHUT, "outside"},
	{"a descriptor of 4 GiB shuts the port", endless, SHUT, "outside"},
	{"a descriptor of no bytes does no harm", no_bytes, EITHER},
	{"a buffer id outside the ring shuts the port", id_outside, SHUT, "buffer id"},
	{"a buffer id given twice hurts the guest only", id_twice, EITHER},
	{"a chain as long as the ring that does not end hurts the guest only", chain_without_end,
		EITHER},
	{"a chain whose rest is not available yet does no harm", chain_not_there_yet, EITHER},
	{"an indirect table of 33 bytes shuts the port", table_odd, SHUT, "indirect",
		.o.features = INDIRECT},
	{"an indirect table of no bytes shuts the port", table_empty, SHUT, "indirect",
		.o.features = INDIRECT},
	{"an indirect table nobody negotiated shuts the port", table_writable, SHUT, "indirect"},
	{"an indirect table in an indirect table shuts the port", table_nested, SHUT, "indirect",
		.o.features = INDIRECT},
	{"an indirect table of buffers to write to, to transmit, shuts the port", table_writable,
		SHUT, "writable", .o.features = INDIRECT},
	{"an indirect table that points outside memory shuts the port", table_to_nowhere, SHUT,
		"outside", .o.features = INDIRECT},
	{"an indirect table over the end of memory shuts the port", table_outside, SHUT, "outside",
		.o.features = INDIRECT},
	{"an indirect table that is chained as well shuts the port", table_chained, SHUT,
		"indirect", .o.features = INDIRECT},
	{"a buffer to write to, to transmit, shuts the port", write_in_transmit, SHUT, "writable"},
	{"receive buffers outside memory shut the port", receive_outside, SHUT, "outside"},
	{"read-only receive buffers shut the port", receive_read_only, SHUT, "read-only"},
	{"receive buffers of 3 bytes shut the port", receive_tiny, SHUT, "too small"},
	{"receive buffers of 4 GiB each, in a region of 5 GiB, hurt nobody else", receive_4_gib,
		EITHER, .o.features = FRONT_BIT(VIRTIO_NET_F_MRG_RXBUF), .o.extra = 5ull << 30},
	{"wrap bits at random do no harm", wrap_at_random, EITHER},
	{"impossible event suppression does no harm", events_at_random, ALIVE},
	{"impossible event suppression with event indices does no harm", events_at_random, ALIVE,
		.o.features = EVENT},
};

int main(void) {
	for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
		lies[i].o.features |= PACKED;
	return bed_run("packed", lies, sizeof(lies) / sizeof(lies[0]));
}
