/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * A guest that lies about its memory, or pulls it away. */
#include "bed.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FRAME = 64 };

struct shrinker {
	int fd;
	size_t size;
	atomic_bool stop;
};

/* With acknowledgements the guest is told no, and stays; without them the switch hangs up. */
#define NO_ACK \
	{ .protocol = FRONT_P_MQ }

static struct front_message table(struct front *f) {
	struct front_message m = {
		.request = FRONT_SET_MEM_TABLE, .size = 8, .memory.nregions = f->nregions};

	for (unsigned i = 0; i < f->nregions; i++) {
		m.memory.region[i].gpa = f->region[i].gpa;
		m.memory.region[i].size = f->region[i].size;
		m.memory.region[i].uva = (uintptr_t)f->region[i].map;
		m.size += sizeof(m.memory.region[i]);
	}
	return m;
}

static void tell(struct front *f, struct front_message *m) {
	int fds[FRONT_REGIONS_MAX];

	for (unsigned i = 0; i < f->nregions; i++)
		fds[i] = f->region[i].fd;
	front_message(f, m, fds, f->nregions);
}

/* Memory and rings as announced so far, then a frame that makes the switch look at them. */
static void start(struct front *f) {
	uint8_t frame[FRAME];

	if (front_start(f) != 0)
		return;
	front_post(f);
	front_udp_frame(frame, FRAME, mac_mate.octet, mac_bad.octet);
	front_send(f, 0, frame, FRAME, NULL);
	front_ring_kick(front_tx(f, 0));
	bed_mate_sends(10);
}

static void overlapping(struct front *f) {
	struct front_message m = table(f);

	m.memory.region[1].gpa = m.memory.region[0].gpa + 4096;
	tell(f, &m);
	start(f);
}

static void same_user_address(struct front *f) {
	struct front_message m = table(f);

	m.memory.region[1].uva = m.memory.region[0].uva;
	tell(f, &m);
	start(f);
}

static void of_size_zero(struct front *f) {
	struct front_message m = table(f);

	m.memory.region[0].size = 0;
	tell(f, &m);
	start(f);
}

static void wraps(struct front *f) {
	struct front_message m = table(f);

	m.memory.region[0].gpa = UINT64_MAX - 4096;
	tell(f, &m);
	start(f);
}

static void user_address_wraps(struct front *f) {
	struct front_message m = table(f);

	m.memory.region[0].uva = UINT64_MAX - 4096;
	tell(f, &m);
	start(f);
}

static void bigger_than_its_file(struct front *f) {
	struct front_message m = table(f);

	m.memory.region[0].size *= 16;
	tell(f, &m);
	front_tx(f, 0)->buf_gpa[0] = f->region[0].gpa + 8 * f->region[0].size;
	start(f);
}

static void terabytes(struct front *f) {
	struct front_message m = table(f);

	m.memory.region[0].size = 1ull << 46;
	tell(f, &m);
	start(f);
}

static void offset_wraps(struct front *f) {
	struct front_message m = table(f);

	m.memory.region[0].offset = UINT64_MAX - 4095;
	tell(f, &m);
	start(f);
}

static void offset_behind_its_file(struct front *f) {
	struct front_message m = table(f);

	m.memory.region[0].offset = f->region[0].size;
	tell(f, &m);
	start(f);
}

static void offset_odd(struct front *f) {
	struct front_message m = table(f);

	m.memory.region[0].offset = 1;
	m.memory.region[0].size -= 4096;
	tell(f, &m);
	start(f);
}

static void none(struct front *f) {
	struct front_message m = {.request = FRONT_SET_MEM_TABLE, .size = 8};

	front_message(f, &m, NULL, 0);
	start(f);
}

static void nine(struct front *f) {
	struct front_message m = table(f);

	m.memory.nregions = 9;
	m.size = 8 + 9 * sizeof(m.memory.region[0]);
	tell(f, &m);
	start(f);
}

static void four_billion(struct front *f) {
	struct front_message m = table(f);

	m.memory.nregions = UINT32_MAX;
	tell(f, &m);
	start(f);
}

static void without_files(struct front *f) {
	struct front_message m = table(f);

	front_message(f, &m, NULL, 0);
	start(f);
}

static void of(struct front *f, int fd) {
	struct front_message m = table(f);

	front_message(f, &m, &fd, 1);
	close(fd);
	start(f);
}

static void of_a_pipe(struct front *f) {
	int p[2];

	assert_int_equal(pipe(p), 0);
	close(p[1]);
	of(f, p[0]);
}

static void of_dev_null(struct front *f) {
	of(f, open("/dev/null", O_RDWR));
}

