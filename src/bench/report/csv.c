/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/report/csv.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bench/hist.h"

/* A table has a line an entry, or, where `each` names a member of it, a line an element of that: the
 * elements of an array, or the members of an object. Columns are dotted paths into the entry; those of
 * an element come after the labels: paths into it when it is an object, else names for its elements
 * (ROW) or for key and value (PAIRS). */

enum shape {
	ENTRY, /* a line an entry */
	OBJECTS, /* `each` is an array of objects */
	ROWS, /* of arrays */
	PAIRS, /* an object of numbers */
	COLUMNS, /* `each` and the other member are arrays of the same length */
};

enum { FIELDS_MAX = 32 }; /* with the NULL behind the last */

struct table {
	const char *file, *kind;
	const char *fields[FIELDS_MAX];
	enum shape shape;
	const char *each;
	const char *of_each[FIELDS_MAX];
	const char *other; /* COLUMNS: the second array */
};

static const struct table tables[CSV_TABLES] = {
	{"figures.csv", "figures",
		{"name", "unit", "better", "median", "mean", "min", "max", "sd", "ci95", "values"},
		ENTRY, NULL, {NULL}, NULL},
	{"latencies.csv", "latencies",
		{"name", "mode", "count", "min", "mean", "p50", "p90", "p99", "p99.9", "p99.99",
			"max", "error", "lost", "timeout", "low.p50", "high.p50", "low.p90",
			"high.p90", "low.p99", "high.p99", "low.p99.9", "high.p99.9", "low.p99.99",
			"high.p99.99"},
		ENTRY, NULL, {NULL}, NULL},
	{"latency_buckets.csv", "latencies", {"name", "mode"}, ROWS, "buckets",
		{"from_ns", "count"}, NULL},
	{"endpoints.csv", "endpoints", {"name", "unit", "skew", "cv", "jain"}, PAIRS, "values",
		{"endpoint", "value"}, NULL},
	{"cpu.csv", "cpu",
		{"seconds", "cpus", "busy", "parts.user", "parts.nice", "parts.system", "parts.irq",
			"parts.softirq", "parts.steal", "parts.guest", "busiest.cpu",
			"busiest.busy", "per_gbit", "per_mframes"},
		ENTRY, NULL, {NULL}, NULL},
	{"cpu_threads.csv", "cpu", {"seconds"}, OBJECTS, "threads",
		{"role", "name", "pid", "tid", "busy", "waited"}, NULL},
	{"intervals.csv", "intervals", {"name", "unit"}, COLUMNS, "times", {"time", "value"},
		"values"},
	{"searches.csv", "searches",
		{"name", "unit", "result", "lower", "upper", "conditional", "goal.preset",
			"goal.changed", "goal.loss_ratio", "goal.exceed_ratio",
			"goal.initial_trial_duration", "goal.final_trial_duration",
			"goal.duration_sum", "goal.width", "goal.load", "goal.result"},
		OBJECTS, "trials",
		{"rate", "seconds", "offered", "sent", "received", "loss", "verdict"}, NULL},
};

const char *csv_name(unsigned table) {
	return tables[table].file;
}

/* A decimal number, perhaps with a sign: no formula. */
static bool is_number(const char *text) {
	char *end;

	if (text[strspn(text, "0123456789.eE+-")] != '\0')
		return false;
	strtod(text, &end);
	return end != text && *end == '\0';
}

/* Would a spreadsheet calculate it? (OWASP, CSV Injection) */
static bool is_formula(const char *text) {
	return text[0] != '\0' && strchr("=+-@\t\r", text[0]) != NULL && !is_number(text);
}

void csv_field(FILE *f, const char *text) {
	size_t n = strlen(text);
	bool formula = is_formula(text);

	// Blanks at the ends are part of a field, but not every reader knows.
	if (n == 0 || (!formula && strpbrk(text, ",\"\r\n") == NULL && text[0] != ' ' &&
			      text[n - 1] != ' ')) {
		fputs(text, f);
		return;
	}
	fputs(formula ? "\"'" : "\"", f);
	for (; *text != '\0'; text++) {
		if (*text == '"')
			fputc('"', f);
		fputc(*text, f);
	}
	fputc('"', f);
}

/* Is it above that, in the unit of its column? "above" is of all that is null in a figure, "timeout" of the
 * quantiles that are named. NULL: no. */
static const json_t *known_above(const json_t *entry, const char *name) {
	const json_t *above = json_object_get(entry, "above");

	if (above != NULL && json_is_null(json_object_get(entry, name)) &&
		strcmp(name, "mean") != 0 && strcmp(name, "sd") != 0 && strcmp(name, "ci95") != 0)
		return above;
	return hist_json_beyond(entry, name) ? json_object_get(entry, "timeout") : NULL;
}

