/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_SAY_H
#define WEIR_TESTS_SAY_H

#include "front.h"

/* Words of a liar: single messages, as they are or with small payloads. */

static inline void header(struct front *f, uint32_t request, uint32_t flags, uint32_t size) {
	uint32_t h[3] = {request, flags, size};

	front_raw(f, h, sizeof(h), NULL, 0);
}

static inline void say(struct front *f, uint32_t request, uint64_t value) {
	struct front_message m = {.request = request, .size = 8, .u64 = value};

	front_message(f, &m, NULL, 0);
}

static inline void say_ring(struct front *f, uint32_t request, uint32_t ring, uint32_t num) {
	say(f, request, (uint64_t)num << 32 | ring);
}

#endif
