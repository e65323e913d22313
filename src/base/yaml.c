/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/yaml.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <yaml.h>

#include "base/err.h"
#include "base/file.h"

/* libyaml gives events; a stack of open maps and lists turns them into the two trees.
 *
 * Of YAML's ways to write a scalar only those are taken for more than text whose text can be had back
 * from the value: true and false, whole numbers without leading zeros, and null. So a network may be
 * called 100, and `mac: 52:54:00:00:00:02` needs no quotes. What else YAML offers (aliases, tags, merge
 * keys) a configuration of this size does not need, and it is where the bombs are.
 *
 * The encoding is left to libyaml, which looks for a byte-order mark (YAML 1.2, 5.2): what editors of
 * other systems save is UTF-8 or UTF-16 with one. Without a mark it is UTF-8; the trees always are. */

struct level {
	json_t *value, *mark; // borrowed: their parents own them
	char *key; // of the member to come; NULL: a key is next
	int key_line;
};

struct reader {
	struct level open[YAML_DEPTH_MAX];
	unsigned depth, values;
	json_t *tree, *marks;
	const char *file;
	struct err *e;
};

static int refuse(const struct reader *r, size_t line, const char *text) {
	return err_set(r->e, EINVAL, "%s:%zu: %s", r->file, line + 1, text);
}

int yaml_line(const json_t *mark) {
	if (json_is_array(mark))
		mark = json_array_get(mark, 0);
	else if (json_is_object(mark))
		mark = json_object_get(mark, "");
	return (int)json_integer_value(mark);
}

const json_t *yaml_member(const json_t *mark, const char *key) {
	return json_object_get(mark, key);
}

const json_t *yaml_element(const json_t *mark, size_t i) {
	return json_array_get(mark, i + 1);
}

char *yaml_show_text(const char *text, size_t len, char *buf) {
	size_t room = YAML_SHOW_MAX - 6, n = 0; // quotes, dots and the NUL

	buf[n++] = '\'';
	for (size_t i = 0; i < len; i++) {
		if (n >= room && ((unsigned char)text[i] & 0xc0) != 0x80) {
			memcpy(buf + n, "...", 3);
			n += 3;
			break;
		}
		if (n >= YAML_SHOW_MAX - 5)
			break;
		buf[n++] = iscntrl((unsigned char)text[i]) ? '?' : text[i];
	}
	buf[n++] = '\'';
	buf[n] = '\0';
	return buf;
}

