/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mac.h"
#include "base/schema.h"
#include "base/units.h"
#include "base/yaml.h"

/* The types of values that any table may have. One that is wrong in itself is refused here, with one
 * sentence for all: "queues is 17; it must be a number 1..16". */

int value_wrong(struct schema *s, const struct field *f, const json_t *v, const json_t *mark) {
	char show[YAML_SHOW_MAX];

	return schema_fail(
		s, EINVAL, mark, "%s is %s; it must be %s", f->key, yaml_show(v, show), f->must);
}

int value_wrong_element(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark) {
	char show[YAML_SHOW_MAX];

	return schema_fail(s, EINVAL, mark, "%s has %s in it; it must be %s", f->key,
		yaml_show(v, show), f->must);
}

int value_no_memory(struct schema *s) {
	return schema_fail(s, ENOMEM, NULL, "no memory for the configuration");
}

void *value_member(const struct field *f, void *obj) {
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

void value_set_number(const struct field *f, void *obj, int64_t v) {
	if (f->size == 1)
		*(uint8_t *)value_member(f, obj) = (uint8_t)v;
	else if (f->size == 2)
		*(uint16_t *)value_member(f, obj) = (uint16_t)v;
	else if (f->size == 4)
		*(uint32_t *)value_member(f, obj) = (uint32_t)v;
}

const char *value_text(const json_t *v, char *buf, size_t size) {
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
	value_set_number(f, obj, json_integer_value(v));
	return 0;
}

static json_t *dump_number(const struct field *f, const void *obj) {
	int64_t n = number_at(f, obj);

	return n >= f->min ? json_integer(n) : NULL;
}

static int take_seconds(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	const uint64_t second = 1000000000;
	char buf[VALUE_TEXT_MAX];
	const char *text = value_text(v, buf, sizeof(buf));
	uint64_t ns;

	if (text == NULL || units_duration(text, &ns, NULL) != 0 || ns % second != 0 ||
		ns / second < (uint64_t)f->min || ns / second > (uint64_t)f->max)
		return value_wrong(s, f, v, mark);
	value_set_number(f, obj, (int64_t)(ns / second));
	return 0;
}

static json_t *dump_seconds(const struct field *f, const void *obj) {
	return json_sprintf("%llds", (long long)number_at(f, obj));
}

static int take_word(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	for (int i = (int)f->min; json_is_string(v) && f->words[i] != NULL; i++) {
		if (strcmp(json_string_value(v), f->words[i]) == 0) {
			value_set_number(f, obj, i);
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
	value_set_number(f, obj, json_is_true(v));
	return 0;
}

static json_t *dump_bool(const struct field *f, const void *obj) {
	return json_boolean(number_at(f, obj) != 0);
}

int value_set_text(struct schema *s, const struct field *f, const char *text, void *obj) {
	char **p = value_member(f, obj);

	*p = strdup(text);
	return *p != NULL ? 0 : value_no_memory(s);
}

json_t *value_dump_text(const struct field *f, const void *obj) {
	const char *text = *(char *const *)((const char *)obj + f->at);

	return text != NULL ? json_string(text) : NULL;
}

static int take_name(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	char buf[VALUE_TEXT_MAX];
	const char *text = value_text(v, buf, sizeof(buf));

	if (text == NULL || !schema_name_ok(text, f->more))
		return value_wrong(s, f, v, mark);
	snprintf(value_member(f, obj), f->size, "%s", text);
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
	return mac_of(v, value_member(f, obj)) ? 0 : value_wrong(s, f, v, mark);
}

static json_t *dump_mac(const struct field *f, const void *obj) {
	uint64_t mac = *(const uint64_t *)((const char *)obj + f->at);
	char buf[MAC_TEXT_MAX];

	return mac != 0 ? json_string(mac_format(mac, buf)) : NULL;
}

int value_list_room(struct schema *s, const struct field *f, const json_t *v, const json_t *mark,
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
	*(void **)value_member(f, obj) = p;
	return 0;
}

unsigned *value_count(const struct field *f, void *obj) {
	return (unsigned *)((char *)obj + f->count_at);
}

static unsigned count_of(const struct field *f, const void *obj) {
	return *(const unsigned *)((const char *)obj + f->count_at);
}

static int take_macs(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	int rc = value_list_room(s, f, v, mark, obj, sizeof(uint64_t));

	for (size_t i = 0; rc == 0 && i < json_array_size(v); i++) {
		uint64_t *macs = *(uint64_t **)value_member(f, obj);
		unsigned *n = value_count(f, obj);

		if (!mac_of(json_array_get(v, i), &macs[*n]))
			return value_wrong_element(
				s, f, json_array_get(v, i), yaml_element(mark, i));
		(*n)++;
	}
	return rc;
}

static json_t *dump_macs(const struct field *f, const void *obj) {
	const uint64_t *macs = *(uint64_t *const *)((const char *)obj + f->at);
	unsigned n = count_of(f, obj);
	json_t *list = n > 0 ? json_array() : NULL;
	char buf[MAC_TEXT_MAX];

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(list, json_string(mac_format(macs[i], buf)));
	return list;
}

static int take_names(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	int rc = value_list_room(s, f, v, mark, obj, sizeof(char *));

	for (size_t i = 0; rc == 0 && i < json_array_size(v); i++) {
		char **names = *(char ***)value_member(f, obj);
		unsigned *n = value_count(f, obj);
		char buf[VALUE_TEXT_MAX];
		const char *text = value_text(json_array_get(v, i), buf, sizeof(buf));

		if (text == NULL || !schema_name_ok(text, f->more))
			return value_wrong_element(
				s, f, json_array_get(v, i), yaml_element(mark, i));
		names[*n] = strdup(text);
		if (names[(*n)++] == NULL)
			return value_no_memory(s);
	}
	return rc;
}

static json_t *dump_names(const struct field *f, const void *obj) {
	char *const *names = *(char **const *)((const char *)obj + f->at);
	json_t *list = names != NULL ? json_array() : NULL;

	for (unsigned i = 0; list != NULL && i < count_of(f, obj); i++)
		json_array_append_new(list, json_string(names[i]));
	return list;
}

const struct value_type value_number = {take_number, dump_number};
const struct value_type value_seconds = {take_seconds, dump_seconds};
const struct value_type value_word = {take_word, dump_word};
const struct value_type value_bool = {take_bool, dump_bool};
const struct value_type value_name = {take_name, dump_name};
const struct value_type value_names = {take_names, dump_names};
const struct value_type value_mac = {take_mac, dump_mac};
const struct value_type value_macs = {take_macs, dump_macs};
