/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * A worker that meets a frame of a captured port copies it into the ring of each capture of that
 * port; a timer on the control thread empties the rings into the clients' pipes. Workers never wait
 * for a reader: when the ring is full the frame is counted as lost and the file says so at its end.
 *
 * Slots are never freed while workers run. A slot's lock is held for one copy; it keeps producers
 * apart, and keeps the ring from being taken away under one. A worker tries it for a few hundred
 * cycles and otherwise counts a loss. The reader side needs no lock: it moves only `tail`.
 *
 * A record never wraps: what does not fit before the end of the ring is left as a gap (len GAP). */
#include "control/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_spinlock.h>

#include "base/closer.h"
#include "base/err.h"
#include "base/passed.h"
#include "control/pcapng.h"

enum {
	LOCK_TRIES = 200,
	DRAIN_US = 10000,
	FINISH_US = 2000000, /* how long a slow reader may take for the rest */
	OUT_ROOM = 256 * 1024,
	DRAIN_ROUNDS = 32, /* then others get their turn */
	PIPE_ROOM = 1 << 20,
	GAP = 0xffffffff,
};

struct record {
	uint64_t tsc;
	uint32_t len, cap;
	uint32_t dir;
	uint32_t room; /* bytes to the next record, this header included */
};

struct slot {
	rte_spinlock_t lock; /* intake: workers against each other and against start and stop */
	struct port *port; /* under the lock; NULL: takes nothing */
	uint8_t *ring;
	uint32_t snaplen;
	uint64_t count, taken; /* under the lock */
	_Atomic uint64_t lost;
	_Atomic uint64_t head, tail; /* bytes ever written and read; head by workers, tail by us */

	/* The control thread's own. */
	struct captures *all;
	char name[PORT_NAME_MAX];
	const void *owner;
	int fd; /* -1: the slot is free */
	sd_event_source *io;
	uint64_t tsc_hz, start_ns;
	uint64_t deadline; /* not 0: it is ending, and this is when patience is over (TSC) */
	bool stats_done;
	uint8_t *out;
	size_t out_len, out_off;
};

struct captures {
	sd_event *loop;
	sd_event_source *timer;
	struct slot slot[CAPTURES_MAX];
};

static uint64_t realtime_ns(void) {
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Room for a record of `cap` bytes, NULL when the ring is full. Under the lock. */
static struct record *ring_room(struct slot *s, uint32_t cap, uint64_t *next) {
	uint32_t room = (uint32_t)(sizeof(struct record) + cap + 7) & ~7u;
	uint64_t head = atomic_load_explicit(&s->head, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&s->tail, memory_order_acquire);
	uint32_t to_end = CAPTURE_RING - (uint32_t)(head % CAPTURE_RING);
	struct record *r;

	if (to_end < room) {
		if (head + to_end + room - tail > CAPTURE_RING)
			return NULL;
		// Less than a header may be left there; the reader then skips to the end by itself.
		if (to_end >= sizeof(struct record)) {
			r = (struct record *)(s->ring + head % CAPTURE_RING);
			r->len = GAP;
		}
		head += to_end;
	} else if (head + room - tail > CAPTURE_RING) {
		return NULL;
	}
	r = (struct record *)(s->ring + head % CAPTURE_RING);
	r->room = room;
	*next = head + room;
	return r;
}

/* Copies the first `cap` bytes of the frame as it is on the wire, tag (0: none) included. */
static void copy_tagged(const struct frame *f, uint32_t tag, uint8_t *dst, uint32_t cap) {
	uint8_t wire[4] = {
		(uint8_t)(tag >> 24), (uint8_t)(tag >> 16), (uint8_t)(tag >> 8), (uint8_t)tag};

	if (tag == 0 || cap <= 12) {
		frame_copy(f, 0, dst, cap);
		return;
	}
	frame_copy(f, 0, dst, 12);
	memcpy(dst + 12, wire, cap < 16 ? cap - 12 : 4);
	if (cap > 16)
		frame_copy(f, 12, dst + 16, cap - 16);
}

static void slot_take(struct slot *s, int dir, const struct frame *f, uint32_t tag) {
	uint32_t len = f->len + (tag != 0 ? 4 : 0), cap = len < s->snaplen ? len : s->snaplen;
	uint64_t next;
	struct record *r;

	if (s->count != 0 && s->taken == s->count)
		return;
	r = ring_room(s, cap, &next);
	if (r == NULL) {
		atomic_fetch_add_explicit(&s->lost, 1, memory_order_relaxed);
		return;
	}
	r->tsc = rte_rdtsc();
	r->len = len;
	r->cap = cap;
	r->dir = (uint32_t)dir;
	copy_tagged(f, tag, (uint8_t *)(r + 1), cap);
	s->taken++;
	atomic_store_explicit(&s->head, next, memory_order_release);
}

static bool slot_trylock(struct slot *s) {
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (rte_spinlock_trylock(&s->lock))
			return true;
		rte_pause();
	}
	return false;
}

