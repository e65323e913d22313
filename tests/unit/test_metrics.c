/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * A strict reader of the text format stands here for Prometheus: it takes nothing that the format
 * does not allow, and of what is allowed only what weir means to write. */
#include "control/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forward/fdb.h"

struct sample {
	char name[64], labels[192];
	double value;
};

/* Advances over a metric or label name; its length, 0: none. */
static size_t name_len(const char *p) {
	size_t n = 0;

	while (isalnum((unsigned char)p[n]) || p[n] == '_')
		n++;
	return isdigit((unsigned char)p[0]) ? 0 : n;
}

/* {a="b",c="d"}; returns what follows, NULL when it is not well-formed. */
static const char *labels(const char *p) {
	do {
		size_t n = name_len(++p);

		if (n == 0 || p[n] != '=' || p[n + 1] != '"')
			return NULL;
		for (p += n + 2; *p != '"'; p++)
			if (*p == '\0' || *p == '\n' ||
				(*p == '\\' && strchr("\\\"n", *++p) == NULL))
				return NULL;
		p++;
	} while (*p == ',');
	return *p == '}' ? p + 1 : NULL;
}

static const char *sample(const char *line, struct sample *s) {
	size_t n = name_len(line);
	const char *p = line + n, *from = p;
	char *end;

	if (n == 0 || n >= sizeof(s->name))
		return "a name";
	snprintf(s->name, sizeof(s->name), "%.*s", (int)n, line);
	if (*p == '{' && (p = labels(p)) == NULL)
		return "labels";
	if ((size_t)(p - from) >= sizeof(s->labels))
		return "labels that long";
	snprintf(s->labels, sizeof(s->labels), "%.*s", (int)(p - from), from);
	if (*p++ != ' ' || isspace((unsigned char)*p))
		return "one blank";
	s->value = strtod(p, &end);
	return end == p || *end != '\0' ? "a value" : NULL;
}

struct reader {
	char family[64], type[16], seen[8192];
	struct sample samples[2048];
	unsigned n;
	int state; /* 0: before HELP, 1: HELP read, 2: TYPE read */
};

/* "# HELP name text" or "# TYPE name type". */
static const char *comment(struct reader *r, const char *line) {
	bool help = strncmp(line, "# HELP ", 7) == 0;
	size_t n = name_len(line + 7);
	char mark[80];

	if (!help && strncmp(line, "# TYPE ", 7) != 0)
		return "HELP or TYPE";
	if (n == 0 || n >= sizeof(r->family) || line[7 + n] != ' ' || line[8 + n] == '\0')
		return "a name and a text";
	if (help) {
		snprintf(r->family, sizeof(r->family), "%.*s", (int)n, line + 7);
		snprintf(mark, sizeof(mark), " %s ", r->family);
		if (strstr(r->seen, mark) != NULL)
			return "each metric once";
		strcat(r->seen, mark);
		r->state = 1;
		return NULL;
	}
	if (r->state != 1 || strncmp(r->family, line + 7, n) != 0 || r->family[n] != '\0')
		return "TYPE behind its HELP";
	snprintf(r->type, sizeof(r->type), "%s", line + 8 + n);
	r->state = 2;
	return strcmp(r->type, "counter") == 0 || strcmp(r->type, "gauge") == 0 ? NULL
										: "a known type";
}

static const char *read_line(struct reader *r, const char *line) {
	struct sample *s = &r->samples[r->n];
	const char *why;

	if (line[0] == '#')
		return comment(r, line);
	why = sample(line, s);
	if (why != NULL)
		return why;
	if (r->state != 2 || strcmp(s->name, r->family) != 0)
		return "samples of a metric together, behind its TYPE";
	if ((strcmp(r->type, "counter") == 0) !=
		(strlen(s->name) > 6 && strcmp(s->name + strlen(s->name) - 6, "_total") == 0))
		return "_total at the end of counters and of nothing else";
	for (unsigned i = 0; i < r->n; i++)
		if (strcmp(r->samples[i].name, s->name) == 0 &&
			strcmp(r->samples[i].labels, s->labels) == 0)
			return "each set of labels once";
	r->n++;
	return NULL;
}

/* Reads a page to its end; NULL, or what was expected in the line that *at says. */
static const char *read_page(struct reader *r, char *page, unsigned *at) {
	*at = 0;
	memset(r, 0, sizeof(*r));
	while (*page != '\0') {
		char *nl = strchr(page, '\n');
		const char *why;

		++*at;
		if (nl == NULL)
			return "a newline at the end";
		*nl = '\0';
		why = read_line(r, page);
		if (why != NULL)
			return why;
		page = nl + 1;
	}
	return NULL;
}

