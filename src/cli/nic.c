/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/hosts.h"
#include "cli/output.h"

/* What all of `weir nic` begins with. */
struct look {
	struct host_args args;
	struct host host;
	struct users *users;
};

static int open_look(struct look *k) {
	struct err e;

	if (host_read(&k->host, &k->args.root, &e) < 0)
		return cli_fail("%s", e.text);
	k->users = users_read(&k->host);
	if (k->users == NULL) {
		host_free(&k->host);
		return cli_fail("no memory for the processes of this host");
	}
	return STATUS_DONE;
}

static void close_look(struct look *k) {
	users_free(k->users);
	host_free(&k->host);
}

/* Members that only tables have. */

static void put_link(json_t *row, const char *key) {
	json_t *speed = json_object_get(row, "speed");
	json_int_t mbit = json_integer_value(speed);
	char text[32] = "";

	if (json_is_null(json_object_get(row, "interface")))
		text[0] = '\0';
	else if (!json_is_true(json_object_get(row, "up")))
		strcpy(text, "down");
	else if (!json_is_true(json_object_get(row, "carrier")))
		strcpy(text, "none");
	else if (mbit >= 1000)
		snprintf(text, sizeof(text), "%gG", (double)mbit / 1000);
	else if (mbit > 0)
		snprintf(text, sizeof(text), "%dM", (int)mbit);
	else
		strcpy(text, "up");
	json_object_set_new(row, key, json_string(text));
}

static const char *text_at(const json_t *row, const char *path) {
	const char *text = json_string_value(output_at(row, path));

	return text != NULL ? text : "";
}

/* "24", "4 shared": bridges on the way to the card do not share it in this sense. */
static void put_group(json_t *row, const struct host *h) {
	const json_t *group = json_object_get(row, "iommu_group"),
		     *others = json_object_get(row, "group_others");
	unsigned sharing = 0;
	char text[32] = "";

	for (size_t i = 0; i < json_array_size(others); i++) {
		const struct pci_function *f =
			pci_at(&h->pci, json_string_value(json_array_get(others, i)));

		sharing += f != NULL && f->class >> 16 != PCI_CLASS_BRIDGE;
	}
	if (json_is_integer(group))
		snprintf(text, sizeof(text), "%d%s", (int)json_integer_value(group),
			sharing > 0 ? " shared" : "");
	json_object_set_new(row, "group", json_string(text));
}

static void put_vfs(json_t *row) {
	const json_t *vfs = json_object_get(row, "vfs"), *vf = json_object_get(row, "vf");
	char text[32] = "";

	if (json_is_integer(vf))
		snprintf(text, sizeof(text), "vf %d", (int)json_integer_value(vf));
	else if (json_is_object(vfs))
		snprintf(text, sizeof(text), "%d/%d",
			(int)json_integer_value(output_at(vfs, "count")),
			(int)json_integer_value(output_at(vfs, "total")));
	json_object_set_new(row, "vfs_text", json_string(text));
	if (json_integer_value(output_at(vfs, "count")) > 0)
		json_object_set(row, "vfs_free", output_at(vfs, "free"));
}

static void put_use(json_t *row) {
	const char *kind = text_at(row, "use.kind"), *text = text_at(row, "use.text");
	bool free = strcmp(kind, "free") == 0;
	char whole[256];

	snprintf(whole, sizeof(whole), "%s%s%s%s", free ? "free" : "",
		free && text[0] != '\0' ? " (" : "", text, free && text[0] != '\0' ? ")" : "");
	json_object_set_new(row, "use_text", json_string(whole));
}

static void prepare(json_t *row, const struct host *h) {
	const char *mode = text_at(row, "eswitch");

	put_link(row, "link");
	put_group(row, h);
	put_vfs(row);
	put_use(row);
	json_object_set_new(row, "mode", json_string(strcmp(mode, "switchdev") == 0 ? mode : ""));
}

