/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "cli/output.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { COLUMNS_MAX = 24, CELL_MAX = 256 };

static char *scaled(double v, double step, const char *const *units, char *buf) {
	int i = 0;

	while ((v >= step || v <= -step) && units[i + 1] != NULL) {
		v /= step;
		i++;
	}
	// Rounding may lead to the next unit: 999.96k is 1.00M.
	if (v >= step - 0.5 && units[i + 1] != NULL && i > 0) {
		v /= step;
		i++;
	}
	if (i == 0 && v == (double)(long long)v)
		snprintf(buf, OUTPUT_NUM, "%lld%s", (long long)v, units[0]);
	else
		snprintf(buf, OUTPUT_NUM, "%.*f%s",
			fabs(v) >= 99.95   ? 0
			: fabs(v) >= 9.995 ? 1
					   : 2,
			v, units[i]);
	return buf;
}

char *output_count(double v, char *buf) {
	static const char *const units[] = {"", "k", "M", "G", "T", "P", NULL};

	return scaled(v, 1000, units, buf);
}

char *output_bits(double v, char *buf) {
	static const char *const units[] = {"bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s", NULL};

	return scaled(v, 1000, units, buf);
}

char *output_bytes(double v, char *buf) {
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", NULL};

	return scaled(v, 1024, units, buf);
}

/* A time keeps three digits as well, but goes down from seconds. */
static char *output_seconds(double s, char *buf) {
	static const char *const units[] = {"ns", "us", "ms", NULL};

	if (s >= 0.9995 || s <= -0.9995)
		snprintf(buf, OUTPUT_NUM, "%.3gs", s);
	else
		scaled(s * 1e9, 1000, units, buf);
	return buf;
}

char *output_unit(double v, const char *unit, char *buf, size_t size) {
	char num[OUTPUT_NUM];

	if (unit == NULL)
		unit = "";
	if (strcmp(unit, "bit/s") == 0)
		snprintf(buf, size, "%s", output_bits(v, num));
	else if (strcmp(unit, "byte") == 0)
		snprintf(buf, size, "%s", output_bytes(v, num));
	else if (strcmp(unit, "s") == 0)
		snprintf(buf, size, "%s", output_seconds(v, num));
	else if (unit[0] == '\0' && v > -1 && v < 1)
		snprintf(buf, size, "%.4g", v); // a ratio: 0.9992 is not 1
	else
		// "1/s" is said as "/s": 12.3k/s.
		snprintf(buf, size, "%s%s", output_count(v, num),
			strcmp(unit, "1/s") == 0 ? "/s" : unit);
	return buf;
}

void output_json(FILE *f, const json_t *v) {
	json_dumpf(v, f, JSON_INDENT(2) | JSON_ENCODE_ANY);
	fputc('\n', f);
}

json_t *output_at(const json_t *v, const char *path) {
	while (v != NULL) {
		size_t n = strcspn(path, ".");
		char key[64];

		if (n >= sizeof(key))
			return NULL;
		memcpy(key, path, n);
		key[n] = '\0';
		v = json_object_get(v, key);
		if (path[n] == '\0')
			return (json_t *)(uintptr_t)v;
		path += n + 1;
	}
	return NULL;
}

void output_clean(char *text) {
	text_clean(text);
}

static void text_of(const json_t *v, char *buf, size_t size) {
	size_t len = 0;

	buf[0] = '\0';
	if (json_is_string(v)) {
		snprintf(buf, size, "%s", json_string_value(v));
	} else if (json_is_integer(v)) {
		snprintf(buf, size, "%lld", (long long)json_integer_value(v));
	} else if (json_is_real(v)) {
		snprintf(buf, size, "%.1f", json_real_value(v));
	} else if (json_is_boolean(v)) {
		snprintf(buf, size, "%s", json_is_true(v) ? "yes" : "");
	} else if (json_is_array(v)) {
		for (size_t i = 0; i < json_array_size(v) && len + 2 < size; i++) {
			if (i > 0)
				len += (size_t)snprintf(buf + len, size - len, ",");
			text_of(json_array_get(v, i), buf + len, size - len);
			len = strlen(buf);
		}
	}
	output_clean(buf);
}

char *output_cell(const json_t *v, enum cell as, char *buf, size_t size) {
	char num[OUTPUT_NUM];

	if (as == CELL_TEXT || as == CELL_NUMBER || !json_is_number(v))
		text_of(v, buf, size);
	else if (as == CELL_COUNT)
		snprintf(buf, size, "%s", output_count(json_number_value(v), num));
	else if (as == CELL_BITS)
		snprintf(buf, size, "%s", output_bits(json_number_value(v), num));
	else if (as == CELL_BYTES)
		snprintf(buf, size, "%s", output_bytes(json_number_value(v), num));
	else
		snprintf(buf, size, "%.1f%%", json_number_value(v) * 100);
	return buf;
}

