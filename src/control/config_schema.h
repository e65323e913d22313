/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_CONTROL_CONFIG_SCHEMA_H
#define WEIR_CONTROL_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "control/config.h"

/* The schema: a table of keys for each kind of map there is (the top, a network, a port). A row says
 * how a value is read, checked, written back, and what a change of it takes. */

/* What a message begins with. */
struct schema {
	const char *file; /* NULL: the tree came from the API, no "FILE:LINE: " */
	char where[48]; /* "port vm1: "; "" at the top */
	struct err *e;
};

struct field;

/* How values of a type are read and written. take: 0 or a negative errno with its sentence. dump: a
 * new reference, NULL when there is no value. */
struct value_type {
	int (*take)(struct schema *s, const struct field *f, const json_t *v, const json_t *mark,
		void *obj);
	json_t *(*dump)(const struct field *f, const void *obj);
};

enum change { IN_PLACE, REOPEN, REOPEN_VHOST, RESTART };

struct field {
	const char *key;
	const struct value_type *type;
	size_t at, size; /* of the member that holds the value (of lists: of the pointer) */
	size_t count_at; /* lists and maps: offset of the unsigned with their length */
	int64_t min, max, def; /* numbers, durations (s), words, booleans */
	const char *const *words; /* NULL-terminated, by value */
	const char *must; /* end of "queues is 17; it must be ..." */
	unsigned kinds; /* ports: 1 << enum port_kind of those that have it, 0: all */
	enum change change;
};

/* config_values.c: numbers, durations and words go by min, max and words of the field. */
extern const struct value_type value_number, value_seconds, value_word, value_bool, value_socket,
	value_endpoint, value_group, value_netns, value_kind, value_nic, value_name, value_names,
	value_mac, value_macs, value_cpus;
/* "KEY is VALUE; it must be MUST". */
int value_wrong(struct schema *s, const struct field *f, const json_t *v, const json_t *mark);
int value_no_memory(struct schema *s);
/* Where the length of a list or map is kept. */
unsigned *value_count(const struct field *f, void *obj);

extern const struct field top_fields[], net_fields[], port_fields[]; /* end with key NULL */

/* Sets a sentence: "FILE:LINE: WHERE" and the printf text. Returns -code. */
int schema_fail(struct schema *s, int code, const json_t *mark, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Reads a map into `obj`, after setting every default. Refuses unknown keys and bad values. */
int schema_take(struct schema *s, const struct field *fields, const json_t *map, const json_t *mark,
	void *obj);
/* The ports with their names as keys. */
json_t *schema_dump_ports(const struct config *c, bool full);
/* The map as a user would write it; keys at their default left out unless `full`. `kind`: of a port,
 * 1 << its kind, leaves out what the kind has not; else 0. */
json_t *schema_dump(const struct field *fields, const void *obj, bool full, unsigned kind);

/* Names of networks and ports. */
enum { NAME_LEN_MAX = 31 };
enum { STATIC_MACS_MAX = 1024 }; /* of a port */
#define NAME_MUST "1 to 31 letters, digits, dots, dashes or underscores"
bool schema_name_ok(const char *name);
/* "a, b, c", cut with "..." where it does not fit. */
void schema_list(char *buf, size_t size, const json_t *map);

/* Second pass, over what the schema let through: what concerns several keys or several ports, and the
 * defaults that depend on them. config_check.c */
int config_check(struct schema *s, struct config *c, const json_t *marks);

#endif
