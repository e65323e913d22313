/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mac.h"
#include "host/netlink/link.h"
#include "host/root.h"
#include "netbed.h"

/* Links, addresses, routes and events of the running kernel, in a namespace of the test's own. */

enum { NOBODY = 0x7ffffff0, MS = 2000 };

/* A veth pair "va" and "vb" in the namespace, by the kernel's own tool. */
static void veth(int ns) {
	int back = netbed_enter(ns);

	assert_int_equal(system("ip link add va type veth peer name vb"), 0);
	netbed_back(back);
}

static int bed(void **state) {
	static int ns;

	if (netbed_missing() == NULL) {
		ns = netbed_new();
		veth(ns);
	}
	*state = &ns;
	return 0;
}

static int unbed(void **state) {
	if (netbed_missing() == NULL)
		close(*(int *)*state);
	return 0;
}

static struct links read_links(void) {
	struct root root = {0};
	struct links l;
	struct err e;

	if (links_read(&root, &l, &e) < 0)
		fail_msg("%s", e.text);
	return l;
}

static void links_of_the_running_kernel_are_read_and_changed(void **state) {
	int ns = *(int *)netbed_need(state), back = netbed_enter(ns), a = netbed_index(-1, "va");
	struct links l = read_links();
	const struct link *k = links_name(&l, "va");
	uint8_t mac[6];

	assert_int_equal(l.nlinks, 3);
	assert_non_null(k);
	assert_int_equal(k->index, a);
	assert_string_equal(k->kind, "veth");
	assert_int_equal(k->mtu, 1500);
	assert_int_equal(k->lower, 0);
	netbed_mac(-1, "va", mac);
	assert_int_equal(k->mac, mac_load(mac));
	assert_false(k->flags & IFF_UP);
	links_free(&l);
	assert_int_equal(link_set_up(a, true, MS), 0);
	assert_int_equal(link_set_mtu(a, 1400, MS), 0);
	l = read_links();
	assert_true(links_index(&l, a)->flags & IFF_UP);
	assert_int_equal(links_index(&l, a)->mtu, 1400);
	links_free(&l);
	assert_int_equal(link_set_mtu(a, 1 << 20, MS), -EINVAL);
	assert_int_equal(link_set_up(NOBODY, true, MS), -ENODEV);
	assert_int_equal(link_set_vf_vlan(a, 0, 1, 0, 0, MS), -EOPNOTSUPP);
	assert_int_equal(link_set_mtu(a, 1500, MS), 0);
	assert_int_equal(link_set_up(a, false, MS), 0);
	netbed_back(back);
}

static void an_interface_is_found_by_each_of_its_names(void **state) {
#define LONG          "a-name-of-127-characters-"
#define FIVE_TIMES(x) x x x x x
	static const char longest[] = FIVE_TIMES(LONG) "xx";
	int ns = *(int *)netbed_need(state), back = netbed_enter(ns), b = netbed_index(-1, "vb");
	char own[IFNAMSIZ], command[512], beyond[LINK_NAME_MAX + 1];
	struct links l;

	_Static_assert(sizeof(longest) == LINK_NAME_MAX, "as long as the kernel takes");
	snprintf(command, sizeof(command),
		"ip link property add dev vb altname vb-short altname %s", longest);
	assert_int_equal(system(command), 0);
	assert_int_equal(link_find("vb", own), b);
	assert_string_equal(own, "vb");
	assert_int_equal(link_find("vb-short", own), b);
	assert_string_equal(own, "vb");
	assert_int_equal(link_find(longest, own), b);
	assert_string_equal(own, "vb");
	snprintf(beyond, sizeof(beyond), "%sx", longest);
	assert_int_equal(link_find(beyond, own), -ENODEV);
	assert_int_equal(link_find("", own), -ENODEV);
	assert_int_equal(link_find("vb-none", own), -ENODEV);
	assert_int_equal(link_find("a-name-that-nobody-has", own), -ENODEV);
	l = read_links();
	assert_int_equal(links_name(&l, "vb-short")->index, b);
	assert_int_equal(links_name(&l, longest)->index, b);
	assert_string_equal(links_name(&l, longest)->name, "vb");
	assert_null(links_name(&l, beyond));
	links_free(&l);
	netbed_back(back);
}

static const struct link_route *route(const struct links *l, int index, int family, int prefix) {
	for (unsigned i = 0; i < l->nroutes; i++)
		if (l->route[i].index == index && l->route[i].family == family &&
			l->route[i].prefix == prefix)
			return &l->route[i];
	return NULL;
}

