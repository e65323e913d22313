/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_HOST_PRETEND_H
#define WEIR_TESTS_HOST_PRETEND_H

/* Makes changes in what was read of a host, as kernel and drivers would make them, and holds each to what
 * they insist on: a `from` that stands, VFs only from 0 or to 0, an eswitch that changes when its driver
 * lets it. Include it behind host_tree.h. */

#include "base/mac.h"
#include "host/change/attr.h"
#include "host/change/change.h"
#include "host/change/drivers.h"
#include "host/host.h"

static inline struct pci_function *pretend_at(struct host *h, const char *slot) {
	for (unsigned i = 0; i < h->pci.n; i++)
		if (strcmp(h->pci.fn[i].slot, slot) == 0)
			return &h->pci.fn[i];
	fail_msg("no function %s", slot);
	return NULL;
}

static inline struct link *pretend_link(struct host *h, const char *slot) {
	return (struct link *)(uintptr_t)host_link(h, pretend_at(h, slot));
}

static inline int pretend_order(const void *a, const void *b) {
	const struct pci_function *f = a, *g = b;

	return (f->address > g->address) - (f->address < g->address);
}

/* VFs come without an address of their own, spoof check on; with a driver where autoprobe says so. */
static inline void pretend_vfs(struct host *h, const char *slot, unsigned n) {
	struct pci_function *old = h->pci.fn, *fn = calloc(h->pci.n + n, sizeof(*fn));
	struct pci_function *pf = pretend_at(h, slot);
	const struct driver *d = driver_find(pf->driver);
	struct link *l = pretend_link(h, slot);
	int was = (int)(pf - old);
	unsigned kept = 0;

	assert_true(n == 0 || pf->vfs == 0);
	assert_in_range(n, 0, pf->vfs_total);
	for (unsigned i = 0; i < h->pci.n; i++) {
		struct pci_function f = old[i];

		if (f.pf == was)
			continue;
		if (f.pf >= 0) // by address for now: the places change
			f.pf = (int)old[f.pf].address;
		fn[kept++] = f;
	}
	for (unsigned i = 0; i < n; i++) {
		struct pci_function *f = &fn[kept++];

		*f = (struct pci_function){.address = pf->address + 0x1000 + i,
			.vendor = pf->vendor,
			.device = pf->vf_device,
			.class = pf->class,
			.pf = (int)pf->address,
			.vf = (int)i,
			.group = -1};
		snprintf(f->slot, sizeof(f->slot), "%04x:%02x:%02x.%x",
			(unsigned)(f->address >> 16), (unsigned)(f->address >> 8 & 255),
			(unsigned)(f->address >> 3 & 31), (unsigned)(f->address & 7));
		if (pf->autoprobe)
			snprintf(f->driver, sizeof(f->driver), "%s", d->vf_driver);
	}
	qsort(fn, kept, sizeof(*fn), pretend_order);
	h->pci.fn = fn;
	h->pci.n = kept;
	for (unsigned i = 0; i < kept; i++)
		for (unsigned j = 0; fn[i].pf >= 0 && j < kept; j++)
			if (fn[j].address == (uint64_t)fn[i].pf && fn[j].pf < 0) {
				fn[i].pf = (int)j;
				break;
			}
	pretend_at(h, slot)->vfs = n;
	free(old);
	free(l->vf);
	l->vf = calloc(n + 1, sizeof(*l->vf));
	l->nvfs = n;
	for (unsigned i = 0; i < n; i++)
		l->vf[i] = (struct link_vf){.has = VF_HAS_MAC | VF_HAS_VLAN | VF_HAS_RATE |
						   VF_HAS_SPOOFCHK | VF_HAS_TRUST | VF_HAS_STATE |
						   VF_HAS_RSS_QUERY,
			.proto = 0x8100,
			.spoofchk = true};
}

