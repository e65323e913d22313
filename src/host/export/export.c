/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/export/export.h"

#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mac.h"
#include "base/text.h"
#include "host/change/owner.h"
#include "host/want/want.h"

const struct exporter exporters[] = {
	{"qemu", export_to_qemu, .vfs_only = false},
	{"libvirt", export_to_libvirt, .vfs_only = false},
	{"libvirt-network", export_to_libvirt_network, .vfs_only = true},
	{"teaming", export_to_teaming, .vfs_only = true},
	{"nova", export_to_nova, .vfs_only = false},
	{"neutron", export_to_neutron, .vfs_only = true},
	{NULL},
};

bool export_plain(const char *name) {
	return isalnum((unsigned char)name[0]) &&
	       name[strspn(name,
		       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] ==
		       '\0';
}

bool export_far_domain(const struct export_function *f) {
	return f->fn->address >> 32 != 0;
}

char *export_text(const struct export_function *f, char buf[EXPORT_TEXT_MAX]) {
	const char *name = f->link != NULL ? f->link->name : f->pf != NULL ? f->pf->slot : "";

	if (f->pf != NULL)
		snprintf(buf, EXPORT_TEXT_MAX, "VF %d of %s (%s)", f->fn->vf, name, f->fn->slot);
	else if (name[0] != '\0')
		snprintf(buf, EXPORT_TEXT_MAX, "%s (%s)", name, f->fn->slot);
	else
		snprintf(buf, EXPORT_TEXT_MAX, "%s", f->fn->slot);
	return buf;
}

bool export_switchdev(const struct export *x, const struct export_function *f) {
	const struct devlink *d =
		f->pf != NULL ? devlinks_at(&x->host->devlinks, f->pf->slot) : NULL;

	return d != NULL && d->mode == ESWITCH_SWITCHDEV;
}

unsigned export_of_pf(const struct export *x, const struct pci_function *pf) {
	unsigned n = 0;

	for (unsigned i = 0; i < x->n; i++)
		n += x->fn[i].pf == pf;
	return n;
}

int export_only_vfs(const struct export *x, const char *what, struct err *e) {
	char text[EXPORT_TEXT_MAX];

	for (unsigned i = 0; i < x->n; i++)
		if (x->fn[i].pf == NULL)
			return err_set(e, EINVAL,
				"%s is a whole device, and %s takes VFs; 'weir export libvirt' and "
				"'weir export nova' take whole devices",
				export_text(&x->fn[i], text), what);
	return 0;
}

/* Who has a VF, by the file or on record; "" when nobody has. */
static int read_owner(const struct export *x, const struct pci_function *fn,
	char owner[EXPORT_OWNER_MAX], struct err *e) {
	const char *stated = export_file_owner(x, fn);
	int rc = 0;

	if (stated != NULL)
		snprintf(owner, EXPORT_OWNER_MAX, "%s", stated);
	else
		rc = owner_get(x->host, fn, owner, e);
	if (rc == 0 && strcmp(owner, "none") == 0)
		owner[0] = '\0';
	return rc;
}

static bool is_here(const struct export *x, const struct pci_function *fn) {
	for (unsigned i = 0; i < x->n; i++)
		if (x->fn[i].fn == fn)
			return true;
	return false;
}

static int add(struct export *x, const struct pci_function *fn, const char *owner, struct err *e) {
	struct export_function *more;
	const struct link_vf *vf;

	if (is_here(x, fn))
		return 0;
	more = reallocarray(x->fn, x->n + 1, sizeof(*more));
	if (more == NULL)
		return err_set(e, ENOMEM, "no memory for a list of %u functions", x->n + 1);
	x->fn = more;
	more += x->n++;
	*more = (struct export_function){
		.fn = fn,
		.pf = pci_is_vf(fn) ? &x->host->pci.fn[fn->pf] : NULL,
		.physnet = x->physnet,
		.name = x->name,
	};
	more->link = host_link(x->host, more->pf != NULL ? more->pf : fn);
	vf = more->pf != NULL ? host_vf(x->host, fn) : NULL;
	if (vf != NULL)
		more->vf = *vf;
	snprintf(more->owner, sizeof(more->owner), "%s", owner);
	export_file_overlay(x, more);
	return 0;
}

static int add_whole(struct export *x, const struct pci_function *fn, struct err *e) {
	if (fn->class >> 16 == PCI_CLASS_BRIDGE)
		return err_set(e, EINVAL,
			"%s is a PCI bridge, which no VM can be given; name the device behind it",
			fn->slot);
	return export_add_function(x, fn, false, e);
}

int export_add_function(struct export *x, const struct pci_function *fn, bool free, struct err *e) {
	char owner[EXPORT_OWNER_MAX] = "";
	int rc = read_owner(x, fn, owner, e);

	return rc < 0 || (free && owner[0] != '\0') ? rc : add(x, fn, owner, e);
}

/* All VFs of a PF that nobody has. */
static int add_pool(struct export *x, const struct pci_function *pf, struct err *e) {
	unsigned before = x->n, taken = 0;
	char owner[EXPORT_OWNER_MAX], last[EXPORT_OWNER_MAX] = "";
	int rc = 0;

	for (unsigned i = 0; i < pf->vfs && rc == 0; i++) {
		const struct pci_function *vf = pci_vf(&x->host->pci, pf, (int)i);

		if (vf == NULL)
			continue;
		rc = read_owner(x, vf, owner, e);
		if (rc == 0 && owner[0] == '\0')
			rc = add(x, vf, owner, e);
		else if (rc == 0) {
			memcpy(last, owner, sizeof(last));
			taken++;
		}
	}
	if (rc < 0 || x->n > before)
		return rc;
	return taken > 0 ? err_set(e, ENOENT,
				   "all %u VFs of %s have an owner, VF after VF up to '%s'; name "
				   "an owner or a VF to export theirs",
				   taken, pf->slot, last)
			 : err_set(e, ENOENT,
				   "%s has no VFs, and may have %u; 'weir vf create %s N' makes "
				   "them, --whole exports the device itself",
				   pf->slot, pf->vfs_total, pf->slot);
}

static int add_owner(struct export *x, const char *name, struct err *e) {
	const struct pci *pci = &x->host->pci;
	char owner[EXPORT_OWNER_MAX];
	unsigned found = 0;
	int rc = 0;

	for (unsigned i = 0; i < pci->n && rc == 0; i++) {
		if (!pci_is_vf(&pci->fn[i]) && !export_file_device(x, &pci->fn[i]))
			continue;
		rc = read_owner(x, &pci->fn[i], owner, e);
		if (rc < 0 || strcmp(owner, name) != 0)
			continue;
		found++;
		rc = add(x, &pci->fn[i], owner, e);
	}
	return rc < 0 ? rc : (int)found;
}

int export_add(struct export *x, const char *word, struct err *e) {
	const struct pci_function *fn;
	struct err unknown;
	int rc = x->aims != NULL ? export_file_add(x, word, e) : 0;

	if (rc != 0 || word == NULL)
		return rc < 0 ? rc : 0;
	fn = host_find(x->host, word, &unknown);
	if (fn != NULL && pci_is_vf(fn))
		return export_add_function(x, fn, false, e);
	if (fn != NULL)
		return x->whole || fn->vfs_total == 0 || export_file_device(x, fn)
			       ? add_whole(x, fn, e)
			       : add_pool(x, fn, e);
	rc = add_owner(x, word, e);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	return err_set(e, ENOENT, "%s; nor has an owner '%s' any VF on record", unknown.text, word);
}

void export_free(struct export *x) {
	free(x->fn);
	json_decref(x->notes);
	if (x->users != NULL)
		users_free(x->users);
	x->users = NULL;
	x->fn = NULL;
	x->notes = NULL;
	x->n = 0;
	x->behind = false;
}

void export_note(struct export *x, const char *fmt, ...) {
	char text[ERR_TEXT_MAX];
	va_list ap;
	size_t i;
	json_t *one;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text_clean(text); // programs name themselves, and a note is a comment of one line
	json_array_foreach (x->notes, i, one)
		if (strcmp(json_string_value(one), text) == 0)
			return;
	json_array_append_new(x->notes, json_string(text));
}

static json_t *function_json(const struct export_function *f) {
	json_t *o = json_pack("{s:s}", "address", f->fn->slot);
	char mac[MAC_TEXT_MAX];

	if (f->pf != NULL) {
		json_object_set_new(o, "pf", json_string(f->pf->slot));
		json_object_set_new(o, "vf", json_integer(f->fn->vf));
		json_object_set_new(
			o, "owner", f->owner[0] != '\0' ? json_string(f->owner) : json_null());
		json_object_set_new(o, "mac",
			f->vf.mac != 0 ? json_string(mac_format(f->vf.mac, mac)) : json_null());
		json_object_set_new(o, "vlan", json_integer(f->vf.vlan));
	}
	json_object_set_new(
		o, "driver", f->fn->driver[0] != '\0' ? json_string(f->fn->driver) : json_null());
	json_object_set_new(o, "numa", f->fn->numa >= 0 ? json_integer(f->fn->numa) : json_null());
	json_object_set_new(
		o, "iommu_group", f->fn->group >= 0 ? json_integer(f->fn->group) : json_null());
	return o;
}

json_t *export_make(struct export *x, const struct exporter *to, struct err *e) {
	json_t *list = json_array(), *doc;

	for (unsigned i = 0; i < x->n; i++)
		json_array_append_new(list, function_json(&x->fn[i]));
	json_decref(x->notes);
	x->notes = json_array();
	if (x->behind)
		export_note(x,
			"the host is not yet as %s says, which is what is exported; 'weir host "
			"apply %s'",
			x->aims->want->file, x->aims->want->file);
	doc = json_pack("{s:s, s:o, s:O}", "for", to->name, "functions", list, "notes", x->notes);
	if (doc == NULL) {
		err_set(e, ENOMEM, "no memory for an export of %u functions", x->n);
		return NULL;
	}
	if (to->make(x, doc, e) < 0) {
		json_decref(doc);
		return NULL;
	}
	return doc;
}
