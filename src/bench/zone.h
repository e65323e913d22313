/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_ZONE_H
#define WEIR_BENCH_ZONE_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "host/netlink/link.h"

/* Zones of link-local addresses: fe80::1%eth0 (RFC 4007, 11). A zone is an interface of the host that says
 * it and means nothing at any other: it is taken off an address that goes there, and who gets one without
 * a zone finds his own. Any thread. */

struct err;

enum { ZONED_MAX = INET6_ADDRSTRLEN + 1 + LINK_NAME_MAX };

/* Takes the zone off, if there is one. */
void zone_strip(char *address);

/* A host or address as getaddrinfo takes it: a zone that is an alternative name of an interface becomes the
 * interface's own. Returns buf. */
const char *zone_name(const char *host, char *buf, size_t size);

/* The zone (index of an interface) in which a connected socket has its own end; 0: it is not link-local. */
unsigned zone_of(int fd);

/* A numeric address and port, in this namespace. A link-local one without a zone gets that of the interface
 * that has the address (`prefer`, if several have), else `prefer` (0: none), else the only interface that is
 * up and has a link-local address itself. 0, or -EINVAL or -EADDRNOTAVAIL with a sentence. */
int zone_resolve(const char *address, unsigned port, unsigned prefer, struct sockaddr_storage *sa,
	socklen_t *len, struct err *e);

#endif
