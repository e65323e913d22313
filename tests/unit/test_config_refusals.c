/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "control/config.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cpus.h"
#include "base/err.h"

/* What is refused, and in which words: each sentence names file, line, value, range or remedy. */

static struct config *parse(const char *text) {
	struct err e = {.text = ""};
	struct config *c;

	if (config_parse(&c, text, strlen(text), "weir.yaml", &e) != 0)
		fail_msg("refused: %s\n%s", e.text, text);
	return c;
}

struct refusal {
	const char *text, *sentence;
};

static void refuses(const struct refusal *r, size_t n) {
	for (size_t i = 0; i < n; i++) {
		struct err e = {.text = ""};
		struct config *c = (struct config *)1;
		int rc = config_parse(&c, r[i].text, strlen(r[i].text), "f", &e);

		if (rc >= 0 || c != NULL)
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

static void what_is_no_plain_yaml_is_refused_with_its_line(void **state) {
	REFUSES({"a: [1,\nb", "f:3: this is no YAML: did not find expected ',' or ']' while "
			      "parsing a flow sequence"},
		{"\tidle: busy", "f:1: this is no YAML: found character that cannot start any "
				 "token while scanning for the next token"},
		{"idle: \x01", "f: byte 6 cannot stand in YAML text (control characters are not "
			       "allowed); take it out"},
		{"idle: \xff", "f: byte 6 cannot stand in YAML text (invalid leading UTF-8 octet); "
			       "take it out"},
		{"idle: busy\nidle: busy\n",
			"f:2: key 'idle' stands twice, first on line 1; keep one"},
		{"ports:\n  a: {tap: a}\n  b: {tap: b}\n  a: {tap: c}\n",
			"f:4: key 'a' stands twice, first on line 2; keep one"},
		{"idle: &x busy\n",
			"f:1: anchors (&) are not taken; write the value where it is needed"},
		{"ports: &x {}\n",
			"f:1: anchors (&) are not taken; write the value where it is needed"},
		{"\nidle: *x\n",
			"f:2: aliases (*) are not taken; write the value where it is needed"},
		{"idle: !!str busy\n", "f:1: tags (!) are not taken; write the value without one"},
		{"ports: !x {}\n", "f:1: tags (!) are not taken; write the value without one"},
		{"idle: \"a\\0b\"\n", "f:1: a NUL stands in a string; take it out"},
		{"\"\": 1\n", "f:1: a key is empty; give it a name"},
		{"[a]: 1\n", "f:1: a key is a map or a list; keys are names"},
		{"idle: busy\n---\nidle: busy\n",
			"f:2: a second document begins; a configuration is one"},
		{"[[[[[[[[[[[[[[[[[[[[", "f:1: more than 16 maps and lists inside each other"},
		{"- 1\n", "f:1: the configuration is a list; it must be a map such as {ports: {}}"},
		{"busy\n",
			"f:1: the configuration is 'busy'; it must be a map such as {ports: {}}"});
}

static void a_file_that_is_too_large_is_refused(void **state) {
	size_t len = (1 << 20) + 1;
	char *text = malloc(len + 1);
	struct err e;
	struct config *c;

	memset(text, '\n', len);
	assert_int_equal(config_parse(&c, text, len, "f", &e), -E2BIG);
	assert_string_equal(
		e.text, "f: 1048577 bytes are too many for a configuration; at most 1048576");
	assert_int_equal(config_parse(&c, text, len - 1, "f", &e), 0);
	config_free(c);
	memcpy(text, "ports: [", 8);
	memset(text + 8, ',', len - 8);
	for (size_t i = 8; i < len; i += 2)
		text[i] = '1';
	assert_int_equal(config_parse(&c, text, len - 1, "f", &e), -E2BIG);
	assert_string_equal(e.text, "f:1: more than 100000 values; split the configuration");
	free(text);
}

static void an_unknown_key_is_refused_with_the_nearest_known_one(void **state) {
	REFUSES({"\nidel: busy\n", "f:2: unknown key 'idel'; did you mean 'idle'?"},
		{"colour: red\n", "f:1: unknown key 'colour'; there are: workers, idle, api, "
				  "metrics, mac-age, mac-table, networks, ports"},
		{"networks: {a: {vlna: 1}}\n",
			"f:1: network a: unknown key 'vlna'; did you mean 'vlan'?"},
		{"networks: {a: {x: 1}}\n", "f:1: network a: unknown key 'x'; there are: vlan"},
		{"ports:\n  a:\n    tap: a\n    qeues: 1\n",
			"f:4: port a: unknown key 'qeues'; did you mean 'queues'?"},
		{"ports: {a: {vhost_user: /a}}\n",
			"f:1: port a: unknown key 'vhost_user'; did you mean 'vhost-user'?"},
		{"ports: {a: {\"x\\n\\x1b\": 1}}\n",
			"f:1: port a: unknown key 'x\?\?'; there are: vhost-user, tap, network, "
			"trunk, native, mode, group, memory, netns, queues, mtu, link, mac, "
			"static-macs, mac-limit, isolated, qinq"});
}

static void a_top_level_value_that_is_wrong_is_refused_with_what_it_must_be(void **state) {
	REFUSES({"idle: lazy\n", "f:1: idle is 'lazy'; it must be adaptive, busy or interrupt"},
		{"idle:\n", "f:1: idle is empty; it must be adaptive, busy or interrupt"},
		{"idle: 1\n", "f:1: idle is 1; it must be adaptive, busy or interrupt"},
		{"workers: 1\n",
			"f:1: workers is 1; it must be a list of CPU numbers such as [1, 2]"},
		{"workers: []\n", "f:1: workers has 0 elements; give 1..64"},
		{"workers: [0,\n 0]\n",
			"f:2: workers has CPU 0 twice; give each worker a CPU of its own"},
		{"api: weir.sock\n", "f:1: api is 'weir.sock'; it must be the absolute path of a "
				     "socket such as /run/weir/weir.sock"},
		{"api: {}\n", "f:1: api is a map; it must be the absolute path of a socket such as "
			      "/run/weir/weir.sock"},
		{"mac-age: 300\n", "f:1: mac-age is 300; it must be a duration of whole seconds "
				   "1s..24h such as 300s"},
		{"mac-age: 25h\n", "f:1: mac-age is '25h'; it must be a duration of whole seconds "
				   "1s..24h such as 300s"},
		{"mac-age: 500ms\n", "f:1: mac-age is '500ms'; it must be a duration of whole "
				     "seconds 1s..24h such as 300s"},
		{"mac-table: 0\n",
			"f:1: mac-table is 0; it must be a number of entries 1..1048576"},
		{"mac-table: 1048577\n",
			"f:1: mac-table is 1048577; it must be a number of entries 1..1048576"},
		{"mac-table: 1.5\n",
			"f:1: mac-table is '1.5'; it must be a number of entries 1..1048576"},
		{"networks: [blue]\n", "f:1: networks is a list; it must be a map of networks such "
				       "as {blue: {vlan: 100}}"},
		{"ports: 7\n", "f:1: ports is 7; it must be a map of ports such as {vm1: "
			       "{vhost-user: /run/weir/vm1.sock}}"});
}

static void metrics_takes_an_address_and_a_port_only(void **state) {
	static const char *const good[] = {"127.0.0.1:9478", "0.0.0.0:1", "[::]:65535", "[::1]:80"};
	static const char *const bad[] = {"127.0.0.1", "9478", ":9478", "localhost:9478",
		"127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:", "127.0.0.1:1x", "127.0.0.1:+1",
		"::1:80", "[::1]", "[::1:80", "[]:80", "[127.0.0.1]:80", "1.2.3:80",
		"127.0.0.1:999999"};
	char text[80], want[200];

	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(text, sizeof(text), "metrics: \"%s\"\n", good[i]);
		config_free(parse(text));
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct refusal r = {text, want};

		snprintf(text, sizeof(text), "metrics: \"%s\"\n", bad[i]);
		snprintf(want, sizeof(want),
			"f:1: metrics is '%s'; it must be an address and a port such as "
			"127.0.0.1:9478 or, in quotes, \"[::1]:9478\"",
			bad[i]);
		refuses(&r, 1);
	}
}

static void a_cpu_that_may_not_be_used_is_refused_with_those_that_may(void **state) {
	char want[300], given[160];
	struct refusal r = {"workers:\n - 1023\n", want};

	cpus_text(given, sizeof(given));
	snprintf(want, sizeof(want),
		"f:2: workers has CPU 1023, which does not exist or may not be used; there are: %s",
		given);
	refuses(&r, 1);
	r.text = "workers: [0,\n -1]\n";
	if (cpus_allowed(0)) {
		struct err e;
		struct config *c;

		assert_int_equal(config_parse(&c, r.text, strlen(r.text), "f", &e), -EINVAL);
		assert_non_null(strstr(e.text, "f:2: workers has CPU -1, which does not exist"));
	}
}

static void a_network_that_is_wrong_is_refused(void **state) {
	REFUSES({"networks: {a: {vlan: 0}}\n",
			"f:1: network a: vlan is 0; it must be a number 1..4094"},
		{"networks: {a: {vlan: 4095}}\n",
			"f:1: network a: vlan is 4095; it must be a number 1..4094"},
		{"networks: {a: {vlan: \"7\"}}\n",
			"f:1: network a: vlan is '7'; it must be a number 1..4094"},
		{"networks: {a: {vlan: 99999999999999999999}}\n",
			"f:1: network a: vlan is '99999999999999999999'; it must be a number "
			"1..4094"},
		{"networks:\n  a: {vlan: 7}\n  b: {vlan: 7}\n",
			"f:3: network b: vlan 7 is already that of network a; give each its own"},
		{"networks: {a: 7}\n", "f:1: network a: it is 7; it must be a map of keys"},
		{"networks: {a b: {}}\n", "f:1: network 'a b': a name must be 1 to 31 letters, "
					  "digits, dots, dashes or underscores"},
		{"networks: {abcdefghijklmnopqrstuvwxyz123456: {}}\n",
			"f:1: network 'abcdefghijklmnopqrstuvwxyz123456': a name must be 1 to 31 "
			"letters, digits, dots, dashes or underscores"});
}

static void a_port_has_exactly_one_kind(void **state) {
	REFUSES({"ports:\n  a: {queues: 1}\n",
			"f:2: port a: it has no kind; give it vhost-user: PATH or tap: INTERFACE"},
		{"ports:\n  a:\n",
			"f:2: port a: it has no kind; give it vhost-user: PATH or tap: INTERFACE"},
		{"ports: {a: {tap: a, vhost-user: /a}}\n",
			"f:1: port a: both vhost-user and tap are given; a port is one of them; "
			"delete the other"},
		{"ports: {up0: {nic: eth1}}\n", "f:1: port up0: nic: this version of weir has no "
						"NIC ports yet; use vhost-user: or tap:"},
		{"ports: {a: {tap: a, mode: client}}\n", "f:1: port a: mode is for vhost-user "
							 "ports and this is a tap port; delete it"},
		{"ports: {a: {tap: a, group: kvm}}\n", "f:1: port a: group is for vhost-user ports "
						       "and this is a tap port; delete it"},
		{"ports: {a: {netns: x, vhost-user: /a}}\n",
			"f:1: port a: netns is for tap ports and this is a vhost-user port; delete "
			"it"},
		{"ports: {a: {vhost-user: /a, mode: client, group: kvm}}\n",
			"f:1: port a: group is for mode: server, where weir makes the socket; "
			"delete one of the two"},
		{"ports: {\"a/b\": {tap: a}}\n", "f:1: port 'a/b': a name must be 1 to 31 letters, "
						 "digits, dots, dashes or underscores"},
		{"ports: {a: [tap]}\n", "f:1: port a: it is a list; it must be a map of keys"});
}

static void a_value_of_a_port_that_is_wrong_is_refused_with_what_it_must_be(void **state) {
#define PORT(keys, says) {"ports:\n  a:\n    tap: a\n    " keys "\n", "f:4: port a: " says}
	REFUSES(PORT("queues: 0", "queues is 0; it must be a number 1..16"),
		PORT("queues: 17", "queues is 17; it must be a number 1..16"),
		PORT("queues: -1", "queues is -1; it must be a number 1..16"),
		PORT("queues: 65537", "queues is 65537; it must be a number 1..16"),
		PORT("queues: four", "queues is 'four'; it must be a number 1..16"),
		PORT("queues: 010", "queues is '010'; it must be a number 1..16"),
		PORT("mtu: 67", "mtu is 67; it must be a number of bytes 68..9000"),
		PORT("mtu: 9001", "mtu is 9001; it must be a number of bytes 68..9000"),
		PORT("link: on", "link is 'on'; it must be up or down"),
		PORT("isolated: yes", "isolated is 'yes'; it must be true or false"),
		PORT("qinq: yes", "qinq is 'yes'; it must be true or false"),
		PORT("mac-limit: -1",
			"mac-limit is -1; it must be a number of learned addresses 0..1048576"),
		PORT("mac: 52:54:00:00:00", "mac is '52:54:00:00:00'; it must be the MAC address "
					    "of one station such as 52:54:00:00:00:02"),
		PORT("mac: 01:00:5e:00:00:01", "mac is '01:00:5e:00:00:01'; it must be the MAC "
					       "address of one station such as 52:54:00:00:00:02"),
		PORT("mac: 00:00:00:00:00:00", "mac is '00:00:00:00:00:00'; it must be the MAC "
					       "address of one station such as 52:54:00:00:00:02"),
		PORT("static-macs: 02:00:00:00:00:01",
			"static-macs is '02:00:00:00:00:01'; it must be a list of MAC addresses of "
			"one station each such as 52:54:00:00:00:02"),
		PORT("static-macs: [ff:ff:ff:ff:ff:ff]",
			"static-macs has 'ff:ff:ff:ff:ff:ff' in it; it must be a list of MAC "
			"addresses of one station each such as 52:54:00:00:00:02"),
		PORT("network: [blue]", "network is a list; it must be the name of a network"),
		PORT("network: a b", "network is 'a b'; it must be the name of a network"),
		PORT("native: {}", "native is a map; it must be the name of a network"),
		PORT("trunk: blue", "trunk is 'blue'; it must be a list of names of networks such "
				    "as [blue, green]"),
		PORT("trunk: []", "trunk has 0 elements; give 1..4096"),
		PORT("trunk: [{}]", "trunk has a map in it; it must be a list of names of networks "
				    "such as [blue, green]"),
		PORT("netns: a/b",
			"netns is 'a/b'; it must be a name as in `ip netns` or an absolute path"),
		PORT("netns: ..",
			"netns is '..'; it must be a name as in `ip netns` or an absolute path"),
		{"ports: {a: {vhost-user: /a, mode: both}}\n",
			"f:1: port a: mode is 'both'; it must be server (weir listens) or client "
			"(weir connects)"},
		{"ports: {a: {vhost-user: /a, group: \"a:b\"}}\n",
			"f:1: port a: group is 'a:b'; it must be the name of a group, which then "
			"may connect"},
		{"ports: {a: {vhost-user: \"/a\\nb\"}}\n",
			"f:1: port a: vhost-user is '/a?b'; it must be the absolute path of a "
			"socket such as /run/weir/vm1.sock"},
		{"ports: {a: {vhost-user: a.sock}}\n",
			"f:1: port a: vhost-user is 'a.sock'; it must be the absolute path of a "
			"socket such as /run/weir/vm1.sock"});
}

static void a_socket_path_has_at_most_107_bytes(void **state) {
	char path[109], text[200], want[400];
	struct refusal r = {text, want};

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[108] = '\0';
	snprintf(want, sizeof(want),
		"f:1: port a: vhost-user is '%s', which has 108 bytes; a socket path has at most "
		"107; choose a shorter one",
		path);
	snprintf(text, sizeof(text), "ports: {a: {vhost-user: %s}}\n", path);
	refuses(&r, 1);
	path[107] = '\0';
	snprintf(text, sizeof(text), "ports: {a: {vhost-user: %s}}\n", path);
	config_free(parse(text));
}

static void an_interface_name_is_what_the_kernel_takes(void **state) {
	static const char *const bad[] = {"abcdefghijklmnop", "abcdefghijklmn\u00fc", "a/b", "a:b",
		"tap%d", "a b", ".", "..", "\\t", "\\x7f", "\u00e0"};
	static const char *const good[] = {
		"abcdefghijklmno", "\u00fc-x", "abcdefghijklm\u00fc", "...", "a.b@c", "\U0001f30a"};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = {.text = ""};
		char text[100];
		struct config *c;

		snprintf(text, sizeof(text), "ports: {a: {tap: \"%s\"}}\n", bad[i]);
		assert_int_equal(config_parse(&c, text, strlen(text), "f", &e), -EINVAL);
		assert_non_null(strstr(e.text, "; it must be an interface name of 1 to 15 "
					       "bytes without blanks (byte a0, as in the "
					       "letter \u00e0, is one to the kernel), control "
					       "characters, '/', ':' and '%', and not . or .."));
	}
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char text[100];

		snprintf(text, sizeof(text), "ports: {a: {tap: \"%s\"}}\n", good[i]);
		config_free(parse(text));
	}
}

