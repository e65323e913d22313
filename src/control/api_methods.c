/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * What the API can do. An edit takes the running configuration as a tree, changes the tree and
 * applies it like any other: what would not be accepted in a file is not accepted here, and a step
 * that fails leaves the switch as it was. docs/api.md describes each method. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/api.h"
#include "control/capture.h"
#include "control/config.h"
#include "control/daemon.h"
#include "control/switch.h"

static struct daemon *daemon_of(void *ctx) {
	return ((struct api_call *)ctx)->arg;
}

/* Frees `want` and makes the reply, {"diff": [...]}. */
static json_t *apply(
	struct api_call *call, struct config *want, bool dry_run, int *code, struct err *e) {
	json_t *diff = NULL;
	int ret = daemon_apply(call->arg, want, dry_run, &diff, e);
	char who[64];

	config_free(want);
	if (ret < 0) {
		json_decref(diff);
		*code = ret;
		return NULL;
	}
	if (!dry_run)
		daemon_log_changes(diff, api_peer(call->client, who, sizeof(who)));
	return json_pack(
		"{s:o, s:b}", "diff", diff != NULL ? diff : json_array(), "applied", !dry_run);
}

static json_t *do_apply(void *ctx, const json_t *params, int *code, struct err *e) {
	const json_t *tree = json_object_get(params, "config"),
		     *text = json_object_get(params, "text");
	bool dry_run = json_is_true(json_object_get(params, "dry_run"));
	struct daemon *d = daemon_of(ctx);
	struct config *want;
	int ret;

	if (json_is_object(tree)) {
		ret = daemon_from_json(d, &want, tree, e);
	} else if (json_is_string(text)) {
		const char *file = json_string_value(json_object_get(params, "file"));

		ret = daemon_parse(d, &want, json_string_value(text), json_string_length(text),
			file != NULL ? file : "configuration", e);
	} else {
		*code = RPC_BAD_PARAMS;
		err_set(e, EINVAL, "params: give 'config' (an object) or 'text' (YAML)");
		return NULL;
	}
	if (ret < 0) {
		*code = ret;
		return NULL;
	}
	return apply(ctx, want, dry_run, code, e);
}

static void list_names(const json_t *map, char *buf, size_t size) {
	const char *name;
	json_t *v;
	size_t n = 0;

	snprintf(buf, size, "none");
	json_object_foreach ((json_t *)(uintptr_t)map, name, v)
		if (n < size)
			n += (size_t)snprintf(buf + n, size - n, "%s%s", n > 0 ? ", " : "", name);
}

enum edit { EDIT_ADD, EDIT_SET, EDIT_DEL };

/* Access and trunk exclude each other, as do the kinds: naming one takes the other back. */
static void take_back_rivals(json_t *one, const json_t *settings) {
	static const struct {
		const char *key, *rivals[3];
	} rules[] = {{"network", {"trunk", "native"}}, {"trunk", {"network"}}};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		json_t *v = json_object_get(settings, rules[i].key);

		for (int j = 0; v != NULL && !json_is_null(v) && rules[i].rivals[j] != NULL; j++)
			json_object_del(one, rules[i].rivals[j]);
	}
}

/* Settings into one port or network; null brings a key back to its default. */
static void merge(json_t *one, const json_t *settings) {
	const char *key;
	json_t *v;

	take_back_rivals(one, settings);
	json_object_foreach ((json_t *)(uintptr_t)settings, key, v) {
		if (json_is_null(v))
			json_object_del(one, key);
		else
			json_object_set(one, key, v);
	}
}

/* One edit of `map` ("ports" or "networks", of things called `what`). 0 or a code with a sentence. */
static int edit_map(json_t *map, const char *what, enum edit how, const char *name,
	const json_t *settings, struct err *e) {
	json_t *one = json_object_get(map, name);
	char there[256];

	list_names(map, there, sizeof(there));
	if (how == EDIT_ADD && one != NULL)
		return err_set(e, EEXIST, "%s '%s' exists already%s", what, name,
			strcmp(what, "port") == 0 ? "; change it with 'set' or choose another name"
						  : "; choose another name");
	if (how != EDIT_ADD && one == NULL)
		return err_set(e, ENOENT, "no such %s '%s'; there are: %s", what, name, there);
	if (how == EDIT_DEL)
		return json_object_del(map, name);
	if (how == EDIT_ADD) {
		one = json_object();
		json_object_set_new(map, name, one);
	}
	merge(one, settings);
	return 0;
}

