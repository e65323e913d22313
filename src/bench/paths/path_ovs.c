/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cpus.h"
#include "base/err.h"
#include "base/file.h"
#include "bench/paths/path.h"

/* Open vSwitch with DPDK: one bridge with the action NORMAL, one PMD thread, which polls, on the highest
 * CPU, where weir's worker would be. The database and all sockets are of this path alone. It is a vhost-user
 * client, QEMU the server, since that is the kind of port that OVS keeps. Without free hugepages it gets
 * ordinary memory: frames are copied from and to the guests' own. */

#define RUN        "/run/ovs"
#define DB         "unix:/run/ovs/db.sock"
#define CTL        "/run/ovs/vs.ctl"
#define CONF       "/run/ovs/conf.db"
#define DB_OPTION  "--db=unix:/run/ovs/db.sock"
#define DB_LISTEN  "--remote=punix:/run/ovs/db.sock"
#define DB_CTL     "--unixctl=/run/ovs/db.ctl"
#define CTL_LISTEN "--unixctl=/run/ovs/vs.ctl"
#define CTL_OPTION "--target=/run/ovs/vs.ctl"
#define SCHEMA     "/usr/share/openvswitch/vswitch.ovsschema"

/* Each port has buffers of its own, some 20,000 of 3 KiB; those for all ports together would be 262,144. */
enum { MIB = 128, PORT_MIB = 96, HUGEPAGE_MIB = 2 };

static bool has_dpdk(const char *program) {
	char *argv[] = {(char *)program, "--version", NULL}, *said;
	struct err e;
	bool has;

	if (path_has(program, "", &e) < 0 || path_ask(argv, &said, &e) < 0)
		return false;
	has = strstr(said, "DPDK") != NULL;
	free(said);
	return has;
}

/* Debian installs it beside the one without DPDK. */
static const char *find_program(void) {
	static const char *const programs[] = {
		"/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk", "ovs-vswitchd"};

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (has_dpdk(programs[i]))
			return programs[i];
	return NULL;
}

static int possible(struct path_bed *b, struct err *e) {
	if (find_program() == NULL)
		return err_set(e, ENOENT,
			"no ovs-vswitchd with DPDK is installed (package "
			"openvswitch-switch-dpdk)");
	if (access(SCHEMA, R_OK) < 0)
		return err_set(e, errno, SCHEMA ": %s", strerror(errno));
	return path_has("ovsdb-server", "openvswitch-switch", e);
}

static int set(const char *column, struct err *e) {
	char *argv[] = {"ovs-vsctl", DB_OPTION, "--timeout=15", "--no-wait", "set", "Open_vSwitch",
		".", (char *)column, NULL};

	return path_run(argv, e);
}

/* The database has what the switch reads when it starts. */
static int configure(const struct path_bed *b, struct err *e) {
	char mask[80], memory[80], pages[32] = "0";
	int cpu = cpus_highest(), mib = MIB + PORT_MIB * (int)b->n;
	bool huge = file_line(pages, sizeof(pages),
			    "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages") == 0 &&
		    strtol(pages, NULL, 10) * HUGEPAGE_MIB >= mib;

	snprintf(mask, sizeof(mask), "other_config:pmd-cpu-mask=0x%llx",
		1ULL << (cpu > 0 && cpu < 64 ? cpu : 0));
	snprintf(memory, sizeof(memory), "other_config:%s=%d",
		huge ? "dpdk-socket-mem" : "dpdk-alloc-mem", mib);
	if (set(mask, e) < 0 || set(memory, e) < 0 ||
		set(huge ? "other_config:dpdk-extra=--no-pci --in-memory --single-file-segments"
			 : "other_config:dpdk-extra=--no-pci --no-shconf --legacy-mem --no-huge "
			   "--iova-mode=va",
			e) < 0)
		return -EIO;
	if (set("other_config:per-port-memory=true", e) < 0)
		return -EIO;
	return set("other_config:dpdk-init=true", e);
}

static int add_ports(const struct path_bed *b, struct err *e) {
	char *bridge[] = {"ovs-vsctl", DB_OPTION, "--timeout=15", "add-br", "br0", "--", "set",
		"bridge", "br0", "datapath_type=netdev", NULL};

	if (path_run(bridge, e) < 0)
		return -EIO;
	for (unsigned i = 1; i <= b->n; i++) {
		char name[16], path[80];
		char *port[] = {"ovs-vsctl", DB_OPTION, "--timeout=15", "add-port", "br0", name,
			"--", "set", "Interface", name, "type=dpdkvhostuserclient", path, NULL};

		snprintf(name, sizeof(name), "vm%u", i);
		snprintf(path, sizeof(path), "options:vhost-server-path=" RUN "/port%u", i);
		if (path_run(port, e) < 0)
			return -EIO;
	}
	return 0;
}

static int setup(struct path_bed *b, struct err *e) {
	static const char *const dirs[] = {
		"OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"};
	char *create[] = {"ovsdb-tool", "create", CONF, SCHEMA, NULL};
	char *db[] = {"ovsdb-server", CONF, DB_LISTEN, DB_CTL, NULL};
	char *vs[] = {(char *)find_program(), DB, CTL_LISTEN, NULL};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		setenv(dirs[i], RUN, 1); // of this path's process
	if (mkdir(RUN, 0755) < 0)
		return err_set(e, errno, RUN ": %s", strerror(errno));
	if (path_run(create, e) < 0)
		return -EIO;
	if (path_spawn(b, "database", db, e) < 0 || path_await(b, RUN "/db.sock", e) < 0)
		return -EIO;
	if (configure(b, e) < 0)
		return -EIO;
	if (path_spawn(b, "switch", vs, e) < 0 || path_await(b, CTL, e) < 0)
		return -EIO;
	return add_ports(b, e);
}

static int nic(struct path_bed *b, unsigned i, struct guest_spec *s, struct err *e) {
	guest_arg(s, "-chardev");
	guest_arg(s, "socket,id=c0,path=" RUN "/port%u,server=on", i + 1);
	path_vhost_nic(b, s);
	return 0;
}

/* Sums the lines "  NAME: N (P%)". */
static double sum_of(const char *said, const char *name) {
	double sum = 0;

	for (const char *at = said; (at = strstr(at, name)) != NULL;) {
		at += strlen(name);
		sum += strtod(at, NULL);
	}
	return sum;
}

static int cycles(struct path_bed *b, struct path_cycles *c, struct err *e) {
	char *argv[] = {"ovs-appctl", CTL_OPTION, "dpif-netdev/pmd-stats-show", NULL}, *said;
	int ret = path_ask(argv, &said, e);

	if (ret < 0)
		return ret;
	for (const char *at = said; (at = strstr(at, "pmd thread ")) != NULL; at++)
		c->threads++;
	c->moved = sum_of(said, " processing cycles: ");
	c->all = c->moved + sum_of(said, " idle cycles: ");
	free(said);
	return c->threads > 0 ? 0 : err_set(e, EPROTO, "OVS tells nothing of its PMD threads");
}

const struct path path_ovs = {"ovs", "OVS-DPDK over vhost-user", possible, setup, nic, cycles};
