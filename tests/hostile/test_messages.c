/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * A front end that lies on the socket: messages cut, repeated, out of order, oversize, with
 * descriptors they should not have; more front ends than one. */
#include "bed.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FRAME = 64 };
#define NO_ACK \
	{ .protocol = FRONT_P_MQ }

static void header(struct front *f, uint32_t request, uint32_t flags, uint32_t size) {
	uint32_t h[3] = {request, flags, size};

	front_raw(f, h, sizeof(h), NULL, 0);
}

static void say(struct front *f, uint32_t request, uint64_t value) {
	struct front_message m = {.request = request, .size = 8, .u64 = value};

	front_message(f, &m, NULL, 0);
}

static void say_ring(struct front *f, uint32_t request, uint32_t ring, uint32_t num) {
	say(f, request, (uint64_t)num << 32 | ring);
}

/* --- Cut ------------------------------------------------------------------------------------- */

static void header_cut(struct front *f) {
	uint32_t h[3] = {FRONT_SET_FEATURES, FRONT_VERSION, 8};

	front_raw(f, h, 6, NULL, 0);
	front_disconnect(f);
}

static void header_silent(struct front *f) {
	uint32_t h[3] = {FRONT_SET_FEATURES, FRONT_VERSION, 8};

	front_raw(f, h, 6, NULL, 0);
}

static void payload_cut(struct front *f) {
	header(f, FRONT_SET_FEATURES, FRONT_VERSION, 8);
	front_raw(f, "abc", 3, NULL, 0);
	front_disconnect(f);
}

static void payload_silent(struct front *f) {
	header(f, FRONT_SET_MEM_TABLE, FRONT_VERSION, 264);
	front_raw(f, "abc", 3, NULL, 0);
}

static void byte_by_byte(struct front *f) {
	uint32_t h[3] = {FRONT_GET_FEATURES, FRONT_VERSION, 0};
	struct front_message m;

	for (unsigned i = 0; i < sizeof(h); i++) {
		front_raw(f, (uint8_t *)h + i, 1, NULL, 0);
		bed_rest(1);
	}
	m = (struct front_message){.request = FRONT_GET_FEATURES};
	assert_int_equal(front_ask(f, &m, NULL), 0);
}

static void payload_short(struct front *f) {
	struct front_message m = {.request = FRONT_SET_VRING_ADDR, .size = 8, .u64 = 0};

	front_message(f, &m, NULL, 0);
}

/* --- Oversize, unknown ----------------------------------------------------------------------- */

static void size_max(struct front *f) {
	header(f, FRONT_SET_FEATURES, FRONT_VERSION, UINT32_MAX);
}

static void size_over(struct front *f) {
	header(f, FRONT_SET_MEM_TABLE, FRONT_VERSION, 4096);
}

static void size_big(struct front *f) {
	struct front_message m = {.request = FRONT_SET_FEATURES, .size = 512};

	front_message(f, &m, NULL, 0);
}

static void unknown(struct front *f) {
	header(f, 200, FRONT_VERSION, 0);
}

static void request_zero(struct front *f) {
	header(f, 0, FRONT_VERSION, 0);
}

static void request_max(struct front *f) {
	header(f, UINT32_MAX, FRONT_VERSION, 0);
}

static void version_none(struct front *f) {
	header(f, FRONT_GET_FEATURES, 0, 0);
}

static void version_next(struct front *f) {
	header(f, FRONT_GET_FEATURES, 2, 0);
}

static void reply_of_ours(struct front *f) {
	header(f, FRONT_GET_FEATURES, FRONT_VERSION | FRONT_REPLY, 0);
}

static void dirty_log(struct front *f) {
	struct front_message m = {.request = FRONT_SET_LOG_BASE, .size = 16};

	front_message(f, &m, NULL, 0);
}

static void garbage(struct front *f) {
	uint8_t bytes[4096];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = i * 73 + 11;
	front_raw(f, bytes, sizeof(bytes), NULL, 0);
}

/* --- Repeated, out of order ------------------------------------------------------------------ */

static void owner_again(struct front *f) {
	for (unsigned i = 0; i < 200; i++)
		say(f, FRONT_SET_OWNER, 0);
}

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

static void features_unknown(struct front *f) {
	say(f, FRONT_SET_FEATURES, UINT64_MAX);
}

static void protocol_unknown(struct front *f) {
	say(f, FRONT_SET_PROTOCOL_FEATURES, UINT64_MAX);
}

