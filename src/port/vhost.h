/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_PORT_VHOST_H
#define WEIR_PORT_VHOST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include "base/listener.h"
#include "port/gmem.h"
#include "port/port.h"
#include "port/ring.h"
#include "port/vhost_session.h"

/* Inside of the vhost-user kind; only vhost*.c includes this.
 *
 *   front end ── door (control thread) ── librte_vhost (its own thread) ── device ── rings (workers)
 *
 * vhost.c          the port operations
 * vhost_door.c     the socket users see: who may come in, and when he has to go
 * vhost_cross.c    messages that cross to the library, and answers that come back
 * vhost_message.c, vhost_session.c  what a message may say, by itself and behind others
 * vhost_waits.c    what a port without a running queue waits for, as a sentence
 * vhost_twin.c     the folder of the sockets between weir and the library
 * vhost_device.c   the library's callbacks, and how it is made to connect
 * vhost_rings.c    rings are given to the workers and taken from them
 * vhost_call.c     the guest's interrupt
 * vhost_sigbus.c   a guest's memory file that shrinks under us
 * ring*.c          the rings */

enum { VHOST_RINGS_MAX = 2 * QUEUES_MAX, VHOST_MSG_MAX = 1024, VHOST_MSG_FDS = 8 };
enum { VHOST_POLL_US = 1000 }; /* a guest that does not kick is looked at so often, at least */

struct vhost_rx {
	struct rxq q;
	rte_spinlock_t lock; /* held from rx to rx_end, and by whoever starts or stops the ring */
	int kickfd; /* our duplicate, or a clock, where none is given; -1 while stopped */
	bool clocked;
	int epfd; /* holds kickfd, edge-triggered: what workers sleep on stays the same over restarts */
	struct ring v;
};

struct vhost_tx {
	struct txq q; /* with the lock */
	struct ring v;
};

struct sd_event_source;

/* The front end's connection and its twin to the library. Control thread only. */
struct door {
	struct listener listener; /* server mode */
	int front, back;
	struct sd_event_source *on_front, *on_back, *on_timer;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char twin[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* where the library connects */
	char group[32];
	bool client, link_down;
	bool any_memory;
	bool acks; /* by the last SET_PROTOCOL_FEATURES that passed: REPLY_ACK */
	uint64_t half_since; /* when the message being read began, CLOCK_MONOTONIC us */
	unsigned have; /* bytes of the message being read */
	unsigned nfds;
	int fds[VHOST_MSG_FDS];
	unsigned last; /* last request passed on */
	struct session session;
	uint8_t msg[VHOST_MSG_MAX];
};

struct vhost_dev {
	struct port *port;
	unsigned slot; /* names the port to the library; not the port's id */
	struct vhost_rx *rx[QUEUES_MAX];
	struct vhost_tx *tx[QUEUES_MAX];
	struct door door;
	struct closer_owner *owner; /* of what its front ends passed along */
	bool registered; /* with the library; control thread only */

	pthread_mutex_t mu; /* what follows; taken by the library's thread and the control thread */
	pthread_cond_t gone; /* vid became -1 */
	int vid; /* -1: the library knows no connection */
	bool running, has_mem;
	bool ready[VHOST_RINGS_MAX]; /* as the library sees the ring */
	bool started[VHOST_RINGS_MAX]; /* workers may have it */
	uint64_t features;
	struct gmem mem;

	/* Workers and the signal handler say what went wrong, once. */
	atomic_int fault_claimed;
	atomic_bool faulted, shrunk;
	char fault[192];
	int wake; /* eventfd: a fault, or rings came or went */
	struct sd_event_source *on_wake;

	/* Control thread. */
	char reason[192], peer[96];
	bool shut;
	uint64_t attaches, shuts;
};

/* The door. open: listens or begins to connect. closed: ends the connection (the reason, when not
 * NULL, is a shut). */
int door_open(struct vhost_dev *d, const struct port_spec *s, struct err *e);
void door_close(struct vhost_dev *d);
int door_set_link(struct vhost_dev *d, bool down, struct err *e);
void door_detach(struct vhost_dev *d, const char *reason);
/* Once a second. */
void door_look(struct vhost_dev *d);
/* A descriptor of a front end hangs at close; arg: the device. */
void door_hangs(void *arg);

/* A front end that ended by itself: a shut when a message was begun. `how`: "ended", "fell silent". */
void door_ended(struct vhost_dev *d, const char *how);
/* Ends the connection unless the rest of a message comes in time. */
void door_await_rest(struct vhost_dev *d);
uint64_t door_now_us(void); /* CLOCK_MONOTONIC */

/* The crossing: handlers of the event loop for both ends, and the end of a message that was begun. */
int cross_on_front(struct sd_event_source *s, int fd, uint32_t revents, void *arg);
int cross_on_back(struct sd_event_source *s, int fd, uint32_t revents, void *arg);
void cross_drop(struct vhost_dev *d);

/* The folder for d->door.twin, NULL: the error is set; each take has its give. */
const char *twin_dir_take(struct err *e);
void twin_dir_give(void);
/* Makes the folder again that somebody removed: a cleaner of /tmp. 0, or -errno with a sentence. */
int twin_dir_again(struct err *e);

/* open: a number of its own among the ports, and d->door.twin, a path in `dir`. close: all of the
 * library's traces of the port are gone. */
int device_open(struct vhost_dev *d, const char *dir, struct err *e);
void device_close(struct vhost_dev *d);
/* Makes the library ready for one connection, and returns weir's end of it; `offered` gets the features it
 * offers there. The last one must be gone. -ENOSPC: the library serves as many as it can. */
int device_connect(struct vhost_dev *d, uint64_t *offered, struct err *e);
/* Waits until the library has let go of the last connection; false after `ms` milliseconds. */
bool device_wait_gone(struct vhost_dev *d, unsigned ms);
/* Starts a ring, or all, if there is all they need; stops them if they run. With d->mu held. */
void ring_start(struct vhost_dev *d, unsigned idx);
void ring_stop(struct vhost_dev *d, unsigned idx);
void rings_start(struct vhost_dev *d);
void rings_stop(struct vhost_dev *d);
/* The control thread is to look at the device. Any thread. */
void device_wake(struct vhost_dev *d);
/* Makes every ring of the device still; safe in a signal handler. */
void device_still(struct vhost_dev *d);
/* The same, and the sentence with which the port is shut; the first one stands. */
void device_fault(struct vhost_dev *d, const char *text);

/* Adds 1 to a guest's eventfd, or leaves it when it is full; never waits, whatever the guest does with
 * it. Any thread, after the control thread called call_init. */
void call_init(void);
void call_guest(int fd);

/* A guest's memory, for the SIGBUS handler. */
void sigbus_watch(struct vhost_dev *d);
void sigbus_forget(struct vhost_dev *d);
/* The calling thread takes a new memory table of the device; NULL: it is done. */
void sigbus_taking(struct vhost_dev *d);
void sigbus_install(void);

#endif
