/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_PLAN_STEPS_H
#define WEIR_HOST_PLAN_STEPS_H

#include "host/want/plan.h"

/* What plan.c (what differs) and plan_steps.c (in which steps it is changed) share. */

struct look {
	const struct aims *a;
	const struct host *h;
	struct plan_options o;
	struct err *e;
};

int look_all(struct plan *p, const struct look *k);
/* Whether a PF's VFs are made anew, so that nothing is known of them. */
bool look_anew(const struct plan *p, const struct aim_pf *t);
/* The attributes of a VF that is to come, as changes from the unknown. */
int look_fresh(struct changes *l, const struct look *k, const struct aim *t);
/* The name of the driver it shall have; `has`: what it has, NULL: it is not there yet. */
int look_driver(
	const struct look *k, const struct aim *t, const char *has, char want[ATTR_TEXT_MAX]);

#endif
