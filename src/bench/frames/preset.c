/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "bench/frames/search.h"

/* For a software switch, which learns when the frame passes. */
#define SHORT_LEARN_S 0.005

/* rfc2544: RFC 2544 sections 24 and 26, as a goal of RFC 9971 ("MLRsearch Compliant with RFC 2544").
 * tst009: ETSI GS NFV-TST 009 clause 12.3.3, binary search with loss verification: a trial that lost
 * something is repeated once. RFC 9971 gives its goal; shorter trials would count against the second
 * try, so there are none.
 * csit-*: what FD.io CSIT reports as NDR and PDR: the conditional throughput (RFC 9971), with PDR up to half a
 * percent below the load at which it was found. CSIT adds both directions up; here it is one of them.
 * quick: not for publication; a sharp limit is found within its width in some ten seconds. */
const struct preset search_presets[] = {
	{.name = "rfc2544",
		.goal = {.initial_s = 1, .final_s = 60, .sum_s = 60, .width = 0.005},
		.latency_s = 120,
		.latency_times = 20,
		.loss_s = 60,
		.burst_s = 2,
		.burst_times = 50,
		.overload_s = 60,
		.relief_s = 60,
		.recovery_times = RECOVERY_TIMES,
		.learn_s = 2,
		.wait_s = 2,
		.rest_s = 5,
		.trials_most = 60,
		.seconds_most = 1500},
	{.name = "tst009",
		.goal = {.initial_s = 60,
			.final_s = 60,
			.sum_s = 120,
			.exceed = 0.5,
			.width = 0.005},
		.latency_s = 120,
		.latency_times = 20,
		.loss_s = 60,
		.burst_s = 2,
		.burst_times = 50,
		.overload_s = 60,
		.relief_s = 60,
		.recovery_times = RECOVERY_TIMES,
		.learn_s = 2,
		.wait_s = 2,
		.rest_s = 5,
		.trials_most = 50,
		.seconds_most = 3000},
	{.name = "csit-ndr",
		.conditional = true,
		.goal = {.initial_s = 1, .final_s = 1, .sum_s = 21, .exceed = 0.5, .width = 0.005},
		.latency_s = 10,
		.latency_times = 3,
		.loss_s = 1,
		.burst_s = 2,
		.burst_times = 10,
		.overload_s = 10,
		.relief_s = 10,
		.recovery_times = 1,
		.learn_s = SHORT_LEARN_S,
		.wait_s = 0.2,
		.rest_s = 0,
		.trials_most = 300,
		.seconds_most = 300},
	{.name = "csit-pdr",
		.conditional = true,
		.goal = {.initial_s = 1,
			.final_s = 1,
			.sum_s = 21,
			.loss = 0.005,
			.exceed = 0.5,
			.width = 0.005},
		.latency_s = 10,
		.latency_times = 3,
		.loss_s = 1,
		.burst_s = 2,
		.burst_times = 10,
		.overload_s = 10,
		.relief_s = 10,
		.recovery_times = 1,
		.learn_s = SHORT_LEARN_S,
		.wait_s = 0.2,
		.rest_s = 0,
		.trials_most = 300,
		.seconds_most = 300},
	{.name = "quick",
		.goal = {.initial_s = 0.25,
			.final_s = 1,
			.sum_s = 3,
			.exceed = 0.5,
			.width = 0.005},
		.latency_s = 2,
		.latency_times = 1,
		.loss_s = 0.5,
		.burst_s = 0.5,
		.burst_times = 2,
		.overload_s = 2,
		.relief_s = 2,
		.recovery_times = 1,
		.learn_s = SHORT_LEARN_S,
		.wait_s = 0.1,
		.rest_s = 0,
		.trials_most = 60,
		.seconds_most = 40},
	{.name = NULL},
};

const struct preset *search_preset(const char *name, struct err *e) {
	char names[ERR_TEXT_MAX / 2] = "";
	size_t at = 0;

	for (const struct preset *p = search_presets; p->name != NULL; p++) {
		if (strcmp(p->name, name) == 0)
			return p;
		at += (size_t)snprintf(
			names + at, sizeof(names) - at, "%s%s", at > 0 ? ", " : "", p->name);
	}
	err_set(e, EINVAL, "no preset is called '%s'; there are: %s", name, names);
	return NULL;
}
