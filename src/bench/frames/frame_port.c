/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/frames/frame_port.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"

static const struct frame_kind *const kinds[] = {
	&frame_packet,
	&frame_tap,
	&frame_vhost_user,
	&frame_xdp,
	&frame_dpdk,
};
enum { NKINDS = sizeof(kinds) / sizeof(kinds[0]) };

const struct frame_kind *frame_kind_of(const char *name, struct err *e) {
	const char *colon = strchr(name, ':');
	char forms[256] = "";
	size_t n = 0;

	for (int i = 0; i < NKINDS; i++) {
		size_t len = strlen(kinds[i]->prefix);

		if (colon != NULL && (size_t)(colon - name) == len &&
			strncmp(name, kinds[i]->prefix, len) == 0 && colon[1] != '\0')
			return kinds[i];
		n += (size_t)snprintf(
			forms + n, sizeof(forms) - n, "%s%s", i > 0 ? ", " : "", kinds[i]->form);
	}
	err_set(e, EINVAL, "'%s' is no endpoint for frames; there are: %s", name, forms);
	return NULL;
}

int frame_split_ns(const char *rest, char **ns, const char **name, struct err *e) {
	const char *slash = strrchr(rest, '/');

	*ns = NULL;
	*name = slash != NULL ? slash + 1 : rest;
	if (slash == NULL)
		return 0;
	*ns = strndup(rest, (size_t)(slash - rest));
	return *ns != NULL ? 0 : err_set(e, ENOMEM, "out of memory");
}

static bool ask_ethtool(int fd, struct ifreq *r, void *what) {
	r->ifr_data = what;
	return ioctl(fd, SIOCETHTOOL, r) == 0;
}

uint64_t frame_link_speed(const char *name) {
	struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
	union {
		struct ethtool_link_settings s;
		uint32_t room[sizeof(struct ethtool_link_settings) / 4 + 3 * INT8_MAX]; // its masks
	} link = {.s = {.cmd = ETHTOOL_GLINKSETTINGS}};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = {0};
	uint64_t speed = 0;

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	// It is asked once for how long its masks are, and again with that.
	if (ask_ethtool(fd, &r, &driver) && driver.bus_info[0] != '\0' &&
		ask_ethtool(fd, &r, &link)) {
		link.s.link_mode_masks_nwords = (int8_t)-link.s.link_mode_masks_nwords;
		link.s.cmd = ETHTOOL_GLINKSETTINGS;
		if (ask_ethtool(fd, &r, &link) && link.s.speed != 0 &&
			link.s.speed != (uint32_t)SPEED_UNKNOWN)
			speed = (uint64_t)link.s.speed * 1000000;
	}
	close(fd);
	return speed;
}

int frame_port_open(struct frame_port **out, const char *name, const struct frame_port_want *want,
	struct err *e) {
	const struct frame_kind *kind = frame_kind_of(name, e);
	struct frame_port *p;
	int rc;

	if (kind == NULL)
		return -EINVAL;
	p = calloc(1, sizeof(*p));
	if (p == NULL || (p->name = strdup(name)) == NULL) {
		free(p);
		return err_set(e, ENOMEM, "out of memory");
	}
	p->kind = kind;
	p->want = *want;
	rc = kind->open(p, strchr(name, ':') + 1, e);
	if (rc < 0) {
		err_prefix(e, "%s: ", name);
		free(p->name);
		free(p);
		return rc;
	}
	*out = p;
	return 0;
}

void frame_port_close(struct frame_port *p) {
	if (p == NULL)
		return;
	p->kind->close(p);
	free(p->name);
	free(p);
}
