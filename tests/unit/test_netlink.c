/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/err.h"
#include "base/mac.h"
#include "host/netlink/devlink.h"
#include "host/netlink/link.h"
#include "host/root.h"
#include "netbed.h"

/* The netlink of the host room: requests held against the bytes iproute2 6.1 sends, answers written by
 * tests/host/netlink.py, which does not know our code. The real kernel is test_netlink_kernel.c's. */

/* What setters send, from the child that sends it. */
struct sent {
	uint8_t bytes[256];
	size_t len;
};
static struct sent *sent;

/* In place of libc's, for the whole program. */
ssize_t sendto(
	int fd, const void *buf, size_t len, int flags, const struct sockaddr *to, socklen_t n) {
	if (sent != NULL && len <= sizeof(sent->bytes)) {
		memcpy(sent->bytes, buf, len);
		sent->len = len;
	}
	return syscall(SYS_sendto, fd, buf, len, flags, to, n);
}

/* An answer that is there in place of the kernel's, once. */
static struct {
	uint8_t bytes[64];
	size_t len;
} answer;

ssize_t recv(int fd, void *buf, size_t len, int flags) {
	return answer.len > 0 ? (ssize_t)answer.len
			      : syscall(SYS_recvfrom, fd, buf, len, flags, NULL, NULL);
}

ssize_t recvfrom(int fd, void *restrict buf, size_t len, int flags, struct sockaddr *restrict from,
	socklen_t *restrict n) {
	size_t had = answer.len;

	if (had == 0)
		return syscall(SYS_recvfrom, fd, buf, len, flags, from, n);
	memcpy(buf, answer.bytes, had);
	answer.len = 0;
	return (ssize_t)had;
}

enum { NOBODY = 0x7ffffff0, MS = 2000 };

static size_t from_hex(const char *hex, uint8_t *to) {
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++)
		assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &to[i]), 1);
	return n;
}

/* "2c00..." without what differs: iproute2 says RTM_NEWLINK without NLM_F_CREATE, which means the same as
 * RTM_SETLINK, numbers its requests, and was asked about lo. */
static void sent_as_by_iproute2(const char *hex) {
	static const int index = NOBODY;
	uint8_t want[256];
	size_t n = from_hex(hex, want);

	want[4] = RTM_SETLINK;
	memset(want + 8, 0, 8);
	memcpy(want + 20, &index, sizeof(index));
	memset(sent->bytes + 8, 0, 8);
	assert_int_equal(sent->len, n);
	assert_memory_equal(sent->bytes, want, n);
}

