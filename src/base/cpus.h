/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_CPUS_H
#define WEIR_BASE_CPUS_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The CPUs this process was given: those it might run on when it began. Wherever its threads went
 * since, workers may be put on any of them. Any thread. */

const cpu_set_t *cpus_given(void);
bool cpus_allowed(int64_t cpu);
/* The highest of them, -1 when they cannot be told. */
int cpus_highest(void);
/* As text: "0-3,7"; cut where `size` ends. */
void cpus_text(char *buf, size_t size);

#endif
