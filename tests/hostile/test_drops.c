/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * No frame disappears without a counter that says why: for each reason some frames are sent that end
 * by it, and `weir show drops` has to count exactly those, for the port that is answerable. */
#include "bed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FRAMES = 7,
	LEN = 64,
	TAG_AT = 12,
	L4_AT = 34,
	LONG = 600,
	DATAGRAM = 1400,
	PIECES = 300,
	SLOW_RING = 64,
	WAIT_MS = 2000
};

static const uint8_t everybody[6] = {255, 255, 255, 255, 255, 255}, unknown[6] = {2, 9, 9, 9, 9, 9};
static const uint8_t mac_cell[6] = {2, 0, 0, 0, 0, 0x78};
static const uint8_t mac_small[6] = {2, 0, 0, 0, 0, 0x79};

/* Who sends; receivers are there for those reasons only that need one. */
struct loss {
	const char *sentence, *reason;
	const char *from, *counted; /* ports */
	uint8_t to[6], source[6];
	uint16_t len; /* 0: LEN */
	uint16_t tag; /* 0: none */
	uint16_t tpid; /* of it, 0: 8100 */
	bool pieces; /* two bytes in each descriptor */
	struct virtio_net_hdr_v1 request; /* its flags 0: none */
	unsigned fill; /* frames before those, that arrive */
};

static struct front sender, cell, small;

static const struct loss losses[] = {
	{"shorter than an Ethernet header", "runt", "bad", "bad", .len = 10},
	{"longer than the MTU allows", "oversize", "bad", "bad", .len = 1519},
	{"in more descriptors than weir follows", "chain-too-long", "bad", "bad", .len = LONG,
		.pieces = true},
	{"a checksum outside the frame", "offload-bad", "bad", "bad",
		.request = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.csum_start = 1000,
			.csum_offset = 6}},
	{"of a network the port is not in", "vlan-not-member", "trunk", "trunk", .tag = 200},
	{"with a service tag, its id that of the trunk's network", "service-tag", "trunk", "trunk",
		.tag = 100, .tpid = 0x88a8},
	{"with an old service tag on an access port", "service-tag", "bad", "bad", .tag = 100,
		.tpid = 0x9100},
	{"untagged on a trunk without a native network", "untagged", "trunk", "trunk"},
	{"from another source than the pinned one", "mac-pinned", "pin", "pin",
		.source = {2, 0, 0, 0, 0, 0x76}},
	{"from a source that is pinned elsewhere", "mac-stolen", "bad", "bad",
		.source = {2, 0, 0, 0, 0, 0x77}},
	{"from a group", "source-bad", "bad", "bad", .source = {3, 0, 0, 0, 0, 1}},
	{"to a bridge", "link-local", "bad", "bad", .to = {1, 0x80, 0xc2, 0, 0, 0}},
	{"to its own source", "same-port", "bad", "bad", .to = {2, 0, 0, 0, 0, 0x70}},
	{"between isolated ports", "isolated", "cell2", "cell2", .to = {2, 0, 0, 0, 0, 0x78}},
	{"with nobody else in the network", "no-destination", "single", "single"},
	{"flooded to a port without a guest", "port-down", "bad", "absent"},
	{"to a guest that reads nothing", "ring-full", "bad", "slow", .to = {2, 0, 0, 0, 0, 0x78},
		.fill = SLOW_RING},
	{"that fit no buffer of the receiver", "too-big", "bad", "small",
		.to = {2, 0, 0, 0, 0, 0x79}, .len = LONG},
	{"to be cut into pieces without room for a UDP header", "segment-failed", "bad", "slow",
		.to = {2, 0, 0, 0, 0, 0x78},
		.request = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.csum_start = L4_AT,
			.csum_offset = 6,
			.gso_type = VIRTIO_NET_HDR_GSO_UDP,
			.gso_size = 7}},
	{"to be cut into more pieces than weir cuts", "segment-limit", "bad", "slow",
		.to = {2, 0, 0, 0, 0, 0x78}, .len = DATAGRAM,
		.request = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.csum_start = L4_AT,
			.csum_offset = 6,
			.gso_type = VIRTIO_NET_HDR_GSO_UDP,
			.gso_size = 8}},
	{"to be cut into three for a guest that reads nothing", "ring-full", "bad", "slow",
		.to = {2, 0, 0, 0, 0, 0x78}, .len = DATAGRAM,
		.request = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.csum_start = L4_AT,
			.csum_offset = 6,
			.gso_type = VIRTIO_NET_HDR_GSO_UDP,
			.gso_size = 512},
		.fill = SLOW_RING},
};
enum { LOSSES = sizeof(losses) / sizeof(losses[0]) };

static int send_pieces(struct front *f) {
	struct front_ring *tx = front_tx(f, 0);
	struct front_piece p[PIECES];
	int id;

	front_reap(f, 0);
	id = front_ring_next(tx);
	for (unsigned i = 0; i < PIECES && id >= 0; i++)
		p[i] = (struct front_piece){tx->buf_gpa[id] + 2 * i, 2, false};
	if (id >= 0)
		id = front_ring_put(tx, p, PIECES, false);
	front_ring_publish(tx);
	return id < 0 ? id : 0;
}

