/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/units.h"

static int number(const char *text, uint64_t *out, struct err *e) {
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
		return err_set(e, EINVAL, "'%.40s' is no number; write it like 8", text);
	return 0;
}

static int assign(const struct option_spec *o, const char *text, struct err *e) {
	static int (*const parse[])(const char *, uint64_t *, struct err *) = {
		[OPTION_COUNT] = number,
		[OPTION_SIZE] = units_size,
		[OPTION_RATE] = units_rate,
		[OPTION_DURATION] = units_duration,
	};
	uint64_t v;
	int ret;

	if (o->kind == OPTION_TEXT) {
		*(const char **)o->to = text;
		return 0;
	}
	ret = parse[o->kind](text, &v, e);
	if (ret < 0) {
		err_prefix(e, "--%s: ", o->name);
		return ret;
	}
	if (v < o->min || v > o->max)
		return err_set(e, ERANGE, "--%s %.40s is outside of %" PRIu64 " to %" PRIu64 "%s",
			o->name, text, o->min, o->max,
			o->kind == OPTION_DURATION ? " ns"
			: o->kind == OPTION_RATE   ? " bit/s"
			: o->kind == OPTION_SIZE   ? " bytes"
						   : "");
	*(uint64_t *)o->to = v;
	return 0;
}

static const struct option_spec *find(const struct option_spec *table, const char *word) {
	size_t n = strcspn(word, "=");

	for (; table->name != NULL; table++)
		if (strlen(table->name) == n && strncmp(table->name, word, n) == 0)
			return table;
	return NULL;
}

static int unknown(const struct option_spec *table, const char *word, struct err *e) {
	char names[256] = "";
	size_t used = 0;

	for (; table->name != NULL && used + strlen(table->name) + 5 < sizeof(names); table++) {
		used += (size_t)(stpcpy(names + used, " --") - (names + used));
		used += (size_t)(stpcpy(names + used, table->name) - (names + used));
	}
	return err_set(e, EINVAL, "no such option '%.40s'; there are:%s", word, names);
}

int options_take(const struct option_spec *table, int *argc, char **argv, struct err *e) {
	int kept = 1, ret;

	for (int i = 1; i < *argc; i++) {
		const struct option_spec *o;
		const char *value;

		if (argv[i][0] != '-' || argv[i][1] == '\0') {
			argv[kept++] = argv[i];
			continue;
		}
		if (strcmp(argv[i], "--") == 0) {
			while (++i < *argc)
				argv[kept++] = argv[i];
			break;
		}
		o = strncmp(argv[i], "--", 2) == 0 ? find(table, argv[i] + 2) : NULL;
		if (o == NULL)
			return unknown(table, argv[i], e);
		value = strchr(argv[i], '=');
		if (o->kind == OPTION_FLAG && value != NULL)
			return err_set(e, EINVAL, "--%s takes no value", o->name);
		if (o->kind == OPTION_FLAG) {
			*(bool *)o->to = true;
			continue;
		}
		if (value == NULL && i + 1 >= *argc)
			return err_set(e, EINVAL, "--%s wants a value", o->name);
		ret = assign(o, value != NULL ? value + 1 : argv[++i], e);
		if (ret < 0)
			return ret;
	}
	*argc = kept;
	argv[kept] = NULL;
	return 0;
}
