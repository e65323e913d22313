/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "port/port.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

/* A port with four queues of which `active` are in use; no kind behind it is asked anything. */
static struct port *four_queues(uint16_t active) {
	static struct txq tx[4];
	static uint8_t flows[FLOW_QUEUES];
	static struct port p;

	memset(flows, 0xff, sizeof(flows));
	p = (struct port){.queues = 4, .active_pairs = active, .flow_queue = flows};
	for (int i = 0; i < 4; i++) {
		tx[i].index = (uint16_t)i;
		p.txq[i] = &tx[i];
	}
	return &p;
}

/* An UDP frame of flow `i`, in `room`; the other way round when `back`. */
static void flow(struct frame *f, uint8_t room[FRAME_HEAD_MAX], uint16_t i, bool back) {
	static const uint8_t bytes[42] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 28,
		0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x10, 0, 0x20, 0, 0, 8, 0, 0};

	memcpy(room, bytes, sizeof(bytes));
	room[34] = (uint8_t)(i >> 8);
	room[35] = (uint8_t)i;
	if (back) {
		memcpy(room + 26, bytes + 30, 4);
		memcpy(room + 30, bytes + 26, 4);
		memcpy(room + 36, room + 34, 2);
		memcpy(room + 34, bytes + 36, 2);
	}
	*f = (struct frame){.head = room, .len = sizeof(bytes), .head_len = sizeof(bytes)};
	assert_int_equal(frame_parse(f), DROP_NONE);
}

static void a_flow_leaves_on_the_queue_the_guest_last_sent_it_on(void **state) {
	struct port *p = four_queues(4);
	uint8_t room[FRAME_HEAD_MAX];
	struct frame f;

	for (uint16_t q = 0; q < 4; q++) {
		flow(&f, room, 77, false);
		port_note_flow(p, &f, room + sizeof(room), q);
		flow(&f, room, 77, true);
		assert_int_equal(port_pick_txq(p, &f, room + sizeof(room))->index, q);
	}
}

static void flows_not_seen_yet_spread_over_the_active_queues(void **state) {
	unsigned seen[4] = {0};

	for (uint16_t active = 1; active <= 4; active++) {
		struct port *p = four_queues(active);

		memset(seen, 0, sizeof(seen));
		for (uint16_t i = 0; i < 1000; i++) {
			uint8_t room[FRAME_HEAD_MAX];
			struct frame f;

			flow(&f, room, i, false);
			seen[port_pick_txq(p, &f, room + sizeof(room))->index]++;
		}
		for (uint16_t q = 0; q < 4; q++)
			if (q < active)
				assert_in_range(seen[q], 700 / active, 1300 / active);
			else
				assert_int_equal(seen[q], 0);
	}
}

static void a_queue_the_guest_no_longer_uses_is_not_picked(void **state) {
	struct port *p = four_queues(4);
	uint8_t room[FRAME_HEAD_MAX];
	struct frame f;

	flow(&f, room, 5, false);
	port_note_flow(p, &f, room + sizeof(room), 3);
	p->active_pairs = 2;
	flow(&f, room, 5, true);
	assert_in_range(port_pick_txq(p, &f, room + sizeof(room))->index, 0, 1);
	p->active_pairs = 4;
	assert_int_equal(port_pick_txq(p, &f, room + sizeof(room))->index, 3);
}

static void a_port_with_one_queue_remembers_nothing(void **state) {
	struct port *p = four_queues(1);
	uint8_t room[FRAME_HEAD_MAX];
	struct frame f;

	p->flow_queue = NULL;
	flow(&f, room, 5, false);
	port_note_flow(p, &f, room + sizeof(room), 0);
	assert_ptr_equal(port_pick_txq(p, &f, room + sizeof(room)), p->txq[0]);
}

static void numbers_out_of_range_are_refused_with_the_range(void **state) {
	static const struct {
		struct port_spec s;
		const char *text;
	} bad[] = {
		{{"a", PORT_TAP, "t", .queues = 0, .mtu = 1500}, "0 queues; a port has 1 to 16"},
		{{"a", PORT_TAP, "t", .queues = 17, .mtu = 1500}, "17 queues; a port has 1 to 16"},
		{{"a", PORT_TAP, "t", .queues = 1, .mtu = 67},
			"mtu 67 is out of range; it may be 68 to 9000"},
		{{"a", PORT_TAP, "t", .queues = 1, .mtu = 9001},
			"mtu 9001 is out of range; it may be 68 to 9000"},
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct port *p;
		struct err e;

		assert_int_equal(port_open(&p, 1, &bad[i].s, &e), -EINVAL);
		assert_null(p);
		assert_string_equal(e.text, bad[i].text);
	}
}

static void states_and_kinds_have_names(void **state) {
	assert_string_equal(port_state_name(PORT_WAITING), "waiting");
	assert_string_equal(port_state_name((enum port_state)99), "unknown");
	assert_string_equal(port_kind_name(PORT_VHOST_USER), "vhost-user");
	assert_string_equal(port_kind_name(PORT_TAP), "tap");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flow_leaves_on_the_queue_the_guest_last_sent_it_on),
		cmocka_unit_test(flows_not_seen_yet_spread_over_the_active_queues),
		cmocka_unit_test(a_queue_the_guest_no_longer_uses_is_not_picked),
		cmocka_unit_test(a_port_with_one_queue_remembers_nothing),
		cmocka_unit_test(numbers_out_of_range_are_refused_with_the_range),
		cmocka_unit_test(states_and_kinds_have_names),
	};

	return cmocka_run_group_tests_name("port", tests, NULL, NULL);
}
