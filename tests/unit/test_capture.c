/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "control/capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

static sd_event *loop;
static struct captures *cs;
static struct port port = {.name = "vm1"};

static int set_up(void **state) {
	signal(SIGPIPE, SIG_IGN);
	assert_true(sd_event_new(&loop) >= 0);
	cs = captures_new(loop);
	return cs == NULL;
}

static int tear_down(void **state) {
	captures_close(cs);
	assert_false(atomic_load(&port.capture));
	captures_free(cs);
	sd_event_unref(loop);
	return 0;
}

/* Begins a capture; the read end of its pipe. */
static int begin(uint64_t count, uint32_t snaplen, const void *owner) {
	struct capture_spec spec = {
		.count = count, .snaplen = snaplen, .owner = owner, .tsc_hz = 100000000000};
	struct err e;
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	spec.fd = p[1];
	assert_int_equal(captures_start(cs, &port, &spec, &e), 0);
	assert_true(atomic_load(&port.capture));
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	return p[0];
}

/* A frame of `len` bytes, 64 of them private, the rest in two pieces; byte i is i + seed, but the
 * MACs and the type. */
static uint8_t bytes[65536];
static struct seg segs[2];

static struct frame make(uint32_t len, uint8_t seed) {
	struct frame f = {.head = bytes, .len = len, .head_len = len < 64 ? (uint16_t)len : 64};

	for (uint32_t i = 12; i < len; i++)
		bytes[i] = (uint8_t)(i + seed);
	memset(bytes, 2, 12);
	bytes[12] = 0x88;
	bytes[13] = 0xb5;
	if (len > 64) {
		uint32_t half = (len - 64) / 2;

		segs[0] = (struct seg){bytes + 64, half};
		segs[1] = (struct seg){bytes + 64 + half, len - 64 - half};
		f.segs = segs;
		f.nsegs = 2;
	}
	return f;
}

/* Runs the loop and reads until the pipe ends, or (enough > 0) until so many bytes came. */
static size_t hear(int fd, uint8_t *buf, size_t room, size_t enough) {
	size_t len = 0;

	for (int idle = 0; idle < 300 && len < room; idle++) {
		ssize_t n;

		sd_event_run(loop, 10000);
		n = read(fd, buf + len, room - len);
		if (n > 0) {
			len += (size_t)n;
			idle = 0;
		}
		if (n == 0 || (enough > 0 && len >= enough))
			return len;
	}
	return len;
}

