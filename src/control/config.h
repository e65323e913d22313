/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_CONTROL_CONFIG_H
#define WEIR_CONTROL_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "forward/forward.h"
#include "port/port.h"
#include "schedule/worker.h"

/* The desired state, validated: what a YAML file or an API request asks for.
 *
 * One schema serves both: YAML is read (libyaml) into a JSON tree that remembers the line of every
 * value; the schema is a table, and each error names file, line, the value and what was expected. */

struct err;

struct config_net {
	char name[32];
	uint16_t vlan; /* 0: none */
};

struct config_port {
	struct port_spec spec; /* its strings point into this struct's own copies below */
	char *path, *netns, *group;
	char network[32]; /* access; "" when trunk */
	char **trunk; /* names of networks; NULL when access */
	unsigned ntrunk;
	char native[32]; /* "" : none */
	uint64_t mac; /* pinned source, 0: any */
	uint64_t *static_macs;
	unsigned nstatic;
	bool isolated;
	bool qinq; /* service tags are payload, not refused */
	uint32_t mac_limit; /* learned MACs at most */
};

struct config {
	int *cpus;
	unsigned ncpus;
	enum idle_mode idle;
	char *api; /* socket path */
	char *metrics; /* "127.0.0.1:9478"; NULL: none */
	uint32_t mac_age_s, mac_max;
	struct config_net *nets;
	unsigned nnets;
	struct config_port *ports; /* in the file's order */
	unsigned nports;
};

#define CONFIG_API_DEFAULT "/run/weir/weir.sock"

/* Reads and validates. *out is NULL on failure. `file` is used in messages only by config_parse. */
int config_load(struct config **out, const char *file, struct err *e);
int config_parse(
	struct config **out, const char *text, size_t len, const char *file, struct err *e);
/* From a JSON tree as config_dump makes it (what the API edits: port add, network del, ...). */
int config_from_json(struct config **out, const json_t *tree, struct err *e);
/* The configuration as a JSON tree in the words of the YAML file, defaults left out unless `full`. */
json_t *config_dump(const struct config *c, bool full);
/* A copy of its own; NULL when memory is short. */
struct config *config_copy(const struct config *c);
void config_free(struct config *c);

/* Differences from `a` (running) to `b` (wanted), in the order in which they are carried out: an
 * array of {"op": "add"|"change"|"remove", "what": "port"|"network"|"workers"|..., "name": ...,
 * "from": {...}, "to": {...}, "how": "in place"|"reopen"|"restart needed"}. */
json_t *config_diff(const struct config *a, const struct config *b);

#endif
