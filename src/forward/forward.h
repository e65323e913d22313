/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_FORWARD_FORWARD_H
#define WEIR_FORWARD_FORWARD_H

#include <stdbool.h>
#include <stdint.h>

#include "forward/explain.h"
#include "frame/frame.h"
#include "port/port.h"

/* Networks, membership and verdicts.
 *
 * An access port sends and receives untagged frames of its one network; a tag of id 0 carries only
 * a priority and counts as none, any other is refused. A trunk port is a member of the networks it
 * was given, told apart by their tags (IEEE 802.1Q-2022, 6.9); untagged frames belong to its native
 * network, whose own tag is accepted too, and without one are refused.
 *
 * Only C-tags choose a network, and only the outermost: what is behind it is payload. A service tag
 * (S-tag, 0x88a8, or 0x9100 to 0x9300) counts VLANs of its own, so it is never read, taken out or
 * rewritten: a frame that has one is refused (DROP_SERVICE_TAG), or on a port with `qinq` carried
 * with it as an untagged frame's payload, or behind the C-tag it came with. Out of a port everything
 * goes that its network has.
 *
 * struct fwd is a snapshot: built by the control thread, then read by every worker and never
 * changed; a new configuration is a new snapshot. Only the MAC table inside it lives on from one
 * snapshot to the next. Network and port ids are small numbers that stay the same as long as the
 * network or port exists. */

enum { NETS_MAX = 4096, NET_NONE = 0xffff };

struct fdb;

struct fwd_net {
	bool present;
	uint16_t vlan; /* tag on trunks, 1..4094; 0: only native there */
	uint16_t nmembers;
	uint16_t nopen; /* members that are not isolated */
	uint16_t *members; /* port ids, ascending */
};

struct fwd_port {
	bool present;
	bool trunk;
	bool isolated;
	bool qinq; /* carries service tags as payload */
	uint16_t native; /* network of untagged frames: an access port's own; NET_NONE: none */
	uint16_t *
		vlan_net; /* trunk: [4096], network of each tag or NET_NONE; NULL on access ports */
	uint64_t pinned; /* the only source MAC allowed; 0: any */
};

struct fwd {
	struct fdb *fdb;
	uint16_t nports, nnets; /* one more than the highest id */
	struct fwd_port *ports;
	struct fwd_net *nets;
};

/* Building. fwd_new: everything absent, NULL when memory is short or a number beyond PORTS_MAX or
 * NETS_MAX. The setters return 0, -ENOMEM, or -EINVAL: bad id, VLAN out of range, a network that was
 * not set before, two networks of one VLAN on a trunk, or one without a VLAN that is not its native.
 * Setting a port or network again replaces what it was. fwd_seal computes the member lists; after it
 * the snapshot is read-only. fwd_free leaves the fdb alone. */
struct fwd *fwd_new(struct fdb *fdb, uint16_t nports, uint16_t nnets);
int fwd_set_net(struct fwd *fw, uint16_t net, uint16_t vlan);
int fwd_set_access(struct fwd *fw, uint16_t port, uint16_t net, bool isolated, uint64_t pinned);
int fwd_set_trunk(struct fwd *fw, uint16_t port, const uint16_t *nets, uint16_t n, uint16_t native,
	bool isolated, uint64_t pinned);
/* Of a port that was set; of one that is set again it is to be said again. */
int fwd_set_qinq(struct fwd *fw, uint16_t port, bool qinq);
int fwd_seal(struct fwd *fw);
void fwd_free(struct fwd *fw);

/* Is the port a member of the network? */
bool fwd_member(const struct fwd *fw, uint16_t port, uint16_t net);

/* The tag with which a frame of f->net leaves through the port: 0 or TPID << 16 | TCI (struct
 * tx_item); the priority bits it came with (PCP and DEI) are kept. The native network leaves a trunk
 * untagged, unless the frame has another tag inside: untagged, that one would choose the network at
 * the other end, so it gets its own tag (or the priority tag) in front. */
static inline uint32_t fwd_egress_tag(const struct fwd *fw, uint16_t port, const struct frame *f);
uint32_t fwd_trunk_tag(const struct fwd *fw, uint16_t port, const struct frame *f);

/* May a frame of network `net` that entered at `in` leave at `out`? DROP_NONE, DROP_SAME_PORT,
 * DROP_ISOLATED, or DROP_VLAN_NOT_MEMBER when `out` is not a member. */
enum drop fwd_admits(const struct fwd *fw, uint16_t in, uint16_t out, uint16_t net);

/* Judges the frames of a batch that entered at port `in` (below nports): parses layer 2, finds the network, checks
 * and learns the source, finds the destination. Sets f->net and f->out (a port id or OUT_FLOOD), or
 * f->drop. In passes with prefetch; frames with f->drop already set are passed over. A frame is
 * dropped for DROP_NO_DESTINATION when it is to be flooded and fwd_admits would refuse every member;
 * the table's answer is not used when it names a port that is no longer a member (flooded).
 * With `ex` set nothing is learned and nothing counted; what learning would do is told instead.
 * Split in two so that the worker can book the cycles of each: parse first, then verdict. */
void fwd_parse(const struct fwd *fw, struct batch *b, uint16_t in, struct explain *ex);
void fwd_verdict(
	const struct fwd *fw, struct batch *b, uint16_t in, uint32_t now_s, struct explain *ex);

static inline uint32_t fwd_egress_tag(const struct fwd *fw, uint16_t port, const struct frame *f) {
	return __builtin_expect(fw->ports[port].trunk, 0) ? fwd_trunk_tag(fw, port, f) : 0;
}

#endif
