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

/* What one neighbour keeps beside an attack. */
struct neighbours_share {
	double rate; /* frames/s that it offers: a fifth of what passes at full speed */
	double alone, beside; /* the part of them that arrives, without and with the attack */
	double median_ms; /* how long half of those beside the attack took at the most */
};

/* Alternates short rounds without and with the attack, upper quartiles count: others have the machine's
 * CPUs too. `attack` is called from the neighbours' thread, each 50 us or so while a round with it lasts, and
 * goes on being called until neighbours_alone. */
void neighbours_beside(void (*attack)(void *), void *arg, struct neighbours_share *out);
void neighbours_alone(void);

#endif
