/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Rings that make the switch follow as many descriptors for nothing as it ever does, as fast as it takes
 * them. A neighbour in another network on the same worker keeps its share, whoever pays for them: the
 * guest that sends, or those that send to it. */
#include "bed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "beside.h"

enum {
	ENTRIES = 256, /* the longest chain, or table, that is followed */
	TABLES = 256, /* descriptors of a ring of tables */
	CHAINS = 64 * ENTRIES, /* of one of 64 chains */
	MORSELS = 8192, /* of one of small buffers */
	MORSEL = 12, /* bytes; the least that may be a receive buffer */
	SENT = 256, /* descriptors of the mate's ring */
	SMALL = 128, /* bytes of a buffer of the liar's own frames */
	SHORT = 64,
	LONG = 1502, /* bytes: with the header 127 morsels, one less than the switch looks at */
};

#define MERGEABLE FRONT_BIT(VIRTIO_NET_F_MRG_RXBUF)
#define PACKED    (FRONT_BIT(VIRTIO_F_VERSION_1) | FRONT_BIT(VIRTIO_F_RING_PACKED))
#define INDIRECT  FRONT_BIT(VIRTIO_RING_F_INDIRECT_DESC)
#define V1        FRONT_BIT(VIRTIO_F_VERSION_1)

static const uint8_t mac_liar[6] = {2, 0, 0, 0xba, 0xd1, 0},
		     mac_sender[6] = {2, 0, 0, 0xba, 0xd1, 1};

struct attack {
	const char *sentence;
	struct front_options o;
	bool receives; /* its mate sends to it */
	unsigned entries; /* of each buffer */
	uint32_t last; /* bytes of the last one; the others are empty */
	uint32_t len; /* of the mate's frames */
	const char *drop; /* what is counted at the liar; NULL: frames delivered */
};

static const struct attack attacks[] = {
	{"empty indirect tables of 256 entries",
		{.ring_size = TABLES, .features = V1 | INDIRECT, .indirect = true}, false, ENTRIES,
		0, 0, "runt"},
	{"empty indirect tables of 256 entries in a packed ring",
		{.ring_size = TABLES, .features = PACKED | INDIRECT, .indirect = true}, false,
		ENTRIES, 0, 0, "runt"},
	{"64 empty chains of 256 descriptors",
		{.ring_size = CHAINS, .buffer_size = SMALL, .features = V1}, false, ENTRIES, 0, 0,
		"runt"},
	{"64 empty chains of 256 descriptors in a packed ring",
		{.ring_size = CHAINS, .buffer_size = SMALL, .features = PACKED}, false, ENTRIES, 0,
		0, "runt"},
	{"receive buffers in tables of 256 entries",
		{.ring_size = TABLES, .features = V1 | INDIRECT, .indirect = true}, true, ENTRIES,
		256, SHORT, NULL},
	{"receive buffers in tables of 256 entries of a packed ring",
		{.ring_size = TABLES, .features = PACKED | INDIRECT, .indirect = true}, true,
		ENTRIES, 256, SHORT, NULL},
	{"receive buffers in 64 chains of 256 descriptors",
		{.ring_size = CHAINS, .buffer_size = SMALL, .features = V1}, true, ENTRIES, 256,
		SHORT, NULL},
	{"receive buffers in 64 chains of 256 descriptors of a packed ring",
		{.ring_size = CHAINS, .buffer_size = SMALL, .features = PACKED}, true, ENTRIES, 256,
		SHORT, NULL},
	{"receive buffers of 12 bytes",
		{.ring_size = MORSELS, .buffer_size = SMALL, .features = V1 | MERGEABLE}, true, 1,
		MORSEL, LONG, NULL},
	{"receive buffers of 12 bytes in a packed ring",
		{.ring_size = MORSELS, .buffer_size = SMALL, .features = PACKED | MERGEABLE}, true,
		1, MORSEL, LONG, NULL},
};

static struct front liar, mate;
static struct front_piece piece[ENTRIES], frame;

/* Takes back what was used and makes as much available again. */
static void refill(struct front_ring *r, const struct front_piece *p, unsigned n, bool indirect) {
	while (front_ring_take(r, NULL) >= 0)
		;
	while (front_ring_put(r, p, n, indirect) >= 0)
		;
	front_ring_publish(r);
}

static void step(void *arg) {
	const struct attack *a = arg;

	refill(a->receives ? front_rx(&liar, 0) : front_tx(&liar, 0), piece, a->entries,
		a->o.indirect);
	if (a->receives)
		refill(front_tx(&mate, 0), &frame, 1, false);
}

static void make_pieces(const struct attack *a) {
	uint8_t *p = front_alloc(&liar, 0, 4096, 64);

	assert_non_null(p);
	for (unsigned i = 0; i < a->entries; i++)
		piece[i] = (struct front_piece){.addr = front_gpa(&liar, p),
			.len = i + 1 < a->entries ? 0 : a->last,
			.write = a->receives};
}

/* Where the liar is, and a frame of the mate's to it. */
static void make_frame(const struct attack *a) {
	static const uint8_t everybody[6] = {255, 255, 255, 255, 255, 255};
	uint8_t hello[SHORT], *p = front_alloc(&mate, 0, 4096, 64);

	front_udp_frame(hello, sizeof(hello), everybody, mac_liar);
	assert_int_equal(front_send(&liar, 0, hello, sizeof(hello), NULL), 0);
	bed_rest(20);
	assert_non_null(p);
	front_udp_frame(p + mate.header, a->len, mac_liar, mac_sender);
	frame = (struct front_piece){.addr = front_gpa(&mate, p), .len = mate.header + a->len};
}

static void a_neighbour_keeps_its_share(void **state) {
	const struct attack *a = *state;
	struct front_options o = a->o;

	o.extra = 8192;
	bed_attach_empty(&liar, "liar", o);
	bed_attach(&mate, "mate2",
		(struct front_options){.ring_size = SENT, .features = V1, .extra = 8192});
	make_pieces(a);
	if (a->receives)
		make_frame(a);
	beside_hold(&(struct beside){.sentence = a->sentence,
		.attack = step,
		.arg = (void *)a,
		.of = a->receives ? "mate2" : "liar",
		.at = "liar",
		.drop = a->drop});
}

static int start(void **state) {
	(void)state;
	return bed_start("  loops: {vlan: 300}\n",
		"  liar: {vhost-user: @/liar, network: loops}\n"
		"  mate2: {vhost-user: @/mate2, network: loops}\n");
}

static int detach(void **state) {
	(void)state;
	beside_end();
	bed_detach(&liar);
	bed_detach(&mate);
	return 0;
}

int main(void) {
	beside_one_worker();
	return beside_run(&(struct beside_cases){.name = "loops",
		.first = attacks,
		.size = sizeof(attacks[0]),
		.n = sizeof(attacks) / sizeof(attacks[0]),
		.test = a_neighbour_keeps_its_share,
		.start = start,
		.detach = detach});
}