static uint32_t get32(const uint8_t *p) {
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The next block of a type from *at on; NULL: none. Every block's two lengths are checked. */
static const uint8_t *next_block(const uint8_t *buf, size_t len, size_t *at, uint32_t type) {
	while (*at + 12 <= len) {
		const uint8_t *b = buf + *at;
		uint32_t n = get32(b + 4);

		assert_true(n >= 12 && n % 4 == 0 && *at + n <= len);
		assert_int_equal(get32(b + n - 4), n);
		*at += n;
		if (get32(b) == type)
			return b;
	}
	assert_int_equal(*at, len);
	return NULL;
}

static uint8_t out[32 << 20];

static void tags_are_put_back_in_both_directions_and_count_ends_it(void **state) {
	int fd = begin(3, 0, NULL);
	struct frame f = make(200, 0);
	const uint8_t *b;
	size_t n, at = 0;

	captures_frame(cs, &port, 0, &f, 0);
	f.flags = FRAME_TAGGED;
	f.tci = 0x2064;
	captures_frame(cs, &port, 0, &f, 0);
	captures_frame(cs, &port, 1, &f, 0x88a8u << 16 | 200);
	captures_frame(cs, &port, 1, &f, 0); // the fourth
	n = hear(fd, out, sizeof(out), 0);
	assert_int_equal(captures_count(cs), 0);

	b = next_block(out, n, &at, 6);
	assert_int_equal(get32(b + 20), 200);
	assert_memory_equal(b + 28, bytes, 200);
	b = next_block(out, n, &at, 6);
	assert_int_equal(get32(b + 20), 204);
	assert_memory_equal(b + 28, bytes, 12);
	assert_memory_equal(b + 40, "\x81\x00\x20\x64", 4);
	assert_memory_equal(b + 44, bytes + 12, 188);
	b = next_block(out, n, &at, 6);
	assert_memory_equal(b + 40, "\x88\xa8\x00\xc8", 4);
	assert_memory_equal(b + 44, bytes + 12, 188);
	assert_non_null(next_block(out, n, &at, 5));
	assert_int_equal(at, n);
	close(fd);
}

static void snaplen_cuts_and_the_true_length_stays(void **state) {
	int fd = begin(3, 14, NULL);
	struct frame f = make(1500, 0);
	size_t n, at = 0;
	const uint8_t *b;

	captures_frame(cs, &port, 0, &f, 0);
	captures_frame(cs, &port, 1, &f, 0x8100u << 16 | 5);
	f = make(10, 0); // a runt has no place for a tag
	captures_frame(cs, &port, 1, &f, 0x8100u << 16 | 5);
	n = hear(fd, out, sizeof(out), 0);
	b = next_block(out, n, &at, 6);
	assert_int_equal(get32(b + 20), 14);
	assert_int_equal(get32(b + 24), 1500);
	b = next_block(out, n, &at, 6);
	assert_int_equal(get32(b + 20), 14);
	assert_int_equal(get32(b + 24), 1504);
	assert_memory_equal(b + 40, "\x81\x00", 2);
	assert_non_null(next_block(out, n, &at, 6));
	close(fd);
}

static void a_reader_that_goes_ends_its_capture_and_not_another(void **state) {
	int one = begin(0, 0, NULL), two = begin(0, 0, NULL);
	struct frame f = make(100, 0);

	assert_int_equal(captures_count(cs), 2);
	close(one);
	for (int i = 0; i < 10; i++)
		sd_event_run(loop, 20000);
	assert_int_equal(captures_count(cs), 1);
	assert_true(atomic_load(&port.capture));
	captures_frame(cs, &port, 0, &f, 0);
	assert_true(hear(two, out, sizeof(out), 100) > 100);
	close(two);
	for (int i = 0; i < 10; i++)
		sd_event_run(loop, 20000);
	assert_int_equal(captures_count(cs), 0);
	assert_false(atomic_load(&port.capture));
}

static void a_slow_reader_loses_frames_and_the_file_says_how_many(void **state) {
	int fd = begin(0, 0, &loop);
	struct frame f = make(9000, 0);
	uint64_t seen = 0, lost = 0, got = 0;
	const uint8_t *b;
	size_t n, at = 0;

	for (int i = 0; i < 2000; i++)
		captures_frame(cs, &port, 0, &f, 0);
	captures_end_of(cs, &loop);
	assert_false(atomic_load(&port.capture));
	n = hear(fd, out, sizeof(out), 0);
	while ((b = next_block(out, n, &at, 6)) != NULL) {
		assert_memory_equal(b + 28, bytes, 9000);
		got++;
	}
	at = 0;
	b = next_block(out, n, &at, 5);
	assert_non_null(b);
	for (const uint8_t *o = b + 20; o[0] != 0; o += 12) { // options of 8 bytes each
		if (o[0] == 4)
			memcpy(&seen, o + 4, 8);
		if (o[0] == 5)
			memcpy(&lost, o + 4, 8);
	}
	assert_int_equal(seen, 2000);
	assert_int_equal(got + lost, 2000);
	assert_true(lost > 1000);
	close(fd);
}

/* A worker of its own: frames of all lengths, faster than they are read, until told to stop. */
enum { ENOUGH = 40 << 20 }; /* several times round the ring */
static atomic_bool heard_enough;

static void *worker(void *arg) {
	for (uint32_t i = 0; !atomic_load(&heard_enough); i++) {
		struct frame f = make(60 + i * 37 % 1900, (uint8_t)i);

		captures_frame(cs, &port, (int)(i & 1), &f, 0);
		if (i % 500 == 0)
			usleep(1000);
	}
	return NULL;
}

static void frames_come_through_whole_while_the_ring_goes_round(void **state) {
	static uint8_t all[128 << 20];
	int fd = begin(0, 0, &loop);
	unsigned got = 0;
	pthread_t t;
	size_t n, at = 0;
	const uint8_t *b;

	assert_int_equal(pthread_create(&t, NULL, worker, NULL), 0);
	n = hear(fd, all, sizeof(all) / 2, ENOUGH);
	atomic_store(&heard_enough, true);
	pthread_join(t, NULL);
	captures_end_of(cs, &loop);
	n += hear(fd, all + n, sizeof(all) - n, 0);
	while ((b = next_block(all, n, &at, 6)) != NULL) {
		uint32_t len = get32(b + 24);
		uint8_t seed = (uint8_t)(b[28 + 14] - 14);

		assert_int_equal(get32(b + 20), len);
		for (uint32_t i = 14; i < len; i++)
			if (b[28 + i] != (uint8_t)(i + seed))
				fail_msg("frame %u of %u bytes differs at %u", got, len, i);
		got++;
	}
	assert_true(n >= ENOUGH);
	close(fd);
}

static struct port *find_nothing(void *arg, const char *name) {
	return NULL;
}

static struct port *find_other(void *arg, const char *name) {
	return arg;
}

static void a_capture_follows_its_port_by_name_and_ends_with_it(void **state) {
	struct port other = {.name = "vm1"};
	int fd = begin(0, 0, NULL);
	struct frame f = make(100, 0);
	size_t at = 0, n;

	atomic_store(&port.capture, false); // gone with the port, which is opened anew as another
	captures_follow(cs, find_other, &other);
	assert_true(atomic_load(&other.capture));
	captures_frame(cs, &port, 0, &f, 0);
	captures_frame(cs, &other, 0, &f, 0);
	other.capture = false;
	captures_follow(cs, find_nothing, NULL);
	n = hear(fd, out, sizeof(out), 0);
	assert_non_null(next_block(out, n, &at, 6));
	assert_null(next_block(out, n, &at, 6));
	assert_int_equal(captures_count(cs), 0);
	close(fd);
}

static void what_cannot_be_written_to_without_waiting_is_refused(void **state) {
	struct capture_spec spec = {.fd = open("/dev/null", O_WRONLY)};
	struct err e;

	assert_int_equal(captures_start(cs, &port, &spec, &e), -EINVAL);
	while (fcntl(spec.fd, F_GETFD) >= 0) // it is closed, by a thread of its own
		usleep(1000);
	assert_non_null(strstr(e.text, "neither a pipe nor a socket"));
}

static void the_17th_capture_is_refused(void **state) {
	struct capture_spec spec = {.tsc_hz = 100000000000};
	int fd[CAPTURES_MAX], p[2];
	struct err e;

	for (int i = 0; i < CAPTURES_MAX; i++)
		fd[i] = begin(0, 0, NULL);
	assert_int_equal(pipe(p), 0);
	spec.fd = p[1];
	assert_int_equal(captures_start(cs, &port, &spec, &e), -EBUSY);
	assert_non_null(strstr(e.text, "16 captures"));
	close(p[0]);
	for (int i = 0; i < CAPTURES_MAX; i++)
		close(fd[i]);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(tags_are_put_back_in_both_directions_and_count_ends_it),
		T(snaplen_cuts_and_the_true_length_stays),
		T(a_reader_that_goes_ends_its_capture_and_not_another),
		T(a_slow_reader_loses_frames_and_the_file_says_how_many),
		T(frames_come_through_whole_while_the_ring_goes_round),
		T(a_capture_follows_its_port_by_name_and_ends_with_it),
		T(what_cannot_be_written_to_without_waiting_is_refused),
		T(the_17th_capture_is_refused),
	};

	return cmocka_run_group_tests_name("capture", tests, NULL, NULL);
}