static void answers_unread(struct front *f) {
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t h[3] = {FRONT_GET_FEATURES, FRONT_VERSION, 0};

		if (front_raw(f, h, sizeof(h), NULL, 0) < 0)
			break;
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

static void base_far(struct front *f) {
	front_stop(f);
	front_tx(f, 0)->base = 0x7fff;
	front_rx(f, 0)->base = 0xffff;
	front_start(f);
	bed_mate_sends(20);
}

/* --- Descriptors ----------------------------------------------------------------------------- */

static void with_descriptors(struct front *f, uint32_t request, unsigned n) {
	uint32_t m[5] = {request, FRONT_VERSION, request == FRONT_GET_FEATURES ? 0 : 8};
	int fds[64];

	for (unsigned i = 0; i < n; i++)
		fds[i] = front_tx(f, 0)->kick;
	front_raw(f, m, FRONT_HEADER + m[2], fds, n);
}

static void nine_descriptors(struct front *f) {
	with_descriptors(f, FRONT_SET_MEM_TABLE, 9);
}

static void sixty_four_descriptors(struct front *f) {
	with_descriptors(f, FRONT_SET_MEM_TABLE, 64);
}

static void unwanted_descriptors(struct front *f) {
	for (unsigned i = 0; i < 40; i++)
		with_descriptors(f, FRONT_GET_FEATURES, 8);
	bed_rest(50);
}

static void kick_without(struct front *f) {
	struct front_message m = {.request = FRONT_SET_VRING_KICK, .size = 8, .u64 = 1};

	front_message(f, &m, NULL, 0);
}

static void kick_polled(struct front *f) {
	struct front_message m = {.request = FRONT_SET_VRING_KICK, .size = 8, .u64 = 1 | 1 << 8};

	front_message(f, &m, NULL, 0);
}

/* --- The in-flight region -------------------------------------------------------------------- */

static void inflight(struct front *f, uint64_t size, uint64_t offset, uint16_t queues,
	uint16_t ring, size_t file) {
	struct front_message m = {.request = FRONT_SET_INFLIGHT_FD,
		.size = sizeof(m.inflight),
		.inflight = {size, offset, queues, ring}};
	int fd = memfd_create("inflight", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, file), 0);
	front_message(f, &m, &fd, 1);
	close(fd);
	front_set_memory(f);
	front_start(f);
}

static void inflight_small(struct front *f) {
	inflight(f, 63, 0, 2, 256, 4096);
}

static void inflight_short_file(struct front *f) {
	inflight(f, 16384, 0, 2, 256, 0);
}

static void inflight_offset(struct front *f) {
	inflight(f, 16384, UINT64_MAX - 100, 2, 256, 16384);
}

static void inflight_queues(struct front *f) {
	inflight(f, 16384, 0, 65535, 256, 16384);
}

static void inflight_ring(struct front *f) {
	inflight(f, 16384, 0, 2, 65535, 16384);
}

static void inflight_ring_smaller(struct front *f) {
	inflight(f, 4096, 0, 2, 16, 4096);
	bed_mate_sends(300);
}

static void inflight_ask_huge(struct front *f) {
	struct front_message m = {.request = FRONT_GET_INFLIGHT_FD,
		.size = sizeof(m.inflight),
		.inflight = {.queues = 65535, .ring_size = 65535}};
	int fd = -1;

	front_ask(f, &m, &fd);
	if (fd >= 0)
		close(fd);
}

static uint8_t *inflight_map(struct front *f, size_t *size) {
	uint8_t *p;

	*size = f->inflight.inflight.size;
	p = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, f->inflight_fd,
		f->inflight.inflight.offset);
	assert_true(p != MAP_FAILED);
	return p;
}

/* The region is the guest's memory too: it can say anything when the rings start again. */
static void inflight_scribbled(struct front *f, uint8_t byte, unsigned step) {
	uint8_t frame[FRAME], *p;
	size_t size;

	front_udp_frame(frame, FRAME, mac_mate.octet, mac_bad.octet);
	p = inflight_map(f, &size);
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < 20; i++)
			front_send(f, 0, frame, FRAME, NULL);
		bed_mate_sends(20);
		bed_rest(5);
		for (size_t i = 8 + round; i < size; i += step)
			p[i] = byte + round;
		front_reconnect(f);
		bed_rest(20);
	}
	munmap(p, size);
}

static void inflight_ones(struct front *f) {
	inflight_scribbled(f, 0xff, 1);
}

static void inflight_sown(struct front *f) {
	inflight_scribbled(f, 0x41, 7);
}

static void inflight_cut(struct front *f) {
	assert_int_equal(ftruncate(f->inflight_fd, 0), 0);
	for (unsigned i = 0; i < 20; i++)
		bed_mate_sends(20);
	front_reconnect(f);
	bed_mate_sends(20);
}

