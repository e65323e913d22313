/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mac.h"
#include "host/change/store.h"
#include "host/export/export.h"
#include "host/export/xml.h"

/* A host made by hand: eth4 with four VFs and eth5 with two, interleaved in one slot; an NVMe alone in
 * its group; ens1 in switchdev mode. Owners are in a folder of the test. */

enum { BRIDGE, ETH4, ETH5, A0, B0, A1, B1, A2, A3, NVME, ENS1, C0, NFUNCTIONS };

struct bed {
	struct pci_function fn[NFUNCTIONS];
	struct link link[3];
	struct link_vf eth4[4], eth5[2], ens1[1];
	struct devlink dev[1];
	struct host host;
	struct export x;
	char state[32];
};

static void function(struct bed *b, int i, unsigned bus, unsigned dev, unsigned fn, uint16_t vendor,
	uint16_t device, uint32_t class) {
	struct pci_function *f = &b->fn[i];

	*f = (struct pci_function){.address = bus << 8 | dev << 3 | fn,
		.vendor = vendor,
		.device = device,
		.class = class,
		.numa = 0,
		.group = 10 + i,
		.pf = -1};
	snprintf(f->slot, sizeof(f->slot), "0000:%02x:%02x.%x", bus, dev, fn);
}

static void is_pf(struct bed *b, int i, unsigned vfs, unsigned total, int link, const char *name,
	struct link_vf *vf) {
	b->fn[i].vfs = vfs;
	b->fn[i].vfs_total = (uint16_t)total;
	strcpy(b->fn[i].driver, "ixgbe");
	b->link[link] = (struct link){.index = link + 2, .flags = IFF_UP, .nvfs = vfs, .vf = vf};
	strcpy(b->link[link].name, name);
	strcpy(b->link[link].parent, b->fn[i].slot);
}

static void is_vf(struct bed *b, int i, int pf, int vf) {
	b->fn[i].pf = pf;
	b->fn[i].vf = vf;
	strcpy(b->fn[i].driver, "vfio-pci");
}

static void mac(struct link_vf *vf, const char *text) {
	vf->has |= VF_HAS_MAC;
	assert_int_equal(mac_parse(text, &vf->mac), 0);
}

static int setup(void **state) {
	struct bed *b = calloc(1, sizeof(*b));

	function(b, BRIDGE, 0, 1, 0, 0x8086, 0x3c08, 0x060400);
	function(b, ETH4, 1, 0, 0, 0x8086, 0x10fb, 0x020000);
	function(b, ETH5, 1, 0, 1, 0x8086, 0x10fb, 0x020000);
	for (int i = A0; i <= B1; i++)
		function(b, i, 1, 0x10, (unsigned)(i - A0), 0x8086, 0x10ed, 0x020000);
	function(b, A2, 1, 0x10, 4, 0x8086, 0x10ed, 0x020000);
	function(b, A3, 1, 0x10, 6, 0x8086, 0x10ed, 0x020000);
	function(b, NVME, 5, 0, 0, 0x144d, 0xa808, 0x010802);
	function(b, ENS1, 0x81, 0, 0, 0x15b3, 0x101d, 0x020000);
	function(b, C0, 0x81, 0, 2, 0x15b3, 0x101e, 0x020000);
	is_pf(b, ETH4, 4, 63, 0, "eth4", b->eth4);
	is_pf(b, ETH5, 2, 63, 1, "eth5", b->eth5);
	is_pf(b, ENS1, 1, 8, 2, "ens1", b->ens1);
	is_vf(b, A0, ETH4, 0);
	is_vf(b, A1, ETH4, 1);
	is_vf(b, A2, ETH4, 2);
	is_vf(b, A3, ETH4, 3);
	is_vf(b, B0, ETH5, 0);
	is_vf(b, B1, ETH5, 1);
	is_vf(b, C0, ENS1, 0);
	b->dev[0].mode = ESWITCH_SWITCHDEV;
	strcpy(b->dev[0].slot, b->fn[ENS1].slot);
	mac(&b->eth4[3], "52:54:00:00:00:04");
	b->eth4[3].vlan = 100;
	b->host.pci = (struct pci){.fn = b->fn, .n = NFUNCTIONS};
	b->host.links = (struct links){.link = b->link, .nlinks = 3};
	b->host.devlinks = (struct devlinks){.dev = b->dev, .n = 1};
	strcpy(b->state, "/tmp/weir-export.XXXXXX");
	assert_non_null(mkdtemp(b->state));
	// Recorded, and neither boot_id nor folders of functions are: a record's are "" and 0.
	b->host.root = (struct root){.at = "/nonexistent", .recorded = true};
	b->host.state = b->state;
	b->x = (struct export){.host = &b->host};
	*state = b;
	return 0;
}