static const struct link_address *address(const struct links *l, int index, const char *text) {
	uint8_t want[16] = {0};
	int family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;

	assert_int_equal(inet_pton(family, text, want), 1);
	for (unsigned i = 0; i < l->naddresses; i++)
		if (l->address[i].index == index && l->address[i].family == family &&
			memcmp(l->address[i].bytes, want, sizeof(want)) == 0)
			return &l->address[i];
	return NULL;
}

static void addresses_and_routes_are_told_by_the_link_they_are_on(void **state) {
	int ns = *(int *)netbed_need(state), back = netbed_enter(ns);
	int a = netbed_index(-1, "va"), b = netbed_index(-1, "vb");
	struct links l;

	assert_int_equal(
		system("ip link set va up && ip link set vb up && ip address add 192.0.2.1/24 dev "
		       "va &&"
		       "ip address add 198.51.100.1 peer 198.51.100.9/32 dev vb &&"
		       "ip -6 address add 2001:db8::1/64 dev vb nodad &&"
		       "ip route add default nexthop via 192.0.2.9 nexthop via 198.51.100.9"),
		0);
	l = read_links();
	assert_non_null(address(&l, a, "192.0.2.1"));
	assert_int_equal(address(&l, a, "192.0.2.1")->prefix, 24);
	assert_non_null(address(&l, b, "198.51.100.1"));
	assert_null(address(&l, b, "198.51.100.9"));
	assert_non_null(address(&l, b, "2001:db8::1"));
	assert_int_equal(route(&l, a, AF_INET, 24)->protocol, RTPROT_KERNEL);
	assert_int_equal(route(&l, a, AF_INET, 0)->protocol, RTPROT_BOOT);
	assert_non_null(route(&l, b, AF_INET, 0));
	assert_non_null(route(&l, b, AF_INET6, 64));
	assert_null(route(&l, a, AF_INET6, 0));
	assert_null(route(&l, links_name(&l, "lo")->index, AF_INET, 8)); // is in table local
	links_free(&l);
	assert_int_equal(system("ip link set va down && ip link set vb down"), 0);
	netbed_back(back);
}

struct heard {
	int index, gone, lost, other;
};

static void hear(void *ctx, int index, bool gone) {
	struct heard *h = ctx;

	h->lost += index == 0;
	h->gone += index == h->index && gone;
	h->other += index == h->index && !gone;
}

static void changes_and_the_end_of_a_link_are_heard_of(void **state) {
	int ns = *(int *)netbed_need(state), back = netbed_enter(ns), fd = link_events_open();
	struct heard h = {.index = netbed_index(-1, "va")};

	assert_true(fd >= 0);
	assert_int_equal(link_events_read(fd, hear, &h), 0);
	assert_int_equal(h.other, 0);
	assert_int_equal(link_set_mtu(h.index, 1300, MS), 0);
	assert_int_equal(link_events_read(fd, hear, &h), 0);
	assert_true(h.other > 0);
	// It becomes a bridge's member and leaves it: a "deleted" link of the bridge's family.
	assert_int_equal(system("ip link add br0 type bridge && ip link set va master br0 &&"
				"ip link set va nomaster"),
		0);
	assert_int_equal(link_events_read(fd, hear, &h), 0);
	assert_int_equal(h.gone, 0);
	assert_int_equal(system("ip link delete va"), 0);
	assert_int_equal(link_events_read(fd, hear, &h), 0);
	assert_true(h.gone > 0);
	assert_int_equal(h.lost, 0);
	close(fd);
	veth(ns);
	netbed_back(back);
}

static void events_that_were_lost_are_told_as_such(void **state) {
	int ns = *(int *)netbed_need(state), back = netbed_enter(ns), fd = link_events_open();
	struct heard h = {.index = netbed_index(-1, "va")};
	int small = 1;

	assert_true(fd >= 0);
	assert_return_code(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), errno);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(link_set_mtu(h.index, 1400 + i, MS), 0);
	assert_int_equal(link_events_read(fd, hear, &h), 0);
	assert_true(h.lost > 0);
	close(fd);
	netbed_back(back);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links_of_the_running_kernel_are_read_and_changed),
		cmocka_unit_test(an_interface_is_found_by_each_of_its_names),
		cmocka_unit_test(addresses_and_routes_are_told_by_the_link_they_are_on),
		cmocka_unit_test(changes_and_the_end_of_a_link_are_heard_of),
		cmocka_unit_test(events_that_were_lost_are_told_as_such),
	};

	return cmocka_run_group_tests_name("netlink_kernel", tests, bed, unbed);
}
