/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_CONTROL_WATCHDOG_H
#define WEIR_CONTROL_WATCHDOG_H

#include <systemd/sd-event.h>

/* Signs of life for systemd (WatchdogSec=): sent as long as the control thread and every worker of the
 * switch go on. Control thread only. */

struct err;
struct sw;
struct watchdog;

/* *out is NULL when nobody asked for signs. 0, or -errno with a sentence. */
int watchdog_start(struct watchdog **out, sd_event *loop, struct sw *sw, struct err *e);
/* Before the switch is stopped. Harmless for NULL. */
void watchdog_stop(struct watchdog *w);

#endif
