/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_ROOT_H
#define WEIR_HOST_ROOT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Where the files of a host are: the running one's, or those of a recorded tree (--sysfs DIR), which holds
 *
 *   DIR/sys/...               as the kernel shows it
 *   DIR/proc/cmdline, modules, mounts, ... as far as recorded
 *   DIR/netlink/link.nl       the answers to RTM_GETLINK (with RTEXT_FILTER_VF), RTM_GETADDR, RTM_GETROUTE,
 *   DIR/netlink/addr.nl       to a devlink dump: netlink messages as they came, one behind the other
 *   DIR/netlink/route.nl
 *   DIR/netlink/devlink.nl
 *   DIR/etc, DIR/run, DIR/dev, DIR/var   as far as recorded
 *
 * With a recorded tree nothing of the running host is read or asked. Paths are printf text that begins
 * with "/sys/", "/proc/" and so on. */

struct err;

struct root {
	char at[PATH_MAX / 2]; /* "" or DIR, without a slash at its end */
	bool recorded;
};

/* `prefix` NULL: the running host. -ENOENT when there is no `prefix`/sys; -ENAMETOOLONG. */
int root_open(struct root *r, const char *prefix, struct err *e);

/* All of a file that fits, NUL behind it: its length or a negative errno. root_line: the first line
 * without its newline, 0 or a negative errno. */
ssize_t root_read(const struct root *r, char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int root_line(const struct root *r, char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* A file that holds one number, decimal or 0x... ; `none` when it is not there or is none. */
long long root_number(const struct root *r, long long none, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The last component of what a symbolic link points to ("ixgbe" of .../driver); "" when there is no
 * link. Returns buf. */
char *root_link(const struct root *r, char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* All of what it points to ("/dev/vfio/12"). */
char *root_target(const struct root *r, char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

bool root_has(const struct root *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The names in a folder, sorted, without "." and "..", to be given to root_names_free; their number, or
 * a negative errno. */
int root_names(const struct root *r, char ***names, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void root_names_free(char **names, int n);

/* Writes `value` into a file that is there. The kernel may keep a writer for as long as a driver likes,
 * so a child writes, and after `limit_ms` we go on without it. 0; the kernel's errno, negative;
 * -ETIMEDOUT: not done yet, the child still hangs in it. No sentence: what a code means depends on the
 * attribute (change.h). */
int root_write(const struct root *r, const char *value, unsigned limit_ms, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
