/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_CONDITIONS_H
#define WEIR_BENCH_CONDITIONS_H

#include <jansson.h>

/* Under what a figure was measured: {"host", "kernel", "cpu", "cpus", "governor", "isolated", "smt",
 * "numa_nodes", "hugepages": {...}, "virtualised", "load": 0.1, "others": [{"pid", "name", "busy"}],
 * "versions": {"weir", "dpdk", "qemu", "ovs"}}; what cannot be found out is null. Takes about 0.2 s,
 * for the load of others to be seen. */
json_t *conditions_collect(void);

/* Sentences about what spoils figures here: another process that is busy, a governor that is not
 * "performance", a CPU that was throttled or whose time was stolen since `before`. Calls `say` for each. */
void conditions_judge(const json_t *before, const json_t *after,
	void (*say)(void *arg, const char *sentence), void *arg);

#endif
