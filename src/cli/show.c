/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/output.h"

static const struct column port_columns[] = {
	{"PORT", "name", CELL_TEXT},
	{"KIND", "kind", CELL_TEXT},
	{"STATE", "state", CELL_TEXT},
	{"NETWORK", "network", CELL_TEXT},
	{"TRUNK", "trunk", CELL_TEXT},
	{"QUEUES", "active_pairs", CELL_NUMBER},
	{"RX", "rx.frames", CELL_COUNT},
	{"RX BYTES", "rx.bytes", CELL_BYTES},
	{"TX", "tx.frames", CELL_COUNT},
	{"TX BYTES", "tx.bytes", CELL_BYTES},
	{"DROPS", "drops", CELL_COUNT},
	{"REASON", "reason", CELL_TEXT},
	{NULL},
};
static const struct column network_columns[] = {
	{"NETWORK", "name", CELL_TEXT},
	{"VLAN", "vlan", CELL_NUMBER},
	{"PORTS", "ports", CELL_TEXT},
	{"TAGGED ON", "tagged", CELL_TEXT},
	{NULL},
};
static const struct column mac_columns[] = {
	{"MAC", "mac", CELL_TEXT},
	{"NETWORK", "network", CELL_TEXT},
	{"PORT", "port", CELL_TEXT},
	{"STATIC", "static", CELL_TEXT},
	{"AGE S", "age", CELL_NUMBER},
	{NULL},
};
static const struct column worker_columns[] = {
	{"WORKER", "worker", CELL_NUMBER},
	{"CPU", "cpu", CELL_NUMBER},
	{"QUEUES", "queues", CELL_NUMBER},
	{"FRAMES", "frames", CELL_COUNT},
	{"BUSY", "busy", CELL_PERCENT},
	{"ASLEEP", "asleep", CELL_PERCENT},
	{"CYCLES A FRAME", "cycles_a_frame.all", CELL_NUMBER},
	{"PULL", "cycles_a_frame.pull", CELL_NUMBER},
	{"PARSE", "cycles_a_frame.parse", CELL_NUMBER},
	{"VERDICT", "cycles_a_frame.verdict", CELL_NUMBER},
	{"PUSH", "cycles_a_frame.push", CELL_NUMBER},
	{"NOTIFY", "cycles_a_frame.notify", CELL_NUMBER},
	{NULL},
};
static const struct column drop_columns[] = {
	{"REASON", "reason", CELL_TEXT},
	{"PORT", "port", CELL_TEXT},
	{"FRAMES", "frames", CELL_COUNT},
	{"MEANING", "text", CELL_TEXT},
	{NULL},
};

/* All that was lost of or for a port. */
static json_int_t lost(const json_t *port) {
	static const char *const sides[] = {"rx.drops", "tx.drops"};
	json_int_t sum = 0;
	const char *reason;
	json_t *n;

	for (int i = 0; i < 2; i++)
		json_object_foreach (output_at(port, sides[i]), reason, n)
			sum += json_integer_value(n);
	return sum;
}

static void prepare_port(json_t *row) {
	json_object_set_new(row, "drops", json_integer(lost(row)));
}

static void prepare_network(json_t *row) {
	json_t *ports = json_array(), *tagged = json_array(), *one;
	size_t i;

	json_array_foreach (json_object_get(row, "members"), i, one)
		json_array_append(json_is_true(json_object_get(one, "tagged")) ? tagged : ports,
			json_object_get(one, "port"));
	json_object_set_new(row, "ports", ports);
	json_object_set_new(row, "tagged", tagged);
}

/* The meaning stands once, where the reason is counted over all ports. */
static void prepare_drop(json_t *row) {
	if (json_is_string(json_object_get(row, "port")))
		json_object_del(row, "text");
	else
		json_object_set_new(row, "port", json_string("all"));
}

static const struct view {
	const char *name, *method;
	const struct column *columns; /* NULL: always JSON */
	const char *empty; /* what to say when there is nothing */
	void (*prepare)(json_t *row); /* adds members that only the table has */
} views[] = {
	{"ports", "show.ports", port_columns, "no ports", prepare_port},
	{"networks", "show.networks", network_columns, "no networks", prepare_network},
	{"macs", "show.macs", mac_columns, "no MAC addresses", NULL},
	{"workers", "show.workers", worker_columns, "no workers", NULL},
	{"drops", "show.drops", drop_columns, "nothing dropped", prepare_drop},
	{"config", "show.config", NULL, NULL, NULL},
};
enum { NVIEWS = sizeof(views) / sizeof(views[0]) };

static void print(const struct view *v, json_t *result) {
	size_t i;
	json_t *row;

	if (v->prepare != NULL)
		json_array_foreach (result, i, row)
			v->prepare(row);
	if (v->columns == NULL)
		output_json(stdout, result);
	else if (json_array_size(result) == 0)
		puts(v->empty);
	else
		output_table(stdout, v->columns, result);
}

static int run(const struct command *c, int argc, char **argv) {
	int json = cli_flag(&argc, argv, "j") | cli_flag(&argc, argv, "json");
	const char *stray = cli_stray(argc, argv);
	const struct view *v = NULL;
	json_t *result;

	if (stray != NULL)
		return cli_usage(c, "no such option '%s'", stray);
	for (int i = 0; argc == 2 && i < NVIEWS; i++)
		if (strcmp(views[i].name, argv[1]) == 0)
			v = &views[i];
	if (v == NULL)
		return cli_usage(c,
			"%s%s%sthere are: ports, networks, macs, workers, drops, config",
			argc < 2 ? "show what? " : "cannot show '", argc < 2 ? "" : argv[argc - 1],
			argc < 2 ? "" : "'; ");
	result = cli_call(v->method, NULL);
	if (result == NULL)
		return STATUS_REFUSED;
	if (json)
		output_json(stdout, result);
	else
		print(v, result);
	json_decref(result);
	return STATUS_DONE;
}

const struct command cmd_show = {
	"show",
	"ports|networks|macs|workers|drops|config [-j]",
	"Show what the running switch is and does",
	"\n"
	"  ports     kind, state and counters of each port; RX is what the switch receives from "
	"it\n"
	"  networks  layer-2 domains, their VLANs and members\n"
	"  macs      which station is behind which port\n"
	"  workers   queues, share of time that moved frames, cycles a frame by stage\n"
	"  drops     frames lost, by port and reason, each reason with its meaning\n"
	"  config    the running configuration, in the words of the file\n"
	"\n"
	"  -j        JSON with stable keys, see docs/api.md\n",
	run,
};
