/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>

#include "frame/offload.h"
#include "tap_bed.h"

/* Frames to and from a TAP port. */

static const uint8_t HOST[6] = {2, 0, 0, 0, 0, 1}, FAR[6] = {2, 0, 0, 0, 0, 2};

/* Pulls until a frame of that ethertype came (the kernel says hello on its own), false after 2 s. */
static bool pull(struct bed *bed, uint16_t ethertype) {
	struct rxq *q = bed->p->rxq[0];

	for (int i = 0; i < 200; i++) {
		bed->p->ops->rx(q, &bed->b, 1);
		if (bed->b.n == 1 && bed->b.f[0].head[12] == ethertype >> 8 &&
			bed->b.f[0].head[13] == (ethertype & 0xff))
			return true;
		if (bed->b.n == 0) {
			struct pollfd p = {.fd = bed->p->ops->fd(q), .events = POLLIN};

			poll(&p, 1, 10);
		}
	}
	return false;
}

/* Nothing that is in the kernel's mind remains to be read. */
static void drain(struct bed *bed) {
	while (bed->p->ops->rx(bed->p->rxq[0], &bed->b, BATCH_MAX) > 0)
		;
}

static void push(struct port *p, unsigned queue, struct frame *f, uint32_t tag) {
	struct tx_item it = {f, tag};
	struct txq *t = p->txq[queue];

	assert_true(p->ops->tx_begin(t));
	p->ops->tx(t, &it, 1);
	p->ops->tx_end(t);
}

static void ethernet(
	uint8_t *bytes, const uint8_t *dst, const uint8_t *src, uint16_t type, uint32_t len) {
	memcpy(bytes, dst, 6);
	memcpy(bytes + 6, src, 6);
	bytes[12] = (uint8_t)(type >> 8);
	bytes[13] = (uint8_t)type;
	for (uint32_t i = 14; i < len; i++)
		bytes[i] = (uint8_t)(i * 7);
}

/* A UDP datagram with its checksum left to do; the pseudo header is summed up. */
static void udp_partial(uint8_t *bytes, uint32_t len) {
	const uint8_t ip[20] = {0x45, 0, (uint8_t)((len - 14) >> 8), (uint8_t)(len - 14), 0, 1, 0,
		0, 64, 17, 0, 0, 10, 1, 0, 1, 10, 1, 0, 2};
	uint32_t udp = len - 34, head = 0, sum = 0x0a01 + 1 + 0x0a01 + 2 + 17 + udp;

	ethernet(bytes, FAR, HOST, ETHERTYPE_IP, len);
	memcpy(bytes + 14, ip, sizeof(ip));
	for (int i = 14; i < 34; i += 2)
		head += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	head = ~((head & 0xffff) + (head >> 16));
	bytes[24] = (uint8_t)(head >> 8);
	bytes[25] = (uint8_t)head;
	bytes[34] = bytes[36] = 0x20;
	bytes[35] = bytes[37] = 0x10;
	bytes[38] = (uint8_t)(udp >> 8);
	bytes[39] = (uint8_t)udp;
	sum = (sum & 0xffff) + (sum >> 16);
	bytes[40] = (uint8_t)(sum >> 8);
	bytes[41] = (uint8_t)sum;
}

/* A frame whose first `head` bytes are private and whose rest lies in two pieces. */
static struct frame frame_of(uint8_t *bytes, uint32_t len, uint16_t head, struct seg segs[2]) {
	uint32_t rest = len - head, first = rest / 2;

	segs[0] = (struct seg){bytes + head, first};
	segs[1] = (struct seg){bytes + head + first, rest - first};
	return (struct frame){
		.head = bytes, .head_len = head, .len = len, .segs = segs, .nsegs = 2};
}

