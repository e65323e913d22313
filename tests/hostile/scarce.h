/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_SCARCE_H
#define WEIR_TESTS_SCARCE_H

#include <stdatomic.h>

/* Memory that runs out on demand, shared by a test and the process it starts with
 * LD_PRELOAD=libscarce.so and SCARCE_FILE=PATH (a file of this struct): of all allocations (malloc and
 * its kind, mmap, and threads, which need a stack) the `left`-th from now on fails, and the `more` after it. */

#define SCARCE_FILE "WEIR_SCARCE"

struct scarce {
	atomic_long left; /* 0 or less: none fails any more */
	atomic_long more;
	atomic_ulong failed; /* how many did, ever */
};

#endif
