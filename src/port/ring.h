/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_PORT_RING_H
#define WEIR_PORT_RING_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_ring.h>

#include "frame/frame.h"
#include "port/gmem.h"
#include "port/port.h"

/* One ring of a guest, split or packed, walked by weir (virtio 1.2, sections 2.7 and 2.8).
 *
 * Whoever touches a ring holds its lock (struct vhost_rx / vhost_tx in vhost.h). Everything read from
 * guest memory is read once into private memory and checked there: an index, a descriptor, a
 * header. What breaks the rules of virtio is a fault: the ring goes still, and the control thread
 * closes the port with the sentence that ring_fault was given.
 *
 * Descriptors come back in the order in which they were taken, always: that is what makes the used
 * index alone enough to go on after weir was killed.
 *
 * Pulling (guest transmits): ring_take collects up to a batch of chain heads, ring_pull turns them
 * into frames, ring_return writes them into the used ring and publishes.
 * Pushing (guest receives): a window of receive buffers is kept translated and prefetched a batch
 * ahead; ring_put copies a frame into one or more of them and stages the used entries,
 * ring_publish makes them visible. */

enum {
	RING_WINDOW = 128,
	RING_WINDOW_SEGS = 2048,
	/* Descriptors of a chain, empty ones and those of its indirect table too. Linux's longest has 47
	 * (MAX_SKB_FRAGS of 45, and two), DPDK's one a segment of the mbuf. */
	RING_CHAIN_MAX = 256,
	/* Descriptors of chains that are followed, and buffers that frames are spread over, for one batch: a
	 * full one of Linux's longest chains. Whatever a guest makes of its rings, a turn with them is no
	 * longer than that. */
	RING_STEPS_MAX = BATCH_MAX * 48,
	/* What a buffer costs of them that a frame goes on into: it is taken and given back. The longest
	 * batch, of 160 KiB, fits into buffers of 128 bytes and more. */
	RING_STEPS_BUFFER = 2,
};

#define STAGE_LATER (1u << 31) /* in a staged length: not the first buffer of its frame */

struct vhost_dev;

/* A chain of descriptors taken from a ring, most often of one: its head, and where that lies. */
struct chain {
	union {
		uint64_t addr;
		struct {
			uint16_t nsegs,
				seg; /* in the window, of several pieces: which of the segs */
		};
	};
	uint32_t
		len; /* bytes in the first piece; in the window 0 when it is of several: the segs */
	uint16_t flags;
	uint16_t pos; /* split: the next descriptor; packed: slot of the head */
	uint8_t *p; /* the first piece; NULL: nowhere, or a chain to be followed */
	uint32_t
		left; /* bytes that may be touched from p on; in the window: bytes in all pieces; if
	                * there are more than UINT32_MAX, that */
	uint16_t id;
	uint16_t ndesc; /* packed: slots */
};

struct ring {
	/* Constant while the ring is active. */
	union {
		struct vring_desc *desc;
		struct vring_packed_desc *pdesc;
	};
	union {
		struct vring_avail *avail;
		struct vring_packed_desc_event *driver_event;
	};
	union {
		struct vring_used *used;
		struct vring_packed_desc_event *device_event;
	};
	const struct gmem *mem;
	struct vhost_dev *dev;
	uint16_t size;
	uint16_t index; /* of the protocol: 2 x pair (guest receives), 2 x pair + 1 (transmits) */
	uint8_t hdr_len; /* 10 or 12 */
	bool packed, event_idx, indirect, mergeable;
	uint8_t caps; /* enum offload_cap the guest can receive */
	uint32_t len_max; /* longest frame that is no segmentation frame */
	int callfd;

	/* Where we are. */
	uint16_t last_avail; /* next to take */
	uint16_t last_used; /* next to give back */
	uint16_t signalled; /* last_used when the guest was last told */
	bool avail_wrap, used_wrap; /* packed */
	bool signalled_valid;
	bool news; /* published since the guest was last thought of */
	uint16_t avail_seen; /* split: available index when it was last read */
	uint16_t staged; /* used entries written, not yet published */
	uint16_t steps; /* for the batch under way; more than RING_STEPS_MAX end it */

	/* Packed rings publish by rewriting descriptors, so used elements wait here. */
	struct {
		uint16_t id, ndesc;
		uint32_t len; /* with STAGE_LATER */
	} * stage;

	/* Pulling: what the batch under way holds. */
	uint16_t ntaken;
	struct chain taken[BATCH_MAX];
	uint16_t ids[BATCH_MAX]; /* split: theirs, side by side as the used ring wants them */

	/* Pushing: buffers not used yet are win[head..head+count). */
	bool windowed; /* the window has been touched since it was forgotten */
	uint16_t head, count, nsegs;
	struct chain win[RING_WINDOW];
	struct seg segs[RING_WINDOW_SEGS];
};

/* Records the first fault of the device (a sentence) and stills its rings; the rest is the control
 * thread's. Called by workers with the ring's lock held. */
