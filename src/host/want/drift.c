/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/want/drift.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "host/change/owner.h"
#include "host/change/store.h"

static void remember_link(json_t *links, const struct host *h, const struct pci_function *f) {
	const struct link *l = f != NULL ? host_link(h, f) : NULL;

	if (l != NULL)
		json_object_set_new(links, f->slot,
			json_pack("{s:i, s:I}", "index", l->index, "flaps",
				(json_int_t)l->carrier_changes));
}

int drift_remember(const struct aims *a, const struct host *h, struct err *e) {
	json_t *links = json_object(), *v;
	char boot[BOOT_MAX], when[32];
	time_t now = time(NULL);
	struct tm tm;
	int rc;

	for (unsigned i = 0; i < a->npfs; i++) {
		remember_link(links, h, a->pf[i].fn);
		for (unsigned vf = 0; vf < a->pf[i].fn->vfs; vf++)
			remember_link(links, h, pci_vf(&h->pci, a->pf[i].fn, (int)vf));
	}
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	v = json_pack("{s:s, s:s, s:s, s:o}", "file", a->want->file, "time", when, "boot",
		boot_read(&h->root, boot), "links", links);
	rc = store_put(h->state, "applied", "host", v, e);
	json_decref(v);
	return rc;
}

json_t *drift_memory(const struct host *h) {
	struct err ignored;

	return store_get(h->state, "applied", "host", &ignored);
}

static json_int_t remembered(const json_t *memory, const char *slot, const char *what) {
	const json_t *v = json_object_get(json_object_get(memory, "links"), slot);

	return json_integer_value(json_object_get(v, what));
}

/* Whether an interface was made anew. */
static bool anew(const json_t *memory, const struct host *h, const struct pci_function *f) {
	const struct link *l = f != NULL ? host_link(h, f) : NULL;

	return l != NULL && remembered(memory, f->slot, "index") != 0 &&
	       remembered(memory, f->slot, "index") != l->index;
}

char *drift_why(
	const json_t *memory, const struct host *h, const struct drift *d, char *buf, size_t size) {
	const struct pci_function *f = pci_at(&h->pci, d->slot);
	const struct pci_function *vf = d->vf >= 0 && f != NULL ? pci_vf(&h->pci, f, d->vf) : NULL;
	const char *boot = json_string_value(json_object_get(memory, "boot"));
	const struct link *l = f != NULL ? host_link(h, f) : NULL;
	char now[BOOT_MAX];

	if (memory == NULL)
		snprintf(buf, size, "nothing was ever applied here");
	else if (boot == NULL || strcmp(boot, boot_read(&h->root, now)) != 0)
		snprintf(buf, size, "the host was started anew since it was applied");
	else if (f != NULL && anew(memory, h, f))
		snprintf(buf, size, "the PF's driver %s was loaded anew since it was applied",
			f->driver);
	else if ((d->attr == ATTR_MAC || d->attr == ATTR_DRIVER) && anew(memory, h, vf))
		snprintf(buf, size, "the VF's driver %s was bound anew since it was applied",
			vf->driver);
	else if (d->attr == ATTR_RATE && l != NULL && remembered(memory, d->slot, "index") != 0 &&
		 remembered(memory, d->slot, "flaps") != (json_int_t)l->carrier_changes)
		snprintf(buf, size,
			"the link flapped since it was applied, and %s drops rates then",
			f->driver);
	else
		buf[0] = '\0';
	return buf;
}
