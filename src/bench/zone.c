/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/zone.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

void zone_strip(char *address) {
	address[strcspn(address, "%")] = '\0';
}

const char *zone_name(const char *host, char *buf, size_t size) {
	const char *zone = strchr(host, '%');
	char own[IFNAMSIZ];

	if (zone != NULL && link_find(zone + 1, own) > 0)
		snprintf(buf, size, "%.*s%%%s", (int)(zone - host), host, own);
	else
		snprintf(buf, size, "%s", host);
	return buf;
}

unsigned zone_of(int fd) {
	struct sockaddr_in6 own = {0};
	socklen_t len = sizeof(own);

	if (getsockname(fd, (struct sockaddr *)&own, &len) < 0 || own.sin6_family != AF_INET6 ||
		!IN6_IS_ADDR_LINKLOCAL(&own.sin6_addr))
		return 0;
	return own.sin6_scope_id;
}

/* What the interfaces here say about a link-local address. */
struct zones {
	unsigned owner; /* index of who has it, 0: nobody */
	unsigned other,
		others; /* index of one with a link-local address, and how many interfaces have */
};

static void look(
	struct zones *z, const struct ifaddrs *i, const struct in6_addr *wanted, unsigned prefer) {
	const struct sockaddr_in6 *own = (const struct sockaddr_in6 *)i->ifa_addr;

	if (own == NULL || own->sin6_family != AF_INET6 || (i->ifa_flags & IFF_UP) == 0 ||
		!IN6_IS_ADDR_LINKLOCAL(&own->sin6_addr))
		return;
	if (IN6_ARE_ADDR_EQUAL(&own->sin6_addr, wanted) && (z->owner == 0 || z->owner != prefer))
		z->owner = own->sin6_scope_id;
	z->others += own->sin6_scope_id != z->other; // those of one interface follow each other
	z->other = own->sin6_scope_id;
}

static int find(struct sockaddr_in6 *sa, const char *address, unsigned prefer, struct err *e) {
	struct zones z = {0};
	struct ifaddrs *all = NULL;

	if (getifaddrs(&all) < 0)
		return err_set(e, errno, "cannot list the addresses here: %s", strerror(errno));
	for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next)
		look(&z, i, &sa->sin6_addr, prefer);
	freeifaddrs(all);
	sa->sin6_scope_id = z.owner != 0    ? z.owner
			    : prefer != 0   ? prefer
			    : z.others == 1 ? z.other
					    : 0;
	if (sa->sin6_scope_id != 0)
		return 0;
	return err_set(e, EADDRNOTAVAIL,
		"%.60s may be behind any of %u interfaces here; say which, as in --to "
		"%.60s%%eth0, or use an address that is not link-local",
		address, z.others, address);
}

int zone_resolve(const char *address, unsigned port, unsigned prefer, struct sockaddr_storage *sa,
	socklen_t *len, struct err *e) {
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)sa;
	char service[8], plain[ZONED_MAX];

	snprintf(service, sizeof(service), "%u", port);
	zone_name(address, plain, sizeof(plain));
	if (getaddrinfo(plain, service, &hints, &found) != 0)
		return strchr(address, '%') != NULL
			       ? err_set(e, EINVAL,
					 "'%.120s' is no IP address, or its zone no interface here",
					 address)
			       : err_set(e, EINVAL, "'%.60s' is no IP address", address);
	memcpy(sa, found->ai_addr, found->ai_addrlen);
	*len = found->ai_addrlen;
	freeaddrinfo(found);
	if (sa->ss_family != AF_INET6 || v6->sin6_scope_id != 0 ||
		!IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
		return 0;
	return find(v6, address, prefer, e);
}
