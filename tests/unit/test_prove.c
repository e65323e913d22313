/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/prove/prove.h"
#include "host/prove/prove_air.h"
#include "host/prove/prove_place.h"
#include "netbed.h"

static void what_was_found_is_told_by_its_name_and_else_unknown(void **state) {
	json_t *k = json_pack("{s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{}}}", "findings", "vlan",
		"verdict", "enforced", "rate", "verdict", "not-enforced", "state", "verdict",
		"never heard of", "spoofchk");

	assert_non_null(k);
	assert_int_equal(prove_verdict(k, PROVE_VLAN), PROVE_ENFORCED);
	assert_int_equal(prove_verdict(k, PROVE_RATE), PROVE_NOT_ENFORCED);
	assert_int_equal(prove_verdict(k, PROVE_STATE), PROVE_UNKNOWN);
	assert_int_equal(prove_verdict(k, PROVE_SPOOFCHK), PROVE_UNKNOWN);
	assert_int_equal(prove_verdict(k, PROVE_BROADCAST), PROVE_UNKNOWN);
	assert_int_equal(prove_verdict(NULL, PROVE_VLAN), PROVE_UNKNOWN);
	json_decref(k);
}

static void findings_are_stale_when_driver_kernel_or_firmware_changed(void **state) {
	json_t *k = json_pack(
		"{s:s, s:s, s:s}", "driver", "igb", "kernel", "6.1.0", "firmware", "3.25");
	struct prove_conditions now = {.driver = "igb", .kernel = "6.1.0", .firmware = "3.25"};
	char why[200] = "";

	assert_false(prove_stale(k, &now, why, sizeof(why)));
	strcpy(now.firmware, "3.30");
	assert_true(prove_stale(k, &now, why, sizeof(why)));
	assert_string_equal(why, "the firmware was 3.25, it is 3.30 now");
	now.firmware[0] = '\0'; // not told now
	assert_false(prove_stale(k, &now, why, sizeof(why)));
	strcpy(now.kernel, "6.12.0");
	assert_true(prove_stale(k, &now, why, sizeof(why)));
	assert_string_equal(why, "the kernel was 6.1.0, it is 6.12.0 now");
	json_decref(k);
}

/* A trial of 50 frames of which some arrived. */
static void tried(struct prove_result *r, enum prove_trial t, unsigned arrived) {
	r->trial[t].sent = 50;
	r->trial[t].arrived = arrived;
}

static enum prove_verdict judged(const struct prove_result *r, enum prove_what w) {
	struct prove_finding f;

	prove_judge(r, w, &f);
	assert_true(f.text[0] != '\0');
	return f.verdict;
}

static void what_leaks_is_not_enforced_and_what_does_not_is(void **state) {
	struct prove_result r = {0};
	struct prove_finding f;

	tried(&r, TRIAL_VLAN_SAME, 50);
	tried(&r, TRIAL_VLAN_ALIVE, 48);
	tried(&r, TRIAL_VLAN_OTHER, 0);
	tried(&r, TRIAL_VLAN_UNTAGGED, 0);
	tried(&r, TRIAL_SPOOF_OWN, 50);
	tried(&r, TRIAL_SPOOF_FORGED, 50);
	tried(&r, TRIAL_SPOOF_OFF, 50);
	assert_int_equal(judged(&r, PROVE_VLAN), PROVE_ENFORCED);
	prove_judge(&r, PROVE_SPOOFCHK, &f);
	assert_int_equal(f.verdict, PROVE_NOT_ENFORCED);
	assert_string_equal(f.text,
		"50 of 50 with the VF's own MAC, 50 of 50 with a forged source MAC, 50 of 50 with "
		"a forged source MAC, spoof check off");
	r.trial[TRIAL_VLAN_UNTAGGED].arrived = 1; // a single one is one too many
	assert_int_equal(judged(&r, PROVE_VLAN), PROVE_NOT_ENFORCED);
}

