/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/prove/prove.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/change/apply.h"
#include "host/host.h"
#include "host/prove/prove_plan.h"

/* `weir vf prove`: the settings that the driver refuses are found out one by one, each with its way back;
 * then the list of prove_plan.c is made true step by step, as one transaction, and what has to be sent
 * between two steps is sent from the callback before the second. */

/* What came of the first step of a probe. */
struct probe {
	bool refused;
};

static void watch(void *ctx, unsigned i, const struct change *c, int status) {
	struct probe *probe = ctx;

	if (i == 0 && status < 0)
		probe->refused = true;
}

/* What the driver said, without what apply.h puts before it. */
static void keep(char *to, size_t size, const char *text) {
	static const char back[] = "nothing is changed: ";
	bool has = strncmp(text, back, sizeof(back) - 1) == 0;

	snprintf(to, size, "%s", has ? text + sizeof(back) - 1 : text);
}

/* Does the driver take this value? 1, 0 with its sentence in *e, or what else went wrong. */
static int probe(struct prove *p, const struct apply *a, unsigned i, enum attr attr, const char *to,
	struct err *e) {
	struct probe seen = {0};
	struct apply with = *a;
	int rc;

	if (p->was[i][attr][0] == '\0') {
		attr_get(p->h, attr, p->pf->slot, p->vf[i]->vf, p->was[i][attr], e);
		p->was[i][attr][0] = '\0';
		return 0;
	}
	changes_free(&p->l);
	memcpy(p->now, p->was, sizeof(p->now));
	rc = prove_add(p, i, attr, to, e);
	if (rc == 0)
		rc = prove_add(p, i, attr, p->was[i][attr], e);
	with.step = watch;
	with.ctx = &seen;
	with.round = true;
	if (rc == 0 && p->l.n > 0)
		rc = apply_changes(&with, &p->l, NULL, e);
	if (rc < 0 && seen.refused)
		return 0;
	return rc < 0 ? rc : 1;
}

static int probe_for(struct prove *p, const struct apply *a, enum prove_what w, unsigned i,
	enum attr attr, const char *to, struct err *e) {
	struct err said = {""};
	int rc = probe(p, a, i, attr, to, &said);

	if (rc == 0)
		keep(p->r.refused[w], sizeof(p->r.refused[w]), said.text);
	if (rc < 0)
		*e = said;
	return rc < 0 ? rc : 0;
}

/* The least limit that it takes: 10 Mbit/s, which most do, or more. */
static int probe_rate(struct prove *p, const struct apply *a, struct err *e) {
	static const unsigned limits[] = {10, 100, 1000};
	char text[ATTR_TEXT_MAX];
	int rc = 0;

	for (unsigned k = 0; k < sizeof(limits) / sizeof(limits[0]); k++) {
		p->r.limit = limits[k];
		p->r.refused[PROVE_RATE][0] = '\0';
		snprintf(text, sizeof(text), "min 0 max %u", limits[k]);
		rc = probe_for(p, a, PROVE_RATE, 0, ATTR_RATE, text, e);
		if (rc < 0 || p->r.refused[PROVE_RATE][0] == '\0')
			return rc;
	}
	p->r.limit = 0;
	return rc;
}

static int probe_all(struct prove *p, const struct apply *a, struct err *e) {
	char vlan[ATTR_TEXT_MAX];
	int rc;

	snprintf(vlan, sizeof(vlan), "%u", p->vlan[0]);
	rc = probe_for(p, a, PROVE_VLAN, 0, ATTR_VLAN, vlan, e);
	if (rc == 0)
		rc = probe_rate(p, a, e);
	if (rc == 0)
		rc = probe_for(p, a, PROVE_SPOOFCHK, 0, ATTR_SPOOFCHK,
			strcmp(p->was[0][ATTR_SPOOFCHK], "on") == 0 ? "off" : "on", e);
	if (rc == 0)
		rc = probe_for(p, a, PROVE_STATE, 1, ATTR_STATE, "disable", e);
	if (rc == 0 && p->r.refused[PROVE_VLAN][0] != '\0')
		for (enum prove_what w = 0; w < PROVE_WHATS; w++)
			if (w == PROVE_VLAN_SPOOF || w == PROVE_BROADCAST)
				snprintf(p->r.untestable[w], sizeof(p->r.untestable[w]),
					"it takes two VLANs, and the driver refuses them");
	return rc;
}

/* The acts that stand before step i. */
static void run_acts(struct prove *p, unsigned i) {
	while (p->acted < p->nacts && p->act[p->acted].before <= i)
		p->act[p->acted++].run(p);
}

static void step(void *ctx, unsigned i, const struct change *c, int status) {
	if (status == 1)
		run_acts(ctx, i);
}

static json_t *findings(struct prove *p) {
	json_t *v = json_object();

	for (enum prove_what w = 0; w < PROVE_WHATS; w++)
		json_object_set_new(v, prove_what_name(w), prove_finding_json(&p->r, w));
	return v;
}

static json_t *remember(struct prove *p, double seconds) {
	const struct link *link = host_link(p->h, p->pf);
	struct prove_conditions c;
	time_t now = time(NULL);
	char text[32];
	struct tm tm;

	prove_conditions(p->h, p->pf, &c);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:f, s:[i,i], s:o}", "pf", p->pf->slot,
		"name", link->name, "driver", c.driver, "kernel", c.kernel, "firmware", c.firmware,
		"time", text, "seconds", round(seconds * 10) / 10, "vfs", p->vf[0]->vf,
		p->vf[1]->vf, "findings", findings(p));
}

static double now_s(void) {
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int prove_run(struct prove *p, const struct apply *a, const volatile sig_atomic_t *stop,
	json_t **known, struct err *e) {
	struct apply with = *a;
	double begin = now_s();
	int rc = probe_all(p, a, e);

	*known = NULL;
	p->stop = stop;
	if (rc == 0)
		rc = prove_list(p, e);
	if (rc < 0)
		return rc;
	with.step = step;
	with.ctx = p;
	with.round = true;
	if (p->l.n > 0)
		rc = apply_changes(&with, &p->l, NULL, e);
	if (rc == 0)
		run_acts(p, p->l.n);
	act_leave(p);
	if (rc < 0)
		return rc;
	if (stop != NULL && *stop != 0)
		return err_set(e, EINTR, "interrupted; all is as it was");
	if (p->failed) {
		*e = p->why;
		return -EIO;
	}
	*known = remember(p, now_s() - begin);
	return 0;
}
