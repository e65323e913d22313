/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "host/change/store.h"
#include "host/host.h"
#include "host/prove/prove.h"

static const char *const whats[PROVE_WHATS] = {
	[PROVE_VLAN] = "vlan",
	[PROVE_VLAN_SPOOF] = "vlan-spoof",
	[PROVE_SPOOFCHK] = "spoofchk",
	[PROVE_MAC_FILTER] = "mac-filter",
	[PROVE_BROADCAST] = "broadcast",
	[PROVE_RATE] = "rate",
	[PROVE_STATE] = "state",
};

static const char *const verdicts[] = {
	[PROVE_UNKNOWN] = "unknown",
	[PROVE_ENFORCED] = "enforced",
	[PROVE_NOT_ENFORCED] = "not-enforced",
	[PROVE_REFUSED] = "refused",
	[PROVE_UNTESTABLE] = "untestable",
};

const char *prove_what_name(enum prove_what w) {
	return whats[w];
}

const char *prove_verdict_name(enum prove_verdict v) {
	return verdicts[v];
}

json_t *prove_known(const char *state, const char *slot, struct err *e) {
	return store_get(state, "proved", slot, e);
}

static const char *text_of(const json_t *v, const char *key) {
	const char *text = json_string_value(json_object_get(v, key));

	return text != NULL ? text : "";
}

enum prove_verdict prove_verdict(const json_t *known, enum prove_what w) {
	const json_t *found = json_object_get(json_object_get(known, "findings"), whats[w]);

	for (int v = PROVE_ENFORCED; v <= PROVE_UNTESTABLE; v++)
		if (strcmp(text_of(found, "verdict"), verdicts[v]) == 0)
			return v;
	return PROVE_UNKNOWN;
}

/* Drivers without devlink tell it by ethtool. */
static void ask_ethtool(const char *name, char *firmware, size_t size) {
	struct ethtool_drvinfo d = {.cmd = ETHTOOL_GDRVINFO};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = {.ifr_data = (char *)&d};

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (fd >= 0 && ioctl(fd, SIOCETHTOOL, &r) == 0 && strcmp(d.fw_version, "N/A") != 0)
		snprintf(firmware, size, "%.*s", (int)sizeof(d.fw_version), d.fw_version);
	if (fd >= 0)
		close(fd);
}

void prove_conditions(
	const struct host *h, const struct pci_function *pf, struct prove_conditions *c) {
	const struct devlink *dev = devlinks_at(&h->devlinks, pf->slot);
	const struct link *link = host_link(h, pf);

	memset(c, 0, sizeof(*c));
	snprintf(c->driver, sizeof(c->driver), "%s", pf->driver);
	if (root_line(&h->root, c->kernel, sizeof(c->kernel), "/proc/sys/kernel/osrelease") < 0)
		c->kernel[0] = '\0';
	if (dev != NULL)
		snprintf(c->firmware, sizeof(c->firmware), "%s", dev->firmware);
	if (c->firmware[0] == '\0' && link != NULL && !h->root.recorded)
		ask_ethtool(link->name, c->firmware, sizeof(c->firmware));
}

bool prove_stale(const json_t *known, const struct prove_conditions *now, char *why, size_t size) {
	const char *const is[] = {now->driver, now->kernel, now->firmware};
	static const char *const what[] = {"driver", "kernel", "firmware"};

	for (unsigned i = 0; i < sizeof(is) / sizeof(is[0]); i++) {
		const char *was = text_of(known, what[i]);

		if (*was == '\0' || *is[i] == '\0' || strcmp(was, is[i]) == 0)
			continue;
		snprintf(why, size, "the %s was %s, it is %s now", what[i], was, is[i]);
		return true;
	}
	return false;
}
