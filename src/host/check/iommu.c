/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/check/iommu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Three parties have to agree before there are IOMMU groups: the firmware offers the unit by an ACPI table
 * (a switch in the BIOS hides it), the kernel was built for it, and its command line does not forbid it,
 * for Intel mostly has to ask for it. Each leaves its trace: the table's name, the CPU's vendor, the
 * command line. From which of them is missing follows what is to be done. */

static const struct vendor {
	const char *cpu; /* in /proc/cpuinfo */
	const char *name, *table; /* of the unit, and of the firmware's table */
	const char *bios; /* what the switch is called there */
	const char *off; /* the word that forbids it, beside iommu=off; NULL: there is none */
	const char *on; /* the word that asks for it */
	bool ask; /* the kernel wants to be asked */
} vendors[] = {
	{"GenuineIntel", "VT-d", "DMAR", "Intel VT-d (Virtualization for Directed I/O)",
		"intel_iommu=off", "intel_iommu=on", true},
	{"AuthenticAMD", "AMD-Vi", "IVRS", "IOMMU (AMD-Vi; under NBIO or AMD CBS)", "amd_iommu=off",
		"amd_iommu=on", false},
	{"HygonGenuine", "AMD-Vi", "IVRS", "IOMMU (AMD-Vi)", "amd_iommu=off", "amd_iommu=on",
		false},
	{"CPU implementer", "SMMU", "IORT", "SMMU (IOMMU)", NULL, NULL, false},
};
enum { NVENDORS = sizeof(vendors) / sizeof(vendors[0]) };

static const char add_word[] =
	"add it to GRUB_CMDLINE_LINUX in /etc/default/grub, run update-grub, restart";

