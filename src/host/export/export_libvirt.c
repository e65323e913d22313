/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mac.h"
#include "host/export/export.h"
#include "host/export/xml.h"

/* Of a VF libvirt can make an <interface>: it then sets MAC and VLAN itself when the VM starts, through
 * the PF, and puts back what was there when it ends. It knows a VLAN's number alone and sets even none:
 * a priority or 802.1ad would be lost, and an eswitch in switchdev mode refuses. Those VFs, and whole
 * devices, become a <hostdev>, of which libvirt changes nothing.
 *
 * managed='yes': libvirt binds to vfio-pci and back. What vfio has already stays so. */

static const char *managed(const struct pci_function *fn) {
	return pci_driver_is_vfio(fn->driver) ? "no" : "yes";
}

static void put_address(struct xml *w, const struct pci_function *fn, const char *type) {
	char domain[16], bus[8], slot[8], function[8];

	snprintf(domain, sizeof(domain), "0x%04x", (unsigned)(fn->address >> 16));
	snprintf(bus, sizeof(bus), "0x%02x", (unsigned)(fn->address >> 8 & 0xff));
	snprintf(slot, sizeof(slot), "0x%02x", (unsigned)(fn->address >> 3 & 0x1f));
	snprintf(function, sizeof(function), "0x%x", (unsigned)(fn->address & 7));
	xml_empty(w, "address", "type", type, "domain", domain, "bus", bus, "slot", slot,
		"function", function);
}

static void put_vlan(struct xml *w, unsigned vlan) {
	char id[12];

	if (vlan == 0)
		return;
	snprintf(id, sizeof(id), "%u", vlan);
	xml_open(w, "vlan");
	xml_empty(w, "tag", "id", id);
	xml_close(w, "vlan");
}

static void put_mac(struct xml *w, uint64_t mac) {
	char text[MAC_TEXT_MAX];

	if (mac != 0)
		xml_empty(w, "mac", "address", mac_format(mac, text));
}

static void put_teaming(struct xml *w, const char *persistent) {
	if (persistent != NULL)
		xml_empty(w, "teaming", "type", "transient", "persistent", persistent);
}

/* libvirt's own domains have 32 bits; it hands them to QEMU as host=. */
static void note_domain(struct export *x, const struct export_function *f) {
	char text[EXPORT_TEXT_MAX];

	if (export_far_domain(f))
		export_note(x,
			"%s is in a PCI domain above ffff: libvirt takes that, and QEMU (7.2, for "
			"one) then refuses to start; 'weir export qemu' has what it takes",
			export_text(f, text));
}

/* What libvirt's way with a VF does to this one, NULL: no harm. */
static const char *beyond_libvirt(const struct export *x, const struct export_function *f) {
	if (export_switchdev(x, f))
		return "sets a VLAN, which an eswitch in switchdev mode refuses";
	if (f->vf.vlan != 0 && f->vf.qos != 0)
		return "loses the VLAN priority";
	if (f->vf.vlan != 0 && f->vf.proto == 0x88a8)
		return "loses 802.1ad";
	return NULL;
}

static void put_hostdev(struct xml *w, const struct export_function *f, const char *persistent) {
	xml_open(w, "hostdev", "mode", "subsystem", "type", "pci", "managed", managed(f->fn));
	xml_open(w, "source");
	put_address(w, f->fn, NULL);
	xml_close(w, "source");
	put_teaming(w, persistent);
	xml_close(w, "hostdev");
}

static void put_function(
	struct export *x, struct xml *w, const struct export_function *f, const char *persistent) {
	const char *beyond = f->pf != NULL ? beyond_libvirt(x, f) : NULL;
	char text[EXPORT_TEXT_MAX];

	export_note_vm(x, f);
	note_domain(x, f);
	export_text(f, text);
	if (beyond != NULL)
		export_note(x,
			"%s as <hostdev> keeps the MAC and VLAN it has; libvirt's <interface> %s",
			text, beyond);
	if (f->pf == NULL || beyond != NULL) {
		put_hostdev(w, f, persistent);
		return;
	}
	if (f->vf.mac == 0)
		export_note(x, "libvirt gives %s a MAC of its own choice", text);
	xml_open(w, "interface", "type", "hostdev", "managed", managed(f->fn));
	put_mac(w, f->vf.mac);
	xml_open(w, "source");
	put_address(w, f->fn, "pci");
	xml_close(w, "source");
	put_vlan(w, f->vf.vlan);
	put_teaming(w, persistent);
	xml_close(w, "interface");
}

