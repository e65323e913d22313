/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * A front end that lies on the socket: messages cut, repeated, out of order, oversize, with
 * descriptors they should not have; more front ends than one. */
#include "bed.h"

#include <string.h>

#include "say.h"

#define NO_ACK \
	{ .protocol = FRONT_P_MQ }

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

/* --- Front ends that stop on the way --------------------------------------------------------- */

static void negotiates(struct front *f) {
	assert_int_equal(front_negotiate(f), 0);
}

static void gives_memory(struct front *f) {
	assert_int_equal(front_set_memory(f), 0);
}

static void enables_nothing(struct front *f) {
	gives_memory(f);
	for (unsigned i = 0; i < f->nrings; i++)
		assert_int_equal(front_set_ring(f, &f->ring[i]), 0);
}

static void enables_one(struct front *f) {
	enables_nothing(f);
	assert_int_equal(front_enable(f, &f->ring[0], true), 0);
}

static void stops(struct front *f) {
	assert_int_equal(front_stop(f), 0);
}

/* The guest comes back with more memory than a table has room for, as QEMU would. */
static void stops_and_gives_no_memory(struct front *f) {
	stops(f);
	assert_int_equal(front_set_features(f), 0);
}

static void nine_regions(struct front *f) {
	struct {
		uint32_t head[3], n, padding;
		uint64_t region[9][4]; // gpa, size, uva, offset
	} __attribute__((packed))
	m = {.head = {FRONT_SET_MEM_TABLE, FRONT_VERSION, sizeof(m) - FRONT_HEADER}, .n = 9};
	int fds[9];

	for (unsigned i = 0; i < 9; i++) {
		m.region[i][0] = i * f->region[0].size;
		m.region[i][1] = f->region[0].size;
		m.region[i][2] = (uintptr_t)f->region[0].map;
		fds[i] = f->region[0].fd;
	}
	front_raw(f, &m, sizeof(m), fds, 9);
}

static void leaves(struct front *f) {
	front_disconnect(f);
}

static void negotiates_and_leaves(struct front *f) {
	negotiates(f);
	leaves(f);
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
	{"features that were not offered shut the port", features_unknown, SHUT, "SET_FEATURES",
		CONNECTED, NO_ACK},
	{"protocol features that were not offered shut the port", protocol_unknown, SHUT,
		"SET_PROTOCOL_FEATURES", CONNECTED, NO_ACK},
	{"20,000 questions whose answers nobody reads do no harm", answers_unread, EITHER, NULL,
		CONNECTED},
	{"nine descriptors with a message shut the port", nine_descriptors, SHUT, "descriptors",
		CONNECTED},
	{"64 descriptors with a message shut the port", sixty_four_descriptors, SHUT, "descriptors",
		CONNECTED},
	{"descriptors nobody asked for are closed", unwanted_descriptors, EITHER, NULL, CONNECTED},
	{"a second front end is refused and the first goes on", second_client, ALIVE, NULL,
		RUNNING},
	{"a front end that comes and goes 200 times does no harm", come_and_go, EITHER, NULL,
		CONNECTED},
	{"a front end that starts and dies 30 times does no harm", come_start_and_go, EITHER, NULL,
		RUNNING},
	{"a front end that says nothing is waited for to speak", silent, ALIVE,
		"the front end has sent no message yet", CONNECTED},
	{"one that negotiates is waited for to set features", negotiates, ALIVE,
		"no features are set yet", CONNECTED},
	{"one that sets features is waited for to give memory, shared and in at most 8 regions",
		silent, ALIVE,
		"no memory table: guest memory is not shared (share=on), or more than 8 "
		"regions",
		NEGOTIATED},
	{"one that gives memory is waited for to set up its rings", gives_memory, ALIVE,
		"queue 0: SET_VRING_NUM is missing", NEGOTIATED},
	{"one that sets up its rings is waited for to enable them", enables_nothing, ALIVE,
		"queue 0: SET_VRING_ENABLE is missing", NEGOTIATED},
	{"one that enables a ring is waited for to enable the other", enables_one, ALIVE,
		"queue 1: SET_VRING_ENABLE is missing", NEGOTIATED},
	{"a guest that stops its rings is paused, or its driver was reset", stops, ALIVE,
		"the queues were stopped", RUNNING},
	{"one that comes back without a memory table is waited for to give it",
		stops_and_gives_no_memory, ALIVE, "no memory table", RUNNING},
	{"a memory table of nine regions shuts the port, and how to get fewer is said",
		nine_regions, SHUT, "fewer NUMA nodes", NEGOTIATED},
	{"a front end that leaves before it gives memory may have had too many regions",
		negotiates_and_leaves, ALIVE, "left without a memory table", CONNECTED},
	{"one that leaves when all ran is waited for to come back", leaves, ALIVE,
		"again since the last front end left", RUNNING},
	{"3,000 messages at random do no harm", at_random, EITHER, NULL, CONNECTED},
};

int main(void) {
	return bed_run("messages", lies, sizeof(lies) / sizeof(lies[0]));
}
