/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_WANT_H
#define WEIR_HOST_WANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "host/change/change.h"
#include "host/host.h"

/* The desired state of a host's functions, as a user writes it (weir-host.yaml(5)):
 *
 *   pfs:                           # physical functions; what is not said of one is left as it is
 *     enp1s0f0:                    # matches itself: an address, or the name of an interface
 *       vfs: 7                     # how many
 *       eswitch: legacy            # legacy | switchdev
 *       autoprobe: off             # whether VFs get a driver by themselves
 *       link: up                   # up | down
 *       mtu: 9000
 *       physnet: physnet1          # Neutron's name of the network behind it
 *       defaults: {spoofchk: on}   # of all its VFs, also those of no pool: any key of a VF
 *     cards:
 *       match: 8086:10c9           # or by address, interface, vendor:device: all of them; or a list
 *       vfs: 4
 *   pools:                         # VFs that are alike, of one or several PFs
 *     tenants:
 *       pfs: [enp1s0f0, cards]     # names from above
 *       vfs: 0-3                   # of each of them: "0-3,5", a number, or all (the default)
 *       vlan: 100                  # 0: none
 *       qos: 3                     # 0..7
 *       proto: 802.1ad             # 802.1q | 802.1ad
 *       min-rate: 100Mbit          # 0: none
 *       max-rate: 1Gbit
 *       spoofchk: on
 *       trust: off
 *       link-state: auto           # auto | enable | disable
 *       rss-query: off
 *       driver: vfio-pci           # a driver's name; kernel: the one the kernel has for it; none
 *       mac-prefix: 52:54:00       # 3 to 5 octets; or macs: [...], one a VF
 *       owners: [vm1, vm2]         # of the first VFs, in order
 *       alias: tenants             # Nova's PCI alias
 *   vfs:                           # VFs that are like no other
 *     web: {pf: enp1s0f0, vf: 5, vlan: 200, mac: 52:54:00:00:00:02, owner: web1}
 *   devices:                       # whole functions to be passed through
 *     gpu: {match: 0000:41:00.0, driver: vfio-pci, owner: vm9, alias: gpu}
 *
 * Reading goes in two steps: want_load judges the file by itself, want_resolve against a host. */

struct err;

enum {
	WANT_NAME_MAX =
		40, /* of PFs, pools, VFs, devices, owners, physnets, aliases, with the NUL */
	WANT_PFS_MAX = 256, /* entries of each map, and functions that one matches */
	WANT_VFS_MAX = 2048, /* VFs of one PF; more than any device has */
};

/* What FILE states of VFs; the others are left as they are. */
enum want_key {
	WANT_VLAN = 1 << 0,
	WANT_QOS = 1 << 1,
	WANT_PROTO = 1 << 2,
	WANT_MIN_RATE = 1 << 3,
	WANT_MAX_RATE = 1 << 4,
	WANT_SPOOFCHK = 1 << 5,
	WANT_TRUST = 1 << 6,
	WANT_STATE = 1 << 7,
	WANT_RSS_QUERY = 1 << 8,
	WANT_DRIVER = 1 << 9,
	WANT_MAC = 1 << 10,
	WANT_OWNER = 1 << 11,
	/* of a PF */
	WANT_VFS = 1 << 12,
	WANT_ESWITCH = 1 << 13,
	WANT_AUTOPROBE = 1 << 14,
	WANT_UP = 1 << 15,
	WANT_MTU = 1 << 16,
};

struct want_vf {
	unsigned stated; /* of enum want_key */
	uint16_t vlan, proto; /* 0: none; 0x8100 or 0x88a8 */
	uint8_t qos;
	uint32_t min_rate, max_rate; /* Mbit/s, 0: none; when one is stated the other is 0 */
	bool spoofchk, trust, rss_query;
	uint8_t state; /* enum vf_state */
	char driver[PCI_DRIVER_MAX]; /* "kernel": that of its device */
	uint64_t mac;
	char owner[WANT_NAME_MAX];
};

struct want_pf {
	char name[WANT_NAME_MAX];
	char **match; /* words as for host_find, but vendor:device may mean several; at least one */
	unsigned nmatch;
	unsigned stated; /* of enum want_key */
	uint16_t vfs, mtu;
	uint8_t eswitch; /* enum eswitch */
	bool autoprobe, up;
	char physnet[WANT_NAME_MAX]; /* "": not said */
	struct want_vf vf; /* defaults of its VFs */
};

struct want_pool {
	char name[WANT_NAME_MAX];
	char **pfs; /* names of struct want_pf */
	unsigned npfs;
	bool range; /* numbers are given below; else all VFs */
	uint64_t vfs[WANT_VFS_MAX / 64]; /* bit i: VF i */
	struct want_vf vf; /* without mac and owner */
	uint64_t *macs; /* one for each VF, in their order */
	char **owners; /* of the first VFs */
	unsigned nmacs, nowners;
	uint8_t prefix[5], prefix_len; /* 0: none */
	char alias[WANT_NAME_MAX];
};

struct want_single {
	char name[WANT_NAME_MAX];
	char pf[WANT_NAME_MAX]; /* of struct want_pf, which then matches one function */
	uint16_t number;
	struct want_vf vf;
	char alias[WANT_NAME_MAX];
};

struct want_device {
	char name[WANT_NAME_MAX];
	char **match;
	unsigned nmatch;
	struct want_vf vf; /* driver and owner alone */
	char alias[WANT_NAME_MAX];
};

struct want {
	char *file;
	json_t *marks; /* lines, of base/yaml.h */
	struct want_pf *pfs;
	struct want_pool *pools;
	struct want_single *vfs;
	struct want_device *devices;
	unsigned npfs, npools, nvfs, ndevices;
};

/* 0, or a negative errno with "FILE:LINE: ..." and what was expected. */
int want_load(struct want **out, const char *file, struct err *e);
int want_parse(struct want **out, const char *text, size_t len, const char *file, struct err *e);
void want_free(struct want *w);

/* The same against a host: which function each entry means. */

/* A physical function that FILE speaks of. */
struct aim_pf {
	const struct want_pf *want;
	const struct pci_function *fn;
	unsigned vfs; /* that it shall have: as FILE says, else as many as it has */
};

/* A VF (it need not be there yet) or a whole device that FILE speaks of: everything it states, defaults
 * put in and MACs derived. */
struct aim {
	const struct pci_function *fn; /* the PF of a VF; the device itself */
	int vf; /* its number; -1: a device */
	int pf; /* index in aims.pf; -1: a device */
	const struct want_pool *pool; /* one of the three, or none: a VF with its PF's defaults */
	const struct want_single *single;
	const struct want_device *device;
	struct want_vf want;
};

struct aims {
	const struct want *want;
	struct aim_pf *pf; /* in the order of FILE; of one entry by address */
	struct aim *aim; /* by PF, then by VF number; devices last */
	unsigned npfs, naims;
};

/* Refuses, with "FILE:LINE: ...": what matches nothing or is meant twice, pools that overlap, VFs beyond
 * what there will be or the device can have, addresses that two would have, rates above what the link
 * does. `a` points into `w` and `h`, which have to stay. */
int want_resolve(struct aims *a, const struct want *w, const struct host *h, struct err *e);
void aims_free(struct aims *a);

/* "pool tenants", "vf web", "device gpu", "defaults of enp1s0f0": who wants it so. Returns buf. */
char *aim_name(const struct aims *a, const struct aim *t, char *buf, size_t size);

#endif