#define NETS "networks:\n  blue: {vlan: 100}\n  green: {vlan: 200}\n  plain: {}\nports:\n"

static void membership_that_cannot_be_is_refused(void **state) {
	REFUSES({NETS "  vm9: {tap: a, network: blu}\n",
			"f:6: port vm9: no such network 'blu'; there are: blue, green, plain"},
		{NETS "  vm9:\n    tap: a\n    trunk: [blue,\n      blu]\n",
			"f:9: port vm9: no such network 'blu'; there are: blue, green, plain"},
		{NETS "  vm9: {tap: a, trunk: [blue], native: blu}\n",
			"f:6: port vm9: no such network 'blu'; there are: blue, green, plain"},
		{"ports: {vm9: {tap: a, network: blu}}\n",
			"f:1: port vm9: no such network 'blu'; there are: default"},
		{NETS "  vm9: {tap: a}\n", "f:6: port vm9: it is in no network; give it network: "
					   "or trunk: with one of: blue, green, plain"},
		{NETS "  vm9: {tap: a, network: blue, trunk: [green]}\n",
			"f:6: port vm9: both network and trunk are given; a port has one of them; "
			"delete the other"},
		{NETS "  vm9: {tap: a, network: blue, native: green}\n",
			"f:6: port vm9: native is for trunk ports; name the network of this one "
			"with network: green"},
		{NETS "  vm9: {tap: a, trunk: [blue, plain]}\n",
			"f:6: port vm9: trunk has network plain, which has no vlan; give the "
			"network a vlan 1..4094"},
		{NETS "  vm9: {tap: a, trunk: [blue, blue]}\n",
			"f:6: port vm9: trunk has network blue twice; once is enough"});
}

