/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <string.h>

#include "base/cpus.h"
#include "control/config.h"
#include "control/config_schema.h"

/* Writing a configuration back, and comparing two: both by the tables that read it. Two values are
 * the same when they are written the same with every default filled in. */

static bool default_nets_only(const struct config *c) {
	return c->nnets == 1 && c->nets[0].vlan == 0 && strcmp(c->nets[0].name, "default") == 0;
}

json_t *config_dump(const struct config *c, bool full) {
	json_t *map = schema_dump(top_fields, c, full, 0), *ports, *port;
	const char *name;

	ports = schema_dump_ports(c, full);
	json_object_set_new(map, "ports", ports);
	if (full)
		return map;
	if (c->nports == 0)
		json_object_del(map, "ports");
	if (default_nets_only(c))
		json_object_del(map, "networks");
	if (c->ncpus == 1 && c->cpus[0] == cpus_highest())
		json_object_del(map, "workers");
	if (strcmp(c->api, CONFIG_API_DEFAULT) == 0)
		json_object_del(map, "api");
	json_object_foreach (ports, name, port) {
		const char *net = json_string_value(json_object_get(port, "network"));

		if (net != NULL && strcmp(net, "default") == 0)
			json_object_del(port, "network");
	}
	return map;
}

static void step(json_t *diff, const char *op, const char *what, const char *name, json_t *from,
	json_t *to, const char *how) {
	json_t *s = json_pack("{s:s, s:s, s:s}", "op", op, "what", what, "name", name);

	if (from != NULL)
		json_object_set(s, "from", from);
	if (to != NULL)
		json_object_set(s, "to", to);
	json_object_set_new(s, "how", json_string(how));
	json_array_append_new(diff, s);
}

// What one changed key of a port takes; `port` is the wanted one, in full.
static bool reopens(const struct field *f, const json_t *port) {
	return f->change == REOPEN ||
	       (f->change == REOPEN_VHOST && json_object_get(port, "vhost-user") != NULL);
}

static bool same(const json_t *a, const json_t *b) {
	return a == b || (a != NULL && b != NULL && json_equal(a, b));
}

// The keys in which two ports (or networks) differ, each in its own map.
static void change(json_t *diff, const char *what, const char *name, const struct field *fields,
	const json_t *a, const json_t *b) {
	json_t *from = json_object(), *to = json_object();
	bool reopen = false;

	for (const struct field *f = fields; f->key != NULL; f++) {
		json_t *x = json_object_get(a, f->key), *y = json_object_get(b, f->key);

		if (same(x, y))
			continue;
		json_object_set_new(from, f->key, x != NULL ? json_incref(x) : json_null());
		json_object_set_new(to, f->key, y != NULL ? json_incref(y) : json_null());
		reopen |= reopens(f, b);
	}
	if (json_object_size(from) > 0)
		step(diff, "change", what, name, from, to, reopen ? "reopen" : "in place");
	json_decref(from);
	json_decref(to);
}

static void settings(json_t *diff, const json_t *a, const json_t *b) {
	for (const struct field *f = top_fields; f->key != NULL; f++) {
		json_t *x = json_object_get(a, f->key), *y = json_object_get(b, f->key), *s;

		if (strcmp(f->key, "networks") == 0 || strcmp(f->key, "ports") == 0 || same(x, y))
			continue;
		step(diff, "change", f->key, f->key, x, y,
			f->change == RESTART ? "restart needed" : "in place");
		if (f->change != RESTART)
			continue;
		s = json_array_get(diff, json_array_size(diff) - 1);
		json_object_set_new(s, "why",
			json_sprintf("%s stays %s until weir is started anew", f->key,
				json_string_value(x)));
	}
}

// Members of `b` that are not in `a`, and those that changed.
static void added_and_changed(
	json_t *diff, const char *what, const struct field *fields, json_t *a, json_t *b) {
	const char *name;
	json_t *x, *y;

	json_object_foreach (b, name, y) {
		x = json_object_get(a, name);
		if (x == NULL)
			step(diff, "add", what, name, NULL, y, "in place");
		else
			change(diff, what, name, fields, x, y);
	}
}

static void removed(json_t *diff, const char *what, json_t *a, json_t *b) {
	const char *name;
	json_t *x;

	json_object_foreach (a, name, x)
		if (json_object_get(b, name) == NULL)
			step(diff, "remove", what, name, x, NULL, "in place");
}

json_t *config_diff(const struct config *a, const struct config *b) {
	json_t *x = config_dump(a, true), *y = config_dump(b, true), *diff = json_array();
	json_t *xnets = json_object_get(x, "networks"), *ynets = json_object_get(y, "networks");
	json_t *xports = json_object_get(x, "ports"), *yports = json_object_get(y, "ports");

	settings(diff, x, y);
	added_and_changed(diff, "network", net_fields, xnets, ynets);
	added_and_changed(diff, "port", port_fields, xports, yports);
	removed(diff, "port", xports, yports);
	removed(diff, "network", xnets, ynets);
	json_decref(x);
	json_decref(y);
	return diff;
}
