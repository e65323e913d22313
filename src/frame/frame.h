/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_FRAME_FRAME_H
#define WEIR_FRAME_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/drop.h"
#include "frame/wire.h"

/* One Ethernet frame in flight.
 *
 * The first head_len bytes are private: they were copied once out of the sender's memory, they are
 * what is judged and they are what is delivered (law 3). The rest stays where the sender put it and
 * is reached through `segs`; a hostile sender may change those bytes at any moment, so nothing is
 * decided from them. Frames and batches belong to one worker; nothing here is shared.
 *
 * A VLAN tag is taken out of the head by frame_parse() and kept in `tci`; whoever delivers the
 * frame puts a tag in or not (struct tx_item of port.h). Offsets in `ol` always count from the
 * first byte of the untagged frame. */

enum {
	BATCH_MAX = 64, /* frames; 64 beats 256 because heads of a batch then stay in L1 */
	BATCH_SEGS = 1024, /* payload references a batch can hold in all */
	/* Bytes at which a batch ends, whatever its frames: no 64 of the common MTU come to it, of
	 * segmentation frames two do. What a turn costs is bounded by that, and not by frames alone. */
	BATCH_BYTES = 96 * 1024,
	FRAME_SEGS_MAX = 256, /* of one frame; Linux sends at most 19, DPDK one per mbuf segment */
	FRAME_HEAD_MAX =
		256, /* private bytes: Ethernet, tag, IPv6 with extensions, TCP with options */
	FRAME_HEAD_FIRST = 64, /* copied for every frame; more only for who needs it */
	FRAME_LEN_MIN = 14,
	FRAME_LEN_COMMON = 1518, /* of MTU 1500, with Ethernet header and tag */
	FRAME_LEN_MAX = 65535 + 18, /* a 64 KiB IP packet with Ethernet header and tag */
};

_Static_assert((int)BATCH_MAX *FRAME_LEN_COMMON < (int)BATCH_BYTES, "a plain batch is whole");

/* A piece of payload in the sender's memory (or the worker's arena), already bounds-checked. */
struct seg {
	uint8_t *base;
	uint32_t len;
};

/* What the sender left for the receiver to do; the values of struct virtio_net_hdr (virtio 1.2,
 * 5.1.6), host byte order. All zero: the frame is complete. */
struct offload {
	uint8_t flags; /* VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_F_DATA_VALID */
	uint8_t gso_type; /* VIRTIO_NET_HDR_GSO_*; _ECN may be or-ed in */
	uint16_t hdr_len; /* a hint, never trusted */
	uint16_t gso_size; /* payload bytes of each segment */
	uint16_t csum_start;
	uint16_t csum_offset;
};

enum frame_flag {
	FRAME_TAGGED = 1 << 0, /* came with a VLAN tag, now in tci */
	FRAME_L4 = 1 << 1, /* l3_off, l4_off, proto are set (frame_parse_l4 ran) */
	FRAME_FRAGMENT = 1 << 2, /* an IP fragment: l4 is not to be looked at */
	FRAME_UNCUT =
		1 << 3, /* flooded to so many that it is not segmented for those who need it */
};

enum { OUT_NONE = 0xffff, OUT_FLOOD = 0xfffe };

struct frame {
	uint8_t *head; /* private bytes; first octet of the destination MAC */
	struct seg *segs; /* payload after the head, in order */
	uint32_t len; /* bytes in all, Ethernet header first, no FCS */
	uint16_t head_len; /* bytes at head */
	uint16_t nsegs;
	uint8_t flags; /* enum frame_flag */
	uint8_t drop; /* enum drop; DROP_NONE while the frame lives */
	uint16_t tci; /* VLAN TCI it came with, 0 if untagged */
	uint16_t net; /* network index, set by the verdict */
	uint16_t out; /* port id, OUT_FLOOD or OUT_NONE, set by the verdict */
	uint16_t ethertype; /* host order, of what follows the (removed) tag; set by frame_parse */
	uint16_t l3_off, l4_off;
	uint8_t proto; /* IPPROTO_* */
	struct offload ol;
} __attribute__((aligned(64)));

/* The frames of one pull. `room` holds the private heads: frame i's head starts at room[i]. */
struct batch {
	uint16_t n; /* frames */
	uint16_t nsegs; /* used entries of segs */
	uint16_t ngso; /* segmentation frames among them */
	uint64_t bytes; /* sum of len */
	struct frame f[BATCH_MAX];
	struct seg segs[BATCH_SEGS];
	uint8_t room[BATCH_MAX][FRAME_HEAD_MAX] __attribute__((aligned(64)));
};