static bool is_member(const struct config_port *p, const char *net) {
	if (strcmp(p->network, net) == 0 || strcmp(p->native, net) == 0)
		return true;
	for (unsigned i = 0; i < p->ntrunk; i++)
		if (strcmp(p->trunk[i], net) == 0)
			return true;
	return false;
}

/* Refuses when a port is in the network that is to go. */
static int leave_network(const struct config *c, const char *net, struct err *e) {
	char names[200] = "";
	size_t n = 0;

	for (unsigned i = 0; i < c->nports; i++)
		if (is_member(&c->ports[i], net) && n < sizeof(names))
			n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s",
				n > 0 ? ", " : "", c->ports[i].spec.name);
	if (n == 0)
		return 0;
	return err_set(
		e, EBUSY, "network '%s' is in use; move or remove its ports first: %s", net, names);
}

static json_t *edit(void *ctx, const json_t *params, const char *what, enum edit how, int *code,
	struct err *e) {
	struct daemon *d = daemon_of(ctx);
	const char *name = rpc_string(params, "name", code, e);
	const char *key = strcmp(what, "port") == 0 ? "ports" : "networks";
	const json_t *settings = json_object_get(params, "settings");
	struct config *want = NULL;
	json_t *tree, *map;

	if (name == NULL)
		return NULL;
	if (how == EDIT_SET && rpc_object(params, "settings", code, e) == NULL)
		return NULL;
	if (settings != NULL && !json_is_object(settings) && !json_is_null(settings)) {
		rpc_object(params, "settings", code, e);
		return NULL;
	}
	tree = daemon_config(d, true);
	map = json_object_get(tree, key);
	if (map == NULL) {
		map = json_object();
		json_object_set_new(tree, key, map);
	}
	*code = edit_map(map, what, how, name, settings, e);
	if (*code == 0 && how == EDIT_DEL && strcmp(key, "networks") == 0)
		*code = leave_network(sw_config(d->sw), name, e);
	if (*code == 0)
		*code = daemon_from_json(d, &want, tree, e);
	json_decref(tree);
	return *code == 0
		       ? apply(ctx, want, json_is_true(json_object_get(params, "dry_run")), code, e)
		       : NULL;
}

#define EDIT(fn, what, how)                                                            \
	static json_t *fn(void *ctx, const json_t *params, int *code, struct err *e) { \
		return edit(ctx, params, what, how, code, e);                          \
	}
EDIT(do_port_add, "port", EDIT_ADD)
EDIT(do_port_set, "port", EDIT_SET)
EDIT(do_port_del, "port", EDIT_DEL)
EDIT(do_network_add, "network", EDIT_ADD)
EDIT(do_network_set, "network", EDIT_SET)
EDIT(do_network_del, "network", EDIT_DEL)

#define SHOW(fn, of)                                                                   \
	static json_t *fn(void *ctx, const json_t *params, int *code, struct err *e) { \
		err_set(e, ENOMEM, "out of memory");                                   \
		return of(daemon_of(ctx)->sw);                                         \
	}
SHOW(show_ports, sw_show_ports)
SHOW(show_networks, sw_show_networks)
SHOW(show_macs, sw_show_macs)
SHOW(show_workers, sw_show_workers)
SHOW(show_drops, sw_show_drops)

static json_t *show_config(void *ctx, const json_t *params, int *code, struct err *e) {
	return daemon_config(daemon_of(ctx), json_is_true(json_object_get(params, "full")));
}

