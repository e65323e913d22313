/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ifname.h"
#include "base/yaml.h"
#include "control/config_schema.h"
#include "forward/fdb.h"

/* The tables of keys, and the maps of networks and ports that hang below the topmost. */

static int take_net(
	struct schema *s, const char *name, const json_t *v, const json_t *mark, void *obj) {
	struct config_net *net = obj;

	snprintf(net->name, sizeof(net->name), "%s", name);
	return schema_take(s, net_fields, v, mark, net);
}

static int take_nets(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	return schema_take_map(s, f, v, mark, obj, sizeof(struct config_net), take_net);
}

static json_t *dump_nets(const struct field *f, const void *obj) {
	const struct config *c = obj;
	json_t *map = json_object();

	for (unsigned i = 0; i < c->nnets; i++)
		json_object_set_new(
			map, c->nets[i].name, schema_dump(net_fields, &c->nets[i], false, 0));
	return map;
}

static int take_port(
	struct schema *s, const char *name, const json_t *v, const json_t *mark, void *obj) {
	struct config_port *p = obj;
	int rc;

	snprintf(p->spec.name, sizeof(p->spec.name), "%s", name);
	rc = schema_take(s, port_fields, v, mark, p);
	p->spec.path = p->path;
	p->spec.netns = p->netns;
	p->spec.group = p->group;
	if (rc == 0 && p->path == NULL)
		rc = schema_fail(s, EINVAL, mark,
			"it has no kind; give it vhost-user: PATH or tap: INTERFACE");
	for (const struct field *f = port_fields; rc == 0 && f->key != NULL; f++)
		if (f->kinds != 0 && (f->kinds & 1u << p->spec.kind) == 0 &&
			json_object_get(v, f->key) != NULL)
			rc = schema_fail(s, EINVAL, yaml_member(mark, f->key),
				"%s is for %s ports and this is a %s port; delete it", f->key,
				p->spec.kind == PORT_TAP ? "vhost-user" : "tap",
				p->spec.kind == PORT_TAP ? "tap" : "vhost-user");
	return rc;
}

static int take_ports(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	return schema_take_map(s, f, v, mark, obj, sizeof(struct config_port), take_port);
}

json_t *schema_dump_ports(const struct config *c, bool full) {
	json_t *map = json_object();

	for (unsigned i = 0; i < c->nports; i++)
		json_object_set_new(map, c->ports[i].spec.name,
			schema_dump(port_fields, &c->ports[i], full, 1u << c->ports[i].spec.kind));
	return map;
}

static json_t *dump_ports(const struct field *f, const void *obj) {
	return schema_dump_ports(obj, false);
}

static const struct value_type networks = {take_nets, dump_nets};
static const struct value_type ports = {take_ports, dump_ports};

static const char *const idle_words[] = {"adaptive", "busy", "interrupt", NULL};
static const char *const link_words[] = {"up", "down", NULL};
static const char *const memory_words[] = {"ram", "any", NULL};
static const char *const mode_words[] = {"server", "client", NULL};

#define AT    SCHEMA_AT
#define COUNT SCHEMA_COUNT
#define VHOST (1u << PORT_VHOST_USER)
#define TAP   (1u << PORT_TAP)

