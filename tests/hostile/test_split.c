/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * A guest that lies in its split rings. */
#include "bed.h"

#include <errno.h>
#include <string.h>

enum { FRAME = 64, WHOLE = sizeof(struct virtio_net_hdr_v1) + FRAME };
#define INDIRECT FRONT_BIT(VIRTIO_RING_F_INDIRECT_DESC)

/* One descriptor, shown to the switch as a chain of its own; id of the descriptor. */
static uint16_t show(struct front *f, struct vring_desc d) {
	struct front_ring *r = front_tx(f, 0);
	struct front_piece p = {d.addr, d.len, false};
	int id;

	front_reap(f, 0);
	id = front_ring_put(r, &p, 1, false);
	assert_true(id >= 0);
	r->desc[id].flags = d.flags;
	r->desc[id].next = d.next;
	front_ring_publish(r);
	return id;
}

/* An honest address of FRAME and header, of some buffer. */
static uint64_t good(struct front *f) {
	return front_tx(f, 0)->buf_gpa[0];
}

static uint64_t end_of_memory(struct front *f) {
	return f->region[f->nregions - 1].gpa + f->region[f->nregions - 1].size;
}

static void below_memory(struct front *f) {
	show(f, (struct vring_desc){0x1000, WHOLE, 0, 0});
}

static void over_the_end(struct front *f) {
	show(f, (struct vring_desc){end_of_memory(f) - WHOLE / 2, WHOLE, 0, 0});
}

static void wraps(struct front *f) {
	show(f, (struct vring_desc){UINT64_MAX - 16, 4096, 0, 0});
}

static void endless(struct front *f) {
	show(f, (struct vring_desc){good(f), UINT32_MAX, 0, 0});
}

static void no_bytes(struct front *f) {
	show(f, (struct vring_desc){good(f), 0, 0, 0});
	show(f, (struct vring_desc){0, 0, 0, 0});
}

static void header_only(struct front *f) {
	show(f, (struct vring_desc){good(f), 5, 0, 0});
	show(f, (struct vring_desc){good(f), sizeof(struct virtio_net_hdr_v1), 0, 0});
	show(f, (struct vring_desc){good(f), sizeof(struct virtio_net_hdr_v1) + 13, 0, 0});
}

static void next_outside(struct front *f) {
	show(f, (struct vring_desc){good(f), 12, VRING_DESC_F_NEXT, 0xffff});
}

static void loop_of_one(struct front *f) {
	int id = front_ring_next(front_tx(f, 0));

	show(f, (struct vring_desc){good(f), 12, VRING_DESC_F_NEXT, id});
}

static void loop_of_two(struct front *f) {
	struct front_ring *r = front_tx(f, 0);
	struct front_piece p[2] = {{good(f), 12, false}, {good(f) + 12, FRAME, false}};
	int id;

	front_reap(f, 0);
	id = front_ring_put(r, p, 2, false);
	assert_true(id >= 0);
	r->desc[r->desc[id].next].flags = VRING_DESC_F_NEXT;
	r->desc[r->desc[id].next].next = id;
	front_ring_publish(r);
}

static void loop_of_nothing(struct front *f) {
	int id = front_ring_next(front_tx(f, 0));

	show(f, (struct vring_desc){good(f), 0, VRING_DESC_F_NEXT, id});
}

static void id_outside(struct front *f) {
	struct front_ring *r = front_tx(f, 0);

	r->avail->ring[r->next_avail % r->size] = 60000;
	r->next_avail++;
	r->unpublished++;
	front_ring_publish(r);
}

static void jump(struct front *f, uint16_t by) {
	struct front_ring *r = front_tx(f, 0);

	r->avail->idx = r->next_avail + by;
	front_ring_kick(r);
}

static void jump_ring(struct front *f) {
	jump(f, f->o.ring_size + 1);
}

static void jump_half(struct front *f) {
	jump(f, 0x8000);
}

static void jump_back(struct front *f) {
	jump(f, -1);
}

static void jump_receive(struct front *f) {
	struct front_ring *r = front_rx(f, 0);

	r->avail->idx = r->used->idx + r->size + 1;
	bed_mate_sends(2 * r->size);
}