static int hex_digit(int c) {
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* Malloc'd bytes of a hex text, NULL with a sentence. */
static uint8_t *from_hex(const char *hex, size_t *len, struct err *e) {
	size_t n = strlen(hex);
	uint8_t *bytes = malloc(n / 2 + 1);

	for (size_t i = 0; bytes != NULL && i < n; i++) {
		int v = hex_digit(hex[i]);

		if (v < 0 || n % 2 != 0) {
			free(bytes);
			err_set(e, EINVAL,
				"params: 'frame' must be pairs of hex digits without blanks");
			return NULL;
		}
		bytes[i / 2] = (uint8_t)(i % 2 == 0 ? v << 4 : bytes[i / 2] | v);
	}
	*len = n / 2;
	return bytes;
}

static json_t *trace(void *ctx, const json_t *params, int *code, struct err *e) {
	const char *port = rpc_string(params, "port", code, e), *hex;
	json_t *result;
	uint8_t *bytes;
	size_t len;

	hex = port != NULL ? rpc_string(params, "frame", code, e) : NULL;
	if (hex == NULL)
		return NULL;
	bytes = from_hex(hex, &len, e);
	if (bytes == NULL) {
		*code = RPC_BAD_PARAMS;
		return NULL;
	}
	*code = -EINVAL;
	result = sw_trace(daemon_of(ctx)->sw, port, bytes, len, e);
	free(bytes);
	return result;
}

static int64_t whole(
	const json_t *params, const char *name, int64_t max, int *code, struct err *e) {
	const json_t *v = json_object_get(params, name);

	if (v == NULL)
		return 0;
	if (json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= max)
		return json_integer_value(v);
	*code = RPC_BAD_PARAMS;
	err_set(e, EINVAL, "params: '%s' must be a number from 0 to %lld", name, (long long)max);
	return -1;
}

static json_t *capture_start(void *ctx, const json_t *params, int *code, struct err *e) {
	struct api_call *call = ctx;
	struct daemon *d = call->arg;
	const char *name = rpc_string(params, "port", code, e);
	int64_t count = whole(params, "count", INT32_MAX, code, e);
	int64_t snaplen = whole(params, "snaplen", CAPTURE_SNAPLEN_MAX, code, e);
	struct capture_spec spec = {.owner = call->client, .tsc_hz = workers_hz()};
	struct port *p;

	if (name == NULL || count < 0 || snaplen < 0)
		return NULL;
	p = sw_port(d->sw, name, e);
	if (p == NULL) {
		*code = -ENOENT;
		return NULL;
	}
	spec.fd = api_take_fd(call->client);
	if (spec.fd < 0) {
		*code = err_set(e, EBADF,
			"no descriptor to write to; pass the write end of a pipe along "
			"(SCM_RIGHTS)");
		return NULL;
	}
	spec.count = (uint64_t)count;
	spec.snaplen = (uint32_t)snaplen;
	*code = captures_start(d->captures, p, &spec, e);
	if (*code < 0)
		return NULL;
	api_keep(call->client);
	return json_pack("{s:s}", "port", name);
}

static json_t *version(void *ctx, const json_t *params, int *code, struct err *e) {
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return json_pack("{s:s, s:i, s:I}", "version", WEIR_VERSION, "pid", (int)getpid(),
		"uptime_s",
		(json_int_t)(ts.tv_sec - (time_t)(daemon_of(ctx)->started_us / 1000000)));
}

static json_t *ping(void *ctx, const json_t *params, int *code, struct err *e) {
	return json_string("pong");
}

const struct rpc_method api_methods[] = {
	{"ping", ping},
	{"version", version},
	{"apply", do_apply},
	{"port.add", do_port_add},
	{"port.set", do_port_set},
	{"port.del", do_port_del},
	{"network.add", do_network_add},
	{"network.set", do_network_set},
	{"network.del", do_network_del},
	{"show.ports", show_ports},
	{"show.networks", show_networks},
	{"show.macs", show_macs},
	{"show.workers", show_workers},
	{"show.drops", show_drops},
	{"show.config", show_config},
	{"trace", trace},
	{"capture.start", capture_start},
	{NULL, NULL},
};
