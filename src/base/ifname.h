/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_IFNAME_H
#define WEIR_BASE_IFNAME_H

#include <stdbool.h>

/* What a network interface may be called, in words that fit behind "a name of"; it agrees with
 * ifname_valid. */
#define IFNAME_RULE                                                                               \
	"1 to 15 bytes without blanks (byte a0, as in the letter \u00e0, is one to the kernel), " \
	"control characters, '/', ':' and '%', and not . or .."

/* As the kernel has it (dev_valid_name in net/core/dev.c), letters outside of ASCII included; without
 * '%', for which it would put in a number of its own, and without what upsets terminals. */
bool ifname_valid(const char *name);

#endif
