/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_STORE_H
#define WEIR_HOST_STORE_H

#include <jansson.h>

/* What weir itself remembers of a function between two commands, a JSON object a file:
 *
 *   STATE/owners/SLOT.json   who has a VF, and what it was before (owner.h)
 *   STATE/proved/SLOT.json   what `weir vf prove` found out about a PF
 *
 * Files are replaced whole (written beside, synced, renamed). */

struct err;

#define STORE_DEFAULT "/var/lib/weir/host"

/* `state` NULL: the default folder. */
const char *store_folder(const char *state);

/* A new reference; NULL when nothing is remembered, or with a sentence when the file cannot be used (`e`
 * then has text; it is emptied otherwise). */
json_t *store_get(const char *state, const char *kind, const char *slot, struct err *e);
/* NULL as `v` forgets it. Makes the folders. 0 or a negative errno with its sentence. */
int store_put(
	const char *state, const char *kind, const char *slot, const json_t *v, struct err *e);

#endif
