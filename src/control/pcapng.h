/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_CONTROL_PCAPNG_H
#define WEIR_CONTROL_PCAPNG_H

#include <stddef.h>
#include <stdint.h>

/* Blocks of a pcapng file (IETF draft-ietf-opsawg-pcapng, sections 4.1 to 4.6) with one Ethernet
 * interface and nanosecond time stamps, in the byte order of this machine. Each function writes one
 * block to `buf` and returns its length, or 0 when `room` is too small. */

enum {
	PCAPNG_HEAD_MAX = 512, /* section header and interface description together */
	PCAPNG_FRAME_OVER = 48, /* an enhanced packet block beyond its frame */
	PCAPNG_STATS_MAX = 80,
};

struct pcapng_frame {
	uint64_t ns; /* CLOCK_REALTIME */
	uint32_t len; /* of the frame on its way; cap bytes of it are in the file */
	uint32_t cap;
	int dir; /* 0: into the switch, 1: out of it */
};

/* Section header and description of interface 0. snaplen 0: no limit. */
size_t pcapng_head(
	uint8_t *buf, size_t room, const char *program, const char *interface, uint32_t snaplen);
/* An enhanced packet block; the caller puts the frame's bytes at *bytes (f->cap of them), which
 * points into buf; everything round them is written already. */
size_t pcapng_frame(uint8_t *buf, size_t room, const struct pcapng_frame *f, uint8_t **bytes);
/* Interface statistics: frames seen and frames lost between two times. */
size_t pcapng_stats(uint8_t *buf, size_t room, uint64_t start_ns, uint64_t end_ns, uint64_t seen,
	uint64_t lost);

#endif
