/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/check/check_rule.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rules about where guests with devices run and have their memory. A guest is far from its device when
 * none of the CPUs that its vCPUs may use is of the device's NUMA node, or most of its pages are on
 * another. Both are what the kernel says of the process; nothing is assumed of its configuration. */

enum { NODES_MAX = 64, PAGES_LEAST = 1000 };

/* Adds the numbers of "0-3,8" to the set. */
static void add_list(cpu_set_t *set, const char *text) {
	unsigned long a, b;
	char *end;

	while (*text >= '0' && *text <= '9') {
		a = b = strtoul(text, &end, 10);
		if (*end == '-')
			b = strtoul(end + 1, &end, 10);
		for (; a <= b && a < CPU_SETSIZE; a++)
			CPU_SET(a, set);
		text = *end == ',' ? end + 1 : end;
	}
}

/* What stands behind `key` in a status file of /proc, "" when it is not there. */
static const char *field(const char *text, const char *key) {
	const char *at = strstr(text, key);

	return at != NULL ? at + strlen(key) + strspn(at + strlen(key), " \t") : "";
}

/* The CPUs that the process may use: of its vCPU threads, when it has such ("CPU 0/KVM"), else of all. */
static void cpus_of(const struct root *r, int pid, cpu_set_t *cpus) {
	cpu_set_t vcpus;
	char **names, text[4096];
	int n = root_names(r, &names, "/proc/%d/task", pid);

	CPU_ZERO(cpus);
	CPU_ZERO(&vcpus);
	for (int i = 0; i < n; i++) {
		if (root_read(r, text, sizeof(text), "/proc/%d/task/%s/status", pid, names[i]) <= 0)
			continue;
		add_list(cpus, field(text, "Cpus_allowed_list:"));
		if (strncmp(field(text, "Name:"), "CPU ", 4) == 0)
			add_list(&vcpus, field(text, "Cpus_allowed_list:"));
	}
	if (n >= 0)
		root_names_free(names, n);
	if (CPU_COUNT(&vcpus) > 0)
		*cpus = vcpus;
}

/* Pages on each node, summed over the mappings ("... N0=12 N1=400 ..."); their number. */
static uint64_t pages_of(const struct root *r, int pid, uint64_t on[NODES_MAX]) {
	const size_t size = 1 << 20; // some hundred bytes a mapping; what is beyond are small ones
	char *text = malloc(size);
	uint64_t sum = 0;

	memset(on, 0, sizeof(*on) * NODES_MAX);
	if (text != NULL && root_read(r, text, size, "/proc/%d/numa_maps", pid) > 0) {
		for (char *at = strstr(text, " N"); at != NULL; at = strstr(at + 2, " N")) {
			unsigned node;
			uint64_t pages;

			if (sscanf(at + 2, "%u=%" SCNu64, &node, &pages) != 2 || node >= NODES_MAX)
				continue;
			on[node] += pages;
			sum += pages;
		}
	}
	free(text);
	return sum;
}

static void judge_place(struct check *c, const struct pci_function *f, const struct use *use) {
	cpu_set_t cpus, local, both;
	uint64_t on[NODES_MAX], pages;
	char list[256];

	CPU_ZERO(&local);
	if (f->numa < 0 || f->numa >= NODES_MAX ||
		!root_has(c->root, "/sys/devices/system/node/node1") ||
		root_line(c->root, list, sizeof(list), "/sys/devices/system/node/node%d/cpulist",
			f->numa) < 0)
		return;
	add_list(&local, list);
	cpus_of(c->root, use->pid, &cpus);
	CPU_AND(&both, &cpus, &local);
	if (CPU_COUNT(&cpus) > 0 && CPU_COUNT(&local) > 0 && CPU_COUNT(&both) == 0)
		finding_advise(
			check_found(c, SEVERITY_WARNING, f->slot,
				"it is on NUMA node %d (CPUs %s), and none of them is among those "
				"that %s (process %d) may use",
				f->numa, list, use->name, use->pid),
			"pin its vCPUs to CPUs of node %d, or give it a function of its own node",
			f->numa);
	pages = pages_of(c->root, use->pid, on);
	if (pages >= PAGES_LEAST && on[f->numa] < pages / 2)
		finding_advise(check_found(c, SEVERITY_WARNING, f->slot,
				       "it is on NUMA node %d, where %s (process %d) has %" PRIu64
				       " %% of its memory",
				       f->numa, use->name, use->pid, 100 * on[f->numa] / pages),
			"bind the guest's memory to node %d (libvirt: <numatune>), or give it a "
			"function "
			"of its own node",
			f->numa);
}

