/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/group.h"
#include "base/netns.h"
#include "control/switch_state.h"

/* What can be told of a port without opening it: so that a dry run refuses what an apply would, and
 * an apply refuses it before anything was touched. */

static int look_at_socket(const struct config_port *p, struct err *e) {
	char dir[108];
	char *slash;
	gid_t gid;

	if (p->group != NULL && group_find(p->group, &gid) == -ENOENT)
		return err_set(e, ENOENT,
			"no such group '%s'; make it with groupadd, or leave group: out", p->group);
	if (p->spec.client)
		return 0;
	snprintf(dir, sizeof(dir), "%s", p->path);
	slash = strrchr(dir, '/');
	slash[slash == dir] = '\0';
	if (faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) == 0)
		return 0;
	if (errno == ENOENT)
		return err_set(e, ENOENT,
			"cannot make the socket %s: there is no folder %s; make it first", p->path,
			dir);
	return err_set(e, errno, "cannot make the socket %s: folder %s: %s", p->path, dir,
		strerror(errno));
}

static const char *netns_path(const char *netns, char *buf, size_t size) {
	if (netns == NULL)
		netns = "";
	if (strncmp(netns, "/var/run/netns/", 15) == 0)
		netns += 15;
	snprintf(buf, size, netns[0] == '\0' || netns[0] == '/' ? "%s" : "/run/netns/%s", netns);
	return buf;
}

static int look_at_netns(const struct config_port *p, struct err *e) {
	int fd = p->netns != NULL ? netns_open(p->netns, e) : -1;

	if (fd >= 0)
		close(fd);
	return p->netns != NULL && fd < 0 ? fd : 0;
}

int switch_look(const struct config_port *p, struct err *e) {
	return p->spec.kind == PORT_TAP ? look_at_netns(p, e) : look_at_socket(p, e);
}

bool switch_same_place(const struct config_port *x, const struct config_port *y) {
	char a[300], b[300];

	return x->spec.kind == y->spec.kind && strcmp(x->path, y->path) == 0 &&
	       strcmp(netns_path(x->netns, a, sizeof(a)), netns_path(y->netns, b, sizeof(b))) == 0;
}
