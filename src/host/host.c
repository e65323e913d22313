/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/host.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

/* Which function is behind an interface? The kernel names its parent since 5.14; the parent of a virtio
 * interface is a virtio device, whose own parent is the function. The folder in sysfs has all of it:
 * .../0000:00:04.0/virtio1/net/eth0. What is deeper (subfunctions on the auxiliary bus) is not the
 * function's own. */
static void find_parent(const struct root *r, struct link *l) {
	char path[sizeof(r->at) + 64], to[PATH_MAX], slot[PCI_SLOT_MAX] = "";
	char *save = NULL;
	ssize_t n;

	if (pci_slot(l->parent, slot) || l->kind[0] != '\0')
		return;
	snprintf(path, sizeof(path), "%s/sys/class/net/%s", r->at, l->name);
	n = readlink(path, to, sizeof(to) - 1);
	to[n > 0 ? n : 0] = '\0';
	for (char *part = strtok_r(to, "/", &save); part != NULL; part = strtok_r(NULL, "/", &save))
		if (!pci_slot(part, slot) && slot[0] != '\0' && strncmp(part, "virtio", 6) != 0) {
			if (strcmp(part, "net") == 0)
				memcpy(l->parent, slot, sizeof(slot));
			return;
		}
}

int host_read_links(struct host *h, struct err *e) {
	int ret;

	links_free(&h->links);
	h->links = (struct links){0};
	ret = links_read(&h->root, &h->links, e);
	for (unsigned i = 0; ret == 0 && i < h->links.nlinks; i++)
		find_parent(&h->root, &h->links.link[i]);
	return ret;
}

int host_read(struct host *h, const struct root *r, struct err *e) {
	int ret;

	*h = (struct host){.root = *r};
	ret = pci_read(r, &h->pci, e);
	if (ret == 0)
		ret = host_read_links(h, e);
	if (ret == 0) {
		ret = devlinks_read(r, &h->devlinks);
		if (ret < 0)
			err_set(e, -ret, "the kernel does not answer over devlink: %s",
				strerror(-ret));
	}
	if (ret < 0)
		host_free(h);
	return ret;
}

void host_free(struct host *h) {
	pci_fini(&h->pci);
	links_free(&h->links);
	devlinks_free(&h->devlinks);
}

/* Port names of representors: "pf0vf3" and "pf0sf88", with "c1" in front on cards that have hosts of
 * their own; "p0" is a card's own port. vf -1: that of something else than a VF. */
static bool represents(const char *port_name, unsigned *pf, int *vf) {
	unsigned controller, n;
	int end = 0;

	*vf = -1;
	if (sscanf(port_name, "c%upf%u%n", &controller, pf, &end) != 2 &&
		sscanf(port_name, "pf%u%n", pf, &end) != 1)
		return false;
	if (sscanf(port_name + end, "vf%u", &n) == 1 && n <= INT_MAX)
		*vf = (int)n;
	return true;
}

bool host_represents(const struct link *l) {
	unsigned pf;
	int vf;

	return represents(l->port_name, &pf, &vf);
}

const struct link *host_link(const struct host *h, const struct pci_function *f) {
	const struct link *best = NULL;

	for (unsigned i = 0; i < h->links.nlinks; i++) {
		const struct link *l = &h->links.link[i];

		if (strcmp(l->parent, f->slot) == 0 && l->kind[0] == '\0' && !host_represents(l) &&
			(best == NULL || l->index < best->index))
			best = l;
	}
	return best;
}

const struct link_vf *host_vf(const struct host *h, const struct pci_function *vf) {
	const struct link *l = pci_is_vf(vf) ? host_link(h, &h->pci.fn[vf->pf]) : NULL;

	return l != NULL && vf->vf >= 0 && (unsigned)vf->vf < l->nvfs ? &l->vf[vf->vf] : NULL;
}

/* Its parent is the PF; drivers that give representors no parent have the PF's switch in common with it. */
const struct link *host_representor(const struct host *h, const struct pci_function *pf, int vf) {
	const struct link *port = host_link(h, pf);

	for (unsigned i = 0; i < h->links.nlinks; i++) {
		const struct link *l = &h->links.link[i];
		unsigned of_pf;
		int of_vf;

		if (l->port_name[0] == '\0' || !represents(l->port_name, &of_pf, &of_vf) ||
			of_vf != vf)
			continue;
		if (strcmp(l->parent, pf->slot) == 0)
			return l;
		if (l->parent[0] == '\0' && port != NULL && port->switch_id[0] != '\0' &&
			strcmp(port->switch_id, l->switch_id) == 0 && of_pf == (pf->address & 7))
			return l;
	}
	return NULL;
}

static const struct pci_function *by_interface(
	const struct host *h, const struct link *l, struct err *e) {
	const struct pci_function *f = pci_at(&h->pci, l->parent);

	if (f == NULL)
		err_set(e, ENODEV, "%s is not the interface of a PCI function%s%s%s", l->name,
			l->kind[0] != '\0' ? " but a " : "", l->kind,
			l->kind[0] != '\0' ? " interface" : "");
	return f;
}

static const struct pci_function *by_ids(
	const struct host *h, unsigned vendor, unsigned device, struct err *e) {
	const struct pci_function *first = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < h->pci.n; i++) {
		const struct pci_function *f = &h->pci.fn[i];

		if (f->vendor == vendor && f->device == device) {
			first = n++ == 0 ? f : first;
		}
	}
	if (n == 0)
		err_set(e, ENODEV,
			"no PCI function here is a %04x:%04x; `weir nic list` shows "
			"what there is",
			vendor, device);
	else if (n > 1)
		err_set(e, EINVAL,
			"%u PCI functions are a %04x:%04x; name one by its address, the "
			"first is %s",
			n, vendor, device, first->slot);
	return n == 1 ? first : NULL;
}

const struct pci_function *host_find(const struct host *h, const char *word, struct err *e) {
	const struct link *l = links_name(&h->links, word);
	const struct pci_function *f;
	char slot[PCI_SLOT_MAX];
	unsigned vendor, device;
	int end = 0;

	if (pci_slot(word, slot)) {
		f = pci_at(&h->pci, slot);
		if (f == NULL)
			err_set(e, ENODEV,
				"there is no PCI function %s; `weir nic list` shows "
				"those of the network",
				slot);
		return f;
	}
	if (l != NULL)
		return by_interface(h, l, e);
	if (sscanf(word, "%4x:%4x%n", &vendor, &device, &end) == 2 && word[end] == '\0')
		return by_ids(h, vendor, device, e);
	err_set(e, ENODEV,
		"'%.40s' is neither the address of a PCI function (0000:01:00.0) nor an "
		"interface here; `weir nic list` shows what there is",
		word);
	return NULL;
}