/* An indirect table with the entries given, in the second half of an unused buffer. */
static struct vring_desc *table(struct front *f, uint64_t *gpa) {
	struct front_ring *r = front_tx(f, 0);
	uint8_t *at = r->buf[r->size - 1];

	*gpa = r->buf_gpa[r->size - 1];
	return (struct vring_desc *)at;
}

static void show_table(struct front *f, const struct vring_desc *d, unsigned n, uint32_t len) {
	uint64_t gpa;
	struct vring_desc *t = table(f, &gpa);

	memcpy(t, d, n * sizeof(*d));
	show(f, (struct vring_desc){gpa, len, VRING_DESC_F_INDIRECT, 0});
}

static void table_odd(struct front *f) {
	struct vring_desc d = {good(f), WHOLE, 0, 0};

	show_table(f, &d, 1, sizeof(d) + 1);
}

static void table_empty(struct front *f) {
	struct vring_desc d = {good(f), WHOLE, 0, 0};

	show_table(f, &d, 1, 0);
}

static void table_huge(struct front *f) {
	struct vring_desc d = {good(f), WHOLE, 0, 0};

	show_table(f, &d, 1, UINT32_MAX - 15);
}

/* n entries of no bytes, again and again. */
static void tables_of_nothing(struct front *f, unsigned n) {
	struct vring_desc *t = front_alloc(f, 0, n * sizeof(*t), 16);

	assert_non_null(t);
	for (unsigned i = 0; i < n; i++)
		t[i] = (struct vring_desc){
			0, 0, i + 1 < n ? VRING_DESC_F_NEXT : 0, (uint16_t)(i + 1)};
	for (unsigned i = 0; i < 64; i++)
		show(f, (struct vring_desc){front_gpa(f, t), (uint32_t)(n * sizeof(*t)),
				VRING_DESC_F_INDIRECT, 0});
}

static void table_longest(struct front *f) {
	tables_of_nothing(f, 256);
}

static void table_too_long(struct front *f) {
	tables_of_nothing(f, 257);
}

static void table_of_32768(struct front *f) {
	tables_of_nothing(f, 32768);
}

static void table_nested(struct front *f) {
	struct vring_desc d[2] = {{good(f), 12, VRING_DESC_F_NEXT, 1},
		{good(f), sizeof(d[0]), VRING_DESC_F_INDIRECT, 0}};

	show_table(f, d, 2, sizeof(d));
}

static void table_next_outside(struct front *f) {
	struct vring_desc d[2] = {{good(f), 12, VRING_DESC_F_NEXT, 2}, {good(f), FRAME, 0, 0}};

	show_table(f, d, 2, sizeof(d));
}

static void table_loop(struct front *f) {
	struct vring_desc d[2] = {
		{good(f), 12, VRING_DESC_F_NEXT, 1}, {good(f), FRAME, VRING_DESC_F_NEXT, 0}};

	show_table(f, d, 2, sizeof(d));
}

static void table_outside(struct front *f) {
	show(f, (struct vring_desc){
			0x2000, 2 * sizeof(struct vring_desc), VRING_DESC_F_INDIRECT, 0});
}

static void table_over_the_end(struct front *f) {
	struct front_region *last = &f->region[f->nregions - 1];
	struct vring_desc d = {good(f), 12, VRING_DESC_F_NEXT, 1};

	memcpy(last->map + last->size - sizeof(d), &d, sizeof(d));
	show(f, (struct vring_desc){
			end_of_memory(f) - sizeof(d), 2 * sizeof(d), VRING_DESC_F_INDIRECT, 0});
}

static void table_chained(struct front *f) {
	struct vring_desc d = {good(f), WHOLE, 0, 0};
	uint64_t gpa;

	memcpy(table(f, &gpa), &d, sizeof(d));
	show(f, (struct vring_desc){gpa, sizeof(d), VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 3});
}

static void table_writable(struct front *f) {
	struct vring_desc d = {good(f), WHOLE, VRING_DESC_F_WRITE, 0};

	show_table(f, &d, 1, sizeof(d));
}

static void write_in_transmit(struct front *f) {
	show(f, (struct vring_desc){good(f), WHOLE, VRING_DESC_F_WRITE, 0});
}

