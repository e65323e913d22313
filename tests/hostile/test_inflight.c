/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * A front end that lies with its in-flight region: one that cannot be, or whose contents are not what
 * the switch wrote. */
#include "bed.h"

#include <sys/mman.h>
#include <unistd.h>

enum { FRAME = 64 };

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
		// No more of them under way than the library's socket has room for: that would shut the port.
		if (round % 16 == 15)
			front_ask(f, &(struct front_message){.request = FRONT_GET_FEATURES}, NULL);
	}
	f->region[0].size = size;
}

static struct lie lies[] = {
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
};

int main(void) {
	return bed_run("inflight", lies, sizeof(lies) / sizeof(lies[0]));
}