void captures_frame(void *arg, struct port *p, int dir, const struct frame *f, uint32_t tag) {
	struct captures *cs = arg;

	if (dir == 0 && (f->flags & FRAME_TAGGED) != 0)
		tag = 0x8100u << 16 | f->tci;
	for (struct slot *s = cs->slot; s < cs->slot + CAPTURES_MAX; s++) {
		if (__atomic_load_n(&s->port, __ATOMIC_RELAXED) != p)
			continue;
		if (!slot_trylock(s)) {
			atomic_fetch_add_explicit(&s->lost, 1, memory_order_relaxed);
			continue;
		}
		if (s->port == p)
			slot_take(s, dir, f, tag);
		rte_spinlock_unlock(&s->lock);
	}
}

/* Keeps the port's own count right. */
static void count_captures(const struct captures *cs, struct port *p) {
	unsigned n = 0;

	for (const struct slot *s = cs->slot; s < cs->slot + CAPTURES_MAX; s++)
		n += s->port == p;
	atomic_store(&p->capture, (uint8_t)n);
}

/* Points the slot at a port, NULL: at none. */
static void slot_aim(struct slot *s, struct port *p) {
	struct port *was = s->port;

	rte_spinlock_lock(&s->lock);
	__atomic_store_n(&s->port, p, __ATOMIC_RELAXED);
	rte_spinlock_unlock(&s->lock);
	if (was != NULL)
		count_captures(s->all, was);
	if (p != NULL)
		count_captures(s->all, p);
}

static void slot_close(struct slot *s) {
	slot_aim(s, NULL);
	sd_event_source_disable_unref(s->io);
	s->io = NULL;
	closer_close(NULL, s->fd);
	s->fd = -1;
	free(s->ring);
	free(s->out);
	s->ring = s->out = NULL;
}

/* The oldest record, NULL when there is none. */
static struct record *ring_next(struct slot *s) {
	uint64_t head = atomic_load_explicit(&s->head, memory_order_acquire);
	uint64_t tail = atomic_load_explicit(&s->tail, memory_order_relaxed);
	uint32_t to_end = CAPTURE_RING - (uint32_t)(tail % CAPTURE_RING);
	struct record *r = (struct record *)(s->ring + tail % CAPTURE_RING);

	if (tail == head)
		return NULL;
	if (to_end < sizeof(*r) || r->len == GAP) {
		atomic_store_explicit(&s->tail, tail + to_end, memory_order_release);
		r = (struct record *)s->ring;
	}
	return r;
}

