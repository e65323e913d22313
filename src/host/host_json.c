/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/mac.h"
#include "host/host.h"
#include "host/nic.h"

/* Names of processes and mount points may be any bytes, and JSON is UTF-8. */
static json_t *any_text(const char *text) {
	json_t *v = json_string(text);
	char plain[256];
	size_t n;

	if (v != NULL)
		return v;
	for (n = 0; text[n] != '\0' && n + 1 < sizeof(plain); n++)
		plain[n] = (unsigned char)text[n] < 0x80 ? text[n] : '?';
	return json_stringn(plain, n);
}

static json_t *text_or_null(const char *text) {
	return text[0] != '\0' ? any_text(text) : json_null();
}

static json_t *number_or_null(int n) {
	return n >= 0 ? json_integer(n) : json_null();
}

static json_t *hex(unsigned v, int digits) {
	char text[16];

	snprintf(text, sizeof(text), "%0*x", digits, v);
	return json_string(text);
}

static const char *kind_of(const struct pci_function *f) {
	return pci_is_vf(f) ? "vf" : f->vfs_total > 0 ? "pf" : "function";
}

static json_t *group_others(const struct host *h, const struct pci_function *f) {
	json_t *list = json_array();

	for (unsigned i = 0; i < h->pci.n && f->group >= 0; i++)
		if (h->pci.fn[i].group == f->group && &h->pci.fn[i] != f)
			json_array_append_new(list, json_string(h->pci.fn[i].slot));
	return list;
}

static void put_identity(json_t *v, const struct host *h, const struct pci_function *f) {
	char name[256];

	json_object_set_new(v, "address", json_string(f->slot));
	json_object_set_new(v, "name", json_string(pci_name(&h->pci, f, name, sizeof(name))));
	json_object_set_new(v, "kind", json_string(kind_of(f)));
	json_object_set_new(v, "vendor", hex(f->vendor, 4));
	json_object_set_new(v, "device", hex(f->device, 4));
	json_object_set_new(v, "subvendor", hex(f->subvendor, 4));
	json_object_set_new(v, "subdevice", hex(f->subdevice, 4));
	json_object_set_new(v, "class", hex(f->class, 6));
	json_object_set_new(v, "driver", text_or_null(f->driver));
	json_object_set_new(v, "driver_override", text_or_null(f->wanted));
	json_object_set_new(v, "numa", number_or_null(f->numa));
	json_object_set_new(v, "iommu_group", number_or_null(f->group));
	json_object_set_new(v, "group_others", group_others(h, f));
}

/* How many of a PF's VFs nobody uses, null when that was not asked. */
static json_t *count_free(
	const struct host *h, const struct users *u, const struct pci_function *pf) {
	struct use use;
	json_int_t n = 0;

	for (unsigned i = 0; i < h->pci.n && u != NULL; i++)
		if (h->pci.fn[i].pf == pf - h->pci.fn) {
			users_of(u, &h->pci.fn[i], &use);
			n += use.kind == USE_FREE;
		}
	return u != NULL ? json_integer(n) : json_null();
}

static void put_sriov(
	json_t *v, const struct host *h, const struct users *u, const struct pci_function *f) {
	json_t *vfs = json_null();

	if (f->vfs_total > 0) {
		vfs = json_pack("{s:i, s:i, s:o, s:b}", "count", (int)f->vfs, "total",
			(int)f->vfs_total, "device", hex(f->vf_device, 4), "autoprobe",
			f->autoprobe);
		json_object_set_new(vfs, "free", count_free(h, u, f));
	}
	json_object_set_new(v, "vfs", vfs);
	json_object_set_new(
		v, "pf", pci_is_vf(f) ? json_string(h->pci.fn[f->pf].slot) : json_null());
	json_object_set_new(v, "vf", number_or_null(f->vf));
}

/* Queues that are there, not those that there could be. */
static json_t *queues(const struct root *r, const char *interface) {
	char **names;
	int n = root_names(r, &names, "/sys/class/net/%s/queues", interface), rx = 0, tx = 0;

	for (int i = 0; i < n; i++) {
		rx += strncmp(names[i], "rx-", 3) == 0;
		tx += strncmp(names[i], "tx-", 3) == 0;
	}
	if (n < 0)
		return json_null();
	root_names_free(names, n);
	return json_pack("{s:i, s:i}", "rx", rx, "tx", tx);
}