/* The in-flight region is taken on one thread, the memory table on another: rings must not come back to
 * the workers while their memory goes. Without acknowledgements the two follow each other at once. */
static void inflight_among_memory(struct front *f) {
	const uint64_t size = f->region[0].size;
	uint8_t frame[FRAME];

	front_udp_frame(frame, FRAME, mac_mate.octet, mac_bad.octet);
	for (unsigned round = 0; round < 400; round++) {
		f->region[0].size = size - round % 2 * 4096;
		front_send(f, 0, frame, FRAME, NULL);
		front_ring_kick(front_tx(f, 0));
		if (front_set_memory(f) < 0)
			break;
		for (unsigned i = 0; i < 4; i++)
			front_set_inflight(f);
		bed_mate_sends(1);
	}
	f->region[0].size = size;
}

/* --- Connections ----------------------------------------------------------------------------- */

static void second_client(struct front *f) {
	struct front other;

	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(front_init(&other, &f->o), 0);
		assert_int_equal(front_connect(&other), 0);
		if (!front_hung_up(&other, 2000 * bed_patience()))
			fail_msg("a second front end was let in");
		front_close(&other);
	}
}

static void come_and_go(struct front *f) {
	for (unsigned i = 0; i < 200; i++) {
		front_disconnect(f);
		front_connect(f);
		if (i % 3 == 0)
			header(f, FRONT_GET_FEATURES, FRONT_VERSION, 0);
	}
	front_disconnect(f);
}

static void come_start_and_go(struct front *f) {
	for (unsigned i = 0; i < 30; i++) {
		front_reconnect(f);
		bed_mate_sends(3);
	}
}

static void silent(struct front *f) {
	(void)f;
}

/* Thousands of messages with plausible numbers and random payload. */
static void at_random(struct front *f) {
	uint32_t seed = 2026;
	struct front_message m;

	for (unsigned i = 0; i < 3000; i++) {
		int fd = front_tx(f, 0)->kick;

		for (unsigned k = 0; k < 64; k++) {
			seed = seed * 1664525 + 1013904223;
			m.bytes[k] = seed >> 28 ? 0 : seed >> 16;
		}
		m.request = seed >> 8 & 63;
		m.flags = FRONT_VERSION;
		m.size = seed >> 16 & 1 ? 8 : seed >> 17 & 63;
		if (front_raw(f, &m, FRONT_HEADER + m.size, &fd, seed >> 24 & 1) < 0) {
			front_disconnect(f);
			if (front_connect(f) != 0)
				bed_rest(5);
		}
	}
}

