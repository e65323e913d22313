/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/nic.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static bool ask(int fd, struct ifreq *r, void *question) {
	r->ifr_data = question;
	return ioctl(fd, SIOCETHTOOL, r) == 0;
}

static json_t *offloads(int fd, struct ifreq *r) {
	static const struct {
		const char *name;
		unsigned cmd, mask; // mask 0: the answer is yes or no
	} known[] = {
		{"rx-checksum", ETHTOOL_GRXCSUM, 0},
		{"tx-checksum", ETHTOOL_GTXCSUM, 0},
		{"sg", ETHTOOL_GSG, 0},
		{"tso", ETHTOOL_GTSO, 0},
		{"gso", ETHTOOL_GGSO, 0},
		{"gro", ETHTOOL_GGRO, 0},
		{"lro", ETHTOOL_GFLAGS, ETH_FLAG_LRO},
	};
	json_t *v = json_object();

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct ethtool_value is = {.cmd = known[i].cmd};

		if (!ask(fd, r, &is))
			continue;
		if (known[i].mask != 0)
			is.data &= known[i].mask;
		json_object_set_new(v, known[i].name, json_boolean(is.data != 0));
	}
	return v;
}

static json_t *queues(int fd, struct ifreq *r) {
	struct ethtool_channels c = {.cmd = ETHTOOL_GCHANNELS};

	return ask(fd, r, &c) ? json_pack("{s:i, s:i, s:i}", "rx", (int)c.rx_count, "tx",
					(int)c.tx_count, "combined", (int)c.combined_count)
			      : json_null();
}

static json_t *ring(int fd, struct ifreq *r) {
	struct ethtool_ringparam p = {.cmd = ETHTOOL_GRINGPARAM};

	return ask(fd, r, &p)
		       ? json_pack("{s:i, s:i}", "rx", (int)p.rx_pending, "tx", (int)p.tx_pending)
		       : json_null();
}

static json_t *driver(int fd, struct ifreq *r) {
	struct ethtool_drvinfo d = {.cmd = ETHTOOL_GDRVINFO};

	return ask(fd, r, &d) && d.driver[0] != '\0' ? json_string(d.driver) : json_null();
}

json_t *nic_json(const char *device) {
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = {0};
	json_t *v = NULL;

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", device);
	if (fd >= 0 && ioctl(fd, SIOCGIFMTU, &r) == 0)
		v = json_pack("{s:s, s:i}", "device", r.ifr_name, "mtu", r.ifr_mtu);
	if (v != NULL) {
		json_object_set_new(v, "driver", driver(fd, &r));
		json_object_set_new(v, "offloads", offloads(fd, &r));
		json_object_set_new(v, "queues", queues(fd, &r));
		json_object_set_new(v, "ring", ring(fd, &r));
	}
	if (fd >= 0)
		close(fd);
	return v;
}
