/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * The loops here are what a speed is measured with, so they do nothing else: one system call for as
 * much as possible, no look at a clock when no rate was asked for, and calls that block, since that is
 * the cheapest way to wait. They come back every PATIENCE_MS to see whether the end has come.
 *
 * A rate is kept by a schedule: what should have been sent by now, against what was. Lateness is made up
 * for, up to CATCH_UP_NS; what is later than that is offered but not sent, or a path that stood still
 * would get a burst for which nobody asked.
 *
 * Datagrams go out in batches where they can, one system call each. Between its first and its last tens of
 * microseconds pass, so only the first has a time of its own: that of the moment before the call. Jitter is
 * reckoned from those, against the time at which the kernel of the other end had each. At a rate that the
 * sender holds every batch is one datagram. */
#include "bench/flows/stream_flow.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/clock.h"
#include "bench/flows/flows.h"

enum {
	PATIENCE_MS = 100,
	UDP_BATCH = 32, // datagrams a system call
	STACK = 256 << 10,
	CHUNK_MIN = 1448,
	CHUNKS_A_S = 1000 // at most so many writes when there is a rate
};
#define CATCH_UP_NS   (100 * NS_PER_MS)
#define SLEEP_MAX_NS  (50 * NS_PER_MS) // so that the end is seen
#define COUNTED_FLAG  (UINT64_C(1) << 63)
#define DATAGRAM_MARK UINT64_C(0x7765697273747231) // "weirstr1"

/* What a datagram begins with, in the sender's byte order. */
struct datagram {
	uint64_t mark,
		number; // the number with COUNTED_FLAG when it counts; they have their own series
	uint64_t sent_ns; // 0: not known
};

static void add(atomic_uint_fast64_t *to, uint64_t n) {
	// One writer: no locked instruction is needed.
	atomic_store_explicit(
		to, atomic_load_explicit(to, memory_order_relaxed) + n, memory_order_relaxed);
}

static void count(struct stream_count *c, uint64_t bytes, uint64_t datagrams, bool counted) {
	add(&c->bytes, bytes);
	add(&c->datagrams, datagrams);
	if (counted) {
		add(&c->counted_bytes, bytes);
		add(&c->counted_datagrams, datagrams);
	}
}

static int phase(const struct stream_flow *f) {
	if (atomic_load_explicit(&f->plan->stop, memory_order_relaxed))
		return STREAM_ENDING;
	return atomic_load_explicit(&f->plan->phase, memory_order_relaxed);
}

/* A schedule of units (bytes or datagrams). */
struct pace {
	double per_ns; // units due a nanosecond
	uint64_t start, units; // when it began, and what of it is behind us, skipped or sent
};

static uint64_t pace_due(const struct pace *p, uint64_t now) {
	return (uint64_t)((double)(now - p->start) * p->per_ns);
}

/* How many are due now, at most `most`; when none, sleeps until one is, or for a while. *skipped is what
 * is too late to be made up for. */
static uint64_t pace_take(struct pace *p, uint64_t least, uint64_t most, uint64_t *skipped) {
	uint64_t now = clock_ns(), due = pace_due(p, now) + least, behind, allowed, at;

	*skipped = 0;
	if (due < p->units + least) {
		at = p->start + (uint64_t)((double)p->units / p->per_ns) + 1;
		clock_sleep_until(at < now + SLEEP_MAX_NS ? at : now + SLEEP_MAX_NS);
		due = pace_due(p, clock_ns()) + least;
	}
	if (due < p->units + least)
		return 0;
	behind = due - p->units;
	allowed = (uint64_t)(CATCH_UP_NS * p->per_ns) + most;
	if (behind > allowed) {
		*skipped = behind - allowed;
		p->units += *skipped;
		behind = allowed;
	}
	return behind < most ? behind : most;
}

/* 0: go on; else the errno that ends the flow. */
static int send_some(struct stream_flow *f, const char *buf, size_t n, size_t *sent) {
	ssize_t ret = send(f->fd, buf, n, MSG_NOSIGNAL);

	*sent = ret > 0 ? (size_t)ret : 0;
	add(&f->moved.bytes, *sent);
	return ret >= 0 || errno == EAGAIN || errno == EINTR ? 0 : errno;
}

static int send_tcp(struct stream_flow *f, const char *buf) {
	size_t length = f->plan->length, sent;
	int ret = 0;

	while (ret == 0 && phase(f) < STREAM_ENDING)
		ret = send_some(f, buf, length, &sent);
	atomic_store(&f->offered.bytes, atomic_load(&f->moved.bytes));
	return ret;
}

