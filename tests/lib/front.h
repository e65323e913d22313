/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_FRONT_H
#define WEIR_TESTS_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

/* A vhost-user front end of our own: what QEMU and the guest's virtio-net driver are to the switch,
 * in one small library without DPDK. Sources: QEMU docs/interop/vhost-user.rst for the socket,
 * virtio 1.2 sections 2.7 (split rings), 2.8 (packed rings) and 5.1 (network device).
 *
 * Two kinds of user. Honest ones call front_open, front_send, front_recv, front_close. Liars take
 * the same steps one by one (front_connect, front_negotiate, front_set_memory, ...), and change what
 * they like in between: every field of every struct here is theirs to write, rings and buffers are
 * plain memory, and front_message and front_raw put any bytes and descriptors on the socket.
 *
 * "RX" and "TX" are the guest's here, as in the virtio specification: pair i has ring 2i to receive
 * and ring 2i+1 to send. Functions return 0 (or a count) or a negative errno, and leave a sentence
 * in front.why. A front belongs to one thread, but different rings of it may be used by different
 * threads once it has started. */

enum {
	FRONT_PAIRS_MAX = 16,
	FRONT_RINGS_MAX = 2 * FRONT_PAIRS_MAX,
	FRONT_REGIONS_MAX = 8, /* what one SET_MEM_TABLE can carry */
	FRONT_CHAIN_MAX = 256, /* descriptors of one buffer */
};

/* Requests of the protocol, by their number on the wire. */
enum front_request {
	FRONT_GET_FEATURES = 1,
	FRONT_SET_FEATURES = 2,
	FRONT_SET_OWNER = 3,
	FRONT_RESET_OWNER = 4,
	FRONT_SET_MEM_TABLE = 5,
	FRONT_SET_LOG_BASE = 6,
	FRONT_SET_VRING_NUM = 8,
	FRONT_SET_VRING_ADDR = 9,
	FRONT_SET_VRING_BASE = 10,
	FRONT_GET_VRING_BASE = 11,
	FRONT_SET_VRING_KICK = 12,
	FRONT_SET_VRING_CALL = 13,
	FRONT_SET_VRING_ERR = 14,
	FRONT_GET_PROTOCOL_FEATURES = 15,
	FRONT_SET_PROTOCOL_FEATURES = 16,
	FRONT_GET_QUEUE_NUM = 17,
	FRONT_SET_VRING_ENABLE = 18,
	FRONT_NET_SET_MTU = 20,
	FRONT_GET_INFLIGHT_FD = 31,
	FRONT_SET_INFLIGHT_FD = 32,
};

enum { /* flags of a message */
	FRONT_VERSION = 1,
	FRONT_REPLY = 4,
	FRONT_NEED_REPLY = 8,
};

#define FRONT_BIT(n) (1ULL << (n))

/* Feature bits of the socket itself. */
#define FRONT_F_PROTOCOL       FRONT_BIT(30)
#define FRONT_P_MQ             FRONT_BIT(0)
#define FRONT_P_REPLY_ACK      FRONT_BIT(3)
#define FRONT_P_MTU            FRONT_BIT(4)
#define FRONT_P_INFLIGHT_SHMFD FRONT_BIT(12)
#define FRONT_P_ALL            (FRONT_P_MQ | FRONT_P_REPLY_ACK | FRONT_P_MTU | FRONT_P_INFLIGHT_SHMFD)

/* What a plain driver wants: no offloads, mergeable buffers. */
#define FRONT_F_PLAIN (FRONT_BIT(VIRTIO_F_VERSION_1) | FRONT_BIT(VIRTIO_NET_F_MRG_RXBUF))
/* Everything a checksumming, segmenting driver like Linux's wants. */
#define FRONT_F_OFFLOADS                                                                  \
	(FRONT_BIT(VIRTIO_NET_F_CSUM) | FRONT_BIT(VIRTIO_NET_F_GUEST_CSUM) |              \
		FRONT_BIT(VIRTIO_NET_F_GUEST_TSO4) | FRONT_BIT(VIRTIO_NET_F_GUEST_TSO6) | \
		FRONT_BIT(VIRTIO_NET_F_GUEST_ECN) | FRONT_BIT(VIRTIO_NET_F_HOST_TSO4) |   \
		FRONT_BIT(VIRTIO_NET_F_HOST_TSO6) | FRONT_BIT(VIRTIO_NET_F_HOST_ECN))

struct front_message {
	uint32_t request, flags, size; /* size: bytes of payload */
	union {
		uint64_t u64;
		struct {
			uint32_t index, num;
		} state;
		struct {
			uint32_t index, flags;
			uint64_t desc, used, avail, log;
		} addr;
		struct {
			uint32_t nregions, padding;
			struct {
				uint64_t gpa, size, uva, offset;
			} region[FRONT_REGIONS_MAX];
		} memory;
		struct {
			uint64_t size, offset;
			uint16_t queues, ring_size;
		} inflight;
		uint8_t bytes[1024];
	};
} __attribute__((packed));

enum { FRONT_HEADER = 12 }; /* bytes of a message before its payload */

