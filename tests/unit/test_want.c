/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/want/want.h"

#include "base/mac.h"
#include "host_tree.h"

/* The desired state: what is taken, what is refused and in which words. */

struct refusal {
	const char *text, *sentence;
};

static void refuses(const struct refusal *r, size_t n) {
	for (size_t i = 0; i < n; i++) {
		struct err e = {.text = ""};
		struct want *w = (struct want *)1;
		int rc = want_parse(&w, r[i].text, strlen(r[i].text), "f", &e);

		if (rc >= 0 || w != NULL)
			fail_msg("taken: %s", r[i].text);
		if (strcmp(e.text, r[i].sentence) != 0)
			fail_msg(
				"%s\n  says:   %s\n  wanted: %s", r[i].text, e.text, r[i].sentence);
	}
}
#define REFUSES(...)                                                \
	do {                                                        \
		static const struct refusal list[] = {__VA_ARGS__}; \
		refuses(list, sizeof(list) / sizeof(list[0]));      \
	} while (0)

static void a_file_that_is_no_desired_state_is_refused_with_its_line(void **state) {
	REFUSES({"[]", "f:1: the desired state is a list; it must be a map such as {pfs: {}}"},
		{"pfs: {a: {vfs: 1}}\npool: {}", "f:2: unknown key 'pool'; did you mean 'pools'?"},
		{"pfs: 3", "f:1: pfs is 3; it must be a map of PFs such as {enp1s0f0: {vfs: 7}}"},
		{"pfs: {'a b': {}}", "f:1: pf 'a b': a name must be 1 to 31 letters, digits, dots, "
				     "dashes or underscores, or an address"},
		{"pfs:\n  a: 7", "f:2: pf a: it is 7; it must be a map of keys"},
		{"pfs:\n  a:\n    vfs: many",
			"f:3: pf a: vfs is 'many'; it must be a number of VFs 0..2048"},
		{"pfs: {a: {link: on}}", "f:1: pf a: link is 'on'; it must be up or down"},
		{"pfs: {a: {autoprobe: up}}", "f:1: pf a: autoprobe is 'up'; it must be on or off"},
		{"pfs: {a: {mtu: 67}}",
			"f:1: pf a: mtu is 67; it must be a number of bytes 68..65535"},
		{"pfs: {a: {eswitch: none}}",
			"f:1: pf a: eswitch is 'none'; it must be legacy or switchdev"},
		{"pfs: {a: {match: []}}", "f:1: pf a: match has 0 elements; give 1..256"},
		{"pfs: {a: {match: [x, x]}}", "f:1: pf a: match has 'x' twice; delete one"},
		{"pfs: {a: {defaults: [spoofchk]}}",
			"f:1: pf a: defaults is a list; it must be a map "
			"of keys of VFs such as {spoofchk: on}"},
		{"pfs: {a: {defaults: {mac: 52:54:00:00:00:01}}}",
			"f:1: pf a: unknown key 'mac'; there are: driver, vlan, qos, proto, "
			"min-rate, "
			"max-rate, spoofchk, trust, link-state, rss-query"});
}

static void a_byte_order_mark_is_passed_over(void **state) {
	static const char text[] = "\xef\xbb\xbfpfs: {}\n";
	struct err e = {.text = ""};
	struct want *w;

	if (want_parse(&w, text, strlen(text), "f", &e) != 0)
		fail_msg("refused: %s", e.text);
	want_free(w);
}

