/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_EXPORT_H
#define WEIR_HOST_EXPORT_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "host/change/change.h"
#include "host/host.h"

/* The host's functions in the words of those who will use them: QEMU, libvirt, Nova, Neutron. All of it
 * is made from one state, that of the host and of weir's records of owners, so that it agrees; what a
 * consumer cannot take over, or will not do, is said in notes.
 *
 * What is exported are functions: VFs, or whole devices. A consumer makes one JSON document of them:
 *
 *   {"for": "nova", "functions": [{"address", "pf", "vf", "owner", "mac", "vlan", ...}],
 *    "notes": ["..."],                       what the reader has to know, sentences
 *    "arguments": ["-device", ...],          of QEMU
 *    "xml": "<interface ...",                of libvirt
 *    "sections": [{"file", "section", "options": [{"name", "value"}]}]}   of Nova and Neutron
 *
 * and its text is printed from that. */

struct aims;
struct err;

enum {
	EXPORT_OWNER_MAX = ATTR_TEXT_MAX,
	EXPORT_NAME_MAX = 64, /* bytes that Neutron has for a physical network; others have more */
};

struct export_function {
	const struct pci_function *fn;
	const struct pci_function *pf; /* NULL: a whole device */
	const struct link
		*link; /* of the PF, or of the whole device; NULL: none in this namespace */
	struct link_vf vf; /* what it has; all zero of a whole device */
	char owner[EXPORT_OWNER_MAX]; /* "": nobody's */
	const char *physnet,
		*name; /* as struct export has them for all; of FILE, which may say it of each */
};

struct export {
	/* The caller's. */
	const struct host *host; /* and its state: owners */
	bool vfs_only; /* of struct exporter: leaves out what the file has besides */
	bool whole; /* a PF means the device itself, not its VFs */
	const char *name; /* of libvirt's network, of Nova's alias; NULL: made up */
	const char *
		physnet; /* OpenStack's name of what the cable leads to, "null": tunnels; NULL: none */
	const char *vlans; /* "100-199", NULL: those of the VFs */
	const char *bridge,
		*network; /* what takes over from the VF: a bridge, or libvirt's network */
	const char
		*pool; /* libvirt's network that the VF comes from; NULL: this VF by its address */
	bool trusted; /* Nova may make VFs of these trusted */
	bool old; /* for Nova before 26.0 (Zed) */
	const struct aims
		*aims; /* of the file that says how the host shall be (want.h), NULL: none */
	/* export_add's. */
	struct export_function *fn;
	unsigned n;
	bool behind; /* a VF is not as the file says */
	struct users *users; /* who uses what; read when it is first asked for */
	json_t *notes;
};

/* Adds what a word means: a name in the file; a VF by its address; a PF by address, interface or vendor:device, which
 * is all its VFs that are nobody's; another device by address; an owner, whose VFs. NULL: all in the
 * file that is nobody's. Each once. -ENOENT, -EINVAL or -ENOMEM with a sentence. */
int export_add(struct export *x, const char *word, struct err *e);
void export_free(struct export *x);

struct exporter {
	const char *name;
	/* Puts its part into `doc`; notes by export_note. */
	int (*make)(struct export *x, json_t *doc, struct err *e);
	bool vfs_only; /* takes no whole devices */
};
extern const struct exporter exporters[]; /* NULL name at the end */

/* The document; NULL with a sentence. */
json_t *export_make(struct export *x, const struct exporter *to, struct err *e);
/* Its text: what to paste, notes as comments of the language. */
void export_print(FILE *f, const json_t *doc);

/* For exporters. */
int export_to_qemu(struct export *x, json_t *doc, struct err *e);
int export_to_libvirt(struct export *x, json_t *doc, struct err *e);
int export_to_libvirt_network(struct export *x, json_t *doc, struct err *e);
int export_to_teaming(struct export *x, json_t *doc, struct err *e);
int export_to_nova(struct export *x, json_t *doc, struct err *e);
int export_to_neutron(struct export *x, json_t *doc, struct err *e);

/* A sentence for the reader; said once however often it is noted. Bytes that are no plain text become
 * '?'. */
void export_note(struct export *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What concerns whoever gives this function to a VM. */
void export_note_vm(struct export *x, const struct export_function *f);
/* "VF 3 of eth4 (0000:01:10.6)", "eth4 (0000:01:00.0)". Returns buf. */
enum { EXPORT_TEXT_MAX = 80 };
char *export_text(const struct export_function *f, char buf[EXPORT_TEXT_MAX]);
/* The PF is a switch of its own: what reaches its VFs is decided by rules at their representors. */
bool export_switchdev(const struct export *x, const struct export_function *f);
/* Letters, digits and "._-", begins with a letter or digit: safe in each of the languages. */
bool export_plain(const char *name);
/* Whether the function is in a PCI domain of more than 16 bits, as those behind Intel's VMD are, which begin
 * at 10000: QEMU's host= and Nova know none of them. */
bool export_far_domain(const struct export_function *f);
/* How many of a PF's VFs are here. */
unsigned export_of_pf(const struct export *x, const struct pci_function *pf);
/* -EINVAL with a sentence when one is a whole device. */
int export_only_vfs(const struct export *x, const char *what, struct err *e);

/* One function; with `free` only if it is nobody's. */
int export_add_function(struct export *x, const struct pci_function *fn, bool free, struct err *e);

/* Of the file; each does nothing without one. Who shall have a function (NULL: it does not say); whether
 * it is passed through as a whole; what it says put over what f has; the functions of a name (NULL: all
 * that are nobody's): how many it named, 0: no such name. */
const char *export_file_owner(const struct export *x, const struct pci_function *fn);
bool export_file_device(const struct export *x, const struct pci_function *fn);
void export_file_overlay(struct export *x, struct export_function *f);
int export_file_add(struct export *x, const char *word, struct err *e);

/* A section of an ini file, appended to doc; takes over `options`, [{"name", "value"}]. */
int export_section(json_t *doc, const char *file, const char *section, json_t *options);
/* `value` (taken over) under a name, appended to options. */
void export_option(json_t *options, const char *name, json_t *value);

#endif