static void silence_proves_nothing_where_the_control_is_silent_too(void **state) {
	struct prove_result r = {0};

	tried(&r, TRIAL_SPOOF_OWN, 39); // less than four of five
	tried(&r, TRIAL_SPOOF_FORGED, 0);
	assert_int_equal(judged(&r, PROVE_SPOOFCHK), PROVE_UNTESTABLE);
	r.trial[TRIAL_SPOOF_FORGED].arrived = 3; // but what arrived, arrived
	assert_int_equal(judged(&r, PROVE_SPOOFCHK), PROVE_NOT_ENFORCED);
	tried(&r, TRIAL_VLAN_SPOOF, 0);
	assert_int_equal(judged(&r, PROVE_VLAN_SPOOF), PROVE_UNTESTABLE);
	tried(&r, TRIAL_VLAN_ALIVE, 50); // that VF does get the frames of its VLAN
	assert_int_equal(judged(&r, PROVE_VLAN_SPOOF), PROVE_ENFORCED);
	assert_int_equal(judged(&r, PROVE_MAC_FILTER), PROVE_UNTESTABLE); // never tried
	tried(&r, TRIAL_SPOOF_OWN, 40);
	r.trial[TRIAL_SPOOF_FORGED].sent = r.trial[TRIAL_SPOOF_FORGED].arrived = 0;
	assert_int_equal(judged(&r, PROVE_SPOOFCHK), PROVE_UNTESTABLE);
}

static void a_rate_is_judged_by_the_limit_and_by_the_rate_without_it(void **state) {
	static const struct {
		double without, with;
		enum prove_verdict is;
	} cases[] = {
		{100e6, 10e6, PROVE_ENFORCED},
		{100e6, 12e6, PROVE_ENFORCED},
		{100e6, 0, PROVE_ENFORCED},
		{100e6, 98e6, PROVE_NOT_ENFORCED},
		{100e6, 20e6, PROVE_NOT_ENFORCED},
		{100e6, 15e6, PROVE_UNTESTABLE}, // neither
		{29e6, 9e6, PROVE_UNTESTABLE}, // too near without a limit
		{-1, -1, PROVE_UNTESTABLE},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct prove_result r = {
			.limit = 10, .free_rate = cases[i].without, .limited_rate = cases[i].with};

		if (judged(&r, PROVE_RATE) != cases[i].is)
			fail_msg("%.0f without and %.0f with a limit", cases[i].without,
				cases[i].with);
	}
}

static void what_the_driver_said_stands_in_the_finding(void **state) {
	struct prove_result r = {0};
	json_t *v;

	strcpy(r.refused[PROVE_STATE], "igb cannot set a VF's link state");
	tried(&r, TRIAL_SPOOF_OWN, 50);
	tried(&r, TRIAL_SPOOF_FORGED, 0);
	v = prove_finding_json(&r, PROVE_STATE);
	assert_string_equal(json_string_value(json_object_get(v, "verdict")), "refused");
	assert_string_equal(json_string_value(json_object_get(v, "text")), r.refused[PROVE_STATE]);
	json_decref(v);
	v = prove_finding_json(&r, PROVE_SPOOFCHK);
	assert_int_equal(json_array_size(json_object_get(v, "trials")), 2);
	assert_string_equal(json_string_value(json_object_get(v, "verdict")), "enforced");
	json_decref(v);
}

/* Three stations in namespaces of their own, behind the ports p0, p1, p2 of a bridge in a fourth: a switch
 * of which what it enforces can be chosen. */
struct hub {
	int ns, station[STATIONS];
	struct air air;
	struct prove_result r;
};

static const char *const names[STATIONS] = {"sa", "sb", "spf"};

static void run_in(int ns, const char *command) {
	int back = netbed_enter(ns);

	if (system(command) != 0)
		fail_msg("%s", command);
	netbed_back(back);
}

