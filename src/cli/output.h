/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_CLI_OUTPUT_H
#define WEIR_CLI_OUTPUT_H

#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

/* What users read: aligned tables from JSON rows, JSON itself, numbers short enough to compare. */

enum cell {
	CELL_TEXT, /* strings, lists joined with commas, true as "yes", everything else as it is */
	CELL_COUNT, /* 1234567 as 1.23M */
	CELL_BYTES, /* with KiB, MiB, ... */
	CELL_BITS, /* a rate, 1.23Gbit/s */
	CELL_NUMBER, /* integers in full, reals with one digit after the point */
	CELL_PERCENT, /* 0..1 as 0.0 to 100.0 % */
};

struct column {
	const char *title;
	const char *path; /* member of the row; dots lead into objects: "rx.frames" */
	enum cell as;
};

/* Rows is an array of objects; columns end with a NULL title. A column in which no row has anything
 * is left out. Text is cleaned of control characters. */
void output_table(FILE *f, const struct column *columns, const json_t *rows);

/* Indented JSON with a newline, keys in the order they were set. */
void output_json(FILE *f, const json_t *v);

/* The member of an object that a dotted path leads to, NULL: none. */
json_t *output_at(const json_t *v, const char *path);

/* "1.23M", "12.3Gbit/s", "64.0KiB": three digits and a prefix. Return buf. */
enum { OUTPUT_NUM = 32 };
char *output_count(double v, char *buf);
char *output_bits(double bits_per_s, char *buf);
char *output_bytes(double v, char *buf);

/* A value in a unit without prefix as measurements have them ("bit/s", "byte", "s", "frame/s", "1/s",
 * ""): "9.41Gbit/s", "12.3us", "1.20Mframe/s". Cut where `size` ends; returns buf. */
char *output_unit(double v, const char *unit, char *buf, size_t size);

/* Control characters become '?': names come from users, files and guests, and no escape sequence of theirs
 * reaches a terminal. */
void output_clean(char *text);

/* The text of a cell; buf of `size`. */
char *output_cell(const json_t *v, enum cell as, char *buf, size_t size);

/* What `apply` and its relatives changed, one line each: "+ port vm3: ...". */
void output_diff(FILE *f, const json_t *diff);

#endif
