/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_UNIT_FORWARD_BED_H
#define WEIR_TESTS_UNIT_FORWARD_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mac.h"
#include "forward/fdb.h"
#include "forward/forward.h"

/* The switch of these tests. Networks: blue (VLAN 100), green (VLAN 200), grey (no VLAN), red (VLAN
 * 300, nobody in it but one port). */
enum { BLUE, GREEN, GREY, RED, NETS };

enum {
	BLUE1, /* access blue */
	BLUE2, /* access blue */
	PINNED, /* access blue, source MAC 52:54:00:00:00:99 only */
	BLUE_ISO1, /* access blue, isolated */
	BLUE_ISO2, /* access blue, isolated */
	GREEN1, /* access green */
	TRUNK, /* trunk blue, green, no native */
	TRUNK_BLUE, /* trunk blue, green, native blue */
	TRUNK_GREY, /* trunk green, native grey */
	GREY1, /* access grey */
	LONELY, /* access red */
	ABSENT, /* never set */
	PORTS,
};

enum { NOW = 100, UNTAGGED = -1 };

#define A         0x0a0000005452ULL /* 52:54:00:00:00:0a */
#define B         0x0b0000005452ULL
#define C         0x0c0000005452ULL
#define PIN       0x990000005452ULL
#define BROADCAST 0xffffffffffffULL
#define GROUP     0x0100005e0001ULL /* 01:00:5e:00:00:01 */

static struct fdb *fdb;
static struct fwd *fw;
static struct batch batch;

static inline int set_up(void **state) {
	static const uint16_t both[] = {BLUE, GREEN}, green[] = {GREEN};
	int r = 0;

	fdb = fdb_new(1024, 300);
	fw = fwd_new(fdb, PORTS, NETS);
	if (fdb == NULL || fw == NULL)
		return 1;
	r |= fwd_set_net(fw, BLUE, 100) | fwd_set_net(fw, GREEN, 200) | fwd_set_net(fw, GREY, 0) |
	     fwd_set_net(fw, RED, 300);
	r |= fwd_set_access(fw, BLUE1, BLUE, false, 0) | fwd_set_access(fw, BLUE2, BLUE, false, 0) |
	     fwd_set_access(fw, PINNED, BLUE, false, PIN) |
	     fwd_set_access(fw, BLUE_ISO1, BLUE, true, 0) |
	     fwd_set_access(fw, BLUE_ISO2, BLUE, true, 0) |
	     fwd_set_access(fw, GREEN1, GREEN, false, 0) |
	     fwd_set_access(fw, GREY1, GREY, false, 0) | fwd_set_access(fw, LONELY, RED, false, 0);
	r |= fwd_set_trunk(fw, TRUNK, both, 2, NET_NONE, false, 0) |
	     fwd_set_trunk(fw, TRUNK_BLUE, both, 2, BLUE, false, 0) |
	     fwd_set_trunk(fw, TRUNK_GREY, green, 1, GREY, false, 0);
	return r | fwd_seal(fw);
}

static inline int tear_down(void **state) {
	fwd_free(fw);
	fdb_free(fdb);
	return 0;
}

/* Puts a frame of 60 bytes, or 64 with a tag, at the end of the batch. */
static inline struct frame *put(uint64_t dst, uint64_t src, int tci) {
	struct frame *f = &batch.f[batch.n];
	uint8_t *p = batch.room[batch.n++];

	memset(p, 0, FRAME_HEAD_FIRST);
	mac_store(p, dst);
	mac_store(p + 6, src);
	p += 12;
	if (tci != UNTAGGED) {
		memcpy(p, (uint8_t[]){0x81, 0x00, (uint8_t)(tci >> 8), (uint8_t)tci}, 4);
		p += 4;
	}
	memcpy(p, (uint8_t[]){0x08, 0x00}, 2);
	*f = (struct frame){.head = batch.room[batch.n - 1], .len = tci == UNTAGGED ? 60 : 64};
	f->head_len = (uint16_t)f->len;
	return f;
}

static inline struct frame *begin(uint64_t dst, uint64_t src, int tci) {
	batch.n = 0;
	return put(dst, src, tci);
}

static inline void judge(uint16_t in, struct explain *ex) {
	fwd_parse(fw, &batch, in, ex);
	fwd_verdict(fw, &batch, in, NOW, ex);
}

/* What becomes of one frame. */
static inline struct frame *send_to(uint16_t in, uint64_t dst, uint64_t src, int tci) {
	struct frame *f = begin(dst, src, tci);

	judge(in, NULL);
	return f;
}

#define assert_out(f, port)                             \
	do {                                            \
		assert_int_equal((f)->drop, DROP_NONE); \
		assert_int_equal((f)->out, port);       \
	} while (0)
#define assert_dropped(f, why)                                             \
	do {                                                               \
		assert_string_equal(drop_name((f)->drop), drop_name(why)); \
		assert_int_equal((f)->out, OUT_NONE);                      \
	} while (0)

#endif
