/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * A guest that lies in its frames: headers that change while they are judged, and offload requests
 * that do not fit the frame.
 *
 * The liar's port is a trunk with one network on it, dark (VLAN 100), and its source MAC is pinned. In
 * dark are the mate and a second receiver, both known to the switch; in red (VLAN 300), where the
 * liar is no member, there is a third. A thread rewrites source, destination and tag of frames that
 * the switch is reading. Whatever comes of it, a receiver sees the pinned source, its own address
 * and no tag; red sees nothing. */
#include "bed.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME = 64, TAG_AT = 12, HEADER = sizeof(struct virtio_net_hdr_v1), FLIPS_MS = 1500 };

/* Addresses differ in one octet, so that a torn one is one of the two. */
static const struct bed_mac mac_other = {{2, 0, 0, 0xba, 0xd0, 2}};
static const struct bed_mac mac_forged = {{2, 0, 0, 0xba, 0xd0, 3}};
static struct front other, red;

static int start(void **state) {
	int err;

	(void)state;
	err = bed_start("  red: {vlan: 300}\n",
		"  bad: {vhost-user: @/bad, trunk: [dark], mac: \"02:00:00:ba:d0:00\"}\n"
		"  other: {vhost-user: @/other, network: dark}\n"
		"  red: {vhost-user: @/red, network: red}\n");
	if (err == 0) {
		bed_attach(&other, "other", (struct front_options){0});
		bed_attach(&red, "red", (struct front_options){0});
	}
	return err;
}

static int end(void **state) {
	bed_detach(&other);
	bed_detach(&red);
	return bed_teardown(state);
}

/* A tagged frame for VLAN 100. */
static void tagged(
	uint8_t *frame, unsigned len, const struct bed_mac *to, const struct bed_mac *from) {
	uint8_t plain[2048];

	front_udp_frame(plain, len - 4, to->octet, from->octet);
	memcpy(frame, plain, TAG_AT);
	memcpy(frame + TAG_AT, "\x81\x00\x00\x64", 4);
	memcpy(frame + TAG_AT + 4, plain + TAG_AT, len - 4 - TAG_AT);
}

static void known(struct front *f, const struct bed_mac *mac) {
	static const struct bed_mac everybody = {{255, 255, 255, 255, 255, 255}};
	uint8_t frame[FRAME];

	front_udp_frame(frame, FRAME, everybody.octet, mac->octet);
	assert_int_equal(front_send(f, 0, frame, FRAME, NULL), 0);
}

struct flipper {
	uint8_t **buf;
	unsigned n, what;
	atomic_bool stop;
};

enum { FLIP_SOURCE = 1, FLIP_DESTINATION = 2, FLIP_TAG = 4 };

static void *flip(void *arg) {
	struct flipper *p = arg;

	for (unsigned i = 0; !atomic_load_explicit(&p->stop, memory_order_relaxed); i++) {
		volatile uint8_t *frame = p->buf[i % p->n] + HEADER;
		unsigned lap = i / p->n; /* each at a pace of its own: all combinations come */

		if (p->what & FLIP_DESTINATION)
			frame[5] = lap & 1 ? mac_mate.octet[5] : mac_other.octet[5];
		if (p->what & FLIP_SOURCE)
			frame[11] = lap & 2 ? mac_bad.octet[5] : mac_forged.octet[5];
		if (p->what & FLIP_TAG) {
			frame[14] = lap & 4 ? 0 : 300 >> 8;
			frame[15] = lap & 4 ? 100 : 300 & 0xff;
		}
	}
	return NULL;
}

/* Frames that came to a receiver, each checked; how many. */
static unsigned check(struct front *f, const struct bed_mac *mac) {
	uint8_t in[FRAME];
	unsigned n = 0;

	for (int len; (len = front_recv(f, 0, in, sizeof(in), NULL)) != -EAGAIN; n++) {
		assert_true(len >= 0);
		if (len != FRAME - 4)
			fail_msg("a frame of %d bytes arrived, %d were sent", len, FRAME - 4);
		if (memcmp(in, mac->octet, 6) != 0)
			fail_msg("a frame for ..:%02x arrived at ..:%02x", in[5], mac->octet[5]);
		if (memcmp(in + 6, mac_bad.octet, 6) != 0)
			fail_msg("a frame from ..:%02x passed the pin", in[11]);
		if (in[TAG_AT] != 8 || in[TAG_AT + 1] != 0)
			fail_msg("a frame of type %02x%02x arrived", in[TAG_AT], in[TAG_AT + 1]);
	}
	return n;
}

static void drain(struct front *f) {
	uint8_t in[FRAME];

	while (front_recv(f, 0, in, sizeof(in), NULL) >= 0)
		;
}

/* Until a frame of a known one has come, which is as long as it was sent; others are of cases before. */
static void comes(struct front *f) {
	uint8_t in[FRAME];
	int len = 0;

	while (len != FRAME && front_wait(front_rx(f, 0), 5000) == 1)
		len = front_recv(f, 0, in, sizeof(in), NULL);
	assert_int_equal(len, FRAME);
}

