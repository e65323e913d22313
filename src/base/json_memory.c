/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/json_memory.h"

#include <stdlib.h>

#include <jansson.h>

static _Thread_local bool json_lost;

static void *json_allocate(size_t size) {
	void *p = malloc(size);

	json_lost |= p == NULL;
	return p;
}

void json_memory_watch(void) {
	json_set_alloc_funcs(json_allocate, free);
}

void json_memory_begin(void) {
	json_lost = false;
}

bool json_memory_lost(void) {
	return json_lost;
}
