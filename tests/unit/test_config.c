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
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mac.h"

static struct config *parse(const char *text) {
	struct err e = {.text = ""};
	struct config *c;

	if (config_parse(&c, text, strlen(text), "weir.yaml", &e) != 0)
		fail_msg("refused: %s\n%s", e.text, text);
	return c;
}

static int highest_cpu(void) {
	cpu_set_t set;
	int cpu = CPU_SETSIZE - 1;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	while (!CPU_ISSET(cpu, &set))
		cpu--;
	return cpu;
}

static void an_empty_file_is_the_default_configuration(void **state) {
	static const char *const empty[] = {
		"", "# nothing\n", "---\n", "{}", "ports:\n", "networks: {}\n"};

	for (unsigned i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
		struct config *c = parse(empty[i]);

		assert_int_equal(c->ncpus, 1);
		assert_int_equal(c->cpus[0], highest_cpu());
		assert_int_equal(c->idle, IDLE_ADAPTIVE);
		assert_string_equal(c->api, "/run/weir/weir.sock");
		assert_null(c->metrics);
		assert_int_equal(c->mac_age_s, 300);
		assert_int_equal(c->mac_max, 65536);
		assert_int_equal(c->nnets, 1);
		assert_string_equal(c->nets[0].name, "default");
		assert_int_equal(c->nets[0].vlan, 0);
		assert_int_equal(c->nports, 0);
		config_free(c);
	}
}

static void a_byte_order_mark_says_which_encoding_it_is(void **state) {
#define MARKED         \
	"\xef\xbb\xbf" \
	"api: /tmp/\xc3\xa9\n"
	static const char le[] = "\xff\xfe"
				 "a\0p\0i\0:\0 \0/\0t\0m\0p\0/\0\xe9\0\n";
	static const char be[] = "\xfe\xff"
				 "\0a\0p\0i\0:\0 \0/\0t\0m\0p\0/\0\xe9\0\n";
	static const struct {
		const char *text;
		size_t len;
	} files[] = {{MARKED, sizeof(MARKED) - 1}, {le, sizeof(le)}, {be, sizeof(be) - 1}};

	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct err e = {.text = ""};
		struct config *c;

		if (config_parse(&c, files[i].text, files[i].len, "f", &e) != 0)
			fail_msg("file %u is refused: %s", i, e.text);
		assert_string_equal(c->api, "/tmp/\xc3\xa9");
		config_free(c);
	}
}

static void a_port_needs_no_more_than_its_kind(void **state) {
	struct config *c = parse("ports:\n  vm1: {vhost-user: /run/weir/vm1.sock}\n");
	const struct config_port *p = c->ports;

	assert_int_equal(c->nports, 1);
	assert_string_equal(p->spec.name, "vm1");
	assert_int_equal(p->spec.kind, PORT_VHOST_USER);
	assert_string_equal(p->spec.path, "/run/weir/vm1.sock");
	assert_ptr_equal(p->spec.path, p->path);
	assert_null(p->spec.netns);
	assert_null(p->spec.group);
	assert_false(p->spec.client);
	assert_false(p->spec.link_down);
	assert_int_equal(p->spec.queues, 1);
	assert_int_equal(p->spec.mtu, 1500);
	assert_string_equal(p->network, "default");
	assert_null(p->trunk);
	assert_string_equal(p->native, "");
	assert_int_equal(p->mac, 0);
	assert_int_equal(p->nstatic, 0);
	assert_false(p->isolated);
	assert_false(p->qinq);
	assert_int_equal(p->mac_limit, 8192);
	config_free(c);
}

// Every key there is, none at its default.
static const char full[] =
	"workers: [0]\nidle: busy\napi: /tmp/api.sock\nmetrics: \"[::1]:9478\"\nmac-age: "
	"2m\nmac-table: 100\nnetworks:\n  blue:  {vlan: 100}\n  green: {vlan: 200}\n  "
	"100:\nports:\n  vm2:\n    vhost-user: /run/weir/vm2.sock\n    network: blue\n    queues: "
	"4\n    mtu: 9000\n    mac: 52:54:00:00:00:02\n    static-macs: [\"52:54:00:00:01:02\", "
	"52-54-00-00-02-02]\n    isolated: true\n    qinq: true\n    mac-limit: 0\n    link: "
	"down\n    group: "
	"kvm\n  vm3: {vhost-user: /run/weir/vm3.sock, mode: client, network: 100}\n  host0: {tap: "
	"weir0, netns: blue, trunk: [blue, green], native: 100}\n";

