/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_FRAME_PORT_H
#define WEIR_BENCH_FRAME_PORT_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

/* Where the frame generator's frames leave and the sink's arrive. One file a kind:
 *
 *   if:NAME, if:NS/NAME      an interface that is there, by AF_PACKET (frame_packet.c)
 *   tap:NAME, tap:NS/NAME    the user side of a TAP, made when it is not there (frame_tap.c)
 *   xdp:NAME, xdp:NS/NAME    an interface that is there, by AF_XDP (frame_xdp.c)
 *   vhost-user:PATH[,server] as a guest: virtio-user (frame_dpdk.c, as the one below)
 *   dpdk:ARGS                any device of the DPDK drivers linked in: 0000:01:00.0, net_ring0
 *
 * A port is opened and closed by one thread; each of its send queues then belongs to one thread, and
 * receiving to one (another). Nothing here waits. */

struct err;
struct frame_port;

enum {
	FRAME_BATCH = 32,
	FRAME_QUEUES_MAX = 16,
	FRAME_MIN = 60, /* without FCS */
	FRAME_MAX = 9018,
};

/* Frames on their way through a driver: data and length are the engine's, token the driver's. */
struct frame_batch {
	void *token[FRAME_BATCH];
	uint8_t *data[FRAME_BATCH];
	uint16_t len[FRAME_BATCH];
};

/* What a trial wants of a port. */
struct frame_port_want {
	unsigned queues; /* to send on, 1..FRAME_QUEUES_MAX; 0: it only receives */
	unsigned frame_max; /* the longest frame, FRAME_MIN..FRAME_MAX */
};

struct frame_kind {
	const char *prefix; /* "if" */
	const char *form; /* "if:[NS/]NAME", for sentences */
	bool eal; /* wants DPDK's runtime, and threads it knows */
	int (*open)(struct frame_port *p, const char *rest, struct err *e);
	void (*close)(struct frame_port *p);
	/* Fills b->data with up to n (at most FRAME_BATCH) buffers of frame_max bytes; what lies behind
	 * the first FRAME_MIN bytes is zero. How many. Each lend is followed by a send. */
	unsigned (*lend)(struct frame_port *p, unsigned queue, struct frame_batch *b, unsigned n);
	/* Those lent; how many were taken, in order: the others are not sent, and all
	 * buffers are the driver's again. A negative errno: the port is gone. */
	int (*send)(struct frame_port *p, unsigned queue, struct frame_batch *b, unsigned n);
	/* What has arrived, at most FRAME_BATCH; len is that of the frame, and its first FRAME_MIN bytes
	 * lie at data. release() gives the buffers back. A negative errno: the port is gone. */
	int (*receive)(struct frame_port *p, struct frame_batch *b);
	void (*release)(struct frame_port *p, struct frame_batch *b, unsigned n);
	/* Frames that arrived since the port was opened and were lost because nobody took them in time,
	 * as far as the driver can tell. */
	uint64_t (*missed)(struct frame_port *p);
	/* Frames sent that the other end has not taken yet, which are lost when the port is closed; by any
	 * thread once all that send have ended. NULL: there are none, or the driver cannot tell. */
	unsigned (*waiting)(struct frame_port *p);
	/* Is it still there? 0, or a negative errno. Asked a few times a second, by any thread. */
	int (*check)(struct frame_port *p);
};

struct frame_port {
	const struct frame_kind *kind;
	char *name; /* as given */
	struct frame_port_want want;
	uint8_t mac[6]; /* frames to no other reach it; all zero: all do */
	uint64_t link; /* bit/s of the medium behind it; 0: there is none, or it is not known */
	void *own; /* the kind's */
};

extern const struct frame_kind frame_packet, frame_tap, frame_vhost_user, frame_xdp, frame_dpdk;

/* The kind of a name; NULL with a sentence. */
const struct frame_kind *frame_kind_of(const char *name, struct err *e);

/* Opens the port and waits up to ten seconds for its link to come up; as a vhost-user server it waits
 * until the switch comes, or bench_stopped. 0; -EINVAL: a name that means
 * nothing; -ENOENT, -EPERM, -EBUSY and others, each with a sentence that begins with the name. Ports
 * whose kind has `eal` want frame_eal_start before. */
int frame_port_open(struct frame_port **out, const char *name, const struct frame_port_want *want,
	struct err *e);
void frame_port_close(struct frame_port *p);

/* Starts DPDK's runtime, once for the process, with memory for `ports` ports of such frames: on huge
 * pages when there are enough free ones, else without. `pci`: look for PCI devices. The threads it
 * starts are its own; frame_eal_thread makes the calling one known to it (before lend and send), and
 * frame_eal_thread_end, before it ends, gives back the buffers that were kept for it. */
int frame_eal_start(unsigned ports, unsigned frame_max, bool pci, struct err *e);
void frame_eal_thread(void);
void frame_eal_thread_end(void);
/* Is the device one of PCI? 0: no; 1: yes, and DPDK may have it; -ENODEV or -EBUSY with a sentence: there
 * is none, or the kernel has it. `args` is the name without "dpdk:". */
int frame_dpdk_pci(const char *args, struct err *e);
/* What memory it got, for the result: "hugepages", "ordinary pages"; NULL: not started. */
const char *frame_eal_memory(void);

/* "NS/NAME" or "NAME": the part before the last slash (NULL: none; the caller frees) and the name. */
int frame_split_ns(const char *rest, char **ns, const char **name, struct err *e);

/* The interface of this name, whichever of its names that is: its index, and in `own` the one that ioctls
 * know. A negative errno with a sentence: there is none, it is down, or its frames are not long enough. */
int frame_find_interface(const char *name, unsigned frame_max, char own[IFNAMSIZ], struct err *e);

/* The speed in bit/s of an interface that is a device on a bus; 0: it has none. Interfaces of software name a
 * speed, too, at which nothing is sent. */
uint64_t frame_link_speed(const char *name);

#endif
