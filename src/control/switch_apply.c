/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "control/switch_state.h"
#include "forward/fdb.h"

/* From the running state to the next, all or nothing.
 *
 * What to do comes from config_diff; how it is done is the table of steps below. Each step can fail
 * and each can be taken back, so a failure anywhere leaves what ran before: the steps done so far are
 * undone from the last to the first. What disturbs running ports least comes first:
 *
 *     look        are the things there that ports need: namespaces, folders, groups (a dry run ends here)
 *     open        ports that are new, while everything goes on
 *     set         link and MTU of ports that stay
 *     workers     a second set of them, if CPUs changed; they have no queues yet
 *     table       a second MAC table, if its size changed
 *     statics     pinned and static MACs in the MAC table
 *     replace     ports whose socket or interface is taken over by another (or by themselves after a
 *                 change that needs a reopen): only here does a running port stop before all is sure,
 *                 because two cannot hold the same socket. If the new one fails the old is reopened
 *     build       the snapshot
 *
 * After that nothing can fail: the snapshot is published, which returns when no worker knows the old
 * one; MAC entries of ports that left a network are forgotten and ports that left are closed. */

struct apply {
	struct sw *s;
	struct state *next;
	const json_t *diff;
	struct err *e;
	struct port *opened[PORTS_MAX]; // new ports, by id
	const json_t *changed[PORTS_MAX]; // "to" of a port changed in place
	bool comes[PORTS_MAX]; // to be opened: added or reopened
	bool leaves[PORTS_MAX]; // of the running state: removed or reopened
	bool replaced[PORTS_MAX]; // of those, closed before the others could open
	bool late[PORTS_MAX]; // opened in their place
	bool set[PORTS_MAX];
	struct workers *workers; // to take over; NULL: those that are there stay
	struct fdb *fdb;
	struct static_mac *was, *wanted;
	size_t nwas, nwanted;
	bool statics_done;
	struct snapshot *snapshot, *nothing;
};

static const struct config_port *port_at(const struct state *st, uint16_t id) {
	return state_port_by_id(st, id);
}

static int no_memory(struct apply *a) {
	return err_set(a->e, ENOMEM, "no memory for the new configuration; the old one stays");
}

// Who comes, leaves or changes, by id, from the diff.
static void read_diff(struct apply *a) {
	const json_t *s;
	size_t i;

	json_array_foreach ((json_t *)a->diff, i, s) {
		const char *op = json_string_value(json_object_get(s, "op"));
		const char *how = json_string_value(json_object_get(s, "how"));
		const char *name = json_string_value(json_object_get(s, "name"));
		int now, next;

		if (strcmp(json_string_value(json_object_get(s, "what")), "port") != 0)
			continue;
		now = state_port_index(a->s->now, name);
		next = state_port_index(a->next, name);
		if (strcmp(op, "change") == 0 && strcmp(how, "in place") == 0) {
			a->changed[a->next->port_id[next]] = json_object_get(s, "to");
			continue;
		}
		if (now >= 0)
			a->leaves[a->s->now->port_id[now]] = true;
		if (next >= 0)
			a->comes[a->next->port_id[next]] = true;
	}
}

static int look(struct apply *a) {
	for (unsigned i = 0; i < a->next->config->nports; i++) {
		const struct config_port *p = &a->next->config->ports[i];
		int rc;

		if (!a->comes[a->next->port_id[i]])
			continue;
		rc = switch_look(p, a->e);
		if (rc != 0) {
			err_prefix(a->e, "port %s: ", p->spec.name);
			return rc;
		}
	}
	return 0;
}

// Marks the running ports that must be closed before `p` can open; is there one?
static bool in_the_way(struct apply *a, const struct config_port *p) {
	const struct config *c = a->s->now->config;
	bool found = false;

	for (unsigned i = 0; i < c->nports; i++) {
		uint16_t id = a->s->now->port_id[i];

		if (!a->leaves[id] || !switch_same_place(&c->ports[i], p))
			continue;
		a->replaced[id] = true;
		found = true;
	}
	return found;
}

