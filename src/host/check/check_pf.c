/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/check/check_rule.h"

#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "host/change/owner.h"
#include "host/change/store.h"
#include "host/check/iommu.h"

/* Rules about physical functions and the number of their VFs. */

/* Lines 7 to 12 of sysfs's "resource" are the BARs of VFs, a PF's six each ("start end flags"). */
enum { VF_BARS_FIRST = 7, VF_BARS = 6, FLAG_MEMORY = 0x200, FLAG_UNSET = 0x20000000 };

/* How many of the BARs of VFs have no address, -1: not told. A BAR that found no place is wholly zero,
 * and so is one that the device does not have: with all six at zero it is the former. */
static int bars_without_place(const struct root *r, const struct pci_function *f) {
	char text[2048], *line, *save = NULL;
	uint64_t start, end, flags;
	int n = 0, has = 0, lost = 0;

	if (root_read(r, text, sizeof(text), "/sys/bus/pci/devices/%s/resource", f->slot) <= 0)
		return -1;
	for (line = strtok_r(text, "\n", &save); line != NULL;
		line = strtok_r(NULL, "\n", &save), n++) {
		if (n < VF_BARS_FIRST || n >= VF_BARS_FIRST + VF_BARS ||
			sscanf(line, "%" SCNx64 " %" SCNx64 " %" SCNx64, &start, &end, &flags) != 3)
			continue;
		has += flags != 0;
		lost += (flags & FLAG_MEMORY) != 0 && (start == 0 || (flags & FLAG_UNSET) != 0);
	}
	if (n < VF_BARS_FIRST + VF_BARS)
		return -1;
	return has == 0 ? VF_BARS : lost;
}

void rule_mmio(struct check *c) {
	const struct pci *p = &c->host->pci;
	char word[64];

	for (unsigned i = 0; i < p->n; i++) {
		const struct pci_function *f = &p->fn[i];
		int lost = f->vfs_total > 0 ? bars_without_place(c->root, f) : 0;
		struct finding *new;

		if (lost <= 0)
			continue;
		new = check_found(c, SEVERITY_ERROR, f->slot,
			"%s in /sys/bus/pci/devices/%s/resource: VFs cannot be made (\"not enough "
			"MMIO resources for SR-IOV\")",
			lost == VF_BARS ? "the registers of its VFs have no address"
					: "some registers of its VFs have no address",
			f->slot);
		if (kernel_word(c->root, "pci", word, sizeof(word)) &&
			strstr(word, "realloc") != NULL)
			finding_advise(new,
				"%s is there and did not help: turn on Above 4G Decoding and "
				"SR-IOV in the BIOS",
				word);
		else
			finding_advise(new,
				"add pci=realloc to the kernel's command line, or turn on "
				"Above 4G Decoding and SR-IOV in the BIOS");
	}
}

void rule_vf_count(struct check *c) {
	for (const struct pci_function *pf = check_next_pf(c, NULL); pf != NULL;
		pf = check_next_pf(c, pf)) {
		const struct link *l = host_link(c->host, pf);
		unsigned there = 0;
		struct finding *f;

		for (unsigned i = 0; i < c->nvfs; i++)
			there += c->vf[i].pf == pf;
		if (pf->vfs > pf->vfs_total) {
			f = check_found(c, SEVERITY_ERROR, pf->slot,
				"it has %u VFs, its device and driver can have %u", pf->vfs,
				pf->vfs_total);
			finding_advise(
				f, "make fewer: weir vf create %s %u", pf->slot, pf->vfs_total);
		} else if (there < pf->vfs) {
			f = check_found(c, SEVERITY_ERROR, pf->slot,
				"%u VFs were made, %u of them are on the bus", pf->vfs, there);
			finding_advise(f,
				"make them anew: weir vf delete %s, weir vf create %s %u; if they "
				"stay away, "
				"dmesg says "
				"why (too few bus numbers: pci=assign-busses)",
				pf->slot, pf->slot, pf->vfs);
		} else if (l != NULL && l->nvfs > 0 && l->nvfs != pf->vfs) {
			f = check_found(c, SEVERITY_WARNING, pf->slot,
				"%u VFs were made, its driver %s serves %u", pf->vfs, pf->driver,
				l->nvfs);
			finding_advise(f, "make as many as the driver can: weir vf create %s %u",
				pf->slot, l->nvfs);
		}
	}
	check_sources(c, true);
}

