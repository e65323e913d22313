/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Groups of a name service that takes its time: this program's own getgrnam_r. */
#include "base/group.h"

#include <errno.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static atomic_bool silent; // the service answers no more

int getgrnam_r(const char *name, struct group *g, char *room, size_t size, struct group **found) {
	while (atomic_load(&silent))
		usleep(1000);
	*found = NULL;
	if (strcmp(name, "far") == 0) {
		*g = (struct group){.gr_name = room, .gr_gid = 4711};
		*found = g;
	}
	return 0;
}

static void a_group_of_the_file_is_found_there(void **state) {
	gid_t gid = 1;

	atomic_store(&silent, true);
	assert_int_equal(group_find("root", &gid), 0);
	assert_int_equal(gid, 0);
	atomic_store(&silent, false);
}

static void others_are_asked_for(void **state) {
	gid_t gid = 1;
	int rc;

	while ((rc = group_find("far", &gid)) == -EINPROGRESS) // on a busy machine
		;
	assert_int_equal(rc, 0);
	assert_int_equal(gid, 4711);
	while ((rc = group_find("nowhere", &gid)) == -EINPROGRESS)
		;
	assert_int_equal(rc, -ENOENT);
	assert_int_equal(gid, 4711);
}

static void who_gets_no_answer_goes_on_and_has_it_later(void **state) {
	gid_t gid = 1;
	int rc;

	atomic_store(&silent, true);
	// A service that is waited for would keep these for good.
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(group_find("far", &gid), -EINPROGRESS);
		assert_int_equal(group_find("nowhere", &gid), -EINPROGRESS);
	}
	atomic_store(&silent, false);
	while ((rc = group_find("far", &gid)) == -EINPROGRESS)
		usleep(1000);
	assert_int_equal(rc, 0);
	assert_int_equal(gid, 4711);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_of_the_file_is_found_there),
		cmocka_unit_test(others_are_asked_for),
		cmocka_unit_test(who_gets_no_answer_goes_on_and_has_it_later),
	};

	return cmocka_run_group_tests_name("group", tests, NULL, NULL);
}
