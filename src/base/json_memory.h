/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_JSON_MEMORY_H
#define WEIR_BASE_JSON_MEMORY_H

#include <stdbool.h>

/* Whether a JSON tree is whole. Jansson reports a failed allocation by the return value of each call, and a
 * tree is built of hundreds of them; so its allocator notes the failure, and who is about to act on a tree
 * or to send one asks once. A tree that lost a member must never pass for one that never had it: applied,
 * it would remove a port. */

/* From here on jansson's allocations are watched; before its first use in the process. */
void json_memory_watch(void);
/* A new piece of work of this thread begins: nothing is lost yet. */
void json_memory_begin(void);
/* True when an allocation of jansson failed in this thread since json_memory_begin. */
bool json_memory_lost(void);

#endif
