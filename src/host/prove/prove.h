/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_PROVE_H
#define WEIR_HOST_PROVE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

/* What a NIC does of what its driver accepts: found out with real frames between two free VFs and their PF
 * (`weir vf prove`), remembered as STATE/proved/SLOT.json of the PF:
 *
 *   {"pf": "0000:01:00.0", "name": "eth0", "driver": "igb", "kernel": "6.1.0-37-amd64",
 *    "firmware": "3.25",                  "" where it is not told
 *    "time": "2026-11-22T08:00:00Z", "seconds": 9.4, "vfs": [0, 1],
 *    "findings": {
 *      "vlan": {"verdict": "enforced",    or "not-enforced", "refused", "untestable"
 *               "text": "...",            a sentence: what was seen, or why nothing could be
 *               "trials": [{"what": "...", "sent": 50, "arrived": 0, "wanted": false}, ...]},
 *      "vlan-spoof": ..., "spoofchk": ..., "mac-filter": ..., "broadcast": ..., "rate": ..., "state": ...}}
 *
 * Trials of "rate" have "limit" (bit/s, null: none) and "measured" (bit/s) in place of counts. */

struct apply;
struct changes;
struct err;
struct host;
struct pci_function;
struct users;

enum prove_what {
	PROVE_VLAN, /* frames stay in the VLAN of the VF that sent them */
	PROVE_VLAN_SPOOF, /* also those which the VF tagged itself, with spoof check */
	PROVE_SPOOFCHK, /* frames with a foreign source MAC are dropped */
	PROVE_MAC_FILTER, /* a VF without trust sees only what is sent to it */
	PROVE_BROADCAST, /* reaches all in the VLAN, and only those */
	PROVE_RATE, /* the maximum rate */
	PROVE_STATE, /* the link state "disable" */
	PROVE_WHATS
};

enum prove_verdict {
	PROVE_UNKNOWN, /* never proved */
	PROVE_ENFORCED,
	PROVE_NOT_ENFORCED, /* accepted, and without effect */
	PROVE_REFUSED, /* by the driver, with an error */
	PROVE_UNTESTABLE,
};

const char *prove_what_name(
	enum prove_what w); /* "vlan", "vlan-spoof" ...: the keys of "findings" */
const char *prove_verdict_name(enum prove_verdict v); /* "enforced" ..., "unknown" */

/* What is remembered of a PF, a new reference; NULL: nothing (`e` has text when the file is damaged, and
 * is empty otherwise). */
json_t *prove_known(const char *state, const char *slot, struct err *e);
/* A finding of it; `known` may be NULL. */
enum prove_verdict prove_verdict(const json_t *known, enum prove_what w);

/* What a finding depends on, as it is now. */
struct prove_conditions {
	char driver[32], kernel[72], firmware[64]; /* "": not told */
};
void prove_conditions(
	const struct host *h, const struct pci_function *pf, struct prove_conditions *c);
/* Has driver, kernel or firmware changed since? Then `why` says so: "the firmware was 3.25, it is 3.30
 * now". What is not told on either side does not count. */
bool prove_stale(const json_t *known, const struct prove_conditions *now, char *why, size_t size);

/* Proving: one list of changes that ends where it began, made by apply.h as one transaction, with frames
 * sent between its steps. Whoever is killed in the midst of it leaves a journal that leads back. */
struct prove;

/* Chooses two VFs that nobody uses or owns, and makes the list. -EBUSY: there are no two, with what to do;
 * -EINVAL: it is no PF; -ENETDOWN; and others. `host` stays until prove_free. */
int prove_plan(struct prove **out, const struct host *h, const struct users *u,
	const struct pci_function *pf, struct err *e);
void prove_free(struct prove *p);
const struct changes *prove_changes(const struct prove *p);

/* Asks the driver for each setting once (what it refuses is left out), then makes the list and sends.
 * `*stop` not 0 (from a signal handler): all is put back and -EINTR returned. `a` is without step. 0: what
 * is to be remembered in *known, a new reference. */
int prove_run(struct prove *p, const struct apply *a, const volatile sig_atomic_t *stop,
	json_t **known, struct err *e);

#endif