static int teardown(void **state) {
	struct bed *b = *state;
	char path[64];
	struct err e;

	for (int i = 0; i < NFUNCTIONS; i++)
		store_put(b->state, "owners", b->fn[i].slot, NULL, &e);
	snprintf(path, sizeof(path), "%s/owners", b->state);
	rmdir(path);
	assert_int_equal(rmdir(b->state), 0);
	export_free(&b->x);
	free(b);
	return 0;
}

static void own(struct bed *b, int i, const char *owner) {
	json_t *v = json_pack("{s:s, s:s, s:i}", "owner", owner, "boot", "", "node", 0);
	struct err e;

	assert_int_equal(store_put(b->state, "owners", b->fn[i].slot, v, &e), 0);
	json_decref(v);
}

/* The document of a consumer for a word; NULL when it is refused, with the sentence in *e. */
static json_t *exported(struct bed *b, const char *consumer, const char *word, struct err *e) {
	for (const struct exporter *t = exporters; t->name != NULL; t++)
		if (strcmp(t->name, consumer) == 0)
			return export_add(&b->x, word, e) < 0 ? NULL : export_make(&b->x, t, e);
	fail_msg("no exporter %s", consumer);
	return NULL;
}

static void assert_has(const char *text, const char *part) {
	assert_non_null(text);
	if (strstr(text, part) == NULL)
		fail_msg("no '%s' in: %s", part, text);
}

static void refused(struct bed *b, const char *consumer, const char *word, const char *part) {
	struct err e = {""};

	assert_null(exported(b, consumer, word, &e));
	assert_has(e.text, part);
}

/* An option of an ini export as text; `nth` of that name. NULL: there are not so many. */
static char *option(const json_t *doc, const char *name, unsigned nth) {
	size_t i, k;
	json_t *section, *o;

	json_array_foreach (json_object_get(doc, "sections"), i, section)
		json_array_foreach (json_object_get(section, "options"), k, o)
			if (strcmp(json_string_value(json_object_get(o, "name")), name) == 0 &&
				nth-- == 0)
				return json_dumps(json_object_get(o, "value"),
					JSON_ENCODE_ANY | JSON_SORT_KEYS);
	return NULL;
}

static void assert_option(const json_t *doc, const char *name, unsigned nth, const char *value) {
	char *text = option(doc, name, nth);

	if (value == NULL)
		assert_null(text);
	else
		assert_string_equal(text != NULL ? text : "none", value);
	free(text);
}

static bool noted(const json_t *doc, const char *part) {
	size_t i;
	json_t *note;

	json_array_foreach (json_object_get(doc, "notes"), i, note)
		if (strstr(json_string_value(note), part) != NULL)
			return true;
	return false;
}

static void values_are_escaped(void **state) {
	char *text;
	size_t size;
	struct xml x = {.f = open_memstream(&text, &size)};

	xml_open(&x, "a", "b", "<'\"&>", "none", NULL);
	xml_text(&x, "c", "1 < 2\x01");
	xml_comment(&x, "--state -");
	xml_close(&x, "a");
	fclose(x.f);
	assert_string_equal(text, "<a b='&lt;&apos;&quot;&amp;&gt;'>\n  <c>1 &lt; 2?</c>\n"
				  "  <!-- - -state -  -->\n</a>\n");
	free(text);
}

