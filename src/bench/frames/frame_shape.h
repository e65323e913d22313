/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_FRAME_SHAPE_H
#define WEIR_BENCH_FRAME_SHAPE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* What the generator's frames look like: UDP in IPv4 with both checksums right, addresses of RFC 2544's
 * benchmarking networks (198.18.0.0/15), locally administered MACs, port 9 (discard), zeros, and in the
 * first 18 bytes of the payload the tag, which so fits the shortest frame. */

struct err;

enum {
	FRAME_MIX = 3, /* sizes in a mixture */
	FRAME_PATTERN = 12, /* frames after which a mixture begins anew */
	FRAME_FLOWS_MAX = 1 << 20,
	FRAME_MACS_MAX = 1 << 16,
	FRAME_HEAD = 42, /* Ethernet, IPv4, UDP */
	FRAME_LEARN = 0xff, /* stream of the frames that only show a switch where a MAC is */
};

struct frame_shape {
	unsigned size[FRAME_MIX], sizes; /* without FCS; FRAME_MIN..FRAME_MAX */
	uint8_t pattern[FRAME_PATTERN];
	unsigned period; /* of the pattern, 1 for a single size */
	unsigned flows; /* a direction; 1..FRAME_FLOWS_MAX */
	unsigned macs; /* a side; 1..FRAME_MACS_MAX */
	uint16_t who; /* in every MAC, so that two runs on one switch differ */
	uint8_t mac[2][6]; /* with one MAC a side: which; all zero: made of `who` */
};

/* "60", or "imix": seven of 60 bytes, four of 566, one of 1514, which with FCS are the usual 64, 570
 * and 1518. Fills the sizes. */
int frame_shape_size(struct frame_shape *s, const char *text, struct err *e);
unsigned frame_shape_longest(const struct frame_shape *s);
/* Bytes of a frame on average, without FCS. */
double frame_shape_mean(const struct frame_shape *s);

/* Frames/s of an Ethernet link of so many bit/s: each has FCS, preamble and gap beside its own bytes. */
static inline double frame_theoretical(double link, double size) {
	return link / ((size + 4 + 8 + 12) * 8);
}

struct frame_tag {
	uint32_t magic; /* of the trial */
	uint32_t seq; /* of the stream, modulo 2^32 */
	uint32_t
		skipped; /* frames of the stream that were due before it and given up, modulo 2^32 */
	uint8_t stream;
	uint8_t time_high; /* tick_now() when it was handed to the driver: its lower 40 bits */
	uint32_t time_low;
} __attribute__((packed));

#define FRAME_TIME_MASK ((UINT64_C(1) << 40) - 1) /* minutes, at any clock there is */

static inline void frame_tag_time(struct frame_tag *tag, uint64_t ticks) {
	tag->time_low = (uint32_t)ticks;
	tag->time_high = (uint8_t)(ticks >> 32);
}

/* How many ticks ago it was handed over. Counters of two CPUs may differ: then it may seem to arrive before it
 * was sent, which is negative. */
static inline int64_t frame_tag_age(const struct frame_tag *tag, uint64_t now) {
	uint64_t age = now - ((uint64_t)tag->time_high << 32 | tag->time_low);

	age &= FRAME_TIME_MASK;
	return (int64_t)(age <= FRAME_TIME_MASK / 2 ? age : age | ~FRAME_TIME_MASK);
}

/* A frame's first bytes, but for sequence number, time, and what was skipped. */
struct frame_template {
	uint8_t head[FRAME_HEAD];
	uint16_t len; /* of the frame */
	uint32_t sum; /* of what the UDP checksum covers, seq, skipped, time and checksum left
		     out */
};

/* The template of one flow in the direction 0 (A to B) or 1, of size s->size[size]. */
void frame_template_make(struct frame_template *t, const struct frame_shape *s, unsigned direction,
	unsigned flow, unsigned size, uint32_t magic, uint8_t stream);

/* The part of the checksum that is the time's and that of what was skipped. */
static inline uint32_t frame_tag_sum(const struct frame_tag *tag) {
	const uint8_t beside_stream[2] = {0, tag->time_high};
	uint16_t high;

	memcpy(&high, beside_stream, sizeof(high));
	return high + (tag->time_low & 0xffff) + (tag->time_low >> 16) + (tag->skipped & 0xffff) +
	       (tag->skipped >> 16);
}

/* Writes the first FRAME_MIN bytes of a frame. tag_sum is frame_tag_sum() of the tag. */
static inline void frame_stamp(uint8_t *data, const struct frame_template *t,
	const struct frame_tag *tag, uint32_t tag_sum) {
	uint32_t sum = t->sum + tag_sum + (tag->seq & 0xffff) + (tag->seq >> 16);
	uint16_t check;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	check = (uint16_t)~sum;
	if (check == 0)
		check = 0xffff; // RFC 768: zero would say that there is none
	memcpy(data, t->head, FRAME_HEAD);
	memcpy(data + FRAME_HEAD - 2, &check, 2);
	memcpy(data + FRAME_HEAD, tag, sizeof(*tag));
}

#endif
