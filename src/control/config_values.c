/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/cpus.h"
#include "base/err.h"
#include "base/ifname.h"
#include "base/mac.h"
#include "base/units.h"
#include "base/yaml.h"
#include "control/config_schema.h"

/* The types of values that only the switch has. */

enum {
	SOCKET_PATH_MAX = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1,

	GROUP_LEN_MAX = 32, // LOGIN_NAME_MAX of useradd and groupadd
	NETNS_LEN_MAX = 255,
};

static int check_socket(struct schema *s, const struct field *f, const char *text, const json_t *v,
	const json_t *mark) {
	if (text == NULL || text[0] != '/')
		return value_wrong(s, f, v, mark);
	if (strlen(text) > SOCKET_PATH_MAX)
		return schema_fail(s, ENAMETOOLONG, mark,
			"%s is '%.200s', which has %zu bytes; a socket path has at most %d; "
			"choose a shorter one",
			f->key, text, strlen(text), (int)SOCKET_PATH_MAX);
	return 0;
}

static int take_socket(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	char buf[VALUE_TEXT_MAX];
	const char *text = value_text(v, buf, sizeof(buf));
	int rc = check_socket(s, f, text, v, mark);

	return rc != 0 ? rc : value_set_text(s, f, text, obj);
}

// "127.0.0.1:9478", "[::1]:9478".
static bool endpoint_ok(const char *text) {
	char host[64];
	const char *colon = strrchr(text, ':');
	struct in6_addr addr;
	size_t n;
	long port;

	if (colon == NULL || !isdigit((unsigned char)colon[1]) || strlen(colon + 1) > 5 ||
		strspn(colon + 1, "0123456789") != strlen(colon + 1))
		return false;
	port = strtol(colon + 1, NULL, 10);
	n = (size_t)(colon - text);
	if (port < 1 || port > 65535 || n < 2 || n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	if (host[0] != '[')
		return inet_pton(AF_INET, host, &addr) == 1;
	if (host[n - 1] != ']')
		return false;
	host[n - 1] = '\0';
	return inet_pton(AF_INET6, host + 1, &addr) == 1;
}

static int take_endpoint(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	if (!json_is_string(v) || !endpoint_ok(json_string_value(v)))
		return value_wrong(s, f, v, mark);
	return value_set_text(s, f, json_string_value(v), obj);
}

static int take_group(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	char buf[VALUE_TEXT_MAX];
	const char *text = value_text(v, buf, sizeof(buf));

	if (text == NULL || strlen(text) > GROUP_LEN_MAX || strpbrk(text, ":/ \t\n") != NULL)
		return value_wrong(s, f, v, mark);
	return value_set_text(s, f, text, obj);
}

static int take_netns(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	char buf[VALUE_TEXT_MAX];
	const char *text = value_text(v, buf, sizeof(buf));

	if (text == NULL || strlen(text) > NETNS_LEN_MAX || strcmp(text, ".") == 0 ||
		strcmp(text, "..") == 0 || (text[0] != '/' && strchr(text, '/') != NULL))
		return value_wrong(s, f, v, mark);
	return value_set_text(s, f, text, obj);
}

// vhost-user: and tap: say what a port is.
static int take_kind(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	struct config_port *p = obj;
	char buf[VALUE_TEXT_MAX];
	const char *text = value_text(v, buf, sizeof(buf));

	if (p->path != NULL)
		return schema_fail(s, EINVAL, mark,
			"both vhost-user and tap are given; a port is one of them; delete the "
			"other");
	if (f->kinds == 1u << PORT_VHOST_USER) {
		int rc = check_socket(s, f, text, v, mark);

		if (rc != 0)
			return rc;
		p->spec.kind = PORT_VHOST_USER;
	} else {
		if (text == NULL || !ifname_valid(text))
			return value_wrong(s, f, v, mark);
		p->spec.kind = PORT_TAP;
	}
	return value_set_text(s, f, text, obj);
}

static int take_nic(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	return schema_fail(s, ENOTSUP, mark,
		"%s: this version of weir has no NIC ports yet; use vhost-user: or tap:", f->key);
}

static json_t *dump_nothing(const struct field *f, const void *obj) {
	return NULL;
}

static int take_cpus(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	int rc = value_list_room(s, f, v, mark, obj, sizeof(int));

	for (size_t i = 0; rc == 0 && i < json_array_size(v); i++) {
		const json_t *cpu = json_array_get(v, i), *at = yaml_element(mark, i);
		unsigned *n = value_count(f, obj);
		int *cpus = *(int **)value_member(f, obj);
		char show[YAML_SHOW_MAX], allowed[128];

		cpus_text(allowed, sizeof(allowed));
		if (!json_is_integer(cpu) || !cpus_allowed(json_integer_value(cpu)))
			return schema_fail(s, EINVAL, at,
				"%s has CPU %s, which does not exist or may not be used; there "
				"are: %s",
				f->key, yaml_show(cpu, show), allowed);
		for (unsigned j = 0; j < *n; j++)
			if (cpus[j] == json_integer_value(cpu))
				return schema_fail(s, EINVAL, at,
					"%s has CPU %d twice; give each worker a CPU of its own",
					f->key, cpus[j]);
		cpus[(*n)++] = (int)json_integer_value(cpu);
	}
	return rc;
}

static json_t *dump_cpus(const struct field *f, const void *obj) {
	const struct config *c = obj;
	json_t *list = json_array();

	for (unsigned i = 0; i < c->ncpus; i++)
		json_array_append_new(list, json_integer(c->cpus[i]));
	return list;
}

const struct value_type value_socket = {take_socket, value_dump_text};
const struct value_type value_endpoint = {take_endpoint, value_dump_text};
const struct value_type value_group = {take_group, value_dump_text};
const struct value_type value_netns = {take_netns, value_dump_text};
const struct value_type value_kind = {take_kind, value_dump_text};
const struct value_type value_nic = {take_nic, dump_nothing};
const struct value_type value_cpus = {take_cpus, dump_cpus};
