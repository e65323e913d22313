/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/paths/path.h"

/* macvtap in bridge mode: each guest has a macvtap on one lower interface, which hands frames between
 * them itself. The lower one is an end of a veth pair. */

static int possible(struct path_bed *b, struct err *e) {
	return path_has("ip", "iproute2", e);
}

/* The character device of a macvtap. /dev is the host's and has it only by the number of an interface
 * there, so a node of our own is made; which device it is says this namespace's /sys. */
static int open_macvtap(const char *name, struct err *e) {
	char path[400], node[64], tap[64] = "";
	unsigned major = 0, minor = 0;
	struct dirent *d;
	int fd = -1;
	DIR *dir;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/net/%s/macvtap", name);
	dir = opendir(path);
	while (dir != NULL && (d = readdir(dir)) != NULL)
		if (strncmp(d->d_name, "tap", 3) == 0)
			snprintf(tap, sizeof(tap), "%.60s", d->d_name);
	if (dir != NULL)
		closedir(dir);
	snprintf(path, sizeof(path), "/sys/class/net/%s/macvtap/%s/dev", name, tap);
	f = fopen(path, "re");
	if (f == NULL || fscanf(f, "%u:%u", &major, &minor) != 2)
		err_set(e, ENOENT, "%s does not say which device it is", path);
	if (f != NULL)
		fclose(f);
	if (major == 0)
		return -ENOENT;
	snprintf(node, sizeof(node), "/run/%s", name);
	if (mknod(node, S_IFCHR | 0600, makedev(major, minor)) == 0)
		fd = open(node, O_RDWR | O_CLOEXEC);
	return fd >= 0 ? fd : err_set(e, errno, "device of %s: %s", name, strerror(errno));
}

static int setup(struct path_bed *b, struct err *e) {
	char mac[18], name[16];

	if (path_ip(e, "link add low0 type veth peer name low1\n"
		       "link set low0 up\nlink set low1 up\n") < 0)
		return -EIO;
	for (unsigned i = 0; i < b->n; i++) {
		int fd;

		snprintf(name, sizeof(name), "mvt%u", i + 1);
		if (path_ip(e,
			    "link add link low0 name %s address %s type macvtap mode bridge\n"
			    "link set %s up\n",
			    name, path_mac(i, mac, sizeof(mac)), name) < 0)
			return -EIO;
		fd = open_macvtap(name, e);
		if (fd < 0)
			return fd;
		b->fds[b->nfds++] = fd;
	}
	return 0;
}

static int nic(struct path_bed *b, unsigned i, struct guest_spec *s, struct err *e) {
	s->fds[s->nfds++] = b->fds[i];
	guest_arg(s, "-netdev");
	guest_arg(s, "tap,id=n0,fd=%d", b->fds[i]);
	guest_arg(s, "-device");
	guest_arg(s, "virtio-net-pci,netdev=n0,mac=%s,romfile=", s->nics[0].mac);
	return 0;
}

const struct path path_macvtap = {
	"macvtap", "macvtap in bridge mode, virtio-net in QEMU", possible, setup, nic};