static void every_key_arrives(void **state) {
	struct config *c = parse(full);
	const struct config_port *p = &c->ports[0];
	char mac[MAC_TEXT_MAX];

	assert_int_equal(c->cpus[0], 0);
	assert_int_equal(c->idle, IDLE_BUSY);
	assert_string_equal(c->api, "/tmp/api.sock");
	assert_string_equal(c->metrics, "[::1]:9478");
	assert_int_equal(c->mac_age_s, 120);
	assert_int_equal(c->mac_max, 100);
	assert_int_equal(c->nnets, 3);
	assert_string_equal(c->nets[1].name, "green");
	assert_int_equal(c->nets[1].vlan, 200);
	assert_string_equal(c->nets[2].name, "100");
	assert_int_equal(c->nets[2].vlan, 0);
	assert_int_equal(c->nports, 3);
	assert_string_equal(p->network, "blue");
	assert_int_equal(p->spec.queues, 4);
	assert_int_equal(p->spec.mtu, 9000);
	assert_string_equal(mac_format(p->mac, mac), "52:54:00:00:00:02");
	assert_int_equal(p->nstatic, 2);
	assert_string_equal(mac_format(p->static_macs[1], mac), "52:54:00:00:02:02");
	assert_true(p->isolated);
	assert_true(p->qinq);
	assert_int_equal(p->mac_limit, 0);
	assert_true(p->spec.link_down);
	assert_string_equal(p->spec.group, "kvm");
	assert_true(c->ports[1].spec.client);
	assert_string_equal(c->ports[1].network, "100");
	p = &c->ports[2];
	assert_int_equal(p->spec.kind, PORT_TAP);
	assert_string_equal(p->spec.path, "weir0");
	assert_string_equal(p->spec.netns, "blue");
	assert_int_equal(p->ntrunk, 2);
	assert_string_equal(p->trunk[0], "blue");
	assert_string_equal(p->trunk[1], "green");
	assert_string_equal(p->native, "100");
	assert_string_equal(p->network, "");
	config_free(c);
}

static void equal(json_t *a, json_t *b) {
	if (!json_equal(a, b)) {
		print_message("%s\n%s\n", json_dumps(a, 0), json_dumps(b, 0));
		fail_msg("the two configurations differ");
	}
	json_decref(a);
	json_decref(b);
}

static void what_is_dumped_is_read_again_to_the_same(void **state) {
	static const char *const texts[] = {full, "", "ports: {a: {tap: a}}\n",
		"networks: {default: {vlan: 7}, blue: {vlan: 1}}\nports: {a: {tap: a, netns: "
		"/run/netns/b}, b: {tap: b, network: blue}, c: {tap: c, trunk: [default]}}\n"};

	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct config *c = parse(texts[i]);

		for (int all = 0; all < 2; all++) {
			json_t *tree = config_dump(c, all);
			char *text = json_dumps(tree, JSON_INDENT(2));
			struct err e = {.text = ""};
			struct config *again, *yaml = parse(text); // JSON is YAML
			int rc = config_from_json(&again, tree, &e);

			if (rc != 0)
				fail_msg("refused: %s", e.text);
			equal(config_dump(c, true), config_dump(again, true));
			equal(config_dump(c, true), config_dump(yaml, true));
			config_free(again);
			config_free(yaml);
			free(text);
			json_decref(tree);
		}
		config_free(c);
	}
}

static void a_copy_is_equal_and_its_own(void **state) {
	struct config *c = parse(full), *copy = config_copy(c);

	assert_non_null(copy);
	equal(config_dump(c, true), config_dump(copy, true));
	assert_ptr_equal(copy->ports[0].spec.path, copy->ports[0].path);
	config_free(c);
	assert_string_equal(copy->ports[2].trunk[1], "green");
	assert_string_equal(copy->ports[0].spec.path, "/run/weir/vm2.sock");
	config_free(copy);
}

