/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_PROVE_PLAN_H
#define WEIR_HOST_PROVE_PLAN_H

#include "base/err.h"
#include "host/change/change.h"
#include "host/prove/prove_air.h"
#include "host/prove/prove_place.h"

/* What prove.c, prove_plan.c and prove_acts.c share. */

enum {
	PROVE_ACTS_MAX = 16,
	PROVE_PAIR = 2,
};

/* Something to be done between two steps of the list. */
struct prove_act {
	unsigned before; /* this step; the length of the list: at its end */
	void (*run)(struct prove *p);
};

struct prove {
	const struct host *h;
	const struct pci_function *pf, *vf[PROVE_PAIR];
	char was[PROVE_PAIR][ATTR_COUNT][ATTR_TEXT_MAX]; /* "": the driver does not tell it */
	unsigned vlan[PROVE_PAIR];
	/* The list, and who acts between its steps. */
	struct changes l;
	char now[PROVE_PAIR][ATTR_COUNT]
		[ATTR_TEXT_MAX]; /* behind the steps that are in it so far */
	struct prove_act act[PROVE_ACTS_MAX];
	unsigned nacts, acted;
	struct place place[PROVE_PAIR];
	struct air air;
	struct prove_result r;
	struct err why; /* frames could not be sent */
	bool failed;
	const volatile sig_atomic_t *stop;
};

/* Makes the list anew, without what r.refused has. */
int prove_list(struct prove *p, struct err *e);
/* A step, where the value is another one. */
int prove_add(struct prove *p, unsigned i, enum attr a, const char *to, struct err *e);

/* The kernel's interface of one of the two, false: it has none in this namespace. */
bool prove_interface(const struct prove *p, unsigned i, char name[IFNAMSIZ]);

/* prove_acts.c */
void act_enter(struct prove *p);
void act_leave(struct prove *p); /* also when it was done already */
void act_neutral(struct prove *p);
void act_rate_limited(struct prove *p);
void act_spoof(struct prove *p);
void act_one_vlan(struct prove *p);
void act_two_vlans(struct prove *p);
void act_tag(struct prove *p);
void act_link_disabled(struct prove *p);
void act_link_auto(struct prove *p);

#endif
