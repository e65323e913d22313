/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mac.h"
#include "host/change/attr.h"
#include "host/change/drivers.h"
#include "host/host.h"

/* Attributes that netlink has: those of a PF's interface, those of its VFs, the eswitch. */

enum {
	SET_MS = 10000, // a driver may have to ask its firmware
	ESWITCH_MS = 120000, // with hundreds of VFs, each gets a representor
	CARRIER_MS = 10000, // a port that was just set up agrees on its speed in 2 to 5 s
	POLL_US = 20000,
};

static const struct link *link_of(
	const struct host *h, const struct pci_function *f, struct err *e) {
	const struct link *l = host_link(h, f);

	if (l == NULL && driver_gives_away(f->driver))
		err_set(e, EOPNOTSUPP,
			"%s is bound to %s, so the kernel has no interface of it to change; give "
			"it back to its own driver first",
			f->slot, f->driver);
	else if (l == NULL)
		err_set(e, EOPNOTSUPP,
			"%s (driver %s) has no interface in this network namespace; load its "
			"driver, or "
			"run weir in the namespace that has it",
			f->slot, f->driver[0] != '\0' ? f->driver : "none");
	return l;
}

/* Which bit of link_vf.has tells it. */
static unsigned has_bit(enum attr a) {
	static const unsigned bits[ATTR_COUNT] = {[ATTR_MAC] = VF_HAS_MAC,
		[ATTR_VLAN] = VF_HAS_VLAN,
		[ATTR_RATE] = VF_HAS_RATE,
		[ATTR_SPOOFCHK] = VF_HAS_SPOOFCHK,
		[ATTR_TRUST] = VF_HAS_TRUST,
		[ATTR_STATE] = VF_HAS_STATE,
		[ATTR_RSS_QUERY] = VF_HAS_RSS_QUERY};

	return bits[a];
}

static void vf_text(const struct link_vf *v, enum attr a, char text[ATTR_TEXT_MAX]) {
	const struct attr_vlan vlan = {v->vlan, v->qos, v->proto};
	const struct attr_rate rate = {v->min_rate, v->max_rate};

	switch (a) {
	case ATTR_MAC:
		mac_format(v->mac, text);
		break;
	case ATTR_VLAN:
		vlan_format(&vlan, text);
		break;
	case ATTR_RATE:
		rate_format(&rate, text);
		break;
	case ATTR_SPOOFCHK:
		snprintf(text, ATTR_TEXT_MAX, "%s", on_off(v->spoofchk));
		break;
	case ATTR_TRUST:
		snprintf(text, ATTR_TEXT_MAX, "%s", on_off(v->trust));
		break;
	case ATTR_RSS_QUERY:
		snprintf(text, ATTR_TEXT_MAX, "%s", on_off(v->rss_query));
		break;
	default:
		snprintf(text, ATTR_TEXT_MAX, "%s", vf_state_word(v->state));
		break;
	}
}

int link_attr_get(const struct host *h, enum attr a, const struct pci_function *f, int vf,
	char text[ATTR_TEXT_MAX], struct err *e) {
	const struct link *l = link_of(h, f, e);

	if (l == NULL)
		return -EOPNOTSUPP;
	if (a == ATTR_UP) {
		snprintf(text, ATTR_TEXT_MAX, "%s", l->flags & IFF_UP ? "up" : "down");
	} else if (a == ATTR_MTU) {
		snprintf(text, ATTR_TEXT_MAX, "%u", l->mtu);
	} else if (vf < 0) {
		return err_set(e, EINVAL, "%s is an attribute of VFs; name one of %s", attr_name(a),
			f->slot);
	} else if ((unsigned)vf >= l->nvfs || !(l->vf[vf].has & has_bit(a))) {
		return err_set(e, EOPNOTSUPP,
			"driver %s does not tell the %s of %s vf %d, so weir could not see what a "
			"change "
			"does",
			f->driver, attr_name(a), f->slot, vf);
	} else {
		vf_text(&l->vf[vf], a, text);
	}
	return 0;
}

static int eswitch_set(const struct change *c) {
	return devlink_set_eswitch(c->slot,
		strcmp(c->to, "switchdev") == 0 ? ESWITCH_SWITCHDEV : ESWITCH_LEGACY, ESWITCH_MS);
}