/* Makes at least n bytes of the frame private and contiguous at f->head, by copying from the
 * payload; f->head must start inside a room of FRAME_HEAD_MAX bytes that ends at `room_end`.
 * 0, -EINVAL when the frame is shorter, -E2BIG when n does not fit the room. Bytes already private
 * never change and are never read again from the sender. f->segs moves on past what was copied. */
int frame_pull_more(struct frame *f, unsigned n, const uint8_t *room_end);

static inline int frame_pull(struct frame *f, unsigned n, const uint8_t *room_end) {
	return __builtin_expect(n <= f->head_len, 1) ? 0 : frame_pull_more(f, n, room_end);
}

/* Copies bytes [off, off + len) of the frame to dst; the caller keeps the range inside f->len. */
void frame_copy(const struct frame *f, uint32_t off, void *dst, uint32_t len);

enum {
	ETHERTYPE_CTAG = 0x8100, /* IEEE 802.1Q-2022, table 9-1 */
	ETHERTYPE_STAG = 0x88a8,
	/* Never standard, still what many switches put on the outer tag. */
	ETHERTYPE_OLD_STAG_1 = 0x9100,
	ETHERTYPE_OLD_STAG_2 = 0x9200,
	ETHERTYPE_OLD_STAG_3 = 0x9300,
	ETHERTYPE_IP4 = 0x0800,
	ETHERTYPE_IP6 = 0x86dd,
};

/* A tag whose VLAN id is of a numbering of its own, which no network of weir has. */
static inline bool frame_is_service_tag(uint16_t ethertype) {
	return ethertype == ETHERTYPE_STAG || ethertype == ETHERTYPE_OLD_STAG_1 ||
	       ethertype == ETHERTYPE_OLD_STAG_2 || ethertype == ETHERTYPE_OLD_STAG_3;
}

/* What frame_parse does to a frame that may be tagged; f->ethertype is set. */
enum drop frame_parse_tag(struct frame *f);

/* Layer 2: sets ethertype; when a C-tag (0x8100) leads, takes it out of the head (moving the MACs
 * four bytes up, f->head, f->len, f->head_len and all offsets with them), sets tci and FRAME_TAGGED.
 * Comes before everything below (offload_check may come earlier). Needs 18 private bytes where the
 * frame has them. Returns DROP_NONE; DROP_RUNT when the Ethernet header or the tag is cut off; or
 * DROP_SERVICE_TAG when a service tag (an S-tag, 0x88a8, or one of its forerunners) leads, or is
 * what follows the tag that was taken out: it stays in, and whoever carries it as payload may go on
 * with the frame. Only the outermost tag is taken. Offload offsets that would fall below 0 become 0,
 * which offload_check refuses. */
static inline enum drop frame_parse(struct frame *f) {
	if (__builtin_expect(f->head_len < FRAME_LEN_MIN, 0))
		return DROP_RUNT;
	f->flags = 0;
	f->tci = 0;
	f->ethertype = be16_get(f->head + 12);
	// Every tag's number is above that of IPv4: one comparison for most frames, two for IPv6.
	if (__builtin_expect(f->ethertype >= ETHERTYPE_CTAG && f->ethertype != ETHERTYPE_IP6, 0))
		return frame_parse_tag(f);
	return DROP_NONE;
}

/* Layers 3 and 4: IPv4 (options, fragments), IPv6 (hop-by-hop, routing, destination, authentication,
 * fragment headers), also behind up to three tags; pulls what it needs up to and with the L4
 * header. When the IP header is sound sets l3_off, l4_off, proto and FRAME_L4, for a fragment (the
 * first one too) also FRAME_FRAGMENT. Returns true when the frame is no fragment and its L4 header
 * is private: TCP with its options, 8 bytes of UDP and ICMP, 12 of SCTP, of other protocols nothing
 * past l4_off. Lengths that IP or TCP claim and the frame does not have make it unsound; of a GSO
 * frame the IP length is not looked at, whoever segments it writes the true ones.
 * Sources: RFC 791, 8200, 4302, 9293. */
bool frame_parse_l4(struct frame *f, const uint8_t *room_end);

/* A hash over addresses, protocol and ports, the same for both directions of a flow; of fragments
 * without the ports, so that all fragments of a datagram agree; over the MAC pair when the frame is
 * not IP. Runs frame_parse_l4 when it has not run. */
uint32_t frame_flow_hash(struct frame *f, const uint8_t *room_end);

#endif
