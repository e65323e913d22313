/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_CONTROL_DAEMON_H
#define WEIR_CONTROL_DAEMON_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#include "base/listener.h"

/* `weir switch`: the process around the switch. One control thread runs everything here. */

struct config;
struct err;
struct sw;

struct daemon_options {
	const char *file; /* NULL: an empty configuration with defaults */
	const char *api; /* socket; NULL: what the configuration says */
	const char *api_env; /* socket when neither says; NULL: the default */
	bool netns; /* keep what ports in other network namespaces need */
	bool group; /* keep what sockets for groups and for clients elsewhere need */
	bool verbose;
};

struct daemon {
	const struct daemon_options *options;
	sd_event *loop;
	struct sw *sw;
	struct api *api;
	struct listener api_socket;
	struct metrics *metrics;
	struct captures *captures;
	struct watchdog *watchdog;
	struct crashes *crashes;
	bool ready; /* it has started, and ends by itself */
	cpu_set_t control; /* where all threads but workers run */
	uint64_t started_us; /* CLOCK_MONOTONIC */
	double started_s; /* of the epoch */
};

/* Runs until SIGTERM or SIGINT. 0, or a negative errno with a sentence when it could not start. */
int daemon_run(const struct daemon_options *o, struct err *e);

/* Reads a configuration from `text` (a file's, of name `file`) or from a tree. */
int daemon_parse(struct daemon *d, struct config **out, const char *text, size_t len,
	const char *file, struct err *e);
int daemon_from_json(struct daemon *d, struct config **out, const json_t *tree, struct err *e);
/* config_dump of the running configuration. */
json_t *daemon_config(struct daemon *d, bool full);
/* sw_apply, and what hangs on the configuration beside the switch. */
int daemon_apply(
	struct daemon *d, const struct config *want, bool dry_run, json_t **diff, struct err *e);

/* Says in the log what was changed and for whom. */
void daemon_log_changes(const json_t *diff, const char *who);

/* daemon_host.c: what the process asks of its host. */

/* Where threads other than workers may run: the given CPUs without the workers', all of them when
 * nothing is left. host_cpus sets the calling thread's CPUs. */
void host_control_cpus(const int *workers, unsigned n, cpu_set_t *out);
void host_cpus(const cpu_set_t *cpus);
/* The same for all threads that are no workers: DPDK's own, after the workers moved. */
void host_all_cpus(const cpu_set_t *cpus);
/* Descriptors as many as allowed; no guest memory in a core dump. */
void host_limits(void);
/* Gives up, for this thread and those it will start, every privilege but what the configuration and
 * the options call for; `kept` gets their names. -EPERM with a sentence. */
int host_drop_privileges(const struct config *c, const struct daemon_options *o, char *kept,
	size_t size, struct err *e);
/* Starts DPDK's runtime without files, with the options (up to 10, NULL behind the last) that say what
 * memory and devices; its other threads get `cpus`. host_switch_memory: neither hugepages nor devices. */
int host_start_dpdk(const cpu_set_t *cpus, const char *const *options, struct err *e);
extern const char *const host_switch_memory[];
/* While DPDK's messages do not go to the log: the first error since host_dpdk_watch, which is the one
 * with the cause; empty: none. */
void host_dpdk_watch(void);
const char *host_dpdk_error(void);
/* From now on DPDK's messages go to the log; before, only the last error is kept for a sentence. */
void host_log_dpdk(bool verbose);

#endif