/* Moves records to the output as blocks, as far as there is room. */
static void slot_encode(struct slot *s) {
	uint64_t now_ns = realtime_ns(), now_tsc = rte_rdtsc();
	struct record *r;

	while ((r = ring_next(s)) != NULL) {
		uint64_t ago = now_tsc > r->tsc ? now_tsc - r->tsc : 0;
		struct pcapng_frame f = {
			.ns = now_ns - (uint64_t)((__uint128_t)ago * 1000000000 / s->tsc_hz),
			.len = r->len,
			.cap = r->cap,
			.dir = (int)r->dir,
		};
		uint8_t *bytes;
		size_t n = pcapng_frame(s->out + s->out_len, OUT_ROOM - s->out_len, &f, &bytes);

		if (n == 0)
			return;
		memcpy(bytes, r + 1, r->cap);
		s->out_len += n;
		atomic_fetch_add_explicit(&s->tail, r->room, memory_order_release);
	}
	if (s->deadline != 0 && !s->stats_done) {
		uint64_t lost = atomic_load(&s->lost);
		size_t n = pcapng_stats(s->out + s->out_len, OUT_ROOM - s->out_len, s->start_ns,
			now_ns, s->taken + lost, lost);

		s->stats_done = n > 0;
		s->out_len += n;
	}
}

/* Writes what the reader takes. 1: all is written, 0: the pipe is full, negative: it is gone. */
static int slot_write(struct slot *s) {
	while (s->out_off < s->out_len) {
		ssize_t n = write(s->fd, s->out + s->out_off, s->out_len - s->out_off);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		s->out_off += (size_t)n;
	}
	s->out_off = s->out_len = 0;
	return 1;
}

/* Takes no more frames; what is in the ring and the statistics are still written. */
static void slot_end(struct slot *s) {
	if (s->deadline != 0)
		return;
	slot_aim(s, NULL);
	s->deadline = rte_rdtsc() + s->tsc_hz / 1000000 * FINISH_US;
}

static void slot_drain(struct slot *s) {
	int ret, rounds = DRAIN_ROUNDS;

	if (s->count != 0 && s->deadline == 0) {
		rte_spinlock_lock(&s->lock);
		bool all = s->taken == s->count;
		rte_spinlock_unlock(&s->lock);
		if (all)
			slot_end(s);
	}
	do {
		if (s->out_len == 0)
			slot_encode(s);
		ret = slot_write(s);
	} while (ret > 0 && --rounds > 0 &&
		 (ring_next(s) != NULL || (s->deadline != 0 && !s->stats_done)));
	if (ret < 0 ||
		(s->deadline != 0 && ((ret > 0 && s->stats_done) || rte_rdtsc() > s->deadline)))
		slot_close(s);
	else
		sd_event_source_set_io_events(s->io, ret == 0 ? EPOLLOUT : 0);
}

static int on_pipe(sd_event_source *src, int fd, uint32_t revents, void *arg) {
	struct slot *s = arg;

	if ((revents & (EPOLLERR | EPOLLHUP)) != 0)
		slot_close(s);
	else
		slot_drain(s);
	return 0;
}

static int on_timer(sd_event_source *src, uint64_t usec, void *arg) {
	struct captures *cs = arg;

	for (struct slot *s = cs->slot; s < cs->slot + CAPTURES_MAX; s++)
		if (s->fd >= 0)
			slot_drain(s);
	if (captures_count(cs) > 0) {
		sd_event_source_set_time_relative(cs->timer, DRAIN_US);
		sd_event_source_set_enabled(cs->timer, SD_EVENT_ONESHOT);
	}
	return 0;
}

struct captures *captures_new(sd_event *loop) {
	struct captures *cs = calloc(1, sizeof(*cs));

	if (cs == NULL)
		return NULL;
	cs->loop = loop;
	for (struct slot *s = cs->slot; s < cs->slot + CAPTURES_MAX; s++) {
		rte_spinlock_init(&s->lock);
		s->fd = -1;
		s->all = cs;
	}
	if (sd_event_add_time(loop, &cs->timer, CLOCK_MONOTONIC, UINT64_MAX, 1000, on_timer, cs) <
		0) {
		free(cs);
		return NULL;
	}
	sd_event_source_set_enabled(cs->timer, SD_EVENT_OFF);
	return cs;
}