static void put(struct front *f, const struct loss *l, const uint8_t *to, unsigned n) {
	static const uint8_t source[6] = {2, 0, 0, 0, 0, 0x70}, none[6];
	const unsigned len = l->len != 0 ? l->len : LEN;
	uint8_t frame[2048];

	front_udp_frame(frame, len < LEN ? LEN : len, to,
		memcmp(l->source, none, 6) != 0 ? l->source : source);
	if (l->tag != 0) {
		const uint16_t tpid = l->tpid != 0 ? l->tpid : 0x8100;

		memmove(frame + TAG_AT + 4, frame + TAG_AT, LEN - TAG_AT - 4);
		memcpy(frame + TAG_AT,
			(uint8_t[]){tpid >> 8, tpid & 0xff, l->tag >> 8, l->tag & 0xff}, 4);
	}
	for (unsigned i = 0; i < n;) {
		int err = l->pieces ? send_pieces(f)
				    : front_send(f, 0, frame, len,
					      l->request.flags != 0 ? &l->request : NULL);

		if (err == 0)
			i++;
		else if (err != -EAGAIN)
			fail_msg("cannot send: %d", err);
		else
			bed_rest(1);
	}
}

/* Says to the switch where an address is. */
static void known(struct front *f, const uint8_t *mac) {
	uint8_t frame[LEN];

	front_udp_frame(frame, LEN, everybody, mac);
	assert_int_equal(front_send(f, 0, frame, LEN, NULL), 0);
	bed_rest(50);
}

static void receivers(const struct loss *l) {
	if (strcmp(l->reason, "isolated") == 0) {
		bed_attach(&cell, "cell1", (struct front_options){0});
		known(&cell, mac_cell);
	} else if (strcmp(l->counted, "slow") == 0) {
		bed_attach(&cell, "slow", (struct front_options){.ring_size = SLOW_RING});
		known(&cell, mac_cell);
	} else if (strcmp(l->reason, "too-big") == 0) {
		bed_attach(&small, "small",
			(struct front_options){
				.features = FRONT_BIT(VIRTIO_F_VERSION_1), .buffer_size = 256});
		known(&small, mac_small);
	}
}

static void is_counted(void **state) {
	static const uint8_t none[6];
	const struct loss *l = *state;
	const uint8_t *to = memcmp(l->to, none, 6) != 0 ? l->to : unknown;
	uint64_t before, n = 0;

	receivers(l);
	bed_attach(&sender, l->from,
		(struct front_options){.ring_size = 512,
			.features =
				FRONT_F_PLAIN | (l->request.flags != 0 ? FRONT_F_OFFLOADS : 0)});
	put(&sender, l, to, l->fill);
	bed_rest(50);
	before = bed_drops(l->counted, l->reason);
	put(&sender, l, to, FRAMES);
	for (unsigned ms = 0; ms < WAIT_MS && n < FRAMES; ms += 20) {
		bed_rest(20);
		n = bed_drops(l->counted, l->reason) - before;
	}
	bed_rest(20);
	n = bed_drops(l->counted, l->reason) - before;
	if (n != FRAMES)
		fail_msg("%s: of %d frames %llu are counted at port %s", l->reason, FRAMES,
			(unsigned long long)n, l->counted);
}

static int tidy(void **state) {
	(void)state;
	bed_detach(&sender);
	bed_detach(&cell);
	bed_detach(&small);
	return 0;
}

static int start(void **state) {
	(void)state;
	return bed_start("  alone: {vlan: 300}\n  hole: {vlan: 400}\n",
		"  trunk: {vhost-user: @/trunk, trunk: [dark]}\n"
		"  pin: {vhost-user: @/pin, network: dark, mac: \"02:00:00:00:00:77\"}\n"
		"  cell1: {vhost-user: @/cell1, network: dark, isolated: true}\n"
		"  cell2: {vhost-user: @/cell2, network: dark, isolated: true}\n"
		"  single: {vhost-user: @/single, network: alone}\n"
		"  absent: {vhost-user: @/absent, network: dark}\n"
		"  slow: {vhost-user: @/slow, network: dark}\n"
		"  small: {vhost-user: @/small, network: dark}\n");
}

int main(void) {
	struct CMUnitTest t[LOSSES];
	char name[LOSSES][128];

	for (unsigned i = 0; i < LOSSES; i++) {
		snprintf(name[i], sizeof(name[i]), "frames %s are counted as %s",
			losses[i].sentence, losses[i].reason);
		t[i] = (struct CMUnitTest){.name = name[i],
			.test_func = is_counted,
			.teardown_func = tidy,
			.initial_state = (void *)&losses[i]};
	}
	cmocka_set_test_filter(getenv("WEIR_CASE"));
	return _cmocka_run_group_tests("drops", t, LOSSES, start, bed_teardown);
}
