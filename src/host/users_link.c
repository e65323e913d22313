/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/users.h"

enum {
	LAYERS_MAX = 8, /* bond, bridge, VLAN ... upon each other */
	ADDRESSES_SAID = 2, /* more are counted */
	PARENTS_MAX = 32, /* shells and sudos between us and sshd */
	ENVIRON_MAX = 32768,
};

/* Those that every interface gets by itself do not count. */
static bool of_use(const struct link_address *a, const struct link *l) {
	return a->index == l->index && a->scope != RT_SCOPE_LINK && a->scope != RT_SCOPE_HOST;
}

static void say_address(const struct link_address *a, struct use *u) {
	char text[INET6_ADDRSTRLEN];

	inet_ntop(a->family, a->bytes, text, sizeof(text));
	users_say(u, "%s/%u", text, a->prefix);
}

/* Addresses and routes of one interface. */
static void say_self(
	const struct host *h, const struct link *l, const struct link_address *ssh, struct use *u) {
	const struct links *all = &h->links;
	unsigned addresses = 0, routes = 0, defaults = 0;

	for (unsigned i = 0; i < all->naddresses; i++)
		if (of_use(&all->address[i], l) && addresses++ < ADDRESSES_SAID)
			say_address(&all->address[i], u);
	if (addresses > ADDRESSES_SAID)
		users_say(u, "%u more addresses", addresses - ADDRESSES_SAID);
	for (unsigned i = 0; i < all->nroutes; i++)
		if (all->route[i].index == l->index && all->route[i].protocol != RTPROT_KERNEL) {
			defaults += all->route[i].prefix == 0;
			routes += all->route[i].prefix > 0;
		}
	if (defaults > 0)
		users_say(u, "default route");
	if (routes > 0)
		users_say(u, "%u route%s", routes, routes > 1 ? "s" : "");
	if (ssh != NULL && ssh->index == l->index)
		users_say(u, "your ssh session");
	u->lifeline |= defaults > 0 || (ssh != NULL && ssh->index == l->index);
}

/* Does `upper` stand on `l`? The ports of Open vSwitch that have addresses are not linked to the datapath
 * that the cards are in: each of them counts as above it. */
static bool stands_on(const struct host *h, const struct link *upper, const struct link *l) {
	static const char ovs[] = "openvswitch";

	if (upper->index == l->index)
		return false;
	return l->master == upper->index || upper->lower == l->index ||
	       (strcmp(upper->kind, ovs) == 0 && strcmp(l->kind, ovs) == 0);
}

struct tower {
	const struct link *floor[LAYERS_MAX * 4];
	unsigned n;
};

static bool seen(const struct tower *t, const struct link *l) {
	for (unsigned i = 0; i < t->n; i++)
		if (t->floor[i] == l)
			return true;
	return false;
}

/* Everything above the ground floor, breadth first. */
static void climb(const struct host *h, struct tower *t) {
	for (unsigned i = 0; i < t->n; i++)
		for (unsigned k = 0; k < h->links.nlinks; k++) {
			const struct link *upper = &h->links.link[k];

			if (t->n < sizeof(t->floor) / sizeof(t->floor[0]) &&
				stands_on(h, upper, t->floor[i]) && !seen(t, upper))
				t->floor[t->n++] = upper;
		}
}

void users_link(
	const struct host *h, const struct link *l, const struct link_address *ssh, struct use *u) {
	struct tower t = {.floor = {l}, .n = 1};
	size_t before = strlen(u->text);

	say_self(h, l, ssh, u);
	climb(h, &t);
	for (unsigned i = 1; i < t.n; i++) {
		const struct link *upper = t.floor[i];
		struct use of = {.text = ""};

		say_self(h, upper, ssh, &of);
		users_say(u, "%s %s%s%s%s", upper->kind[0] != '\0' ? upper->kind : "interface",
			upper->name, of.text[0] != '\0' ? " (" : "", of.text,
			of.text[0] != '\0' ? ")" : "");
		u->lifeline |= of.lifeline;
	}
	if (strlen(u->text) > before)
		u->kind = USE_NETDEV;
}

/* The value in one process's environment, cut where it ends; NULL: it has none, or we may not see it. */
static char *environment(
	const struct root *r, const char *pid, const char *name, char *buf, size_t size) {
	ssize_t n = root_read(r, buf, size, "/proc/%s/environ", pid);
	size_t len = strlen(name);

	for (char *at = buf; n > 0 && at < buf + n; at += strlen(at) + 1)
		if (strncmp(at, name, len) == 0 && at[len] == '=')
			return at + len + 1;
	return NULL;
}

/* Into `pid`; false: there is none above. */
static bool parent(const struct root *r, char pid[16]) {
	char status[2048], *line;

	if (root_read(r, status, sizeof(status), "/proc/%s/status", pid) < 0)
		return false;
	line = strstr(status, "\nPPid:");
	if (line == NULL || atoi(line + 6) <= 1)
		return false;
	snprintf(pid, 16, "%d", atoi(line + 6));
	return true;
}

/* SSH_CONNECTION is "client port server port"; sudo drops it, so that of the nearest shell counts. */
const struct link_address *users_ssh(const struct host *h) {
	char pid[16] = "self", buf[ENVIRON_MAX], server[64];
	const char *connection = NULL;
	uint8_t bytes[16];
	int family;

	for (int i = 0; i < PARENTS_MAX && connection == NULL; i++) {
		connection = environment(&h->root, pid, "SSH_CONNECTION", buf, sizeof(buf));
		if (connection == NULL && !parent(&h->root, pid))
			return NULL;
	}
	if (connection == NULL || sscanf(connection, "%*s %*s %63s", server) != 1)
		return NULL;
	server[strcspn(server, "%")] = '\0'; // fe80::1%eth0
	family = strchr(server, ':') != NULL ? AF_INET6 : AF_INET;
	if (inet_pton(family, server, bytes) != 1)
		return NULL;
	for (unsigned i = 0; i < h->links.naddresses; i++) {
		const struct link_address *a = &h->links.address[i];

		if (a->family == family &&
			memcmp(a->bytes, bytes, family == AF_INET ? 4 : sizeof(bytes)) == 0)
			return a;
	}
	return NULL;
}
