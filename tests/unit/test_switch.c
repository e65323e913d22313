/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <linux/if_tun.h>
#include <sched.h>

#include "switch_bed.h"

/* A switch that is started and changed while it runs. */

static void frames_pass_between_the_ports_of_a_started_switch(void **state) {
	struct bed *bed = netbed_need(state);

	start(bed, two);
	assert_true(carries(bed, "ta", "tb"));
	assert_true(carries(bed, "tb", "ta"));
	assert_true(has_mac(bed, "02:00:00:00:00:51", "b", false));
}

static void a_start_that_fails_leaves_no_interface_behind(void **state) {
	struct bed *bed = netbed_need(state);
	struct config *c = config_of(bed, "ports:\n  a: {tap: ta, @}\n  b: {tap: lo, @}\n");
	struct err e = {""};

	assert_true(sw_start(&bed->sw, c, bed->loop, &e) < 0);
	assert_null(bed->sw);
	assert_non_null(strstr(e.text, "port b: interface 'lo' exists"));
	assert_false(netbed_exists(bed->ns, "ta"));
	config_free(c);
}

static void an_apply_adds_and_removes_ports_while_others_go_on(void **state) {
	struct bed *bed = netbed_need(state);
	int index;

	start(bed, two);
	index = netbed_index(bed->ns, "ta");
	apply(bed, "ports:\n  a: {tap: ta, @}\n  c: {tap: tc, @}\n");
	assert_int_equal(netbed_index(bed->ns, "ta"), index);
	assert_false(netbed_exists(bed->ns, "tb"));
	assert_true(carries(bed, "ta", "tc"));
	assert_int_equal(id_of(bed, "b"), -1);
}

static void ids_stay_and_are_given_again_only_when_their_port_is_gone(void **state) {
	struct bed *bed = netbed_need(state);
	int a, b;

	start(bed, two);
	a = id_of(bed, "a");
	b = id_of(bed, "b");
	assert_int_not_equal(a, b);
	apply(bed, "ports:\n  c: {tap: tc, @}\n  b: {tap: tb, @}\n");
	assert_int_equal(id_of(bed, "b"), b);
	assert_int_not_equal(id_of(bed, "c"), a);
	assert_int_not_equal(id_of(bed, "c"), b);
	apply(bed, "ports:\n  c: {tap: tc, @}\n  b: {tap: tb, @}\n  d: {tap: td, @}\n");
	assert_int_equal(id_of(bed, "d"), a);
}

static void a_port_moves_to_another_network_in_place_and_its_macs_are_forgotten(void **state) {
	struct bed *bed = netbed_need(state);
	int index;

	start(bed,
		"networks: {blue: {vlan: 1}, green: {}}\nports:\n  a: {tap: ta, @, network: blue}\n"
		"  b: {tap: tb, @, network: blue}\n  c: {tap: tc, @, network: green}\n");
	assert_true(carries(bed, "ta", "tb"));
	assert_true(has_mac(bed, "02:00:00:00:00:51", "a", false));
	index = netbed_index(bed->ns, "ta");
	apply(bed, "networks: {blue: {vlan: 1}, green: {}}\nports:\n  a: {tap: ta, @, network: "
		   "green}\n"
		   "  b: {tap: tb, @, network: blue}\n  c: {tap: tc, @, network: green}\n");
	assert_false(has_mac(bed, "02:00:00:00:00:51", "a", false));
	assert_int_equal(netbed_index(bed->ns, "ta"), index);
	assert_true(carries(bed, "ta", "tc"));
	assert_false(carries_within(bed, "ta", "tb", 300));
}

static void an_apply_that_fails_leaves_everything_as_it_was(void **state) {
	struct bed *bed = netbed_need(state);
	static const char was[] = "networks: {blue: {vlan: 1}}\nports:\n"
				  "  a: {tap: ta, @, network: blue, mtu: 1400}\n"
				  "  b: {tap: tb, @, network: blue, mac: 02:00:00:00:00:0b}\n";
	json_t *before, *after;
	struct err e = {""};
	int a, b;

	start(bed, was);
	a = netbed_index(bed->ns, "ta");
	b = netbed_index(bed->ns, "tb");
	before = config_dump(sw_config(bed->sw), true);
	// In the last step but one z cannot be opened in the place of b, which then is gone for good.
	assert_true(
		apply_to(bed,
			"mac-table: 1000\nnetworks: {blue: {vlan: 2}, green: {vlan: 1}}\nports:\n"
			"  a: {tap: ta, @, network: green, mtu: 1300, mac: 02:00:00:00:00:0b}\n"
			"  c: {tap: tc, @, network: blue}\n  z: {tap: lo, @, network: green}\n",
			false, &e) < 0);
	assert_non_null(strstr(e.text, "port z: interface 'lo' exists"));
	after = config_dump(sw_config(bed->sw), true);
	assert_true(json_equal(before, after));
	json_decref(before);
	json_decref(after);
	assert_false(netbed_exists(bed->ns, "tc"));
	assert_int_equal(netbed_index(bed->ns, "ta"), a);
	assert_int_equal(netbed_index(bed->ns, "tb"), b);
	assert_int_equal(netbed_mtu(bed->ns, "ta", 0), 1400);
	assert_true(has_mac(bed, "02:00:00:00:00:0b", "b", true));
	assert_int_equal(id_of(bed, "c"), -1);
	assert_true(carries(bed, "ta", "tb"));
}

