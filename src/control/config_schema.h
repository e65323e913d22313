/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_CONTROL_CONFIG_SCHEMA_H
#define WEIR_CONTROL_CONFIG_SCHEMA_H

#include <stdbool.h>

#include <jansson.h>

#include "base/schema.h"
#include "control/config.h"

/* The switch's own part of base/schema.h: its tables of keys and its types of values. kinds of a row is a
 * set of 1 << enum port_kind; change is what a change of the value takes. */

enum { IN_PLACE, REOPEN, REOPEN_VHOST, RESTART };

/* config_values.c */
extern const struct value_type value_socket, value_endpoint, value_group, value_netns, value_kind,
	value_nic, value_cpus;

extern const struct field top_fields[], net_fields[], port_fields[]; /* end with key NULL */

/* The ports with their names as keys. */
json_t *schema_dump_ports(const struct config *c, bool full);

enum { STATIC_MACS_MAX = 1024 }; /* of a port */

/* Second pass, over what the schema let through: what concerns several keys or several ports, and the
 * defaults that depend on them. config_check.c */
int config_check(struct schema *s, struct config *c, const json_t *marks);

#endif
