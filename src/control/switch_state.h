/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_CONTROL_SWITCH_STATE_H
#define WEIR_CONTROL_SWITCH_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#include "base/drop.h"
#include "base/err.h"
#include "control/config.h"
#include "forward/forward.h"
#include "schedule/worker.h"

/* What the files of switch*.c share. A state is one configuration made real: the ids of its networks
 * and ports and the open ports themselves. The switch has one that it runs; sw_apply builds the next
 * beside it. */

struct crashes;
struct fdb;

struct state {
	struct config *config;
	json_t *port_index, *net_index; /* name to index in config->ports, config->nets */
	uint16_t *port_id, *net_id; /* by index in config */
	struct port *port[PORTS_MAX]; /* by id; NULL: none, or it could not be opened again */
};

/* Takes over `config`. Ids of what is in `before` too (by name; may be NULL) stay; others are the
 * lowest that `before` does not use. NULL with a sentence; then `config` is freed. */
struct state *state_new(struct config *config, const struct state *before, struct err *e);
/* Not the ports. */
void state_free(struct state *st);

/* Index in the configuration, -1: no such. */
int state_port_index(const struct state *st, const char *name);
int state_net_index(const struct state *st, const char *name);
/* By id, NULL: no such. */
const struct config_port *state_port_by_id(const struct state *st, uint16_t id);
const struct config_net *state_net_by_id(const struct state *st, uint16_t id);

/* Forwarding state and queues dealt to `nworkers` of the ports that are open; NULL: no memory. */
struct snapshot *state_snapshot(const struct state *st, struct fdb *fdb, unsigned nworkers);

/* Pinned and static MACs of every port in each of its networks, sorted by key; NULL: no memory. */
struct static_mac {
	uint64_t key; /* fdb_key */
	uint16_t port;
};
struct static_mac *state_statics(const struct state *st, size_t *n);

/* A port that is to be opened again. */
struct lost {
	char why[ERR_TEXT_MAX]; /* what keeps it from opening */
	bool existing; /* its interface was there before it: it is not made */
	unsigned wait_s; /* between this attempt and the next */
	unsigned left_s; /* of that */
};

struct sw {
	struct state *now;
	struct fdb *fdb;
	struct workers *workers;
	sd_event *loop;
	sd_event_source *tick, *soon;
	struct crashes *crashes; /* NULL: nobody remembers; not ours */
	struct lost
		*lost[PORTS_MAX]; /* ports of `now` that carry nothing until opened again; by id */
	void (*reopened)(void *arg); /* NULL: nobody asked */
	void *reopened_arg;
	uint64_t moves_before[PORTS_MAX]; /* of former owners of the id, in fdb_port_stats */
	uint64_t refused_before[PORTS_MAX];
	uint64_t gone_drops[DROP_COUNT]; /* of ports closed since start */
};

/* The clock of the MAC table. */
uint32_t switch_now_s(void);
uint64_t switch_now_us(void); /* CLOCK_MONOTONIC */

/* What the port is opened with and set to now: as long as it is held, its link is down. */
struct port_spec switch_spec(const struct sw *s, const struct config_port *p);
/* Lets in the ports whose time has come, and records which are at work. */
void switch_let_in(struct sw *s);

/* Sums over the queues of a port. */
void switch_port_counters(const struct port *p, struct rx_counters *rx, struct tx_counters *tx);

/* Could the port be opened, as far as can be told without doing it? Sentence without its name. */
int switch_look(const struct config_port *p, struct err *e);
/* Do both want the same socket or the same interface? */
bool switch_same_place(const struct config_port *x, const struct config_port *y);

/* Carries out (or only checks) the steps from s->now to `next`, which it takes over. */
int switch_apply(struct sw *s, struct state *next, const json_t *diff, bool dry_run, struct err *e);

/* Closes a port that no snapshot names any more; what it dropped is counted on. NULL: nothing. */
void switch_close_port(struct sw *s, struct port *p);
/* Publishes the ports of s->now; -ENOMEM. */
int switch_publish(struct sw *s);

/* The port of that id is not open and is to be tried again. */
void switch_lose(struct sw *s, uint16_t id, bool existing, const char *why);
/* Finds ports that were lost since and opens again those whose time has come, `passed_s` seconds after
 * the last call. */
void switch_recover(struct sw *s, unsigned passed_s);

#endif
