/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/check/check_rule.h"

/* Reading of other programs' configuration, as far as rules need it. */

enum { FILE_MOST = 256 << 10 }; // no file of configuration is longer

static bool ends_with(const char *name, const char *end) {
	size_t n = strlen(name), m = strlen(end);

	return n >= m && strcmp(name + n - m, end) == 0;
}

void conf_each(const struct root *r, const char *path, const char *end, conf_file *f, void *ctx) {
	char **names, *text = malloc(FILE_MOST), file[PATH_MAX];
	int n = root_names(r, &names, "%s", path);

	if (text != NULL && n < 0 && root_read(r, text, FILE_MOST, "%s", path) > 0)
		f(ctx, path, text);
	for (int i = 0; text != NULL && i < n; i++) {
		if (!ends_with(names[i], end) || ends_with(names[i], "~") ||
			root_read(r, text, FILE_MOST, "%s/%s", path, names[i]) <= 0)
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, names[i]);
		f(ctx, file, text);
	}
	if (n >= 0)
		root_names_free(names, n);
	free(text);
}

static char *trim(char *s) {
	size_t n;

	s += strspn(s, " \t");
	n = strlen(s);
	while (n > 0 && strchr(" \t\r", s[n - 1]) != NULL)
		s[--n] = '\0';
	return s;
}

void conf_ini(char *text, conf_line *f, void *ctx) {
	char section[64] = "", *save = NULL, *eq;

	for (char *l = strtok_r(text, "\n", &save); l != NULL; l = strtok_r(NULL, "\n", &save)) {
		l = trim(l);
		if (*l == '[') {
			snprintf(section, sizeof(section), "%.*s", (int)strcspn(l + 1, "]"), l + 1);
			f(ctx, section, NULL, NULL);
		} else if (*l != '#' && *l != ';' && (eq = strchr(l, '=')) != NULL) {
			*eq = '\0';
			f(ctx, section, trim(l), trim(eq + 1));
		}
	}
}

bool conf_matches(const char *list, const char *between, const char *name) {
	char word[128];

	for (list += strspn(list, between); *list != '\0'; list += strspn(list, between)) {
		size_t n = strcspn(list, between);

		snprintf(word, sizeof(word), "%.*s", (int)n, list);
		if (fnmatch(word, name, 0) == 0)
			return true;
		list += n;
	}
	return false;
}
