/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "host/export/export.h"

/* Neutron's server learns which VLANs lead over which physical network, the SR-IOV agent of this host
 * which PFs are plugged into it, and which of their VFs are not Neutron's: those that belong to somebody
 * here. The same VFs are left out of Nova's device_spec (export_nova.c). */

static int check(const struct export *x, struct err *e) {
	if (export_only_vfs(x, "Neutron's SR-IOV agent", e) < 0)
		return -EINVAL;
	for (unsigned i = 0; i < x->n; i++) {
		const struct export_function *f = &x->fn[i];

		if (f->physnet == NULL || strcmp(f->physnet, "null") == 0)
			return err_set(e, EINVAL,
				"which physical network is %s plugged into? say --physnet NAME, as "
				"Neutron's networks have it",
				f->link != NULL ? f->link->name : f->pf->slot);
		if (strchr(f->physnet, ':') != NULL)
			return err_set(e, EINVAL,
				"the physical network '%s' has a colon in it, behind which "
				"Neutron's settings say more; name it without one, in Neutron too",
				f->physnet);
		if (export_switchdev(x, f))
			return err_set(e, EINVAL,
				"%s is in switchdev mode: its VFs are Open vSwitch's with hardware "
				"offload, and the SR-IOV agent would set VLANs that the eswitch "
				"refuses; 'weir export nova' alone, or legacy mode",
				f->pf->slot);
		if (f->link == NULL)
			return err_set(e, ENODEV,
				"%s has no interface here, and the agent reaches VFs through their "
				"PF's; bind the PF to its kernel driver",
				f->pf->slot);
		if (!export_plain(f->link->name))
			return err_set(e, EINVAL,
				"the interface of %s has a name that physical_device_mappings has "
				"no way to say; rename it with letters, digits and ._-",
				f->pf->slot);
	}
	return 0;
}

/* The first of the functions of its PF. */
static bool first_of_pf(const struct export *x, unsigned i) {
	for (unsigned k = 0; k < i; k++)
		if (x->fn[k].pf == x->fn[i].pf)
			return false;
	return true;
}

static int print_mappings(FILE *f, struct export *x, struct err *e) {
	const char *comma = "";

	for (unsigned i = 0; i < x->n; i++) {
		if (!first_of_pf(x, i))
			continue;
		fprintf(f, "%s%s:%s", comma, x->fn[i].physnet, x->fn[i].link->name);
		comma = ",";
	}
	return 0;
}

static bool is_exported(const struct export *x, const struct pci_function *vf) {
	for (unsigned i = 0; i < x->n; i++)
		if (x->fn[i].fn == vf)
			return true;
	return false;
}

/* "eth4:0000:01:10.0;0000:01:10.2,eth5:...": the VFs that are not exported. */
static int print_excluded(FILE *f, struct export *x, struct err *e) {
	const struct pci *pci = &x->host->pci;
	const char *comma = "";

	for (unsigned i = 0; i < x->n; i++) {
		const char *before = "";

		if (!first_of_pf(x, i))
			continue;
		for (unsigned k = 0; k < pci->n; k++) {
			const struct pci_function *vf = &pci->fn[k];

			if (!pci_is_vf(vf) || &pci->fn[vf->pf] != x->fn[i].pf || is_exported(x, vf))
				continue;
			if (before[0] == '\0')
				fprintf(f, "%s%s:", comma, x->fn[i].link->name);
			fprintf(f, "%s%s", before, vf->slot);
			before = ";";
			comma = ",";
		}
	}
	return 0;
}

/* "100-199" or "100" in `text`. */
static int parse_vlans(const char *text, unsigned *from, unsigned *to, struct err *e) {
	char end;
	int n = sscanf(text, "%4u-%4u%c", from, to, &end);

	if (n == 1 && strspn(text, "0123456789") == strlen(text))
		*to = *from;
	else if (n != 2)
		*from = 0;
	if (*from < 1 || *to > 4094 || *from > *to)
		return err_set(e, EINVAL,
			"--vlans '%s' is no range of VLANs; two numbers from 1 to 4094, as in "
			"100-199",
			text);
	return 0;
}

/* From the lowest to the highest VLAN that VFs of a physical network have; *from 0: none has any. */
static void seen_vlans(const struct export *x, const char *physnet, unsigned *from, unsigned *to) {
	*from = *to = 0;
	for (unsigned i = 0; i < x->n; i++) {
		unsigned v = x->fn[i].vf.vlan;

		if (v == 0 || strcmp(x->fn[i].physnet, physnet) != 0)
			continue;
		*from = *from == 0 || v < *from ? v : *from;
		*to = v > *to ? v : *to;
	}
}

