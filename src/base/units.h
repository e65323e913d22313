/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_UNITS_H
#define WEIR_BASE_UNITS_H

#include <stdint.h>

struct err;

/* Numbers with units as users write them. All return 0, or -EINVAL / -ERANGE with a sentence. */

/* "250us", "10ms", "5s", "3m", "1h" to nanoseconds. A bare number is refused. */
int units_duration(const char *text, uint64_t *ns, struct err *e);

/* "64", "64KiB", "2MiB", "1GiB", "9kB" to bytes. */
int units_size(const char *text, uint64_t *bytes, struct err *e);

/* "1Gbit", "100Mbit", "9.6kbit" to bit/s. */
int units_rate(const char *text, uint64_t *bits, struct err *e);

#endif