static void what_only_one_port_may_have_is_refused_to_the_second(void **state) {
	REFUSES({NETS "  a: {tap: t0, network: blue}\n  b: {tap: t0, network: blue}\n",
			"f:7: port b: tap t0 is already that of port a; choose another"},
		{NETS "  a: {vhost-user: /s, network: blue}\n  b:\n    network: blue\n    "
		      "vhost-user: /s\n",
			"f:9: port b: vhost-user /s is already that of port a; choose another"},
		{"api: /s\nports:\n  a: {vhost-user: /s}\n",
			"f:3: port a: vhost-user /s is the socket of the api; choose another path"},
		{NETS "  a: {tap: a, network: blue, mac: \"02:00:00:00:00:01\"}\n  b:\n    tap: "
		      "b\n    network: blue\n    mac: \"02:00:00:00:00:01\"\n",
			"f:10: port b: MAC 02:00:00:00:00:01 is already on port a in network blue; "
			"give it to one port of a network"},
		{NETS "  a: {tap: a, network: blue, mac: \"02:00:00:00:00:01\"}\n  b:\n    tap: "
		      "b\n    trunk: [green, blue]\n    static-macs:\n    - 02:00:00:00:00:02\n    "
		      "- 02:00:00:00:00:01\n",
			"f:12: port b: MAC 02:00:00:00:00:01 is already on port a in network blue; "
			"give it to one port of a network"},
		{NETS "  a: {tap: a, network: plain, mac: \"02:00:00:00:00:01\"}\n  b: {tap: b, "
		      "trunk: [blue], native: plain, mac: \"02:00:00:00:00:01\"}\n",
			"f:7: port b: MAC 02:00:00:00:00:01 is already on port a in network plain; "
			"give it to one port of a network"},
		{"ports: {a: {tap: a, mac: \"02:00:00:00:00:01\", static-macs: "
		 "[\"02:00:00:00:00:01\"]}}\n",
			"f:1: port a: MAC 02:00:00:00:00:01 is given twice; once is enough"},
		{"mac-table: 1\nports: {a: {tap: a, static-macs: [\"02:00:00:00:00:01\", "
		 "02:00:00:00:00:02]}}\n",
			"f: mac and static-macs of all ports and networks make 2 entries; "
			"mac-table admits 1; raise it (1..1048576)"});
	config_free(parse(
		NETS "  a: {tap: t0, network: blue}\n  b: {tap: t0, netns: x, network: blue}\n"));
	config_free(parse(NETS "  a: {tap: a, network: blue, mac: \"02:00:00:00:00:01\"}\n  b: "
			       "{tap: b, network: green, mac: \"02:00:00:00:00:01\"}\n"));
}

