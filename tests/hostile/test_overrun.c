/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Receive buffers whose lengths add up to what is not there, and frames that would run past them. A guest
 * in another network has every byte of its memory looked at: what its friend sent it is there, and
 * nothing else has changed. */
#include "bed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "beside.h"

enum {
	RING = 256,
	ROUNDS = 20,
	SENT = 10, /* frames of the friend's a round; the victim offers a buffer for each */
	ATTACKS = 32, /* frames of the giver's a round */
	LEN = 1000, /* of the friend's frames */
	SEQ_AT = 42,
	DATA_AT = 46,
	PATTERN = 0xa5,
	SPARE = 4 << 20, /* bytes of the victim's that nobody has told the switch of */
	WAIT_MS = 4000,
	GSO_LEN = 65553, /* the longest frame there is */
	L4_AT = 54, /* behind Ethernet and IPv6 */
};

static const uint8_t mac_victim[6] = {2, 0, 0, 0x0f, 0, 1}, mac_friend[6] = {2, 0, 0, 0x0f, 0, 2},
		     everybody[6] = {255, 255, 255, 255, 255, 255};

struct overrun {
	const char *sentence;
	struct front_options taker;
	bool gso; /* the giver's frame: IPv6 segmentation of GSO_LEN, or 60 bytes */
	/* Buffer i of the taker's: how many pieces at p. */
	unsigned (*buffer)(unsigned i, struct front_piece *p);
	const char *drop; /* what is counted at the taker; NULL: frames delivered */
};

static struct front victim, friend, taker, giver;
static struct front_piece giver_piece;
static uint64_t room; /* the taker's, in its addresses */

/* 65,555 bytes: with its virtio-net header the frame has ten more. */
static unsigned long_piece(unsigned i, struct front_piece *p) {
	p[0] = (struct front_piece){room, 1, true};
	p[1] = (struct front_piece){room + 4096, GSO_LEN + 1, true};
	return 2;
}

/* In 32 bits the sum goes down by one with each. */
static unsigned endless(unsigned i, struct front_piece *p) {
	p[0] = (struct front_piece){room + 4096ull * i, i % 32 == 0 ? 12 : UINT32_MAX, true};
	return 1;
}

static const struct overrun overruns[] = {
	{"a segmentation frame of 65,553 bytes for chains of 1 and 65,554 bytes",
		{.features = FRONT_BIT(VIRTIO_F_VERSION_1) | FRONT_F_OFFLOADS, .extra = 1 << 20},
		true, long_piece, "too-big"},
	{"buffers of 12 bytes and of 4 GiB in a packed ring",
		{.features = FRONT_F_PLAIN | FRONT_BIT(VIRTIO_F_RING_PACKED), .extra = 5ull << 30},
		false, endless, NULL},
	{"buffers of 12 bytes and of 4 GiB", {.features = FRONT_F_PLAIN, .extra = 5ull << 30},
		false, endless, NULL},
};

/* --- The attacker ---------------------------------------------------------------------------- */

static void put16(uint8_t *p, unsigned v) {
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* TCP over IPv6, to be cut into segments of 1440 bytes. */
static void gso_frame(uint8_t *p) {
	const struct virtio_net_hdr_v1 h = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
		.hdr_len = L4_AT + 20,
		.gso_size = 1440,
		.csum_start = L4_AT,
		.csum_offset = 16};
	uint8_t *frame = p + sizeof(h);

	memcpy(p, &h, sizeof(h));
	memset(frame, 0x5e, GSO_LEN);
	memset(frame, 0, L4_AT + 20);
	memcpy(frame, everybody, 6);
	frame[6] = 2;
	put16(frame + 12, 0x86dd);
	frame[14] = 6 << 4; /* version */
	put16(frame + 18, GSO_LEN - L4_AT);
	frame[20] = 6; /* TCP */
	frame[L4_AT + 12] = 5 << 4;
}

static void make_frame(bool gso) {
	const uint32_t len = gso ? GSO_LEN : 60;
	uint8_t *p = front_alloc(&giver, 0, giver.header + len, 64);

	assert_non_null(p);
	if (gso)
		gso_frame(p);
	else
		front_udp_frame(p + giver.header, len, everybody, mac_bad.octet);
	giver_piece = (struct front_piece){front_gpa(&giver, p), giver.header + len, false};
}

/* The taker's buffers, as many as are free. */
static void offer(const struct overrun *o) {
	struct front_ring *r = front_rx(&taker, 0);
	struct front_piece p[2];
	unsigned i = 0;

	while (front_ring_take(r, NULL) >= 0)
		;
	while (i < RING && front_ring_put(r, p, o->buffer(i, p), false) >= 0)
		i++;
	front_ring_publish(r);
}

static void attach_attacker(const struct overrun *o) {
	bed_attach_empty(&taker, "taker", o->taker);
	bed_attach(&giver, "giver",
		(struct front_options){
			.features = FRONT_F_PLAIN | FRONT_F_OFFLOADS, .extra = 2 * GSO_LEN});
	room = front_gpa(&taker, front_alloc(&taker, 0, o->taker.extra - (1 << 19), 4096));
	assert_int_not_equal(room, 0);
	offer(o);
	make_frame(o->gso);
}

