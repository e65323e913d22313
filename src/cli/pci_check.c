/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/units.h"
#include "cli/checks.h"
#include "cli/output.h"
#include "host/check/device.h"

const char pci_check_help[] =
	"\n"
	"Of each DEVICE it says whether the IOMMU is on, who shares its group, whether this host "
	"uses\n"
	"it, whether it can be reset, whether a guest's memory can be locked, and whether vfio and "
	"the\n"
	"remapping of interrupts are there; what each rests on, and what to do. Devices that are "
	"named\n"
	"together are taken to go to one guest: they do not stand in each other's way. Exit status "
	"1\n"
	"when one of them cannot be passed through.\n"
	"\n"
	"  --memory SIZE  of the guest, such as 8GiB: all of it has to be locked\n" HOST_ARGS_HELP;

enum { DEVICES_MAX = 64 };

struct asked {
	struct host host;
	struct users *users;
	const struct pci_function *fn[DEVICES_MAX];
	unsigned n;
	uint64_t memory;
};

static bool worst_is_error(const struct finding *of) {
	for (int i = 0; i < DEVICE_CHECKS; i++)
		if (of[i].severity == SEVERITY_ERROR)
			return true;
	return false;
}

static void print_text(
	const struct asked *a, const struct pci_function *f, const struct finding *of) {
	static const struct column columns[] = {
		{"CHECK", "rule", CELL_TEXT},
		{"VERDICT", "verdict", CELL_TEXT},
		{"EVIDENCE", "evidence", CELL_TEXT},
		{NULL},
	};
	json_t *rows = json_array();
	char name[128], advice[400];

	pci_name(&a->host.pci, f, name, sizeof(name));
	output_clean(name);
	printf("%s %s: %s\n", f->slot, name,
		worst_is_error(of) ? "cannot be passed through as it is" : "can be passed through");
	for (int i = 0; i < DEVICE_CHECKS; i++) {
		json_array_append_new(
			rows, json_pack("{s:s, s:s, s:s}", "rule", of[i].rule, "verdict",
				      severity_name(of[i].severity), "evidence", of[i].evidence));
		if (of[i].remedy[0] == '\0')
			continue;
		snprintf(advice, sizeof(advice), "-> %s", of[i].remedy);
		json_array_append_new(rows, json_pack("{s:s}", "evidence", advice));
	}
	output_table(stdout, columns, rows);
	json_decref(rows);
}

static json_t *as_json(
	const struct asked *a, const struct pci_function *f, const struct finding *of) {
	json_t *checks = json_array();
	char name[128];

	for (int i = 0; i < DEVICE_CHECKS; i++) {
		json_t *one = finding_json(&of[i]);

		json_object_del(one, "subject");
		json_array_append_new(checks, one);
	}
	return json_pack("{s:s, s:s, s:b, s:o}", "slot", f->slot, "name",
		pci_name(&a->host.pci, f, name, sizeof(name)), "possible", !worst_is_error(of),
		"checks", checks);
}

/* Exit status. */
static int check_all(const struct asked *a, bool json) {
	json_t *list = json_array();
	int status = STATUS_DONE;

	for (unsigned i = 0; i < a->n; i++) {
		struct device d = {.host = &a->host,
			.users = a->users,
			.f = a->fn[i],
			.with = a->fn,
			.nwith = a->n,
			.memory = a->memory};
		struct finding of[DEVICE_CHECKS];

		for (int k = 0; k < DEVICE_CHECKS; k++)
			device_judge(&d, (enum device_check)k, &of[k]);
		if (worst_is_error(of))
			status = STATUS_REFUSED;
		if (json) {
			json_array_append_new(list, as_json(a, d.f, of));
		} else {
			if (i > 0)
				putchar('\n');
			print_text(a, d.f, of);
		}
	}
	if (json)
		output_json(stdout, list);
	json_decref(list);
	return status;
}

/* Exit status, -1: go on. */
static int find_all(struct asked *a, int argc, char **argv) {
	struct err e;

	for (int i = 1; i < argc; i++) {
		a->fn[a->n] = host_find(&a->host, argv[i], &e);
		if (a->fn[a->n++] == NULL)
			return cli_fail("%s", e.text);
	}
	a->users = users_read(&a->host);
	return a->users != NULL ? -1 : cli_fail("no memory to see who uses what");
}

int pci_check(const struct command *c, int argc, char **argv) {
	struct asked a = {.n = 0};
	struct host_args with;
	const char *memory;
	struct err e;
	int bad = 0, status = host_args_take(&with, c, &argc, argv, false);

	if (status >= 0)
		return status;
	memory = cli_option(&argc, argv, "memory", &bad);
	if (bad)
		return cli_usage(c, "--memory wants a size such as 8GiB");
	if (memory != NULL && units_size(memory, &a.memory, &e) < 0)
		return cli_usage(c, "--memory: %s", e.text);
	if (cli_stray(argc, argv) != NULL)
		return cli_usage(c, "no such option '%s'", cli_stray(argc, argv));
	if (argc < 2 || argc > DEVICES_MAX)
		return cli_usage(c, "wants 1 to %d devices", DEVICES_MAX - 1);
	if (host_read(&a.host, &with.root, &e) < 0)
		return cli_fail("%s", e.text);
	status = find_all(&a, argc, argv);
	if (status < 0)
		status = check_all(&a, with.json);
	users_free(a.users);
	host_free(&a.host);
	return status;
}
