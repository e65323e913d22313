/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/change/owner.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/err.h"
#include "base/mac.h"
#include "host/change/attr.h"
#include "host/change/store.h"
#include "host/host.h"

char *boot_read(const struct root *r, char buf[BOOT_MAX]) {
	root_line(r, buf, BOOT_MAX, "/proc/sys/kernel/random/boot_id");
	return buf;
}

/* The inode of its folder: another one for each life of a VF. 0: not there. */
static json_int_t node_of(const struct host *h, const char *slot) {
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/", h->root.at, slot);
	return stat(path, &st) == 0 ? (json_int_t)st.st_ino : 0;
}

/* Whether the record is of the VF that is there now. */
static bool alive(const struct host *h, const struct pci_function *f, const json_t *record) {
	const char *boot = json_string_value(json_object_get(record, "boot"));
	char now[BOOT_MAX];

	return boot != NULL && strcmp(boot, boot_read(&h->root, now)) == 0 &&
	       json_integer_value(json_object_get(record, "node")) == node_of(h, f->slot);
}

int owner_get(const struct host *h, const struct pci_function *f, char text[ATTR_TEXT_MAX],
	struct err *e) {
	struct err own = {""};
	json_t *record = store_get(h->state, "owners", f->slot, &own);
	const char *owner = json_string_value(json_object_get(record, "owner"));

	if (record == NULL && own.text[0] != '\0')
		return err_set(e, EBADMSG, "%s", own.text);
	snprintf(text, ATTR_TEXT_MAX, "%s", owner != NULL && alive(h, f, record) ? owner : "none");
	json_decref(record);
	return 0;
}

static bool same_vf(const struct host *h, const struct change *c, const struct pci_function *vf) {
	const struct pci_function *f = attr_function(h, c->slot, c->vf, NULL);

	return f == vf;
}

/* What was before the list and will be behind it; now, where the list does not touch it. */
static void fate(const struct host *h, const struct changes *l, const struct pci_function *vf,
	struct change *c) {
	bool first = true;

	for (unsigned i = 0; i < l->n; i++) {
		if (l->c[i].attr != c->attr || l->c[i].implied || !same_vf(h, &l->c[i], vf))
			continue;
		if (first && l->c[i].from[0] != '\0')
			memcpy(c->from, l->c[i].from, sizeof(c->from));
		memcpy(c->to, l->c[i].to, sizeof(c->to));
		first = false;
	}
}

static json_t *all_changes(
	const struct host *h, const struct changes *l, const struct pci_function *vf) {
	const struct pci_function *pf = vf->pf >= 0 ? &h->pci.fn[vf->pf] : NULL;
	json_t *list = json_array();

	// On the way back in this order: the MAC before the driver that will ask for it.
	for (enum attr a = ATTR_COUNT; a-- > 0;) {
		struct change c = {.attr = a, .vf = pf != NULL ? vf->vf : -1};
		struct err ignored;

		if (a != ATTR_DRIVER && a != ATTR_OVERRIDE && (!attr_of_vf(a) || pf == NULL))
			continue;
		snprintf(c.slot, sizeof(c.slot), "%s", pf != NULL ? pf->slot : vf->slot);
		if (attr_get(h, a, c.slot, c.vf, c.from, &ignored) < 0)
			continue;
		memcpy(c.to, c.from, sizeof(c.to));
		fate(h, l, vf, &c);
		json_array_append_new(list, change_json(&c));
	}
	return list;
}

/* A record of the same owner from an earlier life of the VF still knows what was before. NULL: none. */
static json_t *earlier_changes(const struct host *h, const char *slot, const char *owner) {
	struct err ignored;
	json_t *record = store_get(h->state, "owners", slot, &ignored), *changes = NULL;
	const char *was = json_string_value(json_object_get(record, "owner"));

	if (was != NULL && strcmp(was, owner) == 0)
		changes = json_incref(json_object_get(record, "changes"));
	json_decref(record);
	return changes;
}

int owner_set(
	const struct host *h, const struct change *c, const struct changes *l, struct err *e) {
	const struct pci_function *f = attr_function(h, c->slot, c->vf, e);
	char since[32], boot[BOOT_MAX];
	time_t now = time(NULL);
	struct tm tm;
	json_t *record, *changes;
	int rc;

	if (f == NULL)
		return -ENODEV;
	if (strcmp(c->to, "none") == 0)
		return store_put(h->state, "owners", f->slot, NULL, e);
	changes = earlier_changes(h, f->slot, c->to);
	if (changes == NULL)
		changes = all_changes(h, l, f);
	strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	record = json_pack("{s:s, s:s, s:s, s:I, s:o}", "owner", c->to, "since", since, "boot",
		boot_read(&h->root, boot), "node", node_of(h, f->slot), "changes", changes);
	if (record == NULL)
		return err_set(e, ENOMEM, "no memory for the owner of %s", f->slot);
	rc = store_put(h->state, "owners", f->slot, record, e);
	json_decref(record);
	return rc;
}

