/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * A front end whose messages are right one by one and wrong together: rings that cannot be, that lie
 * outside of its memory, that are started before anything else, or changed while they run. */
#include "bed.h"

#include <string.h>

#include "say.h"

enum { FRAME = 64 };
#define NO_ACK \
	{ .protocol = FRONT_P_MQ }

/* --- Out of order --------------------------------------------------------------------------- */

static void features_again(struct front *f) {
	for (unsigned i = 0; i < 50; i++)
		say(f, FRONT_SET_FEATURES, f->features);
}

static void features_change(struct front *f) {
	uint8_t frame[FRAME];

	front_udp_frame(frame, FRAME, mac_mate.octet, mac_bad.octet);
	for (unsigned i = 0; i < 20; i++) {
		say(f, FRONT_SET_FEATURES, f->features ^ FRONT_BIT(VIRTIO_F_RING_PACKED));
		front_send(f, 0, frame, FRAME, NULL);
		bed_mate_sends(5);
	}
}

static void address_first(struct front *f) {
	front_set_ring(f, front_tx(f, 0));
	front_enable(f, front_tx(f, 0), true);
}

static void kick_first(struct front *f) {
	struct front_message m = {.request = FRONT_SET_VRING_KICK, .size = 8, .u64 = 1};

	front_message(f, &m, &front_tx(f, 0)->kick, 1);
	front_ring_kick(front_tx(f, 0));
}

static void stop_first(struct front *f) {
	struct front_message m = {.request = FRONT_GET_VRING_BASE, .size = 8, .state = {1, 0}};

	front_ask(f, &m, NULL);
}

static void enable_first(struct front *f) {
	say_ring(f, FRONT_SET_VRING_ENABLE, 0, 1);
	say_ring(f, FRONT_SET_VRING_ENABLE, 1, 1);
	say_ring(f, FRONT_SET_VRING_ENABLE, 1, 77);
}

static void stop_again(struct front *f) {
	for (unsigned i = 0; i < 20; i++)
		stop_first(f);
}

static void reset_owner(struct front *f) {
	say(f, FRONT_RESET_OWNER, 0);
	stop_again(f);
}

static void start_again(struct front *f) {
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(front_start(f), 0);
}

static void stop_and_start(struct front *f) {
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(front_stop(f), 0);
		assert_int_equal(front_start(f), 0);
	}
}

static void kick_without(struct front *f) {
	struct front_message m = {.request = FRONT_SET_VRING_KICK, .size = 8, .u64 = 1};

	front_message(f, &m, NULL, 0);
}

static void kick_polled(struct front *f) {
	struct front_message m = {.request = FRONT_SET_VRING_KICK, .size = 8, .u64 = 1 | 1 << 8};

	front_message(f, &m, NULL, 0);
}

/* A dirty log can be asked for at any time, where it is offered. */
static void features_log(struct front *f) {
	say(f, FRONT_SET_FEATURES, f->features | FRONT_BIT(26));
}

static void features_undone(struct front *f) {
	say(f, FRONT_SET_FEATURES, f->features & ~FRONT_BIT(VIRTIO_NET_F_MRG_RXBUF));
}

/* What QEMU says when its guest boots anew and its next driver wants something else. */
static void boot_anew(struct front *f) {
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(front_stop(f), 0);
		f->features ^= FRONT_BIT(VIRTIO_F_RING_PACKED);
		assert_int_equal(front_set_features(f), 0);
		front_layout(f);
		assert_int_equal(front_set_memory(f), 0);
		assert_int_equal(front_start(f), 0);
		assert_int_equal(front_post(f), 0);
		if (!bed_passes(f))
			fail_msg("no frame passes after %u starts", i + 1);
	}
}

/* --- Rings that cannot be -------------------------------------------------------------------- */

static void ring_number(struct front *f, uint32_t ring) {
	say_ring(f, FRONT_SET_VRING_NUM, ring, 256);
}

static void ring_2(struct front *f) {
	ring_number(f, 2);
}

static void ring_255(struct front *f) {
	ring_number(f, 255);
}

static void ring_max(struct front *f) {
	ring_number(f, UINT32_MAX);
}

static void ring_sign(struct front *f) {
	say_ring(f, FRONT_SET_VRING_ENABLE, 0x80000000, 1);
}

static void kick_ring_max(struct front *f) {
	struct front_message m = {.request = FRONT_SET_VRING_KICK, .size = 8, .u64 = 0xff};

	front_message(f, &m, &front_tx(f, 0)->kick, 1);
}

