/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/report/report.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/file.h"
#include "bench/report/csv.h"
#include "bench/report/page.h"

/* Digits of a real number: two fewer than tell every double from its neighbours, so that 0.1 is 0.1. */
#define DIGITS JSON_REAL_PRECISION(15)

enum { VERSION = 1 };

/* The document inside of a <script>: everything beyond ASCII is escaped by the encoder, and with '<'
 * escaped as well no text in it can end the element or begin a comment. Outside of strings JSON has no
 * '<'. */
static void put_json(FILE *f, const json_t *doc) {
	char *text = json_dumps(doc, JSON_COMPACT | JSON_ENSURE_ASCII | DIGITS);

	for (const char *p = text; p != NULL && *p != '\0'; p++) {
		if (*p == '<')
			fputs("\\u003c", f);
		else
			fputc(*p, f);
	}
	free(text);
}

static void put_part(FILE *f, const char *name, size_t len, const json_t *doc) {
	const struct {
		const char *name, *begin, *end;
	} parts[] = {
		{"CSS", page_css, page_css_end},
		{"CHART", page_chart, page_chart_end},
		{"PLOTS", page_plots, page_plots_end},
		{"PAGE", page_js, page_js_end},
	};

	if (strncmp(name, "DOCUMENT", len) == 0)
		put_json(f, doc);
	else if (strncmp(name, "VERSION", len) == 0)
		fputs(WEIR_VERSION, f);
	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strlen(parts[i].name) == len && strncmp(parts[i].name, name, len) == 0)
			fwrite(parts[i].begin, 1, (size_t)(parts[i].end - parts[i].begin), f);
}

static void put_page(FILE *f, const json_t *doc) {
	const char *p = page_html, *at, *end;

	while ((at = strchr(p, '@')) != NULL && (end = strchr(at + 1, '@')) != NULL) {
		fwrite(p, 1, (size_t)(at - p), f);
		put_part(f, at + 1, (size_t)(end - at - 1), doc);
		p = end + 1;
	}
	fputs(p, f);
}

char *report_page(const json_t *doc, size_t *len) {
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	if (f == NULL)
		return NULL;
	put_page(f, doc);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

static int path_in(char *path, const char *dir, const char *name, struct err *e) {
	if (snprintf(path, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
		return err_set(e, ENAMETOOLONG, "%s/%s: the path is longer than %d bytes", dir,
			name, PATH_MAX - 1);
	return 0;
}

static int draft_open(struct file_draft *d, const char *dir, const char *name, struct err *e) {
	char path[PATH_MAX];
	int rc = path_in(path, dir, name, e);

	return rc < 0 ? rc : file_draft_open(d, path, e);
}

static int write_csv(const json_t *doc, const char *dir, unsigned table, struct err *e) {
	struct file_draft d;
	size_t lines;
	int rc = draft_open(&d, dir, csv_name(table), e);

	if (rc < 0)
		return rc;
	lines = csv_write(d.f, table, doc);
	rc = file_draft_close(&d, lines > 0, e);
	// A table of an earlier result in the same place says nothing about this one.
	return rc == 0 && lines == 0 ? file_remove(d.path, e) : rc;
}

int report_pages(const json_t *doc, const char *dir, struct err *e) {
	struct file_draft d = {0};
	int rc = 0;

	for (unsigned i = 0; i < CSV_TABLES && rc == 0; i++)
		rc = write_csv(doc, dir, i, e);
	if (rc == 0)
		rc = draft_open(&d, dir, "index.html", e);
	if (rc < 0)
		return rc;
	put_page(d.f, doc);
	return file_draft_close(&d, true, e);
}

static int check(const json_t *doc, const char *path, struct err *e) {
	const char *schema = json_string_value(json_object_get(doc, "schema"));
	const json_t *version = json_object_get(doc, "version");

	if (schema == NULL || strcmp(schema, "weir-bench") != 0)
		return err_set(e, EINVAL,
			"%s: no result of weir bench: its \"schema\" is not \"weir-bench\"", path);
	if (!json_is_integer(version) || json_integer_value(version) != VERSION)
		return err_set(e, EINVAL,
			"%s: a result in version %lld of the schema; this weir reads version %d",
			path, (long long)json_integer_value(version), VERSION);
	return 0;
}

/* A byte-order mark is no part of JSON, but who reads may pass over one (RFC 8259, 8.1). 0xef begins no
 * JSON text: when it is put back, the parser refuses it. */
static void skip_mark(FILE *f) {
	int c = getc(f);

	if (c != EOF && (c != 0xef || getc(f) != 0xbb || getc(f) != 0xbf))
		ungetc(c, f);
}

int report_load(const char *path, json_t **doc, struct err *e) {
	char inside[PATH_MAX];
	json_error_t why;
	struct stat st;
	FILE *f;
	int rc;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		rc = path_in(inside, path, "result.json", e);
		if (rc < 0)
			return rc;
		path = inside;
	}
	f = file_stream(path, e);
	if (f == NULL)
		return -EINVAL;
	skip_mark(f);
	*doc = json_loadf(f, JSON_REJECT_DUPLICATES, &why);
	fclose(f);
	if (*doc == NULL)
		return err_set(
			e, EINVAL, "%s:%d: no result of weir bench: %s", path, why.line, why.text);
	rc = check(*doc, path, e);
	if (rc < 0) {
		json_decref(*doc);
		*doc = NULL;
	}
	return rc;
}
