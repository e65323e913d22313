/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/output.h"
#include "cli/vf.h"
#include "host/export/export.h"
#include "host/want/want.h"

#define EXPORT_HELP                                                             \
	"  --file FILE    as FILE of 'weir host apply' has it: its names are\n" \
	"                 words too; without words all that is nobody's\n"      \
	"  --whole        a PF means the device itself, not its VFs\n"          \
	"  --state DIR    where owners are kept (default " STORE_DEFAULT ")\n" HOST_ARGS_HELP

static int run_one(const struct command *c, int argc, char **argv);

static const struct subcommand consumers[] = {
	{"qemu", "[FUNCTION|OWNER...]", "Print arguments of QEMU for functions", EXPORT_HELP,
		run_one},
	{"libvirt", "[FUNCTION|OWNER...]", "Print <interface> and <hostdev> for a libvirt domain",
		EXPORT_HELP, run_one},
	{"libvirt-network", "[FUNCTION|OWNER...] [--name NAME]",
		"Print a libvirt network whose interfaces are VFs of a pool",
		"  --name NAME    of the network (default vf-INTERFACE)\n" EXPORT_HELP, run_one},
	{"teaming", "[FUNCTION|OWNER...] --bridge NAME|--network NAME [--pool NAME]",
		"Print VF and virtio as a pair for libvirt, which lets the VM migrate",
		"  --bridge NAME  the bridge that takes over while the VF is away\n"
		"  --network NAME or the libvirt network\n"
		"  --pool NAME    libvirt's network to take a VF from, on each host its own\n"
		"                 (see libvirt-network); default: this VF\n" EXPORT_HELP,
		run_one},
	{"nova", "[FUNCTION|OWNER...] [--physnet NAME] [--name ALIAS] [--trusted] [--old]",
		"Print device_spec, alias and the scheduler's filter for Nova",
		"  --physnet NAME physical network that Neutron's ports ask for, 'null':\n"
		"                 tunnels; without it flavors ask, by an alias\n"
		"  --name ALIAS   of the alias (default pci-VENDOR-DEVICE)\n"
		"  --trusted      ports may ask for a trusted VF\n"
		"  --old          passthrough_whitelist, for Nova before 26.0 (Zed)\n" EXPORT_HELP,
		run_one},
	{"neutron", "[FUNCTION|OWNER...] [--physnet NAME] [--vlans A-B]",
		"Print ml2_conf.ini and sriov_agent.ini for Neutron",
		"  --physnet NAME physical network that the PFs are plugged into\n"
		"  --vlans A-B    VLANs of projects' networks (default: those of the "
		"VFs)\n" EXPORT_HELP,
		run_one},
	{NULL},
};

/* Options of their own, where each is allowed. */
static const struct {
	const char *name, *consumers;
	size_t at;
} options[] = {
	{"name", "libvirt-network nova", offsetof(struct export, name)},
	{"bridge", "teaming", offsetof(struct export, bridge)},
	{"network", "teaming", offsetof(struct export, network)},
	{"pool", "teaming", offsetof(struct export, pool)},
	{"physnet", "nova neutron", offsetof(struct export, physnet)},
	{"vlans", "neutron", offsetof(struct export, vlans)},
};
enum { NOPTIONS = sizeof(options) / sizeof(options[0]) };

static bool listed(const char *word, const char *list) {
	size_t n = strlen(word);

	for (const char *p = strstr(list, word); p != NULL; p = strstr(p + 1, word))
		if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
			return true;
	return false;
}

/* -1 when all is well, else the exit status. */
static int take_options(struct export *x, const char **state, const char **file,
	const struct command *c, int *argc, char **argv) {
	int bad = 0;

	for (int i = 0; i < NOPTIONS; i++) {
		const char **to = (const char **)((char *)x + options[i].at);

		if (!listed(argv[0], options[i].consumers))
			continue;
		*to = cli_option(argc, argv, options[i].name, &bad);
		if (bad)
			return cli_usage(c, "--%s wants a value", options[i].name);
		if (*to != NULL && strcmp(options[i].name, "vlans") != 0 &&
			(!export_plain(*to) || strlen(*to) > EXPORT_NAME_MAX))
			return cli_fail("--%s '%.80s': a name begins with a letter or digit, and "
					"has up to %d letters, digits and ._- only",
				options[i].name, *to, EXPORT_NAME_MAX);
	}
	x->whole = cli_flag(argc, argv, "whole");
	if (strcmp(argv[0], "nova") == 0) {
		x->trusted = cli_flag(argc, argv, "trusted");
		x->old = cli_flag(argc, argv, "old");
	}
	*state = cli_option(argc, argv, "state", &bad);
	if (bad)
		return cli_usage(c, "--state wants a folder");
	*file = cli_option(argc, argv, "file", &bad);
	return bad ? cli_usage(c, "--file wants a file of 'weir host apply'") : -1;
}

