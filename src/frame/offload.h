/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_FRAME_OFFLOAD_H
#define WEIR_FRAME_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "frame/frame.h"

/* Checksum and segmentation: passed through when the receiver can, completed here when not.
 * Sources: virtio 1.2 section 5.1.6; RFC 1071, 1624 (checksums); RFC 9293 (TCP), RFC 768 (UDP). */

/* What a receiver can take; bits as the receiver negotiated them. */
enum offload_cap {
	CAP_CSUM = 1 << 0, /* partial checksums (VIRTIO_NET_F_GUEST_CSUM, TUN_F_CSUM) */
	CAP_TSO4 = 1 << 1,
	CAP_TSO6 = 1 << 2,
	CAP_ECN = 1 << 3, /* TSO with ECN */
	CAP_UFO = 1 << 4,
};

static inline bool offload_any(const struct offload *ol) {
	return (ol->flags | ol->gso_type) != 0;
}

/* Judges what the sender asked for: known gso_type, gso_size not 0, NEEDS_CSUM with GSO, checksum
 * start and field inside the frame and inside what can be made private (FRAME_HEAD_MAX), IP and L4
 * headers that match the gso_type. The field must be the checksum of the L4 header or lie behind
 * that header (tunnels): completing it never changes an address or a port that was judged. Makes all
 * those headers private. DROP_NONE or DROP_OFFLOAD_BAD. On DROP_NONE ol.hdr_len is the true length
 * of the headers for GSO frames, and what means nothing is 0: unknown flags, DATA_VALID (no driver
 * may set it, virtio 1.2, 5.1.6.2.1), fields of a request that is not made. Before or after frame_parse: a tag that is still in is stepped over, and
 * frame_parse moves what was found here along with the rest. */
enum drop offload_check(struct frame *f, const uint8_t *room_end);

/* Can a receiver with these caps take the frame as it is? One without CAP_CSUM is not told that a
 * checksum was found valid either. */
bool offload_fits(const struct frame *f, unsigned caps);

/* Completes a partial checksum in the private head, when one is asked for, and clears the request (a
 * checksum of 0 becomes 0xffff for UDP). The frame passed offload_check and is not GSO. */
void offload_csum(struct frame *f);

/* Software segmentation of a frame that passed offload_check. Each gso_next fills `out` with one
 * complete frame (checksums done, sequence numbers, IP ids, lengths, flags as a NIC would; FIN and
 * PSH only on the last, CWR only on the first); its head is in the iterator, its payload refers to
 * the original's. Frames are valid until the next call. UDP fragmentation (UFO) makes IP fragments
 * with IPv4 and IPv6; gso_size then counts IP payload, in whole units of 8. Checksums build on what
 * the sender left in the checksum field, the sum of the pseudo-header (virtio 1.2, 5.1.6.2). */
enum {
	/* Frames out of one: what a 64 KiB frame gives at an MSS of 32, below which no stack goes. A
	 * guest that asks for more would have weir send 65,000 frames for one of its own. */
	GSO_FRAMES_MAX = 2048,
};

struct gso {
	const struct frame *f;
	uint32_t off; /* next payload byte of the original frame */
	uint32_t size; /* payload bytes of each frame but the last */
	uint32_t seg_off; /* where in the original's segs `off` is */
	uint16_t seg;
	uint16_t start; /* offset of the payload in the original */
	uint16_t hdr; /* bytes of headers of each frame */
	uint16_t index;
	uint16_t count;
	uint16_t csum; /* UFO: of the whole datagram, as it lies in memory */
	struct seg segs[FRAME_SEGS_MAX];
	uint8_t head[FRAME_HEAD_MAX];
};

/* How many frames gso_next will give, at most GSO_FRAMES_MAX; 0 when the frame cannot be segmented:
 * too many frames, or headers that leave no room. */
unsigned gso_begin(struct gso *g, const struct frame *f);
bool gso_next(struct gso *g, struct frame *out);

#endif
