/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdio.h>

#include <linux/virtio_config.h>

#include "port/vhost_session.h"

/* What is still missing before the queues of a connection run, told by what its front end has said.
 *
 * A front end negotiates when it connects (GET_FEATURES, SET_OWNER), and waits for the guest's driver. When
 * that is ready it sends SET_FEATURES, a memory table, and all that belongs to each ring, at once. So one
 * that falls silent between two of these could not go on: QEMU without shared memory, or with more regions
 * than the protocol's table has, sends no table and tells that nobody but its own standard error. It
 * refuses to connect at all when that is so while it connects: it leaves before SET_FEATURES, and comes
 * again every second.
 *
 * The library starts a device when its first two rings are ready, so these are what is looked at. */

enum { FIRST_RINGS = 2 };

static bool any_kicked(const struct session *s) {
	for (unsigned i = 0; i < FIRST_RINGS; i++)
		if (s->ring[i].kicked)
			return true;
	return false;
}

/* A front end sends its table anew whenever the driver starts, but one that keeps the old need not. */
static bool lacks_memory(const struct session *s) {
	return s->nregions == 0 || (s->ran && s->memory_due && !any_kicked(s));
}

/* The message without which the ring cannot start, NULL: it has all. */
static const char *ring_lacks(const struct session_ring *r) {
	if (r->size == 0)
		return "SET_VRING_NUM";
	if (!r->placed)
		return "SET_VRING_ADDR";
	if (!r->called)
		return "SET_VRING_CALL";
	if (!r->kicked)
		return "SET_VRING_KICK";
	return r->enabled ? NULL : "SET_VRING_ENABLE";
}

static void rings_wait(const struct session *s, char *out, size_t size) {
	for (unsigned i = 0; i < FIRST_RINGS; i++) {
		const char *lacks = ring_lacks(&s->ring[i]);

		if (lacks == NULL)
			continue;
		if (s->ran && !s->ring[i].kicked)
			snprintf(out, size,
				"connected; the queues were stopped: the guest is paused, or its "
				"driver was reset, and has not started them again");
		else
			snprintf(out, size,
				"connected; the guest's driver has not started queue %u: %s is "
				"missing",
				i, lacks);
		return;
	}
	if (s->tells_status && !(s->status & VIRTIO_CONFIG_S_DRIVER_OK))
		snprintf(out, size,
			"connected; the guest's driver has not said that it is ready (DRIVER_OK; "
			"its status is 0x%x)",
			s->status);
	else
		snprintf(out, size, "connected; the queues are being started");
}

void session_waits(const struct session *s, char *out, size_t size) {
	if (!s->said)
		snprintf(out, size, "connected; the front end has sent no message yet");
	else if (!s->featured)
		snprintf(out, size,
			"connected; the guest's driver has not started: no features are set yet");
	else if (lacks_memory(s))
		snprintf(out, size,
			"connected; features came and no memory table: guest memory is not shared "
			"(share=on), or more than %d regions (give the guest " MESSAGE_FEWER_REGIONS
			")",
			GMEM_REGIONS);
	else
		rings_wait(s, out, size);
}

void session_left(const struct session *s, char *out, size_t size) {
	if (!s->said || s->nregions > 0)
		snprintf(out, size, " since the last front end left");
	else
		snprintf(out, size,
			"; the last one left without a memory table, as QEMU does with more "
			"than %d regions (give the guest " MESSAGE_FEWER_REGIONS ")",
			GMEM_REGIONS);
}
