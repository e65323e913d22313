/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_DROP_H
#define WEIR_BASE_DROP_H

/* Every reason for which a frame can disappear. X(symbol, name, description): the name is what
 * counters, JSON and metrics use and never changes; the description is what `weir show drops`
 * prints. Reasons before DROP_TX_FIRST are booked to the port the frame came from, the others to
 * the port it was meant for. */
#define DROP_REASONS(X)                                                                           \
	X(RUNT, "runt", "shorter than an Ethernet header")                                        \
	X(OVERSIZE, "oversize", "longer than the port's MTU allows")                              \
	X(CHAIN_TOO_LONG, "chain-too-long", "spread over more descriptors than weir follows")     \
	X(OFFLOAD_BAD, "offload-bad", "checksum or segmentation request outside the frame")       \
	X(VLAN_NOT_MEMBER, "vlan-not-member", "tagged for a network the port is not a member of") \
	X(SERVICE_TAG, "service-tag", "service tag (88a8, 9100) on a port without qinq")          \
	X(UNTAGGED, "untagged", "untagged on a trunk that has no native network")                 \
	X(MAC_PINNED, "mac-pinned", "source MAC differs from the one pinned to the port")         \
	X(MAC_STOLEN, "mac-stolen", "source MAC is pinned or static on another port")             \
	X(SOURCE_BAD, "source-bad", "source MAC is zero or a group address")                      \
	X(LINK_LOCAL, "link-local", "to 01:80:c2:00:00:0x, which a bridge never forwards")        \
	X(SAME_PORT, "same-port", "destination is on the port the frame came from")               \
	X(ISOLATED, "isolated", "from an isolated port to an isolated port")                      \
	X(NO_DESTINATION, "no-destination", "no other port in the network to flood to")           \
	X(PORT_DOWN, "port-down", "receiving port has no guest or its link is down")              \
	X(RING_FULL, "ring-full", "receiver offered too few buffers")                             \
	X(TOO_BIG, "too-big", "does not fit the receiver's buffers or MTU")                       \
	X(SEGMENT_FAILED, "segment-failed", "receiver cannot segment and software could not")     \
	X(SEGMENT_LIMIT, "segment-limit", "more segments than weir cuts of a frame or a flood")   \
	X(TX_ERROR, "tx-error", "the kernel refused the frame")

enum drop {
	DROP_NONE,
#define X(sym, name, desc) DROP_##sym,
	DROP_REASONS(X)
#undef X
		DROP_COUNT,
	DROP_TX_FIRST = DROP_PORT_DOWN,
};

/* Stable name ("ring-full") and one-line description of a reason; "none" for DROP_NONE. */
const char *drop_name(enum drop reason);
const char *drop_text(enum drop reason);

#endif