static void a_wrong_value_of_a_vf_is_refused_with_what_it_may_be(void **state) {
#define POOL(x) "pfs: {a: {}}\npools:\n  p:\n    pfs: a\n    " x
	REFUSES({POOL("vlan: 4095"),
			"f:5: pool p: vlan is 4095; it must be a number 1..4094, or 0 for "
			"none"},
		{POOL("qos: 8"), "f:5: pool p: qos is 8; it must be a priority 0..7"},
		{POOL("proto: qinq"), "f:5: pool p: proto is 'qinq'; it must be 802.1q or 802.1ad"},
		{POOL("max-rate: 1000"),
			"f:5: pool p: max-rate is 1000; it must be a rate of whole Mbit "
			"such as 1Gbit, or 0 for none"},
		{POOL("min-rate: 1500kbit"), "f:5: pool p: min-rate is '1500kbit'; it must be a "
					     "rate of whole Mbit such as "
					     "100Mbit, or 0 for none"},
		{POOL("link-state: up"),
			"f:5: pool p: link-state is 'up'; it must be auto, enable or disable"},
		{POOL("trust: yes"), "f:5: pool p: trust is 'yes'; it must be on or off"},
		{POOL("macs: [52:54:00:00:00:01, 01:00:5e:00:00:01]"),
			"f:5: pool p: macs has '01:00:5e:00:00:01' in it; it must be a list of MAC "
			"addresses of one station each such as 52:54:00:00:00:02"},
		{POOL("mac-prefix: 53:54:00"), "f:5: pool p: mac-prefix is '53:54:00'; it must be "
					       "the first 3 to 5 octets of "
					       "addresses of one station each such as 52:54:00"},
		{POOL("mac-prefix: 52:54"),
			"f:5: pool p: mac-prefix is '52:54'; it must be the first 3 to 5 octets of "
			"addresses of one station each such as 52:54:00"},
		{POOL("mac-prefix: 52:54:00\n    macs: [52:54:00:00:00:01]"),
			"f:5: pool p: both macs and mac-prefix are given; delete one"},
		{POOL("vfs: 3-1"),
			"f:5: pool p: vfs is '3-1'; it must be numbers of VFs 0..2047 such as "
			"0-3 or 0-2,5, or all"},
		{POOL("vfs: 2048"),
			"f:5: pool p: vfs is 2048; it must be numbers of VFs 0..2047 such as "
			"0-3 or 0-2,5, or all"},
		{POOL("vfs: '0,'"),
			"f:5: pool p: vfs is '0,'; it must be numbers of VFs 0..2047 such as "
			"0-3 or 0-2,5, or all"},
		{POOL("owners: [vm1, vm1]"), "f:5: pool p: owners has 'vm1' twice; delete one"},
		{POOL("alias: -x"),
			"f:5: pool p: alias is '-x'; it must be a PCI alias of Nova of 1 to 39 "
			"letters, digits and -_.:@/, a letter or digit first"},
		{"pfs: {a: {}}\npools: {p: {pfs: [b]}}",
			"f:2: pool p: no PF 'b' in the map pfs:; there are: a"},
		{"pfs: {a: {}}\npools: {p: {}}",
			"f:2: pool p: it has no PFs; name those whose VFs belong to "
			"it, such as pfs: [enp1s0f0]"},
		{"vfs: {w: {vf: 1}}", "f:1: vf w: it does not say which VF it is; give it pf: NAME "
				      "and vf: NUMBER"},
		{"vfs: {w: {pf: a, vf: 1}}",
			"f:1: vf w: no PF 'a' in the map pfs:; there are: none"},
		{"devices: {g: {driver: 'a b'}}",
			"f:1: device g: driver is 'a b'; it must be the name of a driver such as "
			"vfio-pci, "
			"kernel (the one the kernel has for it) or none"});
#undef POOL
}

/* A host with two ports of ixgbe, of which the first has VFs. */
static struct root root;
static struct host host;

static int up(void **state) {
	struct err e = {.text = ""};
	char etc[PATH_MAX];

	tree_make(&root, "ixgbe", "");
	snprintf(etc, sizeof(etc), "%s/etc", root.at);
	mkdir(etc, 0755);
	return host_read(&host, &root, &e);
}

static int down(void **state) {
	host_free(&host);
	tree_gone(&root);
	return 0;
}

