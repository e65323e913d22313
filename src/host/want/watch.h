/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_WATCH_H
#define WEIR_HOST_WATCH_H

#include <stdint.h>

#include "host/change/apply.h"

/* Keeps a host as a file wants it: applies it, then looks again whenever a link changes and every so often
 * (drivers and numbers of VFs make no event), and restores what has drifted. What it restored is logged.
 *
 * It does not fight: an attribute that drifts again and again is let be for a while, longer each time, with
 * a warning. VFs that belong to somebody the file does not name it leaves alone, and what is in use it does
 * not take away. As long as no PF matches, or the file's VFs cannot be had, it waits and says so. */

struct err;

struct watch_options {
	const char *file;
	struct apply apply; /* root, state, command; force is not used */
	uint64_t every_us; /* between two looks without an event */
};

/* Runs until SIGTERM or SIGINT; SIGHUP reads FILE again (and keeps to the old when it is refused). Tells
 * systemd when it is ready: after the first apply, or when that could not be done for 10 s, so that the
 * start of the host does not hang on it. 0, or a negative errno with its sentence: FILE is refused at the
 * start, another watch runs, the loop cannot be made. */
int watch_run(const struct watch_options *o, struct err *e);

#endif
