/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/check/check_rule.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mac.h"

/* Rules about the addresses and rights of virtual functions. */

static uint64_t admin_mac(const struct check_vf *v) {
	return v->set != NULL && (v->set->has & VF_HAS_MAC) != 0 ? v->set->mac : 0;
}

static unsigned vlan_of(const struct check_vf *v) {
	return v->set != NULL && (v->set->has & VF_HAS_VLAN) != 0 ? v->set->vlan : 0;
}

/* What a VF sends with: what was set for it, else what its interface has of itself (not of a bond). */
static uint64_t mac_of(const struct check_vf *v) {
	if (admin_mac(v) != 0)
		return admin_mac(v);
	return v->own != NULL && v->own->master == 0 ? v->own->mac : 0;
}

/* Another VF with a VF's address. One in the same VLAN comes first: else they do not meet, unless somebody
 * routes or bridges between their VLANs. */
static const struct check_vf *same_vf(const struct check *c, const struct check_vf *v) {
	const struct check_vf *apart = NULL;

	for (const struct check_vf *o = v + 1; o < c->vf + c->nvfs; o++) {
		if (mac_of(o) == mac_of(v) && vlan_of(o) == vlan_of(v))
			return o;
		if (mac_of(o) == mac_of(v))
			apart = o;
	}
	return apart;
}

/* An interface of this host with a VF's address that belongs to no VF. What stands upon an interface (VLAN,
 * bridge, bond) has that one's address by right. */
static const struct link *same_link(const struct check *c, const struct check_vf *v) {
	const struct links *l = &c->host->links;

	for (unsigned i = 0; i < l->nlinks; i++) {
		const struct link *k = &l->link[i];
		unsigned j = 0;

		if (k->mac != mac_of(v) || k->kind[0] != '\0' ||
			strncmp(k->port_name, "pf", 2) == 0)
			continue;
		while (j < c->nvfs && c->vf[j].own != k)
			j++;
		if (j == c->nvfs)
			return k;
	}
	return NULL;
}

void rule_mac_duplicate(struct check *c) {
	char mac[MAC_TEXT_MAX];

	for (unsigned i = 0; i < c->nvfs; i++) {
		const struct check_vf *v = &c->vf[i], *o;
		const struct link *k;
		bool apart, pair;
		struct finding *f;

		if (mac_of(v) == 0)
			continue;
		o = same_vf(c, v);
		k = o == NULL ? same_link(c, v) : NULL;
		if (o == NULL && k == NULL)
			continue;
		apart = o != NULL && vlan_of(o) != vlan_of(v);
		pair = o != NULL && o->pf != v->pf && v->owner[0] != '\0' &&
		       strcmp(o->owner, v->owner) == 0;
		f = check_found(c,
			pair    ? SEVERITY_NOTE
			: apart ? SEVERITY_WARNING
				: SEVERITY_ERROR,
			v->name, "%s has %s too%s%s", o != NULL ? o->name : k->name,
			mac_format(mac_of(v), mac), apart ? ", in another VLAN" : "",
			pair ? ", for the same owner: a pair with one of them idle may, two at "
			       "once may not"
			     : "");
		finding_advise(f, "give one of them another: weir vf set %s %d mac=auto",
			v->pf->slot, v->fn->vf);
	}
}

void rule_mac_group(struct check *c) {
	char mac[MAC_TEXT_MAX];

	for (unsigned i = 0; i < c->nvfs; i++) {
		const struct check_vf *v = &c->vf[i];

		if (mac_is_group(admin_mac(v)))
			finding_advise(check_found(c, SEVERITY_ERROR, v->name,
					       "%s is a multicast address: no station can have it",
					       mac_format(admin_mac(v), mac)),
				"weir vf set %s %d mac=auto, or one with an even first octet, as "
				"52:54:00:...",
				v->pf->slot, v->fn->vf);
	}
}

static bool checks_spoofs(const struct check_vf *v) {
	return v->set != NULL && (v->set->has & VF_HAS_SPOOFCHK) != 0 && v->set->spoofchk;
}

/* The driver told an address, and it is none, of a VF that goes to a guest. A namespace has the VF's
 * interface with the address that has, and under switchdev what a VF may send is the flow tables' matter. */
static bool without_mac(const struct check *c, const struct check_vf *v) {
	const struct devlink *d = devlinks_at(&c->host->devlinks, v->pf->slot);

	return v->handed && v->use.kind != USE_NAMESPACE && v->set != NULL &&
	       (v->set->has & VF_HAS_MAC) != 0 && v->set->mac == 0 &&
	       (d == NULL || d->mode != ESWITCH_SWITCHDEV);
}

void rule_mac_zero(struct check *c) {
	for (unsigned i = 0; i < c->nvfs; i++) {
		const struct check_vf *v = &c->vf[i];

		if (without_mac(c, v) && !checks_spoofs(v))
			finding_advise(
				check_found(c, SEVERITY_WARNING, v->name,
					"no MAC address is set: its guest makes one up at every "
					"start, and may take any"),
				"weir vf set %s %d mac=auto", v->pf->slot, v->fn->vf);
	}
}

