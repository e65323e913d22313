/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/sock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

static char dir[64], path[96];

static int set_up(void **state) {
	strcpy(dir, "/tmp/weir-sock-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/s", dir);
	return 0;
}

static int tear_down(void **state) {
	unlink(path);
	return rmdir(dir);
}

static void a_path_without_a_file_is_free(void **state) {
	struct err e;

	assert_int_equal(sock_claim(path, &e), 0);
}

static void a_stale_socket_file_is_replaced(void **state) {
	struct err e;
	int fd = sock_listen(path, 0600, &e);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(sock_claim(path, &e), 0);
	assert_int_equal(access(path, F_OK), -1);
	fd = sock_listen(path, 0600, &e);
	assert_true(fd >= 0);
	close(fd);
	fd = sock_listen(path, 0600, &e);
	assert_true(fd >= 0);
	close(fd);
}

static void a_live_socket_is_refused_and_its_owner_named(void **state) {
	struct err e;
	char me[32];
	int fd = sock_listen(path, 0600, &e);

	assert_true(fd >= 0);
	assert_int_equal(sock_claim(path, &e), -EADDRINUSE);
	snprintf(me, sizeof(me), "pid %d (test_sock)", (int)getpid());
	assert_non_null(strstr(e.text, me));
	assert_non_null(strstr(e.text, path));
	assert_int_equal(sock_listen(path, 0600, &e), -EADDRINUSE);
	close(fd);
}

static void a_live_socket_with_a_full_backlog_is_not_taken_for_stale(void **state) {
	struct err e;
	int fd = sock_listen(path, 0600, &e), ret = 0;

	assert_true(fd >= 0);
	assert_int_equal(listen(fd, 0), 0);
	for (int i = 0; i < 8; i++) {
		ret = sock_claim(path, &e);
		assert_int_equal(ret, -EADDRINUSE);
	}
	assert_non_null(strstr(e.text, "in use by"));
	close(fd);
}

static void a_file_that_is_no_socket_is_left_alone(void **state) {
	struct err e;
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	close(fd);
	assert_int_equal(sock_claim(path, &e), -EEXIST);
	assert_int_equal(access(path, F_OK), 0);
}

static void a_path_too_long_for_a_socket_is_refused_with_its_limit(void **state) {
	struct err e;
	char longer[200];

	memset(longer, 'a', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(sock_claim(longer, &e), -ENAMETOOLONG);
	assert_non_null(strstr(e.text, "199 bytes"));
	assert_non_null(strstr(e.text, "at most 107"));
	assert_int_equal(sock_listen(longer, 0600, &e), -ENAMETOOLONG);
	assert_int_equal(sock_claim("", &e), -EINVAL);
}

static void the_directory_is_made_and_the_mode_is_what_was_asked(void **state) {
	struct err e;
	struct stat st;
	char sub[128], deep[160];
	mode_t was = umask(0077);
	int fd;

	snprintf(sub, sizeof(sub), "%s/run/weir.sock", dir);
	fd = sock_listen(sub, 0660, &e);
	umask(was);
	assert_true(fd >= 0);
	assert_int_equal(stat(sub, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	close(fd);
	snprintf(deep, sizeof(deep), "%s/no/such/weir.sock", dir);
	assert_int_equal(sock_listen(deep, 0660, &e), -ENOENT);
	assert_non_null(strstr(e.text, "/no/such"));
	unlink(sub);
	*strrchr(sub, '/') = '\0';
	rmdir(sub);
}

static void connecting_to_nobody_says_how_to_start_one(void **state) {
	struct err e;

	assert_int_equal(sock_connect(path, &e), -ENOENT);
	assert_non_null(strstr(e.text, "weir switch"));
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_path_without_a_file_is_free),
		T(a_stale_socket_file_is_replaced),
		T(a_live_socket_is_refused_and_its_owner_named),
		T(a_live_socket_with_a_full_backlog_is_not_taken_for_stale),
		T(a_file_that_is_no_socket_is_left_alone),
		T(a_path_too_long_for_a_socket_is_refused_with_its_limit),
		T(the_directory_is_made_and_the_mode_is_what_was_asked),
		T(connecting_to_nobody_says_how_to_start_one),
	};

	return cmocka_run_group_tests_name("sock", tests, NULL, NULL);
}
