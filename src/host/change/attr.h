/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_ATTR_H
#define WEIR_HOST_ATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/change/change.h"
#include "host/netlink/link.h"

/* What attr.c, its siblings and apply.c share; and the values of attributes that have parts. */

struct err;
struct host;

struct attr_vlan {
	unsigned vlan, qos, proto; /* proto 0x8100 or 0x88a8 */
};
struct attr_rate {
	uint32_t min, max; /* Mbit/s, 0: none */
};

/* attr_text.c: canonical text from and to values. The parsers also take what users write ("max 1Gbit",
 * "qos 3 100"); parts that are not mentioned stay as they are in *v. */
int vlan_parse(const char *text, struct attr_vlan *v, struct err *e);
void vlan_format(const struct attr_vlan *v, char text[ATTR_TEXT_MAX]);
int rate_parse(const char *text, struct attr_rate *v, struct err *e);
void rate_format(const struct attr_rate *v, char text[ATTR_TEXT_MAX]);
const char *vf_state_word(enum vf_state s);
const char *on_off(bool on);

/* Whether `now`, read after the change was made, is what it was to be. Who gets no MAC of the operator's makes
 * one up, and the kernel then shows that: any locally administered one that was not there before. */
bool attr_holds(const struct change *c, const char *now);

/* The function a change is about: the VF itself for ATTR_DRIVER and the like with vf >= 0. -ENODEV. */
const struct pci_function *attr_function(
	const struct host *h, const char *slot, int vf, struct err *e);

/* attr_pci.c: they wait until it is so; 0 or a negative errno, with a sentence. */
int driver_bind(
	const struct host *h, const struct pci_function *f, const char *driver, struct err *e);
int override_set(
	const struct host *h, const struct pci_function *f, const char *driver, struct err *e);
int autoprobe_set(const struct host *h, const struct pci_function *f, bool on, struct err *e);
int vfs_set(const struct host *h, const struct pci_function *pf, unsigned n, struct err *e);

/* attr_link.c */
int link_attr_get(const struct host *h, enum attr a, const struct pci_function *f, int vf,
	char text[ATTR_TEXT_MAX], struct err *e);
int link_attr_set(
	const struct host *h, const struct change *c, const struct pci_function *f, struct err *e);

/* explain.c: what a refusal of the kernel means for this attribute and driver, and the remedy; returns
 * -code. `what`: "0000:01:00.0 vf 3". */
int explain(const struct host *h, enum attr a, const struct pci_function *f, int vf,
	const char *value, int code, struct err *e);

/* "0000:01:00.0" or "0000:01:00.0 vf 3". */
enum { ATTR_WHAT_MAX = PCI_SLOT_MAX + 16 };
char *attr_what(const char *slot, int vf, char buf[ATTR_WHAT_MAX]);

#endif
