/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_PORT_GMEM_H
#define WEIR_PORT_GMEM_H

#include <stddef.h>
#include <stdint.h>

/* Guest memory as weir sees it, and the one accessor through which every guest address goes.
 *
 * The table is a private copy, made when rings start and valid while they are active; librte_vhost
 * maps and unmaps the memory, and rings are stopped before it does (vhost_dev.c). */

enum { GMEM_REGIONS = 8 }; /* what the protocol allows in one memory table */

struct gmem_region {
	uint64_t gpa, size; /* guest-physical, bytes */
	uint8_t *hva;
};

struct gmem {
	unsigned n;
	struct gmem_region r[GMEM_REGIONS];
};

/* Where guest address `gpa` lies, NULL when it lies nowhere. *left gets the number of bytes from
 * there to the end of its region (0 for NULL): the caller may touch that many and no more. *near is
 * the caller's copy of a region, at first all zero: of many addresses in a row most lie where the one
 * before did, and a copy stays in registers. */
static inline uint8_t *gmem_near(
	const struct gmem *m, struct gmem_region *near, uint64_t gpa, uint64_t *left) {
	uint64_t off = gpa - near->gpa;

	if (__builtin_expect(off >= near->size, 0)) {
		unsigned i = 0;

		while (i < m->n && gpa - m->r[i].gpa >= m->r[i].size)
			i++;
		*left = 0;
		if (i == m->n)
			return NULL;
		*near = m->r[i];
		off = gpa - near->gpa;
	}
	*left = near->size - off;
	return near->hva + off;
}

/* The same for one address. */
static inline uint8_t *gmem_at(const struct gmem *m, uint64_t gpa, uint64_t *left) {
	struct gmem_region near = {0};

	return gmem_near(m, &near, gpa, left);
}

/* Do `len` bytes at host address `p` lie inside one region? For ring addresses, which arrive
 * translated. */
static inline int gmem_holds(const struct gmem *m, const void *p, uint64_t len) {
	for (unsigned i = 0; i < m->n; i++) {
		uint64_t off = (uint64_t)(uintptr_t)p - (uint64_t)(uintptr_t)m->r[i].hva;

		if (off < m->r[i].size && len <= m->r[i].size - off)
			return 1;
	}
	return 0;
}

#endif
