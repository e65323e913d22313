/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * What reads a file that a user named, or that others may change, with something else in its place. */
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/err.h"
#include "base/yaml.h"
#include "bench/paths/cpio.h"
#include "bench/paths/guest.h"
#include "bench/report/report.h"
#include "bench/secret.h"
#include "bench/serve.h"
#include "cli/cli.h"
#include "host/change/journal.h"
#include "host/change/store.h"

enum { PATIENCE_S = 10 }; // SIGALRM then ends who waits

static char dir[64], path[96];

/* Each reads `path` and returns whether it could. */

static bool by_yaml(struct err *e) {
	json_t *tree, *marks;

	return yaml_load(&tree, &marks, path, e) == 0;
}

static bool by_report(struct err *e) {
	json_t *doc;

	return report_load(path, &doc, e) == 0;
}

static bool by_secret(struct err *e) {
	struct secret s;

	return secret_read(&s, path, e) == 0;
}

static bool by_image(struct err *e) {
	return guest_image_new(path, NULL, 0, e) != NULL;
}

static bool by_cpio(struct err *e) {
	FILE *f = tmpfile();
	struct cpio c = {.fd = fileno(f)};

	cpio_file(&c, "in-the-guest", path, e);
	fclose(f);
	return c.error == 0;
}

static bool by_frame(struct err *e) {
	uint8_t frame[COMPOSE_MAX];
	char arg[100], *argv[] = {arg};

	snprintf(arg, sizeof(arg), "@%s", path);
	return compose_frame(1, argv, frame, e) >= 0;
}

static bool by_journal(struct err *e) {
	struct journal j;

	assert_false(journal_ended(dir, 7));
	return journal_open(&j, dir, 7, e) == 0;
}

static bool by_store(struct err *e) {
	return store_get(dir, "journal", "7", e) != NULL;
}

static const struct {
	const char *name;
	bool (*reads)(struct err *e);
	bool folder; /* a folder may be given */
} readers[] = {
	{"a configuration", by_yaml, false},
	{"a result", by_report, true},
	{"a secret", by_secret, false},
	{"a kernel", by_image, false},
	{"a module", by_cpio, false},
	{"a frame", by_frame, false},
	{"a journal", by_journal, false},
	{"a record", by_store, false},
};

static void expect_refusals(const char *type) {
	for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
		struct err e = {""};

		if (readers[i].folder && strcmp(type, "directory") == 0)
			continue;
		alarm(PATIENCE_S);
		print_message("a %s in the place of %s\n", type, readers[i].name);
		assert_false(readers[i].reads(&e));
		alarm(0);
		if (strstr(e.text, path) == NULL || strstr(e.text, type) == NULL)
			fail_msg("%s", e.text);
	}
}

static int set_up(void **state) {
	strcpy(dir, "/tmp/weir-file-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/journal", dir);
	if (mkdir(path, 0700) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/journal/7.json", dir);
	return 0;
}

static int tear_down(void **state) {
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) == 0 ? 0 : -1;
}

/* Nobody writes to it: whoever opens it as usual waits for good. */
static void a_pipe_is_refused_and_not_waited_for(void **state) {
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_refusals("pipe");
}

/* Nobody is at the other end of a pseudo terminal, and what is read there comes to no end. */
static void a_device_is_refused(void **state) {
	assert_int_equal(symlink("/dev/ptmx", path), 0);
	expect_refusals("device");
}

static void a_folder_is_refused(void **state) {
	assert_int_equal(mkdir(path, 0700), 0);
	expect_refusals("directory");
}

/* It would be opened for both ways at once, which does not wait, and then be read from for good. */
static void a_pipe_is_no_port_of_an_agent(void **state) {
	struct err e;

	assert_int_equal(mkfifo(path, 0600), 0);
	alarm(PATIENCE_S);
	assert_true(serve_device(path, &e) < 0);
	alarm(0);
	assert_non_null(strstr(e.text, "no character device"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
	const struct CMUnitTest tests[] = {
		CASE(a_pipe_is_refused_and_not_waited_for),
		CASE(a_device_is_refused),
		CASE(a_folder_is_refused),
		CASE(a_pipe_is_no_port_of_an_agent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
