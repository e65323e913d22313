/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/err.h"
#include "cli/cli.h"
#include "control/daemon.h"

static int run(const struct command *c, int argc, char **argv) {
	int bad = 0;
	struct daemon_options o = {
		.file = cli_option(&argc, argv, "c", &bad),
		.api = cli_api_given,
		.api_env = cli_api,
		.netns = cli_flag(&argc, argv, "netns"),
		.group = cli_flag(&argc, argv, "group"),
		.verbose = cli_flag(&argc, argv, "v"),
	};
	struct err e;

	if (bad)
		return cli_usage(c, "-c wants a file");
	if (cli_stray(argc, argv) != NULL)
		return cli_usage(c, "no such option '%s'", cli_stray(argc, argv));
	if (argc > 1)
		return cli_usage(
			c, "'%s' is too much; a configuration file goes behind -c", argv[1]);
	return daemon_run(&o, &e) < 0 ? cli_fail("%s", e.text) : STATUS_DONE;
}

const struct command cmd_switch = {
	"switch",
	"[-c FILE] [--netns] [--group] [-v]",
	"Run the switch in the foreground",
	"\n"
	"  -c FILE   configuration, see weir.yaml(5); without one the switch starts empty, and "
	"ports are\n"
	"            added with 'weir port add'\n"
	"  --netns   keep the privilege to open TAP ports in other network namespaces, for such "
	"ports\n"
	"            that are added later\n"
	"  --group   keep the privileges to give sockets to groups and to use sockets of other "
	"users,\n"
	"            for ports that are added later\n"
	"  -v        log more\n"
	"\n"
	"SIGHUP reads the file again; SIGTERM and SIGINT end the switch and remove what it made. "
	"Needs no\n"
	"hugepages, and no root when its ports need none. See weir-switch(8).\n",
	run,
};
