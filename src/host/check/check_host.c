/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/check/check_rule.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/file.h"
#include "host/change/journal.h"
#include "host/change/store.h"
#include "host/check/device.h"
#include "host/check/iommu.h"

/* Rules about the host as a whole: what passthrough needs of it, and what weir left undone. */

/* Without an intent to pass anything through, what is missing for it is a note. */
static void take_if_meant(struct check *c, struct finding *f) {
	if (f->severity == SEVERITY_NOTE)
		return; // it cannot be told from here
	if (!c->intent)
		f->severity = SEVERITY_NOTE;
	check_take(c, f);
}

void rule_iommu(struct check *c) {
	struct finding f = {.subject = "host"};

	iommu_judge(c->root, &f);
	if (f.severity != SEVERITY_GOOD)
		take_if_meant(c, &f);
}

void rule_interrupts(struct check *c) {
	struct finding f = {.subject = "host"};

	iommu_judge_interrupts(c->root, &f);
	if (f.severity != SEVERITY_GOOD)
		take_if_meant(c, &f);
}

void rule_vfio(struct check *c) {
	struct finding f = {.subject = "host"};

	if (!iommu_on(c->root))
		return;
	iommu_judge_vfio(c->root, &f);
	if (f.severity != SEVERITY_GOOD)
		take_if_meant(c, &f);
}

void rule_override(struct check *c) {
	const struct pci *p = &c->host->pci;

	for (unsigned i = 0; i < p->n; i++) {
		const struct pci_function *f = &p->fn[i];
		struct finding *new;

		if (f->wanted[0] == '\0' || strcmp(f->wanted, f->driver) == 0)
			continue;
		new = check_found(c, SEVERITY_WARNING, f->slot,
			"driver_override asks for %s, and %s has it", f->wanted,
			f->driver[0] != '\0' ? f->driver : "no driver");
		finding_advise(new,
			"weir pci bind %s %s, or weir pci unbind %s to give up the wish", f->slot,
			f->wanted, f->slot);
	}
}

/* Who is in a group, by what they are. */
struct members {
	unsigned count, vfs, at_vfio, in_the_way, networks;
	char text[300];
};

static void look_at_group(const struct check *c, int group, struct members *m) {
	const struct pci *p = &c->host->pci;

	*m = (struct members){.count = 0};
	for (unsigned i = 0; i < p->n; i++) {
		const struct pci_function *f = &p->fn[i];

		if (f->group != group || f->class >> 16 == PCI_CLASS_BRIDGE)
			continue;
		text_add(m->text, sizeof(m->text), "%s%s (%s)", m->count++ > 0 ? ", " : "", f->slot,
			f->driver[0] != '\0' ? f->driver : "no driver");
		m->vfs += pci_is_vf(f);
		m->at_vfio += pci_driver_is_vfio(f->driver);
		m->in_the_way += !device_harmless(f);
		m->networks += pci_is_network(f);
	}
}

static void judge_shared(struct check *c, int group, const struct members *m) {
	bool refused = m->at_vfio > 0 && m->in_the_way > 0;
	bool whole = m->at_vfio == m->count;
	char name[32];
	struct finding *f;

	snprintf(name, sizeof(name), "group %d", group);
	f = check_found(c,
		refused                        ? SEVERITY_ERROR
		: whole                        ? SEVERITY_NOTE
		: m->vfs > 0 || m->at_vfio > 0 ? SEVERITY_WARNING
					       : SEVERITY_NOTE,
		name, "%s%s%s", m->text, whole ? " all go to one guest" : " are in one group",
		refused ? ": vfio refuses what it has of it" : "");
	finding_advise(f, "%s",
		whole ? "nothing, if that is meant; to part them see the BIOS for ACS"
		      : "turn on ACS in the BIOS, put the card into a slot behind another root "
			"port, or "
			"give all of the group to one guest");
}

/* Bridges do not count. Groups in which nothing is for guests (the chipset's own) are of no interest. */
void rule_group(struct check *c) {
	const struct pci *p = &c->host->pci;
	struct members m;
	int last = -1;

	for (unsigned i = 0; i < p->n; i++)
		last = p->fn[i].group > last ? p->fn[i].group : last;
	for (int group = 0; group <= last; group++) {
		look_at_group(c, group, &m);
		if (m.count > 1 && (m.vfs > 0 || m.at_vfio > 0 || m.networks > 1))
			judge_shared(c, group, &m);
	}
}

/* Who may not open the lock finds it in the kernel's list, when it is held. */
static bool listed_as_locked(const char *path) {
	FILE *f = fopen("/proc/locks", "re");
	unsigned major_no, minor_no;
	unsigned long inode;
	bool found = false;
	char line[256];
	struct stat st;

	if (stat(path, &st) == 0)
		while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL)
			found = sscanf(line, "%*s FLOCK %*s %*s %*s %x:%x:%lu", &major_no,
					&minor_no, &inode) == 3 &&
				inode == st.st_ino && makedev(major_no, minor_no) == st.st_dev;
	if (f != NULL)
		fclose(f);
	return found;
}

/* Whether somebody is at it right now: the lock is held. Nothing is made or changed to find that out. */
static bool change_runs(const char *state) {
	char path[PATH_MAX];
	bool held;
	int fd;

	snprintf(path, sizeof(path), "%s/lock", state);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == EACCES && listed_as_locked(path);
	held = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	close(fd);
	return held;
}

/* The first line of a transaction, NULL: it cannot be read. */
static json_t *journal_head(const char *state, unsigned id) {
	char path[PATH_MAX];
	json_t *v = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "%s/journal/%u.json", state, id);
	f = file_stream(path, NULL);
	if (f == NULL)
		return NULL;
	v = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL);
	fclose(f);
	return v;
}

/* One of an earlier start of the host has no end any more: what it changed went with the restart. */
void rule_journal(struct check *c) {
	const char *state = store_folder(c->state);
	char now[BOOT_MAX], name[32];
	unsigned id = 0;

	if (change_runs(state))
		return;
	boot_read(c->root, now);
	while ((id = journal_before(state, id)) != 0) {
		json_t *head = journal_ended(state, id) ? NULL : journal_head(state, id);
		const char *boot = json_string_value(json_object_get(head, "boot"));
		const char *command = json_string_value(json_object_get(head, "begin"));

		if (boot != NULL && command != NULL && strcmp(boot, now) == 0) {
			snprintf(name, sizeof(name), "transaction %u", id);
			finding_advise(check_found(c, SEVERITY_ERROR, name,
					       "'%s' was cut off in the middle", command),
				"weir host undo takes it back, weir host apply --resume goes on "
				"with it");
		}
		json_decref(head);
	}
}

/* What is to be brought about at every start, and verified since, has to be possible here. */
void rule_desired_state(struct check *c) {
	if (c->wanted.text[0] != '\0')
		finding_advise(check_found(c, SEVERITY_ERROR, CHECK_WANTED, "%s", c->wanted.text),
			"correct it; weir host plan " CHECK_WANTED " says whether that did");
}
