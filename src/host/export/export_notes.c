/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdio.h>
#include <string.h>

#include "host/export/export.h"

/* What has to be known of a function before a VM gets it: of its IOMMU group, its PF, its owner, and
 * of what it is allowed to do. All of it as the host is now. */

/* Others in its IOMMU group that would have to go along: bridges need not. */
static void note_group(struct export *x, const struct export_function *f, const char *text) {
	const struct pci *pci = &x->host->pci;
	char others[4 * (PCI_SLOT_MAX + 2)] = "";
	unsigned n = 0;

	if (f->fn->group < 0) {
		export_note(x,
			"%s is in no IOMMU group: VFIO takes no device until the IOMMU is on; "
			"'weir host check' says how",
			text);
		return;
	}
	for (unsigned i = 0; i < pci->n; i++) {
		const struct pci_function *o = &pci->fn[i];
		size_t len = strlen(others);

		if (o == f->fn || o->group != f->fn->group || o->class >> 16 == PCI_CLASS_BRIDGE)
			continue;
		if (n++ < 3)
			snprintf(others + len, sizeof(others) - len, "%s%s", len > 0 ? ", " : "",
				o->slot);
	}
	if (n > 0)
		export_note(x,
			"%s shares IOMMU group %d with %s%s: one VM gets all of them, or none is "
			"given",
			text, f->fn->group, others, n > 3 ? " and more" : "");
}

static void note_vf(struct export *x, const struct export_function *f, const char *text) {
	const struct link *repr = host_representor(x->host, f->pf, f->fn->vf);

	if (f->owner[0] == '\0')
		export_note(x,
			"%s has no owner on record, so that it may be given to another VM as well; "
			"'weir vf alloc' records one",
			text);
	if (f->link != NULL && !(f->link->flags & IFF_UP))
		export_note(x, "%s is down, and its VFs have no link", f->link->name);
	if (f->vf.has & VF_HAS_MAC && f->vf.mac == 0)
		export_note(x,
			"%s has no MAC from its PF: its driver makes up another at each start",
			text);
	if (f->vf.has & VF_HAS_SPOOFCHK && !f->vf.spoofchk)
		export_note(x, "spoof check of %s is off: the VM can send from any address", text);
	if (f->vf.has & VF_HAS_TRUST && f->vf.trust)
		export_note(x,
			"%s is trusted: the VM can change its MAC and see what is not for it",
			text);
	if (export_switchdev(x, f))
		export_note(x,
			"%s is behind an eswitch in switchdev mode: it reaches nobody until its "
			"representor%s%s is in a bridge or has rules",
			text, repr != NULL ? " " : "", repr != NULL ? repr->name : "");
}

/* That a VM has it is as it shall be. */
static void note_use(struct export *x, const struct export_function *f, const char *text) {
	struct use use;

	if (x->users == NULL)
		x->users = users_read(x->host);
	if (x->users == NULL)
		return;
	users_of(x->users, f->fn, &use);
	if (use.kind != USE_FREE && use.kind != USE_VM)
		export_note(x, "%s is in use now: %s%s", text, use.text,
			use.lifeline ? "; without it this host cannot be reached" : "");
}

void export_note_vm(struct export *x, const struct export_function *f) {
	char text[EXPORT_TEXT_MAX];

	export_text(f, text);
	note_group(x, f, text);
	note_use(x, f, text);
	if (f->pf != NULL)
		note_vf(x, f, text);
	else if (f->fn->vfs > 0)
		export_note(x, "%s loses its %u VFs when it is given away", text, f->fn->vfs);
	if (f->fn->numa >= 0)
		export_note(x, "%s is on NUMA node %d: the VM's memory and vCPUs belong there",
			f->pf == NULL     ? text
			: f->link != NULL ? f->link->name
					  : f->pf->slot,
			f->fn->numa);
}
