/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/crashes.h"
#include "control/switch_state.h"

/* Ports that are lost while the switch runs: what they stood on was taken away (a TAP deleted, its
 * namespace gone), or an apply that failed could not open them again. Each is tried again, soon, then
 * after one second, two, four, and so on every few seconds, until it opens or leaves the
 * configuration. A lost port stays in its place until then, inactive: frames for it are dropped
 * and counted as before. Its successor takes its place in one snapshot, so nobody else notices.
 *
 * An interface that weir made is made again; one that was there before is waited for: whoever made
 * it may want another in its place. */

enum { WAIT_MAX_S = 4 };

/* Whoever administers a TAP's namespace can take the interface away as often as it is made. */
static const char *subject(char buf[PORT_NAME_MAX + 8], const char *port) {
	snprintf(buf, PORT_NAME_MAX + 8, "port %s", port);
	return buf;
}

void switch_close_port(struct sw *s, struct port *p) {
	struct rx_counters rx;
	struct tx_counters tx;

	if (p == NULL)
		return;
	switch_port_counters(p, &rx, &tx);
	for (unsigned i = 0; i < DROP_COUNT; i++)
		s->gone_drops[i] += rx.drops[i] + tx.drops[i];
	port_close(p);
}

int switch_publish(struct sw *s) {
	struct snapshot *snap = state_snapshot(s->now, s->fdb, workers_count(s->workers));

	if (snap == NULL)
		return -ENOMEM;
	workers_publish(s->workers, snap);
	return 0;
}

void switch_lose(struct sw *s, uint16_t id, bool existing, const char *why) {
	struct lost *l = s->lost[id];
	char port[PORT_NAME_MAX + 8];

	if (l == NULL)
		l = s->lost[id] = calloc(1, sizeof(*l));
	log_limited(LOG_L_ERROR, subject(port, state_port_by_id(s->now, id)->spec.name),
		"lost: %s; weir tries again by itself", why);
	if (l == NULL)
		return; // seen again, and tried again, a second later
	l->existing = existing;
	l->wait_s = l->left_s = 0;
	snprintf(l->why, sizeof(l->why), "%s", why);
}

// Is there a port that works? If not, s->lost[id] says since when, unless memory is short.
static bool works(struct sw *s, uint16_t id) {
	struct port *p = s->now->port[id];
	struct port_status st = {.reason = "it could not be opened again"};
	bool existed = false;

	if (p != NULL && !port_gone(p, &existed))
		return true;
	if (s->lost[id] != NULL)
		return false;
	if (p != NULL)
		port_status(p, &st);
	switch_lose(s, id, existed, st.reason);
	return false;
}

// Opens the port and puts it in the place of what is left of it.
static int reopen(struct sw *s, uint16_t id, const struct config_port *cp, struct err *e) {
	struct port_spec spec = switch_spec(s, cp);
	struct port *was = s->now->port[id], *p;
	int rc;

	spec.existing = s->lost[id]->existing;
	rc = port_open(&p, id, &spec, e);
	if (rc != 0)
		return rc;
	s->now->port[id] = p;
	if (switch_publish(s) == 0) {
		switch_close_port(s, was);
		return 0;
	}
	s->now->port[id] = was;
	port_close(p);
	return err_set(e, ENOMEM, "no memory to open it again");
}

static bool recover(struct sw *s, unsigned i, unsigned passed_s) {
	const struct config_port *cp = &s->now->config->ports[i];
	uint16_t id = s->now->port_id[i];
	char port[PORT_NAME_MAX + 8];
	struct lost *l;
	struct err e;

	if (passed_s > 0 && s->now->port[id] != NULL)
		port_look(s->now->port[id]);
	if (works(s, id) || s->lost[id] == NULL)
		return false;
	l = s->lost[id];
	if (l->left_s > passed_s) {
		l->left_s -= passed_s;
		return false;
	}
	if (reopen(s, id, cp, &e) != 0) {
		memcpy(l->why, e.text, sizeof(l->why));
		l->wait_s = l->wait_s == 0 ? 1 : l->wait_s * 2;
		l->wait_s = l->wait_s > WAIT_MAX_S ? WAIT_MAX_S : l->wait_s;
		l->left_s = l->wait_s;
		return false;
	}
	log_limited(LOG_L_INFO, subject(port, cp->spec.name), "open again");
	free(l);
	s->lost[id] = NULL;
	return true;
}

void switch_recover(struct sw *s, unsigned passed_s) {
	bool any = false;

	for (unsigned i = 0; i < s->now->config->nports; i++)
		any |= recover(s, i, passed_s);
	if (any && s->reopened != NULL)
		s->reopened(s->reopened_arg);
}

struct port_spec switch_spec(const struct sw *s, const struct config_port *p) {
	struct port_spec spec = p->spec;

	spec.link_down |= crashes_held_until(s->crashes, spec.name) != 0;
	return spec;
}

/* A TAP is at work as long as it is open and its link up; who attaches to other ports says so. */
static void let_in(struct sw *s, unsigned i, bool was_held) {
	const struct config_port *cp = &s->now->config->ports[i];
	struct port *p = s->now->port[s->now->port_id[i]];
	const struct port_spec spec = switch_spec(s, cp);
	struct err e;

	if (p == NULL)
		return;
	if (was_held && crashes_held_until(s->crashes, cp->spec.name) == 0) {
		log_info("port %s is let in again", cp->spec.name);
		if (port_set(p, &spec, &e) != 0)
			log_error("port %s cannot be let in: %s", cp->spec.name, e.text);
	}
	if (spec.kind == PORT_TAP)
		crashes_working(s->crashes, spec.name, !spec.link_down, switch_now_us());
}

void switch_let_in(struct sw *s) {
	bool was_held[PORTS_MAX];

	if (s->crashes == NULL)
		return;
	for (unsigned i = 0; i < s->now->config->nports; i++)
		was_held[i] =
			crashes_held_until(s->crashes, s->now->config->ports[i].spec.name) != 0;
	crashes_look(s->crashes, switch_now_us());
	for (unsigned i = 0; i < s->now->config->nports; i++)
		let_in(s, i, was_held[i]);
}