/* A ring of `num` by the numbers, the rest as it should be; then use it. */
static void sized(struct front *f, uint32_t num) {
	struct front_ring *r = front_tx(f, 0);
	struct front_message m = {.request = FRONT_SET_VRING_ADDR,
		.size = sizeof(m.addr),
		.addr = {.index = 1,
			.desc = r->desc_uva,
			.avail = r->driver_uva,
			.used = r->device_uva}};
	uint8_t frame[FRAME];

	if (front_set_memory(f) != 0 || front_set_ring(f, front_rx(f, 0)) != 0 ||
		front_set_ring(f, r) != 0)
		return;
	say_ring(f, FRONT_SET_VRING_NUM, 1, num);
	front_message(f, &m, NULL, 0);
	front_enable(f, front_rx(f, 0), true);
	front_enable(f, r, true);
	front_udp_frame(frame, FRAME, mac_mate.octet, mac_bad.octet);
	front_send(f, 0, frame, FRAME, NULL);
	front_ring_kick(r);
}

static void sized_0(struct front *f) {
	sized(f, 0);
}

static void sized_3(struct front *f) {
	sized(f, 3);
}

static void sized_32768(struct front *f) {
	sized(f, 32768);
}

static void sized_40000(struct front *f) {
	sized(f, 40000);
}

static void sized_65536(struct front *f) {
	sized(f, 65536);
}

static void number_0(struct front *f) {
	say_ring(f, FRONT_SET_VRING_NUM, 1, 0);
}

/* --- Rings outside of memory ----------------------------------------------------------------- */

/* Starts the sending ring with one of its areas elsewhere. */
static void placed(struct front *f, uint64_t *area, uint64_t at) {
	const uint64_t was = *area;

	if (front_stop(f) != 0)
		return;
	*area = at;
	front_start(f);
	*area = was;
}

static uint64_t end_of(struct front *f, unsigned region) {
	return (uintptr_t)f->region[region].map + f->region[region].size;
}

static void table_nowhere(struct front *f) {
	placed(f, &front_tx(f, 0)->desc_uva, 0x1000);
}

static void table_over_end(struct front *f) {
	placed(f, &front_tx(f, 0)->desc_uva, end_of(f, 0) - 16);
}

static void table_wraps(struct front *f) {
	placed(f, &front_tx(f, 0)->desc_uva, UINT64_MAX - 15);
}

static void driver_before(struct front *f) {
	placed(f, &front_tx(f, 0)->driver_uva, (uintptr_t)f->region[0].map - 2);
}

static void device_over_end(struct front *f) {
	placed(f, &front_tx(f, 0)->device_uva, end_of(f, 0) - (4 + 8 * 256) + 4);
}

static void device_at_end(struct front *f) {
	placed(f, &front_tx(f, 0)->device_uva, end_of(f, 0) - (4 + 8 * 256));
}

/* The rings stay where they are, and the memory goes. */
static void memory_elsewhere(struct front *f) {
	struct front_message m = {.request = FRONT_SET_MEM_TABLE,
		.size = 8 + sizeof(m.memory.region[0]),
		.memory.nregions = 1};

	m.memory.region[0].gpa = f->region[0].gpa;
	m.memory.region[0].size = f->region[0].size;
	m.memory.region[0].uva = end_of(f, 0);
	front_message(f, &m, &f->region[0].fd, 1);
}

static void base_far(struct front *f) {
	front_stop(f);
	front_tx(f, 0)->base = 0x7fff;
	front_rx(f, 0)->base = 0xffff;
	front_start(f);
	bed_mate_sends(20);
}

