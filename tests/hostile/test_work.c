/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Frames that cost a thousand times what others do, as fast as the switch takes them. A neighbour in
 * another network on the same worker offers a fifth of what the worker can carry and must keep it; no
 * turn of the attacker takes longer than a turn may, and the switch answers. */
#include "bed.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_packet.h>
#include <net/if.h>

#include "beside.h"

enum {
	CELLS = 16,
	RING = 256,
	DRAINED = 256, /* frames of all receivers at a time: the neighbour's thread does it */
	L4_AT = 34,
	BIG = 65549, /* an IP packet of 65,535 bytes */
};

static const uint8_t mac_cell0[6] = {2, 0, 0, 0xce, 0, 0},
		     everybody[6] = {255, 255, 255, 255, 255, 255};

static uint8_t mac_tap[6];

struct attack {
	const char *sentence;
	const uint8_t *to;
	uint32_t len;
	uint8_t gso_type;
	uint16_t gso_size;
	unsigned receivers; /* of the cells, that have a guest */
	bool capable; /* they take segmentation frames as they are */
	bool drained;
	const char *at,
		*drop; /* what must be counted at a port: frames for a reason; NULL: delivered */
};

static const struct attack attacks[] = {
	{"64 KiB in segments of 64 bytes for a guest without offloads", mac_cell0, BIG,
		VIRTIO_NET_HDR_GSO_TCPV4, 64, 1, false, true, "cell0", "segment-limit"},
	{"64 KiB in segments of 536 bytes for a guest without offloads", mac_cell0, BIG,
		VIRTIO_NET_HDR_GSO_TCPV4, 536, 1, false, true, "cell0", NULL},
	{"64 KiB in segments of 64 bytes for a guest that reads nothing", mac_cell0, BIG,
		VIRTIO_NET_HDR_GSO_TCPV4, 64, 1, false, false, "cell0", "ring-full"},
	{"64 KiB in segments of 64 bytes for 16 guests that read nothing", everybody, BIG,
		VIRTIO_NET_HDR_GSO_TCPV4, 64, CELLS, false, false, "cell3", "segment-limit"},
	{"64 KiB for 16 guests that take them whole", everybody, BIG, VIRTIO_NET_HDR_GSO_TCPV4,
		1448, CELLS, true, true, "cell15", NULL},
	{"1514 bytes for 16 guests", everybody, 1514, 0, 0, CELLS, true, true, "cell15", NULL},
	{"datagrams of 64 KiB in fragments of 32 bytes for a TAP", mac_tap, BIG,
		VIRTIO_NET_HDR_GSO_UDP, 32, 0, false, false, "tap", "segment-limit"},
	{"datagrams of 64 KiB in fragments of 1232 bytes for a TAP", mac_tap, BIG,
		VIRTIO_NET_HDR_GSO_UDP, 1232, 0, false, false, "tap", NULL},
};

static struct front liar, cell[CELLS];
static struct front_piece piece;

/* --- Frames ---------------------------------------------------------------------------------- */

static void put16(uint8_t *p, unsigned v) {
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void ip_length(uint8_t *ip, unsigned len) {
	unsigned sum = 0;

	put16(ip + 2, len);
	put16(ip + 10, 0);
	for (unsigned i = 0; i < 20; i += 2)
		sum += (unsigned)ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	put16(ip + 10, ~((sum & 0xffff) + (sum >> 16)));
}

/* The one buffer that every descriptor of the attack is about. */
static void make_frame(const struct attack *a) {
	static const uint8_t source[6] = {2, 0, 0, 0xba, 0xd0, 0};
	const bool tcp = a->gso_type == VIRTIO_NET_HDR_GSO_TCPV4;
	uint8_t *p = front_alloc(&liar, 0, sizeof(struct virtio_net_hdr_v1) + BIG, 64);
	uint8_t *frame = p + sizeof(struct virtio_net_hdr_v1);

	assert_non_null(p);
	front_udp_frame(frame, 1400, a->to, source);
	if (a->gso_type != 0) {
		struct virtio_net_hdr_v1 h = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.gso_type = a->gso_type,
			.gso_size = a->gso_size,
			.csum_start = L4_AT,
			.csum_offset = tcp ? 16 : 6};

		memcpy(p, &h, sizeof(h));
	}
	if (tcp) {
		frame[14 + 9] = 6; /* protocol */
		memset(frame + L4_AT, 0, 20);
		frame[L4_AT + 12] = 5 << 4;
	} else {
		put16(frame + L4_AT + 4, a->len - L4_AT);
	}
	ip_length(frame + 14, a->len - 14);
	piece = (struct front_piece){.addr = front_gpa(&liar, p),
		.len = (uint32_t)sizeof(struct virtio_net_hdr_v1) + a->len};
}