static void attack(void) {
	front_reap(&giver, 0);
	for (unsigned i = 0; i < ATTACKS; i++)
		if (front_ring_put(front_tx(&giver, 0), &giver_piece, 1, false) < 0)
			break;
	front_ring_publish(front_tx(&giver, 0));
}

static void attack_again(void *arg) {
	offer(arg);
	attack();
}

/* --- The victim ------------------------------------------------------------------------------ */

static void friend_frame(uint8_t *frame, uint32_t seq) {
	front_udp_frame(frame, LEN, mac_victim, mac_friend);
	memcpy(frame + SEQ_AT, &seq, sizeof(seq));
	for (unsigned i = DATA_AT; i < LEN; i++)
		frame[i] = (uint8_t)(seq * 31 + i);
}

/* All that is no ring; a copy of all. */
static uint8_t *fill_memory(void) {
	const struct front_region *m = &victim.region[0];
	uint8_t *spare = front_alloc(&victim, 0, SPARE, 64), *copy = malloc(m->size);

	assert_non_null(spare);
	assert_non_null(copy);
	memset(spare, PATTERN, SPARE);
	for (unsigned i = 0; i < 2; i++)
		for (unsigned k = 0; k < RING; k++)
			memset(victim.ring[i].buf[k], PATTERN, victim.o.stride);
	memcpy(copy, m->map, m->size);
	return copy;
}

static void send_some(uint32_t from) {
	const uint64_t end = bed_now_ms() + WAIT_MS * bed_patience();
	uint8_t frame[LEN];

	for (uint32_t seq = from; seq < from + SENT;) {
		friend_frame(frame, seq);
		if (front_send(&friend, 0, frame, LEN, NULL) == 0)
			seq++;
		else if (bed_now_ms() > end)
			fail_msg("the friend's frame %u is not taken", seq);
	}
}

/* The frames the victim has, in order: what its memory is like with them. */
static void all_arrive(uint8_t *copy) {
	static const uint8_t header[12] = {[10] = 1}; /* num_buffers */
	const uint64_t end = bed_now_ms() + WAIT_MS * bed_patience();
	struct front_ring *r = front_rx(&victim, 0);

	for (uint32_t seq = 0; seq < ROUNDS * SENT;) {
		uint8_t *at;
		uint32_t len;
		const int id = front_ring_take(r, &len);

		if (id == -EAGAIN && bed_now_ms() < end) {
			bed_rest_us(100);
			continue;
		}
		if (id < 0)
			fail_msg("%u of the victim's frames arrive", seq);
		assert_int_equal(len, sizeof(header) + LEN);
		at = copy + (r->buf[id] - victim.region[0].map);
		memcpy(at, header, sizeof(header));
		friend_frame(at + sizeof(header), seq++);
	}
	assert_int_equal(front_ring_take(r, NULL), -EAGAIN);
}

/* Is the byte of a used ring? Those are the switch's to write, at any time. */
static bool is_used(const uint8_t *p) {
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t *used = (const uint8_t *)victim.ring[i].used;

		if (p >= used && p < used + 6 + 8 * RING)
			return true;
	}
	return false;
}

static void nothing_foreign(const uint8_t *copy) {
	const struct front_region *m = &victim.region[0];

	for (uint64_t i = 0; i < m->size; i++)
		if (copy[i] != m->map[i] && !is_used(m->map + i))
			fail_msg("byte %llu of the victim's memory is 0x%02x, not 0x%02x",
				(unsigned long long)i, m->map[i], copy[i]);
}

/* --- The test -------------------------------------------------------------------------------- */

static void nothing_of_anothers_arrives(void **state) {
	const struct overrun *o = *state;
	uint8_t *copy;

	bed_attach(&victim, "victim", (struct front_options){.ring_size = RING, .extra = SPARE});
	bed_attach(&friend, "friend", (struct front_options){0});
	copy = fill_memory();
	attach_attacker(o);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		attack();
		send_some(round * SENT);
		bed_rest_us(1000);
	}
	beside_hold(&(struct beside){.sentence = o->sentence,
		.attack = attack_again,
		.arg = (void *)o,
		.of = "giver",
		.at = "taker",
		.drop = o->drop});
	all_arrive(copy);
	nothing_foreign(copy);
	free(copy);
}

static int start(void **state) {
	(void)state;
	return bed_start("  near: {vlan: 300}\n  far: {vlan: 400}\n",
		"  taker: {vhost-user: @/taker, network: near}\n"
		"  victim: {vhost-user: @/victim, network: far}\n"
		"  giver: {vhost-user: @/giver, network: near}\n"
		"  friend: {vhost-user: @/friend, network: far}\n");
}

static int detach(void **state) {
	struct front *const all[] = {&victim, &friend, &taker, &giver};

	(void)state;
	beside_end();
	for (unsigned i = 0; i < 4; i++)
		bed_detach(all[i]);
	return 0;
}

int main(void) {
	beside_one_worker();
	return beside_run(&(struct beside_cases){.name = "overrun",
		.first = overruns,
		.size = sizeof(overruns[0]),
		.n = sizeof(overruns) / sizeof(overruns[0]),
		.test = nothing_of_anothers_arrives,
		.start = start,
		.detach = detach});
}
