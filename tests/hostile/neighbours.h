/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_NEIGHBOURS_H
#define WEIR_TESTS_NEIGHBOURS_H

#include <sys/types.h>

#include "front.h"

/* Two honest guests of the bed (bed.h) that send each other numbered frames from a thread, paced by what
 * has arrived. */

/* 0, or an errno. The front ends are attached, to a switch that is the process weir, and the thread's
 * until neighbours_stop. */
int neighbours_start(struct front *one, struct front *two, pid_t weir);
void neighbours_stop(void);
/* Fails the test when a frame was lost, doubled or late since the last time. */
void neighbours_hold(void);

#endif