/* Fills the ring again, empties the receivers'. */
static void step(void *arg) {
	const struct attack *a = arg;
	uint8_t none[64];

	front_reap(&liar, 0);
	while (front_ring_put(front_tx(&liar, 0), &piece, 1, false) >= 0)
		;
	front_ring_publish(front_tx(&liar, 0));
	for (unsigned i = 0; a->drained && i < a->receivers; i++)
		for (unsigned n = 0;
			n < DRAINED / a->receivers && front_recv(&cell[i], 0, none, 0, NULL) >= 0;
			n++)
			;
}

/* --- The bed --------------------------------------------------------------------------------- */

static int start(void **state) {
	static const char net[] = "  work: {vlan: 300}\n";
	char ports[2048] = "  tap: {tap: weirtap0, network: work}\n"
			   "  liar: {vhost-user: @/liar, network: work}\n";
	size_t n = strlen(ports);

	(void)state;
	for (unsigned i = 0; i < CELLS; i++)
		n += (size_t)snprintf(ports + n, sizeof(ports) - n,
			"  cell%u: {vhost-user: @/cell%u, network: work}\n", i, i);
	return bed_start(net, ports);
}

static void attach(const struct attack *a) {
	char name[16];

	bed_attach(&liar, "liar",
		(struct front_options){.ring_size = RING,
			.extra = 2 * BIG,
			.features = FRONT_F_PLAIN | FRONT_F_OFFLOADS |
				    FRONT_BIT(VIRTIO_NET_F_HOST_UFO)});
	for (unsigned i = 0; i < a->receivers; i++) {
		struct front_options o = {.ring_size = RING};

		if (a->capable)
			o = (struct front_options){.ring_size = 64,
				.buffer_size = BIG + 64,
				.features = FRONT_F_PLAIN | FRONT_F_OFFLOADS};
		snprintf(name, sizeof(name), "cell%u", i);
		bed_attach(&cell[i], name, o);
	}
}

static int detach(void **state) {
	(void)state;
	beside_end();
	bed_detach(&liar);
	for (unsigned i = 0; i < CELLS; i++)
		bed_detach(&cell[i]);
	return 0;
}

/* The TAP's own address, and a broadcast from it. */
static void tap_speaks(void) {
	const int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct sockaddr_ll to = {.sll_family = AF_PACKET};
	struct ifreq ifr = {.ifr_name = "weirtap0"};
	uint8_t frame[64];

	assert_true(s >= 0);
	to.sll_ifindex = (int)if_nametoindex(ifr.ifr_name);
	assert_int_equal(ioctl(s, SIOCGIFHWADDR, &ifr), 0);
	memcpy(mac_tap, ifr.ifr_hwaddr.sa_data, sizeof(mac_tap));
	front_udp_frame(frame, sizeof(frame), everybody, mac_tap);
	assert_int_equal(sendto(s, frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)),
		sizeof(frame));
	close(s);
}

/* Says to the switch where the addresses are. */
static void known(const struct attack *a) {
	uint8_t frame[64];

	tap_speaks();
	if (a->receivers > 0) {
		front_udp_frame(frame, sizeof(frame), everybody, mac_cell0);
		assert_int_equal(front_send(&cell[0], 0, frame, sizeof(frame), NULL), 0);
	}
	bed_rest(20);
}

/* --- The test -------------------------------------------------------------------------------- */

static void a_neighbour_keeps_its_share(void **state) {
	const struct attack *a = *state;

	attach(a);
	known(a);
	make_frame(a);
	beside_hold(&(struct beside){.sentence = a->sentence,
		.attack = step,
		.arg = (void *)a,
		.of = "liar",
		.at = a->at,
		.drop = a->drop});
}

/* One worker for all, and a network namespace for the TAP. */
static int prepare(void) {
	beside_one_worker();
	return unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWNET | CLONE_NEWUSER);
}

int main(void) {
	if (prepare() != 0) {
		printf("Bail out! no network namespace: %s\n", strerror(errno));
		return 1;
	}
	return beside_run(&(struct beside_cases){.name = "work",
		.first = attacks,
		.size = sizeof(attacks[0]),
		.n = sizeof(attacks) / sizeof(attacks[0]),
		.test = a_neighbour_keeps_its_share,
		.start = start,
		.detach = detach});
}
