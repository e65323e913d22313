/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/cpus.h"
#include "base/err.h"
#include "base/mac.h"
#include "base/units.h"
#include "base/yaml.h"
#include "control/config_schema.h"

/* The types of values. One that is wrong in itself is refused here, with one sentence for all:
 * "queues is 17; it must be a number 1..16". */

enum {
	SOCKET_PATH_MAX = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1,

	GROUP_LEN_MAX = 32, // LOGIN_NAME_MAX of useradd and groupadd
	NETNS_LEN_MAX = 255,
};

int value_wrong(struct schema *s, const struct field *f, const json_t *v, const json_t *mark) {
	char show[YAML_SHOW_MAX];

	return schema_fail(
		s, EINVAL, mark, "%s is %s; it must be %s", f->key, yaml_show(v, show), f->must);
}

static int wrong_element(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark) {
	char show[YAML_SHOW_MAX];

	return schema_fail(s, EINVAL, mark, "%s has %s in it; it must be %s", f->key,
		yaml_show(v, show), f->must);
}

int value_no_memory(struct schema *s) {
	return schema_fail(s, ENOMEM, NULL, "no memory for the configuration");
}

static void *member(const struct field *f, void *obj) {
	return (char *)obj + f->at;
}

static int64_t number_at(const struct field *f, const void *obj) {
	const char *p = (const char *)obj + f->at;

	switch (f->size) {
	case 1:
		return *(const uint8_t *)p;
	case 2:
		return *(const uint16_t *)p;
	default:
		return *(const uint32_t *)p;
	}
}

static void set_number(const struct field *f, void *obj, int64_t v) {
	if (f->size == 1)
		*(uint8_t *)member(f, obj) = (uint8_t)v;
	else if (f->size == 2)
		*(uint16_t *)member(f, obj) = (uint16_t)v;
	else
		*(uint32_t *)member(f, obj) = (uint32_t)v;
}

// Text of a string, or of a whole number written where a name is wanted. NULL: neither, or empty, or
// with control characters (a NUL too), which neither files nor interfaces nor groups should have.
static const char *text_of(const json_t *v, char *buf, size_t size) {
	const char *text = json_string_value(v);

	if (json_is_integer(v)) {
		snprintf(buf, size, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		return buf;
	}
	if (text == NULL || text[0] == '\0')
		return NULL;
	for (size_t i = 0; i < json_string_length(v); i++)
		if (iscntrl((unsigned char)text[i]))
			return NULL;
	return text;
}

static int take_number(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	if (!json_is_integer(v) || json_integer_value(v) < f->min || json_integer_value(v) > f->max)
		return value_wrong(s, f, v, mark);
	set_number(f, obj, json_integer_value(v));
	return 0;
}

static json_t *dump_number(const struct field *f, const void *obj) {
	int64_t n = number_at(f, obj);

	return n >= f->min ? json_integer(n) : NULL;
}

static int take_seconds(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	const uint64_t second = 1000000000;
	char buf[24];
	const char *text = text_of(v, buf, sizeof(buf));
	uint64_t ns;

	if (text == NULL || units_duration(text, &ns, NULL) != 0 || ns % second != 0 ||
		ns / second < (uint64_t)f->min || ns / second > (uint64_t)f->max)
		return value_wrong(s, f, v, mark);
	set_number(f, obj, (int64_t)(ns / second));
	return 0;
}

static json_t *dump_seconds(const struct field *f, const void *obj) {
	return json_sprintf("%llds", (long long)number_at(f, obj));
}

static int take_word(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	for (int i = 0; json_is_string(v) && f->words[i] != NULL; i++) {
		if (strcmp(json_string_value(v), f->words[i]) == 0) {
			set_number(f, obj, i);
			return 0;
		}
	}
	return value_wrong(s, f, v, mark);
}

static json_t *dump_word(const struct field *f, const void *obj) {
	return json_string(f->words[number_at(f, obj)]);
}

static int take_bool(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	if (!json_is_boolean(v))
		return value_wrong(s, f, v, mark);
	set_number(f, obj, json_is_true(v));
	return 0;
}

static json_t *dump_bool(const struct field *f, const void *obj) {
	return json_boolean(number_at(f, obj) != 0);
}

static int set_text(struct schema *s, const struct field *f, const char *text, void *obj) {
	char **p = member(f, obj);

	*p = strdup(text);
	return *p != NULL ? 0 : value_no_memory(s);
}

static json_t *dump_text(const struct field *f, const void *obj) {
	const char *text = *(char *const *)((const char *)obj + f->at);

	return text != NULL ? json_string(text) : NULL;
}

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
	char buf[24];
	const char *text = text_of(v, buf, sizeof(buf));
	int rc = check_socket(s, f, text, v, mark);

	return rc != 0 ? rc : set_text(s, f, text, obj);
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
	return set_text(s, f, json_string_value(v), obj);
}

static int take_group(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	char buf[24];
	const char *text = text_of(v, buf, sizeof(buf));

	if (text == NULL || strlen(text) > GROUP_LEN_MAX || strpbrk(text, ":/ \t\n") != NULL)
		return value_wrong(s, f, v, mark);
	return set_text(s, f, text, obj);
}

static int take_netns(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	char buf[24];
	const char *text = text_of(v, buf, sizeof(buf));

	if (text == NULL || strlen(text) > NETNS_LEN_MAX || strcmp(text, ".") == 0 ||
		strcmp(text, "..") == 0 || (text[0] != '/' && strchr(text, '/') != NULL))
		return value_wrong(s, f, v, mark);
	return set_text(s, f, text, obj);
}