static void a_dump_leaves_defaults_out_unless_it_is_full(void **state) {
	struct config *c = parse("ports: {a: {tap: t0, queues: 1, network: default}}\n");

	equal(config_dump(c, false), json_pack("{s:{s:{s:s}}}", "ports", "a", "tap", "t0"));
	equal(config_dump(c, true),
		json_pack("{s:[i], s:s, s:s, s:s, s:i, s:{s:{}}, s:{s:{s:s, s:s, s:i, s:i, s:s, "
			  "s:i, s:b, s:b}}}",
			"workers", highest_cpu(), "idle", "adaptive", "api", "/run/weir/weir.sock",
			"mac-age", "300s", "mac-table", 65536, "networks", "default", "ports", "a",
			"tap", "t0", "network", "default", "queues", 1, "mtu", 1500, "link", "up",
			"mac-limit", 8192, "isolated", 0, "qinq", 0));
	config_free(c);
}

#define NETS "networks:\n  blue: {vlan: 100}\n  green: {vlan: 200}\n  plain: {}\nports:\n"

static void a_file_is_loaded_and_one_that_cannot_be_read_is_refused(void **state) {
	char name[] = "/tmp/weir-test-config-XXXXXX", want[200];
	int fd = mkstemp(name);
	struct config *c;
	struct err e;

	assert_int_equal(write(fd, "idle: bsy\n", 10), 10);
	assert_int_equal(config_load(&c, name, &e), -EINVAL);
	snprintf(want, sizeof(want), "%s:1: idle is 'bsy'; it must be adaptive, busy or interrupt",
		name);
	assert_string_equal(e.text, want);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(config_load(&c, name, &e), 0);
	config_free(c);
	close(fd);
	unlink(name);
	assert_int_equal(config_load(&c, name, &e), -ENOENT);
	snprintf(want, sizeof(want), "cannot read %s: No such file or directory", name);
	assert_string_equal(e.text, want);
	assert_int_equal(config_load(&c, "/tmp", &e), -EINVAL);
	assert_string_equal(e.text, "cannot read /tmp: it is a directory; name a regular file");
}

// The diff of two texts, as one line a step: "op what name how".
static void differs(const char *a, const char *b, const char *want) {
	struct config *x = parse(a), *y = parse(b);
	json_t *diff = config_diff(x, y), *s;
	char text[600] = "";
	size_t i, n = 0;

	json_array_foreach (diff, i, s) {
		const char *op, *what, *name, *how;

		assert_int_equal(json_unpack(s, "{s:s, s:s, s:s, s:s}", "op", &op, "what", &what,
					 "name", &name, "how", &how),
			0);
		n += (size_t)snprintf(
			text + n, sizeof(text) - n, "%s %s %s %s\n", op, what, name, how);
	}
	assert_string_equal(text, want);
	json_decref(diff);
	config_free(x);
	config_free(y);
}

static void equal_configurations_have_no_difference(void **state) {
	differs(full, full, "");
	differs("", "networks: {default: {}}\nidle: adaptive\n", "");
	differs("ports: {a: {tap: a}}\n", "ports: {a: {tap: a, mtu: 1500, network: default}}\n",
		"");
}

static void a_diff_tells_what_is_added_and_removed_in_the_order_it_is_done(void **state) {
	differs("networks: {blue: {vlan: 1}}\nports: {a: {tap: a, network: blue}}\n",
		"networks: {green: {vlan: 1}}\nports: {b: {tap: a, network: green}}\n",
		"add network green in place\nadd port b in place\nremove port a in place\nremove "
		"network blue in place\n");
}