static int print_ranges(FILE *f, struct export *x, struct err *e) {
	const char *comma = "";

	for (unsigned i = 0; i < x->n; i++) {
		const char *physnet = x->fn[i].physnet;
		unsigned from = 0, to = 0;
		bool again = false;

		for (unsigned k = 0; k < i; k++)
			again = again || strcmp(x->fn[k].physnet, physnet) == 0;
		if (again)
			continue;
		if (x->vlans == NULL)
			seen_vlans(x, physnet, &from, &to);
		else if (parse_vlans(x->vlans, &from, &to, e) < 0)
			return -EINVAL;
		if (from != 0)
			fprintf(f, "%s%s:%u:%u", comma, physnet, from, to);
		else {
			fprintf(f, "%s%s", comma, physnet);
			export_note(x,
				"no VLANs are known of %s: only an administrator can make networks "
				"on it; --vlans A-B lets projects have theirs",
				physnet);
		}
		comma = ",";
	}
	return 0;
}

static void add_notes(struct export *x) {
	for (unsigned i = 0; i < x->n; i++) {
		const struct export_function *f = &x->fn[i];

		if (export_far_domain(f))
			export_note(x,
				"VFs of %s are in a PCI domain above ffff: Nova gives them to no "
				"VM",
				f->pf->slot);
		if (f->link != NULL && !(f->link->flags & IFF_UP))
			export_note(x, "%s is down, and its VFs have no link", f->link->name);
		if (f->vf.vlan != 0 || f->vf.max_rate != 0 || f->vf.min_rate != 0)
			export_note(x,
				"VFs of %s have a VLAN or a rate of the host's: the agent sets "
				"both anew for each port, and at its end leaves none",
				f->link->name);
	}
	export_note(x, "there are no security groups on VFs: what a port's groups forbid passes; "
		       "only VLAN, MAC and spoof check hold");
	export_note(x, "a VM with direct ports alone gets no metadata: no agent is in its way. "
		       "Give it a second, virtio port, or --config-drive true");
	export_note(x,
		"VMs with virtio ports on this host do not reach VFs of the same PF unless their "
		"agent has [agent] extensions = fdb and [FDB] shared_physical_device_mappings");
	export_note(x, "QoS policies are in kbit/s and VFs' rates in Mbit/s: a rate is rounded, "
		       "one below 1000 becomes 1 Mbit/s");
	export_note(
		x, "direct ports are detached while a VM migrates: the network is gone meanwhile");
	export_note(x, "a port asks with --vnic-type direct; a trusted VF needs --binding-profile "
		       "trusted=true and trusted in Nova's device_spec");
}

/* An option whose text `print` writes. */
static int add_printed(json_t *options, const char *name, struct export *x,
	int (*print)(FILE *f, struct export *x, struct err *e), struct err *e) {
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	int rc;

	if (f == NULL)
		return err_set(e, ENOMEM, "no memory for the option %s", name);
	rc = print(f, x, e);
	fclose(f);
	if (rc == 0 && text[0] != '\0')
		export_option(options, name, json_string(text));
	free(text);
	return rc;
}

int export_to_neutron(struct export *x, json_t *doc, struct err *e) {
	static const char server[] = "ml2_conf.ini of neutron-server; add to what is there";
	static const char agent[] = "sriov_agent.ini of this host";
	json_t *ml2 = json_array(), *vlan = json_array(), *nic = json_array(),
	       *groups = json_array();

	export_section(doc, server, "ml2", ml2);
	export_section(doc, server, "ml2_type_vlan", vlan);
	export_section(doc, agent, "sriov_nic", nic);
	export_section(doc, agent, "securitygroup", groups);
	if (check(x, e) < 0)
		return -EINVAL;
	export_option(ml2, "mechanism_drivers", json_string("openvswitch,sriovnicswitch"));
	export_option(ml2, "type_drivers", json_string("flat,vlan"));
	export_option(groups, "firewall_driver", json_string("noop"));
	if (add_printed(vlan, "network_vlan_ranges", x, print_ranges, e) < 0 ||
		add_printed(nic, "physical_device_mappings", x, print_mappings, e) < 0 ||
		add_printed(nic, "exclude_devices", x, print_excluded, e) < 0)
		return -EINVAL;
	add_notes(x);
	return 0;
}
