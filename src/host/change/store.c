/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/change/store.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"

const char *store_folder(const char *state) {
	return state != NULL ? state : STORE_DEFAULT;
}

json_t *store_get(const char *state, const char *kind, const char *slot, struct err *e) {
	char path[PATH_MAX];
	json_error_t bad = {.line = 0};
	struct err why;
	json_t *v;
	FILE *f;

	e->text[0] = '\0';
	snprintf(path, sizeof(path), "%s/%s/%s.json", store_folder(state), kind, slot);
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return NULL;
	f = file_stream(path, &why);
	v = f != NULL ? json_loadf(f, 0, &bad) : NULL;
	if (f != NULL)
		fclose(f);
	else
		snprintf(bad.text, sizeof(bad.text), "%s", why.text);
	if (!json_is_object(v)) {
		json_decref(v);
		err_set(e, EBADMSG,
			"%s cannot be used (%s, line %d); remove it, and weir forgets what it "
			"remembered there",
			path, v == NULL ? bad.text : "it holds no object", bad.line);
		return NULL;
	}
	return v;
}

/* Each folder of the path that is not there yet. */
static int make_folders(char *path) {
	for (char *p = strchr(path + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return 0;
}

static int write_whole(const char *path, const json_t *v) {
	char *text = json_dumps(v, JSON_INDENT(2)); // jansson's own writer has a call for each word
	size_t len = text != NULL ? strlen(text) : 0;
	FILE *f;
	int rc = 0;

	if (text == NULL)
		return -ENOMEM;
	f = file_fresh(path);
	errno = f == NULL ? errno : ENOSPC; // of half a write
	if (f == NULL || write(fileno(f), text, len) != (ssize_t)len || fsync(fileno(f)) < 0)
		rc = -errno;
	free(text);
	if (f != NULL)
		fclose(f);
	return rc;
}

int store_put(
	const char *state, const char *kind, const char *slot, const json_t *v, struct err *e) {
	char path[PATH_MAX], fresh[PATH_MAX + 8];
	int rc;

	snprintf(path, sizeof(path), "%s/%s/%s.json", store_folder(state), kind, slot);
	if (v == NULL)
		return unlink(path) == 0 || errno == ENOENT
			       ? 0
			       : err_set(e, errno, "cannot remove %s: %s", path, strerror(errno));
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	rc = make_folders(path);
	if (rc == 0)
		rc = write_whole(fresh, v);
	if (rc == 0 && rename(fresh, path) < 0)
		rc = -errno;
	if (rc < 0) {
		unlink(fresh);
		return err_set(e, -rc,
			"cannot write %s: %s; weir needs a place for what it remembers, --state "
			"DIR names another",
			path, strerror(-rc));
	}
	return 0;
}
