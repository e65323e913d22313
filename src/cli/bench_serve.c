/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/endpoint.h"
#include "bench/paths/guest.h"
#include "bench/reach.h"
#include "bench/serve.h"
#include "cli/cli.h"

static int run_serve(const struct command *c, int argc, char **argv) {
	int bad = 0;
	const char *address = cli_option(&argc, argv, "listen", &bad);
	const char *port = cli_option(&argc, argv, "port", &bad);
	const char *file = cli_option(&argc, argv, "secret-file", &bad);
	const char *networks = cli_option(&argc, argv, "reach", &bad);
	unsigned long n = ENDPOINT_PORT;
	struct reach reach = {0};
	struct err e;
	char *end;

	if (bad)
		return cli_usage(c, "--listen, --port, --secret-file and --reach want a value");
	if (argc > 1)
		return cli_usage(c, "no such option '%s'", argv[1]);
	if (port != NULL) {
		n = strtoul(port, &end, 10);
		if (port[0] < '0' || port[0] > '9' || *end != '\0' || n > 65535)
			return cli_usage(c, "--port wants 1 to 65535 (0: any), not '%.40s'", port);
	}
	if (networks != NULL && reach_add_list(&reach, networks, &e) < 0)
		return cli_usage(c, "--reach: %s", e.text);
	return serve_run(address, (uint16_t)n, file, &reach, &e) < 0
		       ? cli_fail("%s: %s", c->name, e.text)
		       : STATUS_DONE;
}

const struct command cmd_bench_serve = {
	"bench serve",
	"[--listen ADDRESS] [--port N] [--secret-file FILE] [--reach NETWORKS]",
	"Let a 'weir bench' elsewhere measure to and from here",
	"\n"
	"Name this host as an endpoint there: HOST or HOST:PORT. Many may measure at once; each "
	"has a "
	"process\n"
	"of its own, which ends with its connection.\n"
	"\n"
	"  --listen ADDRESS  listen there; default: the loopback addresses alone. Clients of other "
	"hosts have\n"
	"                    to know a secret; who does may load this host and its network, and "
	"nothing else\n"
	"  --port N          9479; 0: any that is free\n"
	"  --secret-file FILE  where it is, 16 bytes or more; default: WEIR_BENCH_SECRET, else one "
	"is made and\n"
	"                    printed\n"
	"  --reach NETWORKS  let clients have it connect to these, too (ADDRESS[/BITS],...), and "
	"not only to\n"
	"                    themselves\n",
	run_serve,
};

static int run_agent(const struct command *c, int argc, char **argv) {
	int bad = 0;
	const char *port = cli_option(&argc, argv, "port", &bad);
	struct err e;

	if (cli_flag(&argc, argv, "init") && getpid() == 1)
		guest_init();
	if (bad)
		return cli_usage(c, "--port wants a device");
	if (argc > 1)
		return cli_usage(c, "no such option '%s'", argv[1]);
	return serve_device(port, &e) < 0 ? cli_fail("%s: %s", c->name, e.text) : STATUS_DONE;
}

const struct command cmd_bench_agent = {
	"bench agent",
	"[--port DEVICE | --init]",
	"Be measured, told by a 'weir bench' at the other end of a serial port",
	"\n"
	"For virtual machines: control then never rides on the path that is measured. The host "
	"names the VM\n"
	"vm:NAME when its QEMU has the other end at " ENDPOINT_VM_DIR "/NAME.sock, else vm:PATH; "
	"weir-bench(1)\n"
	"has what to give to QEMU or libvirt. Goes on until it is ended.\n"
	"\n"
	"  --port DEVICE   a virtio-serial port ; default: the one named " SERVE_PORT "\n"
	"  --init          as process 1 of a VM that 'weir bench paths' made\n",
	run_agent,
};