static void open_station(struct hub *h, int i) {
	struct err e = {""};
	char command[200];
	int back;

	h->station[i] = netbed_new();
	snprintf(command, sizeof(command),
		"ip link add p%d type veth peer name %s netns /proc/%d/fd/%d &&"
		"ip link set p%d master br0 up",
		i, names[i], getpid(), h->station[i], i);
	run_in(h->ns, command);
	netbed_up(h->station[i], names[i], true);
	back = netbed_enter(h->station[i]);
	if (air_open(&h->air, i, names[i], &e) < 0)
		fail_msg("%s", e.text);
	netbed_back(back);
}

static int hub_open(void **state) {
	static struct hub h;

	*state = &h;
	if (netbed_missing() != NULL)
		return 0;
	memset(&h, 0, sizeof(h));
	air_init(&h.air, NULL);
	h.air.load_ms = 200;
	h.ns = netbed_new();
	run_in(h.ns, "ip link add br0 type bridge && ip link set br0 up");
	for (int i = 0; i < STATIONS; i++)
		open_station(&h, i);
	return 0;
}

static int hub_close(void **state) {
	struct hub *h = *state;

	if (netbed_missing() != NULL)
		return 0;
	air_close(&h->air);
	for (int i = 0; i < STATIONS; i++)
		close(h->station[i]);
	close(h->ns);
	return 0;
}

static void shot(struct hub *h, struct shot s, unsigned least, unsigned most) {
	air_shoot(&h->air, &s, &h->r);
	assert_int_equal(h->r.trial[s.trial].sent, PROVE_FRAMES);
	assert_in_range(h->r.trial[s.trial].arrived, least, most);
}

static void frames_are_counted_where_they_arrive(void **state) {
	struct hub *h = netbed_need(state);
	uint64_t b = h->air.st[STATION_B].mac, everybody = 0xffffffffffff;

	shot(h, (struct shot){TRIAL_MAC_OWN, STATION_A, STATION_B, b, .wanted = true}, 50, 50);
	shot(h, (struct shot){TRIAL_BROADCAST_PF, STATION_A, STATION_PF, everybody, .wanted = true},
		50, 50);
	// A veth takes every MAC, and the bridge floods what it does not know.
	shot(h, (struct shot){TRIAL_MAC_FOREIGN, STATION_A, STATION_B, 0x123402}, 50, 50);
	shot(h, (struct shot){TRIAL_SPOOF_FORGED, STATION_A, STATION_B, b, 0x777702}, 50, 50);
	shot(h, (struct shot){TRIAL_VLAN_SPOOF, STATION_A, STATION_B, b, .tag = 7}, 50, 50);
}

static void frames_of_others_do_not_count(void **state) {
	struct hub *h = netbed_need(state);
	struct air other;
	struct shot s = {TRIAL_MAC_OWN, STATION_A, STATION_B, h->air.st[STATION_B].mac};

	other = h->air;
	other.run++;
	air_shoot(&other, &s, &h->r);
	air_settle(&h->air, 50);
	assert_int_equal(h->air.seen[TRIAL_MAC_OWN][STATION_B], 0);
	assert_int_equal(h->r.trial[TRIAL_MAC_OWN].sent, PROVE_FRAMES);
}

static void a_way_that_is_cut_shows_and_one_that_opens_late_is_waited_for(void **state) {
	struct hub *h = netbed_need(state);
	uint64_t b = h->air.st[STATION_B].mac;

	run_in(h->ns, "bridge link set dev p0 isolated on && bridge link set dev p1 isolated on");
	shot(h, (struct shot){TRIAL_VLAN_OTHER, STATION_A, STATION_B, b}, 0, 0);
	shot(h, (struct shot){TRIAL_VLAN_ALIVE, STATION_PF, STATION_B, b, .wanted = true}, 50, 50);
	run_in(h->ns, "(sleep 0.3; bridge link set dev p1 isolated off) &");
	shot(h, (struct shot){TRIAL_VLAN_SAME, STATION_A, STATION_B, b, .wanted = true}, 50, 50);
}