static void a_diff_tells_for_each_port_whether_it_is_reopened(void **state) {
#define TAP_TO(keys, how) differs("ports: {a: {tap: a}}\n", "ports: {a: {tap: a, " keys "}}\n", how)
#define VHOST_TO(keys, how) \
	differs("ports: {a: {vhost-user: /a}}\n", "ports: {a: {vhost-user: /a, " keys "}}\n", how)
	static const char in_place[] = "change port a in place\n",
			  reopen[] = "change port a reopen\n";

	TAP_TO("link: down", in_place);
	TAP_TO("isolated: true", in_place);
	TAP_TO("qinq: true", in_place);
	TAP_TO("mac: 02:00:00:00:00:01", in_place);
	TAP_TO("static-macs: [02:00:00:00:00:01]", in_place);
	TAP_TO("mac-limit: 1", in_place);
	TAP_TO("mtu: 9000", in_place);
	TAP_TO("queues: 2", reopen);
	TAP_TO("netns: x", reopen);
	VHOST_TO("mtu: 9000", reopen);
	VHOST_TO("mode: client", reopen);
	VHOST_TO("group: kvm", reopen);
	VHOST_TO("link: down", in_place);
	differs("ports: {a: {vhost-user: /a}}\n", "ports: {a: {vhost-user: /b}}\n", reopen);
	differs("ports: {a: {vhost-user: /a}}\n", "ports: {a: {tap: a}}\n", reopen);
	differs("ports: {a: {tap: a}}\n", "ports: {a: {tap: b}}\n", reopen);
	differs(NETS "  a: {tap: a, network: blue}\n",
		NETS "  a: {tap: a, trunk: [blue], native: green}\n", in_place);
}

static void a_diff_tells_which_settings_need_a_restart(void **state) {
	struct config *a = parse("api: /a\n"), *b = parse("api: /b\n");
	json_t *diff = config_diff(a, b), *want;

	differs("", "metrics: 127.0.0.1:1\n", "change metrics metrics in place\n");
	differs("", "idle: busy\nmac-age: 1s\nmac-table: 7\n",
		"change idle idle in place\nchange mac-age mac-age in place\nchange mac-table "
		"mac-table in place\n");
	differs("", "api: /a\n", "change api api restart needed\n");
	want = json_pack("[{s:s, s:s, s:s, s:s, s:s, s:s, s:s}]", "op", "change", "what", "api",
		"name", "api", "from", "/a", "to", "/b", "how", "restart needed", "why",
		"api stays /a until weir is started anew");
	equal(diff, want);
	config_free(a);
	config_free(b);
}

static void a_change_shows_only_the_keys_that_differ(void **state) {
	struct config *a = parse("ports: {a: {tap: a, mtu: 1400}}\n");
	struct config *b = parse("ports: {a: {tap: a, queues: 2, mac: 02:00:00:00:00:01}}\n");

	equal(config_diff(a, b),
		json_pack("[{s:s, s:s, s:s, s:{s:i, s:i, s:n}, s:{s:i, s:i, s:s}, s:s}]", "op",
			"change", "what", "port", "name", "a", "from", "queues", 1, "mtu", 1400,
			"mac", "to", "queues", 2, "mtu", 1500, "mac", "02:00:00:00:00:01", "how",
			"reopen"));
	config_free(a);
	config_free(b);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_file_is_the_default_configuration),
		cmocka_unit_test(a_byte_order_mark_says_which_encoding_it_is),
		cmocka_unit_test(a_port_needs_no_more_than_its_kind),
		cmocka_unit_test(every_key_arrives),
		cmocka_unit_test(what_is_dumped_is_read_again_to_the_same),
		cmocka_unit_test(a_copy_is_equal_and_its_own),
		cmocka_unit_test(a_dump_leaves_defaults_out_unless_it_is_full),
		cmocka_unit_test(a_file_is_loaded_and_one_that_cannot_be_read_is_refused),
		cmocka_unit_test(equal_configurations_have_no_difference),
		cmocka_unit_test(a_diff_tells_what_is_added_and_removed_in_the_order_it_is_done),
		cmocka_unit_test(a_diff_tells_for_each_port_whether_it_is_reopened),
		cmocka_unit_test(a_diff_tells_which_settings_need_a_restart),
		cmocka_unit_test(a_change_shows_only_the_keys_that_differ),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
