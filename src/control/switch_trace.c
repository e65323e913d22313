/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "control/switch.h"
#include "control/switch_state.h"

/* weir trace: the datapath's own code judges the frame and explains itself in ids of ports and
 * networks, which are all it knows; users know names. So in each sentence the number after "port",
 * "ports" or "network", and one joined to it by "and", becomes a name. */

struct words {
	const struct state *st;
	char *to;
	size_t n, size;
};

static void put(struct words *w, const char *text, size_t len) {
	if (len > w->size - 1 - w->n)
		len = w->size - 1 - w->n;
	memcpy(w->to + w->n, text, len);
	w->n += len;
	w->to[w->n] = '\0';
}

static const char *name_of(const struct state *st, bool port, unsigned long id) {
	const struct config_port *p =
		port && id < PORTS_MAX ? state_port_by_id(st, (uint16_t)id) : NULL;
	const struct config_net *net =
		!port && id < NETS_MAX ? state_net_by_id(st, (uint16_t)id) : NULL;

	return p != NULL ? p->spec.name : net != NULL ? net->name : NULL;
}

// Copies a number, as the name it stands for if there is one; returns what follows it.
static const char *put_name(struct words *w, bool port, const char *p) {
	char *end;
	unsigned long id = strtoul(p, &end, 10);
	const char *name = name_of(w->st, port, id);

	if (name != NULL)
		put(w, name, strlen(name));
	else
		put(w, p, (size_t)(end - p));
	return end;
}

static void with_names(const struct state *st, const char *text, char *to, size_t size) {
	static const struct {
		const char *word;
		bool port;
	} before[] = {{"port ", true}, {"ports ", true}, {"network ", false}};
	struct words w = {.st = st, .to = to, .size = size};
	const char *p = text;

	to[0] = '\0';
	while (*p != '\0') {
		unsigned i, n = sizeof(before) / sizeof(before[0]);
		size_t len = 0;

		for (i = 0; i < n; i++) {
			len = strlen(before[i].word);
			if (strncmp(p, before[i].word, len) == 0 && isdigit((unsigned char)p[len]))
				break;
		}
		if (i == n) {
			put(&w, p++, 1);
			continue;
		}
		put(&w, p, len);
		p = put_name(&w, before[i].port, p + len);
		if (strncmp(p, " and ", 5) == 0 && isdigit((unsigned char)p[5])) {
			put(&w, " and ", 5);
			p = put_name(&w, before[i].port, p + 5);
		}
	}
}

static json_t *show_steps(const struct state *st, const struct explain *ex) {
	json_t *list = json_array();
	char text[2 * EXPLAIN_TEXT];

	for (unsigned i = 0; i < ex->n && i < EXPLAIN_STEPS; i++) {
		with_names(st, ex->step[i].text, text, sizeof(text));
		json_array_append_new(
			list, json_pack("{s:s, s:s}", "stage", ex->step[i].stage, "text", text));
	}
	return list;
}

static json_t *show_outs(const struct state *st, const struct trace_out *out, unsigned n) {
	json_t *list = json_array();

	for (unsigned i = 0; i < n; i++) {
		const char *name = name_of(st, true, out[i].port);
		unsigned vlan = out[i].tag & 0xfff;

		json_array_append_new(list,
			json_pack("{s:s, s:i, s:o, s:o}", "port", name != NULL ? name : "gone",
				"queue", (int)out[i].queue, "vlan",
				out[i].tag != 0 ? json_integer(vlan) : json_null(), "drop",
				out[i].drop != DROP_NONE ? json_string(drop_name(out[i].drop))
							 : json_null()));
	}
	return list;
}

json_t *sw_trace(struct sw *s, const char *port, const uint8_t *frame, size_t len, struct err *e) {
	struct port *p = sw_port(s, port, e);
	struct trace_out *out;
	struct explain *ex;
	enum drop drop = DROP_NONE;
	json_t *map = NULL;
	int n = -ENOMEM;

	if (p == NULL)
		return NULL;
	if (len < FRAME_LEN_MIN || len > FRAME_LEN_MAX) {
		err_set(e, EINVAL,
			"the frame has %zu bytes; give %d..%d, from the destination MAC on", len,
			FRAME_LEN_MIN, FRAME_LEN_MAX);
		return NULL;
	}
	out = calloc(PORTS_MAX, sizeof(*out));
	ex = calloc(1, sizeof(*ex));
	if (out != NULL && ex != NULL)
		n = worker_trace(workers_snapshot(s->workers), p->id, frame, (uint32_t)len, out,
			PORTS_MAX, &drop, ex);
	if (n >= 0)
		map = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "port", port, "verdict",
			drop != DROP_NONE ? "drop"
			: n > 1           ? "flood"
					  : "forward",
			"drop", drop != DROP_NONE ? json_string(drop_name(drop)) : json_null(),
			"text", drop != DROP_NONE ? json_string(drop_text(drop)) : json_null(),
			"out", show_outs(s->now, out, (unsigned)n), "steps",
			show_steps(s->now, ex));
	if (map == NULL)
		err_set(e, ENOMEM, "no memory to trace the frame");
	free(out);
	free(ex);
	return map;
}