/* Characters a text takes on the screen; UTF-8 continuation bytes take none. */
static int width_of(const char *text) {
	int n = 0;

	for (; *text != '\0'; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

static void print_cell(FILE *f, const char *text, int width, bool right, bool last) {
	int pad = width - width_of(text);

	if (right)
		fprintf(f, "%*s%s", pad, "", text);
	else
		fprintf(f, "%s%*s", text, last ? 0 : pad, "");
	fputs(last ? "\n" : "  ", f);
}

void output_table(FILE *f, const struct column *columns, const json_t *rows) {
	int width[COLUMNS_MAX] = {0}, n = 0, last = -1;
	char cell[CELL_MAX];
	size_t i;
	json_t *row;

	for (; n < COLUMNS_MAX && columns[n].title != NULL; n++) {
		json_array_foreach (rows, i, row) {
			int w = width_of(output_cell(
				output_at(row, columns[n].path), columns[n].as, cell, CELL_MAX));

			if (w > width[n])
				width[n] = w;
		}
		if (json_array_size(rows) > 0 && width[n] == 0)
			continue;
		if (width_of(columns[n].title) > width[n])
			width[n] = width_of(columns[n].title);
		last = n;
	}
	for (int c = 0; c < n; c++)
		if (width[c] > 0)
			print_cell(f, columns[c].title, width[c], columns[c].as != CELL_TEXT,
				c == last);
	json_array_foreach (rows, i, row) {
		for (int c = 0; c < n; c++)
			if (width[c] > 0)
				print_cell(f,
					output_cell(output_at(row, columns[c].path), columns[c].as,
						cell, CELL_MAX),
					width[c], columns[c].as != CELL_TEXT, c == last);
	}
}

static void print_settings(FILE *f, const json_t *o) {
	const char *key;
	char cell[CELL_MAX];
	json_t *v;

	if (!json_is_object(o)) {
		output_cell(o, CELL_TEXT, cell, sizeof(cell));
		fprintf(f, " %s", o == NULL || json_is_null(o) ? "none" : cell);
		return;
	}
	json_object_foreach ((json_t *)(uintptr_t)o, key, v) {
		if (json_is_boolean(v))
			snprintf(cell, sizeof(cell), "%s", json_is_true(v) ? "true" : "false");
		else
			output_cell(v, CELL_TEXT, cell, sizeof(cell));
		fprintf(f, " %s=%s", key, json_is_null(v) ? "none" : cell);
	}
}

/* Of a change only what differs is worth a line. */
static void keep_differences(json_t *from, json_t *to) {
	const char *key;
	json_t *v;
	void *next;

	json_object_foreach_safe(from, next, key, v) {
		if (json_equal(v, json_object_get(to, key))) {
			json_object_del(to, key);
			json_object_del(from, key);
		}
	}
}

static void print_change(FILE *f, const json_t *one) {
	json_t *from = json_deep_copy(json_object_get(one, "from"));
	json_t *to = json_deep_copy(json_object_get(one, "to"));
	const char *how = json_string_value(json_object_get(one, "how"));
	char cell[CELL_MAX];

	if (json_is_object(from) && json_is_object(to))
		keep_differences(from, to);
	fputc(':', f);
	print_settings(f, from);
	fputs(" ->", f);
	print_settings(f, to);
	if (json_is_object(to) && json_object_size(to) == 0)
		fputs(" default", f);
	if (how != NULL && strcmp(how, "in place") != 0) {
		output_cell(json_object_get(one, "why"), CELL_TEXT, cell, sizeof(cell));
		fprintf(f, " (%s%s%s)", how, cell[0] != '\0' ? ": " : "", cell);
	}
	json_decref(from);
	json_decref(to);
}

void output_diff(FILE *f, const json_t *diff) {
	size_t i;
	json_t *one;

	if (json_array_size(diff) == 0)
		fputs("nothing to change\n", f);
	json_array_foreach (diff, i, one) {
		const char *op = json_string_value(json_object_get(one, "op"));
		const char *what = json_string_value(json_object_get(one, "what"));
		const char *name = json_string_value(json_object_get(one, "name"));
		bool add = op != NULL && strcmp(op, "add") == 0;
		bool del = op != NULL && strcmp(op, "remove") == 0;
		char mark = add ? '+' : del ? '-' : '~';

		if (name == NULL || what == NULL || strcmp(name, what) == 0)
			name = "";
		fprintf(f, "%c %s%s%s", mark, what != NULL ? what : "?", name[0] != '\0' ? " " : "",
			name);
		if (add && json_object_size(json_object_get(one, "to")) > 0) {
			fputc(':', f);
			print_settings(f, json_object_get(one, "to"));
		} else if (!add && !del) {
			print_change(f, one);
		}
		fputc('\n', f);
	}
}
