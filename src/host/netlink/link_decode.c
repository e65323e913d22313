/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mac.h"
#include "host/netlink/link.h"
#include "host/netlink/nl.h"

/* What rtnetlink says, into struct links.
 *
 * The bytes may come from a recorded file, so nothing in them is believed: every length is held against
 * what is left, and numbers that memory is taken for have a bound.
 *
 * IFLA_VFINFO_LIST of many VFs has a peculiarity. The length of an attribute has 16 bits, a VF takes
 * about 300 bytes, and the kernel writes the lower 16 bits of what does not fit: with more than some 200
 * VFs the list seems to end early, and its rest would be read as attributes of the link. The entries
 * themselves are whole. So they are walked without the list's length, and where they end 65536 bytes (or
 * a multiple) behind what the length says, it is they that are right.
 *
 * Source: kernel net/core/rtnetlink.c (rtnl_fill_ifinfo, rtnl_fill_vf), include/uapi/linux/if_link.h. */

enum {
	VF_MAX = 4096, /* of one PF; the most that a NIC is known to have is 1024 */
	LENGTH_WRAPS = 1 << 16,
};

/* Room for one more at the end of an array that grows by doubling; zeroed. NULL: no memory. */
static void *one_more(void *array, unsigned *n, size_t size) {
	void **a = array;

	if ((*n & (*n - 1)) == 0) {
		void *more = realloc(*a, (*n == 0 ? 1 : (size_t)*n * 2) * size);

		if (more == NULL)
			return NULL;
		*a = more;
	}
	return memset((char *)*a + size * (*n)++, 0, size);
}

/* The value of an attribute that must have at least `n` bytes. */
static bool get(const struct nlattr *a, void *to, size_t n) {
	if (mnl_attr_get_payload_len(a) < n)
		return false;
	memcpy(to, mnl_attr_get_payload(a), n);
	return true;
}

/* Links of other kinds (InfiniBand, tunnels) have addresses of other lengths: none for us. */
static uint64_t get_mac(const struct nlattr *a) {
	return mnl_attr_get_payload_len(a) == 6 ? mac_load(mnl_attr_get_payload(a)) : 0;
}

static bool decode_stats(struct link_vf *v, const struct nlattr *list) {
	const char *bytes = mnl_attr_get_payload(list);
	size_t len = mnl_attr_get_payload_len(list), at = 0;
	const struct nlattr *a;

	while ((a = nl_attr_next(bytes, len, &at)) != NULL) {
		uint64_t *const to[] = {
			[IFLA_VF_STATS_RX_PACKETS] = &v->rx_packets,
			[IFLA_VF_STATS_TX_PACKETS] = &v->tx_packets,
			[IFLA_VF_STATS_RX_BYTES] = &v->rx_bytes,
			[IFLA_VF_STATS_TX_BYTES] = &v->tx_bytes,
			[IFLA_VF_STATS_BROADCAST] = &v->broadcast,
			[IFLA_VF_STATS_MULTICAST] = &v->multicast,
			[IFLA_VF_STATS_RX_DROPPED] = &v->rx_dropped,
			[IFLA_VF_STATS_TX_DROPPED] = &v->tx_dropped,
		};
		unsigned type = mnl_attr_get_type(a);

		if (type < sizeof(to) / sizeof(to[0]) && to[type] != NULL &&
			!get(a, to[type], sizeof(uint64_t)))
			return false;
	}
	v->has |= VF_HAS_STATS;
	return at == len;
}

/* A switch of a VF: its number and 0, 1, or ~0 where the driver does not know it. */
static bool decode_switch(struct link_vf *v, const struct nlattr *a, bool *on, unsigned has) {
	struct ifla_vf_spoofchk s; // as are those of trust and RSS query

	if (!get(a, &s, sizeof(s)))
		return false;
	if (s.setting != ~0u) {
		*on = s.setting != 0;
		v->has |= has;
	}
	return true;
}