/* A piece of guest memory: one memfd, mapped here and, after front_set_memory, in the switch. */
struct front_region {
	uint64_t gpa; /* guest-physical address, what descriptors contain */
	uint64_t size; /* bytes */
	uint8_t *map; /* here; also the "userspace address" that SET_VRING_ADDR speaks of */
	int fd;
	size_t used; /* bytes given out by front_alloc */
};

/* One descriptor of a buffer to be. */
struct front_piece {
	uint64_t addr; /* guest-physical */
	uint32_t len;
	bool write; /* the device writes here */
};

struct front_ring {
	uint16_t index; /* the protocol's: 2 * pair, + 1 for TX */
	uint16_t size; /* descriptors */
	bool packed, event_idx, in_order;
	int kick, call; /* eventfds */

	/* Split rings. */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	/* Packed rings. */
	struct vring_packed_desc *pdesc;
	struct vring_packed_desc_event *driver, *device;
	/* What SET_VRING_ADDR announces: userspace addresses of the three areas above. */
	uint64_t desc_uva, driver_uva, device_uva;

	/* Where the driver is: free-running (split) or a position in the ring (packed). */
	uint16_t next_avail, next_used;
	bool avail_wrap, used_wrap; /* packed */
	uint16_t
		unpublished; /* put, not yet shown (split: buffers) or kicked for (packed: places) */
	uint16_t places; /* free descriptors */

	/* Ids of free buffers (split: of free descriptors), first in, first out, so that an in-order
	 * device meets them in ring order as virtio 1.2, 2.7.9 wants. */
	uint16_t *ids, first_free, nfree;
	uint16_t *length; /* by id: descriptors it took */
	uint16_t *order; /* in-order devices: ids in the order they were made available */
	uint16_t order_head, order_tail;
	bool in_run; /* the last used entry stands for buffers up to run_end, not all taken yet */
	uint16_t run_end;

	/* Buffer `id` is buffer_size bytes at buf[id], in the guest's eyes at buf_gpa[id]. */
	uint8_t **buf;
	uint64_t *buf_gpa;
	uint32_t buffer_size;
	struct vring_desc *table; /* indirect tables, FRONT_CHAIN_MAX entries an id; or NULL */
	uint64_t table_gpa;

	int64_t base; /* where the switch said it stopped; -1: it has not said */
	uint64_t kicks, calls; /* sent, received */
};

/* All zero but path is a good choice: one pair, split rings of 256, plain features. */
struct front_options {
	const char *path;
	bool listen; /* be the socket's server (the switch is in client mode) */
	int timeout_ms; /* how long to try to connect, or to wait for the client; 0: once / 5 s */
	uint16_t pairs; /* 1..FRONT_PAIRS_MAX */
	uint16_t ring_size; /* power of two for split rings */
	uint64_t features; /* accepted where offered; FRONT_F_PROTOCOL is added; 0: FRONT_F_PLAIN */
	uint64_t protocol; /* likewise; 0: FRONT_P_ALL */
	unsigned regions; /* of guest memory, adjacent in guest-physical space; 0: 1 */
	bool huge; /* on 2 MiB pages */
	uint32_t buffer_size; /* bytes of each buffer, virtio header included; 0: 2048 */
	uint32_t stride; /* from one buffer to the next; 0: buffer_size */
	unsigned chain; /* descriptors a sent frame is spread over; 0: 1 */
	bool header_alone; /* the virtio header in a descriptor of its own before those */
	bool indirect; /* sent through indirect tables */
	size_t extra; /* bytes for front_alloc(f, 0, ...) beyond what rings and buffers take */
	uint16_t mtu; /* told to the switch when it speaks MTU; 0: not told */
};

struct front {
	struct front_options o;
	int sock, listener;
	uint64_t features, protocol; /* negotiated; liars set them before front_set_features */
	uint64_t offered, offered_protocol;
	unsigned nregions;
	struct front_region region[FRONT_REGIONS_MAX];
	struct front_ring ring[FRONT_RINGS_MAX];
	unsigned nrings;
	unsigned header; /* bytes of the virtio header: 12, or 10 before VERSION_1 */
	int inflight_fd; /* region the switch keeps its in-flight descriptors in; -1: none */
	struct front_message inflight;
	char why[192];
};

/* --- Honest use ------------------------------------------------------------------------------ */

/* All steps up to running rings with receive buffers posted. On failure nothing is left behind. */
int front_open(struct front *f, const struct front_options *o);
/* Frees everything. Does not stop the rings first: to the switch the guest has died. */
void front_close(struct front *f);

/* Stops all rings as a driver reset does (disable, GET_VRING_BASE); the ring contents stay. */
int front_stop(struct front *f);
/* Gives the rings to the switch again, from where they stand. */
int front_start(struct front *f);
/* Drops the connection without a word. Memory, rings and in-flight region stay. */
void front_disconnect(struct front *f);
/* Connects anew with all of it, as QEMU does after the switch came back. */
int front_reconnect(struct front *f);

/* Queues a frame on the pair's TX ring; h may be NULL (no offloads). -EAGAIN: ring is full of frames
 * the switch has not yet taken; -EMSGSIZE. Nothing is visible before front_flush. */