static void a_request_has_the_bytes_that_iproute2_sends(void **state) {
	uint64_t mac;

	sent = mmap(NULL, sizeof(*sent), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(sent, MAP_FAILED);
	assert_int_equal(mac_parse("52:54:00:00:00:01", &mac), 0);
	assert_true(link_set_vf_mac(NOBODY, 3, mac, MS) < 0);
	sent_as_by_iproute2(
		"5000000010000500c0aa026b000000000000000001000000000000000000000030001600"
		"2c000100280001000300000052540000000100000000000000000000000000000000000000"
		"00000000000000");
	assert_true(link_set_vf_vlan(NOBODY, 3, 100, 5, 0, MS) < 0);
	sent_as_by_iproute2(
		"3800000010000500bfaa026b000000000000000001000000000000000000000018001600"
		"1400010010000200030000006400000005000000");
	assert_true(link_set_vf_vlan(NOBODY, 3, 100, 5, 0x88a8, MS) < 0);
	sent_as_by_iproute2(
		"4000000010000500bfaa026b000000000000000001000000000000000000000020001600"
		"1c00010018000c001400010003000000640000000500000088a80000");
	assert_true(link_set_vf_rate(NOBODY, 3, 100, 1000, MS) < 0);
	sent_as_by_iproute2(
		"3800000010000500bfaa026b000000000000000001000000000000000000000018001600"
		"14000100100006000300000064000000e8030000");
	assert_true(link_set_vf_spoofchk(NOBODY, 3, true, MS) < 0);
	sent_as_by_iproute2(
		"3400000010000500bfaa026b000000000000000001000000000000000000000014001600"
		"100001000c0004000300000001000000");
	assert_true(link_set_vf_trust(NOBODY, 3, true, MS) < 0);
	sent_as_by_iproute2(
		"3400000010000500bfaa026b000000000000000001000000000000000000000014001600"
		"100001000c0009000300000001000000");
	assert_true(link_set_vf_state(NOBODY, 3, VF_STATE_DISABLE, MS) < 0);
	sent_as_by_iproute2(
		"3400000010000500bfaa026b000000000000000001000000000000000000000014001600"
		"100001000c0005000300000002000000");
	assert_true(link_set_vf_rss_query(NOBODY, 3, true, MS) < 0);
	sent_as_by_iproute2(
		"3400000010000500bfaa026b000000000000000001000000000000000000000014001600"
		"100001000c0007000300000001000000");
	assert_true(link_set_up(NOBODY, true, MS) < 0);
	sent_as_by_iproute2("2000000010000500bfaa026b0000000000000000010000000100000001000000");
	assert_true(link_set_up(NOBODY, false, MS) < 0);
	sent_as_by_iproute2("2000000010000500bfaa026b0000000000000000010000000000000001000000");
	assert_true(link_set_mtu(NOBODY, 1400, MS) < 0);
	sent_as_by_iproute2(
		"2800000010000500bfaa026b000000000000000001000000000000000000000008000400"
		"78050000");
	munmap(sent, sizeof(*sent));
	sent = NULL;
}

static void an_eswitch_is_set_with_the_bytes_that_devlink_sends(void **state) {
	uint8_t want[64];
	// iproute2's tool says that its version of the protocol is 0; the kernel's header has 1.
	size_t n = from_hex("38000000150005000000000000000000"
			    "1e010000"
			    "0800010070636900"
			    "11000200303030303a30313a30302e3000000000"
			    "0600190001000000",
		want);

	sent = mmap(NULL, sizeof(*sent), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(sent, MAP_FAILED);
	// The kernel that was asked has devlink as family 0x15; and that is all.
	answer.len = from_hex("1c000000100000000000000000000000"
			      "01020000"
			      "0600010015000000"
			      "14000000020000000000000000000000"
			      "00000000",
		answer.bytes);
	assert_true(devlink_set_eswitch("0000:01:00.0", ESWITCH_SWITCHDEV, MS) < 0);
	assert_int_equal(sent->len, n);
	assert_memory_equal(sent->bytes, want, n);
	munmap(sent, sizeof(*sent));
	sent = NULL;
}

struct bytes {
	uint8_t *at;
	size_t len;
};

/* A file that tests/host/netlink.py wrote. */
static struct bytes load(const char *name) {
	char path[512];
	struct bytes b;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", getenv("WEIR_NETLINK"), name);
	f = fopen(path, "r");
	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	b.len = (size_t)ftell(f);
	rewind(f);
	b.at = malloc(b.len);
	assert_int_equal(fread(b.at, 1, b.len, f), b.len);
	fclose(f);
	return b;
}

/* By the rule of vf() in netlink.py. */
static void is_vf(const struct link_vf *v, unsigned n) {
	const uint8_t mac[6] = {2, 0, 0, 0, (uint8_t)(n >> 8), (uint8_t)n};
	unsigned has = VF_HAS_MAC | VF_HAS_VLAN | VF_HAS_RATE | VF_HAS_SPOOFCHK | VF_HAS_TRUST |
		       VF_HAS_STATE | VF_HAS_STATS;

	assert_int_equal(v->has, n % 5 == 0 ? has : has | VF_HAS_RSS_QUERY);
	assert_int_equal(v->mac, mac_load(mac));
	assert_int_equal(v->vlan, n % 4095);
	assert_int_equal(v->qos, n % 8);
	assert_int_equal(v->proto, n % 2 ? 0x88a8 : 0x8100);
	assert_int_equal(v->min_rate, n);
	assert_int_equal(v->max_rate, 1000 + n);
	assert_int_equal(v->spoofchk, n % 2);
	assert_int_equal(v->trust, n % 3 == 0);
	assert_int_equal(v->rss_query, n % 5 != 0 && n % 2);
	assert_int_equal(v->state, n % 3);
	assert_int_equal(v->rx_packets, n * 10);
	assert_int_equal(v->tx_packets, n * 10 + 1);
	assert_int_equal(v->rx_bytes, n * 10 + 2);
	assert_int_equal(v->tx_bytes, n * 10 + 3);
	assert_int_equal(v->broadcast, n * 10 + 4);
	assert_int_equal(v->multicast, n * 10 + 5);
	assert_int_equal(v->rx_dropped, n * 10 + 7);
	assert_int_equal(v->tx_dropped, n * 10 + 8);
}

static void is_pf(const struct link *l, int index, const char *slot, unsigned vfs) {
	const uint8_t mac[6] = {2, 1, 0, 0, 0, (uint8_t)index};
	const uint8_t perm[6] = {2, 2, 0, 0, 0, (uint8_t)index};

	assert_non_null(l);
	assert_int_equal(l->index, index);
	assert_int_equal(l->mac, mac_load(mac));
	assert_int_equal(l->perm_mac, mac_load(perm)); // stands behind the VFs
	assert_string_equal(l->parent, slot);
	assert_string_equal(l->switch_id, "0123456789abcdef");
	assert_string_equal(l->port_name, "p0");
	assert_int_equal(l->flags, 0x1043);
	assert_int_equal(l->operstate, 6);
	assert_int_equal(l->mtu, 1500);
	assert_int_equal(l->min_mtu, 68);
	assert_int_equal(l->max_mtu, 9216);
	assert_int_equal(l->tx_queues, 64);
	assert_int_equal(l->rx_queues, 32);
	assert_int_equal(l->carrier_changes, 3);
	assert_int_equal(l->nvfs, vfs);
	for (unsigned n = 0; n < vfs; n++)
		is_vf(&l->vf[n], n);
}

static void hundreds_of_vfs_are_read_also_where_their_list_outgrows_its_length(void **state) {
	struct bytes b = load("many.nl");
	struct links l = {0};

	assert_int_equal(links_decode(&l, b.at, b.len), 0);
	assert_int_equal(l.nlinks, 3);
	is_pf(links_name(&l, "pf100"), 2, "0000:01:00.0", 100);
	is_pf(links_index(&l, 3), 3, "0000:02:00.0", 300);
	assert_string_equal(links_index(&l, 1)->name, "lo");
	assert_null(links_index(&l, 4));
	assert_null(links_name(&l, "pf"));
	assert_int_equal(links_index(&l, 3)->naltnames, 2);
	assert_ptr_equal(links_name(&l, "pf300-alt"), links_index(&l, 3));
	assert_int_equal(strlen(links_index(&l, 3)->altname[1]), 5 + 120);
	links_free(&l);
	free(b.at);
}

/* As iproute2 set VF n % 7 of the recorded NIC before. */
static void is_recorded(const struct link_vf *v, unsigned n) {
	static const uint16_t vlan[7] = {100, 200}, rate[7] = {0, 0, 100, 250};
	const uint8_t mac[6] = {2, 0, 0, 0, 0, (uint8_t)(n % 7)};

	assert_int_equal(v->has, VF_HAS_MAC | VF_HAS_VLAN | VF_HAS_RATE | VF_HAS_SPOOFCHK |
					 VF_HAS_TRUST | VF_HAS_STATE | VF_HAS_STATS);
	assert_int_equal(v->mac, mac_load(mac));
	assert_int_equal(v->vlan, vlan[n % 7]);
	assert_int_equal(v->qos, n % 7 == 1 ? 3 : 0);
	assert_int_equal(v->proto, 0x8100);
	assert_int_equal(v->min_rate, 0);
	assert_int_equal(v->max_rate, rate[n % 7]);
	assert_int_equal(v->spoofchk, n % 7 != 4);
	assert_int_equal(v->trust, n % 7 == 5);
	assert_int_equal(v->state, VF_STATE_AUTO);
}

static void what_a_kernel_said_of_its_vfs_is_understood(void **state) {
	struct bytes b = load("captured.nl");
	struct links l = {0};

	assert_int_equal(links_decode(&l, b.at, b.len), 0);
	assert_int_equal(l.nlinks, 1);
	assert_string_equal(l.link->name, "eth0");
	assert_string_equal(l.link->parent, "0000:01:00.0");
	assert_int_equal(l.link->mtu, 1500);
	assert_int_equal(l.link->max_mtu, 9216);
	assert_int_equal(l.link->nvfs, 301);
	for (unsigned n = 0; n < 301; n++)
		is_recorded(&l.link->vf[n], n);
	links_free(&l);
	free(b.at);
}

static void eswitches_and_firmware_are_told_of_pci_devices(void **state) {
	struct bytes b = load("devlink.nl");
	struct devlinks d = {0};
	const struct devlink *one, *two, *three;

	assert_int_equal(devlinks_decode(&d, b.at, b.len), 0);
	assert_int_equal(d.n, 3);
	one = devlinks_at(&d, "0000:01:00.0");
	two = devlinks_at(&d, "0000:02:00.0");
	three = devlinks_at(&d, "0000:03:00.0");
	assert_non_null(one);
	assert_int_equal(one->mode, ESWITCH_SWITCHDEV);
	assert_string_equal(one->inline_mode, "network");
	assert_string_equal(one->encap, "basic");
	assert_string_equal(one->firmware, "16.32.0");
	assert_int_equal(two->mode, ESWITCH_LEGACY);
	assert_string_equal(two->inline_mode, "");
	assert_string_equal(two->firmware, "");
	assert_int_equal(three->mode, ESWITCH_NONE);
	assert_null(devlinks_at(&d, "netdevsim1"));
	devlinks_free(&d);
	free(b.at);
}

/* Decodes a copy that ends where its memory ends. */
static void survives(const uint8_t *bytes, size_t len) {
	uint8_t *copy = malloc(len + 1);
	struct devlinks d = {0};
	struct links l = {0};
	int rc;

	memcpy(copy, bytes, len);
	copy = realloc(copy, len > 0 ? len : 1);
	rc = links_decode(&l, copy, len);
	assert_true(rc == 0 || rc == -EBADMSG);
	links_free(&l);
	rc = devlinks_decode(&d, copy, len);
	assert_true(rc == 0 || rc == -EBADMSG);
	devlinks_free(&d);
	free(copy);
}

static void damaged(const char *name, unsigned rounds, size_t cut_by) {
	struct bytes b = load(name);
	size_t head = b.len < 1024 ? b.len : 1024; // half of the damage is near the beginning
	uint8_t *copy = malloc(b.len);

	for (size_t len = 0; len < b.len; len += len < 4096 ? 1 : cut_by)
		survives(b.at, len);
	srandom(1);
	for (unsigned i = 0; i < rounds; i++) {
		memcpy(copy, b.at, b.len);
		for (unsigned k = 0; k < 1 + i % 8; k++)
			copy[(size_t)random() % (i % 2 ? b.len : head)] = (uint8_t)random();
		survives(copy, b.len);
	}
	free(copy);
	free(b.at);
}

static void no_cut_and_no_damage_leads_out_of_the_message(void **state) {
	damaged("many.nl", 300, 1009);
	damaged("devlink.nl", 3000, 1);
}

static void a_cut_message_is_an_error_and_not_less_links(void **state) {
	struct bytes b = load("many.nl");
	struct links l = {0};

	assert_int_equal(links_decode(&l, b.at, b.len - 40), -EBADMSG);
	links_free(&l);
	assert_int_equal(links_decode(&l, b.at, 8), -EBADMSG);
	links_free(&l);
	b.at[16 + 16] = 3; // the first attribute, shorter than its own header
	b.at[16 + 17] = 0;
	assert_int_equal(links_decode(&l, b.at, b.len), -EBADMSG);
	links_free(&l);
	free(b.at);
}

static void a_recorded_host_without_messages_has_no_links(void **state) {
	char dir[] = "/tmp/weir-netlink-XXXXXX", sys[64];
	struct devlinks d;
	struct root root;
	struct links l;
	struct err e;

	assert_non_null(mkdtemp(dir));
	snprintf(sys, sizeof(sys), "%s/sys", dir);
	assert_return_code(mkdir(sys, 0755), errno);
	assert_int_equal(root_open(&root, dir, &e), 0);
	assert_int_equal(links_read(&root, &l, &e), 0);
	assert_int_equal(l.nlinks, 0);
	assert_int_equal(devlinks_read(&root, &d), 0);
	assert_int_equal(d.n, 0);
	rmdir(sys);
	rmdir(dir);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_has_the_bytes_that_iproute2_sends),
		cmocka_unit_test(an_eswitch_is_set_with_the_bytes_that_devlink_sends),
		cmocka_unit_test(
			hundreds_of_vfs_are_read_also_where_their_list_outgrows_its_length),
		cmocka_unit_test(what_a_kernel_said_of_its_vfs_is_understood),
		cmocka_unit_test(eswitches_and_firmware_are_told_of_pci_devices),
		cmocka_unit_test(no_cut_and_no_damage_leads_out_of_the_message),
		cmocka_unit_test(a_cut_message_is_an_error_and_not_less_links),
		cmocka_unit_test(a_recorded_host_without_messages_has_no_links),
	};

	return cmocka_run_group_tests_name("netlink", tests, NULL, NULL);
}
