/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "host/export/export.h"

/* Nova's PCI tracker takes what a device_spec matches. Ways to say "VFs of this PF", shortest first:
 *
 *   {"address": PF, "product_id": that of its VFs}     all VFs: an address of a PF matches them too, and
 *                                                      the product keeps the PF itself out
 *   {"address": {"bus": "01", "slot": "10", "function": "[026]"}}    some of one slot
 *   {"address": VF}
 *
 * Nova does not read weir's record of owners: VFs that belong to somebody must not match. What is asked
 * for by Neutron's ports carries physical_network; what flavors ask for needs an alias instead. */

static bool may_be_trusted(const struct export *x, const struct export_function *f) {
	return f->pf != NULL && (x->trusted || (f->vf.has & VF_HAS_TRUST && f->vf.trust));
}

/* vendor_id, product_id and tags, to which an address is added. */
static json_t *spec_new(const struct export *x, const struct export_function *f) {
	json_t *spec = json_object();

	json_object_set_new(spec, "vendor_id", json_sprintf("%04x", f->fn->vendor));
	json_object_set_new(spec, "product_id", json_sprintf("%04x", f->fn->device));
	if (f->physnet != NULL)
		json_object_set_new(spec, "physical_network",
			strcmp(f->physnet, "null") == 0 ? json_null() : json_string(f->physnet));
	if (may_be_trusted(x, f))
		json_object_set_new(spec, "trusted", json_string("true"));
	return spec;
}

/* One entry can stand for both, but for their address. A physical network is of a PF. */
static bool alike(
	const struct export *x, const struct export_function *a, const struct export_function *b) {
	return a->pf == b->pf && a->fn->vendor == b->fn->vendor && a->fn->device == b->fn->device &&
	       may_be_trusted(x, a) == may_be_trusted(x, b);
}

/* All VFs of its PF are here, and one entry can stand for them. */
static bool whole_pf(const struct export *x, const struct export_function *f) {
	if (f->pf == NULL || export_of_pf(x, f->pf) != f->pf->vfs)
		return false;
	for (unsigned i = 0; i < x->n; i++)
		if (x->fn[i].pf == f->pf && !alike(x, f, &x->fn[i]))
			return false;
	return true;
}

/* Functions of f's slot that go into its entry: "[026]" and their bits; 0: f is not the first of them. */
static unsigned slot_set(const struct export *x, const struct export_function *f, char *set) {
	unsigned bits = 0;

	for (unsigned i = 0; i < x->n; i++) {
		const struct export_function *o = &x->fn[i];

		if (o->fn->address >> 3 != f->fn->address >> 3 || !alike(x, f, o))
			continue;
		if (o < f)
			return 0;
		bits |= 1u << (o->fn->address & 7);
	}
	*set++ = '[';
	for (unsigned k = 0; k < 8; k++)
		if (bits >> k & 1)
			*set++ = (char)('0' + k);
	*set++ = ']';
	*set = '\0';
	return bits;
}

/* An address that matches f and what goes with it; NULL: an entry before has it. */
static json_t *address_of(const struct export *x, const struct export_function *f) {
	char set[12];
	unsigned bits;

	if (whole_pf(x, f)) {
		for (unsigned i = 0; &x->fn[i] < f; i++)
			if (x->fn[i].pf == f->pf)
				return NULL;
		return json_string(f->pf->slot);
	}
	if (f->pf == NULL)
		return json_string(f->fn->slot);
	bits = slot_set(x, f, set);
	if (bits == 0)
		return NULL;
	if ((bits & (bits - 1)) == 0)
		return json_string(f->fn->slot);
	return json_pack("{s:o, s:o, s:o, s:s}", "domain",
		json_sprintf("%04x", (unsigned)(f->fn->address >> 16)), "bus",
		json_sprintf("%02x", (unsigned)(f->fn->address >> 8 & 0xff)), "slot",
		json_sprintf("%02x", (unsigned)(f->fn->address >> 3 & 0x1f)), "function", set);
}

static const char *type_of(const struct export_function *f) {
	return f->pf != NULL ? "type-VF" : f->fn->vfs_total > 0 ? "type-PF" : "type-PCI";
}

/* Aliases of one name have to be of one type. */
static int add_alias(
	json_t *options, const struct export_function *f, json_t *names, struct err *e) {
	json_t *alias = json_object(), *before;
	char made[16];
	const char *name = f->name, *type = type_of(f);

	snprintf(made, sizeof(made), "pci-%04x-%04x", f->fn->vendor, f->fn->device);
	name = name != NULL ? name : made;
	before = json_object_get(names, name);
	if (before != NULL && strcmp(json_string_value(before), type) != 0) {
		json_decref(alias);
		return err_set(e, EINVAL,
			"one alias '%s' would stand for devices of %s and %s, which Nova refuses; "
			"export them apart, each with its --name",
			name, json_string_value(before), type);
	}
	json_object_set_new(names, name, json_string(type));
	json_object_set_new(alias, "name", json_string(name));
	json_object_set_new(alias, "vendor_id", json_sprintf("%04x", f->fn->vendor));
	json_object_set_new(alias, "product_id", json_sprintf("%04x", f->fn->device));
	json_object_set_new(alias, "device_type", json_string(type));
	for (size_t i = 0; i < json_array_size(options); i++) {
		json_t *o = json_array_get(options, i);

		if (json_equal(json_object_get(o, "value"), alias)) {
			json_decref(alias);
			return 0;
		}
	}
	export_option(options, "alias", alias);
	return 0;
}

