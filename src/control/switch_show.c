/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/mac.h"
#include "control/crashes.h"
#include "control/switch.h"
#include "control/switch_state.h"
#include "forward/fdb.h"

/* What the switch says about itself. The keys are a contract: docs/api.md. */

static void add(json_t *map, const char *key, uint64_t n) {
	json_object_set_new(map, key, json_integer((json_int_t)n));
}

static json_t *text_or_null(const char *text) {
	return text != NULL && text[0] != '\0' ? json_string(text) : json_null();
}

void switch_port_counters(const struct port *p, struct rx_counters *rx, struct tx_counters *tx) {
	memset(rx, 0, sizeof(*rx));
	memset(tx, 0, sizeof(*tx));
	for (unsigned i = 0; p != NULL && i < p->queues; i++) {
		const struct rx_counters *r = &p->rxq[i]->c;
		const struct tx_counters *t = &p->txq[i]->c;

		rx->frames += r->frames;
		rx->bytes += r->bytes;
		rx->turns += r->turns;
		rx->cycles += r->cycles;
		rx->long_turns += r->long_turns;
		if (r->longest_turn > rx->longest_turn)
			rx->longest_turn = r->longest_turn;
		tx->frames += t->frames;
		tx->bytes += t->bytes;
		tx->notifications += t->notifications;
		tx->segmented += t->segmented;
		tx->checksummed += t->checksummed;
		for (unsigned d = 0; d < DROP_COUNT; d++) {
			rx->drops[d] += r->drops[d];
			tx->drops[d] += t->drops[d];
		}
	}
}

static json_t *drops(const uint64_t *n, unsigned from, unsigned to) {
	json_t *map = json_object();

	for (unsigned d = from; d < to; d++)
		add(map, drop_name((enum drop)d), n[d]);
	return map;
}

static json_t *show_rx(const struct rx_counters *c) {
	json_t *map = json_object();

	add(map, "frames", c->frames);
	add(map, "bytes", c->bytes);
	add(map, "turns", c->turns);
	add(map, "cycles", c->cycles);
	add(map, "longest_turn", c->longest_turn);
	add(map, "long_turns", c->long_turns);
	json_object_set_new(map, "drops", drops(c->drops, DROP_NONE + 1, DROP_TX_FIRST));
	return map;
}

static json_t *show_tx(const struct tx_counters *c) {
	json_t *map = json_object();

	add(map, "frames", c->frames);
	add(map, "bytes", c->bytes);
	add(map, "notifications", c->notifications);
	add(map, "segmented", c->segmented);
	add(map, "checksummed", c->checksummed);
	json_object_set_new(map, "drops", drops(c->drops, DROP_TX_FIRST, DROP_COUNT));
	return map;
}

static json_t *show_queues(struct sw *s, const struct port *p) {
	json_t *list = json_array();

	for (unsigned i = 0; p != NULL && i < p->queues; i++) {
		const struct rxq *r = p->rxq[i];
		const struct txq *t = p->txq[i];
		json_t *q = json_object(), *rx = json_object(), *tx = json_object();
		bool active = atomic_load_explicit(&r->active, memory_order_relaxed);

		add(q, "queue", i);
		json_object_set_new(q, "active", json_boolean(active));
		json_object_set_new(
			q, "worker", r->worker >= 0 ? json_integer(r->worker) : json_null());
		add(rx, "frames", r->c.frames);
		add(rx, "bytes", r->c.bytes);
		add(tx, "frames", t->c.frames);
		add(tx, "bytes", t->c.bytes);
		json_object_set_new(q, "rx", rx);
		json_object_set_new(q, "tx", tx);
		json_array_append_new(list, q);
	}
	return list;
}