/* What a file means there, or why it means nothing. */
static void resolves(const char *text, const char *sentence) {
	struct err e = {.text = ""};
	struct aims a = {0};
	struct want *w;
	int rc;

	assert_int_equal(want_parse(&w, text, strlen(text), "f", &e), 0);
	rc = want_resolve(&a, w, &host, &e);
	aims_free(&a);
	want_free(w);
	if (sentence == NULL && rc != 0)
		fail_msg("refused: %s\n%s", e.text, text);
	if (sentence != NULL && (rc >= 0 || strcmp(e.text, sentence) != 0))
		fail_msg("%s\n  says:   %s\n  wanted: %s", text, rc < 0 ? e.text : "", sentence);
}

static void what_the_host_cannot_have_is_refused(void **state) {
	resolves("pfs: {eno1: {vfs: 64}}",
		"f:1: pf eno1: vfs is 64; 0000:04:00.0 (ixgbe) can have at most 63");
	resolves("pfs: {a: {match: 8086:1234}}",
		"f:1: pf a: no function is 8086:1234; `weir nic list` shows what there is");
	resolves("pfs:\n  eno1: {}\n  a: {match: 0000:04:00.0}",
		"f:3: pf a: 0000:04:00.0 is also what pf eno1 matches; one entry may speak of it");
	resolves("pfs: {a: {match: 0000:04:10.0}}", "f:1: pf a: 0000:04:10.0 is a virtual function "
						    "(VF 0 of 0000:04:00.0); name its PF, and the "
						    "VF under vfs: or pools:");
	resolves("pfs: {0000:06:00.0: {vfs: 1}}", "f:1: pf 0000:06:00.0: vfs is 1; 0000:06:00.0 "
						  "(nvme) has no SR-IOV capability, so 0");
	resolves("pfs: {eno1: {mtu: 9800}}", "f:1: pf eno1: mtu is 9800; eno1 can have 68..9710");
	resolves("pfs: {0000:08:00.0: {link: up}}",
		"f:1: pf 0000:08:00.0: 0000:08:00.0 has no interface here, so neither link: nor "
		"mtu: can be "
		"set; its driver is nvidia");
	resolves("devices: {g: {match: 0000:04:10.0}}",
		"f:1: device g: 0000:04:10.0 is a virtual function (VF 0 of 0000:04:00.0); name it "
		"under vfs:");
	resolves("pfs: {eno1: {}}\ndevices: {g: {match: 8086:10fb}}",
		"f:2: device g: 0000:04:00.0 is also what pf eno1 matches; a PF that is given away "
		"has no "
		"VFs");
	resolves("devices: {g: {match: 10de:1eb8}, h: {match: 0000:08:00.0}}",
		"f:1: device h: 0000:08:00.0 is also what device g matches; one entry may speak of "
		"it");
}

static void pools_that_overlap_or_go_beyond_are_refused(void **state) {
#define PF "pfs: {eno1: {vfs: 7}, both: {match: 0000:04:00.1, vfs: 3}}\n"
	resolves(PF "pools:\n  a: {pfs: eno1, vfs: 0-3}\n  b: {pfs: eno1, vfs: '3,4'}",
		"f:4: pool b: VF 3 of 0000:04:00.0 is also in pool a; leave it out of one of them");
	resolves(PF "pools: {a: {pfs: [eno1, both], vfs: 0-3}}",
		"f:2: pool a: VF 3 of 0000:04:00.1 is beyond the 3 that it will have; raise vfs: "
		"of pf both or "
		"leave it out");
	resolves(PF "vfs: {w: {pf: eno1, vf: 7}}", "f:2: vf w: VF 7 of 0000:04:00.0 is beyond the "
						   "7 that it will have; raise vfs: of pf eno1 or "
						   "leave it out");
	resolves(PF "vfs: {w: {pf: eno1, vf: 6}, v: {pf: eno1, vf: 6}}",
		"f:2: vf v: VF 6 of 0000:04:00.0 is also in vf w; leave it out of one of them");
	resolves(PF "pools: {a: {pfs: eno1}, b: {pfs: eno1}}",
		"f:2: pool b: no VF is left for it; give its PFs more by vfs:, or others fewer");
	resolves(PF "pools: {a: {pfs: both, owners: [a, b, c, d]}}",
		"f:2: pool a: owners has 4 names for 3 VFs; each owner needs one");
	resolves(PF "pools: {a: {pfs: both, macs: [52:54:00:00:00:01]}}",
		"f:2: pool a: macs has 1 addresses for 3 VFs; give each one, or a mac-prefix");
	resolves("pfs: {a: {match: 8086:10fb, vfs: 2}}\nvfs: {w: {pf: a, vf: 0}}",
		"f:2: vf w: pf a matches 2 functions; a single VF needs an entry that matches one");
	resolves(PF "vfs: {w: {pf: eno1, vf: 2}}\npools: {a: {pfs: [eno1, both]}}", NULL);
#undef PF
}

