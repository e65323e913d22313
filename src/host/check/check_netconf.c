/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdio.h>
#include <string.h>

#include "base/mac.h"
#include "host/check/check_rule.h"

/* Whether NetworkManager or systemd would configure or rename the interfaces of VFs. A VF's interface is
 * there until the VF goes to a guest, and whoever manages all interfaces asks for an address on it, so that
 * the host is on the tenants' networks. A VF that the host itself uses is nobody's mistake.
 *
 * What a running manager says of an interface comes before what its files say. */

/* Interfaces of VFs that a manager would touch, gathered by PF. */
struct touched {
	unsigned n;
	char names[160];
};

static void touch(struct touched *t, const char *name) {
	if (t->n < 4)
		text_add(t->names, sizeof(t->names), "%s%s", t->n > 0 ? ", " : "", name);
	else if (t->n == 4)
		text_add(t->names, sizeof(t->names), " ...");
	t->n++;
}

/* An interface that is not to be used by this host. */
static bool spare(const struct check_vf *v) {
	return v->own != NULL && (v->owner[0] != '\0' || v->use.kind != USE_NETDEV);
}

/* NetworkManager: "keyfile.unmanaged-devices", and [device...] sections with match-device and managed. */
struct unmanaged {
	char specs[2048];
	char match[512];
	bool off;
};

static void nm_line(void *ctx, const char *section, const char *key, const char *value) {
	struct unmanaged *u = ctx;

	if (key == NULL) {
		u->match[0] = '\0';
		u->off = false;
	} else if (strcmp(section, "keyfile") == 0 && strcmp(key, "unmanaged-devices") == 0) {
		snprintf(u->specs, sizeof(u->specs), "%s", value);
	} else if (strcmp(section, "keyfile") == 0 && strcmp(key, "unmanaged-devices+") == 0) {
		text_add(u->specs, sizeof(u->specs), ";%s", value);
	} else if (strncmp(section, "device", 6) == 0) {
		if (strcmp(key, "match-device") == 0)
			snprintf(u->match, sizeof(u->match), "%s", value);
		if (strcmp(key, "managed") == 0)
			u->off = strchr("0fFnN", value[0]) != NULL;
		if (u->off && u->match[0] != '\0')
			text_add(u->specs, sizeof(u->specs), ";%s", u->match);
	}
}

static void nm_file(void *ctx, const char *file, char *text) {
	struct unmanaged *u = ctx;

	u->match[0] = '\0';
	u->off = false;
	conf_ini(text, nm_line, ctx);
}

static bool nm_spec(const char *spec, const struct check_vf *v) {
	uint64_t mac;

	if (strncmp(spec, "interface-name:", 15) == 0)
		return conf_matches(spec + 15 + (spec[15] == '='), "", v->own->name);
	if (strncmp(spec, "driver:", 7) == 0)
		return conf_matches(spec + 7, "/", v->fn->driver);
	if (strncmp(spec, "mac:", 4) == 0)
		return mac_parse(spec + 4, &mac) == 0 && mac == v->own->mac;
	if (strcmp(spec, "type:ethernet") == 0 || strcmp(spec, "*") == 0)
		return true;
	return strcmp(spec, v->own->name) == 0;
}

/* Some of the specs is its, and none that excepts it. */
static bool nm_excluded(const char *specs, const struct check_vf *v) {
	char list[sizeof(((struct unmanaged *)0)->specs)], *save = NULL;
	bool out = false;

	snprintf(list, sizeof(list), "%s", specs);
	for (char *s = strtok_r(list, ";,", &save); s != NULL; s = strtok_r(NULL, ";,", &save)) {
		s += strspn(s, " ");
		if (strncmp(s, "except:", 7) == 0) {
			if (nm_spec(s + 7, v))
				return false;
		} else {
			out |= nm_spec(s, v);
		}
	}
	return out;
}

static bool nm_manages(const struct check *c, const struct unmanaged *u, const struct check_vf *v) {
	char text[4096];

	if (root_read(c->root, text, sizeof(text), "/run/NetworkManager/devices/%d",
		    v->own->index) > 0 &&
		strstr(text, "managed=") != NULL)
		return strstr(text, "managed=true") != NULL;
	if (root_read(c->root, text, sizeof(text), "/run/udev/data/n%d", v->own->index) > 0 &&
		strstr(text, "E:NM_UNMANAGED=1") != NULL)
		return false;
	return !nm_excluded(u->specs, v);
}

void rule_networkmanager(struct check *c) {
	static const char *const at[] = {"/usr/lib/NetworkManager/conf.d",
		"/run/NetworkManager/conf.d", "/etc/NetworkManager/NetworkManager.conf",
		"/etc/NetworkManager/conf.d"};
	struct unmanaged u = {.off = false};

	if (!root_has(c->root, "/run/NetworkManager"))
		return;
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
		conf_each(c->root, at[i], ".conf", nm_file, &u);
	for (const struct pci_function *pf = check_next_pf(c, NULL); pf != NULL;
		pf = check_next_pf(c, pf)) {
		struct touched t = {0};
		const char *driver = "";

		for (unsigned i = 0; i < c->nvfs; i++) {
			const struct check_vf *v = &c->vf[i];

			if (v->pf != pf || !spare(v) || !nm_manages(c, &u, v))
				continue;
			touch(&t, v->own->name);
			driver = v->fn->driver;
		}
		if (t.n > 0)
			finding_advise(
				check_found(c, SEVERITY_WARNING, pf->slot,
					"NetworkManager runs and manages %u interfaces of VFs (%s)",
					t.n, t.names),
				"put \"[keyfile]\" and \"unmanaged-devices+=driver:%s\" into "
				"/etc/NetworkManager/conf.d/90-vfs.conf, then: nmcli general "
				"reload",
				driver);
	}
}

