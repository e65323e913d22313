/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Honest guests of every form: split and packed rings, chains, indirect tables, event indices, in
 * order, mergeable buffers or not, small rings and large, several queues, a switch that connects to
 * the guest; and a switch that is killed and comes back. Each sends numbered frames of changing
 * length to a plain guest and gets as many back; none may be lost, doubled, late or changed. */
#include "bed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FRAMES = 3000,
	NUMBER_AT = 42,
	LEN_MIN = 60,
	LEN_MAX = 1514,
	UNDER_WAY_MAX = 32,
	GREETING = 64,
	SETTLE_MS = 5000
};

#define PACKED   FRONT_BIT(VIRTIO_F_RING_PACKED)
#define EVENT    FRONT_BIT(VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT FRONT_BIT(VIRTIO_RING_F_INDIRECT_DESC)
#define ORDER    FRONT_BIT(VIRTIO_F_IN_ORDER)
#define V1       FRONT_BIT(VIRTIO_F_VERSION_1)

static struct front f; /* the guest of the case */

struct form {
	const char *sentence, *port;
	struct front_options o;
	unsigned len_max; /* 0: LEN_MAX */
};

/* One direction of an exchange. */
struct way {
	struct front *from, *to;
	unsigned pair; /* of the sender */
	struct bed_mac source, target;
	uint32_t sent, got;
	unsigned len_max;
};

static unsigned length(const struct way *w, uint32_t number) {
	return LEN_MIN + number * 7 % (w->len_max - LEN_MIN + 1);
}

static unsigned make(const struct way *w, uint8_t *frame, uint32_t number) {
	unsigned len = length(w, number);

	front_udp_frame(frame, len, w->target.octet, w->source.octet);
	memcpy(frame + NUMBER_AT, &number, sizeof(number));
	for (unsigned i = NUMBER_AT + 4; i < len; i++)
		frame[i] = i + number;
	return len;
}

static void send_some(struct way *w, uint32_t n) {
	static uint8_t frame[65536];

	while (w->sent < n && w->sent - w->got < UNDER_WAY_MAX) {
		unsigned len = make(w, frame, w->sent);

		if (front_put(w->from, w->pair, frame, len, NULL) != 0)
			break;
		w->sent++;
	}
	front_flush(w->from, w->pair);
}

/* A frame of settle(), which may be late; all others are numbered and full. */
static bool is_greeting(const uint8_t *in, int len) {
	static const uint8_t zeros[GREETING];

	return len == GREETING && memcmp(in + NUMBER_AT, zeros, GREETING - NUMBER_AT) == 0;
}

/* Takes what is there, on any pair; true when something was. `gaps`: lost ones are fair. */
static bool take_some(struct way *w, bool gaps) {
	static uint8_t in[65536], expected[65536];
	bool some = false;

	for (unsigned pair = 0; pair < w->to->o.pairs; pair++) {
		for (int len; (len = front_recv(w->to, pair, in, sizeof(in), NULL)) != -EAGAIN;) {
			uint32_t number;

			if (len < 0)
				fail_msg("%s", w->to->why);
			if (is_greeting(in, len))
				continue;
			memcpy(&number, in + NUMBER_AT, sizeof(number));
			if (number < w->got)
				fail_msg("frame %u came twice, or late: %u was next", number,
					w->got);
			if (number > w->got && !gaps)
				fail_msg("frame %u came, %u was next", number, w->got);
			if ((unsigned)len != make(w, expected, number) ||
				memcmp(in, expected, len) != 0)
				fail_msg("frame %u, %d bytes, was changed on its way", number, len);
			w->got = number + 1;
			some = true;
		}
	}
	return some;
}

static void exchange(struct way *w, unsigned nways, uint32_t n) {
	unsigned idle = 0;

	for (bool done = false; !done;) {
		bool some = false;

		done = true;
		for (unsigned i = 0; i < nways; i++) {
			send_some(&w[i], n);
			some |= take_some(&w[i], false);
			done &= w[i].got == n;
		}
		idle = some || done ? 0 : idle + 1;
		/* Every other pause is slept on the receiver's interrupt, as a driver does. */
		if (!some && !done && idle % 2 == 0)
			front_wait(front_rx(w[idle / 2 % nways].to, 0), 20);
		if (idle > 500 * bed_patience())
			fail_msg("nothing comes any more: %u of %u there, %u of %u back", w[0].got,
				n, w[1].got, n);
	}
}

