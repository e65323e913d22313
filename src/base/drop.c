/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/drop.h"

#define X(sym, name, text) [DROP_##sym] = name,
static const char *const names[DROP_COUNT] = {[DROP_NONE] = "none", DROP_REASONS(X)};
#undef X
#define X(sym, name, text) [DROP_##sym] = text,
static const char *const texts[DROP_COUNT] = {[DROP_NONE] = "delivered", DROP_REASONS(X)};
#undef X

const char *drop_name(enum drop reason) {
	return (unsigned)reason < DROP_COUNT ? names[reason] : "unknown";
}

const char *drop_text(enum drop reason) {
	return (unsigned)reason < DROP_COUNT ? texts[reason] : "unknown";
}