static double value(const struct reader *r, const char *name, const char *with) {
	double sum = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < r->n; i++)
		if (strcmp(r->samples[i].name, name) == 0 &&
			strstr(r->samples[i].labels, with) != NULL) {
			sum += r->samples[i].value;
			n++;
		}
	if (n == 0)
		fail_msg("no %s with %s", name, with);
	return sum;
}

static struct reader reader;

static char *write_page(const struct metrics_page *p) {
	size_t n;
	char *text;
	FILE *f = open_memstream(&text, &n);

	metrics_write(f, p);
	fclose(f);
	return text;
}

static void a_page_holds_every_counter_in_the_strict_format(void **state) {
	static struct metrics_port ports[2] = {
		{.name = "vm1",
			.kind = "vhost-user",
			.status = {.state = PORT_UP, .active_pairs = 2}},
		{.name = "host-0.1", .kind = "tap", .status = {.state = PORT_SHUT, .shuts = 3}},
	};
	static const struct worker_stats workers[1] = {{.cpu = 3,
		.queues = 4,
		.cycles = 1000,
		.busy_cycles = 250,
		.stage_cycles = {1, 2, 3, 4, 5}}};
	const struct fdb_stats fdb = {.used = 5, .max = 65536, .moves = 1, .refused_full = 9};
	const struct metrics_page p = {ports, 2, workers, 1, &fdb, 2000000000, 1700000000.5};
	const char *why;
	unsigned at;
	char *text;

	ports[0].rx.frames = UINT64_MAX;
	ports[0].tx.bytes = 1234;
	ports[0].rx.drops[DROP_MAC_PINNED] = 11;
	ports[1].tx.drops[DROP_RING_FULL] = 12;
	text = write_page(&p);
	why = read_page(&reader, text, &at);
	if (why != NULL)
		fail_msg("line %u: expected %s", at, why);
	assert_true(
		value(&reader, "weir_port_rx_frames_total", "port=\"vm1\"") == (double)UINT64_MAX);
	assert_true(value(&reader, "weir_port_tx_bytes_total", "port=\"vm1\"") == 1234);
	assert_true(value(&reader, "weir_port_drops_total", "port=\"vm1\",reason=\"mac-pinned\"") ==
		    11);
	assert_true(value(&reader, "weir_port_drops_total",
			    "port=\"host-0.1\",reason=\"ring-full\"") == 12);
	assert_true(value(&reader, "weir_port_state", "port=\"host-0.1\",state=\"shut\"") == 1);
	assert_true(value(&reader, "weir_port_state", "port=\"vm1\"") == 1);
	assert_true(value(&reader, "weir_worker_stage_cycles_total", "stage=") == 15);
	assert_true(value(&reader, "weir_worker_busy_ratio", "cpu=\"3\"") == 0.25);
	assert_true(value(&reader, "weir_mac_refused_total", "by=\"table\"") == 9);
	assert_true(value(&reader, "weir_start_time_seconds", "") == 1700000000.5);
	assert_true(value(&reader, "weir_build_info", "version=") == 1);
	free(text);
}

static void an_empty_switch_has_a_page_too(void **state) {
	char *text = write_page(&(struct metrics_page){.tsc_hz = 1});
	unsigned at;

	assert_null(read_page(&reader, text, &at));
	assert_true(reader.n >= 3);
	free(text);
}

static void the_reader_is_strict(void **state) {
	static const char *const bad[] = {
		"weir_a 1\n",
		"# TYPE weir_a gauge\nweir_a 1\n",
		"# HELP weir_a Text.\n# TYPE weir_a gauge\nweir_a 1",
		"# HELP weir_a Text.\n# TYPE weir_a gauge\nweir_a  1\n",
		"# HELP weir_a Text.\n# TYPE weir_a gauge\nweir_a 1x\n",
		"# HELP weir_a Text.\n# TYPE weir_a gauge\nweir_b 1\n",
		"# HELP weir_a Text.\n# TYPE weir_a gauge\nweir_a 1\nweir_a 1\n",
		"# HELP weir_a Text.\n# TYPE weir_a counter\nweir_a 1\n",
		"# HELP weir_a Text.\n# TYPE weir_a meter\nweir_a 1\n",
		"# HELP weir_a Text.\n# TYPE weir_a gauge\nweir_a{x=1} 1\n",
		"# HELP weir_a Text.\n# TYPE weir_a gauge\nweir_a{x=\"1\"}1\n",
		"# HELP weir_a Text.\n# TYPE weir_a gauge\nweir_a{} 1\n",
		"# HELP weir_a Text.\n# TYPE weir_a gauge\n# HELP weir_a Text.\n",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *text = strdup(bad[i]);
		unsigned at;

		if (read_page(&reader, text, &at) == NULL)
			fail_msg("taken: %s", bad[i]);
		free(text);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_reader_is_strict),
		cmocka_unit_test(a_page_holds_every_counter_in_the_strict_format),
		cmocka_unit_test(an_empty_switch_has_a_page_too),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