static void frames_of_the_kernel_come_in_whole_and_in_order(void **state) {
	struct bed *bed = netbed_need(state);
	static const uint32_t len[] = {14, 60, 127, 128, 129, 600, 1514};
	uint8_t bytes[1514], copy[1514];
	int s;

	open_port(bed, 1);
	s = netbed_raw(bed->ns, "weir0");
	for (unsigned i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		ethernet(bytes, FAR, HOST, 0x88b5, len[i]);
		netbed_send(s, bytes, len[i]);
	}
	for (unsigned i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		struct frame *f = &bed->b.f[0];

		assert_true(pull(bed, 0x88b5));
		assert_int_equal(f->drop, DROP_NONE);
		assert_int_equal(f->len, len[i]);
		assert_int_equal(bed->b.bytes, len[i]);
		assert_ptr_equal(f->head, bed->b.room[0]);
		assert_int_equal(f->head_len, len[i] < TAP_HEAD ? len[i] : TAP_HEAD);
		assert_false(offload_any(&f->ol));
		ethernet(bytes, FAR, HOST, 0x88b5, len[i]);
		frame_copy(f, 0, copy, len[i]);
		assert_memory_equal(copy, bytes, len[i]);
	}
	close(s);
}

static void a_batch_takes_what_is_there_and_keeps_it_until_the_next(void **state) {
	struct bed *bed = netbed_need(state);
	uint8_t bytes[1514], copy[1514];
	unsigned n = 0;
	int s;

	open_port(bed, 1);
	s = netbed_raw(bed->ns, "weir0");
	drain(bed);
	for (unsigned i = 0; i < 100; i++) {
		ethernet(bytes, FAR, HOST, 0x88b5, sizeof(bytes));
		bytes[20] = (uint8_t)i;
		bytes[1500] = (uint8_t)i;
		netbed_send(s, bytes, sizeof(bytes));
	}
	while (n < 100) {
		unsigned got = bed->p->ops->rx(bed->p->rxq[0], &bed->b, 40);

		assert_in_range(got, 1, 40);
		for (unsigned i = 0; i < got; i++) {
			struct frame *f = &bed->b.f[i];

			if (f->len != sizeof(bytes))
				continue; // the kernel's own
			frame_copy(f, 0, copy, f->len);
			assert_int_equal(copy[20], n);
			assert_int_equal(copy[1500], n);
			n++;
		}
		bed->p->ops->rx_done(bed->p->rxq[0], &bed->b);
	}
	drain(bed);
	assert_int_equal(bed->p->ops->rx(bed->p->rxq[0], &bed->b, 32), 0);
	close(s);
}

/* Whatever a turn did to the heads of those it left. */
static void frames_that_are_kept_come_again_untouched(void **state) {
	struct bed *bed = netbed_need(state);
	struct rxq *q;
	uint8_t bytes[1514], copy[1514];
	unsigned next = 0;
	int s;

	open_port(bed, 1);
	q = bed->p->rxq[0];
	s = netbed_raw(bed->ns, "weir0");
	drain(bed);
	for (unsigned i = 0; i < 100; i++) {
		ethernet(bytes, FAR, HOST, 0x88b5, sizeof(bytes));
		bytes[20] = (uint8_t)i;
		netbed_send(s, bytes, sizeof(bytes));
	}
	while (next < 100) {
		unsigned n = bed->p->ops->rx(q, &bed->b, BATCH_MAX), given = 0;

		assert_in_range(n, 1, BATCH_MAX);
		for (unsigned i = 0; i < n && given < 3; i++) {
			struct frame *f = &bed->b.f[i];

			given++;
			if (f->len != sizeof(bytes))
				continue; // the kernel's own
			frame_copy(f, 0, copy, f->len);
			ethernet(bytes, FAR, HOST, 0x88b5, sizeof(bytes));
			bytes[20] = (uint8_t)next++;
			assert_memory_equal(copy, bytes, sizeof(bytes));
		}
		for (unsigned i = given; i < n; i++) {
			assert_int_equal(
				frame_pull(&bed->b.f[i], 200, bed->b.room[i] + FRAME_HEAD_MAX), 0);
			memset(bed->b.f[i].head, 0x77, 200);
		}
		if (given < n) {
			bed->p->ops->rx_keep(q, &bed->b, given);
			assert_true(bed->p->ops->arm(q)); // it must not sleep on them
		}
	}
	close(s);
}