static const struct column columns[] = {
	{"ADDRESS", "address", CELL_TEXT},
	{"INTERFACE", "interface", CELL_TEXT},
	{"DRIVER", "driver", CELL_TEXT},
	{"LINK", "link", CELL_TEXT},
	{"GROUP", "group", CELL_TEXT},
	{"VFS", "vfs_text", CELL_TEXT},
	{"FREE", "vfs_free", CELL_NUMBER},
	{"ESWITCH", "mode", CELL_TEXT},
	{"REPRESENTOR", "representor", CELL_TEXT},
	{"USE", "use_text", CELL_TEXT},
	{NULL},
};

/* A terminal's; lines are not cut where nobody looks. */
static unsigned width_of_screen(void) {
	struct winsize w;

	return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0
		       ? w.ws_col
		       : 0;
}

static void print_line(const char *line, size_t len, unsigned width) {
	if (width > 3 && len > width)
		printf("%.*s...\n", (int)width - 3, line);
	else
		printf("%.*s\n", (int)len, line);
}

/* "Intel Corporation ..., NUMA node 0": what the ports of a card have in common. */
static void heading_of(const json_t *row, char *buf, size_t size) {
	const json_t *numa = json_object_get(row, "numa");

	if (json_is_integer(numa))
		snprintf(buf, size, "%s, NUMA node %d", text_at(row, "name"),
			(int)json_integer_value(numa));
	else
		snprintf(buf, size, "%s", text_at(row, "name"));
}

/* The rows as one table, in which each card's name stands above its ports. VFs stand below their port. */
static void print_table(const json_t *rows) {
	char heading[300], last[300] = "", *text = NULL, *line;
	unsigned width = width_of_screen();
	size_t size, i = 0;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return;
	output_table(f, columns, rows);
	fclose(f);
	line = text;
	for (size_t n = strcspn(line, "\n"); *line != '\0'; n = strcspn(line, "\n")) {
		const json_t *row = i > 0 ? json_array_get(rows, i - 1) : NULL;

		if (row != NULL && !json_is_string(json_object_get(row, "pf"))) {
			heading_of(row, heading, sizeof(heading));
			if (strcmp(heading, last) != 0)
				print_line(heading, strlen(heading), width);
			memcpy(last, heading, sizeof(last));
		}
		fputs("  ", stdout);
		print_line(line, n, width > 2 ? width - 2 : 0);
		line += n + (line[n] == '\n');
		i++;
	}
	free(text);
}

static void append(json_t *rows, const struct look *k, const struct pci_function *f) {
	json_array_append_new(rows, host_json(&k->host, k->users, f));
}

/* Its VFs by number. */
static void append_vfs(json_t *rows, const struct look *k, const struct pci_function *pf) {
	for (unsigned i = 0; i < pf->vfs; i++) {
		const struct pci_function *vf = pci_vf(&k->host.pci, pf, (int)i);

		if (vf != NULL)
			append(rows, k, vf);
	}
}

static json_t *rows_of(const struct look *k, bool vfs) {
	json_t *rows = json_array();

	for (unsigned i = 0; i < k->host.pci.n; i++) {
		const struct pci_function *f = &k->host.pci.fn[i];

		if (!pci_is_network(f) || pci_is_vf(f))
			continue;
		append(rows, k, f);
		if (vfs)
			append_vfs(rows, k, f);
	}
	return rows;
}

static int run_list(const struct command *c, int argc, char **argv) {
	struct look k;
	int status = host_args_take(&k.args, c, &argc, argv, false);
	bool vfs = cli_flag(&argc, argv, "vfs");
	const char *stray = cli_stray(argc, argv);
	json_t *rows, *row;
	size_t i;

	if (status >= 0)
		return status;
	if (stray != NULL || argc > 1)
		return cli_usage(c, "no such %s '%s'", stray != NULL ? "option" : "argument",
			stray != NULL ? stray : argv[1]);
	if (open_look(&k) != STATUS_DONE)
		return STATUS_REFUSED;
	rows = rows_of(&k, vfs);
	if (k.args.json) {
		output_json(stdout, rows);
	} else if (json_array_size(rows) == 0) {
		puts("no network functions");
	} else {
		json_array_foreach (rows, i, row)
			prepare(row, &k.host);
		print_table(rows);
	}
	json_decref(rows);
	close_look(&k);
	return STATUS_DONE;
}