void ring_fault(struct ring *v, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

/* Reads up to `budget` frames into `b`. 0 when there are none, or after a fault. */
unsigned ring_pull(struct ring *v, struct batch *b, unsigned budget);
/* Of what ring_pull took, leaves the frames from `from` on in the ring: the next batch begins with
 * them. */
void ring_keep(struct ring *v, unsigned from);
/* Gives back what ring_pull took, visible to the guest at once. */
void ring_return(struct ring *v);

/* Copies frames from the first on, one buffer each, as long as they are plain: nothing asked for, no
 * longer than the MTU, a buffer of one piece waiting that is long enough. Returns how many, and adds
 * their bytes to *bytes. */
unsigned ring_put_plain(struct ring *v, const struct tx_item *it, unsigned n, uint64_t *bytes);
/* Copies any frame that the receiver can take as it is, into as many receive buffers as it needs.
 * DROP_NONE, DROP_RING_FULL, or DROP_TOO_BIG. */
enum drop ring_put(struct ring *v, const struct frame *f, uint32_t tag);
/* Has the window at least `want` buffers, or all the guest offers? Translates and prefetches. */
void ring_fill(struct ring *v, unsigned want);
void ring_publish(struct ring *v);

/* Does the guest want to be told about what was published since the last call? Comes after a full
 * memory fence behind the publication, or both sides could wait for each other. */
bool ring_wants_call(struct ring *v);

/* Asks the guest to kick on new descriptors, or not to. arm: true when there are some already. */
bool ring_arm(struct ring *v);
void ring_disarm(struct ring *v);

/* Forgets the window, as if its buffers had never been taken, and every address that was in it. */
void ring_unwind(struct ring *v);
/* Position as the protocol's SET_VRING_BASE has it. */
uint16_t ring_base(const struct ring *v);
void ring_set_base(struct ring *v, uint16_t base);

/* Puts back the last `n` chains that were taken, 1 or more, of which `from` is the first. */
void ring_untake(struct ring *v, const struct chain *from, unsigned n);

/* By kind of ring. */
/* Take up to `budget` (of BATCH_MAX) chains into `to`, find their first buffers and prefetch them,
 * `write` for writing. */
unsigned split_take(struct ring *v, struct chain *to, unsigned budget, bool write);
/* Find the pieces of chain `t`; as ring_translate, -2 also for more than RING_CHAIN_MAX descriptors. */
int split_gather(
	struct ring *v, const struct chain *t, bool writable, struct seg *segs, unsigned max);
void split_return(struct ring *v);
void split_publish(struct ring *v);
unsigned split_offered(struct ring *v);
unsigned packed_take(struct ring *v, struct chain *to, unsigned budget, bool write);
int packed_gather(
	struct ring *v, const struct chain *t, bool writable, struct seg *segs, unsigned max);
void packed_return(struct ring *v);
void packed_publish(struct ring *v);
bool packed_offered(const struct ring *v);
/* Finds the position of a packed ring again from the flags of its descriptors: front ends do not know
 * it after weir was killed. False: they make no sense. */
bool packed_recover(struct ring *v);

/* Bytes that are there as a 32-bit number, which never is more than that. */
static inline uint32_t len_most(uint64_t bytes) {
	return bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

/* Finds the buffer of a plain descriptor and brings its first two lines near. */
static inline void chain_locate(
	const struct gmem *m, struct gmem_region *near, struct chain *t, bool write) {
	uint64_t left = 0;
	uint8_t *p = NULL;
	const void *second;

	if (__builtin_expect((t->flags & (VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT)) == 0, 1))
		p = gmem_near(m, near, t->addr, &left);
	t->p = p;
	t->left = len_most(left);
	second = (const void *)((uintptr_t)p + 64); // as a number: p may be NULL
	if (write) {
		__builtin_prefetch(p, 1);
		__builtin_prefetch(second, 1);
	} else {
		__builtin_prefetch(p);
		__builtin_prefetch(second);
	}
}

/* One whole piece of guest memory, for the device to read (or to write, when `write`)? NULL has 0
 * bytes left. */
static inline bool chain_plain(const struct chain *t, bool write) {
	return (t->flags & VRING_DESC_F_WRITE) == (write ? VRING_DESC_F_WRITE : 0) &&
	       t->left >= t->len;
}

/* Appends guest memory [addr, addr+len) to segs, splitting where it crosses regions. New count, or
 * -1 after a fault, or -2 when `max` is not enough. */
int ring_translate(
	struct ring *v, uint64_t addr, uint32_t len, struct seg *segs, unsigned n, unsigned max);
/* Follows an indirect table of `len` bytes at `addr`, `taken` descriptors into its chain; as
 * ring_translate, -2 also for more than RING_CHAIN_MAX descriptors in all. Both ring kinds use it:
 * split tables are chained, packed ones run in order. */
int ring_indirect(struct ring *v, uint64_t addr, uint32_t len, bool writable, struct seg *segs,
	unsigned n, unsigned max, unsigned taken);

#endif