bool kernel_word(const struct root *r, const char *name, char *buf, size_t size) {
	char line[4096], *save = NULL;
	size_t n = strlen(name);

	if (root_line(r, line, sizeof(line), "/proc/cmdline") < 0)
		return false;
	for (char *w = strtok_r(line, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
		if (strncmp(w, name, n) != 0 || (w[n] != '\0' && w[n] != '='))
			continue;
		snprintf(buf, size, "%s", w);
		return true;
	}
	return false;
}

/* NULL: neither CPU nor table tell. *vm: this is itself a virtual machine. */
static const struct vendor *vendor_of(const struct root *r, bool *vm) {
	char text[8192];

	*vm = false;
	if (root_read(r, text, sizeof(text), "/proc/cpuinfo") > 0) {
		*vm = strstr(text, " hypervisor") != NULL;
		for (int i = 0; i < NVENDORS; i++)
			if (strstr(text, vendors[i].cpu) != NULL)
				return &vendors[i];
	}
	for (int i = 0; i < NVENDORS; i++)
		if (root_has(r, "/sys/firmware/acpi/tables/%s", vendors[i].table))
			return &vendors[i];
	return NULL;
}

/* Groups that stand for an IOMMU; `type` gets the kind of domain of the first ("DMA-FQ", "identity"). */
static int count_groups(const struct root *r, char *type, size_t size) {
	char **names, word[32];
	int n = root_names(r, &names, "/sys/kernel/iommu_groups"), count = 0;

	type[0] = '\0';
	for (int i = 0; i < n; i++) {
		if (root_line(r, word, sizeof(word), "/sys/kernel/iommu_groups/%s/name",
			    names[i]) == 0 &&
			strcmp(word, "vfio-noiommu") == 0)
			continue;
		if (count++ == 0)
			root_line(r, type, size, "/sys/kernel/iommu_groups/%s/type", names[i]);
	}
	if (n >= 0)
		root_names_free(names, n);
	return count;
}

bool iommu_on(const struct root *r) {
	char type[32];

	return count_groups(r, type, sizeof(type)) > 0;
}

/* Why there are no groups, and what to do. */
static void judge_off(const struct root *r, struct finding *f) {
	static const char *const general[] = {"iommu=off", "iommu=soft"};
	char word[64];
	bool vm;
	const struct vendor *v = vendor_of(r, &vm);
	bool acpi = root_has(r, "/sys/firmware/acpi/tables");
	bool offered = v != NULL && root_has(r, "/sys/firmware/acpi/tables/%s", v->table);

	finding_say(f, SEVERITY_ERROR,
		"the IOMMU is off: there are no groups in "
		"/sys/kernel/iommu_groups");
	for (int i = 0; i < 3; i++) {
		const char *w = i < 2 ? general[i] : v != NULL ? v->off : NULL;
		size_t n = w != NULL ? strcspn(w, "=") : 0;
		char name[32];

		if (w == NULL)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)n, w);
		if (!kernel_word(r, name, word, sizeof(word)) || strcmp(word, w) != 0)
			continue;
		text_add(f->evidence, sizeof(f->evidence), "; the kernel was told so: %s", w);
		finding_advise(f,
			"take %s from the kernel's command line (/etc/default/grub, update-grub), "
			"restart",
			w);
		return;
	}
	if (vm && !offered) {
		text_add(f->evidence, sizeof(f->evidence),
			"; this host is itself a virtual machine");
		finding_advise(f,
			"its hypervisor has to give it a virtual IOMMU (QEMU: -device "
			"intel-iommu,intremap=on,caching-mode=on)%s",
			v != NULL && v->ask ? ", and its kernel needs intel_iommu=on" : "");
		return;
	}
	if (v == NULL) {
		finding_advise(f, "turn it on in the BIOS (VT-d, AMD-Vi, SMMU); an Intel host also "
				  "needs intel_iommu=on on the kernel's command line");
		return;
	}
	if (acpi && !offered) {
		text_add(f->evidence, sizeof(f->evidence),
			"; the firmware offers no %s (no ACPI table %s)", v->name, v->table);
		finding_advise(f, "turn on %s in the BIOS%s%s", v->bios,
			v->ask ? "; then the kernel needs " : "", v->ask ? v->on : "");
		return;
	}
	if (offered)
		text_add(f->evidence, sizeof(f->evidence),
			"; the firmware offers %s (ACPI table %s)", v->name, v->table);
	if (v->ask && (!kernel_word(r, "intel_iommu", word, sizeof(word)) ||
			      strstr(word, "on") == NULL)) {
		text_add(f->evidence, sizeof(f->evidence), ", and the kernel was not asked for it");
		finding_advise(f,
			"the kernel needs the argument %s (with iommu=pt host I/O stays "
			"fast): %s",
			v->on, add_word);
		return;
	}
	finding_advise(f,
		"see why the kernel does not use it: dmesg | grep -iE 'dmar|iommu|amd-vi|smmu'; a "
		"broken table needs newer firmware, an own kernel CONFIG_%s",
		v->ask                          ? "INTEL_IOMMU"
		: strcmp(v->table, "IVRS") == 0 ? "AMD_IOMMU"
						: "ARM_SMMU_V3");
}

void iommu_judge(const struct root *r, struct finding *f) {
	char type[32];
	int n = count_groups(r, type, sizeof(type));

	if (n > 0)
		finding_say(f, SEVERITY_GOOD, "the IOMMU is on: %d groups%s%s", n,
			type[0] != '\0' ? ", domains of type " : "", type);
	else
		judge_off(r, f);
}

/* Whether some interrupt goes through the remapping unit: their chips are then called IR-... */
static int remapped(const struct root *r) {
	char **names, chip[64];
	int n = root_names(r, &names, "/sys/kernel/irq"), found = 0, told = 0;

	for (int i = 0; i < n; i++) {
		if (root_line(r, chip, sizeof(chip), "/sys/kernel/irq/%s/chip_name", names[i]) < 0)
			continue;
		told = 1;
		found |= strncmp(chip, "IR-", 3) == 0 || strstr(chip, "-IR-") != NULL ||
			 strncmp(chip, "ITS", 3) == 0;
	}
	if (n >= 0)
		root_names_free(names, n);
	return told ? found : -1;
}

/* Bit 3 of the extended capabilities of each Intel unit: 1 all of them can, 0 one cannot, -1 not told. */
static int can_remap(const struct root *r) {
	char **names, hex[32];
	int n = root_names(r, &names, "/sys/class/iommu"), can = -1;

	for (int i = 0; i < n; i++) {
		if (root_line(r, hex, sizeof(hex), "/sys/class/iommu/%s/intel-iommu/ecap",
			    names[i]) < 0)
			continue;
		if ((strtoull(hex, NULL, 16) & 1 << 3) == 0)
			can = 0;
		else if (can < 0)
			can = 1;
	}
	if (n >= 0)
		root_names_free(names, n);
	return can;
}