/* The interface's driver is asked; a recorded tree has none. */
static json_t *offloads(const struct root *r, const char *interface) {
	json_t *nic = r->recorded ? NULL : nic_json(interface), *v;

	v = json_incref(json_object_get(nic, "offloads"));
	json_decref(nic);
	return v != NULL ? v : json_null();
}

static void put_interface(json_t *v, const struct host *h, const struct link *l) {
	static const char *const keys[] = {
		"mac", "mtu", "up", "carrier", "speed", "queues", "offloads"};
	long long speed = -1;
	char mac[MAC_TEXT_MAX];

	json_object_set_new(v, "interface", l != NULL ? json_string(l->name) : json_null());
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		json_object_set_new(v, keys[i], json_null());
	if (l == NULL)
		return;
	if (l->flags & IFF_UP)
		speed = root_number(&h->root, -1, "/sys/class/net/%s/speed", l->name);
	json_object_set_new(v, "mac", json_string(mac_format(l->mac, mac)));
	json_object_set_new(v, "mtu", json_integer(l->mtu));
	json_object_set_new(v, "up", json_boolean(l->flags & IFF_UP));
	json_object_set_new(v, "carrier", json_boolean(l->flags & IFF_RUNNING));
	json_object_set_new(v, "speed", speed > 0 ? json_integer(speed) : json_null());
	json_object_set_new(v, "queues", queues(&h->root, l->name));
	json_object_set_new(v, "offloads", offloads(&h->root, l->name));
}

static void put_eswitch(json_t *v, const struct host *h, const struct pci_function *f) {
	static const char *const modes[] = {[ESWITCH_NONE] = "",
		[ESWITCH_LEGACY] = "legacy",
		[ESWITCH_SWITCHDEV] = "switchdev"};
	const struct devlink *d = devlinks_at(&h->devlinks, f->slot);
	const struct link *rep =
		pci_is_vf(f) ? host_representor(h, &h->pci.fn[f->pf], f->vf) : NULL;
	json_t *reps = json_array();

	json_object_set_new(v, "eswitch", text_or_null(d != NULL ? modes[d->mode] : ""));
	json_object_set_new(v, "firmware", text_or_null(d != NULL ? d->firmware : ""));
	json_object_set_new(v, "representor", text_or_null(rep != NULL ? rep->name : ""));
	for (unsigned i = 0; i < f->vfs; i++) {
		rep = host_representor(h, f, (int)i);
		if (rep != NULL)
			json_array_append_new(reps, json_string(rep->name));
	}
	json_object_set_new(v, "representors", reps);
}

static json_t *use_json(const struct users *u, const struct pci_function *f) {
	static const char *const kinds[] = {[USE_FREE] = "free",
		[USE_NETDEV] = "netdev",
		[USE_NAMESPACE] = "namespace",
		[USE_VM] = "vm",
		[USE_DPDK] = "dpdk",
		[USE_PROCESS] = "process",
		[USE_STORAGE] = "storage",
		[USE_UNKNOWN] = "unknown"};
	struct use use;
	json_t *v;

	users_of(u, f, &use);
	v = json_pack("{s:s}", "kind", kinds[use.kind]);
	json_object_set_new(v, "text", any_text(use.text));
	json_object_set_new(v, "name", text_or_null(use.name));
	json_object_set_new(v, "pid", use.pid > 0 ? json_integer(use.pid) : json_null());
	json_object_set_new(v, "lifeline", json_boolean(use.lifeline));
	return v;
}

json_t *host_json(const struct host *h, const struct users *u, const struct pci_function *f) {
	json_t *v = json_object();

	put_identity(v, h, f);
	put_sriov(v, h, u, f);
	put_interface(v, h, host_link(h, f));
	put_eswitch(v, h, f);
	json_object_set_new(v, "use", u != NULL ? use_json(u, f) : json_null());
	return v;
}
