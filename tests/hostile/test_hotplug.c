/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Ports and networks come, change and go while two other ports carry as much as weir can.
 *
 * The two send each other long numbered frames, each from a thread of its own, and keep their rings
 * full: a frame costs them a number written and a number read, weir a copy, so it is weir that has no
 * time. A receiver that is late finds its ring full, and weir says how many frames that cost. Every
 * other frame has to arrive, once and in order. */
#include "bed.h"
#include "process.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FRAME = 1514,
	NUMBER_AT = 42, /* behind Ethernet, IP and UDP */
	RING = 1024,
	LOOK = 64, /* bytes of a frame that are looked at */
	ROUNDS = 20,
	END_MS = 3000, /* for the last frames to arrive */
	FULL_PERCENT =
		50, /* of the turns with frames left in the ring, at least; a thread may sleep */
};

struct guest {
	struct front f;
	const char *port;
	uint8_t mac[6], peer[6];
	uint32_t sent, next, got, lost;
	unsigned strange, late; /* came from elsewhere; came twice or out of order */
	uint64_t turns, full;
	pthread_t thread;
};

static struct guest guest[2] = {
	{.port = "left", .mac = {2, 0, 0, 0, 1, 0}, .peer = {2, 0, 0, 0, 1, 1}},
	{.port = "right", .mac = {2, 0, 0, 0, 1, 1}, .peer = {2, 0, 0, 0, 1, 0}},
};
static atomic_bool no_more, stop;

/* --- The two ---------------------------------------------------------------------------------- */

static void receive(struct guest *g) {
	uint8_t in[LOOK];
	uint32_t number;
	int len;

	while ((len = front_recv(&g->f, 0, in, sizeof(in), NULL)) >= 0) {
		if (len != FRAME || memcmp(in + 6, g->peer, 6) != 0) {
			g->strange++;
			continue;
		}
		memcpy(&number, in + NUMBER_AT, sizeof(number));
		g->got++;
		if (number < g->next) {
			g->late++;
			continue;
		}
		g->lost += number - g->next;
		g->next = number + 1;
	}
	if (len != -EAGAIN)
		g->strange++;
}

/* Buffers hold the frame already. */
static void transmit(struct guest *g) {
	struct front_ring *tx = front_tx(&g->f, 0);
	int id;

	front_reap(&g->f, 0);
	g->turns++;
	g->full += tx->places < tx->size;
	while ((id = front_ring_next(tx)) >= 0) {
		struct front_piece p = {tx->buf_gpa[id], g->f.header + FRAME, false};

		memcpy(tx->buf[id] + g->f.header + NUMBER_AT, &g->sent, sizeof(g->sent));
		if (front_ring_put(tx, &p, 1, false) < 0)
			break;
		g->sent++;
	}
	front_flush(&g->f, 0);
}

static void *run(void *arg) {
	struct guest *g = arg;

	while (!atomic_load(&stop)) {
		receive(g);
		if (atomic_load(&no_more))
			bed_rest(1);
		else
			transmit(g);
	}
	return NULL;
}

static void begin(struct guest *g) {
	struct front_ring *tx;

	bed_attach(&g->f, g->port, (struct front_options){.ring_size = RING});
	tx = front_tx(&g->f, 0);
	for (unsigned id = 0; id < tx->size; id++)
		front_udp_frame(tx->buf[id] + g->f.header, FRAME, g->peer, g->mac);
}

/* --- The operator ------------------------------------------------------------------------------ */

static void weir(const char *command) {
	const char *program = process_program();
	char line[1024], api[128];

	snprintf(line, sizeof(line), "'%s' --api '%s' %s >/dev/null", program,
		bed_path(api, sizeof(api), "api"), command);
	if (system(line) != 0)
		fail_msg("%s failed", line);
}

/* weir apply of the bed's configuration with these ports more. */
static void apply(const char *ports) {
	char from[128], to[128], line[512];
	FILE *in = fopen(bed_path(from, sizeof(from), "weir.yaml"), "r");
	FILE *out = fopen(bed_path(to, sizeof(to), "other.yaml"), "w");

	assert_true(in != NULL && out != NULL);
	while (fgets(line, sizeof(line), in) != NULL)
		fputs(line, out);
	fputs(ports, out);
	fclose(in);
	assert_int_equal(fclose(out), 0);
	snprintf(line, sizeof(line), "apply '%s'", to);
	weir(line);
}

