/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/mac.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

int mac_parse(const char *text, uint64_t *mac) {
	uint64_t v = 0;

	if (strlen(text) != MAC_TEXT_MAX - 1)
		return -EINVAL;
	for (int i = 0; i < 6; i++) {
		const char *p = text + 3 * i;
		unsigned octet;

		if (!isxdigit((unsigned char)p[0]) || !isxdigit((unsigned char)p[1]))
			return -EINVAL;
		if (i < 5 && (p[2] != text[2] || (p[2] != ':' && p[2] != '-')))
			return -EINVAL;
		sscanf(p, "%2x", &octet);
		v |= (uint64_t)octet << (8 * i);
	}
	*mac = v;
	return 0;
}

char *mac_format(uint64_t mac, char *buf) {
	const uint8_t *o = (const uint8_t *)&mac;

	snprintf(buf, MAC_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", o[0], o[1], o[2], o[3], o[4],
		o[5]);
	return buf;
}
