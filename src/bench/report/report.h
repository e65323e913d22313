/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_REPORT_H
#define WEIR_BENCH_REPORT_H

#include <jansson.h>

struct err;

/* What becomes of a result document (result.h) on disk: a directory with
 *   index.html     one page with tables and plots; everything it needs is in it, no network
 *   figures.csv, latencies.csv, ...    one for each kind of entry that is there (csv.h)
 * A file appears under its name only when it is whole. */

/* Writes index.html and the tables beside result.json (result_write) into a directory that is there; what
 * an earlier result left of them goes. 0, or a negative errno with a sentence that names the file. */
int report_pages(const json_t *doc, const char *dir, struct err *e);

/* Reads a document: `path` is a file, or a directory with a result.json. 0 and the caller's reference in
 * *doc; -ENOENT and other errno when it cannot be read, -EINVAL when it is no result of weir bench or of
 * a version this weir does not know. */
int report_load(const char *path, json_t **doc, struct err *e);

/* The page as text, `*len` bytes and a NUL; free() it. NULL: no memory. */
char *report_page(const json_t *doc, size_t *len);

#endif