static int send_tcp_paced(struct stream_flow *f, const char *buf) {
	struct pace p = {.per_ns = (double)f->plan->rate / 8 / NS_PER_S, .start = clock_ns()};
	size_t chunk = f->plan->rate / 8 / CHUNKS_A_S, sent;
	int ret = 0;

	chunk = chunk < CHUNK_MIN ? CHUNK_MIN : chunk;
	chunk = chunk > f->plan->length ? f->plan->length : chunk;
	while (ret == 0 && phase(f) < STREAM_ENDING) {
		uint64_t skipped, n = pace_take(&p, chunk, chunk, &skipped);

		if (n == 0)
			continue;
		ret = send_some(f, buf, n, &sent);
		p.units += sent;
		atomic_store_explicit(&f->offered.bytes, p.units, memory_order_relaxed);
	}
	return ret;
}

/* A batch of datagrams: headers of their own, one payload for all. */
struct udp_out {
	struct mmsghdr msgs[UDP_BATCH];
	struct iovec iov[UDP_BATCH][2];
	struct datagram head[UDP_BATCH];
	uint64_t numbers[2]; // of the warm-up, of what counts
};

static void udp_out_init(struct udp_out *o, const char *buf, size_t length) {
	memset(o, 0, sizeof(*o));
	for (int i = 0; i < UDP_BATCH; i++) {
		o->head[i].mark = DATAGRAM_MARK;
		o->iov[i][0] = (struct iovec){&o->head[i], sizeof(o->head[i])};
		o->iov[i][1] = (struct iovec){(char *)buf, length - sizeof(o->head[i])};
		o->msgs[i].msg_hdr.msg_iov = o->iov[i];
		o->msgs[i].msg_hdr.msg_iovlen = 2;
	}
}

/* Sends up to n; what the kernel would not take is offered and not sent. Returns 0 or an errno that ends
 * the flow. */
static int send_batch(struct stream_flow *f, struct udp_out *o, unsigned n) {
	bool counted = phase(f) == STREAM_COUNTED;
	uint64_t now = clock_ns();
	int sent;

	for (unsigned i = 0; i < n; i++) {
		o->head[i].number = (o->numbers[counted] + i) | (counted ? COUNTED_FLAG : 0);
		o->head[i].sent_ns = i == 0 ? now : 0;
	}
	sent = sendmmsg(f->fd, o->msgs, n, MSG_NOSIGNAL);
	if (sent > 0) {
		o->numbers[counted] += (unsigned)sent;
		count(&f->moved, (uint64_t)sent * f->plan->length, (unsigned)sent, counted);
		count(&f->offered, (uint64_t)sent * f->plan->length, (unsigned)sent, counted);
		return 0;
	}
	if (errno == EMSGSIZE)
		return EMSGSIZE;
	if (errno == EAGAIN || errno == EINTR)
		return 0; // it waited, and was not refused
	count(&f->offered, f->plan->length, 1, counted);
	usleep(100); // ENOBUFS, or nobody listens any more (which the coordinator sees by itself)
	return 0;
}

static int send_udp(struct stream_flow *f, const char *buf) {
	struct pace p = {.per_ns = (double)f->plan->rate / 8 / NS_PER_S / (double)f->plan->length,
		.start = clock_ns()};
	struct udp_out *o = malloc(sizeof(*o));
	int ret = o != NULL ? 0 : ENOMEM;

	if (o != NULL)
		udp_out_init(o, buf, f->plan->length);
	while (ret == 0 && phase(f) < STREAM_ENDING) {
		uint64_t skipped, n = UDP_BATCH, before = atomic_load(&f->offered.datagrams);

		if (f->plan->rate != 0) {
			n = pace_take(&p, 1, UDP_BATCH, &skipped);
			count(&f->offered, skipped * f->plan->length, skipped,
				phase(f) == STREAM_COUNTED);
			before += skipped;
		}
		if (n == 0)
			continue;
		ret = send_batch(f, o, (unsigned)n);
		p.units += atomic_load(&f->offered.datagrams) - before;
	}
	free(o);
	return ret;
}

static int receive_tcp(struct stream_flow *f, char *buf) {
	while (!atomic_load_explicit(&f->plan->stop, memory_order_relaxed)) {
		ssize_t n = recv(f->fd, buf, f->plan->length, 0);

		if (n > 0)
			add(&f->moved.bytes, (uint64_t)n);
		else if (n == 0)
			return 0;
		else if (errno != EAGAIN && errno != EINTR)
			return errno;
	}
	return 0;
}