static int open_one(struct apply *a, unsigned i) {
	const struct port_spec spec = switch_spec(a->s, &a->next->config->ports[i]);
	uint16_t id = a->next->port_id[i];
	int rc = port_open(&a->opened[id], id, &spec, a->e);

	if (rc != 0)
		err_prefix(a->e, "port %s: ", spec.name);
	return rc;
}

static int open_new(struct apply *a) {
	int rc = 0;

	for (unsigned i = 0; i < a->next->config->nports && rc == 0; i++) {
		uint16_t id = a->next->port_id[i];

		if (!a->comes[id])
			continue;
		a->late[id] = in_the_way(a, &a->next->config->ports[i]);
		if (!a->late[id])
			rc = open_one(a, i);
	}
	return rc;
}

static void close_opened(struct apply *a) {
	for (unsigned id = 0; id < PORTS_MAX; id++)
		port_close(a->opened[id]);
}

static bool needs_set(const json_t *to) {
	return json_object_get(to, "link") != NULL || json_object_get(to, "mtu") != NULL;
}

static int set_running(struct apply *a) {
	for (unsigned id = 0; id < PORTS_MAX; id++) {
		struct port *p = a->s->now->port[id];
		struct port_spec spec;
		int rc;

		// A lost port is opened with what is new.
		if (a->changed[id] == NULL || p == NULL || a->s->lost[id] != NULL ||
			!needs_set(a->changed[id]))
			continue;
		spec = switch_spec(a->s, port_at(a->next, (uint16_t)id));
		rc = port_set(p, &spec, a->e);
		if (rc != 0) {
			err_prefix(a->e, "port %s: ", p->name);
			return rc;
		}
		a->set[id] = true;
	}
	return 0;
}

static void unset(struct apply *a) {
	for (unsigned id = 0; id < PORTS_MAX; id++) {
		struct port_spec spec;
		struct err e;

		if (!a->set[id])
			continue;
		spec = switch_spec(a->s, port_at(a->s->now, (uint16_t)id));
		if (port_set(a->s->now->port[id], &spec, &e) != 0)
			log_error("port %s: the change could not be taken back: %s",
				a->s->now->port[id]->name, e.text);
	}
}

static int start_workers(struct apply *a) {
	const struct config *now = a->s->now->config, *next = a->next->config;

	if (now->ncpus == next->ncpus &&
		memcmp(now->cpus, next->cpus, now->ncpus * sizeof(*now->cpus)) == 0)
		return 0;
	a->nothing = snapshot_new();
	if (a->nothing == NULL)
		return no_memory(a);
	a->nothing->fwd = fwd_new(a->s->fdb, 0, 0);
	if (a->nothing->fwd == NULL || fwd_seal(a->nothing->fwd) != 0)
		return no_memory(a);
	return workers_start(&a->workers, next->cpus, next->ncpus, next->idle, a->e);
}

static void stop_workers(struct apply *a) {
	if (a->nothing != NULL)
		snapshot_free(a->nothing);
	if (a->workers != NULL)
		workers_stop(a->workers);
}

static int new_table(struct apply *a) {
	if (a->s->now->config->mac_max == a->next->config->mac_max)
		return 0;
	a->fdb = fdb_new(a->next->config->mac_max, a->next->config->mac_age_s);
	return a->fdb != NULL ? 0 : no_memory(a);
}

static void drop_table(struct apply *a) {
	fdb_free(a->fdb);
}

