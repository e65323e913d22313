/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_PLAN_H
#define WEIR_HOST_PLAN_H

#include <stdbool.h>

#include <jansson.h>

#include "host/change/change.h"
#include "host/want/want.h"

/* From a desired state and a host to what differs, and to the changes that lead there. */

struct err;

/* One attribute that is not as FILE wants it. */
struct drift {
	enum attr attr;
	const struct aim *aim; /* NULL: of a PF itself */
	char slot[PCI_SLOT_MAX];
	int vf; /* -1: of the function itself */
	char is[ATTR_TEXT_MAX], want[ATTR_TEXT_MAX];
};

struct plan {
	/* What differs, by PF and VF. The VFs of a PF that has not yet the right number are not looked at
	 * one by one. */
	struct drift *drift;
	unsigned ndrift;
	/* The changes, in an order that is safe: for each PF link, MTU, then its VFs in the order its driver
	 * wants, the attributes of each VF, MACs before a driver of the VF that reads them, drivers last. */
	struct changes changes;
	/* VFs that FILE speaks of and that belong to somebody it does not name: they are left alone. */
	struct left {
		const struct aim *aim;
		char owner[ATTR_TEXT_MAX];
	} * left;
	unsigned nleft;
};

struct plan_options {
	bool force;
	/* What is let be for now, as if it did not differ; NULL: nothing. */
	bool (*skip)(void *ctx, const struct drift *d);
	void *ctx;
};

/* Only what differs (and whom it is left to). */
int plan_look(struct plan *p, const struct aims *a, const struct host *h, struct err *e);
/* The changes too. -EBUSY with a sentence: a VF would go that belongs to somebody FILE does not name
 * (`force` plans that too; whether one is in use is asked by guard.h). -EOPNOTSUPP: the driver cannot. */
int plan_make(struct plan *p, const struct aims *a, const struct host *h,
	const struct plan_options *o, struct err *e);
void plan_free(struct plan *p);

/* {"function", "vf", "attribute", "is", "want", "by": "pool tenants"}; {"function", "vf", "owner", "by"} */
json_t *drift_json(const struct aims *a, const struct drift *d);
json_t *left_json(const struct aims *a, const struct left *l);

#endif
