/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/aio_abi.h>

#include "base/log.h"
#include "port/vhost.h"

/* Calling a guest without ever waiting for it.
 *
 * An eventfd's flags belong to everybody who holds it. A guest can take O_NONBLOCK off behind our
 * back and keep the counter at its limit; a write(2) then sleeps for as long as the guest likes, and
 * the worker with it, and every other guest. The kernel's own way to signal an eventfd never waits:
 * the completion of an asynchronous request that names it (io_submit(2), IOCB_FLAG_RESFD). So a call
 * is a read of nothing from /dev/null, complete before io_submit returns, and still one system call.
 *
 * All workers share one context. Completions pile up in it and are thrown away now and then. */

enum { EVENTS = 1024, REAP_EVERY = 128, REAP_AT_ONCE = 64, FULL_TRIES = 16 };

static aio_context_t context;
static int null_fd = -1;
static atomic_uint calls;

void call_init(void) {
	if (null_fd >= 0)
		return;
	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (syscall(SYS_io_setup, EVENTS, &context) < 0) {
		context = 0;
		log_warn("no asynchronous I/O to be had (%s): a hostile guest can hold a worker up",
			strerror(errno));
	}
}

static void reap(void) {
	struct io_event ev[REAP_AT_ONCE];
	struct timespec now = {0};

	while (syscall(SYS_io_getevents, context, 0, REAP_AT_ONCE, ev, &now) == REAP_AT_ONCE)
		;
}

static long submit(int fd) {
	static char nothing;
	struct iocb cb = {.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)null_fd,
		.aio_buf = (uintptr_t)&nothing,
		.aio_nbytes = sizeof(nothing),
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)fd};
	struct iocb *one = &cb;

	return syscall(SYS_io_submit, context, 1, &one);
}

void call_guest(int fd) {
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	uint64_t one = 1;

	if (context != 0) {
		if (atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) % REAP_EVERY == 0)
			reap();
		// Full only of completions: of all workers, so others may fill it again at once.
		for (unsigned i = 0; submit(fd) < 0 && errno == EAGAIN && i < FULL_TRIES; i++)
			reap();
	} else if (poll(&p, 1, 0) > 0) {
		(void)!write(fd, &one, sizeof(one));
	}
}