static void print_fact(const char *name, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Nothing when the value is empty. */
static void print_fact(const char *name, const char *fmt, ...) {
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	output_clean(text);
	if (text[0] != '\0')
		printf("  %-12s %s\n", name, text);
}

static int number_at(const json_t *v, const char *path) {
	return (int)json_integer_value(output_at(v, path));
}

static void print_offloads(const json_t *offloads) {
	char on[256] = "", off[256] = "";
	const char *name;
	json_t *v;

	json_object_foreach ((json_t *)(uintptr_t)offloads, name, v) {
		char *to = json_is_true(v) ? on : off;
		size_t n = strlen(to);

		snprintf(to + n, sizeof(on) - n, "%s%s", n > 0 ? " " : "", name);
	}
	print_fact("offloads", "%s%s%s", on, off[0] != '\0' ? "; off: " : "", off);
}

static void print_interface(const json_t *v) {
	if (!json_is_string(json_object_get(v, "interface")))
		return;
	print_fact("link", "%s, MTU %d, %s", text_at(v, "link"), number_at(v, "mtu"),
		text_at(v, "mac"));
	if (json_is_object(json_object_get(v, "queues")))
		print_fact("queues", "%d receive, %d transmit", number_at(v, "queues.rx"),
			number_at(v, "queues.tx"));
	print_offloads(json_object_get(v, "offloads"));
}

static void print_group(const json_t *v) {
	const json_t *others = json_object_get(v, "group_others");
	char list[400];

	if (!json_is_integer(json_object_get(v, "iommu_group"))) {
		print_fact("IOMMU", "no group: the IOMMU is off or missing; `weir pci check` tells "
				    "what to do");
		return;
	}
	output_cell(others, CELL_TEXT, list, sizeof(list));
	print_fact("IOMMU group", "%d, %s%s", number_at(v, "iommu_group"),
		json_array_size(others) > 0 ? "with " : "alone in it",
		json_array_size(others) > 0 ? list : "");
}

static void print_sriov(const json_t *v) {
	if (json_is_object(json_object_get(v, "vfs")))
		print_fact("SR-IOV", "%d of %d VFs (%s:%s), %d free; new ones get %s",
			number_at(v, "vfs.count"), number_at(v, "vfs.total"), text_at(v, "vendor"),
			text_at(v, "vfs.device"), number_at(v, "vfs.free"),
			json_is_true(output_at(v, "vfs.autoprobe")) ? "a driver by themselves"
								    : "no driver");
	if (json_is_string(json_object_get(v, "pf")))
		print_fact("SR-IOV", "virtual function %d of %s", number_at(v, "vf"),
			text_at(v, "pf"));
	print_fact("eswitch", "%s", text_at(v, "eswitch"));
	print_fact("firmware", "%s", text_at(v, "firmware"));
	print_fact("representor", "%s", text_at(v, "representor"));
}

static void print_page(json_t *v, const struct host *h) {
	static const struct column vf_columns[] = {
		{"VF", "vf", CELL_NUMBER},
		{"ADDRESS", "address", CELL_TEXT},
		{"INTERFACE", "interface", CELL_TEXT},
		{"DRIVER", "driver", CELL_TEXT},
		{"LINK", "link", CELL_TEXT},
		{"GROUP", "group", CELL_TEXT},
		{"REPRESENTOR", "representor", CELL_TEXT},
		{"USE", "use_text", CELL_TEXT},
		{NULL},
	};
	json_t *vfs = json_object_get(v, "functions"), *row;
	size_t i;

	prepare(v, h);
	printf("%s  %s\n%s\n", text_at(v, "address"), text_at(v, "interface"), text_at(v, "name"));
	print_fact("use", "%s%s", text_at(v, "use_text"),
		json_is_true(output_at(v, "use.lifeline")) ? "; without it this host cannot be "
							     "reached"
							   : "");
	print_fact("driver", "%s", text_at(v, "driver"));
	print_fact("override", "%s", text_at(v, "driver_override"));
	print_interface(v);
	if (json_is_integer(json_object_get(v, "numa")))
		print_fact("NUMA node", "%d", number_at(v, "numa"));
	print_group(v);
	print_sriov(v);
	json_array_foreach (vfs, i, row)
		prepare(row, h);
	if (json_array_size(vfs) > 0)
		output_table(stdout, vf_columns, vfs);
}

static json_t *page_of(const struct look *k, const struct pci_function *f) {
	json_t *v = host_json(&k->host, k->users, f), *vfs = json_array();

	append_vfs(vfs, k, f);
	json_object_set_new(v, "functions", vfs);
	return v;
}

static int show_one(const struct look *k, const char *word) {
	struct err e;
	const struct pci_function *f = host_find(&k->host, word, &e);
	json_t *v;

	if (f == NULL)
		return cli_fail("%s", e.text);
	if (!pci_is_network(f))
		return cli_fail("%s is no network function; `weir pci check %s` tells of others",
			f->slot, f->slot);
	v = page_of(k, f);
	if (k->args.json)
		output_json(stdout, v);
	else
		print_page(v, &k->host);
	json_decref(v);
	return STATUS_DONE;
}

static int show_all(const struct look *k) {
	json_t *pages = json_array(), *v;
	size_t i;

	for (unsigned j = 0; j < k->host.pci.n; j++)
		if (pci_is_network(&k->host.pci.fn[j]) && !pci_is_vf(&k->host.pci.fn[j]))
			json_array_append_new(pages, page_of(k, &k->host.pci.fn[j]));
	if (k->args.json)
		output_json(stdout, pages);
	else if (json_array_size(pages) == 0)
		puts("no network functions");
	else
		json_array_foreach (pages, i, v) {
			if (i > 0)
				putchar('\n');
			print_page(v, &k->host);
		}
	json_decref(pages);
	return STATUS_DONE;
}

static int run_show(const struct command *c, int argc, char **argv) {
	struct look k;
	int status = host_args_take(&k.args, c, &argc, argv, false);
	const char *stray = cli_stray(argc, argv);

	if (status >= 0)
		return status;
	if (stray != NULL)
		return cli_usage(c, "no such option '%s'", stray);
	if (argc > 2)
		return cli_usage(c, "one NIC at a time, '%s' is one too many", argv[2]);
	if (open_look(&k) != STATUS_DONE)
		return STATUS_REFUSED;
	status = argc == 2 ? show_one(&k, argv[1]) : show_all(&k);
	close_look(&k);
	return status;
}

static const struct subcommand subcommands[] = {
	{"list", "[--vfs] [-j]", "A line a network function, those of a card together",
		"\n"
		"  LINK   speed; 'none': up without carrier; 'down': not up\n"
		"  GROUP  IOMMU group; 'shared': other devices are in it\n"
		"  VFS    how many there are of how many there can be; FREE: used by nobody\n"
		"  USE    addresses and what stands on the interface, VM, DPDK process, or free\n"
		"\n"
		"  --vfs          a line a virtual function, too\n" HOST_ARGS_HELP,
		run_list},
	{"show", "[NIC] [-j]", "All of one network function, or of each",
		"\n"
		"NIC is an address (0000:01:00.0, 01:00.0), an interface, or vendor:device.\n"
		"\n" HOST_ARGS_HELP,
		run_show},
	{NULL},
};

static int run(const struct command *c, int argc, char **argv) {
	return subcommand_run(c, subcommands, argc, argv);
}

static int help(const struct command *c, int argc, char **argv) {
	return subcommand_help(c, subcommands, argc, argv);
}

const struct command cmd_nic = {
	"nic",
	"list|show [OPTIONS]",
	"Show the network functions of this host, and who uses them",
	"\n"
	"'weir nic SUBCOMMAND --help' tells more of one:\n"
	"\n",
	run,
	help,
};
