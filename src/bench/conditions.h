/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_CONDITIONS_H
#define WEIR_BENCH_CONDITIONS_H

#include <jansson.h>

/* Under what a figure was measured:
 * {"host", "kernel", "cpu": model, "cpus": online, "governor", "clocksource", "isolated": "2-3", "smt": true,
 *  "numa_nodes", "hugepages": {"transparent": "madvise", "2048kB": {"total", "free"}, ...},
 *  "virtualised": true, "versions": {"weir", "dpdk", "qemu", "ovs"},
 *  "load": CPUs busy on average, "others": [{"pid", "name", "busy": CPUs}] (the busiest, without the
 *  caller),
 *  "counters": {"seconds", "stolen": CPU seconds, "throttled": times a CPU slowed down for heat,
 *  "held_back": times the control group's quota ran out}, of which differences count};
 * what cannot be found out is null. Takes about 0.3 s, for the load of others to be seen. */
json_t *conditions_collect(void);

/* Sentences about what spoils figures here: others that are busy before or after, a governor that is not
 * "performance", CPUs that were throttled or stolen in between. Calls `say` for each. Either may come
 * from a file. */
void conditions_judge(const json_t *before, const json_t *after,
	void (*say)(void *arg, const char *sentence), void *arg);

#endif
