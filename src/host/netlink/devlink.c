/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/netlink/devlink.h"

#include <errno.h>
#include <linux/devlink.h>
#include <linux/genetlink.h>
#include <stdlib.h>
#include <string.h>

#include "host/netlink/nl.h"
#include "host/root.h"

/* Which devices there are is one dump; the eswitch and the firmware of each are a question of their own,
 * which many drivers refuse. The number of the family, and with it the type of its messages, differs from
 * boot to boot: a recorded answer is told by its command.
 *
 * Source: kernel Documentation/networking/devlink/, include/uapi/linux/devlink.h. */

static struct nlmsghdr *begin(struct nl_request *r, int family, int flags, int command) {
	struct nlmsghdr *h = nl_begin(r, family, flags);
	struct genlmsghdr *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));

	g->cmd = (uint8_t)command;
	g->version = 1;
	return h;
}

/* The generic netlink messages among those of a stream: their attributes. false: at the end, or none. */
static const struct genlmsghdr *next(
	const void *bytes, size_t len, size_t *at, const char **attrs, size_t *attrs_len) {
	const struct nlmsghdr *h;

	while ((h = nl_next(bytes, len, at)) != NULL) {
		const struct genlmsghdr *g = mnl_nlmsg_get_payload(h);

		if (h->nlmsg_type < NLMSG_MIN_TYPE || mnl_nlmsg_get_payload_len(h) < sizeof(*g))
			continue;
		*attrs = (const char *)(g + 1);
		*attrs_len = mnl_nlmsg_get_payload_len(h) - sizeof(*g);
		return g;
	}
	return NULL;
}

static int take_family(void *ctx, const void *bytes, size_t len) {
	const struct nlattr *a;
	const char *attrs;
	size_t at = 0, n;

	while (next(bytes, len, &at, &attrs, &n) != NULL)
		for (size_t i = 0; (a = nl_attr_next(attrs, n, &i)) != NULL;)
			if (mnl_attr_get_type(a) == CTRL_ATTR_FAMILY_ID &&
				mnl_attr_get_payload_len(a) >= sizeof(uint16_t))
				*(int *)ctx = mnl_attr_get_u16(a);
	return 0;
}

/* The family's number, -ENOENT: this kernel has no devlink. */
static int find_family(void) {
	struct nl_request r;
	struct nlmsghdr *h = begin(&r, GENL_ID_CTRL, NLM_F_ACK, CTRL_CMD_GETFAMILY);
	int family = -ENOENT, rc;

	mnl_attr_put_strz(h, CTRL_ATTR_FAMILY_NAME, DEVLINK_GENL_NAME);
	rc = nl_ask(NETLINK_GENERIC, h, take_family, &family);
	return rc < 0 ? rc : family;
}

static struct devlink *find(const struct devlinks *d, const char *slot) {
	for (unsigned i = 0; i < d->n; i++)
		if (strcmp(d->dev[i].slot, slot) == 0)
			return &d->dev[i];
	return NULL;
}

const struct devlink *devlinks_at(const struct devlinks *d, const char *slot) {
	return find(d, slot);
}

static struct devlink *find_or_add(struct devlinks *d, const char *slot) {
	struct devlink *dev = find(d, slot), *more;

	if (dev != NULL)
		return dev;
	more = realloc(d->dev, (d->n + 1) * sizeof(*more));
	if (more == NULL)
		return NULL;
	d->dev = more;
	dev = &d->dev[d->n++];
	memset(dev, 0, sizeof(*dev));
	strcpy(dev->slot, slot);
	return dev;
}

/* How well a version's name stands for the firmware of the whole NIC; 0: not at all. */
static int firmware_rank(const char *name) {
	static const char *const by_rank[] = {"fw.mgmt", "fw.version", "fw"};

	for (int i = 0; i < (int)(sizeof(by_rank) / sizeof(by_rank[0])); i++)
		if (strcmp(name, by_rank[i]) == 0)
			return i + 1;
	return 0;
}

static bool decode_version(struct devlink *dev, int *rank, const struct nlattr *version) {
	size_t len = mnl_attr_get_payload_len(version), at = 0;
	char name[32] = "", value[sizeof(dev->firmware)] = "";
	const struct nlattr *a;

	while ((a = nl_attr_next(mnl_attr_get_payload(version), len, &at)) != NULL) {
		if (mnl_attr_get_type(a) == DEVLINK_ATTR_INFO_VERSION_NAME)
			nl_text(name, sizeof(name), a);
		if (mnl_attr_get_type(a) == DEVLINK_ATTR_INFO_VERSION_VALUE)
			nl_text(value, sizeof(value), a);
	}
	if (firmware_rank(name) > *rank) {
		*rank = firmware_rank(name);
		memcpy(dev->firmware, value, sizeof(value));
	}
	return at == len;
}