static void owners_vf_is_an_interface(void **state) {
	struct bed *b = *state;
	struct err e;
	json_t *doc;

	own(b, A3, "vm7");
	doc = exported(b, "libvirt", "vm7", &e);
	assert_string_equal(json_string_value(json_object_get(doc, "xml")),
		"<interface type='hostdev' managed='no'>\n"
		"  <mac address='52:54:00:00:00:04'/>\n"
		"  <source>\n"
		"    <address type='pci' domain='0x0000' bus='0x01' slot='0x10' function='0x6'/>\n"
		"  </source>\n"
		"  <vlan>\n"
		"    <tag id='100'/>\n"
		"  </vlan>\n"
		"</interface>\n");
	json_decref(doc);
}

static void beyond_libvirt_is_a_hostdev(void **state) {
	struct bed *b = *state;
	struct err e;
	json_t *doc;

	b->eth4[3].qos = 3;
	strcpy(b->fn[A3].driver, "ixgbevf");
	doc = exported(b, "libvirt", "01:10.6", &e);
	assert_has(json_string_value(json_object_get(doc, "xml")),
		"<hostdev mode='subsystem' type='pci' managed='yes'>");
	assert_true(noted(doc, "VLAN priority"));
	assert_true(noted(doc, "no owner on record"));
	json_decref(doc);
}

static void network_of_all_names_the_pf(void **state) {
	struct bed *b = *state;
	struct err e;
	json_t *doc = exported(b, "libvirt-network", "eth4", &e);

	assert_has(json_string_value(json_object_get(doc, "xml")), "<pf dev='eth4'/>");
	assert_has(json_string_value(json_object_get(doc, "xml")), "<portgroup name='vlan100'>");
	json_decref(doc);
}

static void network_of_some_lists_them(void **state) {
	struct bed *b = *state;
	struct err e;
	json_t *doc;

	own(b, A0, "vm1");
	doc = exported(b, "libvirt-network", "eth4", &e);
	assert_null(strstr(json_string_value(json_object_get(doc, "xml")), "<pf "));
	assert_null(strstr(json_string_value(json_object_get(doc, "xml")), "function='0x0'"));
	assert_has(json_string_value(json_object_get(doc, "xml")), "function='0x2'");
	json_decref(doc);
}

static void nova_gets_all_vfs_by_their_pf(void **state) {
	struct bed *b = *state;
	struct err e;
	json_t *doc;

	b->x.physnet = "physnet1";
	doc = exported(b, "nova", "eth4", &e);
	assert_option(doc, "device_spec", 0,
		"{\"address\": \"0000:01:00.0\", \"physical_network\": \"physnet1\", "
		"\"product_id\": \"10ed\", \"vendor_id\": \"8086\"}");
	assert_option(doc, "device_spec", 1, NULL);
	assert_option(doc, "alias", 0, NULL);
	json_decref(doc);
}

static void nova_gets_no_vf_of_somebody(void **state) {
	struct bed *b = *state;
	struct err e;
	json_t *doc;

	own(b, A1, "vm1");
	doc = exported(b, "nova", "eth4", &e);
	assert_option(doc, "device_spec", 0,
		"{\"address\": {\"bus\": \"01\", \"domain\": \"0000\", \"function\": \"[046]\", "
		"\"slot\": \"10\"}, \"product_id\": \"10ed\", \"vendor_id\": \"8086\"}");
	assert_option(doc, "device_spec", 1, NULL);
	assert_option(doc, "alias", 0,
		"{\"device_type\": \"type-VF\", \"name\": \"pci-8086-10ed\", \"product_id\": "
		"\"10ed\", \"vendor_id\": \"8086\"}");
	assert_option(doc, "alias", 1, NULL);
	json_decref(doc);
}

