/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_PORT_VHOST_SESSION_H
#define WEIR_PORT_VHOST_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "port/gmem.h"
#include "port/port.h"
#include "port/vhost_message.h"

/* What a front end has said on its connection, as far as later messages are judged by it: each may be
 * right by itself and wrong behind another. librte_vhost answers some of those with a refusal that
 * few front ends show anybody, and to others just never starts the ring. */

enum { SESSION_DESCRIPTORS_MAX = 2 * QUEUES_MAX * 4096 }; /* in all rings of a port */

struct session_ring {
	uint32_t size; /* descriptors, 0: not told */
	uint64_t area[3]; /* descriptors, driver's, device's; addresses in the front end */
	bool placed; /* areas are told */
	bool kicked, enabled; /* both: it runs, if all the rest is told */
	bool called; /* SET_VRING_CALL came: librte_vhost starts no ring without */
};

struct session {
	uint64_t offered, features;
	bool said, featured; /* any message came; SET_FEATURES did */
	bool memory_due; /* no memory table since the last SET_FEATURES */
	bool ran; /* a ring ran until it was stopped, or enabled or disabled */
	bool tells_status; /* SET_STATUS is negotiated; librte_vhost then waits for DRIVER_OK */
	uint8_t status;
	unsigned nregions; /* 0: no memory table yet */
	struct {
		uint64_t uva, size;
	} region[GMEM_REGIONS];
	struct session_ring ring[2 * QUEUES_MAX];
};

/* A new connection; `offered` are the features it may choose from. */
void session_begin(struct session *s, uint64_t offered);

/* May the message, which message_admit let pass, follow what was said before? Remembers it; false, with a
 * sentence in `why`, and the session is over. Refused are: features that are not offered, or that
 * change under a ring that runs (VHOST_F_LOG_ALL may); rings of no descriptors, of more than 32768, or
 * split ones whose number is no power of two (virtio 1.2, 2.7), or of more than SESSION_DESCRIPTORS_MAX
 * together; rings that would run outside of the
 * memory table. Addresses are not looked at before the ring runs (vhost-user.rst, SET_VRING_ADDR). */
bool session_admit(struct session *s, const struct message *m, char *why, size_t size);

/* A sentence in `out` on what the port of a front end that is connected, and whose queues do not run, waits
 * for: the first step of the protocol that is missing, and how to remedy what keeps front ends from it. */
void session_waits(const struct session *s, char *out, size_t size);

/* How the front end left, for the end of a sentence on a port that nobody is connected to; begins with a
 * space. */
void session_left(const struct session *s, char *out, size_t size);

#endif