static int add_way_back(
	struct changes *l, const struct host *h, const json_t *record, bool force, struct err *e) {
	const json_t *list = json_object_get(record, "changes");
	size_t i;
	json_t *v;

	json_array_foreach (list, i, v) {
		struct change c;
		char now[ATTR_TEXT_MAX];

		if (change_parse(&c, v, e) < 0)
			return -EBADMSG;
		if (attr_get(h, c.attr, c.slot, c.vf, now, e) < 0) {
			err_prefix(e, "cannot give it back as it was: ");
			return -EIO;
		}
		if (c.attr == ATTR_MAC && strcmp(now, c.to) != 0 && !force)
			return err_set(e, ESTALE,
				"%s vf %d has MAC %s, weir gave it %s: somebody else uses it now; "
				"--force takes it back nevertheless",
				c.slot, c.vf, now, c.to);
		if (strcmp(now, c.from) == 0)
			continue;
		memcpy(c.to, c.from, sizeof(c.to));
		memcpy(c.from, now, sizeof(c.from));
		if (changes_add(l, &c, e) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int check_claim(const struct host *h, const struct pci_function *vf, const json_t *record,
	const char *owner, const struct use *use, struct err *e) {
	const char *has = json_string_value(json_object_get(record, "owner"));

	if (!alive(h, vf, record))
		return err_set(e, ESTALE,
			"%s is another VF than the one that was given to %s: it was created anew "
			"since; "
			"--force forgets the record",
			vf->slot, has);
	if (owner != NULL && strcmp(owner, has) != 0)
		return err_set(e, EPERM, "%s belongs to %s, not to %s", vf->slot, has, owner);
	if (use->kind == USE_VM || use->kind == USE_DPDK || use->kind == USE_PROCESS)
		return err_set(e, EBUSY,
			"%s is open in process %d (%s); end it first, a reset under its feet would "
			"break "
			"it",
			vf->slot, use->pid, use->name);
	return 0;
}

int owner_release(struct changes *l, const struct host *h, const struct pci_function *vf,
	const char *owner, const struct use *use, bool force, struct err *e) {
	const struct pci_function *pf = vf->pf >= 0 ? &h->pci.fn[vf->pf] : vf;
	struct err own = {""};
	json_t *record = store_get(h->state, "owners", vf->slot, &own);
	const char *has = json_string_value(json_object_get(record, "owner"));
	struct change c = {.attr = ATTR_OWNER, .vf = vf->pf >= 0 ? vf->vf : -1, .to = "none"};
	int rc = 0;

	if (has == NULL) {
		json_decref(record);
		if (own.text[0] != '\0')
			return err_set(e, EBADMSG, "%s", own.text);
		return err_set(
			e, ENOENT, "%s has no owner; 'weir vf list' shows who has which", vf->slot);
	}
	if (!force)
		rc = check_claim(h, vf, record, owner, use, e);
	// A record of an earlier life says nothing of this one.
	if (rc == 0 && alive(h, vf, record))
		rc = add_way_back(l, h, record, force, e);
	snprintf(c.slot, sizeof(c.slot), "%s", pf->slot);
	snprintf(c.from, sizeof(c.from), "%s", alive(h, vf, record) ? has : "none");
	if (rc == 0)
		rc = changes_add(l, &c, e);
	json_decref(record);
	return rc;
}

/* Whether somebody has it: an interface, or a VF. */
static bool mac_taken(const struct host *h, uint64_t mac) {
	for (unsigned i = 0; i < h->links.nlinks; i++) {
		const struct link *link = &h->links.link[i];

		if (link->mac == mac || link->perm_mac == mac)
			return true;
		for (unsigned vf = 0; vf < link->nvfs; vf++)
			if (link->vf[vf].mac == mac)
				return true;
	}
	return false;
}

void owner_mac(const struct host *h, const char *owner, char text[ATTR_TEXT_MAX]) {
	char boot[BOOT_MAX], seed[ATTR_TEXT_MAX + BOOT_MAX + 128], machine[64] = "";
	uint64_t hash;
	unsigned round = 0;

	// Other hosts have owners of the same name: the machine's id tells them apart.
	root_line(&h->root, machine, sizeof(machine), "/etc/machine-id");
	if (machine[0] == '\0')
		snprintf(machine, sizeof(machine), "%s", boot_read(&h->root, boot));
	do {
		uint8_t octet[6];

		snprintf(seed, sizeof(seed), "%s %s %u", machine, owner, round++);
		hash = 14695981039346656037u; // FNV-1a, and its last bits well mixed
		for (const char *p = seed; *p != '\0'; p++)
			hash = (hash ^ (uint8_t)*p) * 1099511628211u;
		hash ^= hash >> 29;
		for (int i = 0; i < 6; i++)
			octet[i] = (uint8_t)(hash >> (8 * i));
		octet[0] = (uint8_t)((octet[0] & 0xfc) | 2);
		mac_format(mac_load(octet), text);
		hash = mac_load(octet);
	} while (mac_taken(h, hash));
}
