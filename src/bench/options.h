/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_OPTIONS_H
#define WEIR_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct err;

/* The options an instrument takes beside those of struct bench, as a table. `--NAME VALUE` and
 * `--NAME=VALUE` both work; of an option that is given several times the last value counts; nothing after
 * "--" is an option. */
enum option_kind {
	OPTION_FLAG, /* no value; bool */
	OPTION_COUNT, /* a number; uint64_t */
	OPTION_SIZE, /* base/units.h; uint64_t bytes */
	OPTION_RATE, /* uint64_t bit/s */
	OPTION_DURATION, /* uint64_t ns */
	OPTION_TEXT /* const char *, into argv */
};

struct option_spec {
	const char *name; /* without dashes */
	enum option_kind kind;
	void *to; /* what the kind says; left alone when the option is not given */
	uint64_t min, max; /* of numbers, both inclusive */
};

/* Takes what the table (ended by a NULL name) knows out of argv; argv[0] stays. 0, or -EINVAL or
 * -ERANGE with a sentence: a value missing, outside its range, or an option that nobody knows. */
int options_take(const struct option_spec *table, int *argc, char **argv, struct err *e);

#endif