/* The writer's text into doc. */
static int finish(struct xml *w, char **text, json_t *doc, struct err *e) {
	int rc = fclose(w->f) == 0 ? json_object_set_new(doc, "xml", json_string(*text)) : -1;

	free(*text);
	return rc == 0 ? 0 : err_set(e, ENOMEM, "no memory for the XML of this export");
}

static int begin(struct xml *w, char **text, size_t *size, struct err *e) {
	*w = (struct xml){.f = open_memstream(text, size)};
	return w->f != NULL ? 0 : err_set(e, ENOMEM, "no memory for the XML of this export");
}

int export_to_libvirt(struct export *x, json_t *doc, struct err *e) {
	struct xml w;
	char *text;
	size_t size;

	if (begin(&w, &text, &size, e) < 0)
		return -ENOMEM;
	for (unsigned i = 0; i < x->n; i++)
		put_function(x, &w, &x->fn[i], NULL);
	export_note(x, "libvirt locks all memory of the VM, and does not migrate it while it has a "
		       "device; 'weir export teaming' makes a pair that migrates");
	return finish(&w, &text, doc, e);
}

/* The PF of which all VFs are here and no others, with a name that stands for them; NULL: none. */
static const struct link *only_pf(const struct export *x) {
	const struct export_function *f = &x->fn[0];

	return f->link != NULL && export_plain(f->link->name) && export_of_pf(x, f->pf) == x->n &&
			       x->n == f->pf->vfs
		       ? f->link
		       : NULL;
}

/* One VLAN of all is the network's; several become a portgroup each. */
static void put_network_vlans(struct export *x, struct xml *w) {
	uint64_t seen[4096 / 64] = {0};
	unsigned vlans = 0, last = 0;
	bool all = true;

	for (unsigned i = 0; i < x->n; i++) {
		unsigned v = x->fn[i].vf.vlan & 4095;

		all = all && v == x->fn[0].vf.vlan;
		vlans += v != 0 && !(seen[v / 64] >> v % 64 & 1);
		seen[v / 64] |= 1ull << v % 64;
		last = v != 0 ? v : last;
	}
	if (vlans == 1 && all) {
		put_vlan(w, last);
		return;
	}
	for (unsigned v = 1; v < 4095; v++) {
		char name[16];

		if (!(seen[v / 64] >> v % 64 & 1))
			continue;
		snprintf(name, sizeof(name), "vlan%u", v);
		xml_open(w, "portgroup", "name", name);
		put_vlan(w, v);
		xml_close(w, "portgroup");
	}
	if (vlans > 0)
		export_note(x,
			"the VFs are in different VLANs, and libvirt takes any of them: an "
			"interface says which with <source network='...' portgroup='vlan%u'/>",
			last);
}