static void what_a_dry_run_can_tell_it_refuses_and_it_touches_nothing(void **state) {
	struct bed *bed = netbed_need(state);
	json_t *before, *after;
	struct err e = {""};

	start(bed, two);
	before = sw_show_ports(bed->sw);
	assert_int_equal(apply_to(bed, "ports:\n  a: {tap: ta, @}\n  c: {tap: tc, @, queues: 2}\n",
				 true, &e),
		0);
	assert_int_equal(apply_to(bed, "ports:\n  e: {tap: te, netns: nowhere-at-all}\n", true, &e),
		-ENOENT);
	assert_string_equal(e.text, "port e: no network namespace 'nowhere-at-all' (there is no "
				    "/run/netns/nowhere-at-all); "
				    "make it with `ip netns add`");
	assert_int_equal(
		apply_to(bed, "ports:\n  e: {vhost-user: /nowhere/at/all.sock}\n", true, &e),
		-ENOENT);
	assert_string_equal(e.text,
		"port e: cannot make the socket /nowhere/at/all.sock: there is no "
		"folder /nowhere/at; make it first");
	assert_int_equal(
		apply_to(bed, "ports:\n  e: {vhost-user: /tmp/e.sock, group: no-such-group}\n",
			true, &e),
		-ENOENT);
	assert_string_equal(e.text,
		"port e: no such group 'no-such-group'; make it with groupadd, or "
		"leave group: out");
	assert_false(netbed_exists(bed->ns, "tc"));
	after = sw_show_ports(bed->sw);
	assert_int_equal(json_array_size(before), json_array_size(after));
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(after, 1), "name")), "b");
	json_decref(before);
	json_decref(after);
}

static void a_port_takes_over_the_interface_of_one_that_leaves(void **state) {
	struct bed *bed = netbed_need(state);

	start(bed, two);
	apply(bed, "ports:\n  a: {tap: tb, @}\n  c: {tap: ta, @, queues: 2}\n");
	assert_int_equal(id_of(bed, "b"), -1);
	assert_true(carries(bed, "ta", "tb"));
	apply(bed, "ports:\n  a: {tap: tb, @, queues: 3}\n  c: {tap: ta, @, queues: 2}\n");
	assert_true(carries(bed, "ta", "tb"));
}

static void a_port_whose_successor_cannot_open_is_opened_again(void **state) {
	struct bed *bed = netbed_need(state);
	struct err e = {""};
	json_t *p;

	close(netbed_tap(bed->ns, "ta", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR));
	start(bed, two);
	assert_true(carries(bed, "ta", "tb"));
	assert_true(apply_to(bed, "ports:\n  a: {tap: ta, @, queues: 2}\n  b: {tap: tb, @}\n",
			    false, &e) < 0);
	assert_non_null(strstr(e.text, "port a: TAP device 'ta' exists with a single queue"));
	p = show_port(bed, "a");
	assert_int_equal(json_integer_value(json_object_get(p, "queues")), 1);
	json_decref(p);
	assert_true(carries(bed, "ta", "tb"));
	assert_true(carries(bed, "tb", "ta"));
}

// Two different CPUs of those allowed; false where there is one.
static bool two_cpus(int cpu[2]) {
	cpu_set_t set;
	int n = 0;

	assert_return_code(sched_getaffinity(0, sizeof(set), &set), errno);
	for (int i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET(i, &set))
			cpu[n++] = i;
	return n == 2;
}

