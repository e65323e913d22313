/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_CHECK_H
#define WEIR_HOST_CHECK_H

#include <stdbool.h>

#include "host/check/finding.h"
#include "host/host.h"

/* `weir host check`: a linter for the host. A rule looks at what was read and says what is wrong, with what
 * it rests on; what cannot be told from here is not said. docs/host-check.md has a line for each. */

struct check;

struct check_rule {
	const char *name, *brief; /* "mac-duplicate", what it finds, one line */
	void (*run)(struct check *c);
};

/* Ends with a NULL name. */
extern const struct check_rule check_rules[];

struct findings {
	struct finding *of; /* errors first, then in the order of the rules */
	unsigned n;
	unsigned count[SEVERITY_ERROR + 1]; /* how many of each severity */
};

/* `only`: names of rules with commas between, NULL: all. `users` NULL: who uses what is not looked at. 0;
 * -EINVAL: no such rule; -ENOMEM. */
int check_run(struct findings *out, const struct host *h, const struct users *users,
	const char *only, struct err *e);
void findings_free(struct findings *f);

#endif
