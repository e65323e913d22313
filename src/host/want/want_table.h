/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_WANT_TABLE_H
#define WEIR_HOST_WANT_TABLE_H

#include "base/schema.h"

/* The keys of a desired state: want_table.c; their types of values: want_values.c. */

extern const struct field want_fields[], want_pf_fields[], want_pool_fields[], want_single_fields[],
	want_device_fields[], want_defaults_fields[]; /* end with key NULL */

/* on, off, true, false; a rate with its unit in Mbit/s; "0-3,5" or all; a word or a list of them; words that
 * a match is made of, which may be as long as names of interfaces; three to five octets; the name of something that others name (what fits into WANT_NAME_MAX). */
extern const struct value_type want_switch, want_rate, want_range, want_words, want_matches,
	want_prefix, want_label, want_proto;

#endif
