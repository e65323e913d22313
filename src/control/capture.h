/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_CONTROL_CAPTURE_H
#define WEIR_CONTROL_CAPTURE_H

#include <stdint.h>

#include <systemd/sd-event.h>

#include "port/port.h"

/* `weir capture`: copies of the frames of a port, both directions, as pcapng into a pipe or a socket
 * that a client gave. Control thread, but for captures_frame, which workers call. */

struct captures;
struct err;

enum {
	CAPTURES_MAX = 16,
	CAPTURE_RING = 4 << 20, /* bytes of frames that wait for their reader */
	CAPTURE_SNAPLEN_MAX = 262144,
};

struct capture_spec {
	int fd; /* write end; closed when the capture ends, and when it cannot start */
	uint64_t count; /* frames, then it ends; 0: no end */
	uint32_t snaplen; /* bytes of each at most; 0: all */
	const void *owner; /* captures_end_of ends it */
	uint64_t tsc_hz;
};

/* NULL when memory is short. close ends them all, before the ports go; free comes after the workers
 * have ended, which may still look. */
struct captures *captures_new(sd_event *loop);
void captures_close(struct captures *cs);
void captures_free(struct captures *cs);

/* Begins; -EINVAL (neither pipe nor socket), -EBUSY (too many), -ENOMEM, each with a sentence. */
int captures_start(
	struct captures *cs, struct port *p, const struct capture_spec *spec, struct err *e);
/* Ends what the owner began: what was captured until now is still written. */
void captures_end_of(struct captures *cs, const void *owner);
/* Ports were opened or closed: finds each capture's port again by name, ends those without one. The
 * port a capture knew may be freed already; a new one of the same name is not captured until now. */
void captures_follow(
	struct captures *cs, struct port *(*find)(void *arg, const char *name), void *arg);
unsigned captures_count(const struct captures *cs);

/* capture_fn of schedule/worker.h; arg is struct captures. */
void captures_frame(void *arg, struct port *p, int dir, const struct frame *f, uint32_t tag);

#endif
