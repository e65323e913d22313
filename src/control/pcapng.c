/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "control/pcapng.h"

#include <stdbool.h>
#include <string.h>

enum { BLOCK_SECTION = 0x0a0d0d0a, BLOCK_INTERFACE = 1, BLOCK_STATS = 5, BLOCK_FRAME = 6 };
enum { LINK_ETHERNET = 1, NANOSECONDS = 9 };
enum { OPT_END = 0, SHB_USERAPPL = 4, IF_NAME = 2, IF_TSRESOL = 9, EPB_FLAGS = 2 };
enum { ISB_START = 2, ISB_END = 3, ISB_IFRECV = 4, ISB_IFDROP = 5 };
enum { FLAG_INBOUND = 1, FLAG_OUTBOUND = 2 };

/* A block under construction. */
struct block {
	uint8_t *buf;
	size_t len, room;
	bool full;
};

static uint8_t *take(struct block *b, size_t n) {
	size_t padded = (n + 3) & ~(size_t)3;
	uint8_t *p = b->buf + b->len;

	if (b->full || b->room - b->len < padded) {
		b->full = true;
		return NULL;
	}
	if (padded > n) // before the caller fills the rest, which may be nothing
		memset(p + padded - 4, 0, 4);
	b->len += padded;
	return p;
}

static void put(struct block *b, const void *bytes, size_t n) {
	uint8_t *p = take(b, n);

	if (p != NULL && n > 0)
		memcpy(p, bytes, n);
}

static void put32(struct block *b, uint32_t v) {
	put(b, &v, sizeof(v));
}

static void option(struct block *b, uint16_t code, const void *value, size_t n) {
	uint16_t head[2] = {code, (uint16_t)n};

	put(b, head, sizeof(head));
	put(b, value, n);
}

/* A time or a counter of 64 bits; times are written high half first. */
static void option64(struct block *b, uint16_t code, uint64_t v, bool is_time) {
	uint32_t halves[2] = {(uint32_t)(v >> 32), (uint32_t)v};

	option(b, code, is_time ? (void *)halves : (void *)&v, sizeof(v));
}

static void begin(struct block *b, uint32_t type) {
	put32(b, type);
	put32(b, 0);
}

/* Ends the options, and writes the length at both ends. */
static size_t end(struct block *b) {
	uint32_t total;

	option(b, OPT_END, NULL, 0);
	total = (uint32_t)b->len + 4;
	put32(b, total);
	if (b->full)
		return 0;
	memcpy(b->buf + 4, &total, sizeof(total));
	return total;
}

size_t pcapng_head(
	uint8_t *buf, size_t room, const char *program, const char *interface, uint32_t snaplen) {
	static const uint16_t version[2] = {1, 0}, link[2] = {LINK_ETHERNET, 0};
	static const uint8_t resolution = NANOSECONDS;
	const int64_t unknown = -1;
	struct block b = {.buf = buf, .room = room};
	size_t n, m;

	begin(&b, BLOCK_SECTION);
	put32(&b, 0x1a2b3c4d);
	put(&b, version, sizeof(version));
	put(&b, &unknown, sizeof(unknown));
	option(&b, SHB_USERAPPL, program, strlen(program));
	n = end(&b);
	if (n == 0)
		return 0;
	b = (struct block){.buf = buf + n, .room = room - n};
	begin(&b, BLOCK_INTERFACE);
	put(&b, link, sizeof(link));
	put32(&b, snaplen);
	option(&b, IF_NAME, interface, strlen(interface));
	option(&b, IF_TSRESOL, &resolution, 1);
	m = end(&b);
	return m == 0 ? 0 : n + m;
}

size_t pcapng_frame(uint8_t *buf, size_t room, const struct pcapng_frame *f, uint8_t **bytes) {
	uint32_t flags = f->dir == 0 ? FLAG_INBOUND : FLAG_OUTBOUND;
	struct block b = {.buf = buf, .room = room};

	begin(&b, BLOCK_FRAME);
	put32(&b, 0); // interface
	put32(&b, (uint32_t)(f->ns >> 32));
	put32(&b, (uint32_t)f->ns);
	put32(&b, f->cap);
	put32(&b, f->len);
	*bytes = take(&b, f->cap);
	option(&b, EPB_FLAGS, &flags, sizeof(flags));
	return end(&b);
}

size_t pcapng_stats(uint8_t *buf, size_t room, uint64_t start_ns, uint64_t end_ns, uint64_t seen,
	uint64_t lost) {
	struct block b = {.buf = buf, .room = room};

	begin(&b, BLOCK_STATS);
	put32(&b, 0); // interface
	put32(&b, (uint32_t)(end_ns >> 32));
	put32(&b, (uint32_t)end_ns);
	option64(&b, ISB_START, start_ns, true);
	option64(&b, ISB_END, end_ns, true);
	option64(&b, ISB_IFRECV, seen, false);
	option64(&b, ISB_IFDROP, lost, false);
	return end(&b);
}
