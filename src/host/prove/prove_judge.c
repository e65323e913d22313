/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdio.h>
#include <string.h>

#include "host/check/finding.h"
#include "host/prove/prove_trial.h"

static const struct {
	enum prove_what of;
	bool wanted; /* its frames have to arrive: a control */
	const char *what;
} trials[TRIALS] = {
	[TRIAL_KNOCK] = {PROVE_WHATS, true, ""},
	[TRIAL_LOAD] = {PROVE_WHATS, true, ""},
	[TRIAL_VLAN_SAME] = {PROVE_VLAN, true, "between VFs of one VLAN"},
	[TRIAL_VLAN_ALIVE] = {PROVE_VLAN, true, "tagged by the PF for the VF's VLAN"},
	[TRIAL_VLAN_OTHER] = {PROVE_VLAN, false, "to a VF of another VLAN"},
	[TRIAL_VLAN_UNTAGGED] = {PROVE_VLAN, false, "untagged from the PF to a VF with a VLAN"},
	[TRIAL_VLAN_SPOOF] = {PROVE_VLAN_SPOOF, false,
		"that a VF tagged itself for another VF's VLAN"},
	[TRIAL_SPOOF_OWN] = {PROVE_SPOOFCHK, true, "with the VF's own MAC"},
	[TRIAL_SPOOF_FORGED] = {PROVE_SPOOFCHK, false, "with a forged source MAC"},
	[TRIAL_SPOOF_OFF] = {PROVE_WHATS, true, "with a forged source MAC, spoof check off"},
	[TRIAL_MAC_OWN] = {PROVE_MAC_FILTER, true, "to the VF's own MAC"},
	[TRIAL_MAC_FOREIGN] = {PROVE_MAC_FILTER, false, "to a MAC that nobody has"},
	[TRIAL_MAC_PROMISCUOUS] = {PROVE_MAC_FILTER, false,
		"to the PF, seen by a VF that asked for promiscuity"},
	[TRIAL_BROADCAST_VF] = {PROVE_BROADCAST, true, "to a VF"},
	[TRIAL_BROADCAST_PF] = {PROVE_BROADCAST, true, "to the PF"},
	[TRIAL_BROADCAST_SAME] = {PROVE_BROADCAST, true, "to a VF of the same VLAN"},
	[TRIAL_BROADCAST_OTHER] = {PROVE_BROADCAST, false, "to a VF of another VLAN"},
	[TRIAL_STATE_AUTO] = {PROVE_STATE, true, "with the link state auto again"},
	[TRIAL_STATE_DISABLED] = {PROVE_STATE, false, "to a VF whose link is disabled"},
};

/* Controls lose a few frames on a busy host, and are still controls. */
static bool passed(const struct prove_result *r, enum prove_trial t) {
	return r->trial[t].sent > 0 && r->trial[t].arrived * 5 >= r->trial[t].sent * 4;
}

static void tell(const struct prove_result *r, enum prove_trial t, struct prove_finding *f) {
	text_add(f->text, sizeof(f->text), "%s%u of %u %s", f->text[0] != '\0' ? ", " : "",
		r->trial[t].arrived, r->trial[t].sent, trials[t].what);
}

/* The VF that must not get a frame has to be one that gets frames: what the PF tags is proof of it in
 * every case of two VLANs. */
static int lacks_control(const struct prove_result *r, enum prove_what w) {
	for (int t = 0; t < TRIALS; t++)
		if (trials[t].of == w && trials[t].wanted && !passed(r, t))
			return t;
	if ((w == PROVE_VLAN_SPOOF || w == PROVE_BROADCAST) && !passed(r, TRIAL_VLAN_ALIVE))
		return TRIAL_VLAN_ALIVE;
	return -1;
}

