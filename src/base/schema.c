/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/schema.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/yaml.h"

int schema_fail(struct schema *s, int code, const json_t *mark, const char *fmt, ...) {
	char text[ERR_TEXT_MAX], at[256] = "";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (s->file != NULL && yaml_line(mark) > 0)
		snprintf(at, sizeof(at), "%s:%d: ", s->file, yaml_line(mark));
	else if (s->file != NULL)
		snprintf(at, sizeof(at), "%s: ", s->file);
	return err_set(s->e, code, "%s%s%s", at, s->where, text);
}

bool schema_name_ok(const char *name, const char *more) {
	const char *set = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t n = 0;

	while (name[n] != '\0' &&
		(strchr(set, name[n]) != NULL || (more != NULL && strchr(more, name[n]) != NULL)))
		n++;
	return n > 0 && n <= NAME_LEN_MAX && name[n] == '\0';
}

void schema_list(char *buf, size_t size, const json_t *map) {
	const char *key;
	json_t *v;
	size_t n = 0;

	buf[0] = '\0';
	json_object_foreach ((json_t *)map, key, v) {
		if (n + strlen(key) + 8 > size) {
			snprintf(buf + n, size - n, ", ...");
			return;
		}
		n += (size_t)snprintf(buf + n, size - n, "%s%s", n > 0 ? ", " : "", key);
	}
}

// Edits (insert, delete, replace) that make `b` of `a`; 99 for what is too long to be a key.
static unsigned distance(const char *a, const char *b) {
	unsigned row[33], n = (unsigned)strlen(b);

	if (strlen(a) > 32 || n > 32)
		return 99;
	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; a[i - 1] != '\0'; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= n; j++) {
			unsigned best = diagonal + (a[i - 1] != b[j - 1]);

			best = row[j] + 1 < best ? row[j] + 1 : best;
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[n];
}

static int unknown_key(
	struct schema *s, const struct field *fields, const char *key, const json_t *mark) {
	const char *near = NULL;
	unsigned best = 3; // two slips of the finger, and never more than half of what was written
	char all[300] = "", show[YAML_SHOW_MAX];
	size_t n = 0;

	for (const struct field *f = fields; f->key != NULL; f++) {
		unsigned d = distance(key, f->key);

		if (d < best && 2 * d <= strlen(key)) {
			best = d;
			near = f->key;
		}
		if (f->must != NULL)
			n += (size_t)snprintf(
				all + n, sizeof(all) - n, "%s%s", n > 0 ? ", " : "", f->key);
	}
	yaml_show_text(key, strlen(key), show);
	if (near != NULL)
		return schema_fail(
			s, EINVAL, mark, "unknown key %s; did you mean '%s'?", show, near);
	return schema_fail(s, EINVAL, mark, "unknown key %s; there are: %s", show, all);
}

static const struct field *find(const struct field *fields, const char *key) {
	for (; fields->key != NULL; fields++)
		if (strcmp(fields->key, key) == 0)
			return fields;
	return NULL;
}

int schema_take(struct schema *s, const struct field *fields, const json_t *map, const json_t *mark,
	void *obj) {
	const char *key;
	json_t *v;

	for (const struct field *f = fields; f->key != NULL; f++)
		value_set_number(f, obj, f->def);
	json_object_foreach ((json_t *)map, key, v) {
		const struct field *f = find(fields, key);
		int rc;

		if (f == NULL)
			return unknown_key(s, fields, key, yaml_member(mark, key));
		rc = f->type->take(s, f, v, yaml_member(mark, key), obj);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int schema_take_map(struct schema *s, const struct field *f, const json_t *v, const json_t *mark,
	void *obj, size_t size,
	int (*take_one)(struct schema *, const char *, const json_t *, const json_t *, void *)) {
	char *array = calloc(json_object_size(v) + 1, size);
	const char *name;
	json_t *one;
	int rc = 0;

	if (array == NULL)
		return value_no_memory(s);
	*(void **)value_member(f, obj) = array;
	if (!json_is_object(v) && !json_is_null(v))
		return value_wrong(s, f, v, mark);
	if (json_object_size(v) > (size_t)f->max)
		return schema_fail(s, E2BIG, mark, "%s has %zu entries; at most %lld can be there",
			f->key, json_object_size(v), (long long)f->max);
	json_object_foreach ((json_t *)v, name, one) {
		const json_t *at = yaml_member(mark, name);
		char show[YAML_SHOW_MAX];

		if (!schema_name_ok(name, f->more))
			return schema_fail(s, EINVAL, at, "%s %s: a name must be " NAME_MUST "%s",
				f->what, yaml_show_text(name, strlen(name), show),
				f->more != NULL ? ", or an address" : "");
		snprintf(s->where, sizeof(s->where), "%s %s: ", f->what, name);
		if (!json_is_object(one) && !json_is_null(one))
			return schema_fail(s, EINVAL, at, "it is %s; it must be a map of keys",
				yaml_show(one, show));
		rc = take_one(s, name, one, at, array + size * (*value_count(f, obj))++);
		if (rc != 0)
			return rc;
		s->where[0] = '\0';
	}
	return 0;
}

unsigned schema_stated(const struct field *fields, const json_t *map) {
	unsigned stated = 0;

	for (; fields->key != NULL; fields++)
		if (json_object_get(map, fields->key) != NULL)
			stated |= fields->kinds;
	return stated;
}

static bool at_default(const struct field *f, const void *obj) {
	const char *p = (const char *)obj + f->at;

	switch (f->size) {
	case 1:
		return *(const uint8_t *)p == (uint8_t)f->def;
	case 2:
		return *(const uint16_t *)p == (uint16_t)f->def;
	case 4:
		return *(const uint32_t *)p == (uint32_t)f->def;
	}
	return false; // what is no number is left out by its dump when there is none
}

json_t *schema_dump(const struct field *fields, const void *obj, bool full, unsigned kind) {
	json_t *map = json_object();

	for (const struct field *f = fields; f->key != NULL; f++) {
		json_t *v;

		if (f->kinds != 0 && (f->kinds & kind) == 0)
			continue;
		if (!full && at_default(f, obj))
			continue;
		v = f->type->dump(f, obj);
		if (v != NULL)
			json_object_set_new(map, f->key, v);
	}
	return map;
}
