/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mac.h"
#include "cli/output.h"
#include "cli/vf.h"
#include "host/change/owner.h"
#include "host/prove/prove.h"

/* `weir vf list`: what the card, its driver, the kernel and weir's own records say of each VF. */

struct list {
	struct functions f;
	struct users *users;
	json_t *rows;
};

static void put_text(json_t *row, const char *key, const char *text) {
	json_object_set_new(
		row, key, text != NULL && text[0] != '\0' ? json_string(text) : json_null());
}

/* null where the driver does not tell. */
static void put_told(
	json_t *row, const char *key, const struct link_vf *v, unsigned has, json_t *value) {
	json_object_set_new(
		row, key, v != NULL && (v->has & has) ? json_incref(value) : json_null());
	json_decref(value);
}

static void put_settings(json_t *row, const struct link_vf *v) {
	static const struct link_vf nothing;
	const struct link_vf *x = v != NULL ? v : &nothing;
	char mac[MAC_TEXT_MAX];

	put_told(row, "mac", v, VF_HAS_MAC, json_string(mac_format(x->mac, mac)));
	put_told(row, "vlan", v, VF_HAS_VLAN, json_integer(x->vlan));
	put_told(row, "qos", v, VF_HAS_VLAN, json_integer(x->qos));
	put_told(row, "proto", v, VF_HAS_VLAN,
		json_string(x->proto == 0x88a8 ? "802.1ad" : "802.1Q"));
	put_told(row, "min_rate", v, VF_HAS_RATE, json_integer(x->min_rate));
	put_told(row, "max_rate", v, VF_HAS_RATE, json_integer(x->max_rate));
	put_told(row, "spoofchk", v, VF_HAS_SPOOFCHK, json_boolean(x->spoofchk));
	put_told(row, "trust", v, VF_HAS_TRUST, json_boolean(x->trust));
	put_told(row, "link_state", v, VF_HAS_STATE, json_string(vf_state_word(x->state)));
	put_told(row, "rss_query", v, VF_HAS_RSS_QUERY, json_boolean(x->rss_query));
}

static void put_proved(json_t *row, const struct host *h, const struct pci_function *pf) {
	struct prove_conditions now;
	char why[160] = "";
	struct err e;
	json_t *known = prove_known(h->state, pf->slot, &e), *v = json_object();

	for (enum prove_what w = 0; known != NULL && w < PROVE_WHATS; w++)
		json_object_set_new(v, prove_what_name(w),
			json_string(prove_verdict_name(prove_verdict(known, w))));
	if (known != NULL) {
		prove_conditions(h, pf, &now);
		prove_stale(known, &now, why, sizeof(why));
	}
	json_object_set_new(row, "enforced", known != NULL ? json_incref(v) : json_null());
	put_text(row, "enforced_stale", why);
	json_decref(v);
	json_decref(known);
}

static json_t *row_of(const struct list *l, const struct pci_function *vf) {
	static const char *const same[] = {"address", "pf", "vf", "interface", "representor",
		"driver", "numa", "iommu_group", "use"};
	const struct host *h = &l->f.host;
	const struct pci_function *pf = &h->pci.fn[vf->pf];
	const struct link *link = host_link(h, pf);
	json_t *all = host_json(h, l->users, vf), *row = json_object();
	char owner[ATTR_TEXT_MAX];

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		json_object_set(row, same[i], json_object_get(all, same[i]));
	json_decref(all);
	put_text(row, "pf_interface", link != NULL ? link->name : NULL);
	put_settings(row, host_vf(h, vf));
	if (owner_get(h, vf, owner, NULL) < 0 || strcmp(owner, "none") == 0)
		owner[0] = '\0';
	put_text(row, "owner", owner);
	put_proved(row, h, pf);
	return row;
}

/* Members that only the table has. */

static void put_vlan_cell(json_t *row) {
	const json_t *vlan = json_object_get(row, "vlan");
	struct attr_vlan v = {(unsigned)json_integer_value(vlan),
		(unsigned)json_integer_value(json_object_get(row, "qos")),
		strcmp(json_is_string(json_object_get(row, "proto"))
				? json_string_value(json_object_get(row, "proto"))
				: "",
			"802.1ad") == 0
			? 0x88a8
			: 0x8100};
	char text[ATTR_TEXT_MAX] = "";

	if (json_is_integer(vlan) && (v.vlan != 0 || v.qos != 0))
		vlan_format(&v, text);
	json_object_set_new(row, "vlan_text", json_string(text));
}

static void put_rate_cell(json_t *row, const char *key, const char *cell) {
	double mbit = (double)json_integer_value(json_object_get(row, key));
	char text[OUTPUT_NUM] = "";

	json_object_set_new(row, cell, json_string(mbit > 0 ? output_bits(mbit * 1e6, text) : ""));
}

static void put_switch_cell(json_t *row, const char *key, const char *cell) {
	const json_t *v = json_object_get(row, key);

	json_object_set_new(
		row, cell, json_string(json_is_boolean(v) ? on_off(json_is_true(v)) : ""));
}

