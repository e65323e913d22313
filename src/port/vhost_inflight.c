/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "port/vhost.h"
#include "port/vhost_message.h"

/* The in-flight region of VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD: memory that weir makes, the front end
 * keeps, and the next weir gets back after this one was killed.
 *
 * weir takes and returns buffers in order and publishes whole batches, so all it needs to find in
 * there is a position, and that only for packed rings: the used index of a split ring says it. Each
 * ring has one aligned 64-bit mark (ring_packed.c).
 *
 * librte_vhost never sees the region. Its own use of it trusts indices that it reads there, and the
 * guest can write them at any moment: one that does ends the process. */

int inflight_make(unsigned rings, uint64_t *size) {
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	int fd = memfd_create("weir in-flight", MFD_CLOEXEC);

	*size = (rings * MESSAGE_INFLIGHT_RING + page) / page * page;
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)*size) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

int inflight_take(struct inflight *in, int fd, uint64_t offset, unsigned rings) {
	const size_t len = rings * MESSAGE_INFLIGHT_RING;
	void *map;

	inflight_drop(in);
	if (rings == 0)
		return 0;
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
	if (map == MAP_FAILED)
		return -EINVAL;
	*in = (struct inflight){map, len, rings};
	return 0;
}

void inflight_drop(struct inflight *in) {
	if (in->map != NULL)
		munmap(in->map, in->len);
	*in = (struct inflight){0};
}

uint64_t *inflight_mark(const struct inflight *in, unsigned idx) {
	if (idx >= in->rings)
		return NULL;
	return (uint64_t *)((uint8_t *)in->map + (size_t)idx * MESSAGE_INFLIGHT_RING);
}
