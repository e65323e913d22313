/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "cli/cli.h"
#include "cli/output.h"

/* `weir port` and `weir network`: edits of the running configuration, one thing at a time. */

/* Sends the edit and prints what it changed. */
static int edit(const char *method, const char *name, json_t *settings) {
	json_t *params = json_pack("{s:s, s:o*}", "name", name, "settings", settings), *result;

	if (params == NULL)
		return cli_fail("the name is no valid UTF-8");
	result = cli_call(method, params);
	if (result == NULL)
		return STATUS_REFUSED;
	output_diff(stdout, json_object_get(result, "diff"));
	json_decref(result);
	return STATUS_DONE;
}

/* "add NAME words", "set NAME words", "del NAME". */
static int run_edit(const struct command *c, int argc, char **argv, bool can_set, bool need_words) {
	const char *stray = cli_stray(argc, argv), *verb;
	json_t *settings = NULL;
	char method[32];
	struct err e;

	if (stray != NULL)
		return cli_usage(c, "no such option '%s'", stray);
	if (argc < 2)
		return cli_usage(c, "say what to do: %s", c->args);
	verb = argv[1];
	if (strcmp(verb, "add") != 0 && strcmp(verb, "del") != 0 &&
		!(can_set && strcmp(verb, "set") == 0))
		return cli_usage(c, "no such verb '%s'; there are: add, %sdel", verb,
			can_set ? "set, " : "");
	if (argc < 3)
		return cli_usage(c, "%s which? give its name", verb);
	if (strcmp(verb, "del") == 0 && argc > 3)
		return cli_usage(c, "del takes a name only, '%s' is too much", argv[3]);
	if (need_words && strcmp(verb, "del") != 0 && argc == 3)
		return cli_usage(c, "%s %s with what? give key=value", verb, argv[2]);
	if (strcmp(verb, "del") != 0 && words_parse(&settings, argc - 3, argv + 3, &e) < 0)
		return cli_usage(c, "%s", e.text);
	snprintf(method, sizeof(method), "%s.%s", c->name, verb);
	return edit(method, argv[2], settings);
}

static int run_port(const struct command *c, int argc, char **argv) {
	return run_edit(c, argc, argv, true, true);
}

static int run_network(const struct command *c, int argc, char **argv) {
	return run_edit(c, argc, argv, false, false);
}

const struct command cmd_port = {
	"port",
	"add|set NAME KEY=VALUE... | del NAME",
	"Add, change or remove a port of the running switch",
	"\n"
	"Keys and values are those of the configuration file, see weir.yaml(5):\n"
	"  vhost-user=PATH  tap=INTERFACE  mode=server|client  group=NAME  memory=ram|any\n"
	"  netns=NAME  network=NAME  trunk=NAME,NAME  native=NAME  queues=N  mtu=N\n"
	"  link=up|down  mac=MAC  static-macs=MAC,MAC  mac-limit=N  isolated=true|false\n"
	"  qinq=true|false\n"
	"An empty value brings a key back to its default: weir port set vm1 mac=\n"
	"\n"
	"  weir port add vm3 vhost-user=/run/weir/vm3.sock network=blue queues=2\n"
	"  weir port set vm3 trunk=blue,green native=blue\n"
	"  weir port del vm3\n"
	"\n"
	"Other ports lose no frame. The file the switch was started with is not changed.\n",
	run_port,
};

const struct command cmd_network = {
	"network",
	"add NAME [vlan=N] | del NAME",
	"Add or remove a network of the running switch",
	"\n"
	"vlan is the tag of its frames on trunk ports, 1 to 4094; without one the network cannot "
	"be\n"
	"on a trunk. A network that ports are members of cannot be removed.\n",
	run_network,
};
