/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_CONTROL_SWITCH_H
#define WEIR_CONTROL_SWITCH_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#include "control/config.h"

/* The running switch: ports, workers, MAC table, and the configuration they came from. Control
 * thread only. */

struct crashes;
struct sw;
struct err;

/* Starts it all; on failure nothing is left running. `crashes` (may be NULL) stays the caller's, and says
 * which ports are held. */
int sw_start(struct sw **out, const struct config *c, sd_event *loop, struct err *e);
int sw_start_after(struct sw **out, const struct config *c, sd_event *loop, struct crashes *crashes,
	struct err *e);
void sw_stop(struct sw *s);

/* Brings the switch to `want`, all or nothing: on failure the running switch is as it was. *diff (new
 * reference) gets config_diff's array also when `dry_run`. Ports that do not change lose nothing. */
int sw_apply(struct sw *s, const struct config *want, bool dry_run, json_t **diff, struct err *e);
const struct config *sw_config(const struct sw *s);

/* A port whose interface or namespace is taken away while it runs is opened again by the switch itself
 * when that can be; others lose nothing by it. `reopened` is told after: pointers to ports from before
 * are void. */
void sw_on_reopen(struct sw *s, void (*reopened)(void *arg), void *arg);

/* Deals queues anew by load; the control loop calls it every few seconds. When rings come or go the
 * switch does so itself. */
void sw_rebalance(struct sw *s);

/* What `weir show ...` prints with -j: new references, stable keys (documented in docs/api.md). */
json_t *sw_show_ports(struct sw *s);
json_t *sw_show_networks(struct sw *s);
json_t *sw_show_macs(struct sw *s);
json_t *sw_show_workers(struct sw *s);
json_t *sw_show_drops(struct sw *s);

/* weir trace: `frame` is the frame's bytes. */
json_t *sw_trace(struct sw *s, const char *port, const uint8_t *frame, size_t len, struct err *e);

struct port *sw_port(
	struct sw *s, const char *name, struct err *e); /* NULL: no such port; names them */
/* Others after an apply that changed the CPUs: ask each time, and set the capture function again. */
struct workers *sw_workers(struct sw *s);

#endif
