/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_PORT_TAP_H
#define WEIR_PORT_TAP_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "port/port.h"

/* Inside of the TAP kind: tap.c is the port, tap_io.c moves its frames, tap_dev.c makes and steers
 * the device. Only these, their tests and bench/frame_tap.c, which wants the device alone, include this. */

struct sd_event_source;

enum {
	TAP_VNET_HDR = 12, /* struct virtio_net_hdr_v1, also without mergeable buffers */
	/* Private bytes of a frame: Ethernet, tag, IPv6 and TCP with every option fit. */
	TAP_HEAD = 128,
	/* Payload of one batch, each frame from a new line of the cache on: the last may be a segmentation
	 * frame of 64 KiB. */
	TAP_ARENA = BATCH_BYTES + BATCH_MAX * 64 + FRAME_LEN_MAX,
	/* Asking an empty queue is a system call, which costs a busy worker what several frames of
	 * another port cost. How long it is then left alone doubles from one microsecond to this: at
	 * most one percent of a CPU for each idle queue. */
	TAP_QUIET_MAX_US = 32,
};

/* A frame as the kernel gave it. */
struct tap_slot {
	uint8_t hdr[TAP_VNET_HDR];
	uint32_t len; /* bytes behind the header */
	uint32_t at; /* in the arena's payload: those behind TAP_HEAD */
	uint8_t head[TAP_HEAD];
};

struct tap_arena {
	struct tap_slot slot[BATCH_MAX];
	uint8_t payload[TAP_ARENA];
};

struct tap_queue {
	struct tap *tap;
	int fd; /* /dev/net/tun, attached, non-blocking */
	struct tap_arena *arena;
	uint16_t next, filled; /* slots [next, filled) hold frames that rx has still to give */
	uint64_t quiet_until; /* TSC; found empty, not asked again before; 0: ask at once */
	uint64_t quiet; /* cycles, how long that was the last time */
	struct rxq rx;
	struct txq tx;
};

/* Control thread only, but for `caps` and `us`, which do not change while workers run. */
struct tap {
	struct port *port;
	char ifname[IFNAMSIZ]; /* as configured; the device may have been renamed since */
	char name[IFNAMSIZ]; /* as last seen */
	int ifindex; /* in the namespace that `ctl` talks to */
	char *netns; /* as configured, NULL: the daemon's own */
	bool created; /* by us: goes with the last fd */
	bool existing; /* is to be there; none is made */
	bool gone; /* device removed, or `ns_gone`; for good */
	bool ns_gone;
	dev_t home_dev; /* the namespace where the device was found or made */
	ino_t home_ino;
	bool named; /* that is the one `netns` stands for, and the device never left it */
	bool moved; /* it is in another now */
	bool multi_queue; /* the device's flag */
	bool link_down; /* administratively, by the configuration */
	uint16_t mtu; /* by the configuration */
	struct tap_righting {
		uint64_t last_us,
			wait_us; /* when something was put right, and how long nothing is after */
		bool failed; /* it could not be, and that was said */
	} righting;
	unsigned caps; /* enum offload_cap, what TUNSETOFFLOAD took */
	uint64_t us; /* TSC cycles of a microsecond */
	unsigned queues;
	int ctl; /* a socket of the device's namespace, for ioctls; -1: out of our reach */
	int events; /* rtnetlink, link changes of that namespace; -1: nobody listens, or gone */
	struct sd_event_source *source;
	struct tap_queue *q[QUEUES_MAX];
};

static inline struct tap_queue *tap_of_rx(struct rxq *q) {
	return (struct tap_queue *)((char *)q - offsetof(struct tap_queue, rx));
}

static inline struct tap_queue *tap_of_tx(struct txq *t) {
	return (struct tap_queue *)((char *)t - offsetof(struct tap_queue, tx));
}

/* -EINVAL with a sentence when no interface can be called so. */
int tap_check_name(const char *name, struct err *e);

/* Makes the device or attaches to it: fills created, multi_queue, caps, ctl, the q[i]->fd, and
 * events when `watch`. On failure everything is closed again. -ENOENT: no such namespace or no
 * /dev/net/tun; -EPERM; -EBUSY: in use; -EEXIST: not a TAP; -EINVAL: name or queues. */
int tap_dev_open(struct tap *t, bool watch, struct err *e);
void tap_dev_close(struct tap *t);

/* Both do nothing when it is so already, so that a user without CAP_NET_ADMIN can own a device that
 * was prepared for him. */
int tap_dev_set_mtu(struct tap *t, unsigned mtu, struct err *e);
int tap_dev_set_up(struct tap *t, bool up, struct err *e);

struct tap_dev_state {
	char name[IFNAMSIZ]; /* its name now */
	unsigned flags; /* IFF_* */
	unsigned mtu;
	bool carrier;
	bool hidden; /* in a namespace out of our reach: counts as up, and nothing can be set */
};

/* -ENODEV when the device is gone. A device that was moved to another namespace is followed there. */
int tap_dev_state(struct tap *t, struct tap_dev_state *out);

/* Who has the device of this name in our namespace attached: "pid 4711 (qemu-system-x86)", or "another
 * program" when that cannot be found out. Returns buf. */
char *tap_owner(const char *ifname, char *buf, size_t size);

/* Does the name of the namespace stand for another one now, or for none? A process's path (below
 * /proc) that is not there any more is no sign: the namespace may live on without that process. */
bool tap_dev_ns_gone(const struct tap *t);

/* Of a device that is gone: puts sockets on which nothing ever comes in the place of its
 * descriptors. Those would be readable for ever and keep workers awake, and hold the namespace. */
void tap_dev_let_go(struct tap *t);

/* NULL: no memory. */
struct tap_arena *tap_arena_new(void);
void tap_arena_free(struct tap_arena *arena);

/* The workers' half of tap_port_ops. */
unsigned tap_rx(struct rxq *q, struct batch *b, unsigned budget);
void tap_rx_keep(struct rxq *q, struct batch *b, unsigned from);
void tap_rx_done(struct rxq *q, struct batch *b);
void tap_rx_end(struct rxq *q);
bool tap_tx_begin(struct txq *t);
void tap_tx(struct txq *t, const struct tx_item *it, unsigned n);
void tap_tx_publish(struct txq *t);
void tap_tx_end(struct txq *t);
bool tap_arm(struct rxq *q);
void tap_disarm(struct rxq *q);
int tap_fd(struct rxq *q);

#endif
