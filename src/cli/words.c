/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/cli.h"

/* Keys whose value is a list also when one element is given. */
static const char *const list_keys[] = {"trunk", "static-macs", "workers", NULL};

static json_t *scalar(const char *text, size_t len) {
	char copy[32], *end;
	long long n;

	while (len > 0 && *text == ' ')
		text++, len--;
	while (len > 0 && text[len - 1] == ' ')
		len--;
	if (len == 0)
		return json_null();
	if (len == 4 && memcmp(text, "true", 4) == 0)
		return json_true();
	if (len == 5 && memcmp(text, "false", 5) == 0)
		return json_false();
	// A number is what YAML takes for one, but for octal, which nobody means: 010 stays text.
	if (len < 19 && strspn(text, "0123456789") >= len && (text[0] != '0' || len == 1)) {
		memcpy(copy, text, len);
		copy[len] = '\0';
		n = strtoll(copy, &end, 10);
		return json_integer(n);
	}
	return json_stringn(text, len);
}

static json_t *list(const char *text, size_t len) {
	json_t *a = json_array();

	if (len >= 2 && text[0] == '[' && text[len - 1] == ']')
		text++, len -= 2;
	while (len > 0) {
		const char *comma = memchr(text, ',', len);
		size_t n = comma != NULL ? (size_t)(comma - text) : len;

		json_array_append_new(a, scalar(text, n));
		text += comma != NULL ? n + 1 : n;
		len -= comma != NULL ? n + 1 : n;
	}
	return a;
}

static json_t *value(const char *key, const char *text) {
	size_t len = strlen(text);
	bool is_list = strchr(text, ',') != NULL || text[0] == '[';

	for (int i = 0; list_keys[i] != NULL; i++)
		is_list |= strcmp(list_keys[i], key) == 0;
	return is_list && len > 0 ? list(text, len) : scalar(text, len);
}

int words_parse(json_t **out, int argc, char **argv, struct err *e) {
	json_t *o = json_object();
	int ret = 0;

	for (int i = 0; i < argc && ret == 0; i++) {
		const char *word = argv[i], *eq = strchr(word, '=');
		size_t n = eq != NULL ? (size_t)(eq - word) : strlen(word);
		char key[64];
		json_t *v;

		if (n == 0 || n >= sizeof(key)) {
			ret = err_set(e, EINVAL, "'%s' is no key=value", word);
			break;
		}
		memcpy(key, word, n);
		key[n] = '\0';
		if (eq == NULL && i + 1 == argc) {
			ret = err_set(e, EINVAL, "'%s' has no value; write %s=VALUE", word, word);
			break;
		}
		v = value(key, eq != NULL ? eq + 1 : argv[++i]);
		if (json_object_get(o, key) != NULL)
			ret = err_set(e, EINVAL, "'%s' is given twice", key);
		else if (v == NULL || json_object_set(o, key, v) < 0)
			ret = err_set(e, EINVAL, "'%s' is no valid UTF-8", key);
		json_decref(v);
	}
	if (ret < 0) {
		json_decref(o);
		o = NULL;
	}
	*out = o;
	return ret;
}