static inline void pretend_eswitch(struct host *h, const struct change *c) {
	const struct pci_function *pf = pretend_at(h, c->slot);
	const struct driver *d = driver_find(pf->driver);

	assert_true(d->order != ORDER_BEFORE_VFS || pf->vfs == 0);
	assert_true(d->order != ORDER_AFTER_VFS || pf->vfs > 0);
	for (unsigned i = 0; d->order == ORDER_UNBOUND && i < pf->vfs; i++)
		assert_string_equal(pci_vf(&h->pci, pf, (int)i)->driver, "");
	for (unsigned i = 0; i < h->devlinks.n; i++)
		if (strcmp(h->devlinks.dev[i].slot, c->slot) == 0)
			h->devlinks.dev[i].mode = strcmp(c->to, "switchdev") == 0
							  ? ESWITCH_SWITCHDEV
							  : ESWITCH_LEGACY;
}

static inline void pretend_vf(struct link_vf *v, const struct change *c) {
	struct attr_vlan vlan = {.proto = 0x8100};
	struct attr_rate rate = {0};
	bool on = strcmp(c->to, "on") == 0;

	switch (c->attr) {
	case ATTR_MAC:
		assert_int_equal(mac_parse(c->to, &v->mac), 0);
		break;
	case ATTR_VLAN:
		assert_int_equal(vlan_parse(c->to, &vlan, NULL), 0);
		v->vlan = (uint16_t)vlan.vlan;
		v->qos = (uint8_t)vlan.qos;
		v->proto = (uint16_t)vlan.proto;
		break;
	case ATTR_RATE:
		assert_int_equal(rate_parse(c->to, &rate, NULL), 0);
		v->min_rate = rate.min;
		v->max_rate = rate.max;
		break;
	case ATTR_SPOOFCHK:
		v->spoofchk = on;
		break;
	case ATTR_TRUST:
		v->trust = on;
		break;
	case ATTR_RSS_QUERY:
		v->rss_query = on;
		break;
	case ATTR_STATE:
		v->state = c->to[0] == 'a'   ? VF_STATE_AUTO
			   : c->to[0] == 'e' ? VF_STATE_ENABLE
					     : VF_STATE_DISABLE;
		break;
	default:
		fail_msg("VFs have no %s", attr_name(c->attr));
	}
}

static inline void pretend(struct host *h, const struct change *c) {
	char now[ATTR_TEXT_MAX], driver[ATTR_TEXT_MAX];
	struct pci_function *f;
	struct err e = {.text = ""};

	if (c->implied)
		return;
	if (c->from[0] != '\0') {
		if (attr_get(h, c->attr, c->slot, c->vf, now, &e) < 0)
			fail_msg("%s", e.text);
		if (strcmp(now, c->from) != 0 && strcmp(now, c->to) != 0)
			fail_msg("%s vf %d %s is '%s', not '%s'", c->slot, c->vf,
				attr_name(c->attr), now, c->from);
	}
	switch (c->attr) {
	case ATTR_VFS:
		pretend_vfs(h, c->slot, (unsigned)atoi(c->to));
		break;
	case ATTR_ESWITCH:
		pretend_eswitch(h, c);
		break;
	case ATTR_AUTOPROBE:
		pretend_at(h, c->slot)->autoprobe = strcmp(c->to, "on") == 0;
		break;
	case ATTR_MTU:
		pretend_link(h, c->slot)->mtu = (unsigned)atoi(c->to);
		break;
	case ATTR_UP:
		pretend_link(h, c->slot)->flags =
			(pretend_link(h, c->slot)->flags & ~1u) | (strcmp(c->to, "up") == 0);
		break;
	case ATTR_DRIVER:
		f = pretend_at(h,
			c->vf < 0 ? c->slot : pci_vf(&h->pci, pretend_at(h, c->slot), c->vf)->slot);
		snprintf(driver, sizeof(driver), "%s", strcmp(c->to, "none") != 0 ? c->to : "");
		memcpy(f->driver, driver, sizeof(f->driver));
		break;
	default:
		pretend_vf(&pretend_link(h, c->slot)->vf[c->vf], c);
	}
}

#endif