static void read_only(struct front *f) {
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->region[0].fd);
	of(f, open(path, O_RDONLY));
}

/* Frames in both directions while something happens to memory. */
static void traffic(struct front *f, unsigned n) {
	uint8_t frame[FRAME], in[FRAME];

	front_udp_frame(frame, FRAME, mac_mate.octet, mac_bad.octet);
	for (unsigned i = 0; i < n; i++) {
		front_send(f, 0, frame, FRAME, NULL);
		while (front_recv(f, 0, in, sizeof(in), NULL) >= 0)
			;
	}
	bed_mate_sends(20);
	bed_mate_gets(n, 0);
}

static void truncated(struct front *f, unsigned region, size_t left) {
	traffic(f, 100);
	for (unsigned i = 0; i < 50; i++)
		front_ring_kick(front_tx(f, 0));
	assert_int_equal(ftruncate(f->region[region].fd, left), 0);
	front_ring_kick(front_tx(f, 0));
	bed_mate_sends(300);
	bed_rest(50);
}

static void truncated_whole(struct front *f) {
	truncated(f, 0, 0);
}

static void truncated_half(struct front *f) {
	/* The rings stay, the buffers' region goes. */
	uint8_t frame[FRAME];

	front_udp_frame(frame, FRAME, mac_mate.octet, mac_bad.octet);
	for (unsigned i = 0; i < 8; i++)
		front_put(f, 0, frame, FRAME, NULL);
	assert_int_equal(ftruncate(f->region[1].fd, 0), 0);
	front_flush(f, 0);
	bed_mate_sends(300);
	bed_rest(50);
}

static void told_again(struct front *f) {
	for (unsigned i = 0; i < 30; i++) {
		traffic(f, 20);
		assert_int_equal(front_set_memory(f), 0);
	}
}

static void *shrink_and_grow(void *arg) {
	struct shrinker *s = arg;

	while (!atomic_load(&s->stop)) {
		(void)!ftruncate(s->fd, 0);
		(void)!ftruncate(s->fd, (off_t)s->size);
	}
	return NULL;
}

/* The library reads the rings in new memory before it says that it took it. */
static void told_again_while_it_shrinks(struct front *f) {
	struct shrinker s = {.fd = f->region[0].fd, .size = f->region[0].size};
	pthread_t thread;

	for (unsigned i = 0; i < 100; i++) {
		atomic_store(&s.stop, false);
		assert_int_equal(pthread_create(&thread, NULL, shrink_and_grow, &s), 0);
		for (unsigned k = 0; k < 3; k++) {
			struct front_message m = table(f);

			m.memory.region[0].gpa += (k + 1ull)
						  << 32; // one that is as before is passed over
			tell(f, &m);
		}
		atomic_store(&s.stop, true);
		pthread_join(thread, NULL);
		front_disconnect(f);
		front_layout(f);
		(void)!front_reconnect(f);
	}
}

static void swapped(struct front *f) {
	/* Another table while rings run: their addresses are no longer in it. */
	struct front_message m = table(f);

	m.memory.region[0].gpa += 1ull << 32;
	m.memory.region[0].uva += 1ull << 40;
	for (unsigned i = 0; i < 10; i++) {
		struct front_message other = m;

		traffic(f, 20);
		tell(f, &other);
	}
	traffic(f, 20);
}

static void moved(struct front *f) {
	/* The rings stay where they are, the buffers' guest addresses are gone. */
	struct front_message m = table(f);

	m.memory.region[0].gpa += 1ull << 32;
	traffic(f, 20);
	tell(f, &m);
	traffic(f, 20);
}

static void ring_at(struct front *f, uint64_t desc, uint64_t driver, uint64_t device) {
	struct front_ring *r = front_tx(f, 0);

	assert_int_equal(front_set_memory(f), 0);
	r->desc_uva = desc != 0 ? desc : r->desc_uva;
	r->driver_uva = driver != 0 ? driver : r->driver_uva;
	r->device_uva = device != 0 ? device : r->device_uva;
	start(f);
}

static uint64_t last_bytes(struct front *f, unsigned n) {
	struct front_region *g = &f->region[f->nregions - 1];

	return (uintptr_t)g->map + g->size - n;
}

static void table_outside(struct front *f) {
	ring_at(f, 0x10000, 0, 0);
}

static void driver_outside(struct front *f) {
	ring_at(f, 0, 0x10000, 0);
}

static void device_outside(struct front *f) {
	ring_at(f, 0, 0, UINT64_MAX - 15);
}

static void table_over_the_end(struct front *f) {
	ring_at(f, last_bytes(f, 64), 0, 0);
}

