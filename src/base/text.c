/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the UTF-8 sequence at p, 0: it is none (RFC 3629: no surrogates, no longer form than needed). */
static size_t sequence(const unsigned char *p, uint32_t *code) {
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

	if (n == 0 || p[0] > 0xf4)
		return 0;
	*code = n == 1 ? p[0] : p[0] & (0xffU >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (p[i] & 0x3f);
	}
	return *code >= least[n] && *code <= 0x10ffff && (*code < 0xd800 || *code > 0xdfff) ? n : 0;
}

static bool obeyed(uint32_t c) {
	return c < ' ' || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

void text_clean(char *text) {
	unsigned char *from = (unsigned char *)text, *to = from;

	while (*from != '\0') {
		uint32_t code = 0;
		size_t n = sequence(from, &code);

		if (n == 0 || obeyed(code)) {
			*to++ = '?';
			from += n == 0 ? 1 : n;
		} else {
			while (n-- > 0)
				*to++ = *from++;
		}
	}
	*to = '\0';
}
