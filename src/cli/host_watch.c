/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/want/watch.h"

#include "base/err.h"
#include "base/units.h"
#include "cli/wants.h"

const char host_watch_help[] =
	"\n"
	"Applies FILE, and then restores what drifts from it: it hears of changes of links, and "
	"looks\n"
	"at everything every so often. What it restored is logged. VFs that belong to somebody "
	"FILE\n"
	"does not name are left alone, what is in use is not taken away, and what drifts again "
	"and\n"
	"again is let be for a while. SIGHUP reads FILE again, SIGTERM ends; the host stays as it "
	"is.\n"
	"weir-host.service runs it with /etc/weir/host.yaml.\n"
	"\n"
	"  FILE           desired state, see weir-host.yaml(5)\n"
	"  --every TIME   between two looks without an event, 1s to 1h (default 30s)\n"
	"  --state DIR    where journal and owners are kept (default " STORE_DEFAULT ")\n";

enum { LOCK_WAIT_MS = 30000 }; /* for another weir that changes this host just now */

int host_watch(const struct command *c, int argc, char **argv) {
	const uint64_t us = 1000, second = 1000000;
	const char *every;
	char command[COMMAND_MAX];
	struct watch_options o = {.every_us = 30 * second};
	struct host_args a;
	struct err e;
	uint64_t ns;
	int bad = 0, status;

	every = cli_option(&argc, argv, "every", &bad);
	if (bad || (every != NULL && units_duration(every, &ns, NULL) < 0))
		return cli_usage(c, "--every wants a duration such as 30s");
	if (every != NULL)
		o.every_us = ns / us;
	if (o.every_us < second || o.every_us > 3600 * second)
		return cli_usage(c, "--every wants 1s to 1h, not '%.40s'", every);
	status = desired_args(&a, c, &argc, argv, false);
	if (status >= 0)
		return status;
	if (a.root.recorded || a.json)
		return cli_usage(c, "%s is not for a service that changes this host",
			a.json ? "-j" : "--sysfs");
	desired_command(command, argv[1]);
	o.file = argv[1];
	o.apply = host_args_apply(&a, command);
	o.apply.wait_ms = LOCK_WAIT_MS;
	return watch_run(&o, &e) < 0 ? cli_fail("%s", e.text) : STATUS_DONE;
}
