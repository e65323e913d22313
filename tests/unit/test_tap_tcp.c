/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "port/tap.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/err.h"
#include "frame/offload.h"
#include "netbed.h"

/* Two kernels talk real TCP through TAP ports that a loop of the test joins:
 *
 *     ns a [weir0] <- loop -> [weir0] ns b
 *
 * and the same with a tagged piece of road in between, a kernel bridge that has two TAPs:
 *
 *     ns a [weir0] <- loop -> [t1] bridge [t2] <- loop -> [weir0] ns b
 *
 * Every byte carries its place in the stream, so a frame cut, swapped or invented shows. */

enum { WIRES_MAX = 4, MEGABYTES = 16, TAG_100 = (int)0x81000064 };

struct wire {
	struct port *from, *to;
	uint32_t tag; /* put in on the way out */
	bool tagged_only; /* what comes without is the kernel's own chatter */
	unsigned frames, gso, csum, dropped;
	struct batch b;
};

struct road {
	struct wire wire[WIRES_MAX];
	unsigned n;
	atomic_bool stop;
};

static void carry(struct wire *w) {
	struct tx_item items[BATCH_MAX];
	struct rxq *q = w->from->rxq[0];
	struct txq *t = w->to->txq[0];
	unsigned n = 0;

	w->from->ops->rx(q, &w->b, BATCH_MAX);
	for (unsigned i = 0; i < w->b.n; i++) {
		struct frame *f = &w->b.f[i];

		w->frames++;
		if (f->drop != DROP_NONE || frame_parse(f) != DROP_NONE) {
			w->dropped++;
			continue;
		}
		if (w->tagged_only && !(f->flags & FRAME_TAGGED))
			continue;
		w->gso += f->ol.gso_type != VIRTIO_NET_HDR_GSO_NONE;
		w->csum += (f->ol.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0;
		items[n++] = (struct tx_item){f, w->tag};
	}
	if (n > 0 && w->to->ops->tx_begin(t)) {
		w->to->ops->tx(t, items, n);
		w->from->ops->rx_done(q, &w->b);
		w->to->ops->tx_end(t);
	} else {
		w->from->ops->rx_done(q, &w->b);
	}
}

static void *loop(void *arg) {
	struct road *r = arg;

	while (!atomic_load(&r->stop))
		for (unsigned i = 0; i < r->n; i++)
			carry(&r->wire[i]);
	return NULL;
}

static uint32_t word_at(uint64_t i) {
	return (uint32_t)(i * 2654435761u);
}

static void send_stream(int s) {
	uint32_t chunk[16384];

	for (uint64_t at = 0; at < MEGABYTES * 262144; at += 16384) {
		for (unsigned i = 0; i < 16384; i++)
			chunk[i] = word_at(at + i);
		for (size_t off = 0; off < sizeof(chunk);) {
			ssize_t n = send(s, (char *)chunk + off, sizeof(chunk) - off, MSG_NOSIGNAL);

			if (n <= 0)
				return; // the other side tells what it did not get
			off += (size_t)n;
		}
	}
}

/* How many words came as they were sent. */
static uint64_t recv_stream(int s) {
	uint32_t chunk[16384];

	for (uint64_t at = 0; at < MEGABYTES * 262144; at += 16384) {
		if (recv(s, chunk, sizeof(chunk), MSG_WAITALL) != sizeof(chunk))
			return at;
		for (unsigned i = 0; i < 16384; i++)
			if (chunk[i] != word_at(at + i))
				return at + i;
	}
	return MEGABYTES * 262144;
}

struct server {
	int listener;
	uint64_t got;
};

static void timeouts(int s) {
	struct timeval tv = {.tv_sec = 10};

	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static void *serve(void *arg) {
	struct server *v = arg;
	int s = accept(v->listener, NULL, NULL);

	if (s < 0)
		return NULL;
	timeouts(s);
	v->got = recv_stream(s);
	send_stream(s);
	close(s);
	return NULL;
}

/* There and back again, over the address of b. */
static void transfer(int a, int b, const struct sockaddr_storage *to, const char *what) {
	struct server v = {.listener = netbed_socket(b, to->ss_family, SOCK_STREAM, 0)};
	int s = netbed_socket(a, to->ss_family, SOCK_STREAM, 0);
	struct timespec t0, t1;
	uint64_t got = 0;
	pthread_t thread;

	timeouts(s);
	timeouts(v.listener);
	assert_return_code(bind(v.listener, (struct sockaddr *)to, sizeof(*to)), errno);
	assert_return_code(listen(v.listener, 1), errno);
	assert_int_equal(pthread_create(&thread, NULL, serve, &v), 0);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	if (connect(s, (struct sockaddr *)to, sizeof(*to)) == 0) {
		send_stream(s);
		got = recv_stream(s);
	}
	clock_gettime(CLOCK_MONOTONIC, &t1);
	close(s);
	pthread_join(thread, NULL);
	close(v.listener);
	assert_int_equal(v.got, MEGABYTES * 262144);
	assert_int_equal(got, MEGABYTES * 262144);
	print_message("# %s: %.1f Gbit/s\n", what,
		2.0 * MEGABYTES * 8 * 1048576 / 1e9 /
			((double)(t1.tv_sec - t0.tv_sec) +
				(double)(t1.tv_nsec - t0.tv_nsec) / 1e9));
}

static struct port *tap_in(int ns, const char *name) {
	struct port_spec s = {
		.name = "p", .kind = PORT_TAP, .path = name, .queues = 1, .mtu = 1500};
	struct port *p;
	struct err e = {""};
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", ns);
	s.netns = path;
	if (port_open(&p, 0, &s, &e) < 0)
		fail_msg("%s", e.text);
	return p;
}

static void set_caps(struct port *p, unsigned caps) {
	tap_of_rx(p->rxq[0])->tap->caps = caps;
}

static struct sockaddr_storage address(int family) {
	struct sockaddr_storage to = {0};

	if (family == AF_INET) {
		struct sockaddr_in in = netbed_in("10.2.0.2", 5001);

		memcpy(&to, &in, sizeof(in));
	} else {
		struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(5001)};

		inet_pton(AF_INET6, "fd00::2", &in6.sin6_addr);
		memcpy(&to, &in6, sizeof(in6));
	}
	return to;
}

/* Two namespaces with a port each and addresses of both families. */
struct ends {
	int a, b;
	struct port *pa, *pb;
};

static struct ends ends_open(void) {
	struct ends e = {.a = netbed_new(), .b = netbed_new()};

	e.pa = tap_in(e.a, "weir0");
	e.pb = tap_in(e.b, "weir0");
	netbed_addr(e.a, "weir0", "10.2.0.1");
	netbed_addr(e.b, "weir0", "10.2.0.2");
	netbed_addr6(e.a, "weir0", "fd00::1");
	netbed_addr6(e.b, "weir0", "fd00::2");
	return e;
}

static void ends_close(struct ends *e) {
	port_close(e->pa);
	port_close(e->pb);
	close(e->a);
	close(e->b);
}

static struct road *road_new(void) {
	struct road *r = aligned_alloc(64, (sizeof(*r) + 63) & ~63ul);

	assert_non_null(r);
	memset(r, 0, sizeof(*r));
	return r;
}

static void add_wire(
	struct road *r, struct port *from, struct port *to, int tag, bool tagged_only) {
	struct wire *w = &r->wire[r->n++];

	w->from = from;
	w->to = to;
	w->tag = (uint32_t)tag;
	w->tagged_only = tagged_only;
}

static void run(struct road *r, const struct ends *e, int family, const char *what) {
	struct sockaddr_storage to = address(family);
	pthread_t thread;

	atomic_store(&r->stop, false);
	assert_int_equal(pthread_create(&thread, NULL, loop, r), 0);
	transfer(e->a, e->b, &to, what);
	atomic_store(&r->stop, true);
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < r->n; i++)
		assert_int_equal(r->wire[i].dropped, 0);
}

