/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "control/switch.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/err.h"
#include "netbed.h"

/* The running switch with TAP ports, the real kernel at their other ends, in a namespace made for each
 * test. In configurations of the tests @ stands for `netns: THAT NAMESPACE`. */

struct bed {
	int ns;
	char netns[64];
	sd_event *loop;
	struct sw *sw;
	struct netbed_frame got;
};

static int setup(void **state) {
	struct bed *bed;

	if (netbed_missing() != NULL)
		return 0;
	bed = calloc(1, sizeof(*bed));
	bed->ns = netbed_new();
	snprintf(bed->netns, sizeof(bed->netns), "netns: /proc/self/fd/%d", bed->ns);
	assert_true(sd_event_new(&bed->loop) >= 0);
	*state = bed;
	return 0;
}

static int teardown(void **state) {
	struct bed *bed = *state;

	if (bed == NULL)
		return 0;
	sw_stop(bed->sw);
	sd_event_unref(bed->loop);
	close(bed->ns);
	free(bed);
	return 0;
}

static struct bed *need(void **state) {
	if (netbed_missing() != NULL) {
		print_message("SKIP: %s\n", netbed_missing());
		skip();
	}
	return *state;
}

static struct config *config_of(const struct bed *bed, const char *yaml) {
	char text[4096];
	size_t n = 0;
	struct err e = {""};
	struct config *c;

	for (const char *p = yaml; *p != '\0'; p++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, *p == '@' ? "%s" : "%.1s",
			*p == '@' ? bed->netns : p);
	if (config_parse(&c, text, n, "test", &e) != 0)
		fail_msg("%s", e.text);
	return c;
}

static void start(struct bed *bed, const char *yaml) {
	struct config *c = config_of(bed, yaml);
	struct err e = {""};

	if (sw_start(&bed->sw, c, bed->loop, &e) != 0)
		fail_msg("%s", e.text);
	config_free(c);
}

static int apply_to(struct bed *bed, const char *yaml, bool dry_run, struct err *e) {
	struct config *c = config_of(bed, yaml);
	json_t *diff = NULL;
	int rc = sw_apply(bed->sw, c, dry_run, &diff, e);

	assert_int_equal(diff != NULL, rc == 0);
	json_decref(diff);
	config_free(c);
	return rc;
}

static void apply(struct bed *bed, const char *yaml) {
	struct err e = {""};

	if (apply_to(bed, yaml, false, &e) != 0)
		fail_msg("%s", e.text);
}

// Runs the loop until nothing is waiting there.
static void settle(struct bed *bed) {
	for (int i = 0; i < 20; i++)
		while (sd_event_run(bed->loop, 1000) > 0)
			;
}

static json_t *row(json_t *list, const char *key, const char *value) {
	json_t *r;
	size_t i;

	json_array_foreach (list, i, r)
		if (json_is_string(json_object_get(r, key)) &&
			strcmp(json_string_value(json_object_get(r, key)), value) == 0)
			return r;
	return NULL;
}

static json_t *show_port(struct bed *bed, const char *name) {
	json_t *list = sw_show_ports(bed->sw), *r = json_incref(row(list, "name", name));

	json_decref(list);
	return r;
}

static int id_of(struct bed *bed, const char *name) {
	json_t *p = show_port(bed, name);
	int id = p != NULL ? (int)json_integer_value(json_object_get(p, "id")) : -1;

	json_decref(p);
	return id;
}

static bool has_mac(struct bed *bed, const char *mac, const char *port, bool is_static) {
	json_t *list = sw_show_macs(bed->sw), *r = row(list, "mac", mac);
	bool found = r != NULL &&
		     strcmp(json_string_value(json_object_get(r, "port")), port) == 0 &&
		     json_is_true(json_object_get(r, "static")) == is_static;

	json_decref(list);
	return found;
}

/* A frame from the last octets `from` to `to` (0xff: broadcast), EtherType 0x88b5, marked. */
static void transmit(int s, uint8_t from, uint8_t to, uint8_t mark) {
	uint8_t f[sizeof(struct virtio_net_hdr) + 60] = {0},
						  *eth = f + sizeof(struct virtio_net_hdr);

	memset(eth, to == 0xff ? 0xff : 0, 6);
	eth[0] = to == 0xff ? 0xff : 2;
	eth[5] = to;
	eth[6] = 2;
	eth[11] = from;
	eth[12] = 0x88;
	eth[13] = 0xb5;
	eth[14] = mark;
	assert_int_equal(send(s, f, sizeof(f), 0), sizeof(f));
}