static const struct exporter *find_exporter(const char *name) {
	for (const struct exporter *t = exporters; t->name != NULL; t++)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

/* A PF and numbers of its VFs, "0-3,6" or "all"; 0: this word is something else. */
static int add_numbers(struct export *x, int argc, char **argv, int *at, struct err *e) {
	const char *next = *at + 1 < argc ? argv[*at + 1] : "";
	struct vfs_named *v;
	int rc;

	if (strcmp(next, "all") != 0 &&
		(next[0] == '\0' || next[strspn(next, "0123456789,-")] != '\0'))
		return 0;
	v = calloc(1, sizeof(*v));
	if (v == NULL)
		return err_set(e, ENOMEM, "no memory for a list of VFs");
	rc = vfs_named(v, x->host, argc, argv, at, e);
	for (unsigned i = 0; i < v->n && rc >= 0; i++)
		rc = export_add_function(x, v->vf[i], false, e);
	free(v);
	return rc < 0 ? rc : 1;
}

static int add_words(struct export *x, int argc, char **argv, struct err *e) {
	int at = 1, rc;

	// argv ends with NULL: without words, that is what the file has.
	do {
		rc = add_numbers(x, argc, argv, &at, e);
		if (rc == 0)
			rc = export_add(x, argv[at++], e);
	} while (rc >= 0 && at < argc);
	return rc;
}

static int print_export(struct export *x, const char *consumer, bool json, int argc, char **argv) {
	const struct exporter *to = find_exporter(consumer);
	struct err e = {""};
	json_t *doc;

	x->vfs_only = to->vfs_only;
	if (add_words(x, argc, argv, &e) < 0)
		return cli_fail("%s", e.text);
	doc = export_make(x, to, &e);
	if (doc == NULL)
		return cli_fail("%s", e.text);
	if (json)
		output_json(stdout, doc);
	else
		export_print(stdout, doc);
	json_decref(doc);
	return STATUS_DONE;
}

/* With --file, as it wants the host to be. */
static int read_file(struct want **want, struct aims *aims, const char *file, const struct host *h,
	struct err *e) {
	int rc = want_load(want, file, e);

	if (rc == 0)
		rc = want_resolve(aims, *want, h, e);
	if (rc < 0)
		want_free(*want);
	return rc;
}

static int run_one(const struct command *c, int argc, char **argv) {
	struct export x = {0};
	const char *state = NULL, *file = NULL;
	struct host_args a;
	char own_state[PATH_MAX];
	struct host host;
	struct want *want = NULL;
	struct aims aims = {0};
	struct err e;
	int status = host_args_take(&a, c, &argc, argv, false);

	if (status < 0)
		status = take_options(&x, &state, &file, c, &argc, argv);
	if (status >= 0)
		return status;
	if (cli_stray(argc, argv) != NULL)
		return cli_usage(c, "no such option '%s'", cli_stray(argc, argv));
	if (argc < 2 && file == NULL)
		return cli_usage(c, "which VF, PF or device, or whose?");
	if (state == NULL && a.root.recorded) {
		// A recorded host's owners are its own.
		snprintf(own_state, sizeof(own_state), "%s" STORE_DEFAULT, a.root.at);
		state = own_state;
	}
	if (host_read(&host, &a.root, &e) < 0)
		return cli_fail("%s", e.text);
	host.state = state;
	x.host = &host;
	if (file != NULL && read_file(&want, &aims, file, &host, &e) < 0) {
		host_free(&host);
		return cli_fail("%s", e.text);
	}
	x.aims = file != NULL ? &aims : NULL;
	status = print_export(&x, argv[0], a.json, argc, argv);
	export_free(&x);
	if (file != NULL) {
		aims_free(&aims);
		want_free(want);
	}
	host_free(&host);
	return status;
}

static int run(const struct command *c, int argc, char **argv) {
	return subcommand_run(c, consumers, argc, argv);
}

static int show_help(const struct command *c, int argc, char **argv) {
	return subcommand_help(c, consumers, argc, argv);
}

const struct command cmd_export = {
	"export",
	"CONSUMER [FUNCTION|OWNER...] [OPTION...]",
	"Print the host's VFs and devices in the words of QEMU, libvirt, Nova, Neutron",
	"\n"
	"FUNCTION is a VF or device by its PCI address, VFs as PF and numbers (eth0 3, eth0 "
	"0-3,6), or\n"
	"a PF by address, interface or vendor:device: all its VFs that are nobody's. OWNER has VFs "
	"on record.\n",
	run,
	show_help,
};