/* What came with a datagram: when the kernel had it, and how many it has thrown away. */
static uint64_t stamp_of(struct stream_flow *f, struct msghdr *m) {
	uint64_t at = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_TIMESTAMPNS) {
			struct timespec ts;

			memcpy(&ts, CMSG_DATA(c), sizeof(ts));
			at = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
		} else if (c->cmsg_type == SO_RXQ_OVFL) {
			uint32_t lost;

			memcpy(&lost, CMSG_DATA(c), sizeof(lost));
			atomic_store_explicit(&f->overflows, lost, memory_order_relaxed);
		}
	}
	return at;
}

/* The difference of two clocks cancels out in that of two transits. */
static void judge_jitter(struct stream_flow *f, int64_t transit, int64_t *last) {
	int64_t d = transit - *last;

	if (f->transits++ > 0)
		f->jitter_ns += ((double)(d < 0 ? -d : d) - f->jitter_ns) / 16;
	*last = transit;
}

struct udp_in {
	struct mmsghdr msgs[UDP_BATCH];
	struct iovec iov[UDP_BATCH];
	struct datagram head[UDP_BATCH];
	char control[UDP_BATCH][128] __attribute__((aligned(16)));
	int64_t transit;
};

static void take_datagram(struct stream_flow *f, struct udp_in *in, int i) {
	struct datagram *d = &in->head[i];
	uint64_t at = stamp_of(f, &in->msgs[i].msg_hdr);
	bool counted;

	if (in->msgs[i].msg_len < sizeof(*d) || d->mark != DATAGRAM_MARK)
		return; // a late question of the handshake, or a stranger's
	counted = (d->number & COUNTED_FLAG) != 0;
	if (!counted && f->seqs.unique == 0)
		f->overflows_before = atomic_load(&f->overflows);
	count(&f->moved, in->msgs[i].msg_len, 1, counted);
	if (counted)
		seqs_take(&f->seqs, d->number & ~COUNTED_FLAG);
	if (counted && at != 0 && d->sent_ns != 0)
		judge_jitter(f, (int64_t)(at - d->sent_ns), &in->transit);
}

/* Only the head of a datagram is copied; MSG_TRUNC tells its length all the same. */
static int receive_udp(struct stream_flow *f) {
	struct udp_in *in = calloc(1, sizeof(*in));
	int on = 1, ret = in != NULL ? 0 : ENOMEM;

	setsockopt(f->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	setsockopt(f->fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
	while (ret == 0 && !atomic_load_explicit(&f->plan->stop, memory_order_relaxed)) {
		int n;

		for (int i = 0; i < UDP_BATCH; i++) {
			in->iov[i] = (struct iovec){&in->head[i], sizeof(in->head[i])};
			in->msgs[i].msg_hdr = (struct msghdr){.msg_iov = &in->iov[i],
				.msg_iovlen = 1,
				.msg_control = in->control[i],
				.msg_controllen = sizeof(in->control[i])};
		}
		n = recvmmsg(f->fd, in->msgs, UDP_BATCH, MSG_WAITFORONE | MSG_TRUNC, NULL);
		for (int i = 0; i < n; i++)
			take_datagram(f, in, i);
		// Nothing for PATIENCE_MS after the sender's end: nothing is under way.
		if (n < 0 && errno == EAGAIN && atomic_load(&f->plan->drained))
			break;
		if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED)
			ret = errno;
	}
	free(in);
	return ret;
}

static void *run(void *arg) {
	struct stream_flow *f = arg;
	size_t length = f->plan->length;
	char *buf = aligned_alloc(4096, (length + 4095) & ~(size_t)4095);
	int ret = buf != NULL ? 0 : ENOMEM;

	atomic_store(&f->tid, (int)syscall(SYS_gettid));
	prctl(PR_SET_TIMERSLACK, 1UL);
	flows_patience(f->fd, PATIENCE_MS);
	if (buf != NULL)
		memset(buf, 'w', length);
	if (ret == 0 && f->sends && f->plan->udp)
		ret = send_udp(f, buf);
	else if (ret == 0 && f->sends)
		ret = f->plan->rate != 0 ? send_tcp_paced(f, buf) : send_tcp(f, buf);
	else if (ret == 0)
		ret = f->plan->udp ? receive_udp(f) : receive_tcp(f, buf);
	if (f->sends && !f->plan->udp)
		shutdown(f->fd, SHUT_WR);
	free(buf);
	atomic_store(&f->failed, ret);
	atomic_store(&f->ended, true);
	return NULL;
}

int stream_flow_start(struct stream_flow *f) {
	pthread_attr_t attr;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	rc = pthread_create(&f->thread, &attr, run, f);
	pthread_attr_destroy(&attr);
	f->threaded = rc == 0;
	return rc == 0 ? 0 : -EAGAIN;
}

void stream_flow_close(struct stream_flow *f) {
	if (f->threaded)
		pthread_join(f->thread, NULL);
	f->threaded = false;
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}
