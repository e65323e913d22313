/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpus.h"
#include "base/err.h"
#include "base/mac.h"
#include "base/yaml.h"
#include "control/config_schema.h"

/* What no value is wrong for by itself: networks that must exist, things that only one may have, and
 * the defaults that depend on other keys. */

struct check {
	struct schema *s;
	struct config *c;
	const json_t *ports; // marks of the ports
	json_t *nets; // index of each network by its name
};

static const json_t *mark_of(const struct check *k, const struct config_port *p, const char *key) {
	const json_t *port = yaml_member(k->ports, p->spec.name);
	const json_t *mark = yaml_member(port, key);

	return mark != NULL ? mark : port;
}

static int default_worker(struct check *k) {
	struct config *c = k->c;

	if (c->ncpus > 0)
		return 0;
	c->cpus = malloc(sizeof(*c->cpus));
	if (c->cpus == NULL)
		return value_no_memory(k->s);
	c->cpus[0] = cpus_highest();
	if (c->cpus[0] < 0)
		return schema_fail(k->s, ENODEV, NULL,
			"which CPUs may be used cannot be told; name one with workers: [CPU]");
	c->ncpus = 1;
	return 0;
}

static int check_nets(struct check *k, const json_t *marks) {
	struct config *c = k->c;
	uint16_t owner[4096] = {0}; // of a VLAN: one more than its network's index

	if (c->nnets == 0) {
		free(c->nets);
		c->nets = calloc(1, sizeof(*c->nets));
		if (c->nets == NULL)
			return value_no_memory(k->s);
		snprintf(c->nets[0].name, sizeof(c->nets[0].name), "default");
		c->nnets = 1;
	}
	for (unsigned i = 0; i < c->nnets; i++) {
		const struct config_net *net = &c->nets[i];
		uint16_t first = net->vlan != 0 ? owner[net->vlan] : 0;

		if (first != 0)
			return schema_fail(k->s, EINVAL, yaml_member(marks, net->name),
				"network %s: vlan %u is already that of network %s; give each its "
				"own",
				net->name, net->vlan, c->nets[first - 1].name);
		owner[net->vlan] = (uint16_t)(i + 1);
		if (json_object_set_new(k->nets, net->name, json_integer(i)) != 0)
			return value_no_memory(k->s);
	}
	return 0;
}

static const struct config_net *net_of(const struct check *k, const char *name) {
	const json_t *i = json_object_get(k->nets, name);

	return i != NULL ? &k->c->nets[json_integer_value(i)] : NULL;
}

static int no_such_net(struct check *k, const json_t *mark, const char *name) {
	char all[300];

	schema_list(all, sizeof(all), k->nets);
	return schema_fail(k->s, ENOENT, mark, "no such network '%s'; there are: %s", name, all);
}

static int check_access(struct check *k, struct config_port *p) {
	char all[300];

	if (p->native[0] != '\0')
		return schema_fail(k->s, EINVAL, mark_of(k, p, "native"),
			"native is for trunk ports; name the network of this one with network: %s",
			p->native);
	if (p->network[0] == '\0' && net_of(k, "default") != NULL)
		snprintf(p->network, sizeof(p->network), "default");
	if (p->network[0] == '\0') {
		schema_list(all, sizeof(all), k->nets);
		return schema_fail(k->s, EINVAL, mark_of(k, p, ""),
			"it is in no network; give it network: or trunk: with one of: %s", all);
	}
	if (net_of(k, p->network) == NULL)
		return no_such_net(k, mark_of(k, p, "network"), p->network);
	return 0;
}

static int check_trunk(struct check *k, const struct config_port *p) {
	const json_t *marks = mark_of(k, p, "trunk");
	uint8_t seen[NETS_MAX] = {0};

	if (p->network[0] != '\0')
		return schema_fail(k->s, EINVAL, marks,
			"both network and trunk are given; a port has one of them; delete the "
			"other");
	for (unsigned i = 0; i < p->ntrunk; i++) {
		const struct config_net *net = net_of(k, p->trunk[i]);
		const json_t *mark = yaml_element(marks, i);

		if (net == NULL)
			return no_such_net(k, mark, p->trunk[i]);
		if (net->vlan == 0)
			return schema_fail(k->s, EINVAL, mark,
				"trunk has network %s, which has no vlan; give the network a vlan "
				"1..4094",
				net->name);
		if (seen[net - k->c->nets]++)
			return schema_fail(k->s, EINVAL, mark,
				"trunk has network %s twice; once is enough", net->name);
	}
	if (p->native[0] != '\0' && net_of(k, p->native) == NULL)
		return no_such_net(k, mark_of(k, p, "native"), p->native);
	return 0;
}

// Two ports at one socket or interface.
static int check_path(struct check *k, const struct config_port *p) {
	const struct config *c = k->c;
	const char *key = p->spec.kind == PORT_TAP ? "tap" : "vhost-user";

	if (p->spec.kind == PORT_VHOST_USER && strcmp(p->path, c->api) == 0)
		return schema_fail(k->s, EINVAL, mark_of(k, p, key),
			"vhost-user %s is the socket of the api; choose another path", p->path);
	for (const struct config_port *o = c->ports; o < p; o++) {
		if (o->spec.kind != p->spec.kind || strcmp(o->path, p->path) != 0)
			continue;
		if (strcmp(o->netns != NULL ? o->netns : "", p->netns != NULL ? p->netns : "") != 0)
			continue;
		return schema_fail(k->s, EINVAL, mark_of(k, p, key),
			"%s %s is already that of port %s; choose another", key, p->path,
			o->spec.name);
	}
	return 0;
}

