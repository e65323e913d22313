/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "base/mac.h"
#include "host/netlink/link.h"
#include "host/netlink/nl.h"

static struct nlmsghdr *begin(struct nl_request *r, int index, unsigned flags, unsigned change) {
	struct nlmsghdr *h = nl_begin(r, RTM_SETLINK, NLM_F_ACK);
	struct ifinfomsg *i = mnl_nlmsg_put_extra_header(h, sizeof(*i));

	i->ifi_index = index;
	i->ifi_flags = flags;
	i->ifi_change = change;
	return h;
}

int link_set_up(int index, bool up, unsigned limit_ms) {
	struct nl_request r;

	return nl_change(NETLINK_ROUTE, begin(&r, index, up ? IFF_UP : 0, IFF_UP), limit_ms);
}

int link_set_mtu(int index, unsigned mtu, unsigned limit_ms) {
	struct nl_request r;
	struct nlmsghdr *h = begin(&r, index, 0, 0);

	mnl_attr_put_u32(h, IFLA_MTU, mtu);
	return nl_change(NETLINK_ROUTE, h, limit_ms);
}

int link_set_netns(int index, int ns, unsigned limit_ms) {
	struct nl_request r;
	struct nlmsghdr *h = begin(&r, index, 0, 0);

	mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)ns);
	return nl_change(NETLINK_ROUTE, h, limit_ms);
}

/* One attribute of one VF; in a nest `within` of its own where that is not 0. The kernel of old wants
 * nests without the flag that says so. */
static int set_vf(int index, unsigned within, unsigned type, const void *value, size_t len,
	unsigned limit_ms) {
	struct nl_request r;
	struct nlmsghdr *h = begin(&r, index, 0, 0);
	struct nlattr *list, *vf, *inner = NULL;

	list = mnl_nlmsg_get_payload_tail(h);
	mnl_attr_put(h, IFLA_VFINFO_LIST, 0, NULL);
	vf = mnl_nlmsg_get_payload_tail(h);
	mnl_attr_put(h, IFLA_VF_INFO, 0, NULL);
	if (within != 0) {
		inner = mnl_nlmsg_get_payload_tail(h);
		mnl_attr_put(h, (uint16_t)within, 0, NULL);
	}
	mnl_attr_put(h, (uint16_t)type, len, value);
	if (inner != NULL)
		mnl_attr_nest_end(h, inner);
	mnl_attr_nest_end(h, vf);
	mnl_attr_nest_end(h, list);
	return nl_change(NETLINK_ROUTE, h, limit_ms);
}

int link_set_vf_mac(int index, int vf, uint64_t mac, unsigned limit_ms) {
	struct ifla_vf_mac v = {.vf = (uint32_t)vf};

	mac_store(v.mac, mac);
	return set_vf(index, 0, IFLA_VF_MAC, &v, sizeof(v), limit_ms);
}

int link_set_vf_vlan(
	int index, int vf, unsigned vlan, unsigned qos, unsigned proto, unsigned limit_ms) {
	struct ifla_vf_vlan_info v = {
		.vf = (uint32_t)vf, .vlan = vlan, .qos = qos, .vlan_proto = htons((uint16_t)proto)};

	// Kernels before 4.9 have no protocol: only who asks for one needs it.
	if (proto == 0)
		return set_vf(index, 0, IFLA_VF_VLAN, &v, sizeof(struct ifla_vf_vlan), limit_ms);
	return set_vf(index, IFLA_VF_VLAN_LIST, IFLA_VF_VLAN_INFO, &v, sizeof(v), limit_ms);
}

int link_set_vf_rate(int index, int vf, uint32_t min_mbit, uint32_t max_mbit, unsigned limit_ms) {
	struct ifla_vf_rate v = {
		.vf = (uint32_t)vf, .min_tx_rate = min_mbit, .max_tx_rate = max_mbit};

	return set_vf(index, 0, IFLA_VF_RATE, &v, sizeof(v), limit_ms);
}

/* Spoof check, trust, RSS query and link state have the same form. */
static int set_switch(int index, int vf, unsigned type, uint32_t setting, unsigned limit_ms) {
	struct ifla_vf_spoofchk v = {.vf = (uint32_t)vf, .setting = setting};

	return set_vf(index, 0, type, &v, sizeof(v), limit_ms);
}

int link_set_vf_spoofchk(int index, int vf, bool on, unsigned limit_ms) {
	return set_switch(index, vf, IFLA_VF_SPOOFCHK, on, limit_ms);
}

int link_set_vf_trust(int index, int vf, bool on, unsigned limit_ms) {
	return set_switch(index, vf, IFLA_VF_TRUST, on, limit_ms);
}

int link_set_vf_state(int index, int vf, enum vf_state state, unsigned limit_ms) {
	return set_switch(index, vf, IFLA_VF_LINK_STATE, state, limit_ms);
}

int link_set_vf_rss_query(int index, int vf, bool on, unsigned limit_ms) {
	return set_switch(index, vf, IFLA_VF_RSS_QUERY_EN, on, limit_ms);
}
