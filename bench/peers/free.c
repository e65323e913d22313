/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Guests that cost nothing: vhost-user front ends that keep a switch under full load with as little
 * work as a ring allows, so that the switch is the only limit.
 *
 * Ports 2k and 2k+1 send to each other. The TX ring is filled with frames once; from then on the
 * guest only moves the avail index as far as the used index has come, so the same frames go out
 * again. RX buffers are given back unread the same way. That needs a switch that returns buffers in
 * order: used entries are sampled all the time, and one out of order is reported, as is one with a
 * wrong length or a frame that was meant for another port.
 *
 * One MAC a side: descriptors are never written again. Many MACs a side: there are that many frames,
 * more than the ring has descriptors, and each returned descriptor gets the address of the next one:
 * one eight-byte store a frame, what any real driver does too. The frames' source and destination
 * MACs are two random permutations of all MACs, so that the switch meets both in random order.
 *
 * Buffers lie 2,368 bytes apart, as DPDK's do: powers of two would fight for the same cache sets. */
#include "front.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PORTS_MAX = 64, CPUS_MAX = 16, RING = 1024, BUFFER = 2176, STRIDE = 2368, MACS_MAX = 65536 };
enum { ROOM_MS = 10, CONNECT_MS = 5000, FIRST_FRAME_S = 5 };

struct port {
	struct front f;
	uint64_t *frames; /* guest-physical addresses of what it sends */
	uint32_t next; /* in frames; the one the next returned descriptor gets */
	uint16_t tx_seen, rx_seen;
	_Alignas(64) _Atomic uint64_t taken, delivered; /* by the switch, to this port */
};

struct samples {
	uint64_t checked, reordered, wrong;
};

static struct port ports[PORTS_MAX];
static unsigned nports, ncpus, frame_len = 64, nmacs = 1;
static int cpus[CPUS_MAX];
static atomic_bool stop;

static void mac_of(uint8_t *mac, unsigned port, unsigned i) {
	mac[0] = 2;
	mac[1] = 0;
	mac[2] = 0xfe;
	mac[3] = port;
	mac[4] = i >> 8;
	mac[5] = i;
}

static unsigned *permutation(unsigned n, unsigned seed) {
	unsigned *p = malloc(n * sizeof(*p));

	if (p == NULL)
		return NULL;
	for (unsigned i = 0; i < n; i++)
		p[i] = i;
	for (unsigned i = n - 1; i > 0; i--) {
		unsigned j = rand_r(&seed) % (i + 1), was = p[i];

		p[i] = p[j];
		p[j] = was;
	}
	return p;
}

/* Writes the port's frames into guest memory. */
static int make_frames(struct port *p, unsigned index) {
	unsigned n = nmacs > RING ? nmacs : RING;
	unsigned *src = permutation(nmacs, 2 * index + 1), *dst = permutation(nmacs, 2 * index + 2);

	p->frames = calloc(n, sizeof(*p->frames));
	if (src == NULL || dst == NULL || p->frames == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		uint8_t *at = front_alloc(&p->f, 0, STRIDE, 64), to[6], from[6];

		if (at == NULL)
			return -ENOMEM;
		mac_of(to, index ^ 1, dst[i % nmacs]);
		mac_of(from, index, src[i % nmacs]);
		front_udp_frame(at + p->f.header, frame_len, to, from);
		p->frames[i] = front_gpa(&p->f, at);
	}
	free(src);
	free(dst);
	return 0;
}

static int attach(struct port *p, unsigned index, const char *path, bool huge) {
	unsigned n = nmacs > RING ? nmacs : RING;
	struct front_options o = {.path = path,
		.ring_size = RING,
		.buffer_size = BUFFER,
		.stride = STRIDE,
		.timeout_ms = CONNECT_MS,
		.huge = huge,
		.extra = (size_t)n * STRIDE + 4096};
	int err = front_open(&p->f, &o);

	if (err != 0) {
		fprintf(stderr, "free: %s: %s\n", path, p->f.why);
		return err;
	}
	return make_frames(p, index);
}

/* Fills the TX ring; the switch sees the frames at once. */
static void fill(struct port *p) {
	struct front_ring *r = front_tx(&p->f, 0);

	for (unsigned i = 0; i < RING; i++) {
		struct front_piece piece = {p->frames[i], p->f.header + frame_len, false};

		front_ring_put(r, &piece, 1, false);
	}
	p->next = nmacs > RING ? RING : 0;
	front_ring_publish(r);
}