static int check_port(struct check *k, struct config_port *p) {
	int rc = p->trunk != NULL ? check_trunk(k, p) : check_access(k, p);

	if (rc == 0 && p->group != NULL && p->spec.client)
		rc = schema_fail(k->s, EINVAL, mark_of(k, p, "group"),
			"group is for mode: server, where weir makes the socket; delete one of the "
			"two");
	return rc != 0 ? rc : check_path(k, p);
}

// A MAC that stands in the configuration: pinned or static, on one port in one network.
struct owned {
	uint64_t mac;
	uint32_t net, port, order; // order: 0 pinned, else one more than the index in static-macs
};

static int by_net_and_mac(const void *a, const void *b) {
	const struct owned *x = a, *y = b;

	if (x->net != y->net)
		return x->net < y->net ? -1 : 1;
	if (x->mac != y->mac)
		return x->mac < y->mac ? -1 : 1;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

// Adds the MACs of a port in one network; its number in all.
static size_t own(struct owned *list, size_t n, const struct check *k, const struct config_port *p,
	const char *network) {
	uint32_t net = (uint32_t)(net_of(k, network) - k->c->nets);
	uint32_t port = (uint32_t)(p - k->c->ports);

	if (p->mac != 0)
		list[n++] = (struct owned){p->mac, net, port, 0};
	for (unsigned i = 0; i < p->nstatic; i++)
		list[n++] = (struct owned){p->static_macs[i], net, port, i + 1};
	return n;
}

static bool native_apart(const struct config_port *p) {
	for (unsigned i = 0; p->trunk != NULL && i < p->ntrunk; i++)
		if (strcmp(p->trunk[i], p->native) == 0)
			return false;
	return p->native[0] != '\0';
}

static size_t own_all(struct owned *list, const struct check *k) {
	size_t n = 0;

	for (unsigned j = 0; j < k->c->nports; j++) {
		const struct config_port *p = &k->c->ports[j];

		if (p->trunk == NULL)
			n = own(list, n, k, p, p->network);
		for (unsigned i = 0; p->trunk != NULL && i < p->ntrunk; i++)
			n = own(list, n, k, p, p->trunk[i]);
		if (native_apart(p))
			n = own(list, n, k, p, p->native);
	}
	return n;
}

static int owned_twice(struct check *k, const struct owned *a, const struct owned *b) {
	const struct config_port *p = &k->c->ports[b->port], *first = &k->c->ports[a->port];
	const json_t *mark = mark_of(k, p, b->order == 0 ? "mac" : "static-macs");
	char mac[MAC_TEXT_MAX];

	if (b->order > 0 && yaml_element(mark, b->order - 1) != NULL)
		mark = yaml_element(mark, b->order - 1);
	mac_format(b->mac, mac);
	snprintf(k->s->where, sizeof(k->s->where), "port %s: ", p->spec.name);
	if (p == first)
		return schema_fail(
			k->s, EEXIST, mark, "MAC %s is given twice; once is enough", mac);
	return schema_fail(k->s, EEXIST, mark,
		"MAC %s is already on port %s in network %s; give it to one port of a network", mac,
		first->spec.name, k->c->nets[a->net].name);
}

static int check_macs(struct check *k) {
	struct owned *list;
	size_t n = 0;
	int rc = 0;

	for (unsigned i = 0; i < k->c->nports; i++) {
		const struct config_port *p = &k->c->ports[i];

		n += (size_t)((p->mac != 0) + p->nstatic) *
		     (p->trunk != NULL ? p->ntrunk + native_apart(p) : 1);
	}
	if (n > k->c->mac_max)
		return schema_fail(k->s, ENOSPC, NULL,
			"mac and static-macs of all ports and networks make %zu entries; mac-table "
			"admits "
			"%u; raise it (1..1048576)",
			n, k->c->mac_max);
	list = calloc(n + 1, sizeof(*list));
	if (list == NULL)
		return value_no_memory(k->s);
	own_all(list, k);
	qsort(list, n, sizeof(*list), by_net_and_mac);
	for (size_t i = 1; i < n && rc == 0; i++)
		if (list[i].net == list[i - 1].net && list[i].mac == list[i - 1].mac)
			rc = owned_twice(k, &list[i - 1], &list[i]);
	free(list);
	return rc;
}

int config_check(struct schema *s, struct config *c, const json_t *marks) {
	struct check k = {
		.s = s, .c = c, .ports = yaml_member(marks, "ports"), .nets = json_object()};
	int rc;

	if (k.nets == NULL)
		return value_no_memory(s);
	s->where[0] = '\0';
	if (c->api == NULL)
		c->api = strdup(CONFIG_API_DEFAULT);
	rc = c->api != NULL ? default_worker(&k) : value_no_memory(s);
	if (rc == 0)
		rc = check_nets(&k, yaml_member(marks, "networks"));
	for (unsigned i = 0; i < c->nports && rc == 0; i++) {
		snprintf(s->where, sizeof(s->where), "port %s: ", c->ports[i].spec.name);
		rc = check_port(&k, &c->ports[i]);
		s->where[0] = '\0';
	}
	if (rc == 0)
		rc = check_macs(&k);
	json_decref(k.nets);
	return rc;
}
