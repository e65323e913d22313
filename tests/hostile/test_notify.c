/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * A guest that lies with what it is kicked and called by: descriptors that are no eventfds, that
 * would block whoever writes to them, or that never come to rest. */
#include "bed.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FRAME = 64 };

/* Hands the switch a descriptor in place of a ring's eventfd, then moves frames both ways. */
static void instead(struct front *f, uint32_t request, struct front_ring *r, int fd) {
	struct front_message m = {.request = request, .size = 8, .u64 = r->index};
	uint8_t frame[FRAME];

	assert_true(fd >= 0);
	front_message(f, &m, &fd, 1);
	front_udp_frame(frame, FRAME, mac_mate.octet, mac_bad.octet);
	front_ring_interrupts(front_rx(f, 0), true);
	front_ring_interrupts(front_tx(f, 0), true);
	for (unsigned i = 0; i < 50; i++) {
		front_send(f, 0, frame, FRAME, NULL);
		front_ring_kick(front_tx(f, 0));
		bed_mate_sends(2);
	}
	bed_rest(20);
}

static void kick_by(struct front *f, int fd) {
	instead(f, FRONT_SET_VRING_KICK, front_tx(f, 0), fd);
	close(fd);
}

static void called_by(struct front *f, int fd) {
	instead(f, FRONT_SET_VRING_CALL, front_rx(f, 0), fd);
	close(fd);
}

static int half_of_pipe(int end, bool full) {
	char page[4096] = {0};
	int p[2];

	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	while (full && write(p[1], page, sizeof(page)) > 0)
		;
	fcntl(p[end], F_SETFL, 0);
	if (!full)
		close(p[1 - end]); /* the other of a full one stays open: it must block, not fail */
	return p[end];
}

static void kick_pipe(struct front *f) {
	kick_by(f, half_of_pipe(0, false));
}

static void kick_null(struct front *f) {
	kick_by(f, open("/dev/null", O_RDWR));
}

static void kick_file(struct front *f) {
	kick_by(f, fcntl(f->region[0].fd, F_DUPFD_CLOEXEC, 0));
}