void rule_spoof_zero(struct check *c) {
	for (unsigned i = 0; i < c->nvfs; i++) {
		const struct check_vf *v = &c->vf[i];

		if (without_mac(c, v) && checks_spoofs(v))
			finding_advise(check_found(c, SEVERITY_WARNING, v->name,
					       "spoof check is on and no MAC address is set: the "
					       "device may "
					       "drop all that its guest sends"),
				"weir vf set %s %d mac=auto, or spoofchk=off", v->pf->slot,
				v->fn->vf);
	}
}

/* On this host the need of trust can be seen: the interface is promiscuous, takes all multicast, or others
 * stand upon it. */
static bool needs_trust(const struct check *c, const struct link *own) {
	const struct links *l = &c->host->links;

	if ((own->flags & (IFF_PROMISC | IFF_ALLMULTI)) != 0 || own->master != 0)
		return true;
	for (unsigned i = 0; i < l->nlinks; i++)
		if (l->link[i].lower == own->index)
			return true;
	return false;
}

/* The file of the desired state says so: whoever wrote it has a need. */
static bool trust_stated(const struct check *c, const struct check_vf *v) {
	for (unsigned i = 0; c->want != NULL && i < c->aims.naims; i++) {
		const struct aim *a = &c->aims.aim[i];

		if (a->fn == v->pf && a->vf == v->fn->vf)
			return (a->want.stated & WANT_TRUST) != 0 && a->want.trust;
	}
	return false;
}

void rule_trust(struct check *c) {
	for (unsigned i = 0; i < c->nvfs; i++) {
		const struct check_vf *v = &c->vf[i];
		bool guest = v->own == NULL;
		struct finding *f;

		if (v->set == NULL || (v->set->has & VF_HAS_TRUST) == 0 || !v->set->trust ||
			(v->own != NULL && needs_trust(c, v->own)) || trust_stated(c, v))
			continue;
		if (guest)
			f = check_found(c, SEVERITY_NOTE, v->name,
				"it is trusted: its guest may change its MAC address and see all "
				"frames; whether it needs that cannot be told from here");
		else
			f = check_found(c, SEVERITY_WARNING, v->name,
				"it is trusted, and %s is not promiscuous, has no bridge, bond or "
				"interface upon it that would need it",
				v->own->name);
		finding_advise(f,
			"weir vf set %s %d trust=off, unless it has to (bond, bridge or VRRP %s)",
			v->pf->slot, v->fn->vf, guest ? "in the guest" : "to come");
	}
}

/* The VLAN device that stands upon a VF's own interface, NULL: none. */
static const struct link *vlan_upon(const struct check *c, const struct link *own) {
	const struct links *l = &c->host->links;

	for (unsigned i = 0; own != NULL && i < l->nlinks; i++)
		if (l->link[i].lower == own->index && strcmp(l->link[i].kind, "vlan") == 0)
			return &l->link[i];
	return NULL;
}

/* A VF of the same owner on another physical function that is in another VLAN, or in none: the two are
 * meant as one (bond, failover) mostly. */
static const struct check_vf *twin_apart(const struct check *c, const struct check_vf *v) {
	for (unsigned i = 0; i < c->nvfs; i++) {
		const struct check_vf *o = &c->vf[i];

		if (o->pf != v->pf && v->owner[0] != '\0' && strcmp(o->owner, v->owner) == 0 &&
			vlan_of(o) == 0 && o->set != NULL)
			return o;
	}
	return NULL;
}

static bool others_in(const struct check *c, const struct check_vf *v) {
	for (unsigned i = 0; i < c->nvfs; i++)
		if (&c->vf[i] != v && c->vf[i].pf == v->pf && vlan_of(&c->vf[i]) == vlan_of(v))
			return true;
	return false;
}

/* A VLAN's other end may be beyond the wire, which cannot be seen from here. What can: that there is no
 * wire, that tags are put on twice, that one VF of a pair has none. */
void rule_vlan(struct check *c) {
	for (unsigned i = 0; i < c->nvfs; i++) {
		const struct check_vf *v = &c->vf[i];
		unsigned vlan = vlan_of(v);
		const struct link *twice = vlan > 0 ? vlan_upon(c, v->own) : NULL;
		const struct check_vf *twin = vlan > 0 ? twin_apart(c, v) : NULL;

		if (twice != NULL)
			finding_advise(
				check_found(c, SEVERITY_WARNING, v->name,
					"the device puts VLAN %u on all it sends, and %s upon %s "
					"another tag: most devices drop that",
					vlan, twice->name, v->own->name),
				"remove %s, or weir vf set %s %d vlan=none", twice->name,
				v->pf->slot, v->fn->vf);
		if (twin != NULL)
			finding_advise(
				check_found(c, SEVERITY_WARNING, v->name,
					"%s has it with VLAN %u and %s with none: as a pair they "
					"reach different networks",
					v->owner, vlan, twin->name),
				"weir vf set %s %d vlan=%u", twin->pf->slot, twin->fn->vf, vlan);
		if (vlan > 0 && v->handed && v->uplink != NULL && !others_in(c, v) &&
			(v->uplink->flags & IFF_UP) != 0 && (v->uplink->flags & IFF_RUNNING) == 0)
			finding_advise(check_found(c, SEVERITY_WARNING, v->name,
					       "nobody else on %s is in its VLAN %u, and %s has no "
					       "carrier: it "
					       "reaches nobody",
					       v->pf->slot, vlan, v->uplink->name),
				"connect %s, or put a second VF into VLAN %u", v->uplink->name,
				vlan);
	}
}
