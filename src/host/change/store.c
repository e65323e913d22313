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
	const char *what = "it holds no object";
	struct err why;
	json_t *v;
	FILE *f;

	e->text[0] = '\0';
	snprintf(path, sizeof(path), "%s/%s/%s.json", store_folder(state), kind, slot);
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return NULL;
	f = file_stream(path, &why);
	v = f != NULL ? json_loadf(f, 0, &bad) : NULL;
	if (v == NULL)
		what = f != NULL ? bad.text : why.text;
	if (f != NULL)
		fclose(f);
	if (!json_is_object(v)) {
		json_decref(v);
		err_set(e, EBADMSG,
			"%s cannot be used (%s, line %d); remove it, and weir forgets what it "
			"remembered there",
			path, what, bad.line);
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

static int write_whole(const char *path, const json_t *v, struct err *e) {
	char *text = json_dumps(v, JSON_INDENT(2)); // jansson's own writer has a call for each word
	size_t len = text != NULL ? strlen(text) : 0;
	struct file_draft d;
	bool whole;
	int rc, error;

	if (text == NULL)
		return err_set(e, ENOMEM, "cannot write %s: no memory", path);
	rc = file_draft_open(&d, path, e);
	if (rc == 0) {
		errno = ENOSPC; // of half a write
		whole = write(fileno(d.f), text, len) == (ssize_t)len && fsync(fileno(d.f)) == 0;
		error = errno;
		rc = file_draft_close(&d, whole, e);
		if (rc == 0 && !whole)
			rc = err_set(e, error, "cannot write %s: %s", path, strerror(error));
	}
	free(text);
	return rc;
}

int store_put(
	const char *state, const char *kind, const char *slot, const json_t *v, struct err *e) {
	char path[PATH_MAX];
	struct err why;
	int rc;

	snprintf(path, sizeof(path), "%s/%s/%s.json", store_folder(state), kind, slot);
	if (v == NULL)
		return file_remove(path, e);
	rc = make_folders(path);
	if (rc < 0)
		err_set(&why, -rc, "cannot write %s: %s", path, strerror(-rc));
	else
		rc = write_whole(path, v, &why);
	if (rc == 0)
		return 0;
	return err_set(e, -rc,
		"%s; weir needs a place for what it remembers, --state DIR names another",
		why.text);
}