static void kick_socket(struct front *f) {
	int s[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	close(s[1]);
	kick_by(f, s[0]);
}

static void kick_folder(struct front *f) {
	kick_by(f, open("/", O_RDONLY | O_DIRECTORY));
}

static void call_full_pipe(struct front *f) {
	called_by(f, half_of_pipe(1, true));
}

static void call_broken_pipe(struct front *f) {
	called_by(f, half_of_pipe(1, false));
}

static void call_null(struct front *f) {
	called_by(f, open("/dev/null", O_RDWR));
}

static void call_memory(struct front *f) {
	called_by(f, fcntl(f->region[0].fd, F_DUPFD_CLOEXEC, 0));
}

static void fill(int fd) {
	uint64_t most = UINT64_MAX - 1, now;

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	while (read(fd, &now, sizeof(now)) > 0)
		;
	(void)!write(fd, &most, sizeof(most));
}

static void call_full(struct front *f) {
	int fd = eventfd(0, EFD_CLOEXEC);

	fill(fd);
	fcntl(fd, F_SETFL, 0);
	called_by(f, fd);
}

struct spoiler {
	int fd;
	atomic_bool stop;
};

/* Keeps the eventfd full and blocking, whatever the switch sets on it: they share its flags. */
static void *spoil(void *arg) {
	struct spoiler *s = arg;

	while (!atomic_load(&s->stop)) {
		uint64_t most = UINT64_MAX - 1;
		struct pollfd p = {.fd = s->fd, .events = POLLOUT};

		fcntl(s->fd, F_SETFL, 0);
		if (poll(&p, 1, 0) > 0) {
			fcntl(s->fd, F_SETFL, O_NONBLOCK);
			(void)!write(s->fd, &most, sizeof(most));
			fcntl(s->fd, F_SETFL, 0);
		}
	}
	return NULL;
}

static void call_blocks(struct front *f) {
	struct spoiler s = {.fd = eventfd(0, EFD_CLOEXEC)};
	pthread_t thread;

	fill(s.fd);
	fcntl(s.fd, F_SETFL, 0);
	assert_int_equal(pthread_create(&thread, NULL, spoil, &s), 0);
	instead(f, FRONT_SET_VRING_CALL, front_rx(f, 0), s.fd);
	for (unsigned i = 0; i < 20; i++) {
		front_ring_interrupts(front_rx(f, 0), true);
		bed_mate_sends(5);
		bed_rest(5);
	}
	atomic_store(&s.stop, true);
	pthread_join(thread, NULL);
	/* It stays full and blocking while the bed looks at the neighbours. */
	close(s.fd);
}

static void kick_storm(struct front *f) {
	for (unsigned i = 0; i < 200000; i++)
		front_ring_kick(front_tx(f, 0));
}

static void kick_full(struct front *f) {
	fill(front_tx(f, 0)->kick);
	bed_mate_sends(10);
	bed_rest(50);
}

/* The guest reads the kicks away before the switch can. */
static void kick_taken_back(struct front *f) {
	uint64_t kicks;

	for (unsigned i = 0; i < 2000; i++) {
		front_ring_kick(front_tx(f, 0));
		(void)!read(front_tx(f, 0)->kick, &kicks, sizeof(kicks));
	}
}

static void kick_blocks(struct front *f) {
	for (unsigned i = 0; i < 200; i++) {
		fcntl(front_tx(f, 0)->kick, F_SETFL, 0);
		front_ring_kick(front_tx(f, 0));
		bed_rest(1);
	}
	fcntl(front_tx(f, 0)->kick, F_SETFL, O_NONBLOCK);
}

/* The receiving ring is never kicked for by weir's worker, but its descriptor is there. */
static void kick_receive_pipe(struct front *f) {
	int fd = half_of_pipe(0, false);

	instead(f, FRONT_SET_VRING_KICK, front_rx(f, 0), fd);
	close(fd);
}

static void events_at_random(struct front *f) {
	struct front_ring *r = front_rx(f, 0);

	for (unsigned i = 0; i < 500; i++) {
		r->avail->ring[r->size] = i * 40503;
		bed_mate_sends(1);
	}
}

static struct lie lies[] = {
	{"a pipe to be kicked by shuts the port", kick_pipe, SHUT, "eventfd"},
	{"/dev/null to be kicked by shuts the port", kick_null, SHUT, "eventfd"},
	{"a file to be kicked by shuts the port", kick_file, SHUT, "eventfd"},
	{"a socket to be kicked by shuts the port", kick_socket, SHUT, "eventfd"},
	{"a folder to be kicked by shuts the port", kick_folder, SHUT, "eventfd"},
	{"a pipe to be kicked by on a receiving ring does no harm", kick_receive_pipe, EITHER},
	{"a full pipe to call by does not stop the worker", call_full_pipe, EITHER},
	{"a broken pipe to call by does not end the switch", call_broken_pipe, EITHER},
	{"/dev/null to call by does no harm", call_null, EITHER},
	{"guest memory to call by does no harm", call_memory, EITHER},
	{"a full eventfd to call by does not stop the worker", call_full, ALIVE},
	{"an eventfd kept full and blocking does not stop the worker", call_blocks, EITHER},
	{"200,000 kicks for nothing do no harm", kick_storm, ALIVE},
	{"a kick eventfd at its limit does no harm", kick_full, ALIVE},
	{"kicks taken back do no harm", kick_taken_back, ALIVE},
	{"a kick eventfd made blocking does not stop the worker", kick_blocks, ALIVE},
	{"event indices at random do no harm", events_at_random, ALIVE,
		.o.features = FRONT_F_PLAIN | FRONT_BIT(VIRTIO_RING_F_EVENT_IDX)},
};

int main(void) {
	return bed_run("notify", lies, sizeof(lies) / sizeof(lies[0]));
}