static void driver_over_the_end(struct front *f) {
	ring_at(f, 0, last_bytes(f, 8), 0);
}

static void device_over_the_end(struct front *f) {
	ring_at(f, 0, 0, last_bytes(f, 16));
}

static void table_misaligned(struct front *f) {
	ring_at(f, front_tx(f, 0)->desc_uva + 8, 0, 0);
}

static void driver_misaligned(struct front *f) {
	ring_at(f, 0, front_tx(f, 0)->driver_uva + 1, 0);
}

static void device_misaligned(struct front *f) {
	ring_at(f, 0, 0, front_tx(f, 0)->device_uva + 2);
}

static void areas_over_each_other(struct front *f) {
	ring_at(f, 0, front_tx(f, 0)->desc_uva, front_tx(f, 0)->desc_uva);
}

static struct lie lies[] = {
	{"regions that overlap are refused", overlapping, SHUT, "overlaps", NEGOTIATED,
		{.regions = 2}},
	{"regions with the same user address do no harm", same_user_address, EITHER, NULL,
		NEGOTIATED, {.regions = 2}},
	{"a region of size zero is refused", of_size_zero, SHUT, "is empty", NEGOTIATED},
	{"a region that wraps around is refused", wraps, SHUT, "wraps", NEGOTIATED},
	{"a region whose user address wraps around is refused", user_address_wraps, SHUT, "wraps",
		NEGOTIATED},
	{"a region bigger than its file is refused", bigger_than_its_file, SHUT,
		"longer than its file", NEGOTIATED},
	{"a region of 64 TiB is refused", terabytes, SHUT, "longer than its file", NEGOTIATED},
	{"a region whose offset wraps around is refused", offset_wraps, SHUT, "wraps", NEGOTIATED},
	{"a region behind the end of its file is refused", offset_behind_its_file, SHUT,
		"longer than its file", NEGOTIATED},
	{"a region with an odd offset does no harm", offset_odd, EITHER, NULL, NEGOTIATED},
	{"a memory table of no regions is refused", none, SHUT, "0 regions", NEGOTIATED},
	{"a memory table of nine regions is refused", nine, SHUT, "9 regions", NEGOTIATED, NO_ACK},
	{"a memory table of four billion regions is refused", four_billion, SHUT, "regions",
		NEGOTIATED},
	{"a memory table without files is refused", without_files, SHUT, "0 descriptors",
		NEGOTIATED},
	{"memory in a pipe is refused", of_a_pipe, SHUT, "cannot be mapped", NEGOTIATED},
	{"memory in /dev/null is refused", of_dev_null, SHUT, "cannot be mapped", NEGOTIATED},
	{"read-only memory is refused", read_only, SHUT, "cannot be mapped", NEGOTIATED},
	{"a memory file cut to nothing shuts the port, and the switch lives", truncated_whole, SHUT,
		""},
	{"a memory file cut under the buffers shuts the port, and the switch lives", truncated_half,
		SHUT, "", RUNNING, {.regions = 2}},
	{"the memory table told again and again under load is taken", told_again, ALIVE},
	{"a memory table told again and again while its file shrinks and grows does no harm, and "
	 "the switch lives",
		told_again_while_it_shrinks, EITHER, NULL, RUNNING, {.protocol = FRONT_P_MQ}},
	{"a memory table without the rings, under load, stops them", swapped, EITHER},
	{"a memory table without the buffers, under load, shuts the port", moved, SHUT, "outside"},
	{"a ring table outside memory never starts", table_outside, EITHER, NULL, NEGOTIATED},
	{"a driver area outside memory never starts", driver_outside, EITHER, NULL, NEGOTIATED},
	{"a device area outside memory never starts", device_outside, EITHER, NULL, NEGOTIATED},
	{"a ring table over the end of memory does no harm", table_over_the_end, EITHER, NULL,
		NEGOTIATED},
	{"a driver area over the end of memory does no harm", driver_over_the_end, EITHER, NULL,
		NEGOTIATED},
	{"a device area over the end of memory shuts the port", device_over_the_end, SHUT, "",
		NEGOTIATED},
	{"a misaligned ring table shuts the port", table_misaligned, SHUT, "misaligned",
		NEGOTIATED},
	{"a misaligned driver area shuts the port", driver_misaligned, SHUT, "misaligned",
		NEGOTIATED},
	{"a misaligned device area shuts the port", device_misaligned, SHUT, "misaligned",
		NEGOTIATED},
	{"ring areas that lie over each other hurt the guest only", areas_over_each_other, EITHER,
		NULL, NEGOTIATED},
};

int main(void) {
	return bed_run("memory", lies, sizeof(lies) / sizeof(lies[0]));
}