static void what_the_pf_gets_with_a_tag_has_not_left_its_vlan(void **state) {
	struct hub *h = netbed_need(state);

	shot(h, (struct shot){TRIAL_BROADCAST_PF, STATION_A, STATION_PF, 0xffffffffffff, .tag = 7},
		0, 0);
	shot(h, (struct shot){TRIAL_BROADCAST_VF, STATION_A, STATION_B, 0xffffffffffff, .tag = 7},
		50, 50);
}

static void a_limit_shows_in_the_rate(void **state) {
	struct hub *h = netbed_need(state);
	double without = air_rate(&h->air), with;

	run_in(h->ns,
		"tc qdisc add dev p1 root handle 1: htb default 1 &&"
		"tc class add dev p1 parent 1: classid 1:1 htb rate 10mbit burst 3k cburst 3k");
	with = air_rate(&h->air);
	assert_true(without > 30e6);
	assert_in_range((int)with, 1000000, 12500000);
}

static void who_is_stopped_sends_no_more(void **state) {
	struct hub *h = netbed_need(state);
	volatile sig_atomic_t stop = 1;

	h->air.stop = &stop;
	air_shoot(&h->air,
		&(struct shot){TRIAL_MAC_OWN, STATION_A, STATION_B, 0x123402, .wanted = true},
		&h->r);
	assert_int_equal(h->r.trial[TRIAL_MAC_OWN].sent, 0);
	assert_true(air_rate(&h->air) < 0);
}

static void a_place_is_quiet_and_gives_its_interface_back(void **state) {
	struct hub *h = netbed_need(state);
	int back = netbed_enter(h->ns), raw;
	struct netbed_frame f;
	struct timeval tv = {.tv_usec = 300000};
	struct place p;
	struct err e;

	assert_int_equal(system("ip link add here type veth peer name there"), 0);
	raw = netbed_raw(-1, "there");
	assert_return_code(setsockopt(raw, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), errno);
	// The watcher is silent, too.
	assert_int_equal(
		system("echo 1 >/proc/sys/net/ipv6/conf/there/disable_ipv6; ip link set there up"),
		0);
	if (place_take(&p, "here", &e) < 0)
		fail_msg("%s", e.text);
	assert_false(netbed_exists(-1, "here"));
	assert_true(netbed_flags(p.away, "here") & IFF_UP);
	assert_false(netbed_recv(raw, &f));
	place_give_back(&p);
	assert_true(netbed_exists(-1, "here"));
	assert_false(netbed_flags(-1, "here") & IFF_UP);
	place_give_back(&p); // is nothing any more
	assert_int_equal(place_take(&p, "nowhere", &e), -ENODEV);
	assert_non_null(strstr(e.text, "nowhere"));
	close(raw);
	netbed_back(back);
}

#define HUB_TEST(test) cmocka_unit_test_setup_teardown(test, hub_open, hub_close)

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_found_is_told_by_its_name_and_else_unknown),
		cmocka_unit_test(findings_are_stale_when_driver_kernel_or_firmware_changed),
		cmocka_unit_test(what_leaks_is_not_enforced_and_what_does_not_is),
		cmocka_unit_test(silence_proves_nothing_where_the_control_is_silent_too),
		cmocka_unit_test(a_rate_is_judged_by_the_limit_and_by_the_rate_without_it),
		cmocka_unit_test(what_the_driver_said_stands_in_the_finding),
		HUB_TEST(frames_are_counted_where_they_arrive),
		HUB_TEST(frames_of_others_do_not_count),
		HUB_TEST(a_way_that_is_cut_shows_and_one_that_opens_late_is_waited_for),
		HUB_TEST(what_the_pf_gets_with_a_tag_has_not_left_its_vlan),
		HUB_TEST(a_limit_shows_in_the_rate),
		HUB_TEST(who_is_stopped_sends_no_more),
		HUB_TEST(a_place_is_quiet_and_gives_its_interface_back),
	};

	return cmocka_run_group_tests_name("prove", tests, NULL, NULL);
}
