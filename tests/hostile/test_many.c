/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * As many guests as a switch can have ports, all attached at once. librte_vhost polls 1024 descriptors,
 * one of them its own: the last guest must be told so, and the others must not notice. */
#include "bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
	PORTS = 1024,
	OF_BED = 4, /* three of them attached */
	MORE = PORTS - OF_BED,
	FILES = 16 * PORTS, /* what the switch opens, and some */
};

static struct front guests[MORE + 1];
static char folder_of_ports[MORE * 64];

static struct front_options small(unsigned i) {
	char path[128], name[16];

	snprintf(name, sizeof(name), i < MORE ? "m%u" : "bad", i);
	return (struct front_options){.path = strdup(bed_path(path, sizeof(path), name)),
		.ring_size = 16,
		.buffer_size = 128,
		.protocol = FRONT_P_MQ,
		.timeout_ms = 2000 * (int)bed_patience()};
}

static bool files_suffice(void) {
	struct rlimit r;

	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_max >= FILES;
}

static void all_ports_but_one_can_be_attached_and_the_last_is_told_why(void **state) {
	struct lie last = {.sentence = "the last", .ending = SHUT, .reason = "1023 front ends"};

	(void)state;
	for (unsigned i = 0; i < MORE; i++) {
		struct front_options o = small(i);

		if (front_open(&guests[i], &o) != 0)
			fail_msg("guest %u: %s", i, guests[i].why);
	}
	bed_hold();
	struct front_options o = small(MORE);
	assert_int_not_equal(front_open(&guests[MORE], &o), 0);
	bed_judge(&guests[MORE], &last);
	bed_hold();
	bed_detach(&guests[0]);
	bed_attach(&guests[0], "bad", (struct front_options){0});
	bed_hold();
}

static int setup(void **state) {
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < MORE; i++)
		n += (size_t)snprintf(folder_of_ports + n, sizeof(folder_of_ports) - n,
			"  m%u: {vhost-user: @/m%u, network: dark}\n", i, i);
	return bed_start(NULL, folder_of_ports);
}

static int teardown(void **state) {
	for (unsigned i = 0; i <= MORE; i++) {
		if (guests[i].nregions > 0)
			front_close(&guests[i]);
		free((char *)guests[i].o.path);
	}
	return bed_teardown(state);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_ports_but_one_can_be_attached_and_the_last_is_told_why),
	};

	if (!files_suffice()) {
		printf("1..0 # SKIP fewer than %d files may be open (ulimit -n)\n", FILES);
		return 0;
	}
	return cmocka_run_group_tests_name("many", tests, setup, teardown);
}
