/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/change/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"

enum {
	STEP_BYTES = 4 * 32 + ATTR_TEXT_MAX + PCI_DRIVER_MAX + 40, // all lines of one step
	TAIL_BYTES = 512, // more than the longest line but the first
};

static const char *const step_words[] = {
	[STEP_DOING] = "doing",
	[STEP_DONE] = "done",
	[STEP_FOUND] = "found",
	[STEP_UNDOING] = "undoing",
	[STEP_UNDONE] = "undone",
};

static const char *const end_words[] = {
	[END_APPLIED] = "applied",
	[END_ROLLED_BACK] = "rolled back",
	[END_UNDONE] = "undone",
	[END_VOID] = "void",
};

static char *path_of(char path[PATH_MAX], const char *state, unsigned id) {
	snprintf(path, PATH_MAX, "%s/journal/%u.json", state, id);
	return path;
}

/* Takes the value over. The line is on the disk, or nothing of it is left in the file. */
static int put_line(struct journal *j, json_t *v, struct err *e) {
	off_t end = lseek(j->fd, 0, SEEK_END);
	char *text = v != NULL ? json_dumps(v, JSON_COMPACT) : NULL;
	size_t len = text != NULL ? strlen(text) : 0;
	int code = ENOMEM;

	json_decref(v);
	if (text != NULL) {
		text[len++] = '\n'; // in place of its NUL
		errno = EIO;
		code = write(j->fd, text, len) == (ssize_t)len && fdatasync(j->fd) == 0 ? 0 : errno;
	}
	free(text);
	if (code == 0)
		return 0;
	if (end >= 0 && ftruncate(j->fd, end) < 0)
		code = errno;
	return err_set(e, code,
		"cannot write the journal %s: %s; without it weir changes nothing, --state DIR "
		"names "
		"another place",
		j->path, strerror(code));
}

