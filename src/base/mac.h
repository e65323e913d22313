/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_MAC_H
#define WEIR_BASE_MAC_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* A MAC address as a number: the first octet on the wire is the lowest byte (how a little-endian
 * load of six bytes reads it). Zero stands for "none". */

#define MAC_TEXT_MAX 18 /* aa:bb:cc:dd:ee:ff and the NUL */

static inline uint64_t mac_load(const uint8_t *p) {
	uint32_t lo;
	uint16_t hi;
	memcpy(&lo, p, sizeof(lo));
	memcpy(&hi, p + 4, sizeof(hi));
	return (uint64_t)hi << 32 | lo;
}

static inline void mac_store(uint8_t *p, uint64_t mac) {
	memcpy(p, &mac, 6);
}

/* Group bit of the first octet: multicast and broadcast. */
static inline bool mac_is_group(uint64_t mac) {
	return mac & 1;
}

/* "aa:bb:cc:dd:ee:ff" (colons or dashes) to a number; 0 or -EINVAL. */
int mac_parse(const char *text, uint64_t *mac);

/* Writes the text form into `buf` (at least MAC_TEXT_MAX bytes) and returns it. */
char *mac_format(uint64_t mac, char *buf);

#endif
