/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_PORT_PORT_H
#define WEIR_PORT_PORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_spinlock.h>

#include "base/drop.h"
#include "frame/frame.h"

/* A port is where frames enter and leave: a kind, one or more queue pairs. RX is what the switch
 * receives from the VM, TX what it sends to it.
 *
 * Threads. The control thread opens, closes and asks; workers call rx*, tx_*, arm and disarm
 * and nothing else; librte_vhost's own thread starts and stops rings. An rxq is pulled by one worker
 * at a time (the one the snapshot gives it to); a txq may be pushed to by several, so tx_begin takes
 * its lock and tx_end leaves it. Locks are held for one batch at the longest. A port is closed only
 * after every worker has left the snapshot that named it (schedule/worker.h).
 *
 * A turn, as the worker runs it:
 *     n = rx(q, b, budget)            frames of one rxq, heads private, payload in place
 *     ... parse, verdict, group by out port (ascending port id, then queue: the lock order) ...
 *     rx_keep(q, b, from)             when that is more than a turn may cost: the rest stays
 *     tx_begin(t); tx(t, items, n)    copies into the receiver, publishes nothing yet
 *     rx_done(q, b)                   gives the sender its buffers back (published)
 *     tx_publish(t)                   shows the receiver what was copied
 *     ... one memory fence for all of them ...
 *     rx_end(q), tx_end(t)            interrupt those that asked for it, and unlock
 * rx_done comes before tx_publish so that a switch killed in between loses a frame of the batch but
 * never delivers one twice. (Only one may come twice then: a frame that is flooded to more receivers
 * than a turn serves stays with its sender until the last of several turns.) */

enum {
	PORT_NAME_MAX = 32,
	PORTS_MAX = 1024,
	QUEUES_MAX = 16,
	PORT_MTU_MIN = 68,
	PORT_MTU_MAX = 9000
};

struct port;
struct err;
struct sd_event;

enum port_kind { PORT_VHOST_USER, PORT_TAP };

/* What a port is made from; strings belong to the caller and are copied. */
struct port_spec {
	char name[PORT_NAME_MAX];
	enum port_kind kind;
	const char *path; /* vhost-user: socket path; tap: interface name */
	const char *netns; /* tap: name under /run/netns or a path; NULL: the daemon's own */
	const char *group; /* vhost-user server: group that may connect; NULL: none */
	bool client; /* vhost-user: connect instead of listen */
	bool link_down; /* administratively down */
	bool any_memory; /* vhost-user: guest memory may be a file of any kind */
	bool existing; /* tap: take the interface that is there, make none */
	uint16_t queues; /* pairs, 1..QUEUES_MAX */
	uint16_t mtu; /* PORT_MTU_MIN..PORT_MTU_MAX, bytes of layer 3 */
};

struct rx_counters {
	uint64_t frames, bytes, turns, cycles;
	uint64_t longest_turn, long_turns; /* its cycles; turns above TURN_CYCLES_MAX (worker.h) */
	uint64_t drops[DROP_COUNT]; /* reasons below DROP_TX_FIRST */
};

struct tx_counters {
	uint64_t frames, bytes, notifications;
	uint64_t segmented; /* frames cut in software, and frames whose checksum was computed */
	uint64_t checksummed;
	uint64_t drops[DROP_COUNT]; /* reasons from DROP_TX_FIRST on */
};

struct rxq {
	struct port *port;
	uint16_t index;
	atomic_bool active; /* has something to pull from; written under the kind's own lock */
	bool armed; /* the worker's own: it slept on this queue and has not pulled since */
	/* Between rx and rx_end: the first frame, a flood that the last turn did not finish, has gone to all
	 * ports with an id below this; 0: there is none. */
	uint16_t resume;
	uint16_t rest; /* rounds to sit out: the scheduler's own */
	uint64_t dealt; /* c.cycles when queues were last dealt; control thread only */
	int worker; /* index of the worker that pulls it, -1: none; control thread only */
	struct rx_counters c __attribute__((aligned(64))); /* written by the pulling worker only */
};

struct txq {
	struct port *port;
	uint16_t index;
	atomic_bool active;
	_Atomic uint8_t
		caps; /* enum offload_cap the receiver takes: to tell what a frame will cost */
	rte_spinlock_t lock;
	struct tx_counters c __attribute__((aligned(64))); /* written under the lock */
};

/* One frame for one receiver. */
struct tx_item {
	struct frame *f;
	uint32_t tag; /* 0: untagged; else TPID << 16 | TCI, to be put behind the MACs */
};

/* Why a port carries nothing, as users see it. */
enum port_state {
	PORT_UP, /* frames can flow */
	PORT_WAITING, /* no guest attached yet, or its driver has not started */
	PORT_DOWN, /* administratively or carrier down */
	PORT_SHUT, /* closed by weir because the other side broke the rules; reason says how */
};

struct port_status {
	enum port_state state;
	char reason[192]; /* one sentence, empty when up */
	char features[256]; /* negotiated, as words: "packed mrg-rxbuf csum tso4 ..." */
	char peer[96]; /* who is at the other end: "pid 4711 (qemu-system-x86)" */
	uint16_t active_pairs; /* queue pairs in use now */
	uint16_t ring_size; /* descriptors, 0 when none */
	uint16_t mtu; /* in force */
	char interface[16]; /* tap: what it is called now (IFNAMSIZ); else empty */
	uint64_t reconnects, shuts;
};

