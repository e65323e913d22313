/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * A guest does what QEMU and Linux do between them: it keeps its memory and rings when the switch
 * goes, connects again, tells a packed ring to go on where it was at the last orderly start (QEMU
 * knows no better), kicks nothing, and knows nothing of all this inside: with nothing to do it asks
 * for interrupts and sleeps until one comes, so that a lost one is found. */
#include "survivor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	NUMBER_AT = 42, /* behind Ethernet, IP and UDP */
	SOME = 500, /* frames, before a guest stops its rings once */
	BURST = 32,
};

void guest_complain(const struct guest *g, const char *what) {
	if (!atomic_exchange(&g->s->failed, true))
		snprintf(g->s->why, sizeof(g->s->why), "%s: %s", g->name, what);
}

int guest_make(struct guest *g) {
	struct front_options o = {.path = g->path,
		.listen = g->k->client,
		.timeout_ms = g->k->client ? 1 : 0,
		.features = FRONT_F_PLAIN | g->k->features,
		.protocol = g->k->protocol,
		.buffer_size = 2048,
		.chain = g->k->chains ? 2 : 1,
		.header_alone = g->k->chains,
		.indirect = g->k->features & FRONT_BIT(VIRTIO_RING_F_INDIRECT_DESC)};

	return front_init(&g->f, &o);
}

static int set_rings(struct guest *g) {
	int err = 0;

	for (unsigned i = 0; i < 2 && err == 0; i++) {
		if (g->f.ring[i].packed)
			g->f.ring[i].base = g->told[i];
		err = front_set_ring(&g->f, &g->f.ring[i]);
	}
	for (unsigned i = 0; i < 2 && err == 0; i++)
		err = front_enable(&g->f, &g->f.ring[i], true);
	return err;
}

/* Receive buffers may be smaller than what is sent. */
static void lay_out(struct guest *g) {
	front_layout(&g->f);
	if (g->k->buffer != 0)
		front_rx(&g->f, 0)->buffer_size = g->k->buffer;
	g->told[0] = g->told[1] = 0x80008000;
}

/* One try; a front end does not wait with its guest standing still. */
static void attach(struct guest *g) {
	struct front *f = &g->f;
	uint64_t none = 0;
	int err = front_connect(f);

	if (err != 0)
		return;
	atomic_compare_exchange_strong(&g->s->back_ms, &none, fair_ms(&g->s->clock));
	err = front_negotiate(f);
	if (err == 0)
		err = front_set_features(f);
	if (err == 0 && !g->made)
		lay_out(g);
	if (err == 0)
		err = front_set_memory(f);
	if (err == 0)
		err = front_set_inflight(f);
	if (err == 0)
		err = set_rings(g);
	if (err == 0 && !g->made) {
		front_post(f);
		g->made = true;
	}
	g->attached = err == 0;
	g->ready_ms = 0;
	if (err != 0)
		front_disconnect(f);
	if (err == -EREMOTEIO || err == -EPROTO)
		guest_complain(g, f->why);
}

static bool hung_up(const struct guest *g) {
	char c;
	ssize_t n = recv(g->f.sock, &c, 1, MSG_PEEK | MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN);
}

static void detach(struct guest *g) {
	front_disconnect(&g->f);
	g->attached = false;
}

/* The driver stops the device and starts it again where it stands, as it does to change a setting. */
static void stop_once(struct guest *g) {
	g->stopped = true;
	if (front_stop(&g->f) == 0) {
		g->told[0] = g->f.ring[0].base;
		g->told[1] = g->f.ring[1].base;
		set_rings(g);
	}
}

/* A new round: some drop their connection, in the middle of a message even. */
static void notice(struct guest *g) {
	g->seen = g->round = atomic_load(&g->s->round);
	if (!g->attached || !atomic_exchange(&g->flap, false))
		return;
	if (g->seen % 4 == 0)
		front_raw(&g->f, "\1\0\0\0\1", 5, NULL, 0);
	detach(g);
	attach(g);
	if (!g->attached && !g->k->client)
		guest_complain(g, "refused because of a connection that is gone");
}