/* Spoils every receive descriptor, those already made available too, then has frames sent to it. */
static void spoil_receive(struct front *f, struct vring_desc d) {
	struct front_ring *r = front_rx(f, 0);

	for (unsigned i = 0; i < r->size; i++)
		r->desc[i] = d;
	bed_mate_sends(r->size);
}

static void receive_outside(struct front *f) {
	spoil_receive(f, (struct vring_desc){0x3000, 2048, VRING_DESC_F_WRITE, 0});
}

static void receive_over_the_end(struct front *f) {
	spoil_receive(f, (struct vring_desc){end_of_memory(f) - 64, 2048, VRING_DESC_F_WRITE, 0});
}

static void receive_read_only(struct front *f) {
	spoil_receive(f, (struct vring_desc){good(f), 2048, 0, 0});
}

static void receive_tiny(struct front *f) {
	spoil_receive(f, (struct vring_desc){good(f), 4, VRING_DESC_F_WRITE, 0});
}

static void receive_loop(struct front *f) {
	spoil_receive(
		f, (struct vring_desc){good(f), 16, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 0});
}

/* Lengths whose sum has no room in 32 bits: 12 bytes, then 4 GiB in each buffer. */
static void receive_4_gib(struct front *f) {
	struct front_ring *r = front_rx(f, 0);

	for (unsigned i = 0; i < r->size; i++)
		r->desc[i] = (struct vring_desc){
			good(f), i % 32 == 0 ? 12 : UINT32_MAX, VRING_DESC_F_WRITE, 0};
	bed_mate_sends(r->size);
}

/* Everything the driver may write changes while the switch reads it. */
static void scribble(struct front *f) {
	struct front_ring *r = front_tx(f, 0);
	uint32_t seed = 12345;

	for (unsigned i = 0; i < 200000; i++) {
		struct vring_desc *d = &r->desc[i % r->size];

		seed = seed * 1664525 + 1013904223;
		d->addr = seed & 1 ? good(f) : (uint64_t)seed << 8;
		d->len = seed >> 3 & 0xfff;
		d->flags = seed >> 20 & 5;
		d->next = seed >> 8 & 0xff;
		r->avail->ring[i % r->size] = i % r->size;
		__atomic_store_n(
			&r->avail->idx, (uint16_t)(r->used->idx + (seed >> 24)), __ATOMIC_RELEASE);
	}
	front_ring_kick(r);
}

static void scribble_used(struct front *f) {
	struct front_ring *r = front_tx(f, 0);
	uint8_t frame[FRAME];

	front_udp_frame(frame, FRAME, mac_mate.octet, mac_bad.octet);
	for (unsigned i = 0; i < 1000; i++) {
		front_send(f, 0, frame, FRAME, NULL);
		r->used->idx = i * 77;
		front_rx(f, 0)->used->idx = i * 99;
	}
}

static void flags_unknown(struct front *f) {
	struct front_ring *r = front_tx(f, 0);
	struct front_piece p = {good(f), WHOLE, false};
	int id = front_ring_put(r, &p, 1, false);

	front_udp_frame(r->buf[0] + 12, FRAME, mac_mate.octet, mac_bad.octet);
	r->desc[id].flags = 0xfff8; /* reserved: a device must ignore them */
	r->avail->flags = 0xfffe;
	front_ring_publish(r);
}