void iommu_judge_interrupts(const struct root *r, struct finding *f) {
	char unsafe[8] = "";
	int is = remapped(r), can = can_remap(r);

	root_line(r, unsafe, sizeof(unsafe),
		"/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
	if (!iommu_on(r)) {
		finding_say(f, SEVERITY_NOTE, "without IOMMU no interrupt is remapped");
	} else if (is > 0) {
		finding_say(f, SEVERITY_GOOD, "interrupts are remapped");
	} else if (can == 0 || is == 0) {
		bool allowed = unsafe[0] == 'Y' || unsafe[0] == '1';

		finding_say(f, allowed ? SEVERITY_WARNING : SEVERITY_ERROR,
			"interrupts are not remapped%s: a guest could send any interrupt to this "
			"host%s",
			can == 0   ? " (the IOMMU cannot)"
			: can == 1 ? " (the IOMMU could)"
				   : "",
			allowed ? ", and vfio was told to allow that (allow_unsafe_interrupts)"
				: "; vfio refuses devices then");
		finding_advise(f,
			"turn on x2APIC and interrupt remapping in the BIOS and take "
			"intremap=off, nointremap from the kernel's command line%s",
			allowed ? ""
				: "; only where every guest is trusted: options vfio_iommu_type1 "
				  "allow_unsafe_interrupts=1 in /etc/modprobe.d");
	} else {
		finding_say(f, can == 1 ? SEVERITY_GOOD : SEVERITY_NOTE, "%s",
			can == 1
				? "the IOMMU can remap interrupts; whether it does is not told here"
				: "whether interrupts are remapped is not told here");
	}
}

/* 2: loaded or built in; 1: modprobe would find it; 0: it is not there; -1: not told. */
static int module_state(const struct root *r, const char *name, const char *file) {
	static const char *const ends[] = {"", ".xz", ".zst", ".gz"};
	char release[128], builtin[128];

	if (root_has(r, "/sys/module/%s", name))
		return 2;
	if (root_line(r, release, sizeof(release), "/proc/sys/kernel/osrelease") < 0 ||
		!root_has(r, "/lib/modules/%s/kernel", release))
		return -1;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		snprintf(builtin, sizeof(builtin), "%s%s", file, ends[i]);
		if (root_has(r, "/lib/modules/%s/kernel/drivers/vfio/%s", release, builtin))
			return 1;
	}
	return 0;
}

void iommu_judge_vfio(const struct root *r, struct finding *f) {
	int pci = root_has(r, "/sys/bus/pci/drivers/vfio-pci")
			  ? 2
			  : module_state(r, "vfio_pci", "pci/vfio-pci.ko");
	int type1 = root_has(r, "/sys/module/iommufd")
			    ? 2
			    : module_state(r, "vfio_iommu_type1", "vfio_iommu_type1.ko");
	int least = pci < type1 ? pci : type1;

	if (least == 2) {
		finding_say(f, SEVERITY_GOOD, "vfio-pci and vfio_iommu_type1 are loaded");
	} else if (least == 0) {
		finding_say(f, SEVERITY_ERROR, "the running kernel has no %s",
			pci == 0 ? "vfio-pci" : "vfio_iommu_type1");
		finding_advise(f, "run a kernel that has it (Debian: linux-image-amd64, not the "
				  "cloud kernel; an own one: CONFIG_VFIO_PCI=m)");
	} else {
		finding_say(f, least == 1 ? SEVERITY_WARNING : SEVERITY_NOTE, "%s not loaded%s",
			pci < 2 ? "vfio-pci is" : "vfio_iommu_type1 is",
			least < 0 ? "; whether the kernel has it is not told here" : "");
		finding_advise(f, "modprobe vfio-pci; to have it after a restart: echo vfio-pci > "
				  "/etc/modules-load.d/vfio.conf");
	}
}