// clang-format off: tables are read by column
const struct field top_fields[] = {
	{"workers", &value_cpus, AT(struct config, cpus), COUNT(struct config, ncpus), .min = 1,
		.max = WORKERS_MAX, .must = "a list of CPU numbers such as [1, 2]"},
	{"idle", &value_word, AT(struct config, idle), .words = idle_words,
		.must = "adaptive, busy or interrupt"},
	{"api", &value_socket, AT(struct config, api), .change = RESTART,
		.must = "the absolute path of a socket such as " CONFIG_API_DEFAULT},
	{"metrics", &value_endpoint, AT(struct config, metrics),
		.must = "an address and a port such as 127.0.0.1:9478 or, in quotes, "
			"\"[::1]:9478\""},
	{"mac-age", &value_seconds, AT(struct config, mac_age_s), .min = 1, .max = 86400,
		.def = FDB_AGE_DEFAULT, .must = "a duration of whole seconds 1s..24h such as 300s"},
	{"mac-table", &value_number, AT(struct config, mac_max), .min = 1, .max = 1048576,
		.def = FDB_MAX_DEFAULT, .must = "a number of entries 1..1048576"},
	{"networks", &networks, AT(struct config, nets), COUNT(struct config, nnets),
		.max = NETS_MAX, .what = "network",
		.must = "a map of networks such as {blue: {vlan: 100}}"},
	{"ports", &ports, AT(struct config, ports), COUNT(struct config, nports), .max = PORTS_MAX,
		.what = "port",
		.must = "a map of ports such as {vm1: {vhost-user: /run/weir/vm1.sock}}"},
	{.key = NULL},
};

const struct field net_fields[] = {
	{"vlan", &value_number, AT(struct config_net, vlan), .min = 1, .max = 4094,
		.must = "a number 1..4094"},
	{.key = NULL},
};

const struct field port_fields[] = {
	{"vhost-user", &value_kind, AT(struct config_port, path), .kinds = VHOST, .change = REOPEN,
		.must = "the absolute path of a socket such as /run/weir/vm1.sock"},
	{"tap", &value_kind, AT(struct config_port, path), .kinds = TAP, .change = REOPEN,
		.must = "an interface name of " IFNAME_RULE},
	{"nic", &value_nic, .at = 0, .size = 0},
	{"network", &value_name, AT(struct config_port, network), .must = "the name of a network"},
	{"trunk", &value_names, AT(struct config_port, trunk), COUNT(struct config_port, ntrunk),
		.min = 1, .max = NETS_MAX,
		.must = "a list of names of networks such as [blue, green]"},
	{"native", &value_name, AT(struct config_port, native), .must = "the name of a network"},
	{"mode", &value_word, AT(struct config_port, spec.client), .words = mode_words,
		.kinds = VHOST, .change = REOPEN,
		.must = "server (weir listens) or client (weir connects)"},
	{"group", &value_group, AT(struct config_port, group), .kinds = VHOST, .change = REOPEN,
		.must = "the name of a group, which then may connect"},
	{"memory", &value_word, AT(struct config_port, spec.any_memory), .words = memory_words,
		.kinds = VHOST, .change = REOPEN,
		.must = "ram (files on tmpfs or hugetlbfs) or any (the front end is trusted with "
			"the "
			"switch)"},
	{"netns", &value_netns, AT(struct config_port, netns), .kinds = TAP, .change = REOPEN,
		.must = "a name as in `ip netns` or an absolute path"},
	{"queues", &value_number, AT(struct config_port, spec.queues), .min = 1, .max = QUEUES_MAX,
		.def = 1, .change = REOPEN, .must = "a number 1..16"},
	{"mtu", &value_number, AT(struct config_port, spec.mtu), .min = PORT_MTU_MIN,
		.max = PORT_MTU_MAX, .def = 1500, .change = REOPEN_VHOST,
		.must = "a number of bytes 68..9000"},
	{"link", &value_word, AT(struct config_port, spec.link_down), .words = link_words,
		.must = "up or down"},
	{"mac", &value_mac, AT(struct config_port, mac),
		.must = "the MAC address of one station such as 52:54:00:00:00:02"},
	{"static-macs", &value_macs, AT(struct config_port, static_macs),
		COUNT(struct config_port, nstatic), .max = STATIC_MACS_MAX,
		.must = "a list of MAC addresses of one station each such as 52:54:00:00:00:02"},
	{"mac-limit", &value_number, AT(struct config_port, mac_limit), .max = 1048576,
		.def = FDB_PORT_MAX_DEFAULT, .must = "a number of learned addresses 0..1048576"},
	{"isolated", &value_bool, AT(struct config_port, isolated), .must = "true or false"},
	{"qinq", &value_bool, AT(struct config_port, qinq), .must = "true or false"},
	{.key = NULL},
};
// clang-format on