static int sync_folder(const char *state) {
	char path[PATH_MAX];
	int fd, rc;

	snprintf(path, sizeof(path), "%s/journal", state);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

static json_t *first_line(const struct journal *j) {
	json_t *list = json_array();
	char now[32];
	time_t t = time(NULL);
	struct tm tm;

	for (unsigned i = 0; i < j->l.n; i++)
		json_array_append_new(list, change_json(&j->l.c[i]));
	strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	return json_pack("{s:s, s:s, s:s, s:o}", "begin", j->command, "boot", j->boot, "time", now,
		"changes", list);
}

static int make_steps(struct journal *j, struct err *e) {
	j->step = calloc(j->l.n + 1, 1);
	return j->step != NULL ? 0 : err_set(e, ENOMEM, "no memory for %u changes", j->l.n);
}

static int create(struct journal *j, const char *state, struct err *e) {
	int code;

	j->id = journal_before(state, 0) + 1;
	j->fd = open(path_of(j->path, state, j->id),
		O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
	if (j->fd < 0)
		return err_set(e, errno,
			"cannot make the journal %s: %s; --state DIR names another place", j->path,
			strerror(errno));
	code = put_line(j, first_line(j), e);
	if (code < 0)
		return code;
	// A disk that fills up meanwhile shall not stop what has begun; not each file system can do this.
	if (fallocate(j->fd, FALLOC_FL_KEEP_SIZE, lseek(j->fd, 0, SEEK_END),
		    (off_t)j->l.n * STEP_BYTES + TAIL_BYTES) < 0 &&
		errno != EOPNOTSUPP && errno != ENOSYS)
		return err_set(e, errno,
			"there is no room for the journal %s: %s; without it weir changes nothing, "
			"--state DIR names another place",
			j->path, strerror(errno));
	code = sync_folder(state);
	return code < 0 ? err_set(e, -code, "cannot write the folder of %s: %s", j->path,
				  strerror(-code))
			: 0;
}

int journal_begin(struct journal *j, const char *state, const char *boot, const char *command,
	const struct changes *l, struct err *e) {
	int rc = 0;

	*j = (struct journal){.fd = -1};
	snprintf(j->command, sizeof(j->command), "%s", command);
	snprintf(j->boot, sizeof(j->boot), "%s", boot);
	for (unsigned i = 0; i < l->n && rc == 0; i++)
		rc = changes_add(&j->l, &l->c[i], e);
	if (rc == 0)
		rc = make_steps(j, e);
	if (rc == 0)
		rc = create(j, state, e);
	if (rc < 0) {
		if (j->fd >= 0)
			unlink(j->path);
		journal_close(j);
	}
	return rc;
}

void journal_close(struct journal *j) {
	if (j->fd >= 0)
		close(j->fd);
	changes_free(&j->l);
	free(j->step);
	j->step = NULL;
	j->fd = -1;
}

static int read_begin(struct journal *j, const json_t *v, struct err *e) {
	const json_t *list = json_object_get(v, "changes");
	const char *command = json_string_value(json_object_get(v, "begin"));
	const char *boot = json_string_value(json_object_get(v, "boot"));
	struct change c;
	json_t *one;
	size_t i;

	if (command == NULL || boot == NULL || !json_is_array(list))
		return err_set(e, EBADMSG, "its first line is no beginning");
	snprintf(j->command, sizeof(j->command), "%s", command);
	snprintf(j->boot, sizeof(j->boot), "%s", boot);
	json_array_foreach (list, i, one) {
		int rc = change_parse(&c, one, e);

		if (rc == 0)
			rc = changes_add(&j->l, &c, e);
		if (rc < 0)
			return rc;
	}
	return make_steps(j, e);
}

static void take_text(char *to, size_t size, const json_t *v) {
	if (json_is_string(v))
		snprintf(to, size, "%s", json_string_value(v));
}

static int read_event(struct journal *j, const json_t *v, struct err *e) {
	const char *end = json_string_value(json_object_get(v, "end"));

	for (unsigned k = END_APPLIED; end != NULL && k <= END_VOID; k++)
		if (strcmp(end_words[k], end) == 0)
			j->end = (enum journal_end)k;
	if (end != NULL)
		return 0;
	j->end = END_NONE; // an undo goes on behind the end
	for (unsigned s = STEP_DOING; s <= STEP_UNDONE; s++) {
		const json_t *at = json_object_get(v, step_words[s]);
		json_int_t i = json_integer_value(at);

		if (at == NULL)
			continue;
		if (i < 0 || i >= (json_int_t)j->l.n)
			return err_set(e, EBADMSG, "it has no change %lld", (long long)i);
		j->step[i] = (unsigned char)s;
		j->back |= s >= STEP_UNDOING;
		take_text(j->l.c[i].from, sizeof(j->l.c[i].from), json_object_get(v, "from"));
		take_text(j->override, sizeof(j->override), json_object_get(v, "override"));
		return 0;
	}
	return err_set(e, EBADMSG, "it has a line that says nothing");
}

/* Line by line; what stands behind the last newline was cut off and goes. */
static int read_lines(struct journal *j, struct err *e) {
	FILE *f = fdopen(dup(j->fd), "r");
	char *line = NULL;
	size_t room = 0;
	off_t whole = 0;
	ssize_t n;
	int rc = f != NULL ? 0 : err_set(e, errno, "%s", strerror(errno));

	while (rc == 0 && (n = getline(&line, &room, f)) > 0 && line[n - 1] == '\n') {
		json_t *v = json_loads(line, 0, NULL);

		if (v == NULL)
			rc = err_set(e, EBADMSG, "a line of it is no JSON");
		else
			rc = j->step == NULL ? read_begin(j, v, e) : read_event(j, v, e);
		json_decref(v);
		whole += n;
	}
	free(line);
	if (f != NULL)
		fclose(f);
	if (rc == 0 && j->step == NULL)
		rc = err_set(e, EBADMSG, "its first line was cut off");
	if (rc == 0 && ftruncate(j->fd, whole) < 0)
		rc = err_set(e, errno, "cannot cut off half a line: %s", strerror(errno));
	return rc;
}

int journal_open(struct journal *j, const char *state, unsigned id, struct err *e) {
	int rc;

	*j = (struct journal){.id = id};
	j->fd = file_open(path_of(j->path, state, id), O_RDWR | O_APPEND, e);
	rc = j->fd < 0 ? j->fd : read_lines(j, e);
	if (rc < 0) {
		err_prefix(
			e, "the journal %s cannot be used; remove it to go on without: ", j->path);
		journal_close(j);
	}
	return rc;
}

int journal_step(struct journal *j, unsigned i, enum step_state s, struct err *e) {
	json_t *v = json_pack("{s:i}", step_words[s], (int)i);
	int rc;

	if (s == STEP_DOING) {
		json_object_set_new(v, "from", json_string(j->l.c[i].from));
		if (j->l.c[i].attr == ATTR_DRIVER)
			json_object_set_new(v, "override", json_string(j->override));
	}
	rc = put_line(j, v, e);
	if (rc == 0)
		j->step[i] = (unsigned char)s;
	return rc;
}

int journal_end(struct journal *j, enum journal_end end, struct err *e) {
	int rc = put_line(j, json_pack("{s:s}", "end", end_words[end]), e);

	if (rc == 0)
		j->end = end;
	return rc;
}

bool journal_ended(const char *state, unsigned id) {
	char path[PATH_MAX], tail[TAIL_BYTES + 1], *line;
	int fd = file_open(path_of(path, state, id), O_RDONLY, NULL);
	off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	ssize_t n = fd >= 0 ? pread(fd, tail, TAIL_BYTES, size > TAIL_BYTES ? size - TAIL_BYTES : 0)
			    : 0;

	if (fd >= 0)
		close(fd);
	tail[n > 0 ? n : 0] = '\0';
	line = strrchr(tail, '\n');
	if (line == NULL || line[1] != '\0')
		return false; // cut off
	*line = '\0';
	line = strrchr(tail, '\n');
	return strncmp(line != NULL ? line + 1 : tail, "{\"end\":", 7) == 0;
}

static unsigned id_of(const char *name) {
	unsigned id = 0;
	int end = 0;

	return sscanf(name, "%9u.json%n", &id, &end) == 1 && name[end] == '\0' ? id : 0;
}

/* Calls back with each number there is. */
static void each_id(const char *state, void (*found)(unsigned id, unsigned *ctx), unsigned *ctx) {
	char path[PATH_MAX];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/journal", state);
	dir = opendir(path);
	while (dir != NULL && (d = readdir(dir)) != NULL)
		if (id_of(d->d_name) != 0)
			found(id_of(d->d_name), ctx);
	if (dir != NULL)
		closedir(dir);
}

static void newest(unsigned id, unsigned *ctx) {
	if ((ctx[0] == 0 || id < ctx[0]) && id > ctx[1])
		ctx[1] = id;
}

unsigned journal_before(const char *state, unsigned below) {
	unsigned ctx[2] = {below, 0};

	each_id(state, newest, ctx);
	return ctx[1];
}

void journal_prune(const char *state) {
	unsigned id = 0, n = 0;
	char path[PATH_MAX];

	while ((id = journal_before(state, id)) != 0)
		if (++n > JOURNALS_KEPT)
			unlink(path_of(path, state, id));
}
