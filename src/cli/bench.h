/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_CLI_BENCH_H
#define WEIR_CLI_BENCH_H

#include <stdio.h>

#include "bench/bench.h"
#include "cli/cli.h"

/* `weir bench`: what its instruments share on the command line and on the terminal. */

/* What there is to dispatch to; the command's own is in bench.c, tests bring theirs. */
struct bench_face {
	const struct instrument *const *instruments; /* ends with NULL */
	const struct command *const *tools; /* the same; the name of a tool is "bench NAME" */
	json_t *(*conditions)(void);
};

/* Runs the instrument or tool that argv names; argv[0] is "bench". For an instrument: takes the options
 * that all of them have, prints the document or writes it. An exit status. */
int bench_command(const struct command *c, const struct bench_face *face, int argc, char **argv);

/* The document as tables: figures, latencies, endpoints, cpu, then what a reader must know. */
void bench_table(FILE *f, const json_t *doc);
/* The same of two results compared (bench/report/compare.h). */
void bench_compared(FILE *f, const json_t *doc);

/* Parts of both. The labels that all figures, latencies and endpoints have, with the same value; the
 * caller's. NULL: there are none of either. */
json_t *bench_common_labels(const json_t *doc);
/* "mss=100, path=veth": the labels, but for those in `known`, which are told once for all; the caller's. */
json_t *bench_labels_text(const json_t *labels, const json_t *known);
/* A line "BEFORE: TEXT". The document may come from a file: it is cleaned like the cells of a table. */
void bench_sentence(FILE *f, const char *before, const json_t *v);

#endif