/* Shows `avail` and kicks if the switch sleeps on this ring. */
static inline void show(struct front_ring *r, uint16_t avail) {
	__atomic_store_n(&r->avail->idx, avail, __ATOMIC_RELEASE);
	atomic_thread_fence(memory_order_seq_cst);
	if (__builtin_expect(!(r->used->flags & VRING_USED_F_NO_NOTIFY), 0))
		front_ring_kick(r);
}

static inline void add(_Atomic uint64_t *counter, uint16_t n) {
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
		memory_order_relaxed);
}

static void turn(struct port *p) {
	struct front_ring *tx = front_tx(&p->f, 0), *rx = front_rx(&p->f, 0);
	uint16_t used = __atomic_load_n(&tx->used->idx, __ATOMIC_ACQUIRE);

	if (used != p->tx_seen) {
		if (nmacs > 1)
			for (uint16_t i = p->tx_seen; i != used; i++) {
				tx->desc[i % RING].addr = p->frames[p->next];
				p->next = p->next + 1 < nmacs ? p->next + 1 : 0;
			}
		add(&p->taken, used - p->tx_seen);
		p->tx_seen = used;
		show(tx, used + RING);
	}
	used = __atomic_load_n(&rx->used->idx, __ATOMIC_ACQUIRE);
	if (used != p->rx_seen) {
		add(&p->delivered, used - p->rx_seen);
		p->rx_seen = used;
		show(rx, used + RING);
	}
}

static int pin(int cpu) {
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0 ? 0 : -errno;
}

static void *generate(void *arg) {
	unsigned mine = (uintptr_t)arg;

	if (pin(cpus[mine]) != 0) {
		fprintf(stderr, "free: CPU %d may not be used\n", cpus[mine]);
		exit(1);
	}
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		for (unsigned i = mine; i < nports; i += ncpus)
			turn(&ports[i]);
	return NULL;
}

/* Looks at the entries the switch used last. Buffers are being written meanwhile; only what all
 * frames for this port have in common is compared. */
static void sample(struct port *p, unsigned index, struct samples *s) {
	struct front_ring *tx = front_tx(&p->f, 0), *rx = front_rx(&p->f, 0);
	uint16_t t = __atomic_load_n(&tx->used->idx, __ATOMIC_ACQUIRE) - 1;
	uint16_t r = __atomic_load_n(&rx->used->idx, __ATOMIC_ACQUIRE) - 1;
	uint8_t mac[6];

	mac_of(mac, index, 0);
	s->checked++;
	s->reordered +=
		tx->used->ring[t % RING].id != t % RING || rx->used->ring[r % RING].id != r % RING;
	s->wrong += rx->used->ring[r % RING].len != p->f.header + frame_len ||
		    memcmp(rx->buf[r % RING] + p->f.header, mac, 4) != 0;
}