/* --- The tests --------------------------------------------------------------------------------- */

static void come_and_go(unsigned round) {
	char command[256], path[128];
	struct front x = {0};

	snprintf(command, sizeof(command), "port add x vhost-user='%s' network=load",
		bed_path(path, sizeof(path), "x"));
	weir(command);
	bed_attach(&x, "x", (struct front_options){.ring_size = round % 2 == 0 ? 256 : 512});
	weir("port set x network=dark");
	weir("port set x mtu=1400");
	if (round % 2 == 0)
		bed_detach(&x);
	weir("port del x");
	if (round % 2 != 0)
		bed_detach(&x);
	weir("network add extra vlan=400");
	weir("network del extra");
}

static void apply_there_and_back(void) {
	char ports[512], y[128], z[128];

	snprintf(ports, sizeof(ports),
		"  y: {vhost-user: %s, network: load}\n  z: {vhost-user: %s, network: dark}\n",
		bed_path(y, sizeof(y), "y"), bed_path(z, sizeof(z), "z"));
	apply(ports);
	snprintf(ports, sizeof(ports), "  y: {vhost-user: %s, network: dark, isolated: true}\n", y);
	apply(ports);
	apply("");
}

/* What is on its way arrives. */
static void come_to_rest(void) {
	atomic_store(&no_more, true);
	for (unsigned ms = 0; ms < END_MS; ms += 10) {
		uint64_t full[2] = {bed_drops(guest[0].port, "ring-full"),
			bed_drops(guest[1].port, "ring-full")};

		bed_rest(10);
		if (__atomic_load_n(&guest[1].got, __ATOMIC_RELAXED) + full[1] == guest[0].sent &&
			__atomic_load_n(&guest[0].got, __ATOMIC_RELAXED) + full[0] == guest[1].sent)
			break;
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(guest[i].thread, NULL);
}

static void judge(struct guest *g, const struct guest *from) {
	uint64_t full = bed_drops(g->port, "ring-full"), other = bed_drops(g->port, NULL) - full;

	print_message(
		"# %s: %u frames received of %u, %llu found no buffer; the ring was never empty "
		"in %llu of %llu turns\n",
		g->port, g->got, from->sent, (unsigned long long)full,
		(unsigned long long)from->full, (unsigned long long)from->turns);
	if (g->late != 0 || g->strange != 0)
		fail_msg("%s: %u frames came twice or late, %u from nobody", g->port, g->late,
			g->strange);
	if (other != 0)
		fail_msg("%s: %llu frames dropped, not for the lack of buffers", g->port,
			(unsigned long long)other);
	if (g->got + full != from->sent)
		fail_msg("%s: of %u frames %u came and %llu found no buffer", g->port, from->sent,
			g->got, (unsigned long long)full);
	if (from->full * 100 < from->turns * FULL_PERCENT)
		fail_msg("%s sent too little: this was no full load", from->port);
}

static void others_lose_nothing(void **state) {
	(void)state;
	begin(&guest[0]);
	begin(&guest[1]);
	assert_int_equal(bed_drops("left", NULL) + bed_drops("right", NULL), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&guest[i].thread, NULL, run, &guest[i]), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		come_and_go(round);
		apply_there_and_back();
	}
	come_to_rest();
	judge(&guest[0], &guest[1]);
	judge(&guest[1], &guest[0]);
	bed_hold();
}

static int start(void **state) {
	(void)state;
	return bed_start("  load: {vlan: 300}\n",
		"  left: {vhost-user: @/left, network: load}\n"
		"  right: {vhost-user: @/right, network: load}\n");
}

static int end(void **state) {
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 2; i++)
		bed_detach(&guest[i].f);
	return bed_teardown(state);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		{"ports and networks come, change and go at full load; not one frame of another is "
		 "lost",
			others_lose_nothing, NULL, NULL, NULL},
	};

	return cmocka_run_group_tests(tests, start, end);
}
