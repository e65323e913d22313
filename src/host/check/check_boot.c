/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/check/check_rule.h"
#include "host/check/iommu.h"

/* Rules about what else sets up VFs and their interfaces when the host starts. */

/* /etc/network/interfaces: "auto NAME...", "allow-hotplug NAME...", where a name may be a pattern behind a
 * slash. */
static bool ifupdown_names(const char *line, const char *name) {
	static const char *const words[] = {"auto ", "allow-hotplug ", "allow-auto "};
	char list[512], *save = NULL;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strncmp(line, words[i], strlen(words[i])) != 0)
			continue;
		snprintf(list, sizeof(list), "%s", line + strlen(words[i]));
		for (char *w = strtok_r(list, " \t", &save); w != NULL;
			w = strtok_r(NULL, " \t", &save))
			if (conf_matches(w[0] == '/' ? w + 1 : w, "/=", name))
				return true;
	}
	return false;
}

static void ifupdown_file(void *ctx, const char *file, char *text) {
	struct check *c = ctx;
	char *save = NULL;

	for (char *l = strtok_r(text, "\n", &save); l != NULL; l = strtok_r(NULL, "\n", &save)) {
		l += strspn(l, " \t");
		for (unsigned i = 0; i < c->nvfs; i++) {
			const struct check_vf *v = &c->vf[i];

			if (v->own != NULL && v->handed && ifupdown_names(l, v->own->name))
				finding_advise(
					check_found(c, SEVERITY_WARNING, v->name,
						"%s brings up %s (\"%s\"), which is for a guest",
						file, v->own->name, l),
					"take it out of %s", file);
		}
	}
}

void rule_ifupdown(struct check *c) {
	conf_each(c->root, "/etc/network/interfaces", "", ifupdown_file, c);
	conf_each(c->root, "/etc/network/interfaces.d", "", ifupdown_file, c);
}

static void find_disabled(void *ctx, const char *file, char *text) {
	const char *at = strstr(text, "network:");

	if (at != NULL && strstr(at, "disabled") != NULL)
		*(bool *)ctx = true;
}

void rule_cloud_init(struct check *c) {
	unsigned interfaces = 0;
	bool disabled = false;
	char word[64];

	for (unsigned i = 0; i < c->nvfs; i++)
		interfaces += c->vf[i].own != NULL;
	if (interfaces == 0 || !root_has(c->root, "/etc/cloud/cloud.cfg") ||
		root_has(c->root, "/etc/cloud/cloud-init.disabled") ||
		(kernel_word(c->root, "cloud-init", word, sizeof(word)) &&
			strcmp(word, "cloud-init=disabled") == 0))
		return;
	conf_each(c->root, "/etc/cloud/cloud.cfg.d", ".cfg", find_disabled, &disabled);
	if (disabled)
		return;
	finding_advise(
		check_found(c, SEVERITY_NOTE, "/etc/cloud/cloud.cfg",
			"cloud-init is on and may write network configuration for interfaces of "
			"VFs (%u are there), or take one for the first of the host",
			interfaces),
		"echo 'network: {config: disabled}' > /etc/cloud/cloud.cfg.d/99-network.cfg");
}

/* Files in which others say how many VFs there are to be. The number stands behind the word, but for a
 * shell's "echo 4 > .../sriov_numvfs". */
static const struct source {
	const char *path, *end, *word;
} sources[] = {
	{"/etc/udev/rules.d", ".rules", "sriov_numvfs"},
	{"/etc/modprobe.d", ".conf", "max_vfs"},
	{"/etc/systemd/network", ".link", "SR-IOVVirtualFunctions"},
	{"/etc/systemd/system", ".service", "sriov_numvfs"},
	{"/etc/netplan", ".yaml", "virtual-function-count"},
	{"/etc/NetworkManager/system-connections", ".nmconnection", "total-vfs"},
	{"/etc/network/interfaces", "", "sriov_numvfs"},
	{"/etc/network/interfaces.d", "", "sriov_numvfs"},
	{"/etc/tmpfiles.d", ".conf", "sriov_numvfs"},
	{"/etc/sysfs.conf", "", "sriov_numvfs"},
	{"/etc/rc.local", "", "sriov_numvfs"},
	{"/proc/cmdline", "", "max_vfs"},
};
enum { NSOURCES = sizeof(sources) / sizeof(sources[0]) };

struct search {
	struct check *c;
	const struct source *source;
	bool counts; /* for rule vf-count; else vf-source */
};

/* The number that a line says, the largest of a list (a module's ports), -1: none. */
static long count_in(const char *line, const char *word) {
	const char *at = strstr(line, word), *echo = strstr(line, "echo ");
	long most = -1;
	char *end;

	if (echo != NULL && echo < at)
		return isdigit((unsigned char)echo[5]) ? strtol(echo + 5, NULL, 10) : -1;
	at += strlen(word);
	at += strspn(at, "}=\"': \t");
	if (strncmp(at, "- - - - ", 8) == 0) // tmpfiles.d
		at += 8;
	for (; isdigit((unsigned char)*at); at = *end == ',' ? end + 1 : end) {
		long n = strtol(at, &end, 10);

		most = n > most ? n : most;
	}
	return most;
}

/* The most VFs that a function the line may speak of can have: one whose driver, address or interface it
 * names, else any. 0: there is none. */
static unsigned most_vfs(const struct check *c, const char *line, const char **whose) {
	const struct pci *p = &c->host->pci;
	unsigned any = 0, named = 0;

	*whose = "any device here";
	for (unsigned i = 0; i < p->n; i++) {
		const struct pci_function *f = &p->fn[i];
		const struct link *l = f->vfs_total > 0 ? host_link(c->host, f) : NULL;

		if (f->vfs_total > any)
			any = f->vfs_total;
		if (f->vfs_total <= named)
			continue;
		if (strstr(line, f->slot) != NULL || (l != NULL && strstr(line, l->name) != NULL) ||
			(f->driver[0] != '\0' && strstr(line, f->driver) != NULL)) {
			named = f->vfs_total;
			*whose = f->slot;
		}
	}
	return named > 0 ? named : any;
}

static void source_line(struct search *s, const char *file, const char *line) {
	const char *whose;
	unsigned most = most_vfs(s->c, line, &whose);
	long n = count_in(line, s->source->word);

	if (most == 0)
		return; // nothing here has VFs: the file came with some package
	if (!s->counts)
		finding_advise(check_found(s->c, SEVERITY_WARNING, file,
				       "it sets the number of VFs too (\"%.100s\")", line),
			"leave that to one of both: take the line out, and use weir host apply");
	else if (n > (long)most)
		finding_advise(check_found(s->c, SEVERITY_ERROR, file,
				       "it asks for %ld VFs, and %s can have %u (\"%.100s\")", n,
				       whose, most, line),
			"ask for %u at most", most);
}

static void source_file(void *ctx, const char *file, char *text) {
	struct search *s = ctx;
	char *save = NULL;

	for (char *l = strtok_r(text, "\n", &save); l != NULL; l = strtok_r(NULL, "\n", &save)) {
		l += strspn(l, " \t");
		if (*l != '#' && strstr(l, s->source->word) != NULL)
			source_line(s, file, l);
	}
}

void check_sources(struct check *c, bool counts) {
	for (int i = 0; i < NSOURCES; i++) {
		struct search s = {.c = c, .source = &sources[i], .counts = counts};

		conf_each(c->root, sources[i].path, sources[i].end, source_file, &s);
	}
}

void rule_vf_source(struct check *c) {
	check_sources(c, false);
}