static double seconds(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void rest(double s) {
	nanosleep(&(struct timespec){(time_t)s, (long)((s - (double)(time_t)s) * 1e9)}, NULL);
}

/* Where the rings of a port stand, for who has to find out why nothing moves. */
static void explain(const struct port *p) {
	for (unsigned i = 0; i < p->f.nrings; i++) {
		const struct front_ring *r = &p->f.ring[i];

		fprintf(stderr, "free: %s ring %u: shown %u, used %u, switch flags %u, kicks %lu\n",
			p->f.o.path, i, r->avail->idx, r->used->idx, r->used->flags, r->kicks);
	}
}

/* Waits until every port has got something. */
static int first_frames(void) {
	double end = seconds() + FIRST_FRAME_S;

	for (unsigned i = 0; i < nports; i++)
		while (atomic_load(&ports[i].delivered) == 0) {
			if (seconds() > end) {
				fprintf(stderr, "free: nothing was delivered to %s in %d s\n",
					ports[i].f.o.path, FIRST_FRAME_S);
				for (unsigned k = 0; k < nports; k++)
					explain(&ports[k]);
				return -ETIMEDOUT;
			}
			rest(0.001);
		}
	return 0;
}

/* Measures for `time` seconds and prints the result as one JSON object. */
static void measure(double time) {
	uint64_t taken[PORTS_MAX], delivered[PORTS_MAX], all_taken = 0, all_delivered = 0;
	struct samples s = {0};
	double begin = seconds(), took;

	for (unsigned i = 0; i < nports; i++) {
		taken[i] = atomic_load(&ports[i].taken);
		delivered[i] = atomic_load(&ports[i].delivered);
	}
	while (seconds() - begin < time) {
		rest(ROOM_MS / 1000.0);
		for (unsigned i = 0; i < nports; i++)
			sample(&ports[i], i, &s);
	}
	took = seconds() - begin;
	for (unsigned i = 0; i < nports; i++) {
		taken[i] = atomic_load(&ports[i].taken) - taken[i];
		delivered[i] = atomic_load(&ports[i].delivered) - delivered[i];
		all_taken += taken[i];
		all_delivered += delivered[i];
	}
	printf("{\"delivered\": %.0f, \"taken\": %.0f, \"refused\": %.0f, \"ports\": [",
		(double)all_delivered / took, (double)all_taken / took,
		((double)all_taken - (double)all_delivered) / took);
	for (unsigned i = 0; i < nports; i++)
		printf("%s{\"delivered\": %.0f, \"taken\": %.0f}", i ? ", " : "",
			(double)delivered[i] / took, (double)taken[i] / took);
	printf("], \"sampled\": %lu, \"reordered\": %lu, \"wrong\": %lu}\n", s.checked, s.reordered,
		s.wrong);
}

static int run(double warm, double time) {
	pthread_t thread[CPUS_MAX];
	int err;

	for (unsigned i = 0; i < nports; i++)
		fill(&ports[i]);
	for (unsigned i = 0; i < ncpus; i++)
		if (pthread_create(&thread[i], NULL, generate, (void *)(uintptr_t)i) != 0)
			return -EAGAIN;
	err = first_frames();
	if (err == 0) {
		rest(warm);
		measure(time);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < ncpus; i++)
		pthread_join(thread[i], NULL);
	return err;
}

/* Attached, silent, until standard input ends: for who wants to see what ports cost at rest. */
static int idle(void) {
	char c;

	printf("attached\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	return 0;
}

static const char usage[] = "usage: free [options] SOCKET SOCKET [SOCKET SOCKET ...]\n"
			    "  -f BYTES    frame size without FCS, 60 to 2048 (64)\n"
			    "  -m MACS     MACs a side, 1 to 65536 (1)\n"
			    "  -c CPU,...  CPUs of the generators, ports are dealt round (2,3)\n"
			    "  -w SECONDS  warm-up (1)\n"
			    "  -t SECONDS  measured time (5)\n"
			    "  -H          guest memory on 2 MiB pages\n"
			    "  -i          attach only, stay silent until standard input ends\n";

static void parse_cpus(char *text) {
	for (char *c = strtok(text, ","); c != NULL && ncpus < CPUS_MAX; c = strtok(NULL, ","))
		cpus[ncpus++] = atoi(c);
}

int main(int argc, char **argv) {
	double warm = 1, time = 5;
	bool huge = false, silent = false;
	char default_cpus[] = "2,3";
	int opt, err = 0;

	while ((opt = getopt(argc, argv, "f:m:c:w:t:Hi")) >= 0)
		switch (opt) {
		case 'f':
			frame_len = atoi(optarg);
			break;
		case 'm':
			nmacs = atoi(optarg);
			break;
		case 'c':
			parse_cpus(optarg);
			break;
		case 'w':
			warm = atof(optarg);
			break;
		case 't':
			time = atof(optarg);
			break;
		case 'H':
			huge = true;
			break;
		case 'i':
			silent = true;
			break;
		default:
			fputs(usage, stderr);
			return 2;
		}
	if (ncpus == 0)
		parse_cpus(default_cpus);
	nports = argc - optind;
	if (frame_len < 60 || frame_len > 2048 || nmacs < 1 || nmacs > MACS_MAX || nports < 1 ||
		nports > PORTS_MAX || (!silent && nports % 2 != 0)) {
		fputs(usage, stderr);
		return 2;
	}
	for (unsigned i = 0; i < nports && err == 0; i++)
		err = attach(&ports[i], i, argv[optind + i], huge);
	if (err == 0)
		err = silent ? idle() : run(warm, time);
	for (unsigned i = 0; i < nports; i++) {
		if (err == 0)
			front_stop(&ports[i].f);
		front_close(&ports[i].f);
		free(ports[i].frames);
	}
	return err != 0;
}
