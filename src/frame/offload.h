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
	/* Payload of a segment that any path carries: IPv4 over the least MTU that hosts must take, 576
	 * (RFC 791), with 36 bytes of TCP options (RFC 879). Smaller ones cost the same each and bring
	 * less: */
	GSO_SIZE_FULL = 500,
	/* frames cut out of one are no more than 64 KiB give in full segments. A guest that asks for more
	 * would have weir send 65,000 frames for one of its own. */
	GSO_FRAMES_MAX = (FRAME_LEN_MAX + GSO_SIZE_FULL - 1) / GSO_SIZE_FULL,
	/* Fragments of a datagram: 64 KiB over the least MTU of IPv6, 1280, make 54. To a TAP, which
	 * takes none that is whole, so many system calls are a full batch. */
	GSO_FRAGMENTS_MAX = 64,
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
	uint16_t count; /* frames that the whole of the original makes */
	uint16_t limit; /* of those, how many are given */
	enum drop why; /* what becomes of the rest of the original, or of all of it; DROP_NONE */
	uint16_t csum; /* UFO: of the whole datagram, as it lies in memory */
	struct seg segs[FRAME_SEGS_MAX];
	uint8_t head[FRAME_HEAD_MAX];
};

/* How many frames gso_next will give. Of TCP the first GSO_FRAMES_MAX: it sends the rest again, and
 * g->why is DROP_SEGMENT_LIMIT for it. 0 when the frame is not segmented, with g->why: a datagram of more
 * than GSO_FRAGMENTS_MAX, which are worth nothing without the rest, or headers that leave no room
 * (DROP_SEGMENT_FAILED). */
unsigned gso_begin(struct gso *g, const struct frame *f);
bool gso_next(struct gso *g, struct frame *out);

/* About how many frames that is, never too few. For frames that passed offload_check and are GSO. */
static inline unsigned gso_estimate(const struct frame *f) {
	const unsigned size = f->ol.gso_size >= 8 ? f->ol.gso_size & ~7u : 1;
	const unsigned n = (f->len + size - 1) / size;

	return n < GSO_FRAMES_MAX ? n : GSO_FRAMES_MAX;
}

#endif