static void notes_of(struct export *x, const struct export_function *f) {
	char text[EXPORT_TEXT_MAX];

	export_text(f, text);
	if (f->fn->group < 0)
		export_note(x, "there is no IOMMU here: no VM will start with a device of this "
			       "host; 'weir host check' says how to turn it on");
	if (f->pf == NULL && f->fn->vfs_total > 0)
		export_note(x,
			"%s can have VFs: Nova gives it away only for %s, and its VFs go with it",
			text,
			f->physnet != NULL ? "ports of --vnic-type direct-physical"
					   : "an alias of type-PF");
	if (f->owner[0] != '\0')
		export_note(x, "%s belongs to '%s' on record; Nova will give it to any VM", text,
			f->owner);
	if (export_switchdev(x, f))
		export_note(x,
			"%s is behind an eswitch in switchdev mode: ports need --binding-profile "
			"'{\"capabilities\": [\"switchdev\"]}', and Open vSwitch with "
			"hw-offload=true",
			f->pf->slot);
	if (f->pf != NULL && export_of_pf(x, f->pf) < f->pf->vfs)
		export_note(x,
			"%u of the %u VFs of %s are exported; the others have owners or were not "
			"asked for, and have to stay out of Nova's sight",
			export_of_pf(x, f->pf), f->pf->vfs, f->pf->slot);
}

/* What nova.conf has no way to say. A flavor asks for NAME:1, NAME:2,...: in an alias, colons part. */
static int check(const struct export *x, struct err *e) {
	char text[EXPORT_TEXT_MAX];

	for (unsigned i = 0; i < x->n; i++) {
		const struct export_function *f = &x->fn[i];

		if (export_far_domain(f))
			return err_set(e, EINVAL,
				"%s is in a PCI domain above ffff, and Nova refuses those; 'weir "
				"export qemu' gives it to a VM, and without VMD in the firmware it "
				"is in domain 0000",
				export_text(f, text));
		if (f->physnet == NULL && f->name != NULL && strchr(f->name, ':') != NULL)
			return err_set(e, EINVAL,
				"the alias '%s' has a colon in it, behind which flavors say how "
				"many; name it without one",
				f->name);
	}
	return 0;
}

static int add_specs(struct export *x, json_t *pci, struct err *e) {
	json_t *aliases = json_array(), *names = json_object();
	int rc = 0;

	for (unsigned i = 0; i < x->n && rc == 0; i++) {
		const struct export_function *f = &x->fn[i];
		json_t *address = address_of(x, f), *spec;

		notes_of(x, f);
		if (f->physnet == NULL)
			rc = add_alias(aliases, f, names, e);
		if (address == NULL)
			continue;
		spec = spec_new(x, f);
		json_object_set_new(spec, "address", address);
		export_option(pci, x->old ? "passthrough_whitelist" : "device_spec", spec);
	}
	if (json_array_size(aliases) > 0)
		export_note(x,
			"alias has to be the same in nova.conf of nova-api; a flavor then asks "
			"with --property pci_passthrough:alias=%s:1",
			json_string_value(json_object_get(
				json_object_get(json_array_get(aliases, 0), "value"), "name")));
	json_array_extend(pci, aliases);
	json_decref(aliases);
	json_decref(names);
	return rc;
}

int export_to_nova(struct export *x, json_t *doc, struct err *e) {
	static const char filters[] =
		"ComputeFilter,ComputeCapabilitiesFilter,ImagePropertiesFilter,"
		"ServerGroupAntiAffinityFilter,ServerGroupAffinityFilter,PciPassthroughFilter";
	json_t *pci, *scheduler;
	int rc = check(x, e);

	if (rc < 0)
		return rc;
	pci = json_array();
	scheduler = json_array();
	rc = add_specs(x, pci, e);
	export_option(scheduler, "enabled_filters", json_string(filters));
	export_section(doc, "nova.conf of nova-compute on this host", "pci", pci);
	export_section(doc, "nova.conf of nova-scheduler: Nova's default and PciPassthroughFilter",
		"filter_scheduler", scheduler);
	export_note(x, "a VM with a direct port or a passed-through device migrates only with its "
		       "device taken off: Nova detaches direct ports and attaches others on the "
		       "new host, devices of an alias forbid it");
	return rc;
}