static int state_set(int index, int vf, const char *to) {
	enum vf_state s = VF_STATE_AUTO;

	while (s < VF_STATE_DISABLE && strcmp(vf_state_word(s), to) != 0)
		s++;
	return link_set_vf_state(index, vf, s, SET_MS);
}

/* Values are canonical text; -EINVAL where they are not. */
static int send_change(const struct change *c, int index) {
	struct attr_vlan vlan = {.proto = 0x8100};
	struct attr_rate rate = {0};
	bool on = strcmp(c->to, "on") == 0;
	uint64_t mac;

	switch (c->attr) {
	case ATTR_UP:
		return link_set_up(index, strcmp(c->to, "up") == 0, SET_MS);
	case ATTR_MTU:
		return link_set_mtu(index, (unsigned)strtoul(c->to, NULL, 10), SET_MS);
	case ATTR_MAC:
		return mac_parse(c->to, &mac) < 0 ? -EINVAL
						  : link_set_vf_mac(index, c->vf, mac, SET_MS);
	case ATTR_VLAN:
		if (vlan_parse(c->to, &vlan, NULL) < 0)
			return -EINVAL;
		return link_set_vf_vlan(index, c->vf, vlan.vlan, vlan.qos, vlan.proto, SET_MS);
	case ATTR_RATE:
		if (rate_parse(c->to, &rate, NULL) < 0)
			return -EINVAL;
		return link_set_vf_rate(index, c->vf, rate.min, rate.max, SET_MS);
	case ATTR_SPOOFCHK:
		return link_set_vf_spoofchk(index, c->vf, on, SET_MS);
	case ATTR_TRUST:
		return link_set_vf_trust(index, c->vf, on, SET_MS);
	case ATTR_STATE:
		return state_set(index, c->vf, c->to);
	case ATTR_RSS_QUERY:
		return link_set_vf_rss_query(index, c->vf, on, SET_MS);
	default:
		return -EINVAL;
	}
}

/* A driver that asks for its MAC only when it is bound would go on with the old one, and be cut off. */
static int mac_rebind(const struct host *h, const struct pci_function *pf, int vf, struct err *e) {
	const struct driver *d = driver_find(pf->driver);
	const struct pci_function *f = pci_vf(&h->pci, pf, vf);
	int rc;

	if (d == NULL || !d->mac_rebind || f == NULL || strcmp(f->driver, d->vf_driver) != 0)
		return 0;
	rc = driver_bind(h, f, "none", e);
	return rc < 0 ? rc : driver_bind(h, f, d->vf_driver, e);
}

/* A rate is judged against the speed of the link, which may be on its way. Nobody waits for a link that
 * is down by order. */
static void wait_carrier(const struct host *h, const struct change *c, const struct link *l) {
	const struct pci_function *pf = pci_at(&h->pci, c->slot);
	const struct driver *d = pf != NULL ? driver_find(pf->driver) : NULL;
	unsigned ms = h->limit_ms != 0 && h->limit_ms < CARRIER_MS ? h->limit_ms : CARRIER_MS;

	if (d == NULL || d->rate_limits == NULL || strcmp(c->to, "min 0 max 0") == 0)
		return;
	for (unsigned us = 0; us < ms * 1000 &&
			      root_number(&h->root, -1, "/sys/class/net/%s/carrier", l->name) == 0;
		us += POLL_US)
		usleep(POLL_US);
}

int link_attr_set(
	const struct host *h, const struct change *c, const struct pci_function *f, struct err *e) {
	const struct link *l;
	int rc;

	if (h->root.recorded)
		return err_set(e, EROFS, "a recorded tree is not changed");
	if (c->attr == ATTR_ESWITCH) {
		rc = eswitch_set(c);
		return rc < 0 ? explain(h, c->attr, f, -1, c->to, -rc, e) : 0;
	}
	l = link_of(h, f, e);
	if (l == NULL)
		return -EOPNOTSUPP;
	if (c->attr == ATTR_RATE)
		wait_carrier(h, c, l);
	rc = send_change(c, l->index);
	if (rc < 0)
		return explain(h, c->attr, f, c->vf, c->to, -rc, e);
	return c->attr == ATTR_MAC ? mac_rebind(h, f, c->vf, e) : 0;
}