static struct lie lies[] = {
	{"features told again while rings run are taken", features_again, ALIVE, NULL, RUNNING},
	{"rings that become packed while they run shut the port", features_change, SHUT,
		"SET_FEATURES changes 0x400000000 while queue 0 runs", RUNNING},
	{"rings that become packed while they run shut the port, without acknowledgements too",
		features_change, SHUT, "SET_FEATURES changes 0x400000000", RUNNING, NO_ACK},
	{"a feature taken back while rings run shuts the port", features_undone, SHUT,
		"SET_FEATURES changes 0x8000 while", RUNNING},
	{"a dirty log wanted, which is not offered, shuts the port", features_log, SHUT,
		"0x4000000 of it is not offered", RUNNING},
	{"a guest that boots anew may choose other features", boot_anew, ALIVE, NULL, RUNNING},
	{"ring addresses before memory shut the port", address_first, SHUT, "SET_VRING_ADDR",
		NEGOTIATED},
	{"a kick descriptor before anything does no harm", kick_first, EITHER, NULL, CONNECTED},
	{"stopping a ring that never was does no harm", stop_first, EITHER, NULL, CONNECTED},
	{"enabling rings that never were does no harm", enable_first, EITHER, NULL, NEGOTIATED},
	{"stopping a ring again and again does no harm", stop_again, EITHER, NULL, RUNNING},
	{"a reset owner does no harm", reset_owner, EITHER, NULL, RUNNING},
	{"starting rings that run is taken", start_again, ALIVE, NULL, RUNNING},
	{"stopping and starting 20 times is taken", stop_and_start, ALIVE, NULL, RUNNING},
	{"ring 2 of a port of one pair shuts it", ring_2, SHUT, "ring 2", NEGOTIATED},
	{"ring 255 of a port of one pair shuts it", ring_255, SHUT, "ring 255", NEGOTIATED},
	{"ring 4294967295 shuts the port", ring_max, SHUT, "ring 4294967295", NEGOTIATED},
	{"ring 2147483648 shuts the port", ring_sign, SHUT, "ring 2147483648", NEGOTIATED},
	{"a kick descriptor for ring 255 shuts the port", kick_ring_max, SHUT, "ring 255",
		NEGOTIATED},
	{"a ring of no descriptors shuts the port", sized_0, SHUT,
		"queue 1: a split ring of 0 descriptors; it can have 1 to 32768, a power of two",
		NEGOTIATED},
	{"a ring of no descriptors shuts the port, without acknowledgements too", sized_0, SHUT,
		"ring of 0 descriptors", NEGOTIATED, NO_ACK},
	{"a ring that shrinks to nothing while it runs shuts the port", number_0, SHUT,
		"ring of 0 descriptors", RUNNING},
	{"a split ring of 3 descriptors shuts the port", sized_3, SHUT, "ring of 3 descriptors",
		NEGOTIATED},
	{"a ring of 32,768 descriptors, in the memory of one of 256, does no harm", sized_32768,
		EITHER, NULL, NEGOTIATED},
	{"a ring of 40,000 descriptors shuts the port", sized_40000, SHUT,
		"ring of 40000 descriptors", NEGOTIATED},
	{"a packed ring of 40,000 descriptors shuts the port", sized_40000, SHUT,
		"packed ring of 40000 descriptors; it can have 1 to 32768", NEGOTIATED,
		{.features = FRONT_F_PLAIN | FRONT_BIT(VIRTIO_F_RING_PACKED)}},
	{"a ring of 65,536 descriptors shuts the port", sized_65536, SHUT,
		"ring of 65536 descriptors", NEGOTIATED},
	{"a descriptor table outside of memory shuts the port", table_nowhere, SHUT,
		"queue 1: the descriptor table, 4096 bytes at 0x1000, is outside", RUNNING},
	{"a descriptor table outside of memory shuts the port, without acknowledgements too",
		table_nowhere, SHUT, "the descriptor table", RUNNING, NO_ACK},
	{"a descriptor table over the end of memory shuts the port", table_over_end, SHUT,
		"the descriptor table", RUNNING},
	{"a descriptor table over the end of a region shuts the port", table_over_end, SHUT,
		"outside the guest's memory (3 regions", RUNNING, {.regions = 3}},
	{"a descriptor table around the end of the address space shuts the port", table_wraps, SHUT,
		"at 0xfffffffffffffff0", RUNNING},
	{"a driver area before memory shuts the port", driver_before, SHUT,
		"the driver area, 516 bytes", RUNNING},
	{"a device area over the end of memory shuts the port", device_over_end, SHUT,
		"the device area, 2052 bytes", RUNNING},
	{"a device area up to the last byte of memory is taken", device_at_end, ALIVE, NULL,
		RUNNING},
	{"memory taken from under running rings shuts the port", memory_elsewhere, SHUT,
		"outside the guest's memory", RUNNING},
	{"rings started far from where they are do no harm", base_far, EITHER, NULL, RUNNING},
	{"packed rings started behind their end shut the port", base_far, SHUT, "slot", RUNNING,
		{.features = FRONT_F_PLAIN | FRONT_BIT(VIRTIO_F_RING_PACKED),
			.protocol = FRONT_P_MQ}},
	{"a kick message without a descriptor does no harm", kick_without, EITHER, NULL,
		NEGOTIATED},
	{"a guest that does not kick does no harm", kick_polled, EITHER, NULL, RUNNING},
};

int main(void) {
	return bed_run("rings", lies, sizeof(lies) / sizeof(lies[0]));
}