int export_to_libvirt_network(struct export *x, json_t *doc, struct err *e) {
	char name[IFNAMSIZ + 8] = "vf-pool", of[EXPORT_TEXT_MAX], *text;
	const struct link *pf;
	const char *bound = "no";
	struct xml w;
	size_t size;

	if (export_only_vfs(x, "a libvirt network", e) < 0 || begin(&w, &text, &size, e) < 0)
		return -EINVAL;
	pf = only_pf(x);
	if (pf != NULL)
		snprintf(name, sizeof(name), "vf-%s", pf->name);
	for (unsigned i = 0; i < x->n; i++) {
		note_domain(x, &x->fn[i]);
		if (strcmp(managed(x->fn[i].fn), "yes") == 0)
			bound = "yes";
		if (beyond_libvirt(x, &x->fn[i]) != NULL)
			export_note(x, "libvirt, when it takes %s from a pool, %s",
				export_text(&x->fn[i], of), beyond_libvirt(x, &x->fn[i]));
	}
	xml_open(&w, "network");
	xml_text(&w, "name", x->name != NULL ? x->name : name);
	xml_open(&w, "forward", "mode", "hostdev", "managed", bound);
	if (pf != NULL)
		xml_empty(&w, "pf", "dev", pf->name);
	for (unsigned i = 0; i < x->n && pf == NULL; i++)
		put_address(&w, x->fn[i].fn, "pci");
	xml_close(&w, "forward");
	put_network_vlans(x, &w);
	xml_close(&w, "network");
	export_note(x,
		"virsh net-define FILE; a VM then takes a free one with <interface "
		"type='network'><source network='%s'/></interface>",
		x->name != NULL ? x->name : name);
	export_note(x,
		"libvirt sets MAC and VLAN of the VF it picked and keeps no owner on record: leave "
		"these %u VFs to it",
		x->n);
	return finish(&w, &text, doc, e);
}

static int check_pair(const struct export *x, struct err *e) {
	char text[EXPORT_TEXT_MAX];

	if ((x->bridge != NULL) == (x->network != NULL))
		return err_set(e, EINVAL,
			"what takes over while the VM migrates? say either --bridge NAME or "
			"--network NAME (of libvirt)");
	if (x->bridge != NULL && strlen(x->bridge) >= IFNAMSIZ)
		return err_set(e, EINVAL,
			"--bridge '%.40s' is too long: libvirt knows a bridge by its own name of "
			"up to %d characters, not by an alternative one",
			x->bridge, IFNAMSIZ - 1);
	if (export_only_vfs(x, "a failover pair", e) < 0)
		return -EINVAL;
	for (unsigned i = 0; i < x->n; i++)
		if (x->fn[i].vf.mac == 0)
			return err_set(e, EINVAL,
				"%s has no MAC, and a pair is one by its MAC; 'weir vf set' gives "
				"it one",
				export_text(&x->fn[i], text));
	return 0;
}

/* The VF of a pair: this one, or any of a pool that each host has under the same name. */
static void put_transient(
	struct export *x, struct xml *w, const struct export_function *f, const char *persistent) {
	if (x->pool == NULL) {
		put_function(x, w, f, persistent);
		return;
	}
	export_note_vm(x, f);
	xml_open(w, "interface", "type", "network");
	put_mac(w, f->vf.mac);
	xml_empty(w, "source", "network", x->pool);
	put_vlan(w, f->vf.vlan);
	put_teaming(w, persistent);
	xml_close(w, "interface");
}

int export_to_teaming(struct export *x, json_t *doc, struct err *e) {
	struct xml w;
	char *text;
	size_t size;

	if (check_pair(x, e) < 0 || begin(&w, &text, &size, e) < 0)
		return -EINVAL;
	for (unsigned i = 0; i < x->n; i++) {
		const struct export_function *f = &x->fn[i];
		char alias[32];

		snprintf(alias, sizeof(alias), "ua-pair%u", i);
		xml_open(&w, "interface", "type", x->bridge != NULL ? "bridge" : "network");
		put_mac(&w, f->vf.mac);
		xml_empty(&w, "source", "bridge", x->bridge, "network", x->network);
		xml_empty(&w, "model", "type", "virtio");
		xml_empty(&w, "teaming", "type", "persistent");
		xml_empty(&w, "alias", "name", alias);
		xml_close(&w, "interface");
		put_transient(x, &w, f, alias);
		if (f->vf.vlan != 0)
			export_note(x,
				"the VF is in VLAN %u: the port that the virtio interface gets on "
				"%s has to be in it too",
				f->vf.vlan, x->bridge != NULL ? x->bridge : x->network);
	}
	export_note(x, "the guest joins the two by their MAC: Linux with net_failover (virtio_net "
		       "of 4.18 and later); without it, it sees two interfaces with one MAC");
	if (x->pool == NULL)
		export_note(x, "the host it migrates to needs a VF at the same address; from a "
			       "pool ('weir export libvirt-network') each host takes its own");
	return finish(&w, &text, doc, e);
}
