/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_GROUP_H
#define WEIR_BASE_GROUP_H

#include <sys/types.h>

/* The number of a group. What /etc/group has is read; anything else the name service is asked for, which may
 * be a server that does not answer: by a thread of its own, for which nobody waits longer than
 * GROUP_WAIT_MS, and for no other while one is late. 0; -ENOENT: there is no such group; -EINPROGRESS: no
 * answer yet, ask again. Control thread only. */
enum { GROUP_WAIT_MS = 100, GROUP_NAME_MAX = 33 };
int group_find(const char *name, gid_t *gid);

#endif
