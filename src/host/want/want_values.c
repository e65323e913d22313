/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "base/yaml.h"
#include "host/netlink/link.h"
#include "host/want/want.h"
#include "host/want/want_table.h"

static int take_switch(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	const char *text = json_string_value(v);
	bool on = json_is_true(v) || (text != NULL && strcmp(text, "on") == 0);

	if (!on && !json_is_false(v) && (text == NULL || strcmp(text, "off") != 0))
		return value_wrong(s, f, v, mark);
	value_set_number(f, obj, on);
	return 0;
}

/* The kernel keeps rates in whole Mbit/s. */
static int take_rate(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	const uint64_t mbit = 1000000;
	const char *text = json_string_value(v);
	uint64_t bits = 0;

	if (text != NULL && strcmp(text, "none") != 0 && units_rate(text, &bits, NULL) != 0)
		return value_wrong(s, f, v, mark);
	if ((text == NULL && (!json_is_integer(v) || json_integer_value(v) != 0)) ||
		bits % mbit != 0 || bits / mbit > (uint64_t)f->max)
		return value_wrong(s, f, v, mark);
	value_set_number(f, obj, (int64_t)(bits / mbit));
	return 0;
}

/* One of "0-3,5"; false: it is none, or beyond. */
static bool take_span(const char **text, uint64_t *bits) {
	unsigned long first, last;
	char *end;

	if (!isdigit((unsigned char)**text))
		return false;
	first = last = strtoul(*text, &end, 10);
	if (*end == '-' && isdigit((unsigned char)end[1]))
		last = strtoul(end + 1, &end, 10);
	if (last >= WANT_VFS_MAX || first > last || (*end != ',' && *end != '\0'))
		return false;
	for (unsigned long i = first; i <= last; i++)
		bits[i / 64] |= 1ull << i % 64;
	*text = *end == ',' ? end + 1 : end;
	return *end == '\0' || **text != '\0';
}

static int take_range(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	struct want_pool *p = obj;
	char buf[VALUE_TEXT_MAX];
	const char *text = value_text(v, buf, sizeof(buf));

	if (text != NULL && strcmp(text, "all") == 0)
		return 0;
	p->range = text != NULL;
	while (text != NULL && *text != '\0')
		if (!take_span(&text, p->vfs))
			return value_wrong(s, f, v, mark);
	return text != NULL ? 0 : value_wrong(s, f, v, mark);
}

static bool plain(const char *text, size_t room) {
	size_t n = 0;

	while (isalnum((unsigned char)text[n]) || (text[n] != '\0' && strchr("-_.:@/", text[n])))
		n++;
	return text[n] == '\0' && n > 0 && n < room && isalnum((unsigned char)text[0]);
}

/* What an owner, a network or an alias may be called: also UUIDs and addresses. */
static bool label_ok(const char *text) {
	return plain(text, WANT_NAME_MAX);
}

/* Alternative names of interfaces are longer. */
static bool match_ok(const char *text) {
	return plain(text, LINK_NAME_MAX);
}

static int take_label(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	char buf[VALUE_TEXT_MAX];
	const char *text = value_text(v, buf, sizeof(buf));

	if (text == NULL || !label_ok(text))
		return value_wrong(s, f, v, mark);
	snprintf(value_member(f, obj), f->size, "%s", text);
	return 0;
}

typedef bool word_ok(const char *text);

static int take_word(struct schema *s, const struct field *f, const json_t *v, const json_t *mark,
	void *obj, word_ok *ok, bool element) {
	char **words = *(char ***)value_member(f, obj);
	unsigned *n = value_count(f, obj);
	char buf[VALUE_TEXT_MAX];
	const char *text = value_text(v, buf, sizeof(buf));

	if (text == NULL || !ok(text))
		return element ? value_wrong_element(s, f, v, mark) : value_wrong(s, f, v, mark);
	for (unsigned i = 0; i < *n; i++)
		if (strcmp(words[i], text) == 0)
			return schema_fail(
				s, EINVAL, mark, "%s has '%s' twice; delete one", f->key, text);
	words[*n] = strdup(text);
	return words[(*n)++] != NULL ? 0 : value_no_memory(s);
}

/* One word, or a list of them. */
static int take_list(struct schema *s, const struct field *f, const json_t *v, const json_t *mark,
	void *obj, word_ok *ok) {
	json_t *one = json_is_array(v) ? NULL : json_pack("[O]", v);
	int rc = one == NULL && !json_is_array(v) ? value_no_memory(s) : 0;

	if (rc == 0)
		rc = value_list_room(s, f, one != NULL ? one : v, mark, obj, sizeof(char *));
	if (one != NULL && rc == 0)
		rc = take_word(s, f, v, mark, obj, ok, false);
	for (size_t i = 0; one == NULL && rc == 0 && i < json_array_size(v); i++)
		rc = take_word(s, f, json_array_get(v, i), yaml_element(mark, i), obj, ok, true);
	json_decref(one);
	return rc;
}

static int take_words(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	return take_list(s, f, v, mark, obj, label_ok);
}

static int take_matches(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	return take_list(s, f, v, mark, obj, match_ok);
}

static int take_prefix(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	struct want_pool *p = obj;
	const char *text = json_is_string(v) ? json_string_value(v) : "";
	size_t n = (strlen(text) + 1) / 3;
	bool ok = n >= 3 && n <= sizeof(p->prefix) && strlen(text) + 1 == 3 * n;

	for (size_t i = 0; ok && i < n; i++, text += 3) {
		ok = isxdigit((unsigned char)text[0]) && isxdigit((unsigned char)text[1]) &&
		     text[2] == (i + 1 < n ? ':' : '\0');
		p->prefix[i] = (uint8_t)strtoul(text, NULL, 16);
	}
	if (!ok || (p->prefix[0] & 1) != 0)
		return value_wrong(s, f, v, mark);
	p->prefix_len = (uint8_t)n;
	return 0;
}

static int take_proto(
	struct schema *s, const struct field *f, const json_t *v, const json_t *mark, void *obj) {
	const char *text = json_string_value(v);

	if (text != NULL && strcasecmp(text, "802.1q") == 0)
		value_set_number(f, obj, 0x8100);
	else if (text != NULL && strcasecmp(text, "802.1ad") == 0)
		value_set_number(f, obj, 0x88a8);
	else
		return value_wrong(s, f, v, mark);
	return 0;
}

const struct value_type want_switch = {take_switch, NULL};
const struct value_type want_rate = {take_rate, NULL};
const struct value_type want_range = {take_range, NULL};
const struct value_type want_words = {take_words, NULL};
const struct value_type want_matches = {take_matches, NULL};
const struct value_type want_prefix = {take_prefix, NULL};
const struct value_type want_label = {take_label, NULL};
const struct value_type want_proto = {take_proto, NULL};
