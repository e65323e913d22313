/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_FRAME_WIRE_H
#define WEIR_FRAME_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ip.h>

/* Numbers as they stand in a frame: big-endian, at any alignment. */

static inline uint16_t be16_get(const uint8_t *p) {
	uint16_t v;
	memcpy(&v, p, sizeof(v));
	return rte_be_to_cpu_16(v);
}

static inline uint32_t be32_get(const uint8_t *p) {
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return rte_be_to_cpu_32(v);
}

static inline void be16_put(uint8_t *p, uint16_t v) {
	v = rte_cpu_to_be_16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void be32_put(uint8_t *p, uint32_t v) {
	v = rte_cpu_to_be_32(v);
	memcpy(p, &v, sizeof(v));
}

/* The ones' complement sum (RFC 1071) of a run of bytes that comes in pieces. A piece that starts
 * at an odd offset of the run counts with its bytes swapped, so pieces may have any length. The sum
 * is that of 16-bit words as they lie in memory: store what csum_value gives with memcpy. */
struct csum {
	uint64_t sum;
	bool odd;
};

/* len: at most 128 KiB, what rte_raw_cksum can add without overflow. */
static inline void csum_add(struct csum *c, const void *p, uint32_t len) {
	uint16_t s = rte_raw_cksum(p, len);
	c->sum += c->odd ? rte_bswap16(s) : s;
	c->odd ^= len & 1;
}

static inline uint16_t csum_fold(uint64_t sum) {
	while (sum >> 16)
		sum = (sum >> 16) + (sum & 0xffff);
	return sum;
}

/* The checksum to be stored. */
static inline uint16_t csum_value(const struct csum *c) {
	return ~csum_fold(c->sum);
}

#endif
