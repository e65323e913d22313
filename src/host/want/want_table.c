/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/want/want_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/yaml.h"
#include "host/want/want.h"

/* The tables of keys, and the maps that hang below the topmost. */

static int take_defaults(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	struct want_pf *pf = obj;

	if (!json_is_object(v))
		return value_wrong(s, f, v, mark);
	pf->vf.stated = schema_stated(want_defaults_fields, v);
	return schema_take(s, want_defaults_fields, v, mark, pf);
}

/* What has no match is called what it matches. */
static int match_of(struct schema *s, const char *name, char ***match, unsigned *n) {
	if (*match != NULL)
		return 0;
	*match = calloc(2, sizeof(**match));
	if (*match == NULL || ((*match)[0] = strdup(name)) == NULL)
		return value_no_memory(s);
	*n = 1;
	return 0;
}

static int take_pf(
	struct schema *s, const char *name, const json_t *v, const json_t *mark, void *obj) {
	struct want_pf *pf = obj;
	int rc;

	snprintf(pf->name, sizeof(pf->name), "%s", name);
	pf->stated = schema_stated(want_pf_fields, v);
	rc = schema_take(s, want_pf_fields, v, mark, pf);
	return rc != 0 ? rc : match_of(s, name, &pf->match, &pf->nmatch);
}

static int take_pool(
	struct schema *s, const char *name, const json_t *v, const json_t *mark, void *obj) {
	struct want_pool *p = obj;
	int rc;

	snprintf(p->name, sizeof(p->name), "%s", name);
	p->vf.stated = schema_stated(want_pool_fields, v);
	rc = schema_take(s, want_pool_fields, v, mark, p);
	if (rc == 0 && p->npfs == 0)
		rc = schema_fail(s, EINVAL, mark,
			"it has no PFs; name those whose VFs belong to it, such as pfs: "
			"[enp1s0f0]");
	if (rc == 0 && p->nmacs > 0 && p->prefix_len > 0)
		rc = schema_fail(s, EINVAL, yaml_member(mark, "mac-prefix"),
			"both macs and mac-prefix are given; delete one");
	return rc;
}

static int take_single(
	struct schema *s, const char *name, const json_t *v, const json_t *mark, void *obj) {
	struct want_single *one = obj;
	int rc;

	snprintf(one->name, sizeof(one->name), "%s", name);
	one->vf.stated = schema_stated(want_single_fields, v);
	rc = schema_take(s, want_single_fields, v, mark, one);
	if (rc == 0 && (one->pf[0] == '\0' || json_object_get(v, "vf") == NULL))
		rc = schema_fail(s, EINVAL, mark,
			"it does not say which VF it is; give it pf: NAME and vf: NUMBER");
	return rc;
}

static int take_device(
	struct schema *s, const char *name, const json_t *v, const json_t *mark, void *obj) {
	struct want_device *d = obj;
	int rc;

	snprintf(d->name, sizeof(d->name), "%s", name);
	d->vf.stated = schema_stated(want_device_fields, v);
	rc = schema_take(s, want_device_fields, v, mark, d);
	return rc != 0 ? rc : match_of(s, name, &d->match, &d->nmatch);
}

