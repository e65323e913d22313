/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "control/switch_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "forward/fdb.h"

static int index_of(const json_t *index, const char *name) {
	const json_t *i = json_object_get(index, name);

	return i != NULL ? (int)json_integer_value(i) : -1;
}

int state_port_index(const struct state *st, const char *name) {
	return index_of(st->port_index, name);
}

int state_net_index(const struct state *st, const char *name) {
	return index_of(st->net_index, name);
}

const struct config_port *state_port_by_id(const struct state *st, uint16_t id) {
	for (unsigned i = 0; i < st->config->nports; i++)
		if (st->port_id[i] == id)
			return &st->config->ports[i];
	return NULL;
}

const struct config_net *state_net_by_id(const struct state *st, uint16_t id) {
	for (unsigned i = 0; i < st->config->nnets; i++)
		if (st->net_id[i] == id)
			return &st->config->nets[i];
	return NULL;
}

enum { IDS_MAX = NETS_MAX };
_Static_assert((int)IDS_MAX >= (int)PORTS_MAX, "ids of ports and of networks");

/* Ids of `n` things: at[i] says which of the `nwas` of before, with ids `was`, thing i has been; -1:
 * none. Ids of things that leave are not given out again before they are gone. */
static bool give_ids(
	uint16_t *id, const int *at, unsigned n, const uint16_t *was, unsigned nwas, unsigned max) {
	bool taken[IDS_MAX] = {false};
	unsigned next = 0;

	for (unsigned i = 0; i < nwas; i++)
		taken[was[i]] = true;
	for (unsigned i = 0; i < n; i++) {
		if (at[i] >= 0) {
			id[i] = was[at[i]];
			continue;
		}
		while (next < max && taken[next])
			next++;
		if (next == max)
			return false;
		id[i] = (uint16_t)next++;
	}
	return true;
}

static int port_ids(struct state *st, const struct state *before, struct err *e) {
	const struct config *c = st->config;
	int at[PORTS_MAX];

	for (unsigned i = 0; i < c->nports; i++)
		at[i] = before != NULL ? state_port_index(before, c->ports[i].spec.name) : -1;
	if (!give_ids(st->port_id, at, c->nports, before != NULL ? before->port_id : NULL,
		    before != NULL ? before->config->nports : 0, PORTS_MAX))
		return err_set(e, ENOSPC,
			"ports that go and ports that come are more than %d together; remove ports "
			"first, then add",
			PORTS_MAX);
	return 0;
}

static int net_ids(struct state *st, const struct state *before, struct err *e) {
	const struct config *c = st->config;
	int at[NETS_MAX];

	for (unsigned i = 0; i < c->nnets; i++)
		at[i] = before != NULL ? state_net_index(before, c->nets[i].name) : -1;
	if (!give_ids(st->net_id, at, c->nnets, before != NULL ? before->net_id : NULL,
		    before != NULL ? before->config->nnets : 0, NETS_MAX))
		return err_set(e, ENOSPC,
			"networks that go and networks that come are more than %d together; remove "
			"networks first, then add",
			NETS_MAX);
	return 0;
}

static bool make_indexes(struct state *st) {
	const struct config *c = st->config;

	st->port_index = json_object();
	st->net_index = json_object();
	st->port_id = calloc(c->nports + 1, sizeof(*st->port_id));
	st->net_id = calloc(c->nnets + 1, sizeof(*st->net_id));
	if (st->port_id == NULL || st->net_id == NULL)
		return false;
	for (unsigned i = 0; i < c->nports; i++)
		if (json_object_set_new(st->port_index, c->ports[i].spec.name, json_integer(i)) !=
			0)
			return false;
	for (unsigned i = 0; i < c->nnets; i++)
		if (json_object_set_new(st->net_index, c->nets[i].name, json_integer(i)) != 0)
			return false;
	return true;
}

struct state *state_new(struct config *config, const struct state *before, struct err *e) {
	struct state *st = calloc(1, sizeof(*st));

	if (st == NULL) {
		config_free(config);
		err_set(e, ENOMEM, "no memory for the configuration");
		return NULL;
	}
	st->config = config;
	if (!make_indexes(st)) {
		err_set(e, ENOMEM, "no memory for the configuration");
	} else if (net_ids(st, before, e) == 0 && port_ids(st, before, e) == 0) {
		return st;
	}
	state_free(st);
	return NULL;
}

void state_free(struct state *st) {
	if (st == NULL)
		return;
	config_free(st->config);
	json_decref(st->port_index);
	json_decref(st->net_index);
	free(st->port_id);
	free(st->net_id);
	free(st);
}

