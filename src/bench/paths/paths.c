/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/apart.h"
#include "bench/options.h"
#include "bench/paths/paths.h"
#include "bench/result.h"

/* `weir bench paths`: one path after the other, each in a child process (path.h says why), which hands
 * back a document of its own in a memfd. In each round every path is made anew and measured once, so that
 * what changes with time, and what changes with making, is in the noise of all alike. The documents become
 * one here, ordered by figure, so that the paths stand below each other. A path that fails costs its own figures and makes the result
 * incomplete. */

static const struct path *const table[] = {
	&path_veth,
	&path_bridge,
	&path_bridge_vhost,
	&path_e1000,
	&path_macvtap,
	&path_weir,
	&path_weir_tap,
	&path_ovs,
	&path_af_xdp,
	&path_vf,
	&path_passthrough,
};
enum { NPATHS = sizeof(table) / sizeof(table[0]) };

enum { VMS_DEFAULT = 4 };

/* At which host CPU is compared when nobody says: what each path carries, emulated or not. */
#define RATE          UINT64_C(1000000000)
#define RATE_EMULATED UINT64_C(50000000)

/* What is measured of one path, in a process of its own. */
struct one {
	const struct path *path;
	const struct paths_plan *plan;
};

static int measure(struct bench *own, void *arg, struct err *e) {
	const struct one *one = arg;

	return paths_measure(own, one->path, one->plan, e);
}

/* Which paths, by their names with commas between; all when not given. */
static int choose(const char *text, bool *chosen, struct err *e) {
	char names[256] = "", list[256], *rest = list, *name;

	if (text == NULL || strlen(text) >= sizeof(list)) {
		memset(chosen, 1, NPATHS);
		return text == NULL ? 0 : err_set(e, EINVAL, "--paths: that is too long");
	}
	strcpy(list, text);
	while ((name = strsep(&rest, ",")) != NULL) {
		bool found = false;
		size_t n = 0;

		names[0] = '\0';
		for (int i = 0; i < NPATHS; i++) {
			bool is = strcmp(table[i]->name, name) == 0;

			chosen[i] |= is;
			found |= is;
			n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s",
				i > 0 ? ", " : "", table[i]->name);
		}
		if (!found)
			return err_set(
				e, EINVAL, "no such path '%.40s'; there are: %s", name, names);
	}
	return 0;
}

/* The VMs' image has to have the drivers of what they get. */
static void need_drivers(struct paths_plan *plan, const struct path_bed *bed) {
	for (unsigned i = 0; i < bed->n && plan->nfunctions < 2 * PATH_GUESTS_MAX; i++)
		memcpy(plan->function[plan->nfunctions++], bed->function[i], PCI_SLOT_MAX);
}

/* Leaves only what is possible, and says why about the rest. *vms: does one of them need VMs? */
static int sift(struct bench *b, struct paths_plan *plan, bool *chosen, bool *vms, struct err *e) {
	struct path_bed bed = {.n = plan->n, .pci = plan->pci};
	struct err why;
	int n = 0;

	*vms = false;
	for (int i = 0; i < NPATHS; i++) {
		if (chosen[i] && table[i]->possible(&bed, &why) < 0) {
			chosen[i] = false;
			result_warn(b->doc, "path %s (%s) is not possible here: %s", table[i]->name,
				table[i]->brief, why.text);
		}
		if (chosen[i] && table[i]->nic == path_pci_nic)
			need_drivers(plan, &bed);
		n += chosen[i];
		*vms |= chosen[i] && table[i]->nic != NULL;
	}
	return n > 0 ? 0 : err_set(e, ENODEV, "none of these paths is possible here: %s", why.text);
}

/* What is measured in turn. A path that failed is not tried again. */
struct turns {
	const struct bench *b;
	bool chosen[NPATHS];
	const struct paths_plan *plan;
};

