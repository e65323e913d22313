/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_HOST_PROVE_TRIAL_H
#define WEIR_HOST_PROVE_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"
#include "host/prove/prove.h"

/* What `weir vf prove` counts, and what follows from it. A trial is some frames from one station to
 * another; those that are wanted are the controls of those that are not. */

enum {
	PROVE_FRAMES = 50, /* of a trial; at most 64, a bit each */
	PROVE_LIMIT = 10, /* Mbit/s, the least limit that is tried */
	PROVE_RATE_CLEAR = 3, /* times the limit that the rate without one must have */
};

enum prove_trial {
	TRIAL_KNOCK, /* frames that only find out whether the way is open */
	TRIAL_LOAD, /* those of which the rate is measured */
	/* Two VFs of one VLAN, of two; and the PF, which may tag as it likes. */
	TRIAL_VLAN_SAME,
	TRIAL_VLAN_ALIVE,
	TRIAL_VLAN_OTHER,
	TRIAL_VLAN_UNTAGGED,
	TRIAL_VLAN_SPOOF,
	TRIAL_SPOOF_OWN,
	TRIAL_SPOOF_FORGED,
	TRIAL_SPOOF_OFF, /* what becomes of forged frames without spoof check */
	TRIAL_MAC_OWN,
	TRIAL_MAC_FOREIGN,
	TRIAL_MAC_PROMISCUOUS,
	TRIAL_BROADCAST_VF,
	TRIAL_BROADCAST_PF,
	TRIAL_BROADCAST_SAME,
	TRIAL_BROADCAST_OTHER,
	TRIAL_STATE_AUTO,
	TRIAL_STATE_DISABLED,
	TRIALS
};

struct prove_result {
	struct {
		unsigned sent, arrived;
	} trial[TRIALS];
	uint32_t limit; /* Mbit/s that were set, 0: the rate was not tried */
	double free_rate, limited_rate; /* bit/s that arrived; negative: not measured */
	/* What the driver said when it was asked for the setting; "": it took it. */
	char refused[PROVE_WHATS][ERR_TEXT_MAX];
	char untestable[PROVE_WHATS][ERR_TEXT_MAX]; /* known before any frame was sent; "": none */
};

struct prove_finding {
	enum prove_verdict verdict;
	char text[ERR_TEXT_MAX];
};

/* Pure. */
void prove_judge(const struct prove_result *r, enum prove_what w, struct prove_finding *f);
/* The finding with its trials, as prove.h says. */
json_t *prove_finding_json(const struct prove_result *r, enum prove_what w);

#endif
