/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "forward/forward.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Building snapshots: control thread, slow and careful, so that the verdict can be neither. Absent
 * ports have no native network and no tags, so frames from them and to them fail the same tests as
 * any other. */

enum { VLAN_MAX = 4094, VLAN_IDS = 4096 };

struct fwd *fwd_new(struct fdb *fdb, uint16_t nports, uint16_t nnets) {
	struct fwd *fw;

	if (nports > PORTS_MAX || nnets > NETS_MAX)
		return NULL;
	fw = calloc(1, sizeof(*fw));
	if (fw == NULL)
		return NULL;
	*fw = (struct fwd){.fdb = fdb, .nports = nports, .nnets = nnets};
	fw->ports = calloc(nports + 1u, sizeof(*fw->ports));
	fw->nets = calloc(nnets + 1u, sizeof(*fw->nets));
	if (fw->ports == NULL || fw->nets == NULL) {
		fwd_free(fw);
		return NULL;
	}
	for (unsigned i = 0; i < nports; i++)
		fw->ports[i].native = NET_NONE;
	return fw;
}

void fwd_free(struct fwd *fw) {
	if (fw == NULL)
		return;
	for (unsigned i = 0; fw->ports != NULL && i < fw->nports; i++)
		free(fw->ports[i].vlan_net);
	for (unsigned i = 0; fw->nets != NULL && i < fw->nnets; i++)
		free(fw->nets[i].members);
	free(fw->ports);
	free(fw->nets);
	free(fw);
}

static bool net_there(const struct fwd *fw, uint16_t net) {
	return net < fw->nnets && fw->nets[net].present;
}

int fwd_set_net(struct fwd *fw, uint16_t net, uint16_t vlan) {
	if (net >= fw->nnets || vlan > VLAN_MAX)
		return -EINVAL;
	fw->nets[net].present = true;
	fw->nets[net].vlan = vlan;
	return 0;
}

static void set_port(struct fwd *fw, uint16_t port, struct fwd_port p) {
	free(fw->ports[port].vlan_net);
	fw->ports[port] = p;
}

int fwd_set_access(struct fwd *fw, uint16_t port, uint16_t net, bool isolated, uint64_t pinned) {
	if (port >= fw->nports || !net_there(fw, net))
		return -EINVAL;
	set_port(fw, port,
		(struct fwd_port){
			.present = true, .isolated = isolated, .native = net, .pinned = pinned});
	return 0;
}

/* The native network needs no tag; its own, if it has one, is accepted. */
static int add_tag(const struct fwd *fw, uint16_t *vlan_net, uint16_t net, bool is_native) {
	uint16_t vlan;

	if (!net_there(fw, net))
		return -EINVAL;
	vlan = fw->nets[net].vlan;
	if (vlan == 0)
		return is_native ? 0 : -EINVAL;
	if (vlan_net[vlan] != NET_NONE && vlan_net[vlan] != net)
		return -EINVAL;
	vlan_net[vlan] = net;
	return 0;
}

int fwd_set_trunk(struct fwd *fw, uint16_t port, const uint16_t *nets, uint16_t n, uint16_t native,
	bool isolated, uint64_t pinned) {
	uint16_t *vlan_net;
	int r = 0;

	if (port >= fw->nports)
		return -EINVAL;
	vlan_net = malloc(VLAN_IDS * sizeof(*vlan_net));
	if (vlan_net == NULL)
		return -ENOMEM;
	memset(vlan_net, 0xff, VLAN_IDS * sizeof(*vlan_net)); /* NET_NONE */
	for (unsigned i = 0; r == 0 && i < n; i++)
		r = add_tag(fw, vlan_net, nets[i], nets[i] == native);
	if (r == 0 && native != NET_NONE)
		r = add_tag(fw, vlan_net, native, true);
	if (r < 0) {
		free(vlan_net);
		return r;
	}
	set_port(fw, port,
		(struct fwd_port){.present = true,
			.trunk = true,
			.isolated = isolated,
			.native = native,
			.vlan_net = vlan_net,
			.pinned = pinned});
	return 0;
}

int fwd_set_qinq(struct fwd *fw, uint16_t port, bool qinq) {
	if (port >= fw->nports || !fw->ports[port].present)
		return -EINVAL;
	fw->ports[port].qinq = qinq;
	return 0;
}

/* The networks of a port, each once, into nets[NETS_MAX]; returns how many. */
static unsigned nets_of(const struct fwd *fw, uint16_t port, uint16_t *nets) {
	const struct fwd_port *p = &fw->ports[port];
	unsigned n = 0;

	if (p->native != NET_NONE)
		nets[n++] = p->native;
	for (unsigned vlan = 1; p->trunk && vlan <= VLAN_MAX; vlan++)
		if (p->vlan_net[vlan] != NET_NONE && p->vlan_net[vlan] != p->native)
			nets[n++] = p->vlan_net[vlan];
	return n;
}

int fwd_seal(struct fwd *fw) {
	uint16_t nets[NETS_MAX];

	for (uint16_t port = 0; port < fw->nports; port++)
		for (unsigned i = 0, n = nets_of(fw, port, nets); i < n; i++) {
			fw->nets[nets[i]].nmembers++;
			fw->nets[nets[i]].nopen += !fw->ports[port].isolated;
		}
	for (unsigned i = 0; i < fw->nnets; i++) {
		struct fwd_net *net = &fw->nets[i];

		if (net->nmembers == 0)
			continue;
		net->members = calloc(net->nmembers, sizeof(*net->members));
		if (net->members == NULL)
			return -ENOMEM;
		net->nmembers = 0; /* counted again while filling */
	}
	for (uint16_t port = 0; port < fw->nports; port++)
		for (unsigned i = 0, n = nets_of(fw, port, nets); i < n; i++) {
			struct fwd_net *net = &fw->nets[nets[i]];

			net->members[net->nmembers++] = port;
		}
	return 0;
}
