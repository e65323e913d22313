/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_LINK_H
#define WEIR_HOST_LINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Network interfaces of this namespace as rtnetlink tells them: links with what the kernel holds for their
 * VFs (RTEXT_FILTER_VF), addresses, routes. Read whole, at one moment; one dump each. */

struct err;
struct root;

/* What a driver told of a VF: others it does not know. */
enum link_vf_has {
	VF_HAS_MAC = 1 << 0,
	VF_HAS_VLAN = 1 << 1,
	VF_HAS_RATE = 1 << 2,
	VF_HAS_SPOOFCHK = 1 << 3,
	VF_HAS_TRUST = 1 << 4,
	VF_HAS_STATE = 1 << 5,
	VF_HAS_RSS_QUERY = 1 << 6,
	VF_HAS_STATS = 1 << 7,
};

enum vf_state { VF_STATE_AUTO, VF_STATE_ENABLE, VF_STATE_DISABLE }; /* as IFLA_VF_LINK_STATE_* */

struct link_vf {
	unsigned has; /* of enum link_vf_has */
	uint64_t mac; /* base/mac.h; 0: none was set */
	uint16_t vlan; /* 0: none, else 1..4094 */
	uint8_t qos; /* 0..7 */
	uint16_t proto; /* 0x8100 or 0x88a8; 0: not told */
	uint32_t min_rate, max_rate; /* Mbit/s, 0: none */
	bool spoofchk, trust, rss_query;
	uint8_t state; /* enum vf_state */
	uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes, rx_dropped, tx_dropped, broadcast,
		multicast;
};

enum { LINK_NAME_MAX = 128 }; /* the kernel's ALTIFNAMSIZ, which not all headers have */

struct link {
	int index;
	char name[IFNAMSIZ];
	unsigned naltnames; /* what it is called besides (`ip link property add ... altname`) */
	char (*altname)[LINK_NAME_MAX];
	char kind[16]; /* "bridge", "vlan", "macvtap" ...; "": hardware or lo */
	char parent[24]; /* bus address of the device it belongs to, "": not told */
	char port_name[32]; /* "p0", "pf0vf3": of switchdev ports and representors */
	char switch_id[65]; /* hexadecimal, "": of no switch */
	uint64_t mac, perm_mac;
	unsigned flags; /* IFF_UP ... */
	uint8_t operstate; /* IF_OPER_* */
	unsigned mtu, min_mtu, max_mtu; /* 0: not told */
	unsigned tx_queues, rx_queues;
	int master; /* index of bridge or bond, 0: none */
	int lower; /* index of what it stands on (vlan, macvlan), 0: none */
	uint32_t carrier_changes;
	unsigned nvfs;
	struct link_vf *vf; /* by number */
};

struct link_address {
	int index; /* of the link */
	uint8_t family, prefix, scope; /* AF_INET, AF_INET6; RT_SCOPE_* */
	uint8_t bytes[16];
};

struct link_route {
	int index; /* of the link that packets leave by */
	uint8_t family, prefix; /* prefix 0: the default route */
	uint8_t protocol; /* RTPROT_KERNEL: came with an address */
};

struct links {
	struct link *link;
	struct link_address *address;
	struct link_route *route;
	unsigned nlinks, naddresses, nroutes;
};

/* From the kernel, or from the recorded messages of the root (none there: no links). 0 or a negative
 * errno with its sentence. */
int links_read(const struct root *r, struct links *l, struct err *e);
void links_free(struct links *l);

const struct link *links_index(const struct links *l, int index); /* NULL: none */
/* By any of its names; NULL: none. */
const struct link *links_name(const struct links *l, const char *name);

/* The interface of this namespace that has this name, whichever of its names that is: its index, and in
 * `own` the name that ioctls and sysfs know it by. -ENODEV: there is none; or another negative errno. */
int link_find(const char *name, char own[IFNAMSIZ]);

/* Takes in one stream of messages ("link.nl" and its like), as a dump brings them. Public for tests and
 * the event socket. -EBADMSG when a message is cut or a length wrong. */
int links_decode(struct links *l, const void *bytes, size_t len);

/* One change of a link or of one VF of it. Each sends one RTM_SETLINK and waits for its acknowledgement
 * (`limit_ms`); 0, the kernel's errno (negative), or -ETIMEDOUT. No sentence: change.h has them. */
int link_set_up(int index, bool up, unsigned limit_ms);
int link_set_mtu(int index, unsigned mtu, unsigned limit_ms);
/* Into another network namespace, by open file; it is down there. */
int link_set_netns(int index, int ns, unsigned limit_ms);
int link_set_vf_mac(int index, int vf, uint64_t mac, unsigned limit_ms);
int link_set_vf_vlan(int index, int vf, unsigned vlan, unsigned qos, unsigned proto,
	unsigned limit_ms); /* proto 0: 0x8100 */
int link_set_vf_rate(int index, int vf, uint32_t min_mbit, uint32_t max_mbit, unsigned limit_ms);
int link_set_vf_spoofchk(int index, int vf, bool on, unsigned limit_ms);
int link_set_vf_trust(int index, int vf, bool on, unsigned limit_ms);
int link_set_vf_state(int index, int vf, enum vf_state state, unsigned limit_ms);
int link_set_vf_rss_query(int index, int vf, bool on, unsigned limit_ms);

/* A socket that hears of link changes (RTNLGRP_LINK), non-blocking; to be closed. Negative errno. */
int link_events_open(void);
/* What it has to say, until it is silent: calls back with the index of each link that changed or went,
 * or with 0 when messages were lost and everything has to be looked at. */
int link_events_read(int fd, void (*changed)(void *ctx, int index, bool gone), void *ctx);

#endif