// Is the entry in the sorted list, on the same port?
static bool listed(const struct static_mac *m, const struct static_mac *list, size_t n) {
	size_t low = 0;

	while (n > 0) {
		size_t half = n / 2;

		if (list[low + half].key == m->key)
			return list[low + half].port == m->port;
		if (list[low + half].key < m->key) {
			low += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return false;
}

// Takes out what only `from` has, puts in what only `to` has.
static int change_statics(struct fdb *t, const struct static_mac *from, size_t nfrom,
	const struct static_mac *to, size_t nto) {
	int rc = 0;

	for (size_t i = 0; i < nfrom; i++)
		if (!listed(&from[i], to, nto))
			fdb_del_static(t, from[i].key);
	for (size_t i = 0; i < nto && rc == 0; i++)
		if (!listed(&to[i], from, nfrom))
			rc = fdb_add_static(t, to[i].key, to[i].port);
	return rc;
}

static int set_statics(struct apply *a) {
	int rc;

	a->was = state_statics(a->s->now, &a->nwas);
	a->wanted = state_statics(a->next, &a->nwanted);
	if (a->was == NULL || a->wanted == NULL)
		return no_memory(a);
	a->statics_done = a->fdb == NULL;
	if (a->fdb != NULL)
		rc = change_statics(a->fdb, NULL, 0, a->wanted, a->nwanted);
	else
		rc = change_statics(a->s->fdb, a->was, a->nwas, a->wanted, a->nwanted);
	if (rc == -EEXIST)
		return err_set(a->e, EEXIST, "a pinned or static MAC is on two ports of a network");
	if (rc != 0)
		return err_set(a->e, ENOSPC,
			"the MAC table has no room for %zu pinned and static MACs; raise mac-table "
			"(%u)",
			a->nwanted, a->next->config->mac_max);
	return 0;
}

static void unset_statics(struct apply *a) {
	if (a->statics_done &&
		change_statics(a->s->fdb, a->wanted, a->nwanted, a->was, a->nwas) != 0)
		log_error("pinned and static MACs could not all be put back");
}

static int replace(struct apply *a) {
	struct port *out[PORTS_MAX] = {NULL};
	bool any = false;
	int rc = 0;

	for (unsigned id = 0; id < PORTS_MAX; id++) {
		if (!a->replaced[id])
			continue;
		out[id] = a->s->now->port[id];
		a->s->now->port[id] = NULL;
		any = true;
	}
	if (any && switch_publish(a->s) != 0) {
		for (unsigned id = 0; id < PORTS_MAX; id++) {
			if (a->replaced[id])
				a->s->now->port[id] = out[id];
			a->replaced[id] = false;
		}
		return no_memory(a);
	}
	for (unsigned id = 0; id < PORTS_MAX; id++)
		switch_close_port(a->s, out[id]);
	for (unsigned i = 0; i < a->next->config->nports && rc == 0; i++)
		if (a->late[a->next->port_id[i]])
			rc = open_one(a, i);
	return rc;
}

static void put_back(struct apply *a) {
	struct sw *s = a->s;
	bool any = false;

	for (unsigned id = 0; id < PORTS_MAX; id++) {
		if (!a->late[id])
			continue;
		port_close(a->opened[id]);
		a->opened[id] = NULL;
	}
	for (unsigned id = 0; id < PORTS_MAX; id++) {
		struct port_spec spec;
		struct err e;

		if (!a->replaced[id] || s->now->port[id] != NULL)
			continue;
		any = true;
		spec = switch_spec(s, port_at(s->now, (uint16_t)id));
		if (port_open(&s->now->port[id], (uint16_t)id, &spec, &e) != 0)
			switch_lose(s, (uint16_t)id, false, e.text);
	}
	if (any && switch_publish(s) != 0)
		log_error("no memory to bring back replaced ports; apply again");
}

static int build(struct apply *a) {
	struct state *now = a->s->now, *next = a->next;
	unsigned n = a->workers != NULL ? workers_count(a->workers) : workers_count(a->s->workers);

	for (unsigned i = 0; i < next->config->nports; i++) {
		uint16_t id = next->port_id[i];

		next->port[id] = a->opened[id] != NULL ? a->opened[id] : now->port[id];
	}
	a->snapshot = state_snapshot(next, a->fdb != NULL ? a->fdb : a->s->fdb, n);
	return a->snapshot != NULL ? 0 : no_memory(a);
}

static const struct step {
	int (*run)(struct apply *a);
	void (*undo)(struct apply *a); // also after a run that failed half way
} steps[] = {
	{look, NULL},
	{open_new, close_opened},
	{set_running, unset},
	{start_workers, stop_workers},
	{new_table, drop_table},
	{set_statics, unset_statics},
	{replace, put_back},
	{build, NULL},
};

struct relearn {
	struct fdb *to;
	uint32_t now_s;
};

static bool relearn_one(const struct fdb_entry *entry, void *arg) {
	const struct relearn *r = arg;
	uint64_t key = fdb_key(entry->net, entry->mac);

	if (!entry->is_static)
		fdb_learn(r->to, key, fdb_hash(r->to, key), entry->port, r->now_s - entry->age_s);
	return true;
}

static void publish(struct apply *a) {
	struct sw *s = a->s;
	struct fdb *fdb = a->fdb != NULL ? a->fdb : s->fdb;

	for (unsigned i = 0; i < a->next->config->nports; i++)
		fdb_set_port_max(fdb, a->next->port_id[i], a->next->config->ports[i].mac_limit);
	fdb_set_age(fdb, a->next->config->mac_age_s);
	if (a->fdb != NULL) {
		struct relearn r = {a->fdb, switch_now_s()};

		fdb_walk(s->fdb, r.now_s, relearn_one, &r);
	}
	if (a->workers != NULL) {
		workers_publish(s->workers, a->nothing);
		workers_publish(a->workers, a->snapshot);
		workers_stop(s->workers);
		s->workers = a->workers;
	} else {
		workers_publish(s->workers, a->snapshot);
		workers_set_idle(s->workers, a->next->config->idle);
	}
	if (a->fdb != NULL) {
		fdb_free(s->fdb);
		s->fdb = a->fdb;
	}
}

static bool moved(const json_t *to) {
	return json_object_get(to, "network") != NULL || json_object_get(to, "trunk") != NULL ||
	       json_object_get(to, "native") != NULL;
}

// Forgets MACs that are no longer where they were, and closes who left.
static void clean_up(struct apply *a) {
	struct state *now = a->s->now;
	uint32_t used;

	for (unsigned i = 0; i < now->config->nnets; i++)
		if (state_net_index(a->next, now->config->nets[i].name) < 0)
			fdb_flush_net(a->s->fdb, now->net_id[i]);
	for (unsigned id = 0; id < PORTS_MAX; id++) {
		if (a->leaves[id] || (a->changed[id] != NULL && moved(a->changed[id])))
			fdb_flush_port(a->s->fdb, (uint16_t)id, false);
		if (a->leaves[id])
			switch_close_port(a->s, now->port[id]);
		if (a->leaves[id] || a->opened[id] != NULL) {
			free(a->s->lost[id]);
			a->s->lost[id] = NULL;
			fdb_port_stats(a->s->fdb, (uint16_t)id, &used, &a->s->refused_before[id],
				&a->s->moves_before[id]);
		}
	}
}

// What is set up once at start stays what it is until the restart.
static void keep_fixed(struct config *next, struct config *now) {
	char *api = next->api;

	next->api = now->api;
	now->api = api;
}

int switch_apply(
	struct sw *s, struct state *next, const json_t *diff, bool dry_run, struct err *e) {
	struct apply *a = calloc(1, sizeof(*a));
	size_t n = dry_run ? 1 : sizeof(steps) / sizeof(steps[0]), i;
	int rc = 0;

	if (a == NULL) {
		state_free(next);
		return err_set(e, ENOMEM, "no memory for the new configuration; the old one stays");
	}
	*a = (struct apply){.s = s, .next = next, .diff = diff, .e = e};
	read_diff(a);
	for (i = 0; i < n && rc == 0; i++)
		rc = steps[i].run(a);
	while (rc != 0 && i-- > 0)
		if (steps[i].undo != NULL)
			steps[i].undo(a);
	if (rc == 0 && !dry_run) {
		publish(a);
		clean_up(a);
		keep_fixed(next->config, s->now->config);
		state_free(s->now);
		s->now = next;
	} else {
		state_free(next);
	}
	free(a->was);
	free(a->wanted);
	free(a);
	return rc;
}
