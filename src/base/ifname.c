/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/ifname.h"

#include <net/if.h>
#include <string.h>

/* The kernel's isspace goes by Latin-1, where a0 is a blank that does not break lines. */
enum { BLANK = ' ', DELETE = 0x7f, LATIN1_BLANK = 0xa0 };

bool ifname_valid(const char *name) {
	const size_t n = strlen(name);

	for (size_t i = 0; i < n; i++) {
		const unsigned char c = (unsigned char)name[i];

		if (c <= BLANK || c == DELETE || c == LATIN1_BLANK || strchr("/:%", c) != NULL)
			return false;
	}
	return n > 0 && n < IFNAMSIZ && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}
