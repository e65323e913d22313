/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "control/watchdog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "base/err.h"
#include "base/log.h"
#include "control/switch.h"
#include "schedule/worker.h"

/* The control thread sends the signs of life, so it need not be asked. Each worker is: it was between two
 * turns, or asleep, at some time since the sign before. One that is not keeps the sign from being sent, and
 * systemd ends the switch when that lasts. */

enum { A_PERIOD = 4 }; /* signs; two would do, and one may be late */

struct watchdog {
	struct sw *sw;
	sd_event_source *timer;
	uint64_t every_us, mark;
	struct workers *marked; /* that the mark is of: others come with an apply */
	bool said;
};

static void look(struct watchdog *w) {
	struct workers *workers = sw_workers(w->sw);
	int cpu = workers == w->marked ? workers_late(workers, w->mark) : -1;

	if (cpu >= 0) {
		if (!w->said)
			log_error("the worker on CPU %d does not come to the end of its turn; "
				  "systemd's "
				  "watchdog is told nothing until it does",
				cpu);
		w->said = true;
		return;
	}
	if (w->said)
		log_info("all workers come to the end of their turns again");
	w->said = false;
	w->marked = workers;
	w->mark = workers_mark(workers);
	sd_notify(0, "WATCHDOG=1");
}

static int on_time(sd_event_source *s, uint64_t usec, void *arg) {
	struct watchdog *w = arg;

	look(w);
	sd_event_source_set_time_relative(s, w->every_us);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

int watchdog_start(struct watchdog **out, sd_event *loop, struct sw *sw, struct err *e) {
	struct watchdog *w;
	uint64_t us = 0;
	int rc;

	*out = NULL;
	if (sd_watchdog_enabled(0, &us) <= 0)
		return 0;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return err_set(e, ENOMEM, "out of memory");
	*w = (struct watchdog){.sw = sw, .every_us = us / A_PERIOD};
	rc = sd_event_add_time_relative(
		loop, &w->timer, CLOCK_MONOTONIC, 0, w->every_us / A_PERIOD, on_time, w);
	if (rc >= 0) {
		*out = w;
		return 0;
	}
	free(w);
	return err_set(e, -rc, "the event loop takes no more timers: %s", strerror(-rc));
}

void watchdog_stop(struct watchdog *w) {
	if (w == NULL)
		return;
	sd_event_source_disable_unref(w->timer);
	free(w);
}
