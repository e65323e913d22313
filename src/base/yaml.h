/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_YAML_H
#define WEIR_BASE_YAML_H

#include <stddef.h>

#include <jansson.h>

/* YAML as a JSON tree, and beside it a tree of the same shape with the line of every value: its marks.
 * The mark of a scalar is its line, of a list [line, mark of each element], of a map {"": line, and
 * the mark of each member under the member's key}. A member's line is the line of its key. */

struct err;

enum {
	YAML_BYTES_MAX = 1 << 20, /* a file; a full house of ports takes a tenth of it */
	YAML_DEPTH_MAX = 16, /* maps and lists inside each other; the schema uses four */
	YAML_VALUES_MAX = 100000, /* bounds the memory that a small file can ask for */
};

/* Both trees are new references. An empty document is an empty map. Refused, with "FILE:LINE: ..." in
 * `e`: what is not YAML, a second document, aliases and anchors, tags, keys that are no scalars or
 * are empty, duplicate keys, strings with a NUL, and what goes over the bounds above. */
int yaml_read(json_t **tree, json_t **marks, const char *text, size_t len, const char *file,
	struct err *e);
/* The same of a file, or its errno. */
int yaml_load(json_t **tree, json_t **marks, const char *file, struct err *e);

/* Line of a mark, mark of a member and of an element; `mark` may be NULL (no line: 0 or NULL). */
int yaml_line(const json_t *mark);
const json_t *yaml_member(const json_t *mark, const char *key);
const json_t *yaml_element(const json_t *mark, size_t i);

/* How a value is shown in a message: strings in quotes and without control characters, cut when
 * long. Writes into `buf` (at least YAML_SHOW_MAX bytes) and returns it. */
enum { YAML_SHOW_MAX = 72 };
char *yaml_show(const json_t *v, char *buf);
char *yaml_show_text(const char *text, size_t len, char *buf);

#endif
