/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "base/mac.h"
#include "host/want/plan.h"
#include "must.h"

/* A desired state of arbitrary bytes, against a host of two PFs of igb (the first with four VFs), and a
 * graphics card. What is refused must say why in one printable line that begins with the file; what is
 * accepted gives every VF at most one entry and one address, below the number of VFs there will be. A plan
 * is made, or refused with a sentence. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PF(a, s)                                                                                  \
	{                                                                                         \
		.address = (a), .slot = s, .vendor = 0x8086, .device = 0x10c9, .class = 0x020000, \
		.driver = "igb", .vfs_total = 8, .vf_device = 0x10ca, .autoprobe = true,          \
		.group = -1, .pf = -1, .vf = -1                                                   \
	}
#define VF(a, s, n)                                                                               \
	{                                                                                         \
		.address = (a), .slot = s, .vendor = 0x8086, .device = 0x10ca, .class = 0x020000, \
		.driver = "igbvf", .group = -1, .pf = 0, .vf = (n)                                \
	}

static struct pci_function functions[] = {
	PF(0x0100, "0000:01:00.0"),
	VF(0x0180, "0000:01:10.0", 0),
	VF(0x0182, "0000:01:10.2", 1),
	VF(0x0184, "0000:01:10.4", 2),
	VF(0x0186, "0000:01:10.6", 3),
	PF(0x0200, "0000:02:00.0"),
	{.address = 0x0300,
		.slot = "0000:03:00.0",
		.vendor = 0x10de,
		.device = 0x1eb8,
		.class = 0x030200,
		.driver = "nvidia",
		.group = -1,
		.pf = -1,
		.vf = -1},
};
enum { NFUNCTIONS = sizeof(functions) / sizeof(functions[0]) };

static struct link_vf vfs[] = {
	{.has = 0xff, .mac = 0x020000, .vlan = 100, .proto = 0x8100},
	{.has = 0xff, .spoofchk = true, .max_rate = 100},
	{.has = VF_HAS_MAC},
	{.has = 0},
};
static struct link links[] = {
	{.index = 1,
		.name = "eth0",
		.parent = "0000:01:00.0",
		.mac = 0x010054520000,
		.mtu = 1500,
		.min_mtu = 68,
		.max_mtu = 9216,
		.nvfs = 4,
		.vf = vfs},
	{.index = 2, .name = "eth1", .parent = "0000:02:00.0", .mac = 0x020054520000, .mtu = 1500},
};

static void is_a_line(const char *text) {
	MUST(strlen(text) > 10);
	for (const char *p = text; *p != '\0'; p++)
		MUST((unsigned char)*p >= 0x20 && *p != 0x7f);
}

static void holds(const struct aims *a) {
	for (unsigned i = 0; i < a->naims; i++) {
		const struct aim *t = &a->aim[i];

		MUST(t->fn != NULL);
		MUST((t->vf >= 0) == (t->pf >= 0));
		MUST((t->pool != NULL) + (t->single != NULL) + (t->device != NULL) <= 1);
		MUST(t->pf < 0 || (unsigned)t->vf < a->pf[t->pf].vfs);
		MUST(t->pf < 0 || a->pf[t->pf].vfs <= a->pf[t->pf].fn->vfs_total);
		MUST(((t->want.stated & WANT_MAC) != 0) == (t->want.mac != 0));
		MUST(!mac_is_group(t->want.mac));
		for (unsigned j = 0; j < i; j++) {
			MUST(a->aim[j].fn != t->fn || a->aim[j].vf != t->vf);
			MUST(t->want.mac == 0 || a->aim[j].want.mac != t->want.mac);
		}
	}
}

static void plans(const struct want *w, const struct host *h) {
	struct err e = {""};
	struct aims a;
	struct plan p;

	if (want_resolve(&a, w, h, &e) != 0) {
		MUST(strncmp(e.text, "f:", 2) == 0);
		is_a_line(e.text);
		return;
	}
	holds(&a);
	if (plan_make(&p, &a, h, &(struct plan_options){.force = false}, &e) != 0) {
		is_a_line(e.text);
	} else {
		for (unsigned i = 0; i < p.changes.n; i++)
			MUST(p.changes.c[i].to[0] != '\0');
		plan_free(&p);
	}
	aims_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	const struct host h = {.root = {.at = "/nonexistent", .recorded = true},
		.pci = {functions, NFUNCTIONS},
		.links = {.link = links, .nlinks = 2},
		.state = "/nonexistent"};
	struct err e = {""};
	struct want *w;

	if (want_parse(&w, (const char *)data, size, "f", &e) != 0) {
		MUST(w == NULL);
		MUST(strncmp(e.text, "f:", 2) == 0);
		is_a_line(e.text);
		return 0;
	}
	plans(w, &h);
	want_free(w);
	return 0;
}