static bool decode_vlan(struct link_vf *v, const struct nlattr *a) {
	struct ifla_vf_vlan vlan;

	if (!get(a, &vlan, sizeof(vlan)))
		return false;
	v->vlan = vlan.vlan & 0xfff;
	v->qos = vlan.qos & 7;
	v->has |= VF_HAS_VLAN;
	return true;
}

/* Newer kernels say it a second time, with its protocol. Of several VLANs the first is what counts. */
static bool decode_vlan_list(struct link_vf *v, const struct nlattr *list) {
	struct ifla_vf_vlan_info info;
	size_t at = 0;
	const struct nlattr *a =
		nl_attr_next(mnl_attr_get_payload(list), mnl_attr_get_payload_len(list), &at);

	if (a == NULL || mnl_attr_get_type(a) != IFLA_VF_VLAN_INFO)
		return mnl_attr_get_payload_len(list) == 0 || a != NULL;
	if (!get(a, &info, sizeof(info)))
		return false;
	v->proto = (uint16_t)(info.vlan_proto << 8 | info.vlan_proto >> 8);
	return true;
}

static bool decode_rate(struct link_vf *v, const struct nlattr *a) {
	struct ifla_vf_rate rate;

	if (!get(a, &rate, sizeof(rate)))
		return false;
	v->min_rate = rate.min_tx_rate;
	v->max_rate = rate.max_tx_rate;
	v->has |= VF_HAS_RATE;
	return true;
}

static bool decode_state(struct link_vf *v, const struct nlattr *a) {
	struct ifla_vf_link_state state;

	if (!get(a, &state, sizeof(state)))
		return false;
	v->state = (uint8_t)state.link_state;
	if (state.link_state <= VF_STATE_DISABLE)
		v->has |= VF_HAS_STATE;
	return true;
}

static bool decode_vf_mac(struct link_vf *v, const struct nlattr *a) {
	struct ifla_vf_mac mac;

	if (!get(a, &mac, sizeof(mac)))
		return false;
	v->mac = mac_load(mac.mac);
	v->has |= VF_HAS_MAC;
	return true;
}

static bool decode_vf_attr(struct link_vf *v, const struct nlattr *a) {
	switch (mnl_attr_get_type(a)) {
	case IFLA_VF_MAC:
		return decode_vf_mac(v, a);
	case IFLA_VF_VLAN:
		return decode_vlan(v, a);
	case IFLA_VF_VLAN_LIST:
		return decode_vlan_list(v, a);
	case IFLA_VF_RATE:
		return decode_rate(v, a);
	case IFLA_VF_SPOOFCHK:
		return decode_switch(v, a, &v->spoofchk, VF_HAS_SPOOFCHK);
	case IFLA_VF_TRUST:
		return decode_switch(v, a, &v->trust, VF_HAS_TRUST);
	case IFLA_VF_RSS_QUERY_EN:
		return decode_switch(v, a, &v->rss_query, VF_HAS_RSS_QUERY);
	case IFLA_VF_LINK_STATE:
		return decode_state(v, a);
	case IFLA_VF_STATS:
		return decode_stats(v, a);
	}
	return true;
}

/* The number of the VF that an entry is about: each attribute of fixed form begins with it, the kernel
 * puts the MAC first. */
static int vf_number(const struct nlattr *entry) {
	const struct nlattr *a;
	uint32_t n;
	size_t at = 0;

	a = nl_attr_next(mnl_attr_get_payload(entry), mnl_attr_get_payload_len(entry), &at);
	if (a == NULL || mnl_attr_get_type(a) != IFLA_VF_MAC || !get(a, &n, sizeof(n)) ||
		n >= VF_MAX)
		return -1;
	return (int)n;
}

/* The VF of that number; those up to it appear with it. */
static struct link_vf *vf_at(struct link *l, unsigned n) {
	while (l->nvfs <= n)
		if (one_more(&l->vf, &l->nvfs, sizeof(*l->vf)) == NULL)
			return NULL;
	return &l->vf[n];
}

