/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/check/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "host/change/owner.h"
#include "host/change/store.h"
#include "host/check/check_rule.h"

const struct check_rule check_rules[] = {
	{"iommu", "the IOMMU is off, in the BIOS or on the kernel's command line", rule_iommu},
	{"interrupts", "interrupts of guests' devices are not remapped", rule_interrupts},
	{"vfio", "modules of vfio are missing or not loaded", rule_vfio},
	{"group-shared", "functions that go to guests share an IOMMU group with others",
		rule_group},
	{"driver-override", "a function has another driver than driver_override asks for",
		rule_override},
	{"journal", "a change of this host was cut off and has no end yet", rule_journal},
	{"desired-state", CHECK_WANTED " asks for what cannot be here", rule_desired_state},
	{"mmio", "the firmware left no address space for the registers of VFs", rule_mmio},
	{"vf-count", "more VFs than the device or its driver can have, or fewer than asked for",
		rule_vf_count},
	{"vf-source", "something else than weir also sets the number of VFs", rule_vf_source},
	{"pf-down", "a physical function with VFs is down or has no carrier", rule_pf_down},
	{"mtu", "a VF's MTU is above that of its physical function", rule_mtu},
	{"autoprobe", "VFs that go to guests get a driver of the host first", rule_autoprobe},
	{"owner-gone", "an owner is recorded for a VF that is not there", rule_owner_gone},
	{"mac-duplicate", "two have the same MAC address", rule_mac_duplicate},
	{"mac-multicast", "a VF has a multicast MAC address", rule_mac_group},
	{"mac-zero", "a VF that goes to a guest has no MAC address", rule_mac_zero},
	{"spoof-zero-mac", "spoof check is on where no MAC address is set", rule_spoof_zero},
	{"trust", "a VF is trusted without a need that can be seen", rule_trust},
	{"vlan", "a VF's VLAN has one end only, or is tagged twice", rule_vlan},
	{"not-enforced", "a VF relies on what its device was proved not to enforce",
		rule_not_enforced},
	{"numa", "a VM runs or has its memory far from its device", rule_numa},
	{"hugepages", "hugepages are on other NUMA nodes than the device", rule_hugepages},
	{"locked-memory", "VMs with devices lock nearly all memory of the host",
		rule_locked_memory},
	{"networkmanager", "NetworkManager would configure VFs", rule_networkmanager},
	{"networkd", "systemd-networkd or a .link file would configure or rename VFs",
		rule_networkd},
	{"ifupdown", "/etc/network/interfaces configures VFs that go to guests", rule_ifupdown},
	{"cloud-init", "cloud-init may configure VFs at boot", rule_cloud_init},
	{NULL},
};

static struct finding *add(struct check *c) {
	struct findings *o = c->out;
	struct finding *more;

	if ((o->n & (o->n - 1)) == 0) { // grows at powers of two
		more = realloc(o->of, sizeof(*more) * (o->n > 0 ? 2 * o->n : 1));
		if (more == NULL) {
			c->failed = true;
			return &c->nowhere;
		}
		o->of = more;
	}
	o->of[o->n] = (struct finding){.rule = c->rule->name};
	return &o->of[o->n++];
}

struct finding *check_found(
	struct check *c, enum severity s, const char *subject, const char *fmt, ...) {
	struct finding *f = add(c);
	va_list ap;

	f->severity = s;
	snprintf(f->subject, sizeof(f->subject), "%s", subject);
	va_start(ap, fmt);
	vsnprintf(f->evidence, sizeof(f->evidence), fmt, ap);
	va_end(ap);
	return f;
}

void check_take(struct check *c, const struct finding *f) {
	struct finding *to;

	if (f->severity == SEVERITY_GOOD)
		return;
	to = add(c);
	*to = *f;
	to->rule = c->rule->name;
}

const struct pci_function *check_next_pf(const struct check *c, const struct pci_function *pf) {
	const struct pci *p = &c->host->pci;

	for (unsigned i = pf != NULL ? (unsigned)(pf - p->fn) + 1 : 0; i < p->n; i++)
		if (p->fn[i].vfs > 0)
			return &p->fn[i];
	return NULL;
}

/* All owners' records; one that cannot be read counts for none. */
static json_t *read_owners(const char *state) {
	const struct root here = {.at = ""};
	json_t *all = json_object(), *one;
	struct err ignored;
	char **names;
	int n = root_names(&here, &names, "%s/owners", store_folder(state));

	for (int i = 0; i < n; i++) {
		char *dot = strrchr(names[i], '.');

		if (dot == NULL || strcmp(dot, ".json") != 0)
			continue;
		*dot = '\0';
		one = store_get(state, "owners", names[i], &ignored);
		if (one != NULL)
			json_object_set_new(all, names[i], one);
	}
	if (n >= 0)
		root_names_free(names, n);
	return all;
}

