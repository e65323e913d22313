/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_REACH_H
#define WEIR_BENCH_REACH_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

/* Addresses of either family, to be compared: IPv4 as IPv6 has it. */

struct err;

enum { REACH_MAX = 16 };

struct reach {
	unsigned n;
	struct {
		struct in6_addr address;
		unsigned bits; /* of 128 */
	} nets[REACH_MAX];
};

/* Adds an ADDRESS or ADDRESS/BITS; -EINVAL with a sentence. */
int reach_add(struct reach *r, const char *text, struct err *e);
/* Adds those of a list that commas separate. */
int reach_add_list(struct reach *r, const char *list, struct err *e);
/* Adds this one address; beyond REACH_MAX it is left out. */
void reach_add_address(struct reach *r, const struct sockaddr_storage *sa);

bool reach_has(const struct reach *r, const struct sockaddr_storage *sa);
/* The same of a numeric address; false when it is none. */
bool reach_has_text(const struct reach *r, const char *address);

#endif