/* Sends the ring's buffers as they are at this moment: nobody writes them but the flipper. */
static void send_again(struct front *f) {
	struct front_ring *r = front_tx(f, 0);
	struct front_piece p[FRONT_CHAIN_MAX];

	front_reap(f, 0);
	for (int id = front_ring_next(r); id >= 0; id = front_ring_next(r))
		if (front_ring_put(r, p, front_cut(f, p, r->buf_gpa[id], HEADER + FRAME), false) <
			0)
			break;
	front_ring_publish(r);
}

/* Sends flipping frames for a while; their chains are cut as the options say. */
static void flip_and_check(struct front_options o, unsigned what) {
	struct front liar;
	struct flipper p = {.what = what};
	unsigned mate = 0, others = 0;
	pthread_t thread;

	bed_attach(&liar, "bad", o);
	known(bed_mate(), &mac_mate);
	comes(&other);
	known(&other, &mac_other);
	comes(bed_mate());
	drain(&red);
	p.buf = front_tx(&liar, 0)->buf;
	p.n = front_tx(&liar, 0)->size;
	for (unsigned i = 0; i < p.n; i++)
		tagged(p.buf[i] + HEADER, FRAME, &mac_mate, &mac_bad);
	assert_int_equal(pthread_create(&thread, NULL, flip, &p), 0);
	for (unsigned i = 0; i < FLIPS_MS; i++) {
		send_again(&liar);
		mate += check(bed_mate(), &mac_mate);
		others += check(&other, &mac_other);
		if (front_ring_ready(front_rx(&red, 0)))
			fail_msg("a frame reached a network its sender is not in");
		bed_rest(1);
	}
	atomic_store(&p.stop, true);
	pthread_join(thread, NULL);
	print_message("# %u frames at the mate, %u at the other\n", mate, others);
	bed_detach(&liar);
	if (mate == 0 || (others == 0 && what & FLIP_DESTINATION))
		fail_msg("nothing was flipped");
	bed_hold();
}

static void everything_flips(void **state) {
	(void)state;
	flip_and_check((struct front_options){0}, FLIP_SOURCE | FLIP_DESTINATION | FLIP_TAG);
}

static void source_flips(void **state) {
	(void)state;
	flip_and_check((struct front_options){0}, FLIP_SOURCE);
}

static void packed_flips(void **state) {
	(void)state;
	flip_and_check(
		(struct front_options){.features = FRONT_F_PLAIN | FRONT_BIT(VIRTIO_F_RING_PACKED)},
		FLIP_SOURCE | FLIP_DESTINATION | FLIP_TAG);
}

static void chains_flip(void **state) {
	(void)state;
	flip_and_check((struct front_options){.chain = 9, .header_alone = true},
		FLIP_SOURCE | FLIP_DESTINATION | FLIP_TAG);
}

/* --- Offload requests ------------------------------------------------------------------------ */

static uint32_t seed = 20261121;

static uint16_t number(void) {
	static const uint16_t edges[] = {
		0, 1, 13, 14, 18, 34, 38, 54, 58, 64, 255, 1460, 1514, 65535};

	seed = seed * 1664525 + 1013904223;
	return seed >> 30 ? edges[(seed >> 8) % (sizeof(edges) / sizeof(edges[0]))] : seed >> 10;
}

/* A header and a frame of nonsense; most of it looks like IP and TCP from afar. */
static unsigned nonsense(uint8_t *frame, struct virtio_net_hdr_v1 *h, unsigned most) {
	static const uint8_t gso[] = {0, 1, 3, 4, 5, 0x80, 0x81, 0x84, 0xff};
	unsigned len = 18 + number() % (most - 18);

	*h = (struct virtio_net_hdr_v1){.flags = number(),
		.gso_type = gso[number() % sizeof(gso)],
		.hdr_len = number(),
		.gso_size = number(),
		.csum_start = number(),
		.csum_offset = number(),
		.num_buffers = number()};
	for (unsigned i = 0; i < len; i++)
		frame[i] = number();
	memcpy(frame, mac_mate.octet, 6);
	memcpy(frame + 6, mac_bad.octet, 6);
	memcpy(frame + TAG_AT, "\x81\x00\x00\x64", 4);
	memcpy(frame + 16, number() & 1 ? "\x08\x00\x45" : "\x86\xdd\x60", len > 18 ? 3 : 2);
	if (len > 40 && number() & 1)
		frame[18 + (frame[16] == 8 ? 9 : 6)] = number() & 1 ? 6 : 17;
	return len;
}