char *yaml_show(const json_t *v, char *buf) {
	switch (v == NULL ? JSON_NULL : json_typeof(v)) {
	case JSON_STRING:
		return yaml_show_text(json_string_value(v), json_string_length(v), buf);
	case JSON_INTEGER:
		snprintf(buf, YAML_SHOW_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		break;
	case JSON_REAL:
		snprintf(buf, YAML_SHOW_MAX, "%g", json_real_value(v));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		snprintf(buf, YAML_SHOW_MAX, "%s", json_is_true(v) ? "true" : "false");
		break;
	case JSON_OBJECT:
		snprintf(buf, YAML_SHOW_MAX, "a map");
		break;
	case JSON_ARRAY:
		snprintf(buf, YAML_SHOW_MAX, "a list");
		break;
	case JSON_NULL:
		snprintf(buf, YAML_SHOW_MAX, "empty");
		break;
	}
	return buf;
}

// The whole number that `text` writes in its only way: no sign but '-', no leading zeros.
static bool whole_number(const char *text, long long *out) {
	const char *p = text + (*text == '-');
	char *end;

	if (!isdigit((unsigned char)*p) || (*p == '0' && strlen(text) > 1))
		return false;
	errno = 0;
	*out = strtoll(text, &end, 10);
	return errno == 0 && *end == '\0';
}

static json_t *scalar(const char *text, size_t len, bool plain) {
	long long n;

	if (plain && (len == 0 || strcmp(text, "~") == 0 || strcmp(text, "null") == 0))
		return json_null();
	if (plain && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
		return json_boolean(text[0] == 't');
	if (plain && whole_number(text, &n))
		return json_integer(n);
	return json_stringn(text, len);
}

// Puts a value and its mark where they belong: into the innermost open level, or at the root.
static int place(struct reader *r, json_t *v, json_t *mark, size_t line) {
	struct level *l = r->depth > 0 ? &r->open[r->depth - 1] : NULL;
	int rc;

	if (v == NULL || mark == NULL)
		goto no_memory;
	if (++r->values > YAML_VALUES_MAX) {
		json_decref(v);
		json_decref(mark);
		return err_set(r->e, E2BIG, "%s:%zu: more than %d values; split the configuration",
			r->file, line + 1, YAML_VALUES_MAX);
	}
	if (l == NULL) {
		r->tree = v;
		r->marks = mark;
		return 0;
	}
	if (json_is_array(l->value)) {
		rc = json_array_append(l->value, v) | json_array_append(l->mark, mark);
	} else {
		rc = json_object_set(l->value, l->key, v) | json_object_set(l->mark, l->key, mark);
		free(l->key);
		l->key = NULL;
	}
	json_decref(v);
	json_decref(mark);
	if (rc != 0)
		return err_set(r->e, ENOMEM, "%s: no memory to read it", r->file);
	return 0;

no_memory:
	json_decref(v);
	json_decref(mark);
	return err_set(r->e, ENOMEM, "%s: no memory to read it", r->file);
}

static bool wants_key(const struct reader *r) {
	const struct level *l = r->depth > 0 ? &r->open[r->depth - 1] : NULL;

	return l != NULL && json_is_object(l->value) && l->key == NULL;
}

// Line of a value that begins at `line`: a member's is that of its key.
static int line_of(const struct reader *r, size_t line) {
	if (r->depth > 0 && r->open[r->depth - 1].key != NULL)
		return r->open[r->depth - 1].key_line;
	return (int)line + 1;
}

static int take_key(struct reader *r, const char *text, size_t len, size_t line) {
	struct level *l = &r->open[r->depth - 1];
	char show[YAML_SHOW_MAX];

	if (len == 0)
		return refuse(r, line, "a key is empty; give it a name");
	if (json_object_get(l->value, text) != NULL)
		return err_set(r->e, EINVAL,
			"%s:%zu: key %s stands twice, first on line %d; keep one", r->file,
			line + 1, yaml_show_text(text, len, show),
			yaml_line(json_object_get(l->mark, text)));
	l->key = strdup(text);
	l->key_line = (int)line + 1;
	return l->key != NULL ? 0 : err_set(r->e, ENOMEM, "%s: no memory to read it", r->file);
}

static int take_scalar(struct reader *r, const yaml_event_t *ev) {
	const char *text = (const char *)ev->data.scalar.value;
	size_t len = ev->data.scalar.length, line = ev->start_mark.line;

	if (ev->data.scalar.anchor != NULL)
		return refuse(
			r, line, "anchors (&) are not taken; write the value where it is needed");
	if (ev->data.scalar.tag != NULL)
		return refuse(r, line, "tags (!) are not taken; write the value without one");
	if (strlen(text) != len)
		return refuse(r, line, "a NUL stands in a string; take it out");
	if (wants_key(r))
		return take_key(r, text, len, line);
	return place(r, scalar(text, len, ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE),
		json_integer(line_of(r, line)), line);
}

static int open_level(struct reader *r, const yaml_event_t *ev) {
	bool map = ev->type == YAML_MAPPING_START_EVENT;
	size_t line = ev->start_mark.line;
	json_t *v, *mark;
	int rc;

	if ((map ? ev->data.mapping_start.anchor : ev->data.sequence_start.anchor) != NULL)
		return refuse(
			r, line, "anchors (&) are not taken; write the value where it is needed");
	if ((map ? ev->data.mapping_start.tag : ev->data.sequence_start.tag) != NULL)
		return refuse(r, line, "tags (!) are not taken; write the value without one");
	if (wants_key(r))
		return refuse(r, line, "a key is a map or a list; keys are names");
	if (r->depth == YAML_DEPTH_MAX)
		return err_set(r->e, E2BIG, "%s:%zu: more than %d maps and lists inside each other",
			r->file, line + 1, YAML_DEPTH_MAX);
	v = map ? json_object() : json_array();
	mark = map ? json_object() : json_array();
	if (map)
		json_object_set_new(mark, "", json_integer(line_of(r, line)));
	else
		json_array_append_new(mark, json_integer(line_of(r, line)));
	rc = place(r, v, mark, line);
	if (rc == 0)
		r->open[r->depth++] = (struct level){.value = v, .mark = mark};
	return rc;
}

static int take(struct reader *r, const yaml_event_t *ev) {
	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (r->tree != NULL)
			return refuse(r, ev->start_mark.line,
				"a second document begins; a configuration is one");
		return 0;
	case YAML_ALIAS_EVENT:
		return refuse(r, ev->start_mark.line,
			"aliases (*) are not taken; write the value where it is needed");
	case YAML_SCALAR_EVENT:
		return take_scalar(r, ev);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return open_level(r, ev);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		r->depth--;
		return 0;
	default:
		return 0;
	}
}

static int not_yaml(const struct reader *r, const yaml_parser_t *p) {
	size_t line = p->problem_mark.line;

	if (p->error == YAML_MEMORY_ERROR)
		return err_set(r->e, ENOMEM, "%s: no memory to read it", r->file);
	if (p->error == YAML_READER_ERROR)
		return err_set(r->e, EINVAL,
			"%s: byte %zu cannot stand in YAML text (%s); take it out", r->file,
			p->problem_offset, p->problem);
	return err_set(r->e, EINVAL, "%s:%zu: this is no YAML: %s%s%s", r->file, line + 1,
		p->problem != NULL ? p->problem : "it cannot be understood",
		p->context != NULL ? " " : "", p->context != NULL ? p->context : "");
}

static int read_events(struct reader *r, yaml_parser_t *p) {
	bool end = false;

	while (!end) {
		yaml_event_t ev;
		int rc;

		if (!yaml_parser_parse(p, &ev))
			return not_yaml(r, p);
		end = ev.type == YAML_STREAM_END_EVENT;
		rc = take(r, &ev);
		yaml_event_delete(&ev);
		if (rc != 0)
			return rc;
	}
	if (r->tree == NULL || json_is_null(r->tree)) {
		json_decref(r->marks);
		r->tree = json_object();
		r->marks = json_object();
	}
	if (r->tree == NULL || r->marks == NULL)
		return err_set(r->e, ENOMEM, "%s: no memory to read it", r->file);
	return 0;
}

int yaml_read(json_t **tree, json_t **marks, const char *text, size_t len, const char *file,
	struct err *e) {
	struct reader r = {.file = file, .e = e};
	yaml_parser_t p;
	int rc;

	*tree = *marks = NULL;
	if (len > YAML_BYTES_MAX)
		return err_set(e, E2BIG,
			"%s: %zu bytes are too many for a configuration; at most %d", file, len,
			YAML_BYTES_MAX);
	if (!yaml_parser_initialize(&p))
		return err_set(e, ENOMEM, "%s: no memory to read it", file);
	yaml_parser_set_input_string(&p, (const unsigned char *)text, len);
	rc = read_events(&r, &p);
	yaml_parser_delete(&p);
	for (unsigned i = 0; i < YAML_DEPTH_MAX; i++)
		free(r.open[i].key);
	if (rc != 0) {
		json_decref(r.tree);
		json_decref(r.marks);
		return rc;
	}
	*tree = r.tree;
	*marks = r.marks;
	return 0;
}

int yaml_load(json_t **tree, json_t **marks, const char *file, struct err *e) {
	const size_t room = YAML_BYTES_MAX + 1;
	size_t len = 0;
	ssize_t n = 0;
	char *text;
	int fd, rc;

	*tree = *marks = NULL;
	fd = file_open(file, O_RDONLY, e);
	if (fd < 0)
		return fd;
	text = malloc(room);
	while (text != NULL && len < room && (n = read(fd, text + len, room - len)) != 0) {
		if (n < 0 && errno != EINTR)
			break;
		len += n > 0 ? (size_t)n : 0;
	}
	if (text == NULL)
		rc = err_set(e, ENOMEM, "no memory to read %s", file);
	else if (n < 0)
		rc = err_set(e, errno, "cannot read %s: %s", file, strerror(errno));
	else
		rc = yaml_read(tree, marks, text, len, file, e);
	free(text);
	close(fd);
	return rc;
}
