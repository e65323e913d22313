/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdio.h>
#include <string.h>

#include "host/export/export.h"

/* QEMU opens the device itself: it has to be bound to vfio-pci before. MAC, VLAN and rates are the PF's
 * and need no argument.
 *
 * host= has 16 bits for the domain (hw/core/qdev-properties-system.c); the folder of the device has no
 * such bound. */

/* "pci-0000-01-10.6": an id of QEMU has no colon. */
static void device_id(const char *slot, char *buf, size_t size) {
	snprintf(buf, size, "pci-%s", slot);
	for (char *p = buf; *p != '\0'; p++)
		if (*p == ':')
			*p = '-';
}

static void note_driver(struct export *x, const struct export_function *f, const char *text) {
	if (pci_driver_is_vfio(f->fn->driver))
		return;
	if (f->fn->driver[0] == '\0')
		export_note(x, "%s has no driver; QEMU wants it bound to vfio-pci", text);
	else
		export_note(x, "%s is bound to %s; QEMU wants it bound to vfio-pci", text,
			f->fn->driver);
}

int export_to_qemu(struct export *x, json_t *doc, struct err *e) {
	json_t *arguments = json_array();

	for (unsigned i = 0; i < x->n; i++) {
		const struct export_function *f = &x->fn[i];
		char id[PCI_SLOT_MAX + 8], text[EXPORT_TEXT_MAX];

		device_id(f->fn->slot, id, sizeof(id));
		note_driver(x, f, export_text(f, text));
		export_note_vm(x, f);
		json_array_append_new(arguments, json_string("-device"));
		json_array_append_new(arguments,
			json_sprintf("vfio-pci,%s%s,id=%s",
				export_far_domain(f) ? "sysfsdev=/sys/bus/pci/devices/" : "host=",
				f->fn->slot, id));
	}
	export_note(x, "all memory of the guest is locked while it has a device: 'ulimit -l' of "
		       "QEMU's user has to be that much and some 100 MiB more");
	export_note(x,
		"huge pages make the IOMMU's tables small: -object "
		"memory-backend-memfd,hugetlb=on,id=ram,size=SIZE -machine memory-backend=ram");
	export_note(x,
		"with an IOMMU in the guest: -device intel-iommu,intremap=on,caching-mode=on, "
		"on machine q35 with kernel-irqchip=split, before all other devices");
	return json_object_set_new(doc, "arguments", arguments);
}
