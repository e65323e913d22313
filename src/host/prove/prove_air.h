/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_PROVE_AIR_H
#define WEIR_HOST_PROVE_AIR_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/prove/prove_trial.h"

/* Frames between three stations, and who saw which. Frames are of EtherType 0x88b5 (kept by IEEE 802 for
 * local experiments), carry a number of this run and their trial's, and are told by them: nobody else's
 * frames count, and one that comes late counts for its own trial. */

enum prove_station { STATION_A, STATION_B, STATION_PF, STATIONS };

struct air {
	struct {
		int fd; /* AF_PACKET, of the interface, -1: none */
		uint64_t mac;
	} st[STATIONS];
	uint64_t run; /* this run's number, in every frame */
	uint64_t seen[TRIALS][STATIONS]; /* a bit a frame */
	uint64_t load; /* bytes of TRIAL_LOAD that B has got */
	unsigned load_frame; /* bytes of such a frame */
	unsigned load_ms; /* for which a rate is measured */
	const volatile sig_atomic_t *stop; /* not 0: come to an end; may be NULL */
};

struct shot {
	enum prove_trial trial;
	enum prove_station from, at; /* at: whose seeing it counts */
	uint64_t to, source; /* source 0: the sender's own */
	uint16_t tag; /* 802.1Q that the sender puts in itself, 0: none */
	bool wanted;
};

void air_init(struct air *a, const volatile sig_atomic_t *stop);
/* The interface of this namespace that a station has. */
int air_open(struct air *a, enum prove_station s, const char *name, struct err *e);
void air_close(struct air *a);
/* Waits for the links, up to fifteen seconds: that of a VF which is up for the first time takes some. */
void air_wait_links(struct air *a);
/* Asks for every frame of the station's network, or no longer. */
void air_promiscuous(struct air *a, enum prove_station s, bool on);

/* Sends the frames of a trial and counts. Where they are wanted, waits first (up to ten seconds) until a
 * frame gets through: drivers take their time after a change. Where they are not wanted, waits as long
 * behind them as late ones may take. */
void air_shoot(struct air *a, const struct shot *s, struct prove_result *r);
/* Only listens. */
void air_settle(struct air *a, unsigned ms);

/* As much as A can send to B, for load_ms (a second): bit/s that arrived; negative: stopped. */
double air_rate(struct air *a);

#endif