void captures_close(struct captures *cs) {
	for (struct slot *s = cs->slot; s < cs->slot + CAPTURES_MAX; s++) {
		if (s->fd < 0)
			continue;
		slot_end(s);
		slot_drain(s);
		if (s->fd >= 0)
			slot_close(s);
	}
}

void captures_free(struct captures *cs) {
	if (cs == NULL)
		return;
	sd_event_source_disable_unref(cs->timer);
	free(cs);
}

/* Fills a free slot. On failure the caller closes spec->fd. */
static int slot_open(
	struct slot *s, struct port *p, const struct capture_spec *spec, struct err *e) {
	char program[32];

	if (!passed_is_stream(spec->fd))
		return err_set(
			e, EINVAL, "the descriptor to capture to is neither a pipe nor a socket");
	fcntl(spec->fd, F_SETFL, fcntl(spec->fd, F_GETFL) | O_NONBLOCK);
	fcntl(spec->fd, F_SETPIPE_SZ, PIPE_ROOM); // where it may not be so large it stays as it is
	s->ring = malloc(CAPTURE_RING);
	s->out = malloc(OUT_ROOM);
	if (s->ring == NULL || s->out == NULL ||
		sd_event_add_io(s->all->loop, &s->io, spec->fd, 0, on_pipe, s) < 0) {
		free(s->ring);
		free(s->out);
		s->ring = s->out = NULL;
		return err_set(e, ENOMEM, "no memory for a capture's %d MiB", CAPTURE_RING >> 20);
	}
	snprintf(s->name, sizeof(s->name), "%s", p->name);
	snprintf(program, sizeof(program), "weir %s", WEIR_VERSION);
	s->snaplen = spec->snaplen != 0 ? spec->snaplen : CAPTURE_SNAPLEN_MAX;
	s->count = spec->count;
	s->taken = s->deadline = 0;
	s->lost = 0;
	s->head = 0;
	s->tail = 0;
	s->owner = spec->owner;
	s->tsc_hz = spec->tsc_hz;
	s->start_ns = realtime_ns();
	s->stats_done = false;
	s->out_off = 0;
	s->out_len = pcapng_head(s->out, OUT_ROOM, program, s->name, s->snaplen);
	s->fd = spec->fd;
	slot_aim(s, p);
	return 0;
}

int captures_start(
	struct captures *cs, struct port *p, const struct capture_spec *spec, struct err *e) {
	int ret = -EBUSY;

	err_set(e, EBUSY, "%d captures are running, and no more are possible; end one",
		CAPTURES_MAX);
	for (struct slot *s = cs->slot; s < cs->slot + CAPTURES_MAX; s++) {
		if (s->fd >= 0)
			continue;
		ret = slot_open(s, p, spec, e);
		break;
	}
	if (ret < 0) {
		closer_close(NULL, spec->fd);
		return ret;
	}
	sd_event_source_set_time_relative(cs->timer, 0);
	sd_event_source_set_enabled(cs->timer, SD_EVENT_ONESHOT);
	return 0;
}

void captures_end_of(struct captures *cs, const void *owner) {
	for (struct slot *s = cs->slot; s < cs->slot + CAPTURES_MAX; s++)
		if (s->fd >= 0 && s->owner == owner)
			slot_end(s);
}

void captures_follow(
	struct captures *cs, struct port *(*find)(void *arg, const char *name), void *arg) {
	for (struct slot *s = cs->slot; s < cs->slot + CAPTURES_MAX; s++) {
		struct port *p;

		if (s->fd < 0 || s->deadline != 0)
			continue;
		p = find(arg, s->name);
		s->port =
			p == s->port ? p : NULL; // the old one may be freed: its flag went with it
		if (p != NULL)
			slot_aim(s, p);
		else
			slot_end(s);
	}
}

unsigned captures_count(const struct captures *cs) {
	unsigned n = 0;

	for (const struct slot *s = cs->slot; s < cs->slot + CAPTURES_MAX; s++)
		n += s->fd >= 0;
	return n;
}