static void trusted_vfs_are_apart(void **state) {
	struct bed *b = *state;
	struct err e;
	json_t *doc;

	b->eth5[1].has = VF_HAS_TRUST;
	b->eth5[1].trust = true;
	b->x.old = true;
	doc = exported(b, "nova", "eth5", &e);
	assert_option(doc, "passthrough_whitelist", 0,
		"{\"address\": \"0000:01:10.1\", \"product_id\": \"10ed\", \"vendor_id\": "
		"\"8086\"}");
	assert_option(doc, "passthrough_whitelist", 1,
		"{\"address\": \"0000:01:10.3\", \"product_id\": \"10ed\", \"trusted\": \"true\", "
		"\"vendor_id\": \"8086\"}");
	assert_option(doc, "device_spec", 0, NULL);
	json_decref(doc);
}

static void whole_pf_has_its_type(void **state) {
	struct bed *b = *state;
	struct err e;
	json_t *doc;

	b->x.whole = true;
	doc = exported(b, "nova", "eth4", &e);
	assert_option(doc, "alias", 0,
		"{\"device_type\": \"type-PF\", \"name\": \"pci-8086-10fb\", \"product_id\": "
		"\"10fb\", \"vendor_id\": \"8086\"}");
	json_decref(doc);
	b->x.name = "fast";
	assert_int_equal(export_add(&b->x, "05:00.0", &e), 0);
	b->x.fn[0].name = b->x.fn[1].name = "fast";
	refused(b, "nova", "eth4", "type-PF and type-PCI");
}

static void neutron_excludes_what_nova_does_not_get(void **state) {
	struct bed *b = *state;
	struct err e;
	json_t *doc;

	own(b, A0, "vm1");
	own(b, A1, "vm2");
	b->x.physnet = "physnet1";
	assert_int_equal(export_add(&b->x, "eth5", &e), 0);
	doc = exported(b, "neutron", "eth4", &e);
	assert_option(doc, "physical_device_mappings", 0, "\"physnet1:eth5,physnet1:eth4\"");
	assert_option(doc, "exclude_devices", 0, "\"eth4:0000:01:10.0;0000:01:10.2\"");
	assert_option(doc, "network_vlan_ranges", 0, "\"physnet1:100:100\"");
	json_decref(doc);
}

static void neutron_refuses(void **state) {
	struct bed *b = *state;

	refused(b, "neutron", "eth4", "--physnet");
	export_free(&b->x);
	b->x.physnet = "physnet1";
	b->x.vlans = "100-5000";
	refused(b, "neutron", "eth4", "from 1 to 4094");
	export_free(&b->x);
	refused(b, "neutron", "81:00.0", "switchdev");
	export_free(&b->x);
	refused(b, "neutron", "05:00.0", "whole device");
}

static void pair_shares_its_mac(void **state) {
	struct bed *b = *state;
	const char *xml;
	struct err e;
	json_t *doc;

	refused(b, "teaming", "01:10.6", "--bridge");
	b->x.bridge = "br0";
	doc = exported(b, "teaming", "01:10.6", &e);
	xml = json_string_value(json_object_get(doc, "xml"));
	assert_has(xml, "<source bridge='br0'/>");
	assert_has(xml, "<teaming type='transient' persistent='ua-pair0'/>");
	assert_has(xml, "<alias name='ua-pair0'/>");
	assert_non_null(strstr(strstr(xml, "52:54:00:00:00:04") + 1, "52:54:00:00:00:04"));
	assert_true(noted(doc, "VLAN 100"));
	json_decref(doc);
	refused(b, "teaming", "01:10.4", "has no MAC");
}

static void qemu_takes_devices_and_vfs(void **state) {
	struct bed *b = *state;
	struct err e;
	json_t *doc;

	assert_int_equal(export_add(&b->x, "01:10.6", &e), 0);
	doc = exported(b, "qemu", "0000:05:00.0", &e);
	assert_string_equal(json_string_value(json_array_get(json_object_get(doc, "arguments"), 1)),
		"vfio-pci,host=0000:01:10.6,id=pci-0000-01-10.6");
	assert_string_equal(json_string_value(json_array_get(json_object_get(doc, "arguments"), 3)),
		"vfio-pci,host=0000:05:00.0,id=pci-0000-05-00.0");
	assert_true(noted(doc, "0000:05:00.0 has no driver"));
	assert_false(noted(doc, "shares IOMMU group"));
	json_decref(doc);
}

