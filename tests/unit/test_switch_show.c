/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "switch_bed.h"

/* What a running switch says of itself. */

static void what_needs_a_restart_is_told_and_not_taken_for_done(void **state) {
	struct bed *bed = netbed_need(state);

	start(bed, two);
	for (int i = 0; i < 2; i++) {
		struct config *c = config_of(bed, "api: /elsewhere\nidle: busy\n");
		struct err e = {""};
		json_t *diff;

		assert_int_equal(sw_apply(bed->sw, c, false, &diff, &e), 0);
		assert_string_equal(
			json_string_value(json_object_get(row(diff, "what", "api"), "how")),
			"restart needed");
		assert_int_equal(row(diff, "what", "idle") != NULL, i == 0);
		assert_string_equal(sw_config(bed->sw)->api, CONFIG_API_DEFAULT);
		json_decref(diff);
		config_free(c);
	}
}

static void drops_are_counted_by_reason_and_port_and_outlive_the_port(void **state) {
	struct bed *bed = netbed_need(state);
	json_t *list, *r;
	json_int_t n = 0;
	size_t i;
	int s;

	start(bed, "ports:\n  a: {tap: ta, @, mac: 02:00:00:00:00:0a}\n  b: {tap: tb, @}\n");
	settle(bed);
	s = netbed_raw(bed->ns, "ta");
	for (int tries = 0; tries < 100 && n == 0; tries++) {
		transmit(s, 0x66, 0xff, 1);
		usleep(10000);
		list = sw_show_drops(bed->sw);
		json_array_foreach (list, i, r)
			if (strcmp(json_string_value(json_object_get(r, "reason")), "mac-pinned") ==
					0 &&
				json_is_string(json_object_get(r, "port")) &&
				strcmp(json_string_value(json_object_get(r, "port")), "a") == 0)
				n = json_integer_value(json_object_get(r, "frames"));
		json_decref(list);
	}
	assert_true(n > 0);
	close(s);
	apply(bed, "ports:\n  b: {tap: tb, @}\n");
	list = sw_show_drops(bed->sw);
	r = row(list, "reason", "mac-pinned");
	assert_true(json_is_null(json_object_get(r, "port")));
	assert_true(json_integer_value(json_object_get(r, "frames")) >= n);
	assert_string_equal(json_string_value(json_object_get(r, "text")),
		"source MAC differs from the one pinned to the port");
	json_decref(list);
}

static void networks_are_shown_with_their_members(void **state) {
	struct bed *bed = netbed_need(state);
	json_t *list, *want;

	start(bed, "networks: {blue: {vlan: 100}, plain: {}}\nports:\n  a: {tap: ta, @, network: "
		   "blue}\n"
		   "  b: {tap: tb, @, trunk: [blue], native: plain}\n");
	list = sw_show_networks(bed->sw);
	want = json_pack("[{s:s,s:i,s:i,s:[{s:s,s:b},{s:s,s:b}]},{s:s,s:i,s:n,s:[{s:s,s:b}]}]",
		"name", "blue", "id", 0, "vlan", 100, "members", "port", "a", "tagged", 0, "port",
		"b", "tagged", 1, "name", "plain", "id", 1, "vlan", "members", "port", "b",
		"tagged", 0);
	assert_true(json_equal(list, want));
	json_decref(list);
	json_decref(want);
}

static void a_trace_speaks_of_ports_and_networks_by_name(void **state) {
	static const uint8_t frame[60] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6};
	struct bed *bed = netbed_need(state);
	json_t *map, *out;
	struct err e = {""};
	char *text;

	start(bed, "networks: {blue: {vlan: 100}}\nports:\n  vm1: {tap: ta, @, network: blue}\n"
		   "  vm2: {tap: tb, @, network: blue}\n  up: {tap: tc, @, trunk: [blue]}\n");
	settle(bed);
	map = sw_trace(bed->sw, "vm1", frame, sizeof(frame), &e);
	assert_non_null(map);
	assert_string_equal(json_string_value(json_object_get(map, "verdict")), "flood");
	out = json_object_get(map, "out");
	assert_int_equal(json_array_size(out), 2);
	assert_string_equal(
		json_string_value(json_object_get(row(out, "port", "vm2"), "port")), "vm2");
	assert_int_equal(json_integer_value(json_object_get(row(out, "port", "up"), "vlan")), 100);
	text = json_dumps(json_object_get(map, "steps"), 0);
	assert_non_null(strstr(text, "network blue"));
	assert_non_null(strstr(text, "port vm1"));
	free(text);
	json_decref(map);
	assert_null(sw_trace(bed->sw, "vm9", frame, sizeof(frame), &e));
	assert_string_equal(e.text, "no such port 'vm9'; there are: vm1, vm2, up");
	assert_null(sw_trace(bed->sw, "vm1", frame, 13, &e));
	assert_string_equal(
		e.text, "the frame has 13 bytes; give 14..65553, from the destination MAC on");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		T(what_needs_a_restart_is_told_and_not_taken_for_done),
		T(drops_are_counted_by_reason_and_port_and_outlive_the_port),
		T(networks_are_shown_with_their_members),
		T(a_trace_speaks_of_ports_and_networks_by_name),
	};

	return cmocka_run_group_tests_name("switch show", tests, NULL, NULL);
}