static int decode_vf(struct link *l, const struct nlattr *entry) {
	const char *bytes = mnl_attr_get_payload(entry);
	size_t len = mnl_attr_get_payload_len(entry), at = 0;
	int n = vf_number(entry);
	const struct nlattr *a;
	struct link_vf *v;

	if (n < 0)
		return -EBADMSG;
	v = vf_at(l, (unsigned)n);
	if (v == NULL)
		return -ENOMEM;
	while ((a = nl_attr_next(bytes, len, &at)) != NULL)
		if (!decode_vf_attr(v, a))
			return -EBADMSG;
	return at == len ? 0 : -EBADMSG;
}

/* How many bytes a list of VFs has, its header included, given `left` from it to the message's end. */
static size_t vf_list_length(const struct nlattr *list, size_t left, unsigned vfs) {
	const char *bytes = (const char *)list;
	size_t at = MNL_ATTR_HDRLEN;

	for (unsigned i = 0; i < vfs && at < left; i++) {
		const struct nlattr *a = (const void *)(bytes + at);

		if (nl_attr_next(bytes, left, &at) == NULL || mnl_attr_get_type(a) != IFLA_VF_INFO)
			break;
	}
	return at > list->nla_len && (at - list->nla_len) % LENGTH_WRAPS == 0 ? at : list->nla_len;
}

static int decode_vfs(struct link *l, const struct nlattr *list, size_t len) {
	const struct nlattr *a;
	size_t at = MNL_ATTR_HDRLEN;
	int rc = 0;

	while (rc == 0 && (a = nl_attr_next(list, len, &at)) != NULL)
		if (mnl_attr_get_type(a) == IFLA_VF_INFO)
			rc = decode_vf(l, a);
	return rc == 0 && at != len ? -EBADMSG : rc;
}

static void hex(char *to, size_t size, const struct nlattr *a) {
	const uint8_t *b = mnl_attr_get_payload(a);
	size_t n = mnl_attr_get_payload_len(a), max = (size - 1) / 2;

	*to = '\0';
	for (size_t i = 0; i < (n < max ? n : max); i++)
		sprintf(to + 2 * i, "%02x", b[i]);
}

static bool decode_info(struct link *l, const struct nlattr *info) {
	size_t len = mnl_attr_get_payload_len(info), at = 0;
	const struct nlattr *a;

	while ((a = nl_attr_next(mnl_attr_get_payload(info), len, &at)) != NULL)
		if (mnl_attr_get_type(a) == IFLA_INFO_KIND)
			nl_text(l->kind, sizeof(l->kind), a);
	return at == len;
}

static bool decode_names(struct link *l, const struct nlattr *list) {
	size_t len = mnl_attr_get_payload_len(list), at = 0;
	const struct nlattr *a;

	while ((a = nl_attr_next(mnl_attr_get_payload(list), len, &at)) != NULL) {
		char *name;

		if (mnl_attr_get_type(a) != IFLA_ALT_IFNAME)
			continue;
		name = one_more(&l->altname, &l->naltnames, LINK_NAME_MAX);
		if (name == NULL)
			return false;
		nl_text(name, LINK_NAME_MAX, a);
	}
	return at == len;
}

/* Attributes of a link that are a text or a nest. */
static bool decode_link_text(struct link *l, const struct nlattr *a) {
	switch (mnl_attr_get_type(a)) {
	case IFLA_IFNAME:
		nl_text(l->name, sizeof(l->name), a);
		return true;
	case IFLA_PROP_LIST:
		return decode_names(l, a);
	case IFLA_PARENT_DEV_NAME:
		nl_text(l->parent, sizeof(l->parent), a);
		return true;
	case IFLA_PHYS_PORT_NAME:
		nl_text(l->port_name, sizeof(l->port_name), a);
		return true;
	case IFLA_PHYS_SWITCH_ID:
		hex(l->switch_id, sizeof(l->switch_id), a);
		return true;
	case IFLA_LINKINFO:
		return decode_info(l, a);
	case IFLA_ADDRESS:
		l->mac = get_mac(a);
		return true;
	case IFLA_PERM_ADDRESS:
		l->perm_mac = get_mac(a);
		return true;
	}
	return true;
}