static void company_in_the_group_is_named(void **state) {
	struct bed *b = *state;
	struct err e;
	json_t *doc;

	b->fn[NVME].group = b->fn[ENS1].group = b->fn[BRIDGE].group = 7;
	doc = exported(b, "qemu", "05:00.0", &e);
	assert_true(noted(doc, "0000:05:00.0 shares IOMMU group 7 with 0000:81:00.0:"));
	json_decref(doc);
}

static void words_that_mean_nothing(void **state) {
	struct bed *b = *state;

	refused(b, "qemu", "vm9", "owner 'vm9'");
	refused(b, "qemu", "00:01.0", "bridge");
	b->fn[ETH5].vfs = 0;
	refused(b, "qemu", "eth5", "may have 63");
	for (int i = A0; i <= A3; i++)
		own(b, i, "vm1");
	refused(b, "qemu", "eth4", "all 4 VFs");
}

static void a_program_cannot_add_an_argument_by_its_name(void **state) {
	struct bed *b = *state;
	json_t *doc, *v;
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	b->x.notes = json_array();
	export_note(&b->x, "%s is in use now: process %s, pid 7", "0000:05:00.0",
		"x\n-device evil\r\x1b[2J\xc2\x9b"
		"2J");
	doc = json_pack("{s:O, s:[]}", "notes", b->x.notes, "arguments");
	export_print(f, doc);
	fclose(f);
	assert_null(strstr(text, "\n-device"));
	assert_null(strpbrk(text, "\r\x1b\xc2"));
	assert_non_null(strstr(
		text, "# 0000:05:00.0 is in use now: process x?-device evil??[2J?2J, pid 7\n"));
	free(text);
	v = json_array_get(b->x.notes, 0);
	assert_null(strchr(json_string_value(v), '\n'));
	json_decref(doc);
	json_decref(b->x.notes);
	b->x.notes = NULL;
}

int main(void) {
	const struct CMUnitTest tests[] = {
		{"what XML cannot hold is escaped", values_are_escaped},
		{"an owner's VF is an interface with its MAC, VLAN and address",
			owners_vf_is_an_interface, setup, teardown},
		{"a VF with what libvirt would lose is a hostdev", beyond_libvirt_is_a_hostdev,
			setup, teardown},
		{"a pool of all VFs names their PF", network_of_all_names_the_pf, setup, teardown},
		{"a pool of some VFs lists them", network_of_some_lists_them, setup, teardown},
		{"Nova gets all VFs of a PF by its address", nova_gets_all_vfs_by_their_pf, setup,
			teardown},
		{"Nova gets no VF that belongs to somebody", nova_gets_no_vf_of_somebody, setup,
			teardown},
		{"trusted VFs have an entry of their own", trusted_vfs_are_apart, setup, teardown},
		{"a whole PF is type-PF, and one alias is of one type", whole_pf_has_its_type,
			setup, teardown},
		{"Neutron's agent excludes what belongs to somebody",
			neutron_excludes_what_nova_does_not_get, setup, teardown},
		{"what Neutron cannot take is refused", neutron_refuses, setup, teardown},
		{"a failover pair has one MAC", pair_shares_its_mac, setup, teardown},
		{"QEMU gets VFs and whole devices by address", qemu_takes_devices_and_vfs, setup,
			teardown},
		{"who shares an IOMMU group is named, bridges are not",
			company_in_the_group_is_named, setup, teardown},
		{"words that mean nothing are refused with a remedy", words_that_mean_nothing,
			setup, teardown},
		{"a program cannot add an argument by its name",
			a_program_cannot_add_an_argument_by_its_name, setup, teardown},
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
