/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "host/check/check_rule.h"
#include "host/prove/prove.h"

/* What `weir vf prove` found a device to accept without effect is no protection: whoever has it set on a VF
 * that a guest has relies on it. */

static bool has(const struct check_vf *v, unsigned what) {
	return v->set != NULL && (v->set->has & what) != 0;
}

static bool in_vlan(const struct check_vf *v) {
	return has(v, VF_HAS_VLAN) && v->set->vlan > 0;
}

static bool checked(const struct check_vf *v) {
	return has(v, VF_HAS_SPOOFCHK) && v->set->spoofchk;
}

static bool checked_in_vlan(const struct check_vf *v) {
	return in_vlan(v) && checked(v);
}

static bool limited(const struct check_vf *v) {
	return has(v, VF_HAS_RATE) && v->set->max_rate > 0;
}

static bool disabled(const struct check_vf *v) {
	return has(v, VF_HAS_STATE) && v->set->state == VF_STATE_DISABLE;
}

static bool untrusted(const struct check_vf *v) {
	return has(v, VF_HAS_TRUST) && !v->set->trust;
}

static const struct reliance {
	enum prove_what what;
	bool (*relies)(const struct check_vf *v);
	const char *without; /* what happens, as it is not enforced */
	const char *instead;
} reliances[] = {
	{PROVE_VLAN, in_vlan, "their VLAN does not keep them apart from others",
		"give tenants physical functions of their own, or a software switch (weir switch)"},
	{PROVE_VLAN_SPOOF, checked_in_vlan,
		"their guests get into other VLANs by tags of their own",
		"give such tenants physical functions of their own, or a software switch"},
	{PROVE_SPOOFCHK, checked, "spoof check is on, and forged source addresses get through",
		"trust those guests, or put them behind a software switch that pins addresses "
		"(mac: "
		"in weir.yaml)"},
	{PROVE_MAC_FILTER, untrusted, "they see frames that are meant for others",
		"look for newer firmware, or give tenants physical functions of their own"},
	{PROVE_BROADCAST, in_vlan,
		"broadcasts do not stay in their VLAN, or do not reach all of it",
		"look for newer firmware, or give tenants physical functions of their own"},
	{PROVE_RATE, limited, "their maximum rate is set, and they send faster",
		"limit them on the physical switch, or put them behind a software switch"},
	{PROVE_STATE, disabled, "their link is disabled, and they still send or receive",
		"take the VF from its guest instead"},
};
enum { NRELIANCES = sizeof(reliances) / sizeof(reliances[0]) };

/* "vf 0 (vm1), vf 3": those of a PF that guests have and that rely on it; their number. */
static unsigned who_relies(const struct check *c, const struct pci_function *pf,
	const struct reliance *r, char *text, size_t size) {
	unsigned n = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < c->nvfs; i++) {
		const struct check_vf *v = &c->vf[i];

		if (v->pf != pf || !v->handed || !r->relies(v))
			continue;
		text_add(text, size, "%svf %d%s%s%s", n++ > 0 ? ", " : "", v->fn->vf,
			v->owner[0] != '\0' ? " (" : "", v->owner, v->owner[0] != '\0' ? ")" : "");
	}
	return n;
}

static void judge_pf(struct check *c, const struct pci_function *pf, const json_t *known) {
	const char *when = json_string_value(json_object_get(known, "time"));
	struct prove_conditions now;
	bool any = false;
	char who[200], why[160];

	for (int i = 0; i < NRELIANCES; i++) {
		const struct reliance *r = &reliances[i];

		if (who_relies(c, pf, r, who, sizeof(who)) == 0)
			continue;
		any = true;
		if (prove_verdict(known, r->what) != PROVE_NOT_ENFORCED)
			continue;
		finding_advise(check_found(c, SEVERITY_WARNING, pf->slot,
				       "%s is not enforced by this device (proved %s), %s: %s",
				       prove_what_name(r->what), when != NULL ? when : "once",
				       r->without, who),
			"%s", r->instead);
	}
	prove_conditions(c->host, pf, &now);
	if (any && prove_stale(known, &now, why, sizeof(why)))
		finding_advise(check_found(c, SEVERITY_NOTE, pf->slot,
				       "what was proved of it may not hold any more: %s", why),
			"weir vf prove %s", pf->slot);
}

void rule_not_enforced(struct check *c) {
	for (const struct pci_function *pf = check_next_pf(c, NULL); pf != NULL;
		pf = check_next_pf(c, pf)) {
		struct err e;
		json_t *known = prove_known(c->state, pf->slot, &e);

		if (known != NULL)
			judge_pf(c, pf, known);
		json_decref(known);
	}
}