// What the kernel takes for an interface (dev_valid_name), but not '%', which it fills in itself.
static bool ifname_ok(const char *text) {
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if (strchr("/:%", text[i]) != NULL || !isgraph((unsigned char)text[i]))
			return false;
	return n > 0 && n < IFNAMSIZ && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

// vhost-user: and tap: say what a port is.
static int take_kind(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	struct config_port *p = obj;
	char buf[24];
	const char *text = text_of(v, buf, sizeof(buf));

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
		if (text == NULL || !ifname_ok(text))
			return value_wrong(s, f, v, mark);
		p->spec.kind = PORT_TAP;
	}
	return set_text(s, f, text, obj);
}

static int take_nic(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	return schema_fail(s, ENOTSUP, mark,
		"%s: this version of weir has no NIC ports yet; use vhost-user: or tap:", f->key);
}

static json_t *dump_nothing(const struct field *f, const void *obj) {
	return NULL;
}

static int take_name(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	char buf[24];
	const char *text = text_of(v, buf, sizeof(buf));

	if (text == NULL || !schema_name_ok(text))
		return value_wrong(s, f, v, mark);
	snprintf(member(f, obj), f->size, "%s", text);
	return 0;
}

static json_t *dump_name(const struct field *f, const void *obj) {
	const char *text = (const char *)obj + f->at;

	return text[0] != '\0' ? json_string(text) : NULL;
}

static bool mac_of(const json_t *v, uint64_t *mac) {
	return json_is_string(v) && mac_parse(json_string_value(v), mac) == 0 && *mac != 0 &&
	       !mac_is_group(*mac);
}

static int take_mac(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	return mac_of(v, member(f, obj)) ? 0 : value_wrong(s, f, v, mark);
}

static json_t *dump_mac(const struct field *f, const void *obj) {
	uint64_t mac = *(const uint64_t *)((const char *)obj + f->at);
	char buf[MAC_TEXT_MAX];

	return mac != 0 ? json_string(mac_format(mac, buf)) : NULL;
}

// Room for the elements of a list of [f->min, f->max]; its length stays 0 until they are there.
static int list_room(struct schema *s, const struct field *f, const json_t *v, const json_t *mark,
	void *obj, size_t element) {
	size_t n = json_array_size(v);
	void *p;

	if (!json_is_array(v))
		return value_wrong(s, f, v, mark);
	if (n < (size_t)f->min || n > (size_t)f->max)
		return schema_fail(s, EINVAL, mark, "%s has %zu elements; give %lld..%lld", f->key,
			n, (long long)f->min, (long long)f->max);
	p = calloc(n + 1, element);
	if (p == NULL)
		return value_no_memory(s);
	*(void **)member(f, obj) = p;
	return 0;
}

unsigned *value_count(const struct field *f, void *obj) {
	return (unsigned *)((char *)obj + f->count_at);
}

static int take_cpus(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	int rc = list_room(s, f, v, mark, obj, sizeof(int));

	for (size_t i = 0; rc == 0 && i < json_array_size(v); i++) {
		const json_t *cpu = json_array_get(v, i), *at = yaml_element(mark, i);
		unsigned *n = value_count(f, obj);
		int *cpus = *(int **)member(f, obj);
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

static int take_macs(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	int rc = list_room(s, f, v, mark, obj, sizeof(uint64_t));

	for (size_t i = 0; rc == 0 && i < json_array_size(v); i++) {
		uint64_t *macs = *(uint64_t **)member(f, obj);
		unsigned *n = value_count(f, obj);

		if (!mac_of(json_array_get(v, i), &macs[*n]))
			return wrong_element(s, f, json_array_get(v, i), yaml_element(mark, i));
		(*n)++;
	}
	return rc;
}

static json_t *dump_macs(const struct field *f, const void *obj) {
	const struct config_port *p = obj;
	json_t *list = p->nstatic > 0 ? json_array() : NULL;
	char buf[MAC_TEXT_MAX];

	for (unsigned i = 0; i < p->nstatic; i++)
		json_array_append_new(list, json_string(mac_format(p->static_macs[i], buf)));
	return list;
}

static int take_names(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	int rc = list_room(s, f, v, mark, obj, sizeof(char *));

	for (size_t i = 0; rc == 0 && i < json_array_size(v); i++) {
		char **names = *(char ***)member(f, obj);
		unsigned *n = value_count(f, obj);
		char buf[24];
		const char *text = text_of(json_array_get(v, i), buf, sizeof(buf));

		if (text == NULL || !schema_name_ok(text))
			return wrong_element(s, f, json_array_get(v, i), yaml_element(mark, i));
		names[*n] = strdup(text);
		if (names[(*n)++] == NULL)
			return value_no_memory(s);
	}
	return rc;
}

static json_t *dump_names(const struct field *f, const void *obj) {
	const struct config_port *p = obj;
	json_t *list = p->trunk != NULL ? json_array() : NULL;

	for (unsigned i = 0; list != NULL && i < p->ntrunk; i++)
		json_array_append_new(list, json_string(p->trunk[i]));
	return list;
}

const struct value_type value_number = {take_number, dump_number};
const struct value_type value_seconds = {take_seconds, dump_seconds};
const struct value_type value_word = {take_word, dump_word};
const struct value_type value_bool = {take_bool, dump_bool};
const struct value_type value_socket = {take_socket, dump_text};
const struct value_type value_endpoint = {take_endpoint, dump_text};
const struct value_type value_group = {take_group, dump_text};
const struct value_type value_netns = {take_netns, dump_text};
const struct value_type value_kind = {take_kind, dump_text};
const struct value_type value_nic = {take_nic, dump_nothing};
const struct value_type value_name = {take_name, dump_name};
const struct value_type value_names = {take_names, dump_names};
const struct value_type value_mac = {take_mac, dump_mac};
const struct value_type value_macs = {take_macs, dump_macs};
const struct value_type value_cpus = {take_cpus, dump_cpus};
