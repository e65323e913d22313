/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_XML_H
#define WEIR_HOST_XML_H

#include <stdio.h>

/* Writes XML, an element a line, indented by two. Our own forty lines: libxml2 would bring 32 MB of ICU
 * into the guests that weir is an agent in.
 *
 * Attributes are pairs of name and value behind the element's name; a pair whose value is NULL is left
 * out. What a value or text holds is escaped; what XML 1.0 has no way to say (control characters) becomes
 * '?'. */

struct xml {
	FILE *f;
	int depth;
};

/* xml_open(x, "address", "type", "pci", "bus", bus); xml_empty: an element that holds nothing. */
#define xml_open(x, ...)  xml_open_list(x, __VA_ARGS__, (const char *)NULL)
#define xml_empty(x, ...) xml_empty_list(x, __VA_ARGS__, (const char *)NULL)
void xml_close(struct xml *x, const char *name);
/* An element that holds text alone. */
void xml_text(struct xml *x, const char *name, const char *text);
/* "--" in it becomes "- -": it may not stand in a comment. */
void xml_comment(struct xml *x, const char *text);

void xml_open_list(struct xml *x, const char *name, ...) __attribute__((sentinel));
void xml_empty_list(struct xml *x, const char *name, ...) __attribute__((sentinel));

#endif
