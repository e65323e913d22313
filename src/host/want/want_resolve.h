/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_WANT_RESOLVE_H
#define WEIR_HOST_WANT_RESOLVE_H

#include "base/schema.h"
#include "host/want/want.h"

enum { AIM_NAME_MAX = WANT_NAME_MAX + 16 };

/* The line that wants something of a VF or device: of `key` there, else of the whole entry. */
const json_t *aim_mark(const struct aims *a, const struct aim *t, const char *key);

/* What no value is wrong for by itself; derives the addresses that have a prefix. Sentences of base/schema.h. */
int want_judge(struct schema *s, struct aims *a, const struct host *h);

#endif