/* A .network or .link file: what it matches, as far as that can be told. */
struct unit {
	char file[128];
	char names[256], drivers[128], rename[64];
	bool matches, original, other, unmanaged; /* original: names are of OriginalName= */
};

static void unit_line(void *ctx, const char *section, const char *key, const char *value) {
	struct unit *u = ctx;

	if (key == NULL)
		return;
	if (strcmp(section, "Match") == 0) {
		u->matches = true;
		u->original |= strcmp(key, "OriginalName") == 0;
		if (strcmp(key, "Name") == 0 || strcmp(key, "OriginalName") == 0)
			text_add(u->names, sizeof(u->names), " %s", value);
		else if (strcmp(key, "Driver") == 0)
			text_add(u->drivers, sizeof(u->drivers), " %s", value);
		else if (strcmp(key, "Type") != 0 || strcmp(value, "ether") != 0)
			u->other = true;
	} else if (strcmp(section, "Link") == 0 && strcmp(key, "Name") == 0) {
		snprintf(u->rename, sizeof(u->rename), "%s", value);
	} else if (strcmp(section, "Link") == 0 && strcmp(key, "Unmanaged") == 0) {
		u->unmanaged = strchr("1yYtT", value[0]) != NULL;
	}
}

enum { UNITS_MAX = 64 };
struct units {
	struct unit of[UNITS_MAX];
	unsigned n;
};

static void unit_file(void *ctx, const char *file, char *text) {
	struct units *all = ctx;
	struct unit *u = &all->of[all->n];

	if (all->n == UNITS_MAX)
		return;
	*u = (struct unit){.other = false};
	snprintf(u->file, sizeof(u->file), "%s", file);
	conf_ini(text, unit_line, u);
	all->n += u->matches && !u->other;
}

static void read_units(const struct check *c, const char *end, struct units *all) {
	all->n = 0;
	conf_each(c->root, "/etc/systemd/network", end, unit_file, all);
	conf_each(c->root, "/run/systemd/network", end, unit_file, all);
}

/* A .network file's Name= means any name of an interface; a .link file's OriginalName= is the kernel's, when
 * there are no others yet. */
static bool name_matches(const struct unit *u, const struct link *l) {
	bool so = u->names[0] == '\0' || conf_matches(u->names, " ", l->name);

	for (unsigned i = 0; i < l->naltnames && !so; i++)
		so = !u->original && conf_matches(u->names, " ", l->altname[i]);
	return so;
}

static bool unit_matches(const struct unit *u, const struct check_vf *v) {
	return name_matches(u, v->own) &&
	       (u->drivers[0] == '\0' || conf_matches(u->drivers, " ", v->fn->driver));
}

/* The file by which systemd-networkd configures a VF's interface, "": it does not. */
static void networkd_file(const struct check *c, const struct units *all, const struct check_vf *v,
	char *buf, size_t size) {
	char text[4096], *at;

	buf[0] = '\0';
	if (root_read(c->root, text, sizeof(text), "/run/systemd/netif/links/%d", v->own->index) >
		0) {
		at = strstr(text, "\nNETWORK_FILE=");
		if (at != NULL && strstr(text, "ADMIN_STATE=unmanaged") == NULL)
			snprintf(buf, size, "%.*s", (int)strcspn(at + 14, "\n"), at + 14);
		return;
	}
	for (unsigned i = 0; i < all->n; i++) {
		if (!unit_matches(&all->of[i], v))
			continue;
		if (!all->of[i].unmanaged)
			snprintf(buf, size, "%s", all->of[i].file);
		return; // the first that matches decides
	}
}

static void judge_networkd(struct check *c, const struct units *all) {
	for (const struct pci_function *pf = check_next_pf(c, NULL); pf != NULL;
		pf = check_next_pf(c, pf)) {
		char file[128] = "", one[128];
		struct touched t = {0};

		for (unsigned i = 0; i < c->nvfs; i++) {
			const struct check_vf *v = &c->vf[i];

			if (v->pf != pf || !spare(v))
				continue;
			networkd_file(c, all, v, one, sizeof(one));
			if (one[0] == '\0')
				continue;
			touch(&t, v->own->name);
			memcpy(file, one, sizeof(file));
		}
		if (t.n > 0)
			finding_advise(check_found(c, SEVERITY_WARNING, pf->slot,
					       "systemd-networkd configures %u interfaces of VFs "
					       "(%s) by %s",
					       t.n, t.names, file),
				"match more narrowly there, or put a file before it that matches "
				"the VFs "
				"and says Unmanaged=yes under [Link]");
	}
}

/* One fixed name for what may be many. */
static void judge_links(struct check *c, const struct units *all) {
	for (unsigned i = 0; i < all->n; i++) {
		const struct unit *u = &all->of[i];
		struct touched t = {0};

		for (unsigned j = 0; u->rename[0] != '\0' && j < c->nvfs; j++)
			if (c->vf[j].own != NULL && unit_matches(u, &c->vf[j]))
				touch(&t, c->vf[j].own->name);
		if (t.n > 0)
			finding_advise(check_found(c, SEVERITY_WARNING, u->file,
					       "it names %u interfaces of VFs (%s) '%s'", t.n,
					       t.names, u->rename),
				"match the physical function alone, by Path= or "
				"PermanentMACAddress=");
	}
}

void rule_networkd(struct check *c) {
	struct units all;

	if (root_has(c->root, "/run/systemd/netif")) {
		read_units(c, ".network", &all);
		judge_networkd(c, &all);
	}
	read_units(c, ".link", &all);
	judge_links(c, &all);
}