static void both_ways(struct way *w, struct front *a, struct front *b, unsigned len_max) {
	len_max = len_max != 0 ? len_max : LEN_MAX;
	w[0] = (struct way){
		.from = a, .to = b, .source = mac_bad, .target = mac_mate, .len_max = len_max};
	w[1] = (struct way){
		.from = b, .to = a, .source = mac_mate, .target = mac_bad, .len_max = len_max};
}

/* Rings start a moment after the last message was acknowledged, and what is sent until then is lost,
 * fairly. Waits until frames pass both ways; both then know each other, so nothing is flooded. */
static void settle(void) {
	static uint8_t in[65536];
	const uint64_t end = bed_now_ms() + SETTLE_MS * bed_patience();
	bool there = false, back = false;

	while (!(there && back) && bed_now_ms() < end) {
		there = bed_passes(&f);
		bed_mate_sends(1);
		front_wait(front_rx(&f, 0), 50);
		for (unsigned pair = 0; pair < f.o.pairs; pair++)
			while (front_recv(&f, pair, in, sizeof(in), NULL) >= 0)
				back = true;
	}
	if (!there || !back)
		fail_msg("no frame passes %s", there ? "back" : "there");
	bed_rest(20);
	for (unsigned pair = 0; pair < f.o.pairs; pair++)
		while (front_recv(&f, pair, in, sizeof(in), NULL) >= 0)
			;
}

static void carries(void **state) {
	const struct form *form = *state;
	struct way w[2];

	bed_attach(&f, form->port, form->o);
	settle();
	both_ways(w, &f, bed_mate(), form->len_max);
	for (unsigned pair = 0; pair < f.o.pairs; pair++) {
		w[0].pair = pair;
		w[0].sent = w[0].got = w[1].sent = w[1].got = 0;
		exchange(w, 2, FRAMES / f.o.pairs);
	}
	/* And after a driver's reset. */
	assert_int_equal(front_stop(&f), 0);
	assert_int_equal(front_start(&f), 0);
	settle();
	w[0].sent = w[0].got = w[1].sent = w[1].got = 0;
	exchange(w, 2, FRAMES / 10);
	bed_hold();
}

/* All buffers are back or with the switch: none was lost. */
static void all_there(struct front *g) {
	for (unsigned i = 0; i < 200 && front_tx(g, 0)->places != front_tx(g, 0)->size; i++) {
		bed_rest(5);
		front_reap(g, 0);
	}
	if (front_tx(g, 0)->places != front_tx(g, 0)->size)
		fail_msg("%u transmit descriptors did not come back",
			front_tx(g, 0)->size - front_tx(g, 0)->places);
	assert_int_equal(front_rx(g, 0)->places, 0);
}

static void survives(void **state) {
	const struct form *form = *state;
	struct front *mate = bed_mate();
	struct way w[2];

	bed_attach(&f, form->port, form->o);
	settle();
	both_ways(w, &f, mate, form->len_max);
	for (unsigned round = 0; round < 5; round++) {
		exchange(w, 2, w[0].got + 500);
		for (unsigned i = 0; i < 2; i++)
			send_some(&w[i], w[i].sent + UNDER_WAY_MAX); /* under way when it dies */
		bed_kill_switch();
		for (unsigned i = 0; i < 2; i++)
			take_some(&w[i], true);
		send_some(&w[0], w[0].sent + 5); /* while there is no switch */
		bed_restart_switch();
		f.o.timeout_ms = mate->o.timeout_ms = 5000 * bed_patience();
		if (front_reconnect(&f) != 0 || front_reconnect(mate) != 0)
			fail_msg("no way back: %s, %s", f.why, mate->why);
		all_there(&f);
		all_there(mate);
		bed_rest(200);
		for (unsigned i = 0; i < 2; i++)
			take_some(&w[i], true);
		for (unsigned i = 0; i < 2; i++)
			w[i].got = w[i].sent = w[0].sent > w[1].sent ? w[0].sent : w[1].sent;
	}
	exchange(w, 2, w[0].got + 500);
}

/* Feature bits without mergeable buffers. */
#define ALONE(bits)  .features = V1 | (bits)
#define MERGED(bits) .features = FRONT_F_PLAIN | (bits)

