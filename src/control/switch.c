/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "control/switch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/json_memory.h"
#include "base/log.h"
#include "control/config_schema.h"
#include "control/crashes.h"
#include "control/switch_state.h"
#include "forward/fdb.h"

/* Start, stop and housekeeping. Starting is an apply from nothing to the configuration. A timer ages
 * the MAC table, a part a second, and looks after ports; when a ring came or went, queues are dealt
 * anew a little later, once for all that happened meanwhile. */

enum {
	TICK_US = 1000000,
	// One deal is enough for all the rings that guests bring up one by one. It waits for the workers,
	// and meanwhile no front end is answered: 28 of them that come back at once wait for one deal, not
	// for one at each message, and what a queue costs is known better by then.
	SOON_US = 100 * 1000,
	ACCURACY_US = 500,
};

uint64_t switch_now_us(void) {
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint32_t switch_now_s(void) {
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint32_t)ts.tv_sec;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *arg) {
	struct sw *s = arg;

	fdb_age(s->fdb, switch_now_s());
	switch_recover(s, TICK_US / 1000000);
	switch_let_in(s);
	sd_event_source_set_time_relative(source, TICK_US);
	sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

static int on_soon(sd_event_source *source, uint64_t usec, void *arg) {
	switch_recover(arg, 0);
	sw_rebalance(arg);
	return 0;
}

static void on_port_changed(struct port *p, void *arg) {
	struct sw *s = arg;
	int enabled = SD_EVENT_OFF;

	sd_event_source_get_enabled(s->soon, &enabled);
	if (enabled != SD_EVENT_OFF)
		return;
	sd_event_source_set_time_relative(s->soon, SOON_US);
	sd_event_source_set_enabled(s->soon, SD_EVENT_ONESHOT);
}

static void on_port_attached(struct port *p, bool attached, void *arg) {
	const struct sw *s = arg;

	crashes_working(s->crashes, p->name, attached, switch_now_us());
}

static int start_timers(struct sw *s, struct err *e) {
	int rc = sd_event_add_time_relative(
		s->loop, &s->tick, CLOCK_MONOTONIC, TICK_US, ACCURACY_US, on_tick, s);

	if (rc >= 0)
		rc = sd_event_add_time_relative(
			s->loop, &s->soon, CLOCK_MONOTONIC, SOON_US, ACCURACY_US, on_soon, s);
	if (rc < 0)
		return err_set(e, -rc, "cannot start the switch's timers: %s", strerror(-rc));
	return 0;
}

// The configuration without ports and networks: where sw_start applies from.
static struct state *state_of_nothing(const struct config *c, struct err *e) {
	struct config bare = *c, *copy;

	bare.nports = 0;
	bare.nnets = 0;
	copy = config_copy(&bare);
	if (copy != NULL)
		return state_new(copy, NULL, e);
	err_set(e, ENOMEM, "no memory for the configuration");
	return NULL;
}

static int start(struct sw *s, const struct config *c, struct err *e) {
	struct port_env env = {.loop = s->loop,
		.changed = on_port_changed,
		.attached = on_port_attached,
		.arg = s};
	json_t *diff = NULL;
	int rc;

	s->now = state_of_nothing(c, e);
	if (s->now == NULL)
		return -ENOMEM;
	s->fdb = fdb_new(c->mac_max, c->mac_age_s);
	if (s->fdb == NULL)
		return err_set(e, ENOMEM, "no memory for a MAC table of %u entries", c->mac_max);
	rc = start_timers(s, e);
	if (rc != 0)
		return rc;
	port_env_set(&env);
	rc = workers_start(&s->workers, c->cpus, c->ncpus, c->idle, e);
	if (rc != 0)
		return rc;
	rc = sw_apply(s, c, false, &diff, e);
	json_decref(diff);
	return rc;
}

int sw_start(struct sw **out, const struct config *c, sd_event *loop, struct err *e) {
	return sw_start_after(out, c, loop, NULL, e);
}

int sw_start_after(struct sw **out, const struct config *c, sd_event *loop, struct crashes *crashes,
	struct err *e) {
	struct sw *s = calloc(1, sizeof(*s));
	int rc;

	*out = NULL;
	if (s == NULL)
		return err_set(e, ENOMEM, "no memory for the switch");
	s->loop = sd_event_ref(loop);
	s->crashes = crashes;
	rc = start(s, c, e);
	if (rc != 0) {
		sw_stop(s);
		return rc;
	}
	*out = s;
	return 0;
}

void sw_stop(struct sw *s) {
	if (s == NULL)
		return;
	if (s->workers != NULL)
		workers_stop(s->workers);
	for (unsigned id = 0; id < PORTS_MAX; id++) {
		if (s->now != NULL)
			port_close(s->now->port[id]);
		free(s->lost[id]);
	}
	port_env_set(&(struct port_env){.loop = NULL});
	sd_event_source_disable_unref(s->tick);
	sd_event_source_disable_unref(s->soon);
	sd_event_unref(s->loop);
	fdb_free(s->fdb);
	state_free(s->now);
	free(s);
}

int sw_apply(struct sw *s, const struct config *want, bool dry_run, json_t **diff, struct err *e) {
	struct config *copy = config_copy(want);
	struct state *next;
	json_t *steps;
	int rc;

	*diff = NULL;
	if (copy == NULL)
		return err_set(e, ENOMEM, "no memory for the new configuration; the old one stays");
	next = state_new(copy, s->now, e);
	if (next == NULL)
		return -ENOSPC;
	steps = config_diff(s->now->config, want);
	if (json_memory_lost()) { // of the wish, or of the steps
		json_decref(steps);
		state_free(next);
		return err_set(e, ENOMEM, "no memory for the new configuration; the old one stays");
	}
	rc = switch_apply(s, next, steps, dry_run, e);
	if (rc == 0)
		*diff = steps;
	else
		json_decref(steps);
	if (s->crashes != NULL && !dry_run)
		switch_let_in(s);
	return rc;
}

const struct config *sw_config(const struct sw *s) {
	return s->now->config;
}

// Does each worker keep its queues in the new deal? q->worker says where each queue goes.
static bool same_deal(const struct snapshot *was, const struct snapshot *is, unsigned nworkers) {
	for (unsigned w = 0; w < nworkers; w++) {
		if (was->nqueues[w] != is->nqueues[w])
			return false;
		for (unsigned i = 0; i < was->nqueues[w]; i++)
			if (was->queues[w][i]->worker != (int)w)
				return false;
	}
	return true;
}

void sw_rebalance(struct sw *s) {
	unsigned n = workers_count(s->workers);
	struct snapshot *snap = state_snapshot(s->now, s->fdb, n);

	if (snap == NULL)
		log_error("no memory to deal queues anew; they stay where they are");
	else if (same_deal(workers_snapshot(s->workers), snap, n))
		snapshot_free(snap);
	else
		workers_publish(s->workers, snap);
}

struct port *sw_port(struct sw *s, const char *name, struct err *e) {
	int i = state_port_index(s->now, name);
	char all[300];
	uint16_t id;

	if (i < 0) {
		schema_list(all, sizeof(all), s->now->port_index);
		err_set(e, ENOENT, "no such port '%.40s'; there are: %s", name,
			all[0] != '\0' ? all : "none");
		return NULL;
	}
	id = s->now->port_id[i];
	if (s->now->port[id] == NULL)
		err_set(e, ENODEV, "port %s is not open: %.300s; weir tries again by itself", name,
			s->lost[id] != NULL ? s->lost[id]->why : "it could not be reopened");
	return s->now->port[id];
}

void sw_on_reopen(struct sw *s, void (*reopened)(void *arg), void *arg) {
	s->reopened = reopened;
	s->reopened_arg = arg;
}

struct workers *sw_workers(struct sw *s) {
	return s->workers;
}
