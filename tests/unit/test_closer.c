/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Strangers whose descriptors hang at close, and those whose do not. close(2) is this file's: it hangs for
 * the descriptors that a test names. */
#include "base/closer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"

enum {
	STRANGERS = 70, /* more than hands that a fixed few could lend */
	FDS = 4096,
	SOON_MS = 5000,
	ALL_MS = 60000,
};

static struct {
	pthread_mutex_t mu;
	pthread_cond_t over;
	bool hangs[FDS];
	unsigned now; /* calls that hang */
} slow = {.mu = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER};

static sd_event *loop;
static unsigned told;

int close(int fd) {
	pthread_mutex_lock(&slow.mu);
	while (fd >= 0 && fd < FDS && slow.hangs[fd]) {
		slow.now++;
		pthread_cond_wait(&slow.over, &slow.mu);
		slow.now--;
	}
	pthread_mutex_unlock(&slow.mu);
	return (int)syscall(SYS_close, fd);
}

static unsigned hanging(void) {
	unsigned n;

	pthread_mutex_lock(&slow.mu);
	n = slow.now;
	pthread_mutex_unlock(&slow.mu);
	return n;
}

static void let_all_close(void) {
	pthread_mutex_lock(&slow.mu);
	for (unsigned i = 0; i < FDS; i++)
		slow.hangs[i] = false;
	pthread_cond_broadcast(&slow.over);
	pthread_mutex_unlock(&slow.mu);
}

/* Neither an eventfd nor memory. */
static int file(bool hangs) {
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_in_range(fd, 0, FDS - 1);
	pthread_mutex_lock(&slow.mu);
	slow.hangs[fd] = hangs;
	pthread_mutex_unlock(&slow.mu);
	return fd;
}

static bool is_open(int fd) {
	return fcntl(fd, F_GETFD) >= 0;
}

static uint64_t now_ms(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void run(void) {
	assert_true(sd_event_run(loop, 20000) >= 0);
}

static void is_closed_soon(int fd) {
	const uint64_t end = now_ms() + SOON_MS;

	while (is_open(fd)) {
		if (now_ms() > end)
			fail_msg("not closed after %d ms", SOON_MS);
		run();
	}
}

static void hung(void *arg) {
	told++;
}

static void until_told(unsigned n) {
	const uint64_t end = now_ms() + ALL_MS;

	while (told < n) {
		if (now_ms() > end)
			fail_msg("%u hang, and only %u of them were noticed", n, told);
		run();
	}
}

static struct closer_owner *stranger(unsigned descriptors) {
	struct closer_owner *o = closer_owner_new("port x", hung, NULL);

	assert_non_null(o);
	for (unsigned i = 0; i < descriptors; i++)
		closer_close(o, file(true));
	return o;
}

static void many_strangers(void **state) {
	struct closer_owner *o[STRANGERS], *other = closer_owner_new("port y", hung, NULL);
	int fd = file(false);

	(void)state;
	for (unsigned i = 0; i < STRANGERS; i++)
		o[i] = stranger(2);
	until_told(STRANGERS);
	closer_close(other, fd);
	is_closed_soon(fd);
	assert_false(closer_stuck(other));
	for (unsigned i = 0; i < STRANGERS; i++) {
		assert_true(closer_stuck(o[i]));
		closer_owner_free(o[i]);
	}
	closer_owner_free(other);
}

static void one_thread(void **state) {
	struct closer_owner *o = stranger(20);
	const uint64_t end = now_ms() + 1000;

	(void)state;
	until_told(1);
	while (now_ms() < end) {
		run();
		assert_int_equal(hanging(), 1);
	}
	assert_int_equal(told, 1);
	assert_int_equal(closer_waiting(o), 20);
	closer_owner_free(o);
}

static void eventfds_and_memory(void **state) {
	struct closer_owner *o = stranger(2);
	int event = eventfd(0, EFD_CLOEXEC), memory = memfd_create("guest", MFD_CLOEXEC);

	(void)state;
	until_told(1);
	closer_close(o, event);
	assert_false(is_open(event));
	closer_close(o, memory);
	is_closed_soon(memory);
	assert_int_equal(closer_waiting(o), 2);
	closer_owner_free(o);
}

static void all_of_it(void **state) {
	struct closer_owner *o = stranger(10);
	const uint64_t end = now_ms() + SOON_MS;

	(void)state;
	until_told(1);
	let_all_close();
	while (closer_waiting(o) > 0 && now_ms() < end)
		run();
	assert_int_equal(closer_waiting(o), 0);
	assert_false(closer_stuck(o));
	closer_owner_free(o);
}

static int setup(void **state) {
	struct err e;

	(void)state;
	told = 0;
	return sd_event_new(&loop) < 0 || closer_open(loop, &e) < 0 ? -1 : 0;
}

static int teardown(void **state) {
	const uint64_t end = now_ms() + SOON_MS;

	(void)state;
	let_all_close();
	while (hanging() > 0 && now_ms() < end)
		run();
	closer_end();
	sd_event_unref(loop);
	return 0;
}

int main(void) {
	const struct CMUnitTest tests[] = {
		{"what one left is closed however many others' descriptors hang", many_strangers,
			setup, teardown, NULL},
		{"one stranger holds one thread, however many of his hang", one_thread, setup,
			teardown, NULL},
		{"eventfds and memory need no stranger's thread", eventfds_and_memory, setup,
			teardown, NULL},
		{"what waited behind one that hung is closed after it", all_of_it, setup, teardown,
			NULL},
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
