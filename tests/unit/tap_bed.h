/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_UNIT_TAP_BED_H
#define WEIR_TESTS_UNIT_TAP_BED_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "netbed.h"
#include "port/tap.h"

/* One TAP port with the real kernel at the other end, in a namespace made for each test. */

struct bed {
	int ns;
	char ns_path[64];
	struct port *p;
	struct batch b;
	struct netbed_frame got;
};

static inline int setup(void **state) {
	struct bed *bed;

	if (netbed_missing() != NULL)
		return 0;
	bed = aligned_alloc(64, (sizeof(*bed) + 63) & ~63ul);
	memset(bed, 0, sizeof(*bed));
	bed->ns = netbed_new();
	snprintf(bed->ns_path, sizeof(bed->ns_path), "/proc/self/fd/%d", bed->ns);
	*state = bed;
	return 0;
}

static inline int teardown(void **state) {
	struct bed *bed = *state;

	if (bed == NULL)
		return 0;
	port_close(bed->p);
	close(bed->ns);
	free(bed);
	return 0;
}

static inline struct port_spec spec_of(const struct bed *bed, uint16_t queues) {
	return (struct port_spec){.name = "host0",
		.kind = PORT_TAP,
		.path = "weir0",
		.netns = bed->ns_path,
		.queues = queues,
		.mtu = 1500};
}

static inline void open_port(struct bed *bed, uint16_t queues) {
	struct port_spec s = spec_of(bed, queues);
	struct err e = {""};

	if (port_open(&bed->p, 7, &s, &e) < 0)
		fail_msg("%s", e.text);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