static void tcp_passes_in_segments_of_64_kib_both_ways(void **state) {
	struct road *r;
	struct ends e;

	netbed_need(state);
	r = road_new();
	e = ends_open();
	add_wire(r, e.pa, e.pb, 0, false);
	add_wire(r, e.pb, e.pa, 0, false);
	for (int i = 0; i < 2; i++) {
		r->wire[0].gso = r->wire[1].gso = 0;
		run(r, &e, i == 0 ? AF_INET : AF_INET6, i == 0 ? "TSO, IPv4" : "TSO, IPv6");
		assert_in_range(r->wire[0].gso, 100, 100000);
		assert_in_range(r->wire[1].gso, 100, 100000);
	}
	assert_int_equal(e.pa->txq[0]->c.segmented + e.pb->txq[0]->c.segmented, 0);
	assert_int_equal(e.pb->txq[0]->c.drops[DROP_TX_ERROR], 0);
	ends_close(&e);
	free(r);
}

static void tcp_is_cut_and_summed_up_for_a_device_that_takes_no_offload(void **state) {
	struct road *r;
	struct ends e;

	netbed_need(state);
	r = road_new();
	e = ends_open();
	set_caps(e.pa, 0);
	set_caps(e.pb, 0);
	add_wire(r, e.pa, e.pb, 0, false);
	add_wire(r, e.pb, e.pa, 0, false);
	run(r, &e, AF_INET, "cut in software, IPv4");
	run(r, &e, AF_INET6, "cut in software, IPv6");
	assert_in_range(e.pa->txq[0]->c.segmented, 100, 100000);
	assert_in_range(e.pb->txq[0]->c.segmented, 100, 100000);
	assert_in_range(e.pb->txq[0]->c.checksummed, 1, 100000);
	ends_close(&e);
	free(r);
}

static void tagged_tcp_passes_with_its_offloads(void **state) {
	struct port *t1, *t2;
	struct road *r;
	struct ends e;
	int mid;

	netbed_need(state);
	r = road_new();
	e = ends_open();
	mid = netbed_new();
	t1 = tap_in(mid, "t1");
	t2 = tap_in(mid, "t2");
	netbed_bridge(mid, "br0", "t1", "t2");
	add_wire(r, e.pa, t1, TAG_100, false);
	add_wire(r, t2, e.pb, 0, true);
	add_wire(r, e.pb, t2, TAG_100, false);
	add_wire(r, t1, e.pa, 0, true);
	run(r, &e, AF_INET, "TSO and tag, IPv4");
	run(r, &e, AF_INET6, "TSO and tag, IPv6");
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(r->wire[i].gso, 100, 100000);
	assert_int_equal(t1->txq[0]->c.drops[DROP_TX_ERROR], 0);
	assert_int_equal(t2->txq[0]->c.drops[DROP_TX_ERROR], 0);
	port_close(t1);
	port_close(t2);
	ends_close(&e);
	close(mid);
	free(r);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_passes_in_segments_of_64_kib_both_ways),
		cmocka_unit_test(tcp_is_cut_and_summed_up_for_a_device_that_takes_no_offload),
		cmocka_unit_test(tagged_tcp_passes_with_its_offloads),
	};

	return cmocka_run_group_tests_name("tap_tcp", tests, NULL, NULL);
}