static json_t *show_membership(json_t *map, const struct config_port *p) {
	json_t *trunk = p->trunk != NULL ? json_array() : json_null();

	for (unsigned i = 0; p->trunk != NULL && i < p->ntrunk; i++)
		json_array_append_new(trunk, json_string(p->trunk[i]));
	json_object_set_new(map, "network", text_or_null(p->network));
	json_object_set_new(map, "trunk", trunk);
	json_object_set_new(map, "native", text_or_null(p->native));
	json_object_set_new(map, "isolated", json_boolean(p->isolated));
	json_object_set_new(map, "qinq", json_boolean(p->qinq));
	return map;
}

static void show_macs_of_port(
	json_t *map, const struct sw *s, const struct config_port *p, uint16_t id) {
	char text[MAC_TEXT_MAX];
	uint64_t refused, moves;
	uint32_t used;

	fdb_port_stats(s->fdb, id, &used, &refused, &moves);
	json_object_set_new(
		map, "mac", p->mac != 0 ? json_string(mac_format(p->mac, text)) : json_null());
	add(map, "macs", used);
	add(map, "macs_limit", p->mac_limit);
	add(map, "macs_refused", refused - s->refused_before[id]);
	add(map, "mac_moves", moves - s->moves_before[id]);
}

/* Why the port is not let in yet, and until when. */
static void held(struct port_status *st, unsigned crashes, uint64_t until_us) {
	const uint64_t now_us = switch_now_us(),
		       left_s = until_us > now_us ? (until_us - now_us + 999999) / 1000000 : 0;
	const time_t at = time(NULL) + (time_t)left_s;
	char clock[16];
	struct tm tm;

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&at, &tm));
	st->state = PORT_WAITING;
	snprintf(st->reason, sizeof(st->reason),
		"it was at work at the last %u crashes of the switch; it is let in at %s, in %llu "
		"s",
		crashes, clock, (unsigned long long)left_s);
}

static void show_status(
	json_t *map, const struct sw *s, const struct config_port *cp, uint16_t id) {
	struct port *p = s->now->port[id];
	struct port_status st = {.state = PORT_DOWN, .mtu = cp->spec.mtu};
	const struct lost *lost = s->lost[id];
	const uint64_t until = crashes_held_until(s->crashes, cp->spec.name);

	if (p != NULL)
		port_status(p, &st);
	if (until != 0)
		held(&st, crashes_of(s->crashes, cp->spec.name), until);
	json_object_set_new(map, "state", json_string(port_state_name(st.state)));
	json_object_set_new(map, "reason",
		lost != NULL ? json_sprintf("%s; weir tries again by itself", lost->why)
			     : text_or_null(st.reason));
	json_object_set_new(map, "peer", text_or_null(st.peer));
	json_object_set_new(map, "interface", text_or_null(st.interface));
	json_object_set_new(map, "features", json_string(st.features));
	add(map, "queues", cp->spec.queues);
	add(map, "active_pairs", st.active_pairs);
	add(map, "ring_size", st.ring_size);
	add(map, "mtu", st.mtu);
	add(map, "reconnects", st.reconnects);
	add(map, "shuts", st.shuts);
	add(map, "crashes", crashes_of(s->crashes, cp->spec.name));
	json_object_set_new(
		map, "capture", json_boolean(p != NULL && atomic_load(&p->capture) > 0));
}

static json_t *show_port(struct sw *s, unsigned i) {
	const struct config_port *cp = &s->now->config->ports[i];
	uint16_t id = s->now->port_id[i];
	struct port *p = s->now->port[id];
	struct rx_counters rx;
	struct tx_counters tx;
	json_t *map = json_object();

	json_object_set_new(map, "name", json_string(cp->spec.name));
	add(map, "id", id);
	json_object_set_new(map, "kind", json_string(port_kind_name(cp->spec.kind)));
	json_object_set_new(map, "path", json_string(cp->path));
	json_object_set_new(map, "netns", text_or_null(cp->netns));
	json_object_set_new(map, "mode",
		cp->spec.kind == PORT_VHOST_USER
			? json_string(cp->spec.client ? "client" : "server")
			: json_null());
	json_object_set_new(map, "link", json_string(cp->spec.link_down ? "down" : "up"));
	show_membership(map, cp);
	show_status(map, s, cp, id);
	show_macs_of_port(map, s, cp, id);
	switch_port_counters(p, &rx, &tx);
	json_object_set_new(map, "rx", show_rx(&rx));
	json_object_set_new(map, "tx", show_tx(&tx));
	json_object_set_new(map, "queue_list", show_queues(s, p));
	return map;
}