unsigned guest_receive(struct guest *g) {
	uint8_t in[LONG_FRAME];
	uint32_t number[2], end;
	unsigned n = 0;
	uint64_t at;
	int len;

	while ((len = front_recv(&g->f, 0, in, sizeof(in), NULL)) != -EAGAIN) {
		n++;
		memcpy(number, in + NUMBER_AT, sizeof(number));
		memcpy(&end, in + g->len - sizeof(end), sizeof(end));
		if (len < 0) {
			guest_complain(g, g->f.why);
			return 0;
		}
		if (len != g->len || end != number[1] || memcmp(in, g->frame + 6, 6) != 0) {
			guest_complain(g, "a frame that nobody sent");
			continue;
		}
		at = (uint64_t)number[0] << 32 | number[1];
		if (at < g->last)
			guest_complain(g, at + 1 == g->last ? "a frame came twice"
							    : "a frame came twice or late");
		else
			atomic_fetch_add(&g->lost,
				number[1] > (uint32_t)g->last ? number[1] - (uint32_t)g->last : 0);
		g->last = at + 1;
		atomic_fetch_add(&g->got, 1);
		if (number[0] > atomic_load(&g->fresh) && g->attached) {
			atomic_store(&g->fresh_ms, fair_ms(&g->s->clock));
			atomic_store(&g->fresh, number[0]);
		}
	}
	return n;
}

unsigned guest_reap(struct guest *g) {
	unsigned n = 0;
	int id;

	while ((id = front_ring_take(front_tx(&g->f, 0), NULL)) >= 0)
		n++;
	if (id == -EPROTO)
		guest_complain(g, "a sent buffer came back twice");
	return n;
}

unsigned guest_transmit(struct guest *g, unsigned burst) {
	unsigned n;

	for (n = 0; n < burst; n++) {
		uint32_t number[2] = {g->round, g->number};

		memcpy(g->frame + NUMBER_AT, number, sizeof(number));
		memcpy(g->frame + g->len - sizeof(number[1]), &number[1], sizeof(number[1]));
		if (front_put(&g->f, 0, g->frame, g->len, NULL) < 0)
			break;
		g->number++;
	}
	front_flush(&g->f, 0);
	return n;
}

static bool called(struct front_ring *r) {
	uint64_t calls;

	return read(r->call, &calls, sizeof(calls)) == sizeof(calls);
}

static void interrupts(struct guest *g, bool on) {
	front_ring_interrupts(&g->f.ring[0], on);
	front_ring_interrupts(&g->f.ring[1], on);
}

static bool ready(const struct guest *g) {
	return front_ring_ready(&g->f.ring[0]) || front_ring_ready(&g->f.ring[1]);
}

/* Something is there, and nobody called; a turn may be long on a busy machine, so ask twice. */
static void missed(struct guest *g) {
	if (!g->attached || !ready(g)) {
		g->ready_ms = 0;
		return;
	}
	if (g->ready_ms == 0)
		g->ready_ms = fair_ms(&g->s->clock);
	else if (fair_ms(&g->s->clock) - g->ready_ms > (uint64_t)INTERRUPT_MS * patience() &&
		 !called(&g->f.ring[0]) && !called(&g->f.ring[1]))
		guest_complain(g, front_ring_ready(&g->f.ring[0])
					  ? "no interrupt for a frame that came"
					  : "no interrupt for a frame that was sent");
}

static bool wakes(struct guest *g) {
	bool rx = called(&g->f.ring[0]), tx = called(&g->f.ring[1]);

	if (!rx && !tx) {
		missed(g);
		return false;
	}
	g->asleep = false;
	g->ready_ms = 0;
	interrupts(g, false);
	return true;
}

static bool work(struct guest *g, unsigned burst) {
	unsigned n;

	if (g->asleep && !wakes(g))
		return false;
	n = guest_receive(g);
	n += guest_reap(g);
	n += guest_transmit(g, burst);
	if (n > 0)
		return true;
	interrupts(g, true);
	g->asleep = !ready(g);
	if (!g->asleep)
		interrupts(g, false);
	return !g->asleep;
}

bool guest_step(struct guest *g) {
	if (g->k->stopped && !g->stopped && g->attached && atomic_load(&g->got) > SOME)
		stop_once(g);
	if (g->seen != atomic_load(&g->s->round))
		notice(g);
	if (g->attached && hung_up(g))
		detach(g);
	if (!g->attached)
		attach(g);
	return g->made && work(g, BURST);
}

void guest_init(struct guest *g, const struct kind *k, struct shared *s, const char *folder,
	unsigned net, unsigned side) {
	const uint8_t mine[6] = {2, 0, 0, 0, (uint8_t)net, (uint8_t)side};
	const uint8_t its[6] = {2, 0, 0, 0, (uint8_t)net, (uint8_t)!side};

	*g = (struct guest){.s = s, .k = k, .len = k->frame != 0 ? k->frame : 64};
	snprintf(g->name, sizeof(g->name), "%s (%u)", k->name, side);
	snprintf(g->path, sizeof(g->path), "%s/%u-%u", folder, net, side);
	front_udp_frame(g->frame, g->len, its, mine);
}
