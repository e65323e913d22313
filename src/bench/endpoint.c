/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "host/netlink/link.h"

static const struct {
	const char *prefix;
	enum endpoint_kind kind;
} kinds[] = {
	{"ns:", ENDPOINT_NS},
	{"if:", ENDPOINT_IF},
	{"vm:", ENDPOINT_VM},
	{"vhost-user:", ENDPOINT_VHOST_USER},
};

/* The port behind a host: digits alone. */
static int port_of(struct endpoint *ep, const char *text, struct err *e) {
	char *end;
	long v = strtol(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || v < 1 || v > 65535)
		return err_set(e, EINVAL,
			"endpoint '%s': '%.40s' is no port; give one from 1 to 65535", ep->text,
			text);
	ep->port = (uint16_t)v;
	return 0;
}

/* HOST, HOST:PORT, [V6], [V6]:PORT. */
static int host_of(struct endpoint *ep, struct err *e) {
	const char *text = ep->text, *end, *port = NULL;
	size_t n;

	ep->kind = ENDPOINT_HOST;
	ep->port = ENDPOINT_PORT;
	if (text[0] == '[') {
		text++;
		end = strchr(text, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return err_set(e, EINVAL,
				"endpoint '%s' has no end of its IPv6 address; write it like "
				"[2001:db8::1]:9479",
				ep->text);
		port = end[1] == ':' ? end + 2 : NULL;
	} else {
		end = strchrnul(text, ':');
		if (*end == ':' && strchr(end + 1, ':') != NULL)
			return err_set(e, EINVAL,
				"endpoint '%s' has several colons; write an IPv6 address in "
				"brackets, like [2001:db8::1]:9479, others as one "
				"of " ENDPOINT_KINDS,
				ep->text);
		port = *end == ':' ? end + 1 : NULL;
	}
	n = (size_t)(end - text);
	if (n == 0)
		return err_set(e, EINVAL, "endpoint '%s' names no host; there are: " ENDPOINT_KINDS,
			ep->text);
	memcpy(ep->name, text, n);
	ep->name[n] = '\0';
	if (strpbrk(ep->name, "/ \t\n") != NULL)
		return err_set(e, EINVAL,
			"endpoint '%s' is no name of a host; there are: " ENDPOINT_KINDS, ep->text);
	return port != NULL ? port_of(ep, port, e) : 0;
}

static int check_name(const struct endpoint *ep, struct err *e) {
	const char *n = ep->name;

	if (n[0] == '\0')
		return err_set(e, EINVAL, "endpoint '%s' has no name; there are: " ENDPOINT_KINDS,
			ep->text);
	if (ep->kind == ENDPOINT_IF && (strlen(n) >= LINK_NAME_MAX || strpbrk(n, "/ :") != NULL))
		return err_set(e, EINVAL,
			"endpoint '%s': an interface's name has at most %d characters, no slash, "
			"colon or blank",
			ep->text, LINK_NAME_MAX - 1);
	if (ep->kind == ENDPOINT_NS &&
		(strchr(n, '/') != NULL || strcmp(n, ".") == 0 || strcmp(n, "..") == 0))
		return err_set(e, EINVAL,
			"endpoint '%s': a namespace is named as by `ip netns list`, not by a path",
			ep->text);
	return 0;
}

int endpoint_parse(struct endpoint *ep, const char *text, struct err *e) {
	memset(ep, 0, sizeof(*ep));
	if (strlen(text) >= ENDPOINT_NAME_MAX)
		return err_set(e, EINVAL, "endpoint '%.40s...' is longer than %d characters", text,
			ENDPOINT_NAME_MAX - 1);
	snprintf(ep->text, sizeof(ep->text), "%s", text);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t n = strlen(kinds[i].prefix);

		if (strncmp(text, kinds[i].prefix, n) != 0)
			continue;
		ep->kind = kinds[i].kind;
		snprintf(ep->name, sizeof(ep->name), "%s", text + n);
		return check_name(ep, e);
	}
	return host_of(ep, e);
}