static void frames_go_out_from_private_head_and_payload(void **state) {
	struct bed *bed = netbed_need(state);
	uint8_t bytes[1514];
	struct seg segs[2];
	int s;

	open_port(bed, 1);
	s = netbed_raw(bed->ns, "weir0");
	for (uint16_t head = 14; head <= FRAME_HEAD_MAX; head += 121) {
		struct frame f;

		ethernet(bytes, FAR, HOST, 0x88b5, sizeof(bytes));
		f = frame_of(bytes, sizeof(bytes), head, segs);
		push(bed->p, 0, &f, 0);
		assert_true(netbed_recv(s, &bed->got));
		assert_int_equal(bed->got.len, sizeof(bytes));
		assert_int_equal(bed->got.vlan, -1);
		assert_memory_equal(bed->got.bytes, bytes, sizeof(bytes));
	}
	assert_int_equal(bed->p->txq[0]->c.frames, 3);
	assert_int_equal(bed->p->txq[0]->c.bytes, 3 * sizeof(bytes));
	close(s);
}

static void a_tag_is_put_behind_the_macs(void **state) {
	struct bed *bed = netbed_need(state);
	uint8_t bytes[300];
	struct seg segs[2];
	struct frame f;
	int s;

	open_port(bed, 1);
	s = netbed_raw(bed->ns, "weir0");
	ethernet(bytes, FAR, HOST, 0x88b5, sizeof(bytes));
	f = frame_of(bytes, sizeof(bytes), 64, segs);
	push(bed->p, 0, &f, 0x8100u << 16 | 3 << 13 | 100);
	assert_true(netbed_recv(s, &bed->got));
	assert_int_equal(bed->got.vlan, 3 << 13 | 100);
	// The kernel takes the tag out again: what is left is the frame.
	assert_int_equal(bed->got.len, sizeof(bytes));
	assert_memory_equal(bed->got.bytes, bytes, sizeof(bytes));
	close(s);
}

static void a_partial_checksum_passes_through_and_moves_with_the_tag(void **state) {
	struct bed *bed = netbed_need(state);
	uint8_t bytes[300];
	struct seg segs[2];
	int s;

	open_port(bed, 1);
	s = netbed_raw(bed->ns, "weir0");
	for (unsigned i = 0; i < 2; i++) {
		uint32_t tag = i * (0x8100u << 16 | 100);
		struct frame f;

		udp_partial(bytes, sizeof(bytes));
		f = frame_of(bytes, sizeof(bytes), 64, segs);
		f.ol = (struct offload){
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 6};
		push(bed->p, 0, &f, tag);
		assert_true(netbed_recv(s, &bed->got));
		assert_int_equal(bed->got.vlan, tag != 0 ? 100 : -1);
		assert_int_equal(bed->got.hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM,
			VIRTIO_NET_HDR_F_NEEDS_CSUM);
		assert_int_equal(bed->got.hdr.csum_start, 34);
		assert_int_equal(bed->got.hdr.csum_offset, 6);
	}
	close(s);
}