json_t *sw_show_ports(struct sw *s) {
	json_t *list = json_array();

	for (unsigned i = 0; i < s->now->config->nports; i++)
		json_array_append_new(list, show_port(s, i));
	return list;
}

// How the port is in the network: 0 not, 1 untagged, 2 tagged.
static int membership(const struct config_port *p, const char *net) {
	if (strcmp(p->network, net) == 0 || strcmp(p->native, net) == 0)
		return 1;
	for (unsigned i = 0; i < p->ntrunk; i++)
		if (strcmp(p->trunk[i], net) == 0)
			return 2;
	return 0;
}

json_t *sw_show_networks(struct sw *s) {
	const struct config *c = s->now->config;
	json_t *list = json_array();

	for (unsigned i = 0; i < c->nnets; i++) {
		json_t *map = json_object(), *members = json_array();
		const struct config_net *net = &c->nets[i];

		for (unsigned j = 0; j < c->nports; j++) {
			int how = membership(&c->ports[j], net->name);

			if (how != 0)
				json_array_append_new(members,
					json_pack("{s:s, s:b}", "port", c->ports[j].spec.name,
						"tagged", how == 2));
		}
		json_object_set_new(map, "name", json_string(net->name));
		add(map, "id", s->now->net_id[i]);
		json_object_set_new(
			map, "vlan", net->vlan != 0 ? json_integer(net->vlan) : json_null());
		json_object_set_new(map, "members", members);
		json_array_append_new(list, map);
	}
	return list;
}

struct macs {
	struct fdb_entry *entry;
	size_t n, room;
	bool no_memory;
};

static bool collect(const struct fdb_entry *entry, void *arg) {
	struct macs *m = arg;

	if (m->n == m->room) {
		size_t room = m->room != 0 ? 2 * m->room : 256;
		struct fdb_entry *more = realloc(m->entry, room * sizeof(*more));

		m->no_memory = more == NULL;
		if (more == NULL)
			return false;
		m->entry = more;
		m->room = room;
	}
	m->entry[m->n++] = *entry;
	return true;
}

static int by_net_and_mac(const void *a, const void *b) {
	const struct fdb_entry *x = a, *y = b;
	uint64_t m = __builtin_bswap64(x->mac), n = __builtin_bswap64(y->mac);

	if (x->net != y->net)
		return x->net < y->net ? -1 : 1;
	return m < n ? -1 : m > n;
}

json_t *sw_show_macs(struct sw *s) {
	const struct config *c = s->now->config;
	const char *net_name[NETS_MAX] = {NULL}, *port_name[PORTS_MAX] = {NULL};
	struct macs m = {NULL};
	char text[MAC_TEXT_MAX];
	json_t *list;

	for (unsigned i = 0; i < c->nnets; i++)
		net_name[s->now->net_id[i]] = c->nets[i].name;
	for (unsigned i = 0; i < c->nports; i++)
		port_name[s->now->port_id[i]] = c->ports[i].spec.name;
	fdb_walk(s->fdb, switch_now_s(), collect, &m);
	if (m.no_memory) {
		free(m.entry);
		return NULL;
	}
	list = json_array();
	if (m.n > 0)
		qsort(m.entry, m.n, sizeof(*m.entry), by_net_and_mac);
	for (size_t i = 0; i < m.n; i++) {
		const struct fdb_entry *e = &m.entry[i];

		if (e->net >= NETS_MAX || net_name[e->net] == NULL || e->port >= PORTS_MAX ||
			port_name[e->port] == NULL)
			continue; // was just being forgotten
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:s, s:b, s:i}", "mac", mac_format(e->mac, text),
				"network", net_name[e->net], "port", port_name[e->port], "static",
				e->is_static, "age", (int)e->age_s));
	}
	free(m.entry);
	return list;
}