/* How many of its VFs guests have or are to get. */
static unsigned handed_vfs(const struct check *c, const struct pci_function *pf) {
	unsigned n = 0;

	for (unsigned i = 0; i < c->nvfs; i++)
		n += c->vf[i].pf == pf && c->vf[i].handed;
	return n;
}

void rule_pf_down(struct check *c) {
	for (const struct pci_function *pf = check_next_pf(c, NULL); pf != NULL;
		pf = check_next_pf(c, pf)) {
		const struct link *l = host_link(c->host, pf);
		unsigned handed = handed_vfs(c, pf);
		struct finding *f;

		if (l == NULL || (l->flags & IFF_RUNNING) != 0)
			continue;
		if ((l->flags & IFF_UP) == 0) {
			f = check_found(c, handed > 0 ? SEVERITY_ERROR : SEVERITY_WARNING, pf->slot,
				"%s is down, and with it its %u VFs (%u for guests)", l->name,
				pf->vfs, handed);
			finding_advise(f,
				"ip link set %s up; to keep it so: link: up in the file of weir "
				"host apply",
				l->name);
		} else if (handed > 0) {
			f = check_found(c, SEVERITY_NOTE, pf->slot,
				"%s has no carrier; VFs whose link state is auto have none either",
				l->name);
			finding_advise(f,
				"look at cable and switch; VFs that need talk among themselves "
				"only: weir vf "
				"set %s N link-state=enable",
				pf->slot);
		}
	}
}

void rule_mtu(struct check *c) {
	for (unsigned i = 0; i < c->nvfs; i++) {
		const struct check_vf *v = &c->vf[i];
		struct finding *f;

		if (v->own == NULL || v->uplink == NULL || v->own->mtu <= v->uplink->mtu)
			continue;
		f = check_found(c, SEVERITY_WARNING, v->name,
			"%s has MTU %u, its physical function %s %u: longer frames are lost",
			v->own->name, v->own->mtu, v->uplink->name, v->uplink->mtu);
		finding_advise(f, "ip link set %s mtu %u, or lower that of %s", v->uplink->name,
			v->own->mtu, v->own->name);
	}
}

void rule_autoprobe(struct check *c) {
	for (const struct pci_function *pf = check_next_pf(c, NULL); pf != NULL;
		pf = check_next_pf(c, pf)) {
		unsigned n = 0;

		for (unsigned i = 0; i < c->nvfs; i++)
			n += c->vf[i].pf == pf && check_for_vfio(c->vf[i].fn);
		if (!pf->autoprobe || n == 0)
			continue;
		finding_advise(
			check_found(c, SEVERITY_NOTE, pf->slot,
				"%u of its %u VFs are for vfio, and with autoprobe each gets an "
				"interface of this host first, whenever VFs are made",
				n, pf->vfs),
			"autoprobe: off in the file of weir host apply, or echo 0 > "
			"/sys/bus/pci/devices/%s/sriov_drivers_autoprobe",
			pf->slot);
	}
}

/* A record of a VF that is not there, or was made anew since it was given to its owner. */
void rule_owner_gone(struct check *c) {
	const char *slot;
	json_t *record;

	json_object_foreach (c->owners, slot, record) {
		const char *owner = json_string_value(json_object_get(record, "owner"));
		const struct pci_function *f = pci_at(&c->host->pci, slot);
		struct err ignored;
		char now[ATTR_TEXT_MAX];
		struct finding *new;

		if (f != NULL && (c->root->recorded || owner == NULL ||
					 owner_get(c->host, f, now, &ignored) < 0 ||
					 strcmp(now, owner) == 0))
			continue;
		new = check_found(c, SEVERITY_WARNING, slot, "it is recorded for %s, and %s",
			owner != NULL ? owner : "somebody",
			f == NULL ? "there is no such function any more"
				  : "was made anew since: it is not what its owner got");
		if (f == NULL)
			finding_advise(new,
				"make the VFs again (weir host apply), or forget it: rm "
				"%s/owners/%s.json",
				store_folder(c->state), slot);
		else
			finding_advise(new,
				"give it up: weir vf release %s --force; then give it again", slot);
	}
}
