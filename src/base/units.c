/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/err.h"

/* A number is digits with an optional fraction ("9.6"), then a unit from a table. It is computed in
 * integers, 128 bits wide, so that nothing is rounded that the result can hold. */

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit durations[] = {
	{"ns", 1},
	{"us", 1000},
	{"ms", 1000000},
	{"s", 1000000000},
	{"m", 60000000000},
	{"h", 3600000000000},
	{NULL, 0},
};

static const struct unit sizes[] = {
	{"", 1},
	{"B", 1},
	{"kB", 1000},
	{"MB", 1000000},
	{"GB", 1000000000},
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1ULL << 40},
	{NULL, 0},
};

static const struct unit rates[] = {
	{"bit", 1},
	{"kbit", 1000},
	{"Mbit", 1000000},
	{"Gbit", 1000000000},
	{"Tbit", 1000000000000},
	{NULL, 0},
};

enum { DIGITS_MAX = 18 }; // of the number and of its fraction, so that neither overflows 64 bits

// Reads digits at *p; -1 when there are too many. *scale becomes 10 to the number of digits.
static int digits(const char **p, uint64_t *value, uint64_t *scale) {
	const char *start = *p;

	*value = 0;
	*scale = 1;
	for (; isdigit((unsigned char)**p); (*p)++) {
		if (*p - start >= DIGITS_MAX)
			return -1;
		*value = *value * 10 + (uint64_t)(**p - '0');
		*scale *= 10;
	}
	return *p > start;
}

static int parse(const char *text, const struct unit *units, const char *what, const char *examples,
	uint64_t *out, struct err *e) {
	const char *p = text;
	uint64_t whole, fraction = 0, scale = 1, ignored;
	unsigned __int128 v;

	int n = digits(&p, &whole, &ignored);
	if (n > 0 && *p == '.') {
		p++;
		n = digits(&p, &fraction, &scale);
	}
	if (n < 0)
		return err_set(e, ERANGE,
			"'%.40s' has more than %d digits; write it with a larger unit", text,
			DIGITS_MAX);
	if (n == 0)
		return err_set(
			e, EINVAL, "'%.40s' is no %s; write it like %s", text, what, examples);
	for (; units->name != NULL && strcmp(p, units->name) != 0; units++)
		;
	if (units->name == NULL)
		return err_set(e, EINVAL,
			*p == '\0' ? "'%.40s' has no unit; write the %s like %s"
				   : "'%.40s' is no %s; write it like %s",
			text, what, examples);
	v = (unsigned __int128)whole * units->factor;
	v += (unsigned __int128)fraction * units->factor / scale;
	if (v > UINT64_MAX)
		return err_set(e, ERANGE, "'%.40s' is too large a %s for 64 bits", text, what);
	if (v == 0 && (whole != 0 || fraction != 0))
		return err_set(
			e, ERANGE, "'%.40s' is too small a %s to be told from zero", text, what);
	*out = (uint64_t)v;
	return 0;
}

int units_duration(const char *text, uint64_t *ns, struct err *e) {
	return parse(text, durations, "duration", "250us, 10ms, 5s, 3m or 1h", ns, e);
}

int units_size(const char *text, uint64_t *bytes, struct err *e) {
	return parse(text, sizes, "size", "1500, 9kB, 64KiB, 2MiB or 1GiB", bytes, e);
}

int units_rate(const char *text, uint64_t *bits, struct err *e) {
	return parse(text, rates, "rate", "9.6kbit, 100Mbit or 1Gbit", bits, e);
}