static json_t *queues_of_worker(const struct snapshot *snap, unsigned worker) {
	json_t *list = json_array();

	for (unsigned i = 0; snap != NULL && i < snap->nqueues[worker]; i++) {
		const struct rxq *q = snap->queues[worker][i];

		json_array_append_new(list,
			json_pack("{s:s, s:i}", "port", q->port->name, "queue", (int)q->index));
	}
	return list;
}

static double share(uint64_t part, uint64_t all) {
	return all != 0 ? (double)part / (double)all : 0;
}

static json_t *show_worker(struct sw *s, unsigned i) {
	json_t *map = json_object(), *cycles = json_object(), *each = json_object();
	struct worker_stats st;
	uint64_t moving = 0;

	workers_stats(s->workers, i, &st);
	for (unsigned k = 0; k < STAGE_COUNT; k++) {
		add(cycles, stage_names[k], st.stage_cycles[k]);
		json_object_set_new(
			each, stage_names[k], json_real(share(st.stage_cycles[k], st.frames)));
		moving += st.stage_cycles[k];
	}
	json_object_set_new(each, "all", json_real(share(moving, st.frames)));
	add(map, "worker", i);
	json_object_set_new(map, "cpu", json_integer(st.cpu));
	add(map, "queues", st.queues);
	json_object_set_new(map, "queue_list", queues_of_worker(workers_snapshot(s->workers), i));
	add(map, "frames", st.frames);
	add(map, "turns", st.turns);
	add(map, "longest_turn", st.longest_turn);
	add(map, "long_turns", st.long_turns);
	add(map, "turn_cycles_max", TURN_CYCLES_MAX);
	add(map, "sleeps", st.sleeps);
	add(map, "hz", workers_hz());
	add(map, "cycles", st.cycles);
	add(map, "busy_cycles", st.busy_cycles);
	add(map, "sleep_cycles", st.sleep_cycles);
	json_object_set_new(map, "busy", json_real(share(st.busy_cycles, st.cycles)));
	json_object_set_new(map, "asleep", json_real(share(st.sleep_cycles, st.cycles)));
	json_object_set_new(map, "stage_cycles", cycles);
	json_object_set_new(map, "cycles_a_frame", each);
	return map;
}

json_t *sw_show_workers(struct sw *s) {
	json_t *list = json_array();

	for (unsigned i = 0; i < workers_count(s->workers); i++)
		json_array_append_new(list, show_worker(s, i));
	return list;
}

static json_t *drop_row(enum drop d, const char *port, uint64_t frames) {
	json_t *row = json_object();

	json_object_set_new(row, "reason", json_string(drop_name(d)));
	json_object_set_new(row, "text", json_string(drop_text(d)));
	json_object_set_new(row, "side", json_string(d < DROP_TX_FIRST ? "rx" : "tx"));
	json_object_set_new(row, "port", text_or_null(port));
	add(row, "frames", frames);
	return row;
}

static void show_drop(json_t *list, struct sw *s, enum drop d) {
	const struct config *c = s->now->config;
	json_t *total = drop_row(d, NULL, 0);
	uint64_t sum = s->gone_drops[d];

	json_array_append(list, total);
	for (unsigned i = 0; i < c->nports; i++) {
		const struct port *p = s->now->port[s->now->port_id[i]];
		uint64_t n = 0;

		for (unsigned q = 0; p != NULL && q < p->queues; q++)
			n += p->rxq[q]->c.drops[d] + p->txq[q]->c.drops[d];
		if (n > 0)
			json_array_append_new(list, drop_row(d, c->ports[i].spec.name, n));
		sum += n;
	}
	add(total, "frames", sum);
	json_decref(total);
}

json_t *sw_show_drops(struct sw *s) {
	json_t *list = json_array();

	for (int d = DROP_NONE + 1; d < DROP_COUNT; d++)
		show_drop(list, s, (enum drop)d);
	return list;
}
