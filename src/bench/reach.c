/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/reach.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { BITS = 128, BITS_V4 = 32 };

static struct in6_addr as_six(const struct sockaddr_storage *sa) {
	struct in6_addr a = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

	if (sa->ss_family == AF_INET6)
		return ((const struct sockaddr_in6 *)sa)->sin6_addr;
	memcpy(&a.s6_addr[12], &((const struct sockaddr_in *)sa)->sin_addr, 4);
	return a;
}

static bool parse(const char *text, struct sockaddr_storage *sa) {
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_DGRAM}, *found;

	memset(sa, 0, sizeof(*sa));
	if (getaddrinfo(text, NULL, &hints, &found) != 0)
		return false;
	memcpy(sa, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return true;
}

int reach_add(struct reach *r, const char *text, struct err *e) {
	const char *slash = strchrnul(text, '/');
	char address[INET6_ADDRSTRLEN + 20], *end = "";
	struct sockaddr_storage sa;
	unsigned most;
	unsigned long bits;

	// A zone is of the end that said it, and no part of what is compared.
	snprintf(address, sizeof(address), "%.*s", (int)strcspn(text, "/%"), text);
	if (!parse(address, &sa))
		return err_set(e, EINVAL,
			"'%.60s' is no IP address; write it like 192.0.2.7 or 192.0.2.0/24", text);
	most = sa.ss_family == AF_INET ? BITS_V4 : BITS;
	bits = *slash == '/' ? strtoul(slash + 1, &end, 10) : most;
	if (*end != '\0' || (*slash == '/' && (slash[1] < '0' || slash[1] > '9')) || bits > most)
		return err_set(e, EINVAL, "'%.60s': a network has 0 to %u bits", text, most);
	if (r->n == REACH_MAX)
		return err_set(e, EINVAL, "more than %d networks; name larger ones", REACH_MAX);
	r->nets[r->n].address = as_six(&sa);
	r->nets[r->n++].bits = (unsigned)bits + BITS - most;
	return 0;
}

int reach_add_list(struct reach *r, const char *list, struct err *e) {
	int ret = 0;

	while (ret == 0 && *list != '\0') {
		size_t n = strcspn(list, ",");
		char one[INET6_ADDRSTRLEN + 20];

		snprintf(one, sizeof(one), "%.*s", n < sizeof(one) ? (int)n : (int)sizeof(one),
			list);
		ret = reach_add(r, one, e);
		list += n + (list[n] == ',');
	}
	return ret;
}

void reach_add_address(struct reach *r, const struct sockaddr_storage *sa) {
	if (r->n == REACH_MAX)
		return;
	r->nets[r->n].address = as_six(sa);
	r->nets[r->n++].bits = BITS;
}

static bool within(const struct in6_addr *a, const struct in6_addr *net, unsigned bits) {
	unsigned whole = bits / 8, rest = bits % 8;

	return memcmp(a, net, whole) == 0 &&
	       (rest == 0 || ((a->s6_addr[whole] ^ net->s6_addr[whole]) >> (8 - rest)) == 0);
}

bool reach_has(const struct reach *r, const struct sockaddr_storage *sa) {
	struct in6_addr a = as_six(sa);

	for (unsigned i = 0; i < r->n; i++)
		if (within(&a, &r->nets[i].address, r->nets[i].bits))
			return true;
	return false;
}

bool reach_has_text(const struct reach *r, const char *address) {
	struct sockaddr_storage sa;

	return parse(address, &sa) && reach_has(r, &sa);
}