/* "vlan; not spoofchk, rate": what holds, and what is only accepted. */
static void put_enforced_cell(json_t *row) {
	char good[96] = "", bad[96] = "", text[256];
	size_t g = 0, b = 0;
	const char *what;
	json_t *v;

	json_object_foreach (json_object_get(row, "enforced"), what, v) {
		const char *verdict = json_string_value(v);

		if (strcmp(verdict, prove_verdict_name(PROVE_ENFORCED)) == 0)
			g += (size_t)snprintf(
				good + g, sizeof(good) - g, "%s%s", g > 0 ? ", " : "", what);
		else if (strcmp(verdict, prove_verdict_name(PROVE_NOT_ENFORCED)) == 0)
			b += (size_t)snprintf(
				bad + b, sizeof(bad) - b, "%s%s", b > 0 ? ", " : "not ", what);
	}
	snprintf(text, sizeof(text), "%s%s%s%s", good, g > 0 && b > 0 ? "; " : "", bad,
		json_is_string(json_object_get(row, "enforced_stale")) ? " (outdated)" : "");
	json_object_set_new(row, "enforced_text", json_string(text));
}

static void put_cells(json_t *row) {
	const char *state = json_string_value(json_object_get(row, "link_state"));
	const char *use = json_string_value(output_at(row, "use.kind"));

	put_vlan_cell(row);
	put_rate_cell(row, "min_rate", "min_text");
	put_rate_cell(row, "max_rate", "max_text");
	put_switch_cell(row, "spoofchk", "spoofchk_text");
	put_switch_cell(row, "trust", "trust_text");
	json_object_set_new(row, "state_text",
		json_string(state != NULL && strcmp(state, "auto") != 0 ? state : ""));
	json_object_set(row, "use_text",
		use != NULL && strcmp(use, "free") == 0
			? json_object_get(json_object_get(row, "use"), "kind")
			: output_at(row, "use.text"));
	put_enforced_cell(row);
}

static void print_table(json_t *rows) {
	static const struct column columns[] = {
		{"PF", "pf_interface", CELL_TEXT},
		{"VF", "vf", CELL_NUMBER},
		{"ADDRESS", "address", CELL_TEXT},
		{"INTERFACE", "interface", CELL_TEXT},
		{"REPRESENTOR", "representor", CELL_TEXT},
		{"DRIVER", "driver", CELL_TEXT},
		{"MAC", "mac", CELL_TEXT},
		{"VLAN", "vlan_text", CELL_TEXT},
		{"MIN", "min_text", CELL_TEXT},
		{"MAX", "max_text", CELL_TEXT},
		{"SPOOFCHK", "spoofchk_text", CELL_TEXT},
		{"TRUST", "trust_text", CELL_TEXT},
		{"STATE", "state_text", CELL_TEXT},
		{"OWNER", "owner", CELL_TEXT},
		{"USE", "use_text", CELL_TEXT},
		{"ENFORCED", "enforced_text", CELL_TEXT},
		{NULL},
	};
	size_t i;
	json_t *row;

	json_array_foreach (rows, i, row)
		put_cells(row);
	output_table(stdout, columns, rows);
}

static void add_pf(struct list *l, const struct pci_function *pf) {
	for (unsigned i = 0; i < pf->vfs; i++) {
		const struct pci_function *vf = pci_vf(&l->f.host.pci, pf, (int)i);

		if (vf != NULL)
			json_array_append_new(l->rows, row_of(l, vf));
	}
}

static int add_rows(struct list *l, int argc, char **argv, struct err *e) {
	const struct pci *p = &l->f.host.pci;

	for (int i = 1; i < argc; i++) {
		const struct pci_function *f = host_find(&l->f.host, argv[i], e);

		if (f == NULL)
			return -1;
		if (pci_is_vf(f))
			json_array_append_new(l->rows, row_of(l, f));
		else
			add_pf(l, f);
	}
	for (unsigned i = 0; argc == 1 && i < p->n; i++)
		add_pf(l, &p->fn[i]);
	return 0;
}

int vf_list(const struct command *c, int argc, char **argv) {
	struct list l = {.rows = json_array()};
	struct err e;
	int bad = 0, status;
	const char *state = cli_option(&argc, argv, "state", &bad);

	if (bad)
		return cli_usage(c, "--state wants a folder");
	status = functions_open(&l.f, c, &argc, argv, false, 0, 0);
	if (status < 0) {
		l.f.host.state = state != NULL ? state : l.f.args.state;
		l.users = users_read(&l.f.host);
		if (l.users == NULL || add_rows(&l, argc, argv, &e) < 0)
			status = cli_fail("%s", l.users != NULL ? e.text : "no memory");
	}
	if (status < 0) {
		status = STATUS_DONE;
		if (l.f.args.json)
			output_json(stdout, l.rows);
		else if (json_array_size(l.rows) > 0)
			print_table(l.rows);
		else
			puts("no VFs; 'weir vf create PF N' makes some");
	}
	json_decref(l.rows);
	users_free(l.users);
	functions_close(&l.f);
	return status;
}