static uint16_t net_id(const struct state *st, const char *name) {
	int i = name[0] != '\0' ? state_net_index(st, name) : -1;

	return i >= 0 ? st->net_id[i] : NET_NONE;
}

static int set_member(struct fwd *fw, const struct state *st, unsigned i) {
	const struct config_port *p = &st->config->ports[i];
	uint16_t *nets;
	int rc;

	if (p->trunk == NULL)
		return fwd_set_access(
			fw, st->port_id[i], net_id(st, p->network), p->isolated, p->mac);
	nets = calloc(p->ntrunk, sizeof(*nets));
	if (nets == NULL)
		return -ENOMEM;
	for (unsigned j = 0; j < p->ntrunk; j++)
		nets[j] = net_id(st, p->trunk[j]);
	rc = fwd_set_trunk(fw, st->port_id[i], nets, (uint16_t)p->ntrunk, net_id(st, p->native),
		p->isolated, p->mac);
	free(nets);
	return rc;
}

static int set_port(struct fwd *fw, const struct state *st, unsigned i) {
	int rc = set_member(fw, st, i);

	return rc != 0 ? rc : fwd_set_qinq(fw, st->port_id[i], st->config->ports[i].qinq);
}

static struct fwd *make_fwd(const struct state *st, struct fdb *fdb) {
	uint16_t nports = 0, nnets = 0;
	struct fwd *fw;
	int rc = 0;

	for (unsigned i = 0; i < st->config->nports; i++)
		nports = st->port_id[i] >= nports ? st->port_id[i] + 1 : nports;
	for (unsigned i = 0; i < st->config->nnets; i++)
		nnets = st->net_id[i] >= nnets ? st->net_id[i] + 1 : nnets;
	fw = fwd_new(fdb, nports, nnets);
	if (fw == NULL)
		return NULL;
	for (unsigned i = 0; i < st->config->nnets && rc == 0; i++)
		rc = fwd_set_net(fw, st->net_id[i], st->config->nets[i].vlan);
	for (unsigned i = 0; i < st->config->nports && rc == 0; i++)
		if (st->port[st->port_id[i]] != NULL)
			rc = set_port(fw, st, i);
	if (rc == 0)
		rc = fwd_seal(fw);
	if (rc == 0)
		return fw;
	fwd_free(fw);
	return NULL;
}

struct snapshot *state_snapshot(const struct state *st, struct fdb *fdb, unsigned nworkers) {
	struct snapshot *snap = snapshot_new();

	if (snap == NULL)
		return NULL;
	snap->fwd = make_fwd(st, fdb);
	memcpy(snap->ports, st->port, sizeof(snap->ports));
	if (snap->fwd != NULL && snapshot_deal(snap, nworkers) == 0)
		return snap;
	snapshot_free(snap);
	return NULL;
}

static int by_key(const void *a, const void *b) {
	const struct static_mac *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static size_t own(struct static_mac *list, size_t n, const struct config_port *p, uint16_t port,
	uint16_t net) {
	if (p->mac != 0)
		list[n++] = (struct static_mac){fdb_key(net, p->mac), port};
	for (unsigned i = 0; i < p->nstatic; i++)
		list[n++] = (struct static_mac){fdb_key(net, p->static_macs[i]), port};
	return n;
}

struct static_mac *state_statics(const struct state *st, size_t *n) {
	const struct config *c = st->config;
	struct static_mac *list;
	size_t room = 0, k = 0;

	for (unsigned i = 0; i < c->nports; i++) {
		const struct config_port *p = &c->ports[i];

		room += (size_t)((p->mac != 0) + p->nstatic) * (p->ntrunk + 1);
	}
	list = calloc(room + 1, sizeof(*list));
	if (list == NULL)
		return NULL;
	for (unsigned i = 0; i < c->nports; i++) {
		const struct config_port *p = &c->ports[i];
		const char *alone = p->trunk == NULL ? p->network : p->native;

		for (unsigned j = 0; p->trunk != NULL && j < p->ntrunk; j++) {
			k = own(list, k, p, st->port_id[i], net_id(st, p->trunk[j]));
			alone = strcmp(p->trunk[j], alone) == 0 ? "" : alone;
		}
		if (alone[0] != '\0')
			k = own(list, k, p, st->port_id[i], net_id(st, alone));
	}
	qsort(list, k, sizeof(*list), by_key);
	*n = k;
	return list;
}