static int measure_round(struct bench *b, unsigned round, void *arg, struct err *e) {
	static const char *const across[] = {"path", NULL};
	struct turns *t = arg;
	bool any = false;

	for (int i = 0; i < NPATHS; i++) {
		struct bench own = apart_round(b, round);
		struct one one = {table[i], t->plan};
		char name[64];
		json_t *doc;

		if (!t->chosen[i])
			continue;
		if (bench_stopped)
			return err_set(e, ECANCELED, "interrupted");
		snprintf(name, sizeof(name), "path %s", table[i]->name);
		doc = apart_run(&own, name, measure, &one, e);
		if (doc == NULL)
			result_incomplete(b->doc, "%s", e->text);
		t->chosen[i] = doc != NULL && apart_take(b, name, doc, across) == 0;
		any |= t->chosen[i];
		json_decref(doc);
	}
	if (bench_stopped)
		return err_set(e, ECANCELED, "interrupted");
	return any ? 0 : err_set(e, ENOTRECOVERABLE, "no path is left");
}

static bool narrow(void *arg, double fraction) {
	return result_narrow(((const struct turns *)arg)->b->doc, fraction);
}

static int run(struct bench *b, int argc, char **argv, struct err *e) {
	const char *paths = NULL, *kernel = NULL;
	struct paths_plan plan = {0};
	struct guest_image *image = NULL;
	struct turns turns = {.b = b, .plan = &plan};
	bool *chosen = turns.chosen, vms;
	uint64_t n = VMS_DEFAULT;
	const struct option_spec options[] = {
		{"paths", OPTION_TEXT, &paths},
		{"vms", OPTION_COUNT, &n, 2, PATH_GUESTS_MAX},
		{"kernel", OPTION_TEXT, &kernel},
		{"pci", OPTION_TEXT, &plan.pci},
		{"rate", OPTION_RATE, &plan.rate, 8000, UINT64_C(1000000000000)},
		{NULL},
	};
	int ret;

	if (options_take(options, &argc, argv, e) < 0)
		return -EINVAL;
	if (argc > 1)
		return err_set(
			e, EINVAL, "'%s' is too much; paths are chosen with --paths", argv[1]);
	if (n % 2 != 0)
		return err_set(e, EINVAL,
			"--vms %u: they are measured in pairs; give an even number", (unsigned)n);
	if (choose(paths, chosen, e) < 0)
		return -EINVAL;
	if (geteuid() != 0)
		return err_set(e, EPERM, "only root can make network namespaces, TAPs and bridges");
	plan.n = (unsigned)n;
	ret = sift(b, &plan, chosen, &vms, e);
	if (ret < 0)
		return ret;
	if (vms)
		ret = paths_prepare(b, kernel, &plan, &image, e);
	if (plan.rate == 0)
		plan.rate = plan.emulated ? RATE_EMULATED : RATE;
	if (ret == 0)
		ret = bench_repeat(b, measure_round, narrow, &turns, e);
	if (ret == -ENOTRECOVERABLE) // each has said why it failed
		ret = 0;
	guest_image_free(image);
	return ret;
}

const struct instrument bench_paths = {
	.name = "paths",
	.args = "[OPTIONS]",
	.brief = "Compare the ways between VMs that this host can make",
	.help = "\n"
		"For each way (path) this makes it, boots small VMs on it, measures a TCP stream "
		"with a "
		"maximum\n"
		"segment size of 1448 and of 100 bytes, 1-byte transactions, all pairs of VMs at "
		"once, "
		"and what\n"
		"that costs this host; and removes it. Everything happens in namespaces of its "
		"own, the "
		"host's\n"
		"network is not touched. Root only; needs QEMU and iproute2. A path that is not "
		"possible "
		"here is\n"
		"listed with the reason.\n"
		"\n"
		"  --paths LIST    veth (no VM: the reference), bridge, bridge-vhost, e1000, "
		"macvtap,\n"
		"                  weir, weir-tap, ovs, af-xdp, vf, passthrough; default: all\n"
		"  --vms N         an even number of 2 to 64 (4)\n"
		"  --rate RATE     at which host CPU is compared (1Gbit; 50Mbit when VMs are "
		"emulated)\n"
		"  --pci LIST      PCI functions for the VMs of vf and passthrough, one each, "
		"bound to "
		"vfio-pci;\n"
		"                  default: the first that are\n"
		"  --kernel FILE   what the VMs boot: a vmlinuz or vmlinux with its modules in "
		"modules/ "
		"beside it\n"
		"                  or in ../lib/modules; default: the kernel of this host\n"
		"\n"
		"WEIR_VM_ACCEL is QEMU's -accel; default: KVM when VMs boot with it, else "
		"emulation.\n"
		"\n",
	.run = run,
};
