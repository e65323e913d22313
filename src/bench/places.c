/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/places.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* Whose turn it is to go. The oldest stranger of all would be the wrong one: who opens connections fast
 * enough would push out others between their hello and their proof. So the address with the most strangers
 * pays, which with one attacker is the attacker's. IPv6 addresses count by their first 64 bits, of which a
 * host has the rest to choose from. */

int places_init(struct places *p) {
	memset(p, 0, sizeof(*p));
	p->known = mmap(NULL, PLACES_MAX * sizeof(*p->known), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return p->known != MAP_FAILED ? 0 : -errno;
}

void places_fini(struct places *p) {
	munmap(p->known, PLACES_MAX * sizeof(*p->known));
}

static bool is_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b) {
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return memcmp(&a6->sin6_addr, &b6->sin6_addr, 8) == 0;
}

static bool is_stranger(const struct places *p, int i) {
	return p->place[i].pid != 0 && !atomic_load(&p->known[i]);
}

static unsigned count_strangers(const struct places *p, const struct sockaddr_storage *from) {
	unsigned n = 0;

	for (int i = 0; i < PLACES_MAX; i++)
		n += is_stranger(p, i) && is_same_host(&p->place[i].from, from);
	return n;
}

/* The place of the stranger who has to go, -EBUSY: there is none. */
static int choose(const struct places *p) {
	unsigned most = 0;
	int found = -EBUSY;

	for (int i = 0; i < PLACES_MAX; i++) {
		unsigned n = is_stranger(p, i) ? count_strangers(p, &p->place[i].from) : 0;

		if (n > most || (n > 0 && n == most && p->place[i].turn < p->place[found].turn)) {
			most = n;
			found = i;
		}
	}
	return found;
}

int places_find(struct places *p) {
	int i = 0;

	while (i < PLACES_MAX && p->place[i].pid != 0)
		i++;
	if (i == PLACES_MAX) {
		i = choose(p);
		if (i < 0)
			return i;
		kill(p->place[i].pid, SIGKILL);
		waitpid(p->place[i].pid, NULL, 0); // it shall not set the mark of who comes next
		p->place[i].pid = 0;
	}
	atomic_store(&p->known[i], false);
	return i;
}

void places_take(struct places *p, int i, pid_t pid, const struct sockaddr_storage *from) {
	p->place[i] = (struct place){.pid = pid, .turn = p->turns++, .from = *from};
}

void places_leave(struct places *p, pid_t pid) {
	for (int i = 0; i < PLACES_MAX; i++)
		if (p->place[i].pid == pid)
			p->place[i].pid = 0;
}