/* A value as a text, unquoted; those of a list with blanks between. */
static void put_text(FILE *f, const json_t *v) {
	size_t i;
	json_t *one;

	if (json_is_string(v))
		fputs(json_string_value(v), f);
	else if (json_is_integer(v))
		fprintf(f, "%lld", (long long)json_integer_value(v));
	else if (json_is_real(v))
		fprintf(f, "%.15g", json_real_value(v));
	else if (json_is_boolean(v))
		fputs(json_is_true(v) ? "true" : "false", f);
	json_array_foreach (v, i, one) {
		if (i > 0)
			fputc(' ', f);
		put_text(f, one);
	}
}

/* One cell. It is judged as a whole: "-1 -2" is of two numbers, and a formula. */
static void put_value(FILE *f, const json_t *v) {
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (to == NULL)
		return;
	put_text(to, v);
	fclose(to);
	if (text != NULL)
		csv_field(f, text);
	free(text);
}

/* A member by its name, or by two names with a dot between: "p99.9" is a name, "parts.user" a path. */
static const json_t *at(const json_t *entry, const char *path) {
	const json_t *v = json_object_get(entry, path);
	const char *dot = strchr(path, '.');

	if (v == NULL && dot != NULL)
		v = json_object_get(json_object_getn(entry, path, (size_t)(dot - path)), dot + 1);
	return v;
}

/* All keys that labels of a kind have, in the order in which they are met. */
static json_t *label_keys(const json_t *entries) {
	json_t *keys = json_object(), *entry, *v;
	const char *key;
	size_t i;

	json_array_foreach (entries, i, entry)
		json_object_foreach (json_object_get(entry, "labels"), key, v)
			json_object_set_new(keys, key, json_true());
	return keys;
}

struct line {
	FILE *f;
	const struct table *t;
	json_t *keys;
	size_t n;
};

static void put_header(const struct line *l) {
	const char *key;
	json_t *v;
	int i;

	for (i = 0; l->t->fields[i] != NULL; i++)
		fprintf(l->f, "%s%s", i > 0 ? "," : "", l->t->fields[i]);
	json_object_foreach (l->keys, key, v) {
		char text[512];

		snprintf(text, sizeof(text), "label.%s", key);
		fputs(i++ > 0 ? "," : "", l->f);
		csv_field(l->f, text);
	}
	for (int c = 0; l->t->of_each[c] != NULL; c++)
		fprintf(l->f, ",%s", l->t->of_each[c]);
	fputs("\r\n", l->f);
}

/* What a line has of its entry; the header goes before the first. */
static void begin(struct line *l, const json_t *entry) {
	const json_t *labels = json_object_get(entry, "labels");
	const char *key;
	json_t *v;
	int i;

	if (l->n++ == 0)
		put_header(l);
	for (i = 0; l->t->fields[i] != NULL; i++) {
		const json_t *above = known_above(entry, l->t->fields[i]);

		fputs(i > 0 ? "," : "", l->f);
		fputs(above != NULL ? ">" : "", l->f);
		put_value(l->f, above != NULL ? above : at(entry, l->t->fields[i]));
	}
	json_object_foreach (l->keys, key, v) {
		fputs(i++ > 0 ? "," : "", l->f);
		put_value(l->f, json_object_get(labels, key));
	}
}

static void put_two(struct line *l, const json_t *entry, const char *key, const json_t *first,
	const json_t *second) {
	begin(l, entry);
	fputc(',', l->f);
	if (key != NULL)
		csv_field(l->f, key);
	else
		put_value(l->f, first);
	fputc(',', l->f);
	put_value(l->f, second);
	fputs("\r\n", l->f);
}

static void put_object(struct line *l, const json_t *entry, const json_t *element) {
	begin(l, entry);
	for (int c = 0; l->t->of_each[c] != NULL; c++) {
		fputc(',', l->f);
		put_value(l->f, at(element, l->t->of_each[c]));
	}
	fputs("\r\n", l->f);
}

static void put_entry(struct line *l, const json_t *entry) {
	json_t *each = l->t->each != NULL ? json_object_get(entry, l->t->each) : NULL;
	const char *key;
	json_t *v;
	size_t i;

	switch (l->t->shape) {
	case ENTRY:
		begin(l, entry);
		fputs("\r\n", l->f);
		break;
	case PAIRS:
		json_object_foreach (each, key, v)
			put_two(l, entry, key, NULL, v);
		break;
	case OBJECTS:
		json_array_foreach (each, i, v)
			put_object(l, entry, v);
		break;
	case ROWS:
		json_array_foreach (each, i, v)
			put_two(l, entry, NULL, json_array_get(v, 0), json_array_get(v, 1));
		break;
	case COLUMNS:
		json_array_foreach (each, i, v)
			put_two(l, entry, NULL, v,
				json_array_get(json_object_get(entry, l->t->other), i));
		break;
	}
}

size_t csv_write(FILE *f, unsigned table, const json_t *doc) {
	const json_t *entries = json_object_get(doc, tables[table].kind);
	struct line l = {.f = f, .t = &tables[table], .keys = label_keys(entries)};
	json_t *entry;
	size_t i;

	json_array_foreach (entries, i, entry)
		put_entry(&l, entry);
	json_decref(l.keys);
	return l.n;
}