static struct form forms[] = {
	{"split rings carry frames", "bad", {MERGED(0)}},
	{"split rings without mergeable buffers carry frames", "bad", {ALONE(0)}},
	{"split rings before virtio 1.0 carry frames", "bad",
		{.features = FRONT_BIT(VIRTIO_NET_F_MAC)}},
	{"split rings with event indices carry frames", "bad", {MERGED(EVENT)}},
	{"split rings in order carry frames", "bad", {MERGED(ORDER | EVENT)}},
	{"split rings of 64 carry frames", "bad", {MERGED(EVENT), .ring_size = 64}},
	{"split rings of 4,096 carry frames", "bad", {MERGED(EVENT), .ring_size = 4096}},
	{"a header alone and a frame behind carry frames", "bad",
		{MERGED(EVENT), .header_alone = true}},
	{"chains of 19 carry frames", "bad", {MERGED(EVENT), .chain = 18, .header_alone = true}},
	{"chains over several regions carry frames", "bad", {MERGED(0), .chain = 5, .regions = 8}},
	{"indirect tables carry frames", "bad",
		{MERGED(INDIRECT | EVENT), .chain = 19, .indirect = true, .header_alone = true}},
	{"receive buffers of 200 bytes are merged", "bad", {MERGED(EVENT), .buffer_size = 200},
		188},
	{"packed rings carry frames", "bad", {MERGED(PACKED)}},
	{"packed rings without mergeable buffers carry frames", "bad", {ALONE(PACKED)}},
	{"packed rings with event indices carry frames", "bad", {MERGED(PACKED | EVENT)}},
	{"packed rings in order carry frames", "bad", {MERGED(PACKED | ORDER | EVENT)}},
	{"packed rings of 100 carry frames", "bad", {MERGED(PACKED | EVENT), .ring_size = 100}},
	{"packed rings of 4,096 carry frames", "bad", {MERGED(PACKED | EVENT), .ring_size = 4096}},
	{"packed chains of 19 carry frames", "bad",
		{MERGED(PACKED | EVENT), .chain = 18, .header_alone = true}},
	{"packed indirect tables carry frames", "bad",
		{MERGED(PACKED | INDIRECT | EVENT), .chain = 19, .indirect = true}},
	{"four queue pairs carry frames", "many",
		{MERGED(EVENT | FRONT_BIT(VIRTIO_NET_F_MQ)), .pairs = 4}},
	{"two of four queue pairs carry frames", "many",
		{MERGED(EVENT | FRONT_BIT(VIRTIO_NET_F_MQ)), .pairs = 2}},
	{"four packed queue pairs carry frames", "many",
		{MERGED(PACKED | EVENT | FRONT_BIT(VIRTIO_NET_F_MQ)), .pairs = 4}},
	{"a switch that connects to the guest carries frames", "client",
		{MERGED(EVENT), .listen = true}},
};

static struct form survivors[] = {
	{"split rings go on after the switch was killed", "bad", {MERGED(0)}},
	{"split rings with event indices go on after the switch was killed", "bad",
		{MERGED(EVENT)}},
	{"packed rings go on after the switch was killed", "bad", {MERGED(PACKED)}},
	{"packed chains go on after the switch was killed", "bad",
		{MERGED(PACKED | EVENT), .chain = 4, .ring_size = 100}},
	{"packed rings go on after the switch was killed, without an in-flight region", "bad",
		{MERGED(PACKED), .protocol = FRONT_P_MQ | FRONT_P_REPLY_ACK}},
};

static int tidy(void **state) {
	(void)state;
	bed_detach(&f);
	return 0;
}

static int start(void **state) {
	(void)state;
	return bed_start(NULL, "  many: {vhost-user: @/many, queues: 4, network: dark}\n"
			       "  client: {vhost-user: @/client, mode: client, network: dark}\n");
}

int main(void) {
	enum { N = sizeof(forms) / sizeof(forms[0]), M = sizeof(survivors) / sizeof(survivors[0]) };
	struct CMUnitTest t[N + M] = {0};

	for (unsigned i = 0; i < N; i++)
		t[i] = (struct CMUnitTest){.name = forms[i].sentence,
			.test_func = carries,
			.teardown_func = tidy,
			.initial_state = &forms[i]};
	for (unsigned i = 0; i < M; i++)
		t[N + i] = (struct CMUnitTest){.name = survivors[i].sentence,
			.test_func = survives,
			.teardown_func = tidy,
			.initial_state = &survivors[i]};
	cmocka_set_test_filter(getenv("WEIR_CASE"));
	return cmocka_run_group_tests_name("forms", t, start, bed_teardown);
}
