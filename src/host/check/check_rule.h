/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_CHECK_RULE_H
#define WEIR_HOST_CHECK_RULE_H

#include <stdbool.h>

#include <jansson.h>

#include "base/err.h"
#include "host/check/check.h"
#include "host/want/want.h"

/* What the files of rules (check_*.c) share. */

/* A virtual function with all that is known of it. Nothing below is owned. */
struct check_vf {
	const struct pci_function *fn, *pf;
	const struct link *uplink; /* the PF's interface, NULL: none in this namespace */
	const struct link *own; /* its own, NULL: none in this namespace */
	const struct link_vf *set; /* what the PF's driver has for it, NULL: nothing told */
	const json_t *record; /* who owns it (store.h), NULL: nobody */
	const char *owner; /* "": nobody */
	struct use use;
	/* Somebody beside this host has it or is to get it: a VM, DPDK, a namespace, its recorded owner;
	 * or it is at vfio, or shall be. */
	bool handed;
	char name[64]; /* "0000:01:00.0 vf 3" */
};

struct check {
	const struct host *host;
	const struct root *root;
	const struct users *users;
	const char *state; /* of store.h */
	struct check_vf *vf; /* in the order of the PCI functions */
	unsigned nvfs;
	json_t *owners; /* slot -> record, of functions that are there or were */
	/* What /etc/weir/host.yaml states of this host; want NULL: nothing, or it cannot be (wanted.text). */
	struct want *want;
	struct aims aims;
	struct err wanted;
	bool intent; /* something on this host is, or is to be, passed through */
	const struct check_rule *rule; /* that runs */
	struct findings *out;
	bool failed; /* no memory */
	struct finding nowhere; /* what findings are written to then */
};

/* A new finding of the rule that runs, evidence as printf text; goes to the caller to be advised on. It is
 * valid until the next. Never NULL. */
struct finding *check_found(struct check *c, enum severity s, const char *subject, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));
/* The same from a finding that was filled elsewhere, unless it is good. */
void check_take(struct check *c, const struct finding *f);

/* Whether vfio has it, or shall have it by its driver_override. */
bool check_for_vfio(const struct pci_function *f);
/* Physical functions that have VFs now. Begins with NULL, ends with it. */
const struct pci_function *check_next_pf(const struct check *c, const struct pci_function *pf);

/* Configuration of others. Calls back with each file at `path`: itself, or when it is a folder those in it
 * that end so, in the order of their names. `text` is all of it and may be written to. */
typedef void conf_file(void *ctx, const char *file, char *text);
void conf_each(const struct root *r, const char *path, const char *end, conf_file *f, void *ctx);
/* Each "key=value" line of an INI file, blanks and comments taken off; also once for each new section, with
 * key NULL. Eats `text`. */
typedef void conf_line(void *ctx, const char *section, const char *key, const char *value);
void conf_ini(char *text, conf_line *f, void *ctx);
/* Whether `name` is among the words of `list`, which may be patterns; separators are in `between`. */
bool conf_matches(const char *list, const char *between, const char *name);

/* Looks where others set the number of VFs: finds them, or only those that ask for more than can be. */
void check_sources(struct check *c, bool counts);

#define CHECK_WANTED "/etc/weir/host.yaml"

void rule_iommu(struct check *c);
void rule_interrupts(struct check *c);
void rule_vfio(struct check *c);
void rule_override(struct check *c);
void rule_group(struct check *c);
void rule_journal(struct check *c);
void rule_desired_state(struct check *c);
void rule_mmio(struct check *c);
void rule_vf_count(struct check *c);
void rule_pf_down(struct check *c);
void rule_mtu(struct check *c);
void rule_autoprobe(struct check *c);
void rule_owner_gone(struct check *c);
void rule_mac_duplicate(struct check *c);
void rule_mac_group(struct check *c);
void rule_mac_zero(struct check *c);
void rule_spoof_zero(struct check *c);
void rule_trust(struct check *c);
void rule_vlan(struct check *c);
void rule_not_enforced(struct check *c);
void rule_numa(struct check *c);
void rule_hugepages(struct check *c);
void rule_locked_memory(struct check *c);
void rule_networkmanager(struct check *c);
void rule_networkd(struct check *c);
void rule_ifupdown(struct check *c);
void rule_cloud_init(struct check *c);
void rule_vf_source(struct check *c);

#endif
