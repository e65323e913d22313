/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mac.h"
#include "base/yaml.h"
#include "host/want/want_resolve.h"

/* What concerns several keys or several functions.
 *
 * A derived address is the prefix, and behind it bits of a hash of the machine's id, the PF's address and
 * the VF's number: it stays as long as those stay, over reboots and over changes elsewhere in the file,
 * and the same file gives other addresses on another machine. Where two would be the same, the later one
 * (by PF and number) hashes again. */

const json_t *aim_mark(const struct aims *a, const struct aim *t, const char *key) {
	const struct want *w = a->want;
	const char *map = t->pool != NULL     ? "pools"
			  : t->single != NULL ? "vfs"
			  : t->device != NULL ? "devices"
					      : "pfs";
	const char *name = t->pool != NULL     ? t->pool->name
			   : t->single != NULL ? t->single->name
			   : t->device != NULL ? t->device->name
					       : a->pf[t->pf].want->name;
	const json_t *entry = yaml_member(yaml_member(w->marks, map), name);
	const json_t *mark = yaml_member(entry, key);

	if (mark == NULL && t->pf >= 0) {
		const json_t *pf =
			yaml_member(yaml_member(w->marks, "pfs"), a->pf[t->pf].want->name);

		mark = yaml_member(yaml_member(pf, "defaults"), key);
	}
	return mark != NULL ? mark : entry;
}

struct judge {
	struct schema *s;
	struct aims *a;
	const struct host *h;
	/* Addresses and who has them, by hash; as many places again are empty. */
	struct seat {
		uint64_t mac;
		const struct aim *aim; /* NULL: a PF's own */
	} * seat;
	size_t seats;
};

static void where(struct judge *j, const struct aim *t) {
	char name[AIM_NAME_MAX];

	snprintf(j->s->where, sizeof(j->s->where), "%s: ", aim_name(j->a, t, name, sizeof(name)));
}

/* The place of an address: its own, or the empty one where it goes. */
static struct seat *seat_of(const struct judge *j, uint64_t mac) {
	size_t i = (mac * 0x9e3779b97f4a7c15u) >> 32;

	while (j->seat[i % j->seats].mac != 0 && j->seat[i % j->seats].mac != mac)
		i++;
	return &j->seat[i % j->seats];
}

static uint64_t fnv(uint64_t hash, const void *p, size_t n) {
	for (const uint8_t *b = p; n > 0; n--)
		hash = (hash ^ *b++) * 0x100000001b3u;
	return hash;
}

static uint64_t derive(const char *machine, const struct aim *t, unsigned again) {
	uint64_t hash = fnv(0xcbf29ce484222325u, machine, strlen(machine) + 1);
	uint8_t octets[6];
	unsigned n = t->pool->prefix_len;

	hash = fnv(hash, t->fn->slot, strlen(t->fn->slot) + 1);
	hash = fnv(hash, &t->vf, sizeof(t->vf));
	hash = fnv(hash, &again, sizeof(again));
	hash ^= hash >> 32; // the low bits alone are a hash of the low bits
	memcpy(octets, t->pool->prefix, n);
	for (unsigned i = n; i < 6; i++, hash >>= 8)
		octets[i] = (uint8_t)hash;
	return mac_load(octets);
}

static int stated_mac(struct judge *j, const struct aim *t) {
	struct seat *seat = seat_of(j, t->want.mac);
	char mac[MAC_TEXT_MAX], name[AIM_NAME_MAX];

	if (seat->mac == 0) {
		*seat = (struct seat){t->want.mac, t};
		return 0;
	}
	where(j, t);
	mac_format(t->want.mac, mac);
	if (seat->aim == NULL)
		return schema_fail(j->s, EEXIST,
			aim_mark(j->a, t, t->pool != NULL ? "macs" : "mac"),
			"VF %d of %s would have %s, which is the address of a PF; give it one of "
			"its own",
			t->vf, t->fn->slot, mac);
	return schema_fail(j->s, EEXIST, aim_mark(j->a, t, t->pool != NULL ? "macs" : "mac"),
		"VF %d of %s would have %s, which VF %d of %s (%s) has; give each its own", t->vf,
		t->fn->slot, mac, seat->aim->vf, seat->aim->fn->slot,
		aim_name(j->a, seat->aim, name, sizeof(name)));
}

static int derived_mac(struct judge *j, struct aim *t, const char *machine) {
	enum {
		TRIES = 4096
	}; // 256 addresses of which one is free are found with certainty but for e^-16

	for (unsigned again = 0; again < TRIES; again++) {
		uint64_t mac = derive(machine, t, again);
		struct seat *seat = seat_of(j, mac);

		if (mac == 0 || seat->mac != 0)
			continue;
		t->want.mac = mac;
		*seat = (struct seat){mac, t};
		return 0;
	}
	where(j, t);
	return schema_fail(j->s, ENOSPC, aim_mark(j->a, t, "mac-prefix"),
		"no address is left for VF %d of %s; give a mac-prefix of fewer octets", t->vf,
		t->fn->slot);
}