/* What of a link's message is no attribute of the link in struct link. */
struct aside {
	uint32_t vfs; /* that the message says it has entries of */
	bool elsewhere; /* the link it stands on is in another namespace */
};

static bool decode_link_attr(struct link *l, struct aside *s, const struct nlattr *a) {
	const struct {
		uint16_t type, size;
		void *to;
	} number[] = {
		{IFLA_OPERSTATE, 1, &l->operstate},
		{IFLA_MTU, 4, &l->mtu},
		{IFLA_MIN_MTU, 4, &l->min_mtu},
		{IFLA_MAX_MTU, 4, &l->max_mtu},
		{IFLA_NUM_TX_QUEUES, 4, &l->tx_queues},
		{IFLA_NUM_RX_QUEUES, 4, &l->rx_queues},
		{IFLA_MASTER, 4, &l->master},
		{IFLA_LINK, 4, &l->lower},
		{IFLA_CARRIER_CHANGES, 4, &l->carrier_changes},
		{IFLA_NUM_VF, 4, &s->vfs},
	};

	for (unsigned i = 0; i < sizeof(number) / sizeof(number[0]); i++)
		if (mnl_attr_get_type(a) == number[i].type)
			return get(a, number[i].to, number[i].size);
	if (mnl_attr_get_type(a) == IFLA_LINK_NETNSID)
		s->elsewhere = true;
	return decode_link_text(l, a);
}

/* The attributes one by one, as nl_attr_next gives them but for the length of the list of VFs. */
static int decode_link_attrs(struct link *l, struct aside *s, const char *bytes, size_t len) {
	size_t at = 0;

	while (at < len) {
		const struct nlattr *a = (const void *)(bytes + at);
		size_t left = len - at;

		if (left >= sizeof(*a) && mnl_attr_get_type(a) == IFLA_VFINFO_LIST) {
			size_t n = vf_list_length(a, left, s->vfs);
			int rc = n >= sizeof(*a) && n <= left ? decode_vfs(l, a, n) : -EBADMSG;

			if (rc < 0)
				return rc;
			at += MNL_ALIGN(n) < left ? MNL_ALIGN(n) : left;
		} else if (nl_attr_next(bytes, len, &at) == NULL || !decode_link_attr(l, s, a)) {
			return -EBADMSG;
		}
	}
	return 0;
}

static int decode_link(
	struct links *all, const struct ifinfomsg *i, const char *attrs, size_t len) {
	struct aside s = {0};
	struct link *l;
	int rc;

	if (i->ifi_family != AF_UNSPEC)
		return 0; // a bridge about its member, which tells itself, too
	if (i->ifi_index <= 0)
		return -EBADMSG;
	l = one_more(&all->link, &all->nlinks, sizeof(*l));
	if (l == NULL)
		return -ENOMEM;
	l->index = i->ifi_index;
	l->flags = i->ifi_flags;
	rc = decode_link_attrs(l, &s, attrs, len);
	// The two ends of a veth name each other, and neither stands on the other.
	if (s.elsewhere || strcmp(l->kind, "veth") == 0)
		l->lower = 0;
	return rc;
}

static int decode_address(
	struct links *all, const struct ifaddrmsg *i, const char *attrs, size_t len) {
	size_t want = i->ifa_family == AF_INET ? 4 : 16, at = 0;
	struct link_address *d;
	const struct nlattr *a;
	bool local = false;

	if (i->ifa_family != AF_INET && i->ifa_family != AF_INET6)
		return 0;
	d = one_more(&all->address, &all->naddresses, sizeof(*d));
	if (d == NULL)
		return -ENOMEM;
	d->index = (int)i->ifa_index;
	d->family = i->ifa_family;
	d->prefix = i->ifa_prefixlen;
	d->scope = i->ifa_scope;
	while ((a = nl_attr_next(attrs, len, &at)) != NULL) {
		unsigned type = mnl_attr_get_type(a);

		// Of a point-to-point link IFA_ADDRESS is the other end's.
		if (type != IFA_LOCAL && (type != IFA_ADDRESS || local))
			continue;
		if (!get(a, d->bytes, want))
			return -EBADMSG;
		local = type == IFA_LOCAL;
	}
	return at == len ? 0 : -EBADMSG;
}

