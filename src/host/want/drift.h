/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_DRIFT_H
#define WEIR_HOST_DRIFT_H

#include <stddef.h>

#include <jansson.h>

#include "host/want/plan.h"

/* Why something is no longer as it was applied. What tells it is remembered at the end of each apply:
 * STATE/applied/host.json
 *
 *   {"file": ..., "time": ..., "boot": ..., "links": {SLOT: {"index": 7, "flaps": 3}, ...}}
 *
 * An interface's index changes when its driver is bound anew, its count of carrier changes when its link
 * flaps, the id of the boot with a restart. */

/* 0 or a negative errno with its sentence. */
int drift_remember(const struct aims *a, const struct host *h, struct err *e);

/* A new reference; NULL: nothing was ever applied here. */
json_t *drift_memory(const struct host *h);

/* A half sentence such as "the host was started anew since it was applied"; "" when it cannot be told.
 * Returns buf. */
char *drift_why(
	const json_t *memory, const struct host *h, const struct drift *d, char *buf, size_t size);

#endif