static bool decode_attr(struct devlink *dev, int *rank, const struct nlattr *a) {
	static const char *const inline_mode[] = {"none", "link", "network", "transport"};
	static const char *const encap[] = {"none", "basic"};
	size_t len = mnl_attr_get_payload_len(a);

	switch (mnl_attr_get_type(a)) {
	case DEVLINK_ATTR_ESWITCH_MODE:
		if (len < sizeof(uint16_t))
			return false;
		dev->mode = mnl_attr_get_u16(a) == DEVLINK_ESWITCH_MODE_LEGACY ? ESWITCH_LEGACY
			    : mnl_attr_get_u16(a) == DEVLINK_ESWITCH_MODE_SWITCHDEV
				    ? ESWITCH_SWITCHDEV
				    : ESWITCH_NONE;
		return true;
	case DEVLINK_ATTR_ESWITCH_INLINE_MODE:
		if (len >= 1 && mnl_attr_get_u8(a) < sizeof(inline_mode) / sizeof(inline_mode[0]))
			strcpy(dev->inline_mode, inline_mode[mnl_attr_get_u8(a)]);
		return len >= 1;
	case DEVLINK_ATTR_ESWITCH_ENCAP_MODE:
		if (len >= 1 && mnl_attr_get_u8(a) < sizeof(encap) / sizeof(encap[0]))
			strcpy(dev->encap, encap[mnl_attr_get_u8(a)]);
		return len >= 1;
	case DEVLINK_ATTR_INFO_VERSION_RUNNING:
		return decode_version(dev, rank, a);
	}
	return true;
}

/* The device a message is about: false when it is no PCI device, or none is named. */
static bool decode_handle(const char *attrs, size_t len, char *slot, size_t size) {
	const struct nlattr *a;
	char bus[8] = "";
	size_t at = 0;

	*slot = '\0';
	while ((a = nl_attr_next(attrs, len, &at)) != NULL) {
		if (mnl_attr_get_type(a) == DEVLINK_ATTR_BUS_NAME)
			nl_text(bus, sizeof(bus), a);
		if (mnl_attr_get_type(a) == DEVLINK_ATTR_DEV_NAME)
			nl_text(slot, size, a);
	}
	return strcmp(bus, "pci") == 0 && *slot != '\0';
}

static int decode_device(struct devlinks *d, const char *attrs, size_t len) {
	char slot[sizeof(d->dev->slot)];
	const struct nlattr *a;
	struct devlink *dev;
	size_t at = 0;
	int rank = 0;

	if (!decode_handle(attrs, len, slot, sizeof(slot)))
		return 0;
	dev = find_or_add(d, slot);
	if (dev == NULL)
		return -ENOMEM;
	while ((a = nl_attr_next(attrs, len, &at)) != NULL)
		if (!decode_attr(dev, &rank, a))
			return -EBADMSG;
	return at == len ? 0 : -EBADMSG;
}

int devlinks_decode(struct devlinks *d, const void *bytes, size_t len) {
	const struct genlmsghdr *g;
	const char *attrs;
	size_t at = 0, n;
	int rc = 0;

	while (rc == 0 && (g = next(bytes, len, &at, &attrs, &n)) != NULL)
		if (g->cmd == DEVLINK_CMD_NEW || g->cmd == DEVLINK_CMD_ESWITCH_GET ||
			g->cmd == DEVLINK_CMD_INFO_GET)
			rc = decode_device(d, attrs, n);
	return rc == 0 && at != len ? -EBADMSG : rc;
}

static int take(void *ctx, const void *bytes, size_t len) {
	return devlinks_decode(ctx, bytes, len);
}

static void put_handle(struct nlmsghdr *h, const char *slot) {
	mnl_attr_put_strz(h, DEVLINK_ATTR_BUS_NAME, "pci");
	mnl_attr_put_strz(h, DEVLINK_ATTR_DEV_NAME, slot);
}

static void ask_device(struct devlinks *d, int family, const char *slot, int command) {
	struct nl_request r;
	struct nlmsghdr *h = begin(&r, family, NLM_F_ACK, command);

	put_handle(h, slot);
	nl_ask(NETLINK_GENERIC, h, take, d); // refused: the driver has nothing to say of it
}

int devlinks_read(const struct root *r, struct devlinks *d) {
	struct nl_request req;
	int family, rc;

	*d = (struct devlinks){0};
	if (r->recorded) {
		rc = nl_recorded(r, "devlink.nl", take, d);
	} else {
		family = find_family();
		if (family == -ENOENT)
			return 0;
		rc = family < 0
			     ? family
			     : nl_ask(NETLINK_GENERIC,
				       begin(&req, family, NLM_F_DUMP, DEVLINK_CMD_GET), take, d);
		for (unsigned i = 0; i < d->n && rc == 0; i++) {
			char slot[sizeof(d->dev->slot)];

			memcpy(slot, d->dev[i].slot, sizeof(slot)); // d->dev may move
			ask_device(d, family, slot, DEVLINK_CMD_ESWITCH_GET);
			ask_device(d, family, slot, DEVLINK_CMD_INFO_GET);
		}
	}
	if (rc < 0)
		devlinks_free(d);
	return rc;
}

void devlinks_free(struct devlinks *d) {
	free(d->dev);
	*d = (struct devlinks){0};
}

int devlink_set_eswitch(const char *slot, enum eswitch mode, unsigned limit_ms) {
	int family = find_family();
	struct nl_request r;
	struct nlmsghdr *h;

	if (family < 0)
		return family == -ENOENT ? -EOPNOTSUPP : family;
	h = begin(&r, family, NLM_F_ACK, DEVLINK_CMD_ESWITCH_SET);
	put_handle(h, slot);
	mnl_attr_put_u16(h, DEVLINK_ATTR_ESWITCH_MODE,
		mode == ESWITCH_SWITCHDEV ? DEVLINK_ESWITCH_MODE_SWITCHDEV
					  : DEVLINK_ESWITCH_MODE_LEGACY);
	return nl_change(NETLINK_GENERIC, h, limit_ms);
}