static struct lie lies[] = {
	{"a descriptor below guest memory shuts the port", below_memory, SHUT, "outside"},
	{"a descriptor over the end of guest memory shuts the port", over_the_end, SHUT, "outside"},
	{"a descriptor over the end of the last of several regions shuts the port", over_the_end,
		SHUT, "outside", .o.regions = 3},
	{"a descriptor whose end wraps around shuts the port", wraps, SHUT, "outside"},
	{"a descriptor of 4 GiB shuts the port", endless, SHUT, "outside"},
	{"descriptors of no bytes do no harm", no_bytes, EITHER},
	{"frames shorter than their headers are dropped", header_only, ALIVE},
	{"a chain that goes on outside the ring shuts the port", next_outside, SHUT, "descriptor"},
	{"a descriptor that follows itself shuts the port", loop_of_one, SHUT, "loop"},
	{"a loop of two descriptors shuts the port", loop_of_two, SHUT, "loop"},
	{"a loop without any bytes shuts the port", loop_of_nothing, SHUT, "loop"},
	{"an available entry outside the ring shuts the port", id_outside, SHUT, "descriptor"},
	{"an available index a ring ahead shuts the port", jump_ring, SHUT, "jumped"},
	{"an available index half its range ahead shuts the port", jump_half, SHUT, "jumped"},
	{"an available index that goes back shuts the port", jump_back, SHUT, "jumped"},
	{"a receive ring's index too far ahead shuts the port", jump_receive, SHUT, "jumped"},
	{"an indirect table nobody negotiated shuts the port", table_odd, SHUT, "indirect"},
	{"an indirect table of 17 bytes shuts the port", table_odd, SHUT, "indirect",
		.o.features = FRONT_F_PLAIN | INDIRECT},
	{"an indirect table of no bytes shuts the port", table_empty, SHUT, "indirect",
		.o.features = FRONT_F_PLAIN | INDIRECT},
	{"an indirect table of 4 GiB shuts the port", table_huge, SHUT, "",
		.o.features = FRONT_F_PLAIN | INDIRECT},
	{"indirect tables of 256 entries of no bytes are frames too short", table_longest, ALIVE,
		.o.features = FRONT_F_PLAIN | INDIRECT, .o.extra = 1 << 20},
	{"an indirect table of 257 entries of no bytes shuts the port", table_too_long, SHUT,
		"expected 1 to 256 entries", .o.features = FRONT_F_PLAIN | INDIRECT,
		.o.extra = 1 << 20},
	{"an indirect table of 32,768 entries of no bytes shuts the port", table_of_32768, SHUT,
		"expected 1 to 256 entries", .o.features = FRONT_F_PLAIN | INDIRECT,
		.o.extra = 1 << 20},
	{"an indirect table in an indirect table shuts the port", table_nested, SHUT, "indirect",
		.o.features = FRONT_F_PLAIN | INDIRECT},
	{"an indirect table that goes on behind its end shuts the port", table_next_outside, SHUT,
		"indirect", .o.features = FRONT_F_PLAIN | INDIRECT},
	{"a loop in an indirect table shuts the port", table_loop, SHUT, "loop",
		.o.features = FRONT_F_PLAIN | INDIRECT},
	{"an indirect table outside memory shuts the port", table_outside, SHUT, "outside",
		.o.features = FRONT_F_PLAIN | INDIRECT},
	{"an indirect table over the end of memory shuts the port", table_over_the_end, SHUT,
		"outside", .o.features = FRONT_F_PLAIN | INDIRECT},
	{"an indirect table that is chained as well shuts the port", table_chained, SHUT,
		"indirect", .o.features = FRONT_F_PLAIN | INDIRECT},
	{"an indirect table of buffers to write to, to transmit, shuts the port", table_writable,
		SHUT, "writable", .o.features = FRONT_F_PLAIN | INDIRECT},
	{"a buffer to write to, to transmit, shuts the port", write_in_transmit, SHUT, "writable"},
	{"receive buffers outside memory shut the port", receive_outside, SHUT, "outside"},
	{"receive buffers over the end of memory shut the port", receive_over_the_end, SHUT,
		"outside"},
	{"read-only receive buffers shut the port", receive_read_only, SHUT, "read-only"},
	{"receive buffers of 4 bytes shut the port", receive_tiny, SHUT, "too small"},
	{"receive buffers in a loop shut the port", receive_loop, SHUT, "chain"},
	{"receive buffers of 4 GiB each, in a region of 5 GiB, hurt nobody else", receive_4_gib,
		EITHER, .o.extra = 5ull << 30},
	{"rings rewritten while they are read do no harm", scribble, EITHER},
	{"used indices overwritten by the guest hurt the guest only", scribble_used, EITHER},
	{"reserved flags are ignored", flags_unknown, EITHER},
};

int main(void) {
	return bed_run("split", lies, sizeof(lies) / sizeof(lies[0]));
}
