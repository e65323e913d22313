/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/check/device.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "host/check/iommu.h"

/* A group is what the IOMMU can tell apart: a guest gets all of it or nothing. Who else is in it does not
 * matter as long as no driver of the host moves data there; the kernel checks just that when the group is
 * opened, long after the configuration was written, so it is said here. */

bool device_harmless(const struct pci_function *m) {
	return m->driver[0] == '\0' || pci_driver_is_vfio(m->driver) ||
	       strcmp(m->driver, "pcieport") == 0 || strcmp(m->driver, "pci-stub") == 0;
}

static bool is_bridge(const struct pci_function *m) {
	return m->class >> 16 == PCI_CLASS_BRIDGE;
}

static bool taken_along(const struct device *d, const struct pci_function *m) {
	for (unsigned i = 0; i < d->nwith; i++)
		if (d->with[i] == m)
			return true;
	return false;
}

static void judge_iommu(const struct device *d, struct finding *out) {
	iommu_judge(&d->host->root, out);
	if (out->severity == SEVERITY_GOOD && d->f->group < 0) {
		finding_say(out, SEVERITY_ERROR,
			"the IOMMU is on, but this function is in no group: its unit does not "
			"serve "
			"it");
		finding_advise(out,
			"put the card into another slot, or look for newer firmware (the "
			"ACPI table leaves its slot out)");
	}
}

static void judge_group(const struct device *d, struct finding *out) {
	const struct pci *p = &d->host->pci;
	unsigned harmful = 0, others = 0, bridges = 0;
	char bad[240] = "", rest[240] = "";

	if (d->f->group < 0) {
		finding_say(out, SEVERITY_NOTE, "without IOMMU there are no groups");
		return;
	}
	for (unsigned i = 0; i < p->n; i++) {
		const struct pci_function *m = &p->fn[i];

		if (m == d->f || m->group != d->f->group)
			continue;
		if (is_bridge(m) && device_harmless(m)) {
			bridges++;
		} else if (device_harmless(m) || taken_along(d, m)) {
			text_add(rest, sizeof(rest), "%s%s (%s)", others++ > 0 ? ", " : "", m->slot,
				m->driver[0] != '\0' ? m->driver : "no driver");
		} else {
			text_add(bad, sizeof(bad), "%s%s (%s)", harmful++ > 0 ? ", " : "", m->slot,
				m->driver);
		}
	}
	if (harmful > 0) {
		finding_say(out, SEVERITY_ERROR, "group %d is shared with %s", d->f->group, bad);
		finding_advise(out,
			"give %s to vfio-pci too (all of a group goes to one guest), put the card "
			"into a "
			"slot behind another root port, or turn on ACS in the BIOS",
			harmful == 1 ? "it" : "them");
	} else if (others > 0) {
		finding_say(out, SEVERITY_WARNING,
			"group %d also has %s: all of it goes to one guest", d->f->group, rest);
		finding_advise(out,
			"to give them to different guests, turn on ACS in the BIOS or use "
			"slots behind different root ports");
	} else {
		finding_say(out, SEVERITY_GOOD, "group %d has %s", d->f->group,
			bridges > 0 ? "nothing else but bridges" : "nothing else in it");
	}
}

static void advise_use(const struct use *use, struct finding *out) {
	if (use->pid > 0)
		finding_advise(out, "stop process %d, or take the device from it, first", use->pid);
	else if (use->kind == USE_STORAGE && use->lifeline)
		finding_advise(out, "the host runs from it: that one stays");
	else if (use->kind == USE_STORAGE)
		finding_advise(
			out, "unmount it, swapoff, or take it out of its array or volume group");
	else if (use->kind == USE_NAMESPACE)
		finding_advise(out, "stop the container or namespace that has its interface");
	else
		finding_advise(out,
			"%smove its addresses and routes to another interface, take it out of "
			"its bridge or bond",
			use->lifeline ? "get in by another way (console), then " : "");
}

static void judge_use(const struct device *d, struct finding *out) {
	struct use use = {.kind = USE_FREE};

	if (d->users != NULL)
		users_of(d->users, d->f, &use);
	if (d->f->vfs > 0) {
		finding_say(out, SEVERITY_ERROR,
			"it has %u virtual functions, which go when it goes", d->f->vfs);
		finding_advise(out,
			"hand out its virtual functions instead, or remove them first: weir "
			"vf delete %s",
			d->f->slot);
		return;
	}
	if (use.kind == USE_FREE) {
		finding_say(out, SEVERITY_GOOD, d->users != NULL ? "not in use" : "not looked at");
		return;
	}
	if (use.kind == USE_UNKNOWN) {
		finding_say(out, SEVERITY_WARNING, "%s; whether this host needs it cannot be told",
			use.text);
		finding_advise(out, "make sure that nothing does; root sees more");
		return;
	}
	finding_say(out, SEVERITY_ERROR, "in use: %s%s", use.text,
		use.lifeline ? "; taking it would cut you off from this host" : "");
	advise_use(&use, out);
}