static void rates_and_addresses_are_judged_together(void **state) {
#define PF "pfs: {eno1: {vfs: 4}}\n"
	resolves(PF "pools:\n  a:\n    pfs: eno1\n    max-rate: 11Gbit",
		"f:5: pool a: max-rate is 11000 Mbit, above the 10000 Mbit of the link of "
		"0000:04:00.0");
	resolves(PF "pools: {a: {pfs: eno1, min-rate: 3Gbit}}",
		"f:2: pool a: with VF 3 the min-rates on 0000:04:00.0 are 12000 Mbit together; its "
		"link has "
		"10000");
	resolves(PF "pools: {a: {pfs: eno1, min-rate: 3Gbit, max-rate: 1Gbit}}",
		"f:2: pool a: min-rate is 3000 Mbit, above max-rate with 1000 Mbit; lower one or "
		"raise the "
		"other");
	resolves("pfs: {eno1: {vfs: 1, defaults: {qos: 3}}}",
		"f:1: defaults of eno1: qos is given and no vlan; a priority and a protocol are "
		"those of a VLAN "
		"tag; give vlan: 1..4094");
	resolves(PF "vfs:\n  v: {pf: eno1, vf: 1, mac: 52:54:00:00:00:01}\n"
		    "  w: {pf: eno1, vf: 0, mac: 52:54:00:00:00:01}",
		"f:3: vf v: VF 1 of 0000:04:00.0 would have 52:54:00:00:00:01, which VF 0 of "
		"0000:04:00.0 (vf "
		"w) has; give each its own");
	resolves(PF "vfs: {v: {pf: eno1, vf: 1, mac: 90:e2:ba:40:10:00}}",
		"f:2: vf v: VF 1 of 0000:04:00.0 would have 90:e2:ba:40:10:00, which is the "
		"address of a PF; "
		"give it one of its own");
#undef PF
}

static const char *both_pfs =
	"pfs:\n"
	"  cards: {match: '8086:10fb', vfs: 6, defaults: {spoofchk: on, vlan: 7}}\n"
	"pools:\n"
	"  t: {pfs: cards, vfs: '0-2,4', vlan: 100, max-rate: 1Gbit, "
	"mac-prefix: '52:54:00', owners: [a, b, c, d, e]}\n"
	"vfs: {}\n"
	"devices: {gpu: {match: 0000:08:00.0, driver: vfio-pci}}\n";

static struct want *state_of(const char *text) {
	struct err e = {.text = ""};
	struct want *w;

	if (want_parse(&w, text, strlen(text), "f", &e) != 0)
		fail_msg("%s", e.text);
	return w;
}