static int add_route(struct links *all, const struct rtmsg *r, int index) {
	struct link_route *to;

	if (index <= 0)
		return 0;
	to = one_more(&all->route, &all->nroutes, sizeof(*to));
	if (to == NULL)
		return -ENOMEM;
	to->index = index;
	to->family = r->rtm_family;
	to->prefix = r->rtm_dst_len;
	to->protocol = r->rtm_protocol;
	return 0;
}

/* One route with several ways is one entry a way. */
static int decode_ways(struct links *all, const struct rtmsg *r, const struct nlattr *a) {
	const char *bytes = mnl_attr_get_payload(a);
	size_t len = mnl_attr_get_payload_len(a), at = 0;
	int rc = 0;

	while (rc == 0 && len - at >= sizeof(struct rtnexthop)) {
		const struct rtnexthop *way = (const void *)(bytes + at);

		if (way->rtnh_len < sizeof(*way) || way->rtnh_len > len - at)
			return -EBADMSG;
		rc = add_route(all, r, way->rtnh_ifindex);
		at += MNL_ALIGN((size_t)way->rtnh_len) < len - at ? MNL_ALIGN((size_t)way->rtnh_len)
								  : len - at;
	}
	return rc == 0 && at != len ? -EBADMSG : rc;
}

static int decode_route(struct links *all, const struct rtmsg *r, const char *attrs, size_t len) {
	const struct nlattr *a;
	size_t at = 0;
	int rc = 0, out = 0;

	if ((r->rtm_family != AF_INET && r->rtm_family != AF_INET6) || r->rtm_type != RTN_UNICAST ||
		r->rtm_table == RT_TABLE_LOCAL || r->rtm_flags & RTM_F_CLONED)
		return 0;
	while (rc == 0 && (a = nl_attr_next(attrs, len, &at)) != NULL) {
		if (mnl_attr_get_type(a) == RTA_MULTIPATH)
			rc = decode_ways(all, r, a);
		else if (mnl_attr_get_type(a) == RTA_OIF && !get(a, &out, sizeof(out)))
			rc = -EBADMSG;
	}
	if (rc == 0 && at != len)
		rc = -EBADMSG;
	return rc == 0 ? add_route(all, r, out) : rc;
}

static int decode_message(struct links *l, const struct nlmsghdr *h) {
	size_t len = mnl_nlmsg_get_payload_len(h), fixed;
	const char *body = mnl_nlmsg_get_payload(h);

	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
		fixed = sizeof(struct ifinfomsg);
		break;
	case RTM_NEWADDR:
		fixed = sizeof(struct ifaddrmsg);
		break;
	case RTM_NEWROUTE:
		fixed = sizeof(struct rtmsg);
		break;
	default:
		return 0;
	}
	if (len < fixed)
		return -EBADMSG;
	if (h->nlmsg_type == RTM_NEWLINK)
		return decode_link(l, (const void *)body, body + fixed, len - fixed);
	if (h->nlmsg_type == RTM_NEWADDR)
		return decode_address(l, (const void *)body, body + fixed, len - fixed);
	return decode_route(l, (const void *)body, body + fixed, len - fixed);
}

int links_decode(struct links *l, const void *bytes, size_t len) {
	const struct nlmsghdr *h;
	size_t at = 0;
	int rc = 0;

	while (rc == 0 && (h = nl_next(bytes, len, &at)) != NULL)
		rc = decode_message(l, h);
	return rc == 0 && at != len ? -EBADMSG : rc;
}