/* Whatever the requests were, what arrives at a guest without offloads is complete and fits it. */
static void requests_at_random(const struct front_options *o) {
	enum { MOST = 40000, MTU_FRAME = 1514 };
	static uint8_t frame[MOST], in[65536];
	struct virtio_net_hdr_v1 h;
	struct front liar;
	unsigned arrived = 0;

	bed_attach(&liar, "bad", *o);
	drain(bed_mate());
	for (unsigned i = 0; i < 20000; i++) {
		unsigned len = nonsense(frame, &h, i % 8 ? 200 : MOST);

		while (front_send(&liar, 0, frame, len, &h) == -EAGAIN)
			bed_rest(1);
		for (int n; (n = front_recv(bed_mate(), 0, in, sizeof(in), &h)) != -EAGAIN;
			arrived++)
			if (n < 0 || n > MTU_FRAME || h.gso_type != 0 ||
				h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
				fail_msg("a frame of %d bytes, gso type %u, flags %u arrived", n,
					h.gso_type, h.flags);
	}
	print_message("# %u of 20000 arrived\n", arrived);
	drain(bed_mate());
	bed_detach(&liar);
	bed_hold();
}

static void requests_split(void **state) {
	(void)state;
	requests_at_random(&(struct front_options){
		.features = FRONT_F_PLAIN | FRONT_F_OFFLOADS, .buffer_size = 49152});
}

static void requests_chained(void **state) {
	(void)state;
	requests_at_random(&(struct front_options){
		.features = FRONT_F_PLAIN | FRONT_F_OFFLOADS, .buffer_size = 49152, .chain = 17});
}

static void requests_not_negotiated(void **state) {
	(void)state;
	requests_at_random(&(struct front_options){.buffer_size = 49152});
}

/* The sum of 16-bit words, as it is; virtio wants the pseudo-header's in the checksum field. */
static uint32_t words(const uint8_t *p, unsigned len) {
	uint32_t sum = 0;

	for (unsigned i = 0; i < len; i++)
		sum += i % 2 == 0 ? p[i] << 8 : p[i];
	return sum;
}

static uint16_t folded(uint32_t sum) {
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)(sum + (sum >> 16));
}

/* RFC 768: source, destination, protocol and length; `ip` is the IPv4 header. */
static uint32_t pseudo(const uint8_t *ip, unsigned udp_len) {
	return words(ip + 12, 8) + IPPROTO_UDP + udp_len;
}

static void checksums_are_completed(void **state) {
	enum { PLAIN = 300, IP_AT = 14, UDP_AT = 34, SUM_AT = 6, UDP_LEN = PLAIN - UDP_AT };
	uint8_t frame[PLAIN + 4], in[PLAIN];
	struct virtio_net_hdr_v1 h = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = UDP_AT + 4,
		.csum_offset = SUM_AT};
	struct front liar;

	(void)state;
	bed_attach(
		&liar, "bad", (struct front_options){.features = FRONT_F_PLAIN | FRONT_F_OFFLOADS});
	known(bed_mate(), &mac_mate);
	bed_rest(100);
	drain(bed_mate());
	for (unsigned round = 0; round < 100; round++) {
		uint16_t sum;
		int len = -EAGAIN;

		tagged(frame, sizeof(frame), &mac_mate, &mac_bad);
		for (unsigned i = UDP_AT + 4 + 8; i < sizeof(frame); i++)
			frame[i] = number();
		sum = folded(pseudo(frame + 4 + IP_AT, UDP_LEN));
		frame[UDP_AT + 4 + SUM_AT] = sum >> 8;
		frame[UDP_AT + 4 + SUM_AT + 1] = sum & 0xff;
		assert_int_equal(front_send(&liar, 0, frame, sizeof(frame), &h), 0);
		for (unsigned ms = 0; len == -EAGAIN && ms < 1000; ms++) {
			bed_rest(1);
			len = front_recv(bed_mate(), 0, in, sizeof(in), NULL);
		}
		assert_int_equal(len, PLAIN);
		assert_memory_equal(in + UDP_AT + 8, frame + UDP_AT + 4 + 8, UDP_LEN - 8);
		assert_int_equal(
			folded(pseudo(in + IP_AT, UDP_LEN) + words(in + UDP_AT, UDP_LEN)), 0xffff);
	}
	bed_detach(&liar);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		{"nothing a guest rewrites while it is judged gets past the rules",
			everything_flips, NULL, NULL, NULL},
		{"no frame gets past the pin by a source that changes", source_flips, NULL, NULL,
			NULL},
		{"nothing gets past the rules from packed rings", packed_flips, NULL, NULL, NULL},
		{"nothing gets past the rules in chains that cut the header", chains_flip, NULL,
			NULL, NULL},
		{"offload requests at random arrive complete or not at all", requests_split, NULL,
			NULL, NULL},
		{"offload requests at random in chains arrive complete or not at all",
			requests_chained, NULL, NULL, NULL},
		{"a checksum asked for is there when it arrives at a guest without offloads",
			checksums_are_completed, NULL, NULL, NULL},
		{"offload requests nobody negotiated arrive complete or not at all",
			requests_not_negotiated, NULL, NULL, NULL},
	};

	cmocka_set_test_filter(getenv("WEIR_CASE"));
	return cmocka_run_group_tests_name("headers", tests, start, end);
}
