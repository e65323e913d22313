/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_CSV_H
#define WEIR_BENCH_CSV_H

#include <stdio.h>

#include <jansson.h>

/* A result document as tables for spreadsheets and scripts: RFC 4180 (CRLF at the end of lines, quotes
 * where needed), UTF-8, a header line. A table begins with the entry's name, unit and such and one column
 * "label.KEY" for each label that an entry of its kind has; what is not there is empty. */

enum { CSV_TABLES = 8 };

/* "figures.csv", "latencies.csv", "latency_buckets.csv", "endpoints.csv", "cpu.csv",
 * "cpu_threads.csv", "intervals.csv", "searches.csv". `table` is 0..CSV_TABLES - 1. */
const char *csv_name(unsigned table);

/* Writes one of them; the number of lines below the header. Nothing is written when that is 0. */
size_t csv_write(FILE *f, unsigned table, const json_t *doc);

/* One field, quoted when it has to be. A text that a spreadsheet would take for a formula (it begins with
 * = + - @, a tab or CR, and is no number) gets an apostrophe in front. So does a list, which is one field with
 * blanks between its values, when the first is negative. */
void csv_field(FILE *f, const char *text);

#endif