static struct lie lies[] = {
	{"half a header and an end shut the port", header_cut, SHUT, "after 6 bytes", CONNECTED},
	{"half a header and silence shut the port", header_silent, SHUT, "after 6 bytes",
		CONNECTED},
	{"half a payload and an end shut the port", payload_cut, SHUT, "after 15 bytes", CONNECTED},
	{"half a payload and silence shut the port", payload_silent, SHUT, "after 15 bytes",
		CONNECTED},
	{"a message that comes byte by byte is answered", byte_by_byte, ALIVE, NULL, CONNECTED},
	{"a payload shorter than its request needs shuts the port", payload_short, SHUT,
		"SET_VRING_ADDR", CONNECTED},
	{"a message of 4 GiB shuts the port", size_max, SHUT, "bytes", CONNECTED},
	{"a message of 4 KiB shuts the port", size_over, SHUT, "bytes", CONNECTED},
	{"a message with more payload than its request has does no harm", size_big, EITHER, NULL,
		CONNECTED},
	{"an unknown request shuts the port", unknown, SHUT, "200", CONNECTED},
	{"request 0 shuts the port", request_zero, SHUT, "message 0", CONNECTED},
	{"request 4294967295 shuts the port", request_max, SHUT, "4294967295", CONNECTED},
	{"a message without a version does no harm", version_none, EITHER, NULL, CONNECTED},
	{"a message of version 2 does no harm", version_next, EITHER, NULL, CONNECTED},
	{"an answer where a request should be does no harm", reply_of_ours, EITHER, NULL,
		CONNECTED},
	{"a dirty log, which is not offered, shuts the port", dirty_log, SHUT, "message 6",
		CONNECTED},
	{"garbage shuts the port", garbage, SHUT, "", CONNECTED},
	{"an owner who says so 200 times does no harm", owner_again, EITHER, NULL, RUNNING},
	{"features told again while rings run do no harm", features_again, EITHER, NULL, RUNNING},
	{"features that change while rings run do no harm", features_change, EITHER, NULL, RUNNING},
	{"features that were not offered shut the port", features_unknown, SHUT, "SET_FEATURES",
		CONNECTED, NO_ACK},
	{"protocol features that were not offered shut the port", protocol_unknown, SHUT,
		"SET_PROTOCOL_FEATURES", CONNECTED, NO_ACK},
	{"20,000 questions whose answers nobody reads do no harm", answers_unread, EITHER, NULL,
		CONNECTED},
	{"ring addresses before memory do no harm", address_first, EITHER, NULL, NEGOTIATED},
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
	{"a ring of no descriptors does no harm", sized_0, EITHER, NULL, NEGOTIATED},
	{"a split ring of 3 descriptors does no harm", sized_3, EITHER, NULL, NEGOTIATED},
	{"a ring of 32,768 descriptors, in the memory of one of 256, does no harm", sized_32768,
		EITHER, NULL, NEGOTIATED},
	{"a ring of 40,000 descriptors does no harm", sized_40000, EITHER, NULL, NEGOTIATED},
	{"a ring of 65,536 descriptors does no harm", sized_65536, EITHER, NULL, NEGOTIATED},
	{"rings started far from where they are do no harm", base_far, EITHER, NULL, RUNNING},
	{"packed rings started behind their end shut the port", base_far, SHUT, "slot", RUNNING,
		{.features = FRONT_F_PLAIN | FRONT_BIT(VIRTIO_F_RING_PACKED),
			.protocol = FRONT_P_MQ}},
	{"nine descriptors with a message shut the port", nine_descriptors, SHUT, "descriptors",
		CONNECTED},
	{"64 descriptors with a message shut the port", sixty_four_descriptors, SHUT, "descriptors",
		CONNECTED},
	{"descriptors nobody asked for are closed", unwanted_descriptors, EITHER, NULL, CONNECTED},
	{"a kick message without a descriptor does no harm", kick_without, EITHER, NULL,
		NEGOTIATED},
	{"a guest that does not kick does no harm", kick_polled, EITHER, NULL, RUNNING},
	{"an in-flight region too small by its numbers shuts the port", inflight_small, SHUT,
		"in-flight", NEGOTIATED},
	{"an in-flight region in a shorter file shuts the port", inflight_short_file, SHUT,
		"in-flight", NEGOTIATED},
	{"an in-flight region whose offset wraps shuts the port", inflight_offset, SHUT,
		"in-flight", NEGOTIATED},
	{"an in-flight region for 65,535 rings shuts the port", inflight_queues, SHUT, "in-flight",
		NEGOTIATED},
	{"an in-flight region for rings of 65,535 shuts the port", inflight_ring, SHUT, "in-flight",
		NEGOTIATED},
	{"an in-flight region for smaller rings than there are does no harm", inflight_ring_smaller,
		EITHER, NULL, NEGOTIATED},
	{"an in-flight region for 65,535 rings is not given", inflight_ask_huge, SHUT, "in-flight",
		NEGOTIATED},
	{"an in-flight region of all ones does no harm", inflight_ones, EITHER, NULL, RUNNING},
	{"an in-flight region of all ones does no harm to packed rings", inflight_ones, EITHER,
		NULL, RUNNING, {.features = FRONT_F_PLAIN | FRONT_BIT(VIRTIO_F_RING_PACKED)}},
	{"an in-flight region with weeds sown in does no harm", inflight_sown, EITHER, NULL,
		RUNNING},
	{"an in-flight region with weeds sown in does no harm to packed rings", inflight_sown,
		EITHER, NULL, RUNNING,
		{.features = FRONT_F_PLAIN | FRONT_BIT(VIRTIO_F_RING_PACKED)}},
	{"in-flight regions among memory tables do no harm", inflight_among_memory, ALIVE, NULL,
		RUNNING, {.protocol = FRONT_P_INFLIGHT_SHMFD, .extra = 16384}},
	{"an in-flight region cut to nothing does no harm", inflight_cut, EITHER, NULL, RUNNING},
	{"a second front end is refused and the first goes on", second_client, ALIVE, NULL,
		RUNNING},
	{"a front end that comes and goes 200 times does no harm", come_and_go, EITHER, NULL,
		CONNECTED},
	{"a front end that starts and dies 30 times does no harm", come_start_and_go, EITHER, NULL,
		RUNNING},
	{"a front end that says nothing does no harm", silent, ALIVE, NULL, CONNECTED},
	{"3,000 messages at random do no harm", at_random, EITHER, NULL, CONNECTED},
};

int main(void) {
	return bed_run("messages", lies, sizeof(lies) / sizeof(lies[0]));
}
