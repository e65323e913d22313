/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_SCHEMA_H
#define WEIR_BASE_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

/* How a file in YAML becomes structs: a table of keys for each kind of map there is (the top, a port, a
 * pool). A row says how a value is read, checked and written back. What is wrong is refused with the
 * file, the line, and what was expected. */

struct err;

/* What a message begins with. */
struct schema {
	const char *file; /* NULL: the tree came from the API, no "FILE:LINE: " */
	char where[64]; /* "port vm1: "; "" at the top */
	struct err *e;
};

struct field;

/* How values of a type are read and written. take: 0 or a negative errno with its sentence. dump: a
 * new reference, NULL when there is no value; never called, and may be NULL, where nothing is dumped. */
struct value_type {
	int (*take)(struct schema *s, const struct field *f, const json_t *v, const json_t *mark,
		void *obj);
	json_t *(*dump)(const struct field *f, const void *obj);
};

struct field {
	const char *key;
	const struct value_type *type;
	size_t at, size; /* of the member that holds the value (of lists: of the pointer) */
	size_t count_at; /* lists and maps: offset of the unsigned with their length */
	int64_t min, max,
		def; /* numbers, durations (s), words, booleans; length of lists and maps */
	const char *const *words; /* NULL-terminated, by value; those below min cannot be said */
	const char *must; /* end of "queues is 17; it must be ..." */
	const char *what, *more; /* maps: "port", and what their names may have besides NAME_MUST */
	/* For the owner of the table. kinds is a set: of objects that have this key, 0: all (schema_dump), or
	 * of what stands when the key stands (schema_stated). */
	unsigned kinds, change;
};

#define SCHEMA_AT(type, m)    .at = offsetof(type, m), .size = sizeof(((type *)NULL)->m)
#define SCHEMA_COUNT(type, m) .count_at = offsetof(type, m)

/* Sets a sentence: "FILE:LINE: WHERE" and the printf text. Returns -code. */
int schema_fail(struct schema *s, int code, const json_t *mark, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Reads a map into `obj`, after setting every default. Refuses unknown keys and bad values. */
int schema_take(struct schema *s, const struct field *fields, const json_t *map, const json_t *mark,
	void *obj);
/* The map as a user would write it; keys at their default left out unless `full`. `kind`: leaves out
 * what has kinds without it. */
json_t *schema_dump(const struct field *fields, const void *obj, bool full, unsigned kind);
/* The kinds of the keys that a map has, together. */
unsigned schema_stated(const struct field *fields, const json_t *map);

/* A map of names to maps, as an array of structs of `size` bytes; take_one fills one of them. The name
 * is judged, and stands in s->where. A value of this kind is made by calling it. */
int schema_take_map(struct schema *s, const struct field *f, const json_t *v, const json_t *mark,
	void *obj, size_t size,
	int (*take_one)(struct schema *, const char *, const json_t *, const json_t *, void *));

/* Names of what maps hold. `more`: characters that this one may have too, NULL: none. */
enum { NAME_LEN_MAX = 31 };
#define NAME_MUST "1 to 31 letters, digits, dots, dashes or underscores"
bool schema_name_ok(const char *name, const char *more);
/* "a, b, c", cut with "..." where it does not fit. */
void schema_list(char *buf, size_t size, const json_t *map);

/* schema_values.c: numbers, durations and words go by min, max and words of the field. */
extern const struct value_type value_number, value_seconds, value_word, value_bool, value_name,
	value_names, value_mac, value_macs;

/* For types of values that others add. value_wrong: "KEY is VALUE; it must be MUST". */
int value_wrong(struct schema *s, const struct field *f, const json_t *v, const json_t *mark);
/* "KEY has VALUE in it; it must be MUST". */
int value_wrong_element(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark);
int value_no_memory(struct schema *s);
void *value_member(const struct field *f, void *obj);
/* Into a member of 1, 2 or 4 bytes; nothing where it has another size. */
void value_set_number(const struct field *f, void *obj, int64_t n);
/* Where the length of a list or map is kept. */
unsigned *value_count(const struct field *f, void *obj);
/* Room for the elements of a list of [f->min, f->max]; its length stays 0 until they are there. */
int value_list_room(struct schema *s, const struct field *f, const json_t *v, const json_t *mark,
	void *obj, size_t element);
/* Text of a string, or of a whole number written where a name is wanted. NULL: neither, or empty, or with
 * control characters (a NUL too), which neither files nor interfaces nor groups should have. */
const char *value_text(const json_t *v, char *buf, size_t size);
enum { VALUE_TEXT_MAX = 24 }; /* of `buf`, for the number */
/* A member that is a char *. */
int value_set_text(struct schema *s, const struct field *f, const char *text, void *obj);
json_t *value_dump_text(const struct field *f, const void *obj);

#endif
