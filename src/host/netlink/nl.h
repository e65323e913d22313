/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_NL_H
#define WEIR_HOST_NL_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>

/* Netlink, one question a socket: what link.c and devlink.c have in common. */

struct root;

enum {
	NL_REQUEST_MAX = 256, /* bytes of the longest request we send */
	NL_FILE_MAX = 64 << 20, /* bytes of a recorded file of messages */
};

/* Room for a request, aligned as one has to be. */
struct nl_request {
	char bytes[NL_REQUEST_MAX] __attribute__((aligned(MNL_ALIGNTO)));
};

/* The header of a request; what follows is put behind it by mnl_..._put. All of it is zero before, for
 * libmnl leaves what lies between two attributes as it was. */
struct nlmsghdr *nl_begin(struct nl_request *r, int type, int flags);

/* Takes messages as they came, one behind the other, beginning at a multiple of 4; control messages
 * among them. A negative errno ends the question. */
typedef int nl_take(void *ctx, const void *bytes, size_t len);

/* Sends the request (NLM_F_DUMP or NLM_F_ACK set: both have an end) and hands what comes to `take`
 * (NULL: it is thrown away) until the end. 0; the kernel's errno (negative); -EINTR: a dump whose subject
 * changed meanwhile, to be asked for anew; -EBADMSG: not understood. */
int nl_ask(int protocol, const struct nlmsghdr *ask, nl_take *take, void *ctx);

/* Asks for a change, in a child: -ETIMEDOUT when the driver is not done after `limit_ms`. */
int nl_change(int protocol, const struct nlmsghdr *ask, unsigned limit_ms);

/* A recorded file of messages under the root's netlink/. 0 also when it is not there. */
int nl_recorded(const struct root *r, const char *name, nl_take *take, void *ctx);

/* Walks messages: the next one at *at that is whole (*at moves behind it); NULL at the end, or when
 * what is left is no message, and *at is then short of `len`. */
const struct nlmsghdr *nl_next(const void *bytes, size_t len, size_t *at);

/* Walks attributes of `len` bytes the same way. */
const struct nlattr *nl_attr_next(const void *bytes, size_t len, size_t *at);

/* The text of an attribute, which may lack its NUL, cut to what fits. */
void nl_text(char *to, size_t size, const struct nlattr *a);

#endif