/* Of a VF that was made anew since, the record says nothing; in a recorded tree that cannot be told. */
static const char *owner_of(
	const struct host *h, const struct pci_function *f, const json_t *record) {
	const char *owner = json_string_value(json_object_get(record, "owner"));
	char now[ATTR_TEXT_MAX];
	struct err ignored;

	if (owner == NULL || (!h->root.recorded && (owner_get(h, f, now, &ignored) < 0 ||
							   strcmp(now, owner) != 0)))
		return "";
	return owner;
}

static void look_at_vf(struct check *c, struct check_vf *v, const struct pci_function *f) {
	const struct host *h = c->host;

	*v = (struct check_vf){.fn = f, .pf = &h->pci.fn[f->pf]};
	v->uplink = host_link(h, v->pf);
	v->own = host_link(h, f);
	v->set = host_vf(h, f);
	v->record = json_object_get(c->owners, f->slot);
	v->owner = owner_of(h, f, v->record);
	if (c->users != NULL)
		users_of(c->users, f, &v->use);
	v->handed = v->owner[0] != '\0' || check_for_vfio(f) || v->use.kind == USE_VM ||
		    v->use.kind == USE_DPDK || v->use.kind == USE_NAMESPACE;
	snprintf(v->name, sizeof(v->name), "%s vf %d", v->pf->slot, f->vf);
}

bool check_for_vfio(const struct pci_function *f) {
	return pci_driver_is_vfio(f->driver) || pci_driver_is_vfio(f->wanted);
}

static void look_at_wanted(struct check *c) {
	char path[PATH_MAX];

	if (!root_has(c->root, CHECK_WANTED))
		return;
	snprintf(path, sizeof(path), "%s" CHECK_WANTED, c->root->at);
	if (want_load(&c->want, path, &c->wanted) < 0)
		return;
	if (want_resolve(&c->aims, c->want, c->host, &c->wanted) < 0) {
		want_free(c->want);
		c->want = NULL;
	}
}

static int look(struct check *c) {
	const struct pci *p = &c->host->pci;

	look_at_wanted(c);
	c->owners = read_owners(c->state);
	c->vf = calloc(p->n + 1, sizeof(*c->vf));
	if (c->vf == NULL || c->owners == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < p->n; i++) {
		const struct pci_function *f = &p->fn[i];

		if (pci_is_vf(f))
			look_at_vf(c, &c->vf[c->nvfs++], f);
		c->intent |= f->vfs > 0 || check_for_vfio(f);
	}
	return 0;
}

/* Errors first, else as they came. */
static int sort(struct findings *o) {
	struct finding *sorted = o->n > 0 ? malloc(sizeof(*sorted) * o->n) : NULL;
	unsigned at = 0;

	if (o->n == 0)
		return 0;
	if (sorted == NULL)
		return -ENOMEM;
	for (int s = SEVERITY_ERROR; s >= SEVERITY_GOOD; s--) {
		for (unsigned i = 0; i < o->n; i++)
			if (o->of[i].severity == (enum severity)s)
				sorted[at++] = o->of[i];
	}
	free(o->of);
	o->of = sorted;
	return 0;
}

static bool chosen(const char *only, const char *name) {
	size_t n = strlen(name);

	for (const char *p = only; p != NULL && *p != '\0'; p += *p == ',') {
		size_t len = strcspn(p, ",");

		if (len == n && strncmp(p, name, n) == 0)
			return true;
		p += len;
	}
	return only == NULL;
}

/* Every name in `only` is that of a rule. */
static int know_all(const char *only, struct err *e) {
	for (const char *p = only; p != NULL && *p != '\0'; p += *p == ',') {
		int len = (int)strcspn(p, ","), i = 0;

		while (check_rules[i].name != NULL &&
			(strlen(check_rules[i].name) != (size_t)len ||
				strncmp(check_rules[i].name, p, (size_t)len) != 0))
			i++;
		if (check_rules[i].name == NULL)
			return err_set(
				e, EINVAL, "no such rule '%.*s'; --rules lists them", len, p);
		p += len;
	}
	return 0;
}

int check_run(struct findings *out, const struct host *h, const struct users *users,
	const char *only, struct err *e) {
	struct check c = {
		.host = h, .root = &h->root, .users = users, .state = h->state, .out = out};
	int rc;

	*out = (struct findings){.n = 0};
	rc = know_all(only, e);
	if (rc < 0)
		return rc;
	rc = look(&c);
	for (c.rule = check_rules; rc == 0 && c.rule->name != NULL; c.rule++)
		if (chosen(only, c.rule->name))
			c.rule->run(&c);
	if (c.failed || (rc == 0 && sort(out) < 0))
		rc = -ENOMEM;
	if (c.want != NULL)
		aims_free(&c.aims);
	want_free(c.want);
	free(c.vf);
	json_decref(c.owners);
	if (rc < 0) {
		findings_free(out);
		return err_set(e, -rc, "no memory to check the host");
	}
	for (unsigned i = 0; i < out->n; i++)
		out->count[out->of[i].severity]++;
	return 0;
}

void findings_free(struct findings *f) {
	free(f->of);
	*f = (struct findings){.n = 0};
}
