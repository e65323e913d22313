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
 * there to the end of its region (at least 1): the caller may touch that many and no more. */
static inline uint8_t *gmem_at(const struct gmem *m, uint64_t gpa, uint64_t *left) {
	for (unsigned i = 0; i < m->n; i++) {
		uint64_t off = gpa - m->r[i].gpa;

		if (__builtin_expect(off < m->r[i].size, 1)) {
			*left = m->r[i].size - off;
			return m->r[i].hva + off;
		}
	}
	return NULL;
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
