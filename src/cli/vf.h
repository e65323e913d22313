/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_CLI_VF_H
#define WEIR_CLI_VF_H

#include <stdbool.h>

#include "cli/hosts.h"
#include "host/change/attr.h"

/* What the subcommands of `weir vf` and `weir pci` that change something have in common: each makes a list
 * of changes of what was asked and of what is there, and hands it to host_args_change. */

struct functions {
	struct host_args args;
	struct host host;
	struct changes l;
};

/* Takes the common options, refuses others, wants min to max words (max 0: any number), and reads the host.
 * -1 when all is well, else the exit status, after the sentence; functions_close either way. */
int functions_open(struct functions *f, const struct command *c, int *argc, char **argv,
	bool changes, int min, int max);
void functions_close(struct functions *f);

/* To a driver ("vfio-pci", "kernel": its own, "none"), and driver_override with it. */
int functions_bind(
	struct functions *f, const struct pci_function *fn, const char *driver, struct err *e);

/* VFs as users name them: by address, or "PF 3", "PF 0-3,6", "PF all". Takes as many words as it needs
 * from argv[*at] on. */
enum { VFS_NAMED_MAX = 1024 };
struct vfs_named {
	const struct pci_function *vf[VFS_NAMED_MAX];
	unsigned n;
};
int vfs_named(
	struct vfs_named *v, const struct host *h, int argc, char **argv, int *at, struct err *e);

/* What a VF shall have, as the user said it: "vlan=100", or options (--vlan 100). */
enum { WANTS = 11 };
extern const char *const wants_names[WANTS + 1]; /* NULL at the end */
struct wants {
	const char *value[WANTS]; /* NULL: not mentioned, stays */
};
/* "name=value"; -EINVAL with a sentence that lists the names. */
int wants_take(struct wants *w, const char *word, struct err *e);
/* `seed` is what mac=auto is made of. */
int wants_add(struct functions *f, const struct wants *w, const struct pci_function *vf,
	const char *seed, struct err *e);

/* The subcommands. */
int vf_list(const struct command *c, int argc, char **argv);
int vf_create(const struct command *c, int argc, char **argv);
int vf_delete(const struct command *c, int argc, char **argv);
int vf_set(const struct command *c, int argc, char **argv);
int vf_bind(const struct command *c, int argc, char **argv);
int vf_alloc(const struct command *c, int argc, char **argv);
int vf_release(const struct command *c, int argc, char **argv);
int vf_prove(const struct command *c, int argc, char **argv);

#endif