#define MAP_OF(what, type)                                                                    \
	static int take_##what##s(struct schema *s, const struct field *f, const json_t *v,   \
		const json_t *mark, void *obj) {                                              \
		return schema_take_map(s, f, v, mark, obj, sizeof(struct type), take_##what); \
	}                                                                                     \
	static const struct value_type what##s = {take_##what##s, NULL}
MAP_OF(pf, want_pf);
MAP_OF(pool, want_pool);
MAP_OF(single, want_single);
MAP_OF(device, want_device);

static const struct value_type defaults = {take_defaults, NULL};

static const char *const eswitch_words[] = {"none", "legacy", "switchdev", NULL};
static const char *const link_words[] = {"down", "up", NULL};
static const char *const state_words[] = {"auto", "enable", "disable", NULL};

#define AT    SCHEMA_AT
#define COUNT SCHEMA_COUNT

// clang-format off: tables are read by column
#define OWN_ROWS(type)                                                                        \
	{                                                                                     \
		"driver", &value_name, AT(type, vf.driver),                                   \
			.kinds = WANT_DRIVER,                                                 \
			.must = "the name of a driver such as vfio-pci, kernel (the one the " \
				"kernel has for it) or none"                                  \
	}
#define VF_ROWS(type)                                                                       \
	OWN_ROWS(type),                                                                     \
		{"vlan", &value_number, AT(type, vf.vlan), .max = 4094, .kinds = WANT_VLAN, \
			.must = "a number 1..4094, or 0 for none"},                         \
		{"qos", &value_number, AT(type, vf.qos), .max = 7, .kinds = WANT_QOS,       \
			.must = "a priority 0..7"},                                         \
		{"proto", &want_proto, AT(type, vf.proto), .kinds = WANT_PROTO,             \
			.must = "802.1q or 802.1ad"},                                       \
		{"min-rate", &want_rate, AT(type, vf.min_rate), .max = UINT32_MAX,          \
			.kinds = WANT_MIN_RATE,                                             \
			.must = "a rate of whole Mbit such as 100Mbit, or 0 for none"},     \
		{"max-rate", &want_rate, AT(type, vf.max_rate), .max = UINT32_MAX,          \
			.kinds = WANT_MAX_RATE,                                             \
			.must = "a rate of whole Mbit such as 1Gbit, or 0 for none"},       \
		{"spoofchk", &want_switch, AT(type, vf.spoofchk), .kinds = WANT_SPOOFCHK,   \
			.must = "on or off"},                                               \
		{"trust", &want_switch, AT(type, vf.trust), .kinds = WANT_TRUST,            \
			.must = "on or off"},                                               \
		{"link-state", &value_word, AT(type, vf.state), .words = state_words,       \
			.kinds = WANT_STATE, .must = "auto, enable or disable"},            \
	{                                                                                   \
		"rss-query", &want_switch, AT(type, vf.rss_query), .kinds = WANT_RSS_QUERY, \
								   .must = "on or off"      \
	}
#define OWNER_ROW(type)                                                                   \
	{                                                                                 \
		"owner", &want_label, AT(type, vf.owner), .kinds = WANT_OWNER,            \
							  .must = "a name of " LABEL_MUST \
	}
#define ALIAS_ROW(type) \
	{ "alias", &want_label, AT(type, alias), .must = "a PCI alias of Nova of " LABEL_MUST }
#define MATCH_ROW(type)                                                                            \
	{                                                                                          \
		"match", &want_matches, AT(type, match), COUNT(type, nmatch),                      \
			.min = 1, .max = WANT_PFS_MAX,                                             \
			.must = "an address such as 0000:01:00.0, an interface such as enp1s0f0, " \
				"vendor:device such as "                                           \
				"8086:10c9, or a list of them"                                     \
	}
#define LABEL_MUST "1 to 39 letters, digits and -_.:@/, a letter or digit first"

const struct field want_fields[] = {
	{"pfs", &pfs, AT(struct want, pfs), COUNT(struct want, npfs), .max = WANT_PFS_MAX,
		.what = "pf", .more = ":", .must = "a map of PFs such as {enp1s0f0: {vfs: 7}}"},
	{"pools", &pools, AT(struct want, pools), COUNT(struct want, npools), .max = WANT_PFS_MAX,
		.what = "pool",
		.must = "a map of pools such as {tenants: {pfs: [enp1s0f0], vlan: 100}}"},
	{"vfs", &singles, AT(struct want, vfs), COUNT(struct want, nvfs), .max = WANT_VFS_MAX,
		.what = "vf",
		.must = "a map of VFs such as {web: {pf: enp1s0f0, vf: 5, vlan: 200}}"},
	{"devices", &devices, AT(struct want, devices), COUNT(struct want, ndevices),
		.max = WANT_PFS_MAX, .what = "device", .more = ":",
		.must = "a map of functions such as {gpu: {match: 0000:41:00.0, driver: "
			"vfio-pci}}"},
	{.key = NULL},
};

const struct field want_pf_fields[] = {
	MATCH_ROW(struct want_pf),
	{"vfs", &value_number, AT(struct want_pf, vfs), .max = WANT_VFS_MAX, .kinds = WANT_VFS,
		.must = "a number of VFs 0..2048"},
	{"eswitch", &value_word, AT(struct want_pf, eswitch), .min = ESWITCH_LEGACY,
		.words = eswitch_words, .kinds = WANT_ESWITCH, .must = "legacy or switchdev"},
	{"autoprobe", &want_switch, AT(struct want_pf, autoprobe), .kinds = WANT_AUTOPROBE,
		.must = "on or off"},
	{"link", &value_word, AT(struct want_pf, up), .words = link_words, .kinds = WANT_UP,
		.must = "up or down"},
	{"mtu", &value_number, AT(struct want_pf, mtu), .min = 68, .max = 65535, .kinds = WANT_MTU,
		.must = "a number of bytes 68..65535"},
	{"physnet", &want_label, AT(struct want_pf, physnet),
		.must = "a physical network of Neutron of " LABEL_MUST},
	{"defaults", &defaults, .must = "a map of keys of VFs such as {spoofchk: on}"},
	{.key = NULL},
};

const struct field want_defaults_fields[] = {
	VF_ROWS(struct want_pf),
	{.key = NULL},
};

const struct field want_pool_fields[] = {
	{"pfs", &want_words, AT(struct want_pool, pfs), COUNT(struct want_pool, npfs), .min = 1,
		.max = WANT_PFS_MAX, .must = "names of the map pfs: such as [enp1s0f0]"},
	{"vfs", &want_range, AT(struct want_pool, vfs),
		.must = "numbers of VFs 0..2047 such as 0-3 or 0-2,5, or all"},
	VF_ROWS(struct want_pool),
	{"macs", &value_macs, AT(struct want_pool, macs), COUNT(struct want_pool, nmacs), .min = 1,
		.max = WANT_VFS_MAX, .kinds = WANT_MAC,
		.must = "a list of MAC addresses of one station each such as 52:54:00:00:00:02"},
	{"mac-prefix", &want_prefix, AT(struct want_pool, prefix), .kinds = WANT_MAC,
		.must = "the first 3 to 5 octets of addresses of one station each such as "
			"52:54:00"},
	{"owners", &want_words, AT(struct want_pool, owners), COUNT(struct want_pool, nowners),
		.min = 1, .max = WANT_VFS_MAX, .must = "a list of names of " LABEL_MUST},
	ALIAS_ROW(struct want_pool),
	{.key = NULL},
};

const struct field want_single_fields[] = {
	{"pf", &want_label, AT(struct want_single, pf),
		.must = "a name of the map pfs: such as enp1s0f0"},
	{"vf", &value_number, AT(struct want_single, number), .max = WANT_VFS_MAX - 1,
		.must = "the number of a VF 0..2047"},
	VF_ROWS(struct want_single),
	{"mac", &value_mac, AT(struct want_single, vf.mac), .kinds = WANT_MAC,
		.must = "the MAC address of one station such as 52:54:00:00:00:02"},
	OWNER_ROW(struct want_single),
	ALIAS_ROW(struct want_single),
	{.key = NULL},
};

const struct field want_device_fields[] = {
	MATCH_ROW(struct want_device),
	OWN_ROWS(struct want_device),
	OWNER_ROW(struct want_device),
	ALIAS_ROW(struct want_device),
	{.key = NULL},
};
// clang-format on