static void there_is_an_end_to_the_number_of_ports(void **state) {
	size_t size = 1 << 20, n = 0;
	char *text = malloc(size);
	struct err e;
	struct config *c;

	n += (size_t)snprintf(text + n, size - n, "ports:\n");
	for (int i = 0; i < 1025; i++) {
		if (i == 1024)
			config_free(parse(text));
		n += (size_t)snprintf(text + n, size - n, "  p%d: {tap: t%d}\n", i, i);
	}
	assert_int_equal(config_parse(&c, text, n, "f", &e), -E2BIG);
	assert_string_equal(e.text, "f:1: ports has 1025 entries; at most 1024 can be there");
	free(text);
}

static void what_the_api_sends_is_refused_without_file_and_line(void **state) {
	static const struct refusal list[] = {
		{"{\"ports\": {\"vm9\": {\"tap\": \"a\", \"network\": \"blu\"}}, \"networks\": "
		 "{\"blue\": {}, \"green\": {}}}",
			"port vm9: no such network 'blu'; there are: blue, green"},
		{"{\"idle\": 1.5}", "idle is 1.5; it must be adaptive, busy or interrupt"},
		{"{\"idle\": null}", "idle is empty; it must be adaptive, busy or interrupt"},
		{"{\"api\": \"/a\\u0000b\"}", "api is '/a?b'; it must be the absolute path of a "
					      "socket such as /run/weir/weir.sock"},
		{"[]", "the configuration is a list; it must be a map such as {ports: {}}"},
		{"{\"\": 1}", "unknown key ''; there are: workers, idle, api, metrics, mac-age, "
			      "mac-table, networks, ports"},
	};

	for (unsigned i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		json_t *tree = json_loads(list[i].text, JSON_ALLOW_NUL, NULL);
		struct config *c = (struct config *)1;
		struct err e = {.text = ""};

		assert_non_null(tree);
		assert_true(config_from_json(&c, tree, &e) < 0);
		assert_null(c);
		assert_string_equal(e.text, list[i].sentence);
		json_decref(tree);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_plain_yaml_is_refused_with_its_line),
		cmocka_unit_test(a_file_that_is_too_large_is_refused),
		cmocka_unit_test(an_unknown_key_is_refused_with_the_nearest_known_one),
		cmocka_unit_test(a_top_level_value_that_is_wrong_is_refused_with_what_it_must_be),
		cmocka_unit_test(metrics_takes_an_address_and_a_port_only),
		cmocka_unit_test(a_cpu_that_may_not_be_used_is_refused_with_those_that_may),
		cmocka_unit_test(a_network_that_is_wrong_is_refused),
		cmocka_unit_test(a_port_has_exactly_one_kind),
		cmocka_unit_test(a_value_of_a_port_that_is_wrong_is_refused_with_what_it_must_be),
		cmocka_unit_test(a_socket_path_has_at_most_107_bytes),
		cmocka_unit_test(an_interface_name_is_what_the_kernel_takes),
		cmocka_unit_test(membership_that_cannot_be_is_refused),
		cmocka_unit_test(what_only_one_port_may_have_is_refused_to_the_second),
		cmocka_unit_test(there_is_an_end_to_the_number_of_ports),
		cmocka_unit_test(what_the_api_sends_is_refused_without_file_and_line),
	};

	return cmocka_run_group_tests_name("config_refusals", tests, NULL, NULL);
}