static void judge_counts(const struct prove_result *r, enum prove_what w, struct prove_finding *f) {
	int missing = lacks_control(r, w);
	unsigned leaked = 0, tried = 0;

	for (int t = 0; t < TRIALS; t++) {
		if (trials[t].of != w)
			continue;
		tell(r, t, f);
		leaked += trials[t].wanted ? 0 : r->trial[t].arrived;
		tried += trials[t].wanted ? 0 : r->trial[t].sent;
	}
	if (w == PROVE_SPOOFCHK && r->trial[TRIAL_SPOOF_OFF].sent > 0)
		tell(r, TRIAL_SPOOF_OFF, f);
	// What arrived needs no control.
	f->verdict = leaked > 0 ? PROVE_NOT_ENFORCED : PROVE_ENFORCED;
	if (leaked > 0 || (tried > 0 && missing < 0))
		return;
	f->verdict = PROVE_UNTESTABLE;
	f->text[0] = '\0';
	if (missing < 0)
		text_add(f->text, sizeof(f->text), "it was not tried");
	else
		text_add(f->text, sizeof(f->text),
			"of frames that have to arrive, too few did (%u of %u %s), so what else "
			"does not arrive proves nothing",
			r->trial[missing].arrived, r->trial[missing].sent, trials[missing].what);
}

static void judge_rate(const struct prove_result *r, struct prove_finding *f) {
	double limit = r->limit * 1e6;

	f->verdict = PROVE_UNTESTABLE;
	if (r->limit == 0 || r->free_rate < 0 || r->limited_rate < 0) {
		text_add(f->text, sizeof(f->text), "it was not tried");
		return;
	}
	text_add(f->text, sizeof(f->text),
		"%.1f Mbit/s arrived with a limit of %u Mbit/s, %.1f Mbit/s without",
		r->limited_rate / 1e6, r->limit, r->free_rate / 1e6);
	if (r->free_rate < limit * PROVE_RATE_CLEAR)
		text_add(f->text, sizeof(f->text),
			"; more than %u Mbit/s without it are needed to tell",
			r->limit * PROVE_RATE_CLEAR);
	else if (r->limited_rate <= limit * 1.25)
		f->verdict = PROVE_ENFORCED;
	else if (r->limited_rate >= limit * 2)
		f->verdict = PROVE_NOT_ENFORCED;
	else
		text_add(f->text, sizeof(f->text), "; that is neither the limit nor none");
}

void prove_judge(const struct prove_result *r, enum prove_what w, struct prove_finding *f) {
	memset(f, 0, sizeof(*f));
	if (r->refused[w][0] != '\0' || r->untestable[w][0] != '\0') {
		f->verdict = r->refused[w][0] != '\0' ? PROVE_REFUSED : PROVE_UNTESTABLE;
		memcpy(f->text, f->verdict == PROVE_REFUSED ? r->refused[w] : r->untestable[w],
			sizeof(f->text));
	} else if (w == PROVE_RATE) {
		judge_rate(r, f);
	} else {
		judge_counts(r, w, f);
	}
}

static void add_rate(json_t *list, const char *what, json_t *limit, double measured) {
	if (measured < 0)
		json_decref(limit);
	else
		json_array_append_new(list, json_pack("{s:s, s:o, s:f}", "what", what, "limit",
						    limit, "measured", measured));
}

json_t *prove_finding_json(const struct prove_result *r, enum prove_what w) {
	json_t *list = json_array();
	struct prove_finding f;

	prove_judge(r, w, &f);
	for (int t = 0; t < TRIALS; t++)
		if (r->trial[t].sent > 0 &&
			(trials[t].of == w || (w == PROVE_SPOOFCHK && t == TRIAL_SPOOF_OFF)))
			json_array_append_new(list,
				json_pack("{s:s, s:i, s:i, s:b}", "what", trials[t].what, "sent",
					(int)r->trial[t].sent, "arrived", (int)r->trial[t].arrived,
					"wanted", trials[t].wanted));
	if (w == PROVE_RATE && r->limit > 0) {
		add_rate(list, "without a limit", json_null(), r->free_rate);
		add_rate(list, "with a limit", json_integer((json_int_t)r->limit * 1000000),
			r->limited_rate);
	}
	return json_pack("{s:s, s:s, s:o}", "verdict", prove_verdict_name(f.verdict), "text",
		f.text, "trials", list);
}