static int judge_macs(struct judge *j) {
	char machine[64] = "";
	int rc = 0;

	j->seats = 2 * (size_t)(j->a->naims + j->a->npfs) + 1;
	j->seat = calloc(j->seats, sizeof(*j->seat));
	if (j->seat == NULL)
		return value_no_memory(j->s);
	for (unsigned i = 0; i < j->a->npfs; i++) {
		const struct link *l = host_link(j->h, j->a->pf[i].fn);

		if (l != NULL && l->mac != 0)
			*seat_of(j, l->mac) = (struct seat){l->mac, NULL};
	}
	root_line(&j->h->root, machine, sizeof(machine), "/etc/machine-id");
	for (unsigned i = 0; rc == 0 && i < j->a->naims; i++)
		if (j->a->aim[i].want.mac != 0)
			rc = stated_mac(j, &j->a->aim[i]);
	for (unsigned i = 0; rc == 0 && i < j->a->naims; i++) {
		struct aim *t = &j->a->aim[i];

		if ((t->want.stated & WANT_MAC) != 0 && t->want.mac == 0)
			rc = derived_mac(j, t, machine);
	}
	free(j->seat);
	return rc;
}

/* What the keys of one VF say together, after defaults. */
static int judge_vf(struct judge *j, struct aim *t) {
	struct want_vf *v = &t->want;

	where(j, t);
	if (v->vlan == 0 && (v->qos != 0 || v->proto == 0x88a8))
		return schema_fail(j->s, EINVAL, aim_mark(j->a, t, v->qos != 0 ? "qos" : "proto"),
			"%s is given and no vlan; a priority and a protocol are those of a VLAN "
			"tag; "
			"give vlan: 1..4094",
			v->qos != 0 ? "qos" : "proto");
	if (v->max_rate != 0 && v->min_rate > v->max_rate)
		return schema_fail(j->s, ERANGE, aim_mark(j->a, t, "min-rate"),
			"min-rate is %u Mbit, above max-rate with %u Mbit; lower one or raise the "
			"other",
			v->min_rate, v->max_rate);
	return 0;
}

/* The rates of a PF's VFs against its link, where that is known. */
static int judge_rates(struct judge *j, unsigned pf, long long speed) {
	const struct pci_function *fn = j->a->pf[pf].fn;
	long long sum = 0;

	for (unsigned i = 0; i < j->a->naims; i++) {
		const struct aim *t = &j->a->aim[i];
		const char *key = t->want.max_rate > speed ? "max-rate" : "min-rate";

		if (t->pf != (int)pf)
			continue;
		sum += t->want.min_rate;
		where(j, t);
		if (t->want.max_rate > speed || t->want.min_rate > speed)
			return schema_fail(j->s, ERANGE, aim_mark(j->a, t, key),
				"%s is %u Mbit, above the %lld Mbit of the link of %s", key,
				t->want.max_rate > speed ? t->want.max_rate : t->want.min_rate,
				speed, fn->slot);
		if (sum > speed)
			return schema_fail(j->s, ERANGE, aim_mark(j->a, t, "min-rate"),
				"with VF %d the min-rates on %s are %lld Mbit together; its link "
				"has %lld",
				t->vf, fn->slot, sum, speed);
	}
	return 0;
}

static int judge_pf(struct judge *j, unsigned pf) {
	const struct want_pf *w = j->a->pf[pf].want;
	const struct pci_function *fn = j->a->pf[pf].fn;
	const struct link *l = host_link(j->h, fn);
	const json_t *entry = yaml_member(yaml_member(j->a->want->marks, "pfs"), w->name);
	long long speed = 0;

	snprintf(j->s->where, sizeof(j->s->where), "pf %s: ", w->name);
	if ((w->stated & (WANT_UP | WANT_MTU)) != 0 && l == NULL)
		return schema_fail(j->s, ENODEV,
			yaml_member(entry, (w->stated & WANT_UP) != 0 ? "link" : "mtu"),
			"%s has no interface here, so neither link: nor mtu: can be set; its "
			"driver is "
			"%s",
			fn->slot, fn->driver[0] != '\0' ? fn->driver : "not bound");
	if ((w->stated & WANT_MTU) != 0 && l->max_mtu != 0 &&
		(w->mtu > l->max_mtu || w->mtu < l->min_mtu))
		return schema_fail(j->s, ERANGE, yaml_member(entry, "mtu"),
			"mtu is %u; %s can have %u..%u", w->mtu, l->name, l->min_mtu, l->max_mtu);
	if (l != NULL)
		speed = root_number(&j->h->root, 0, "/sys/class/net/%s/speed", l->name);
	return speed > 0 ? judge_rates(j, pf, speed) : 0;
}

int want_judge(struct schema *s, struct aims *a, const struct host *h) {
	struct judge j = {.s = s, .a = a, .h = h};
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < a->naims; i++)
		rc = judge_vf(&j, &a->aim[i]);
	for (unsigned i = 0; rc == 0 && i < a->npfs; i++)
		rc = judge_pf(&j, i);
	if (rc == 0)
		rc = judge_macs(&j);
	s->where[0] = '\0';
	return rc;
}
