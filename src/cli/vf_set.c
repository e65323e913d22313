/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/vf.h"
#include "host/change/owner.h"

enum want {
	WANT_MAC,
	WANT_VLAN,
	WANT_QOS,
	WANT_PROTO,
	WANT_RATE,
	WANT_MIN_RATE,
	WANT_MAX_RATE,
	WANT_SPOOFCHK,
	WANT_TRUST,
	WANT_STATE,
	WANT_RSS_QUERY
};

const char *const wants_names[WANTS + 1] = {"mac", "vlan", "qos", "proto", "rate", "min-rate",
	"max-rate", "spoofchk", "trust", "link-state", "rss-query", NULL};

int wants_take(struct wants *w, const char *word, struct err *e) {
	const char *eq = strchr(word, '=');
	char list[160] = "";
	size_t n = 0;

	for (int i = 0; i < WANTS; i++) {
		if (eq != NULL && strlen(wants_names[i]) == (size_t)(eq - word) &&
			strncmp(wants_names[i], word, (size_t)(eq - word)) == 0) {
			if (w->value[i] != NULL)
				return err_set(e, EINVAL, "'%s' is given twice", wants_names[i]);
			w->value[i] = eq + 1;
			return 0;
		}
		n += (size_t)snprintf(
			list + n, sizeof(list) - n, "%s%s", i > 0 ? ", " : "", wants_names[i]);
	}
	return err_set(e, EINVAL, "'%s' is no KEY=VALUE of a VF; keys are: %s", word, list);
}

/* Text of a part in front of its value, as the parsers of attr.h take it; "": it is not wanted. */
static void part(char *text, size_t size, const char *word, const char *value) {
	if (value != NULL)
		snprintf(text, size, "%s %s", word, value);
	else
		text[0] = '\0';
}

static int want_vlan(
	const struct wants *w, const char *now, char to[ATTR_TEXT_MAX], struct err *e) {
	struct attr_vlan v = {.proto = 0x8100};
	char qos[ATTR_TEXT_MAX], proto[ATTR_TEXT_MAX];
	int rc = vlan_parse(now, &v, e);

	part(qos, sizeof(qos), "qos", w->value[WANT_QOS]);
	part(proto, sizeof(proto), "proto", w->value[WANT_PROTO]);
	if (rc == 0 && w->value[WANT_VLAN] != NULL) {
		rc = vlan_parse(w->value[WANT_VLAN], &v, e);
		if (v.vlan == 0)
			v = (struct attr_vlan){.proto = 0x8100};
	}
	if (rc == 0 && qos[0] != '\0')
		rc = vlan_parse(qos, &v, e);
	if (rc == 0 && proto[0] != '\0')
		rc = vlan_parse(proto, &v, e);
	if (rc == 0)
		vlan_format(&v, to);
	return rc;
}

static int want_rate(
	const struct wants *w, const char *now, char to[ATTR_TEXT_MAX], struct err *e) {
	struct attr_rate v = {0};
	char both[3 * ATTR_TEXT_MAX], min[ATTR_TEXT_MAX], max[ATTR_TEXT_MAX];
	int rc = rate_parse(now, &v, e);

	// In one go: a min above the old max is no fault when the max is raised too.
	part(min, sizeof(min), "min", w->value[WANT_MIN_RATE]);
	part(max, sizeof(max), "max", w->value[WANT_MAX_RATE]);
	snprintf(both, sizeof(both), "%.*s %s %s", ATTR_TEXT_MAX,
		w->value[WANT_RATE] != NULL ? w->value[WANT_RATE] : "", min, max);
	if (rc == 0)
		rc = rate_parse(both, &v, e);
	if (rc == 0)
		rate_format(&v, to);
	return rc;
}

/* Each attribute, the wants that it is made of, and how. */
static const struct {
	enum attr attr;
	enum want first, last;
	int (*make)(const struct wants *w, const char *now, char to[ATTR_TEXT_MAX], struct err *e);
} makers[] = {
	{ATTR_MAC, WANT_MAC, WANT_MAC, NULL},
	{ATTR_VLAN, WANT_VLAN, WANT_PROTO, want_vlan},
	{ATTR_RATE, WANT_RATE, WANT_MAX_RATE, want_rate},
	{ATTR_SPOOFCHK, WANT_SPOOFCHK, WANT_SPOOFCHK, NULL},
	{ATTR_TRUST, WANT_TRUST, WANT_TRUST, NULL},
	{ATTR_STATE, WANT_STATE, WANT_STATE, NULL},
	{ATTR_RSS_QUERY, WANT_RSS_QUERY, WANT_RSS_QUERY, NULL},
};

static bool wanted(const struct wants *w, enum want first, enum want last) {
	for (unsigned i = first; i <= last; i++)
		if (w->value[i] != NULL)
			return true;
	return false;
}

int wants_add(struct functions *f, const struct wants *w, const struct pci_function *vf,
	const char *seed, struct err *e) {
	const char *pf = f->host.pci.fn[vf->pf].slot;

	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		const char *said = w->value[makers[i].first];
		char now[ATTR_TEXT_MAX], to[ATTR_TEXT_MAX];
		int rc;

		if (!wanted(w, makers[i].first, makers[i].last))
			continue;
		rc = attr_get(&f->host, makers[i].attr, pf, vf->vf, now, e);
		if (rc < 0)
			return rc;
		if (makers[i].make != NULL)
			rc = makers[i].make(w, now, to, e);
		else if (makers[i].attr == ATTR_MAC && strcmp(said, "auto") == 0)
			owner_mac(&f->host, seed, to);
		else
			rc = attr_parse(makers[i].attr, said, to, e);
		if (rc == 0)
			rc = changes_put(&f->l, makers[i].attr, pf, vf->vf, now, to, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int add_all(
	struct functions *f, const struct wants *w, const struct vfs_named *v, struct err *e) {
	const char *mac = w->value[WANT_MAC];
	char seed[PCI_SLOT_MAX + 8];
	int rc = 0;

	if (v->n > 1 && mac != NULL && strcmp(mac, "auto") != 0 && strcmp(mac, "none") != 0)
		return err_set(e, EINVAL,
			"%u VFs cannot have the same MAC; say mac=auto, or set one after the other",
			v->n);
	for (unsigned i = 0; i < v->n && rc == 0; i++) {
		snprintf(seed, sizeof(seed), "vf %s", v->vf[i]->slot);
		rc = wants_add(f, w, v->vf[i], seed, e);
	}
	return rc;
}

int vf_set(const struct command *c, int argc, char **argv) {
	struct vfs_named v = {.n = 0};
	struct functions f;
	struct wants w = {0};
	struct err e;
	int at = 1, status = functions_open(&f, c, &argc, argv, true, 2, 0), rc;

	if (status < 0) {
		rc = vfs_named(&v, &f.host, argc, argv, &at, &e);
		if (rc < 0)
			status = cli_fail("%s", e.text);
	}
	if (status < 0 && at == argc)
		status = cli_usage(c, "set what? give KEY=VALUE");
	for (; status < 0 && at < argc; at++)
		if (wants_take(&w, argv[at], &e) < 0)
			status = cli_usage(c, "%s", e.text);
	if (status < 0)
		status = add_all(&f, &w, &v, &e) < 0 ? cli_fail("%s", e.text)
						     : host_args_change(&f.args, "vf set", &f.l);
	functions_close(&f);
	return status;
}