static void a_checksum_the_device_cannot_take_is_completed(void **state) {
	struct bed *bed = netbed_need(state);
	uint8_t bytes[301];
	struct sockaddr_in in = netbed_in("10.1.0.2", 0x2010);
	struct seg segs[2];
	struct frame f;
	struct timeval tv = {.tv_sec = 2};
	int raw, udp;

	open_port(bed, 1);
	netbed_addr(bed->ns, "weir0", "10.1.0.2");
	raw = netbed_raw(bed->ns, "weir0");
	udp = netbed_socket(bed->ns, AF_INET, SOCK_DGRAM, 0);
	setsockopt(udp, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	assert_return_code(bind(udp, (struct sockaddr *)&in, sizeof(in)), errno);
	tap_of_rx(bed->p->rxq[0])->tap->caps = 0;
	udp_partial(bytes, sizeof(bytes));
	netbed_mac(bed->ns, "weir0", bytes);
	f = frame_of(bytes, sizeof(bytes), 64, segs);
	f.ol = (struct offload){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 6};
	push(bed->p, 0, &f, 0);
	assert_true(netbed_recv(raw, &bed->got));
	assert_int_equal(bed->got.hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 0);
	assert_int_equal(bed->p->txq[0]->c.checksummed, 1);
	// The kernel's own verification: a datagram with a wrong sum does not reach the socket.
	assert_int_equal(recv(udp, bed->got.bytes, sizeof(bed->got.bytes), 0), sizeof(bytes) - 42);
	close(udp);
	close(raw);
}

static void the_kernel_leaves_udp_checksums_to_us(void **state) {
	struct bed *bed = netbed_need(state);
	struct sockaddr_in to = netbed_in("10.1.0.9", 9);
	char data[400] = "x";
	struct frame *f = &bed->b.f[0];
	int udp;

	open_port(bed, 1);
	netbed_addr(bed->ns, "weir0", "10.1.0.2");
	netbed_neighbour(bed->ns, "weir0", "10.1.0.9", FAR);
	udp = netbed_socket(bed->ns, AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(sendto(udp, data, sizeof(data), 0, (struct sockaddr *)&to, sizeof(to)),
		sizeof(data));
	do
		assert_true(pull(bed, ETHERTYPE_IP));
	while (f->head[23] != IPPROTO_UDP);
	assert_int_equal(f->drop, DROP_NONE);
	assert_int_equal(f->ol.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(f->ol.csum_start, 34);
	assert_int_equal(f->ol.csum_offset, 6);
	close(udp);
}

static void frames_longer_than_the_mtu_are_named_both_ways(void **state) {
	struct bed *bed = netbed_need(state);
	uint8_t bytes[1519];
	struct seg segs[2];
	struct frame f;
	int s;

	open_port(bed, 1);
	s = netbed_raw(bed->ns, "weir0");
	netbed_mtu(bed->ns, "weir0", 4000); // behind our back
	ethernet(bytes, FAR, HOST, 0x88b5, sizeof(bytes));
	netbed_send(s, bytes, sizeof(bytes) - 1);
	assert_true(pull(bed, 0x88b5));
	assert_int_equal(bed->b.f[0].drop, DROP_NONE);
	netbed_send(s, bytes, sizeof(bytes));
	assert_true(pull(bed, 0x88b5));
	assert_int_equal(bed->b.f[0].drop, DROP_OVERSIZE);

	f = frame_of(bytes, sizeof(bytes), 64, segs);
	push(bed->p, 0, &f, 0);
	assert_int_equal(bed->p->txq[0]->c.drops[DROP_TOO_BIG], 1);
	assert_int_equal(bed->p->txq[0]->c.frames, 0);
	close(s);
}

static void a_frame_cut_short_is_named(void **state) {
	struct bed *bed = netbed_need(state);
	struct tap_queue *tq;
	uint8_t bytes[TAP_VNET_HDR + 13] = {0};
	int pair[2];

	open_port(bed, 1);
	tq = tap_of_rx(bed->p->rxq[0]);
	// No kernel sends this; the queue is made to read from us instead.
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), errno);
	assert_return_code(dup3(pair[0], tq->fd, O_CLOEXEC), errno);
	assert_int_equal(send(pair[1], bytes, sizeof(bytes), 0), sizeof(bytes));
	assert_int_equal(bed->p->ops->rx(bed->p->rxq[0], &bed->b, 1), 1);
	assert_int_equal(bed->b.f[0].drop, DROP_RUNT);
	close(pair[0]);
	close(pair[1]);
}

static void payload_that_vanishes_costs_the_frame_and_nothing_else(void **state) {
	struct bed *bed = netbed_need(state);
	uint8_t bytes[300], *gone = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct seg segs[2];
	struct frame f;

	open_port(bed, 1);
	munmap(gone, 4096);
	ethernet(bytes, FAR, HOST, 0x88b5, sizeof(bytes));
	f = frame_of(bytes, sizeof(bytes), 64, segs);
	segs[1].base = gone;
	push(bed->p, 0, &f, 0);
	assert_int_equal(bed->p->txq[0]->c.drops[DROP_TX_ERROR], 1);
	f = frame_of(bytes, sizeof(bytes), 64, segs);
	push(bed->p, 0, &f, 0);
	assert_int_equal(bed->p->txq[0]->c.frames, 1);
}

static void the_descriptor_is_readable_while_a_frame_waits(void **state) {
	struct bed *bed = netbed_need(state);
	const struct port_ops *ops;
	struct pollfd p = {.events = POLLIN};
	uint8_t bytes[60];
	int s;

	open_port(bed, 1);
	ops = bed->p->ops;
	s = netbed_raw(bed->ns, "weir0");
	p.fd = ops->fd(bed->p->rxq[0]);
	drain(bed);
	assert_false(ops->arm(bed->p->rxq[0]));
	ethernet(bytes, FAR, HOST, 0x88b5, sizeof(bytes));
	netbed_send(s, bytes, sizeof(bytes));
	assert_int_equal(poll(&p, 1, 2000), 1);
	ops->disarm(bed->p->rxq[0]);
	assert_true(ops->arm(bed->p->rxq[0]));
	assert_true(pull(bed, 0x88b5));
	close(s);
}

static void a_queue_found_empty_is_left_alone_for_a_while(void **state) {
	struct bed *bed = netbed_need(state);
	const struct port_ops *ops;
	struct tap_queue *tq;
	uint8_t bytes[60];
	int s;

	open_port(bed, 1);
	ops = bed->p->ops;
	tq = tap_of_rx(bed->p->rxq[0]);
	s = netbed_raw(bed->ns, "weir0");
	tq->tap->us = UINT64_C(1) << 40; // longer than this test
	drain(bed);
	ethernet(bytes, FAR, HOST, 0x88b5, sizeof(bytes));
	netbed_send(s, bytes, sizeof(bytes));
	assert_int_equal(ops->rx(bed->p->rxq[0], &bed->b, 1), 0);
	// But not by one who is about to sleep, nor by one who was woken.
	assert_true(ops->arm(bed->p->rxq[0]));
	ops->disarm(bed->p->rxq[0]);
	assert_int_equal(ops->rx(bed->p->rxq[0], &bed->b, 1), 1);

	tq->tap->us = 1;
	drain(bed);
	ops->disarm(bed->p->rxq[0]);
	for (unsigned quiet = 1; quiet <= 64; quiet *= 2) {
		tq->quiet_until = 0;
		assert_int_equal(ops->rx(bed->p->rxq[0], &bed->b, 1), 0);
		assert_int_equal(tq->quiet, quiet < TAP_QUIET_MAX_US ? quiet : TAP_QUIET_MAX_US);
	}
	close(s);
}

static void several_queues_carry_flows_each_on_its_own(void **state) {
	struct bed *bed = netbed_need(state);
	struct sockaddr_in to = netbed_in("10.1.0.9", 0);
	unsigned used = 0, all = 0;
	int udp;

	open_port(bed, 4);
	assert_int_equal(bed->p->active_pairs, 4);
	netbed_addr(bed->ns, "weir0", "10.1.0.2");
	netbed_neighbour(bed->ns, "weir0", "10.1.0.9", FAR);
	udp = netbed_socket(bed->ns, AF_INET, SOCK_DGRAM, 0);
	for (int i = 0; i < 64; i++) {
		to.sin_port = htons((uint16_t)(1000 + i));
		assert_int_equal(sendto(udp, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)), 5);
	}
	for (int q = 0; q < 4; q++) {
		unsigned here = 0;

		while (bed->p->ops->rx(bed->p->rxq[q], &bed->b, BATCH_MAX) > 0)
			for (unsigned i = 0; i < bed->b.n; i++)
				here += bed->b.f[i].len == 47 &&
					bed->b.f[i].head[23] == IPPROTO_UDP;
		used += here > 0;
		all += here;
	}
	assert_int_equal(all, 64);
	assert_in_range(used, 2, 4);
	close(udp);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		T(frames_of_the_kernel_come_in_whole_and_in_order),
		T(a_batch_takes_what_is_there_and_keeps_it_until_the_next),
		T(frames_that_are_kept_come_again_untouched),
		T(frames_go_out_from_private_head_and_payload),
		T(a_tag_is_put_behind_the_macs),
		T(a_partial_checksum_passes_through_and_moves_with_the_tag),
		T(a_checksum_the_device_cannot_take_is_completed),
		T(the_kernel_leaves_udp_checksums_to_us),
		T(frames_longer_than_the_mtu_are_named_both_ways),
		T(a_frame_cut_short_is_named),
		T(payload_that_vanishes_costs_the_frame_and_nothing_else),
		T(the_descriptor_is_readable_while_a_frame_waits),
		T(a_queue_found_empty_is_left_alone_for_a_while),
		T(several_queues_carry_flows_each_on_its_own),
	};

	return cmocka_run_group_tests_name("tap", tests, NULL, NULL);
}
