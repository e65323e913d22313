/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_NETNS_H
#define WEIR_BASE_NETNS_H

#include <stddef.h>

/* Network namespaces of the calling thread: step in, make sockets and devices, step out. What was made
 * inside stays there. */

struct err;

/* By name as in `ip netns`, or by path; NULL: nothing to enter. *back is what netns_leave needs, -1
 * when nothing was entered. 0; -ENOENT: none of that name; -EINVAL: not a network namespace; -EPERM. */
int netns_enter(const char *netns, int *back, struct err *e);
/* The file of one, to be closed; errors as above. Does not wait, whatever is at the path. */
int netns_open(const char *netns, struct err *e);
/* By open file; a negative errno without a sentence. */
int netns_enter_fd(int fd, int *back);
/* Does not return when there is no way back: from there on every socket would be a stranger's. */
void netns_leave(int back);

/* The file of a namespace: the path, or where `ip netns` keeps the name. Returns buf. */
const char *netns_file(const char *netns, char *buf, size_t size);

#endif
