/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/err.h"
#include "bench/paths/path.h"

/* This weir as the switch: over vhost-user, over TAPs that two redirecting filters join to those of QEMU
 * (docs/tap.md), and over TAPs in namespaces. */

#define CONFIG "/run/weir.yaml"
#define API    "/run/weir-api.sock"

static int possible(struct path_bed *b, struct err *e) {
	return 0;
}

static int tap_possible(struct path_bed *b, struct err *e) {
	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		return err_set(e, errno, "/dev/net/tun: %s", strerror(errno));
	if (path_has("tc", "iproute2", e) < 0)
		return -ENOENT;
	return path_has("ip", "iproute2", e);
}

/* As many workers as a port has queues, on the highest CPUs; a word of YAML, or nothing. */
static void write_workers(FILE *f, unsigned queues) {
	cpu_set_t may;

	if (queues < 2 || sched_getaffinity(0, sizeof(may), &may) < 0)
		return;
	fputs("workers: [", f);
	for (int cpu = CPU_SETSIZE - 1, n = 0; cpu >= 0 && n < (int)queues; cpu--)
		if (CPU_ISSET(cpu, &may))
			fprintf(f, "%s%d", n++ > 0 ? ", " : "", cpu);
	fputs("]\n", f);
}

static int cycles(struct path_bed *b, struct path_cycles *c, struct err *e);

/* Ports "vm1: {KIND: STEM1}" and so on, and behind them the namespaces' TAPs; stem NULL: only these. */
static int start(struct path_bed *b, const char *kind, const char *stem, struct err *e) {
	char *argv[] = {"/proc/self/exe", "switch", "-c", CONFIG, NULL};
	unsigned guests = stem != NULL ? b->n : 0, last = b->n + b->ns;
	struct path_cycles none = {0};
	FILE *f;
	int ret;

	for (unsigned i = guests + 1; i <= last; i++)
		if (path_ip(e, "netns add vm%u\n", i) < 0)
			return -EIO;
	f = fopen(CONFIG, "we");

	if (f == NULL)
		return err_set(e, errno, "%s: %s", CONFIG, strerror(errno));
	fprintf(f, "api: %s\n", API);
	write_workers(f, b->queues);
	fprintf(f, "ports:\n");
	for (unsigned i = 1; i <= guests; i++)
		fprintf(f, "  vm%u: {%s: %s%u}\n", i, kind, stem, i);
	for (unsigned i = guests + 1; i <= last; i++)
		fprintf(f, "  vm%u: {tap: eth0, netns: vm%u, queues: %u}\n", i, i,
			b->queues > 0 ? b->queues : 1);
	if (fclose(f) != 0)
		return err_set(e, errno, "%s: %s", CONFIG, strerror(errno));
	if (path_spawn(b, "switch", argv, e) < 0)
		return -EAGAIN;
	ret = path_await(b, API, e);
	if (ret < 0 || guests == last)
		return ret;
	// It listens before its TAPs are there, and answers when they are.
	ret = cycles(b, &none, e);
	return ret == 0 ? path_ns_up(guests + 1, last, e) : ret;
}

static int cycles(struct path_bed *b, struct path_cycles *c, struct err *e) {
	char *argv[] = {"/proc/self/exe", "--api", API, "show", "workers", "-j", NULL}, *said;
	json_t *list, *one;
	size_t i;
	int ret = path_ask(argv, &said, e);

	if (ret < 0)
		return ret;
	list = json_loads(said, 0, NULL);
	free(said);
	json_array_foreach (list, i, one) {
		c->all += json_number_value(json_object_get(one, "cycles"));
		c->moved += json_number_value(json_object_get(one, "busy_cycles"));
		c->threads++;
	}
	json_decref(list);
	return c->threads > 0 ? 0 : err_set(e, EPROTO, "weir tells nothing of its workers");
}

static int vhost_setup(struct path_bed *b, struct err *e) {
	return start(b, "vhost-user", "/run/vhost", e);
}

static int vhost_nic(struct path_bed *b, unsigned i, struct guest_spec *s, struct err *e) {
	guest_arg(s, "-chardev");
	guest_arg(s, "socket,id=c0,path=/run/vhost%u,reconnect=1", i + 1);
	path_vhost_nic(b, s);
	return 0;
}

static int tap_setup(struct path_bed *b, struct err *e) {
	for (unsigned i = 1; i <= b->n; i++) {
		static const char *const names[] = {"tap", "weir"};

		for (int k = 0; k < 2; k++)
			if (path_ip(e,
				    "tuntap add %s%u mode tap\nlink set %s%u addrgenmode none up\n",
				    names[k], i, names[k], i) < 0 ||
				path_tc(e, "qdisc add dev %s%u clsact\n", names[k], i) < 0)
				return -EIO;
		for (int k = 0; k < 2; k++)
			if (path_tc(e,
				    "filter add dev %s%u ingress protocol all prio 1 u32 match u32 "
				    "0 0 "
				    "action mirred egress redirect dev %s%u\n",
				    names[k], i, names[1 - k], i) < 0)
				return -EIO;
	}
	return start(b, "tap", "weir", e);
}

static int tap_nic(struct path_bed *b, unsigned i, struct guest_spec *s, struct err *e) {
	char tap[16];

	snprintf(tap, sizeof(tap), "tap%u", i + 1);
	path_tap_nic(s, tap, "virtio-net-pci", "");
	return 0;
}

static int ns_setup(struct path_bed *b, struct err *e) {
	return start(b, NULL, NULL, e);
}

const struct path path_weir = {
	"weir", "weir over vhost-user", possible, vhost_setup, vhost_nic, cycles, true};
const struct path path_weir_tap = {"weir-tap", "weir over TAP, virtio-net in QEMU", tap_possible,
	tap_setup, tap_nic, cycles, true};
const struct path path_weir_ns = {"weir-ns", "namespaces instead of VMs, weir over TAP",
	tap_possible, ns_setup, NULL, cycles};