static void workers_move_to_other_cpus_while_frames_flow(void **state) {
	struct bed *bed = netbed_need(state);
	char yaml[300];
	json_int_t queues = 0;
	cpu_set_t here, was;
	json_t *workers;
	int cpu[2];

	if (!two_cpus(cpu)) {
		print_message("SKIP: needs two CPUs\n");
		skip();
	}
	snprintf(yaml, sizeof(yaml), "workers: [%d]\n%s", cpu[0], two);
	start(bed, yaml);
	assert_true(carries(bed, "ta", "tb"));
	// The control thread keeps off the workers' CPUs; they may move to any that the process was given.
	CPU_ZERO(&here);
	CPU_SET(cpu[0], &here);
	assert_return_code(sched_getaffinity(0, sizeof(was), &was), errno);
	assert_return_code(sched_setaffinity(0, sizeof(here), &here), errno);
	snprintf(yaml, sizeof(yaml), "workers: [%d, %d]\nidle: interrupt\n%s", cpu[1], cpu[0], two);
	apply(bed, yaml);
	assert_return_code(sched_setaffinity(0, sizeof(was), &was), errno);
	assert_true(carries(bed, "ta", "tb"));
	workers = sw_show_workers(bed->sw);
	assert_int_equal(json_array_size(workers), 2);
	for (int i = 0; i < 2; i++) {
		json_t *w = json_array_get(workers, (size_t)i);
		json_int_t n = json_integer_value(json_object_get(w, "queues"));

		assert_int_equal(json_integer_value(json_object_get(w, "cpu")), cpu[!i]);
		assert_int_equal(json_array_size(json_object_get(w, "queue_list")), n);
		queues += n;
	}
	assert_int_equal(queues, 2);
	json_decref(workers);
	snprintf(yaml, sizeof(yaml), "workers: [%d]\n%s", cpu[1], two);
	apply(bed, yaml);
	assert_true(carries(bed, "tb", "ta"));
}

static void a_mac_table_of_another_size_knows_what_the_old_one_knew(void **state) {
	struct bed *bed = netbed_need(state);
	char yaml[300];

	snprintf(yaml, sizeof(yaml),
		"mac-table: 100\nports:\n  a: {tap: ta, @}\n  b: {tap: tb, @, "
		"static-macs: [02:00:00:00:00:99]}\n");
	start(bed, "ports:\n  a: {tap: ta, @}\n  b: {tap: tb, @}\n");
	assert_true(carries(bed, "ta", "tb"));
	apply(bed, yaml);
	assert_true(has_mac(bed, "02:00:00:00:00:51", "a", false));
	assert_true(has_mac(bed, "02:00:00:00:00:99", "b", true));
	assert_true(carries(bed, "ta", "tb"));
}

static void a_pinned_mac_moves_with_an_apply(void **state) {
	struct bed *bed = netbed_need(state);

	start(bed, "ports:\n  a: {tap: ta, @, mac: 02:00:00:00:00:0b}\n  b: {tap: tb, @}\n");
	assert_true(has_mac(bed, "02:00:00:00:00:0b", "a", true));
	apply(bed, "ports:\n  a: {tap: ta, @}\n  b: {tap: tb, @, mac: 02:00:00:00:00:0b}\n");
	assert_true(has_mac(bed, "02:00:00:00:00:0b", "b", true));
	apply(bed, two);
	assert_false(has_mac(bed, "02:00:00:00:00:0b", "b", true));
}

static void the_loop_survives_ports_that_come_and_go_many_times(void **state) {
	struct bed *bed = netbed_need(state);

	start(bed, two);
	for (int i = 0; i < 30; i++) {
		apply(bed, i % 2 == 0 ? "ports:\n  a: {tap: ta, @, link: down}\n  x: {tap: tx, @, "
					"queues: 2}\n"
				      : two);
		settle(bed);
		sw_rebalance(bed->sw);
	}
	assert_true(carries(bed, "ta", "tb"));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		T(frames_pass_between_the_ports_of_a_started_switch),
		T(a_start_that_fails_leaves_no_interface_behind),
		T(an_apply_adds_and_removes_ports_while_others_go_on),
		T(ids_stay_and_are_given_again_only_when_their_port_is_gone),
		T(a_port_moves_to_another_network_in_place_and_its_macs_are_forgotten),
		T(an_apply_that_fails_leaves_everything_as_it_was),
		T(what_a_dry_run_can_tell_it_refuses_and_it_touches_nothing),
		T(a_port_takes_over_the_interface_of_one_that_leaves),
		T(a_port_whose_successor_cannot_open_is_opened_again),
		T(workers_move_to_other_cpus_while_frames_flow),
		T(a_mac_table_of_another_size_knows_what_the_old_one_knew),
		T(a_pinned_mac_moves_with_an_apply),
		T(the_loop_survives_ports_that_come_and_go_many_times),
	};

	return cmocka_run_group_tests_name("switch", tests, NULL, NULL);
}
