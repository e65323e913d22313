/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_APPLY_RUN_H
#define WEIR_HOST_APPLY_RUN_H

#include "host/change/apply.h"
#include "host/change/journal.h"
#include "host/host.h"

/* The steps of one transaction, forth and back; apply.c decides which. */

struct run {
	const struct apply *a;
	const char *state;
	int lock;
	char boot[BOOT_MAX];
	struct host h; /* read anew after each step */
	struct journal j;
};

int run_refresh(struct run *r, struct err *e);

/* From wherever it is to its end. What fails takes everything back. */
int run_forward(struct run *r, struct err *e);
/* Takes back what the journal says was done, and ends it so. */
int run_back(struct run *r, enum journal_end how, struct err *e);
/* What run_back would change. */
int run_way_back(const struct run *r, struct changes *back, struct err *e);

/* -EEXIST: somebody else has put a third value there. */
int refuse_third(const struct change *c, const char *now, struct err *e);

#endif
