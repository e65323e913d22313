/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_HOST_TREE_H
#define WEIR_TESTS_HOST_TREE_H

/* A host from tests/host/trees in a folder of its own, for as long as a test wants it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "host/root.h"

static inline int tree_gone_one(const char *path, const struct stat *st, int flag, struct FTW *at) {
	return remove(path);
}

/* A folder with all the hosts, each under its name: for a whole group of tests. */
static inline void trees_make(char dir[32]) {
	const char *source = getenv("WEIR_SOURCE");
	char command[600];

	assert_non_null(source);
	strcpy(dir, "/tmp/weir-hosts.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(
		command, sizeof(command), "python3 -IS '%s/tests/host/tree' --all %s", source, dir);
	assert_int_equal(system(command), 0);
}

static inline void trees_gone(const char *dir) {
	nftw(dir, tree_gone_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* One of them. */
static inline void trees_open(struct root *r, const char *dir, const char *name) {
	char path[80];
	struct err e;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (root_open(r, path, &e) < 0)
		fail_msg("%s", e.text);
}

/* A host of a test's own, with further lines of its description. */
static inline void tree_make(struct root *r, const char *name, const char *lines) {
	const char *source = getenv("WEIR_SOURCE");
	char command[1200], dir[] = "/tmp/weir-host.XXXXXX";
	FILE *pipe;
	struct err e;

	assert_non_null(source);
	assert_non_null(mkdtemp(dir));
	snprintf(command, sizeof(command),
		"{ cat '%s/tests/host/trees/%s.host' && cat; } | python3 -IS '%s/tests/host/tree' "
		"- %s",
		source, name, source, dir);
	pipe = popen(command, "w");
	assert_non_null(pipe);
	fputs(lines, pipe);
	assert_int_equal(pclose(pipe), 0);
	assert_int_equal(root_open(r, dir, &e), 0);
}

static inline void tree_gone(const struct root *r) {
	trees_gone(r->at);
}

/* Other content for one of its files. */
static inline void tree_put(const struct root *r, const char *path, const char *text) {
	char full[PATH_MAX];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", r->at, path);
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

#endif
