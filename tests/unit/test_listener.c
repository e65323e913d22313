/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOOKS = 31 }; // after so many every path has been asked for again

static char dir[64], path[96];
static sd_event *loop;
static struct listener l;
static int arrived;

static void on_arrival(int conn, void *arg) {
	arrived++;
	close(conn);
}

static int set_up(void **state) {
	struct err e;

	strcpy(dir, "/tmp/weir-listener-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	assert_true(sd_event_new(&loop) >= 0);
	assert_int_equal(listener_open(&l, path, NULL, 0600, &e), 0);
	assert_int_equal(listener_serve(&l, loop, "test", on_arrival, NULL, &e), 0);
	arrived = 0;
	return 0;
}

static int tear_down(void **state) {
	listener_close(&l);
	sd_event_unref(loop);
	unlink(path);
	return rmdir(dir);
}

/* Does somebody who connects to the path come to us? */
static bool reached(void) {
	int before = arrived, fd = sock_connect(path, NULL);

	if (fd < 0)
		return false;
	while (sd_event_run(loop, 0) > 0)
		continue;
	close(fd);
	return arrived == before + 1;
}

static void a_file_that_is_there_is_left_as_it_is(void **state) {
	struct sock_file made = sock_file(path);

	listener_look(&l);
	assert_true(sock_file_same(sock_file(path), made));
	assert_int_equal(chmod(path, 0666), 0);
	listener_look(&l);
	assert_true(sock_file_same(sock_file(path), made));
	assert_true(reached());
}

static void a_file_that_was_removed_is_made_again(void **state) {
	struct stat st;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(unlink(path), 0);
		assert_false(reached());
		listener_look(&l);
		assert_false(l.missed);
		assert_true(reached());
	}
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_file_that_was_moved_away_and_back_is_ours(void **state) {
	char aside[128];
	struct sock_file made = sock_file(path);

	snprintf(aside, sizeof(aside), "%s/aside", dir);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	listener_look(&l);
	assert_true(l.missed);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rename(aside, path), 0);
	listener_look(&l);
	assert_false(l.missed);
	assert_true(sock_file_same(sock_file(path), made));
	assert_true(reached());
}

static void a_live_socket_is_not_stolen_and_had_when_its_owner_is_gone(void **state) {
	struct sock_file theirs;
	struct err e;
	int fd;

	assert_int_equal(unlink(path), 0);
	fd = sock_listen(path, 0600, &e);
	assert_true(fd >= 0);
	theirs = sock_file(path);
	for (int i = 0; i < 2 * LOOKS; i++)
		listener_look(&l);
	assert_true(l.missed);
	assert_non_null(strstr(l.why.text, "in use by pid"));
	assert_true(sock_file_same(sock_file(path), theirs));
	close(fd); // and its file stays
	for (int i = 0; i < LOOKS; i++)
		listener_look(&l);
	assert_false(l.missed);
	assert_true(reached());
}

static void closing_leaves_what_another_made(void **state) {
	struct err e;
	int fd;

	assert_int_equal(unlink(path), 0);
	fd = sock_listen(path, 0600, &e);
	listener_close(&l);
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_file_that_is_there_is_left_as_it_is),
		T(a_file_that_was_removed_is_made_again),
		T(a_file_that_was_moved_away_and_back_is_ours),
		T(a_live_socket_is_not_stolen_and_had_when_its_owner_is_gone),
		T(closing_leaves_what_another_made),
	};

	return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