// Does the marked frame come out of the kernel's side within `ms`?
static bool arrives(struct bed *bed, int s, uint8_t mark, int ms) {
	struct timeval tv = {.tv_usec = 10000};
	struct timespec from, now;

	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	clock_gettime(CLOCK_MONOTONIC, &from);
	do {
		if (netbed_recv(s, &bed->got) && bed->got.bytes[12] == 0x88 &&
			bed->got.bytes[13] == 0xb5 && bed->got.bytes[14] == mark)
			return true;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000 < ms);
	return false;
}

static bool carries_within(struct bed *bed, const char *from, const char *to, int ms) {
	static uint8_t mark;
	int a, b;
	bool ok;

	settle(bed);
	a = netbed_raw(bed->ns, from);
	b = netbed_raw(bed->ns, to);
	transmit(a, 0x51, 0xff, ++mark);
	ok = arrives(bed, b, mark, ms);
	close(a);
	close(b);
	return ok;
}

static bool carries(struct bed *bed, const char *from, const char *to) {
	return carries_within(bed, from, to, 2000);
}

static const char two[] = "ports:\n  a: {tap: ta, @}\n  b: {tap: tb, @}\n";

static void frames_pass_between_the_ports_of_a_started_switch(void **state) {
	struct bed *bed = need(state);

	start(bed, two);
	assert_true(carries(bed, "ta", "tb"));
	assert_true(carries(bed, "tb", "ta"));
	assert_true(has_mac(bed, "02:00:00:00:00:51", "b", false));
}

static void a_start_that_fails_leaves_no_interface_behind(void **state) {
	struct bed *bed = need(state);
	struct config *c = config_of(bed, "ports:\n  a: {tap: ta, @}\n  b: {tap: lo, @}\n");
	struct err e = {""};

	assert_true(sw_start(&bed->sw, c, bed->loop, &e) < 0);
	assert_null(bed->sw);
	assert_non_null(strstr(e.text, "port b: interface 'lo' exists"));
	assert_false(netbed_exists(bed->ns, "ta"));
	config_free(c);
}

static void an_apply_adds_and_removes_ports_while_others_go_on(void **state) {
	struct bed *bed = need(state);
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
	struct bed *bed = need(state);
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
	struct bed *bed = need(state);
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
	struct bed *bed = need(state);
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
	struct bed *bed = need(state);
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
	struct bed *bed = need(state);

	start(bed, two);
	apply(bed, "ports:\n  a: {tap: tb, @}\n  c: {tap: ta, @, queues: 2}\n");
	assert_int_equal(id_of(bed, "b"), -1);
	assert_true(carries(bed, "ta", "tb"));
	apply(bed, "ports:\n  a: {tap: tb, @, queues: 3}\n  c: {tap: ta, @, queues: 2}\n");
	assert_true(carries(bed, "ta", "tb"));
}

// A TAP device that stays when nobody has it open, with one queue.
static void make_tap(struct bed *bed, const char *name) {
	struct ifreq ifr = netbed_ifreq(name);
	int back = netbed_enter(bed->ns), fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	ifr.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	assert_return_code(ioctl(fd, TUNSETIFF, &ifr), errno);
	assert_return_code(ioctl(fd, TUNSETPERSIST, 1), errno);
	close(fd);
	netbed_back(back);
}

static void a_port_whose_successor_cannot_open_is_opened_again(void **state) {
	struct bed *bed = need(state);
	struct err e = {""};
	json_t *p;

	make_tap(bed, "ta");
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
	struct bed *bed = need(state);
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
	struct bed *bed = need(state);
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
	struct bed *bed = need(state);

	start(bed, "ports:\n  a: {tap: ta, @, mac: 02:00:00:00:00:0b}\n  b: {tap: tb, @}\n");
	assert_true(has_mac(bed, "02:00:00:00:00:0b", "a", true));
	apply(bed, "ports:\n  a: {tap: ta, @}\n  b: {tap: tb, @, mac: 02:00:00:00:00:0b}\n");
	assert_true(has_mac(bed, "02:00:00:00:00:0b", "b", true));
	apply(bed, two);
	assert_false(has_mac(bed, "02:00:00:00:00:0b", "b", true));
}

static void what_needs_a_restart_is_told_and_not_taken_for_done(void **state) {
	struct bed *bed = need(state);

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
	struct bed *bed = need(state);
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
	struct bed *bed = need(state);
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
	struct bed *bed = need(state);
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

static void the_loop_survives_ports_that_come_and_go_many_times(void **state) {
	struct bed *bed = need(state);

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
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
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
		T(what_needs_a_restart_is_told_and_not_taken_for_done),
		T(drops_are_counted_by_reason_and_port_and_outlive_the_port),
		T(networks_are_shown_with_their_members),
		T(a_trace_speaks_of_ports_and_networks_by_name),
		T(the_loop_survives_ports_that_come_and_go_many_times),
	};

	return cmocka_run_group_tests_name("switch", tests, NULL, NULL);
}