struct port_ops {
	const char *kind; /* "vhost-user", "tap" */
	/* What one frame to such a port costs beside its bytes, in plain copies to a guest: TURN_STEPS_MAX
	 * of schedule/push.h. */
	unsigned steps;

	/* Control thread. open fills what the kind needs; on failure nothing is left behind. set changes
	 * what can change in a running port (link, mtu): 0, or -ENOTSUP when it must be reopened. */
	int (*open)(struct port *p, const struct port_spec *s, struct err *e);
	int (*set)(struct port *p, const struct port_spec *s, struct err *e);
	void (*close)(struct port *p);
	void (*status)(struct port *p, struct port_status *out);
	/* Is what the port stood on taken away (its interface removed, its namespace gone), so that only
	 * opening it anew helps? Then it carries nothing any more and holds on to nothing; status says
	 * what happened. *existed: it was there before the port. NULL: that cannot happen. */
	bool (*gone)(struct port *p, bool *existed);
	/* Once a second: puts right what others may have spoilt (a socket file removed). NULL: nothing. */
	void (*look)(struct port *p);

	/* Workers. rx fills b (n, bytes, frames with private heads of at least 18 bytes where the frame
	 * has them) with at most budget <= BATCH_MAX frames, none that begins behind BATCH_BYTES bytes, and
	 * returns how many; frames that were refused at the door are in b with f->drop set, so that rx_done returns their buffers too. */
	unsigned (*rx)(struct rxq *q, struct batch *b, unsigned budget);
	/* Frames of the batch from `from` on are not this turn's: rx gives them again, first and in order. */
	void (*rx_keep)(struct rxq *q, struct batch *b, unsigned from);
	void (*rx_done)(struct rxq *q, struct batch *b);
	void (*rx_end)(struct rxq *q);

	/* tx_begin takes the lock; false (and no lock) when the queue is not active. tx delivers what it
	 * can and books the rest to c.drops; it may be called several times. tx_publish makes it visible;
	 * tx_end, a full memory fence later, notifies a receiver that asked for it (its descriptor lives
	 * as long as the lock is held) and unlocks. */
	bool (*tx_begin)(struct txq *t);
	void (*tx)(struct txq *t, const struct tx_item *it, unsigned n);
	void (*tx_publish)(struct txq *t);
	void (*tx_end)(struct txq *t);

	/* Before sleeping: asks the sender to kick. true when frames are there already (do not sleep).
	 * disarm takes it back. fd is what becomes readable on a kick, level-triggered, -1: none; the
	 * worker calls disarm (which drains it) after waking. */
	bool (*arm)(struct rxq *q);
	void (*disarm)(struct rxq *q);
	int (*fd)(struct rxq *q);
};

struct port {
	uint16_t
		id; /* 0..PORTS_MAX-1, stable while the port lives; chosen by the caller of port_open */
	uint16_t queues;
	uint16_t mtu;
	enum port_kind kind;
	const struct port_ops *ops;
	char name[PORT_NAME_MAX];
	struct rxq *rxq[QUEUES_MAX]; /* [0..queues), owned by the kind */
	struct txq *txq[QUEUES_MAX];
	/* Multi-queue: on which queue the guest last sent a flow, by low bits of frame_flow_hash; 0xff:
	 * not seen. NULL with one queue. Written by workers, relaxed: a stale answer is only a hash. */
	uint8_t *flow_queue;
	_Atomic uint16_t active_pairs;
	_Atomic uint8_t
		capture; /* captures of it: workers look before anything of that costs them */
};

enum { FLOW_QUEUES = 4096 };

/* What all ports of a process share. Set once by the control thread before the first port_open. */
struct port_env {
	struct sd_event *loop; /* the control thread's loop */
	void (*changed)(
		struct port *, void *arg); /* a ring came or went, a state changed: called on the
	                                      * control thread, from the loop */
	/* A front end comes (its first message is not read yet), or has gone. NULL: nobody asks. */
	void (*attached)(struct port *, bool attached, void *arg);
	void *arg;
};
void port_env_set(const struct port_env *env);
const struct port_env *port_env_get(void);

/* Makes a port. *out is NULL on failure. Errors are sentences without the port's name in front. */
int port_open(struct port **out, uint16_t id, const struct port_spec *s, struct err *e);
int port_set(struct port *p, const struct port_spec *s, struct err *e);
/* No worker may know the port any more. */
void port_close(struct port *p);
void port_status(struct port *p, struct port_status *out);
bool port_gone(struct port *p, bool *existed);
void port_look(struct port *p);
const char *port_state_name(enum port_state s);
const char *port_kind_name(enum port_kind k);

/* The queue on which a frame of this flow goes out: where the guest last sent it, else by hash,
 * among the active pairs. */
struct txq *port_pick_txq(struct port *p, struct frame *f, const uint8_t *room_end);
/* Remembers that the guest sent this flow on queue `index`. Only for ports with several queues. */
void port_note_flow(struct port *p, struct frame *f, const uint8_t *room_end, uint16_t index);

/* The two kinds there are. */
extern const struct port_ops vhost_port_ops, tap_port_ops;

#endif