static void judge_reset(const struct device *d, struct finding *out) {
	const struct root *r = &d->host->root;
	char ways[64] = "";

	root_line(r, ways, sizeof(ways), "/sys/bus/pci/devices/%s/reset_method", d->f->slot);
	if (strstr(ways, "flr") != NULL || strstr(ways, "device_specific") != NULL) {
		finding_say(out, SEVERITY_GOOD, "it can be reset by itself (%s)", ways);
	} else if (ways[0] != '\0') {
		finding_say(out, SEVERITY_NOTE, "it can be reset by %s only%s", ways,
			strncmp(ways, "pm", 2) == 0 ? ", which may leave some of its state" : "");
	} else if (root_has(r, "/sys/bus/pci/devices/%s/reset", d->f->slot)) {
		finding_say(out, SEVERITY_GOOD, "it can be reset (this kernel does not tell how)");
	} else if (r->recorded) {
		finding_say(out, SEVERITY_NOTE, "whether it can be reset is not told here");
	} else {
		finding_say(out, SEVERITY_WARNING,
			"it cannot be reset: what a guest leaves in it, the next one finds, and "
			"some "
			"cards work only once");
		finding_advise(out,
			"look for newer firmware of the card; else restart the host between "
			"guests that do not trust each other");
	}
}

/* "Max locked memory" of /proc/self/limits in bytes; UINT64_MAX: unlimited or not told. */
static uint64_t locked_limit(const struct root *r) {
	char text[4096], *at;

	if (root_read(r, text, sizeof(text), "/proc/self/limits") <= 0)
		return UINT64_MAX;
	at = strstr(text, "Max locked memory");
	if (at == NULL)
		return UINT64_MAX;
	at += strcspn(at, "0123456789u"); // the number, or "unlimited"
	return *at >= '0' && *at <= '9' ? strtoull(at, NULL, 10) : UINT64_MAX;
}

/* A line of /proc/meminfo in bytes, 0: not told. */
static uint64_t meminfo(const struct root *r, const char *key) {
	char text[8192], *at;

	if (root_read(r, text, sizeof(text), "/proc/meminfo") <= 0)
		return 0;
	at = strstr(text, key);
	return at != NULL ? strtoull(at + strlen(key), NULL, 10) << 10 : 0;
}

/* The whole of a guest's memory is pinned, and a gigabyte more for device memory is what libvirt
 * allows. */
static void judge_memory(const struct device *d, struct finding *out) {
	const struct root *r = &d->host->root;
	uint64_t limit = locked_limit(r), need = d->memory + (1ull << 30);
	uint64_t total = meminfo(r, "MemTotal:"),
		 free = meminfo(r, "MemAvailable:") +
			meminfo(r, "HugePages_Free:") / 1024 * meminfo(r, "Hugepagesize:");
	long long entries =
		root_number(r, -1, "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit");

	if (d->memory > 0 && total > 0 && d->memory > total) {
		finding_say(out, SEVERITY_ERROR,
			"the guest has %" PRIu64 " MiB, this host %" PRIu64, d->memory >> 20,
			total >> 20);
		finding_advise(out, "all of a guest's memory is locked: give it less");
	} else if (d->memory > 0 && total > 0 && d->memory > free) {
		finding_say(out, SEVERITY_WARNING,
			"all of the guest's %" PRIu64 " MiB will be locked, and %" PRIu64
			" are free",
			d->memory >> 20, free >> 20);
		finding_advise(out, "give it less, or free memory before it starts");
	} else if (limit != UINT64_MAX && (d->memory == 0 || need > limit)) {
		finding_say(out, SEVERITY_NOTE,
			"a process started from here may lock %" PRIu64 " MiB (RLIMIT_MEMLOCK)%s",
			limit >> 20, d->memory > 0 ? ", the guest needs more" : "");
		finding_advise(out,
			"libvirt and root raise it themselves; for others the guest's memory and 1 "
			"GiB: "
			"LimitMEMLOCK= in the unit, or memlock in /etc/security/limits.conf");
	} else {
		finding_say(out, SEVERITY_GOOD, "memory may be locked%s",
			limit == UINT64_MAX ? " without limit" : "");
	}
	if (entries >= 0 && entries < 65535)
		text_add(out->evidence, sizeof(out->evidence),
			"; vfio allows %lld mappings only (dma_entry_limit)", entries);
}

static void judge_vfio(const struct device *d, struct finding *out) {
	iommu_judge_vfio(&d->host->root, out);
}

static void judge_interrupts(const struct device *d, struct finding *out) {
	iommu_judge_interrupts(&d->host->root, out);
}

static const struct {
	const char *name;
	void (*judge)(const struct device *d, struct finding *out);
	int code;
} checks[DEVICE_CHECKS] = {
	[DEVICE_IOMMU] = {"iommu", judge_iommu, EOPNOTSUPP},
	[DEVICE_GROUP] = {"group", judge_group, EBUSY},
	[DEVICE_USE] = {"use", judge_use, EBUSY},
	[DEVICE_RESET] = {"reset", judge_reset, EOPNOTSUPP},
	[DEVICE_MEMORY] = {"memory", judge_memory, ENOMEM},
	[DEVICE_VFIO] = {"vfio", judge_vfio, EOPNOTSUPP},
	[DEVICE_INTERRUPTS] = {"interrupts", judge_interrupts, EOPNOTSUPP},
};

void device_judge(const struct device *d, enum device_check what, struct finding *out) {
	*out = (struct finding){.rule = checks[what].name};
	snprintf(out->subject, sizeof(out->subject), "%s", d->f->slot);
	checks[what].judge(d, out);
}

int device_refuse(const struct device *d, unsigned which, struct err *e) {
	struct finding f;

	for (int i = 0; i < DEVICE_CHECKS; i++) {
		if ((which & 1u << i) == 0)
			continue;
		device_judge(d, (enum device_check)i, &f);
		if (f.severity == SEVERITY_ERROR)
			return err_set(
				e, checks[i].code, "%s: %s; %s", d->f->slot, f.evidence, f.remedy);
	}
	return 0;
}