void rule_numa(struct check *c) {
	const struct pci *p = &c->host->pci;
	struct use use;

	for (unsigned i = 0; c->users != NULL && i < p->n; i++) {
		users_of(c->users, &p->fn[i], &use);
		if (use.pid > 0 && (use.kind == USE_VM || use.kind == USE_DPDK))
			judge_place(c, &p->fn[i], &use);
	}
}

/* Hugepages of all sizes on a node, in bytes; -1: there is no such node. */
static long long huge_on(const struct root *r, int node) {
	char **names;
	int n = root_names(r, &names, "/sys/devices/system/node/node%d/hugepages", node);
	long long sum = 0;

	if (n < 0)
		return -1;
	for (int i = 0; i < n; i++) {
		unsigned long long kib;

		if (sscanf(names[i], "hugepages-%llukB", &kib) == 1)
			sum += (long long)kib * 1024 *
			       root_number(r, 0,
				       "/sys/devices/system/node/node%d/hugepages/%s/nr_hugepages",
				       node, names[i]);
	}
	root_names_free(names, n);
	return sum;
}

void rule_hugepages(struct check *c) {
	long long on[NODES_MAX], sum = 0;
	int nodes = 0;

	for (; nodes < NODES_MAX && (on[nodes] = huge_on(c->root, nodes)) >= 0; nodes++)
		sum += on[nodes];
	for (const struct pci_function *pf = check_next_pf(c, NULL); pf != NULL;
		pf = check_next_pf(c, pf)) {
		if (sum == 0 || pf->numa < 0 || pf->numa >= nodes || on[pf->numa] > 0)
			continue;
		finding_advise(
			check_found(c, SEVERITY_WARNING, pf->slot,
				"it is on NUMA node %d, which has none of this host's %lld MiB of "
				"hugepages",
				pf->numa, sum >> 20),
			"echo N > "
			"/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/nr_hugepages "
			"(at boot: hugepages=%d:N)",
			pf->numa, pf->numa);
	}
}

/* A field of a process's status in KiB. */
static uint64_t status_kib(const struct root *r, int pid, const char *key) {
	char text[4096];

	return root_read(r, text, sizeof(text), "/proc/%d/status", pid) > 0
		       ? strtoull(field(text, key), NULL, 10)
		       : 0;
}

/* KiB that the guests with devices have locked, each guest once. */
static uint64_t locked_by_guests(const struct check *c) {
	const struct pci *p = &c->host->pci;
	int *seen = calloc(p->n + 1, sizeof(*seen));
	uint64_t sum = 0;
	unsigned n = 0;
	struct use use;

	for (unsigned i = 0; seen != NULL && i < p->n; i++) {
		unsigned j = 0;

		users_of(c->users, &p->fn[i], &use);
		while (j < n && seen[j] != use.pid)
			j++;
		if (use.kind != USE_VM || use.pid <= 0 || j < n)
			continue;
		seen[n++] = use.pid;
		sum += status_kib(c->root, use.pid, "VmLck:") +
		       status_kib(c->root, use.pid, "VmPin:");
	}
	free(seen);
	return sum;
}

/* What guests with devices have cannot be swapped; all the others and the host live on the rest. */
void rule_locked_memory(struct check *c) {
	enum { SHARE_MOST = 90 }; // percent: below that the kernel still finds room to work
	uint64_t locked, total;
	char text[4096];

	if (c->users == NULL || root_read(c->root, text, sizeof(text), "/proc/meminfo") <= 0)
		return;
	total = strtoull(field(text, "MemTotal:"), NULL, 10);
	locked = locked_by_guests(c);
	if (total > 0 && locked > total / 100 * SHARE_MOST)
		finding_advise(
			check_found(c, SEVERITY_WARNING, "host",
				"guests with devices have locked %" PRIu64 " of %" PRIu64 " MiB",
				locked >> 10, total >> 10),
			"give some guests less memory, or no device");
}
