/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/export/xml.h"

#include <stdarg.h>
#include <string.h>

static void put(struct xml *x, const char *text) {
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		if (*p == '&')
			fputs("&amp;", x->f);
		else if (*p == '<')
			fputs("&lt;", x->f);
		else if (*p == '>')
			fputs("&gt;", x->f);
		else if (*p == '\'')
			fputs("&apos;", x->f);
		else if (*p == '"')
			fputs("&quot;", x->f);
		else
			fputc(*p < ' ' || *p == 0x7f ? '?' : *p, x->f);
	}
}

static void begin(struct xml *x, const char *name, va_list ap) {
	const char *key, *value;

	fprintf(x->f, "%*s<%s", 2 * x->depth, "", name);
	while ((key = va_arg(ap, const char *)) != NULL) {
		value = va_arg(ap, const char *);
		if (value == NULL)
			continue;
		fprintf(x->f, " %s='", key);
		put(x, value);
		fputc('\'', x->f);
	}
}

void xml_open_list(struct xml *x, const char *name, ...) {
	va_list ap;

	va_start(ap, name);
	begin(x, name, ap);
	va_end(ap);
	fputs(">\n", x->f);
	x->depth++;
}

void xml_close(struct xml *x, const char *name) {
	x->depth--;
	fprintf(x->f, "%*s</%s>\n", 2 * x->depth, "", name);
}

void xml_empty_list(struct xml *x, const char *name, ...) {
	va_list ap;

	va_start(ap, name);
	begin(x, name, ap);
	va_end(ap);
	fputs("/>\n", x->f);
}

void xml_text(struct xml *x, const char *name, const char *text) {
	fprintf(x->f, "%*s<%s>", 2 * x->depth, "", name);
	put(x, text);
	fprintf(x->f, "</%s>\n", name);
}

void xml_comment(struct xml *x, const char *text) {
	fprintf(x->f, "%*s<!-- ", 2 * x->depth, "");
	for (const char *p = text; *p != '\0'; p++) {
		fputc((unsigned char)*p < ' ' ? '?' : *p, x->f);
		if (p[0] == '-' && (p[1] == '-' || p[1] == '\0'))
			fputc(' ', x->f);
	}
	fputs(" -->\n", x->f);
}