int front_put(struct front *f, unsigned pair, const void *frame, size_t len,
	const struct virtio_net_hdr_v1 *h);
/* Shows the switch what was put, and kicks where it asked for it. */
void front_flush(struct front *f, unsigned pair);
/* front_put and front_flush. */
int front_send(struct front *f, unsigned pair, const void *frame, size_t len,
	const struct virtio_net_hdr_v1 *h);
/* Takes one frame off the pair's RX ring and posts its buffers again. Returns its length (bytes
 * beyond `room` are counted, not copied), -EAGAIN: none there, -EPROTO: the switch broke the rules
 * (the sentence says which). h may be NULL. */
int front_recv(
	struct front *f, unsigned pair, void *frame, size_t room, struct virtio_net_hdr_v1 *h);
/* Takes back what the switch has sent; returns how many frames. front_put does it when it must. */
int front_reap(struct front *f, unsigned pair);
/* Asks for an interrupt on the ring and sleeps until it comes or something is there. 1: something
 * is there, 0: timeout. Interrupts are off outside this call. */
int front_wait(struct front_ring *r, int timeout_ms);
static inline struct front_ring *front_rx(struct front *f, unsigned pair) {
	return &f->ring[2 * pair];
}
static inline struct front_ring *front_tx(struct front *f, unsigned pair) {
	return &f->ring[2 * pair + 1];
}

/* --- Step by step ---------------------------------------------------------------------------- */

/* front_open is: init, connect, negotiate, set_features, layout,
 * set_memory, set_inflight, start, post. */
int front_init(struct front *f, const struct front_options *o); /* memory and rings, no socket */
int front_connect(struct front *f);
int front_negotiate(struct front *f); /* asks what is offered; sets features and protocol */
int front_set_features(struct front *f); /* tells what was chosen, and the MTU */
void front_layout(struct front *f); /* empties the rings and lays them out for f->features */
int front_set_memory(struct front *f);
int front_set_inflight(struct front *f);
int front_set_ring(struct front *f, struct front_ring *r); /* size, base, addresses, kick, call */
int front_enable(struct front *f, struct front_ring *r, bool on);
int front_post(struct front *f); /* fills all RX rings with empty buffers, and kicks */

/* A UDP frame over IPv4 of `len` bytes (42 at least) from `src` to `dst` (six octets each), its IP
 * checksum right, its payload zero. */
void front_udp_frame(uint8_t *out, size_t len, const uint8_t *dst, const uint8_t *src);

/* Memory of the guest, zeroed; from region `region`. NULL when that is full. */
void *front_alloc(struct front *f, unsigned region, size_t size, size_t align);
uint64_t front_gpa(const struct front *f, const void *p); /* 0 when not of the guest's memory */

/* Cuts `len` bytes at `gpa` into the descriptors the options ask for: at most FRONT_CHAIN_MAX pieces at
 * p; returns how many. */
unsigned front_cut(const struct front *f, struct front_piece *p, uint64_t gpa, uint32_t len);

/* --- Rings ----------------------------------------------------------------------------------- */

/* Makes one buffer of n pieces; through an indirect table when `indirect`. Returns its id, -EAGAIN
 * when there is no room. A split ring shows it at front_ring_publish; a packed ring at once. */
int front_ring_put(struct front_ring *r, const struct front_piece *p, unsigned n, bool indirect);
/* The id the next front_ring_put will use, -EAGAIN: none. */
int front_ring_next(const struct front_ring *r);
/* Shows what was put and kicks if the switch wants to know. */
void front_ring_publish(struct front_ring *r);
void front_ring_kick(struct front_ring *r); /* kicks, wanted or not */
/* Takes one used buffer: its id, with the bytes written in *len (may be NULL). -EAGAIN: none,
 * -EPROTO: an id that was not given. */
int front_ring_take(struct front_ring *r, uint32_t *len);
bool front_ring_ready(const struct front_ring *r); /* is there one to take? */
/* Interrupts on, so that the next used buffer makes the switch write `call`; or off. */
void front_ring_interrupts(struct front_ring *r, bool on);
/* State as SET_VRING_BASE wants it: the next descriptor the switch should look at. */
uint32_t front_ring_base(const struct front_ring *r);

/* --- The socket ------------------------------------------------------------------------------ */

/* Sends a request of `size` bytes of payload with descriptors, asks for an acknowledgement where
 * REPLY_ACK is negotiated, and checks it. -EREMOTEIO: refused; -EPIPE, -ECONNRESET: gone. */
int front_message(struct front *f, struct front_message *m, const int *fds, unsigned nfds);
/* Sends a request that has an answer and waits for it; *fd gets a descriptor that came along. */
int front_ask(struct front *f, struct front_message *m, int *fd);
/* Puts bytes on the socket as they are. Returns how many went, or a negative errno. */
int front_raw(struct front *f, const void *bytes, size_t n, const int *fds, unsigned nfds);
/* Has the switch closed the connection? Waits up to timeout_ms for it; answers are thrown away. */
bool front_hung_up(struct front *f, int timeout_ms);

#endif