static void a_pool_may_span_cards_and_every_vf_gets_what_is_nearest(void **state) {
	struct want *w = state_of(both_pfs);
	struct err e = {.text = ""};
	struct aims a;

	assert_int_equal(want_resolve(&a, w, &host, &e), 0);
	assert_int_equal(a.npfs, 2);
	assert_string_equal(a.pf[1].fn->slot, "0000:04:00.1");
	assert_int_equal(a.naims, 13);
	for (int i = 0; i < 12; i++) {
		const struct aim *t = &a.aim[i];
		bool pool = t->vf <= 2 || t->vf == 4;

		assert_int_equal(t->vf, i % 6);
		assert_int_equal(t->pf, i / 6);
		assert_ptr_equal(t->pool, pool ? w->pools : NULL);
		assert_int_equal(t->want.vlan, pool ? 100 : 7);
		assert_int_equal(t->want.max_rate, pool ? 1000 : 0);
		assert_true(t->want.spoofchk);
		assert_int_equal((t->want.stated & WANT_TRUST) != 0, 0);
		assert_int_equal(t->want.mac & 0xffffff, pool ? 0x005452 : 0);
	}
	assert_string_equal(a.aim[0].want.owner, "a");
	assert_string_equal(a.aim[4].want.owner, "d");
	assert_string_equal(a.aim[6].want.owner, "e");
	assert_int_equal(a.aim[7].want.stated & WANT_OWNER, 0);
	assert_int_equal(a.aim[12].vf, -1);
	assert_string_equal(a.aim[12].want.driver, "vfio-pci");
	aims_free(&a);
	want_free(w);
}

/* The derived addresses of both_pfs on a machine. */
static void macs_on(const char *machine, const char *text, uint64_t mac[12]) {
	struct want *w = state_of(text);
	struct err e = {.text = ""};
	struct aims a;

	tree_put(&root, "/etc/machine-id", machine);
	assert_int_equal(want_resolve(&a, w, &host, &e), 0);
	for (int i = 0; i < 12; i++)
		mac[i] = 0;
	for (unsigned i = 0; i < a.naims; i++)
		if (a.aim[i].pf >= 0)
			mac[a.aim[i].pf * 6 + a.aim[i].vf] = a.aim[i].want.mac;
	aims_free(&a);
	want_free(w);
}

static void derived_addresses_stay_with_their_vf_and_differ_between_machines(void **state) {
	uint64_t one[12], again[12], other[12], fewer[12];
	unsigned same = 0;

	macs_on("5bd0fd6cbb1d4d4a9c5cc1d2f3b5f2e1\n", both_pfs, one);
	macs_on("5bd0fd6cbb1d4d4a9c5cc1d2f3b5f2e1\n", both_pfs, again);
	macs_on("00000000000000000000000000000001\n", both_pfs, other);
	macs_on("5bd0fd6cbb1d4d4a9c5cc1d2f3b5f2e1\n",
		"pfs: {x: {match: 0000:04:00.1, vfs: 5}}\npools: {q: {pfs: x, vfs: 4, mac-prefix: "
		"'52:54:00'}}",
		fewer);
	for (int i = 0; i < 12; i++) {
		assert_int_equal(one[i], again[i]);
		same += one[i] != 0 && one[i] == other[i];
		for (int j = 0; j < i; j++)
			assert_true(one[i] == 0 || one[i] != one[j]);
	}
	assert_int_equal(same, 0);
	assert_int_equal(fewer[4], one[10]);
}

static void a_prefix_of_five_octets_is_used_up_to_its_last_address(void **state) {
	resolves("pfs: {a: {match: 8086:10fb, vfs: 63}}\npools: {p: {pfs: a, mac-prefix: "
		 "52:54:00:00:01}}",
		NULL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_that_is_no_desired_state_is_refused_with_its_line),
		cmocka_unit_test(a_byte_order_mark_is_passed_over),
		cmocka_unit_test(a_wrong_value_of_a_vf_is_refused_with_what_it_may_be),
		cmocka_unit_test(what_the_host_cannot_have_is_refused),
		cmocka_unit_test(pools_that_overlap_or_go_beyond_are_refused),
		cmocka_unit_test(rates_and_addresses_are_judged_together),
		cmocka_unit_test(a_pool_may_span_cards_and_every_vf_gets_what_is_nearest),
		cmocka_unit_test(derived_addresses_stay_with_their_vf_and_differ_between_machines),
		cmocka_unit_test(a_prefix_of_five_octets_is_used_up_to_its_last_address),
	};

	return cmocka_run_group_tests_name("want", tests, up, down);
}
