/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/frames/rfc2544_options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "bench/frames/search.h"
#include "bench/options.h"

/* In the order of enum rfc2544_procedure. */
enum { PROCEDURES = 6 };
static const char *const names[PROCEDURES] = {
	"throughput", "latency", "loss", "burst", "recovery", "loads"};

static int parse_procedures(struct rfc2544_options *o, const char *text, struct err *e) {
	for (;;) {
		size_t n = strcspn(text, ",");
		unsigned i = 0;

		while (i < PROCEDURES && (strlen(names[i]) != n || strncmp(names[i], text, n) != 0))
			i++;
		if (i == PROCEDURES)
			return err_set(e, EINVAL,
				"--procedure: there is none called '%.*s'; there are throughput, "
				"latency, loss, burst, recovery and loads",
				n < 40 ? (int)n : 40, text);
		o->procedures |= 1u << i;
		if (text[n] == '\0')
			return 0;
		text += n + 1;
	}
}

enum { RATE, WAIT, LEARN_WAIT, PASSED = 8 };
/* Options that are those of frames, under the name they have there. */
static const char *const passed[PASSED] = {
	[RATE] = "--rate",
	[WAIT] = "--wait",
	[LEARN_WAIT] = "--learn-wait",
	"--size",
	"--flows",
	"--macs",
	"--cpus",
	"--sink-cpus",
};

/* As frames would read them; it knows the greatest rate as its rate. */
static int parse_frames(struct rfc2544_options *o, const char *v[PASSED], bool both, int argc,
	char **argv, struct err *e) {
	char *args[2 * PASSED + 5];
	int n = 0;

	if (argc != 3)
		return err_set(
			e, EINVAL, "frames go between two endpoints; %d were given", argc - 1);
	args[n++] = argv[0];
	for (unsigned i = 0; i < PASSED; i++)
		if (v[i] != NULL) {
			args[n++] = (char *)passed[i];
			args[n++] = (char *)v[i];
		}
	if (both)
		args[n++] = "--both";
	args[n++] = argv[1];
	args[n++] = argv[2];
	args[n] = NULL;
	if (frame_options_parse(&o->frames, n, args, e) == 0)
		return 0;
	if (strncmp(e->text, "--rate", 6) == 0) {
		memmove(e->text, e->text + 2, strlen(e->text + 2) + 1);
		err_prefix(e, "--max-");
	}
	return -EINVAL;
}

/* A preset whose trials take so long, in whatever they were by the book. */
static void set_time(struct preset *p, double seconds) {
	double scale = seconds / p->goal.final_s;

	p->goal.initial_s *= scale;
	p->goal.final_s = seconds;
	p->goal.sum_s *= scale;
	p->latency_s = p->loss_s = p->overload_s = p->relief_s = seconds;
}

/* A buffer in frames of which size? RFC 9004 section 3: of one, for each table row. */
static int check_sizes(const struct rfc2544_options *o, struct err *e) {
	for (unsigned i = 0; i < o->frames.nsizes && (o->procedures & RFC2544_BURST) != 0; i++)
		if (strcmp(o->frames.size[i], "imix") == 0)
			return err_set(e, EINVAL,
				"--procedure burst wants frames of one size (RFC 9004), not "
				"'imix'; give "
				"--size 60 to 9018");
	return 0;
}

static void note(struct rfc2544_options *o, const char *what, double v, const char *unit) {
	size_t n = strlen(o->label);

	snprintf(o->changed[o->nchanged], RFC2544_CHANGE, "%s %.6g%s", what, v, unit);
	snprintf(o->label + n, sizeof(o->label) - n, "%s %s", o->nchanged == 0 ? ", changed:" : ",",
		o->changed[o->nchanged]);
	o->nchanged++;
}

/* The greatest load ("Max Load" of RFC 9971) that is not what the endpoints take. */
static void note_max(struct rfc2544_options *o) {
	const struct frame_options *f = &o->frames;

	if (f->rate_value > 0 && !(f->rate_percent && f->rate_value == 100))
		note(o, "max-rate", f->rate_value, f->rate_percent ? "%" : " frame/s");
}

/* What is called after a standard is as the standard says, or says what is not. */
static void note_changes(struct rfc2544_options *o, const struct preset *book, double time_s) {
	const struct preset *p = &o->preset;

	snprintf(o->label, sizeof(o->label), "%s", book->name);
	if (p->goal.final_s != book->goal.final_s || p->goal.sum_s != book->goal.sum_s ||
		p->latency_s != book->latency_s || p->loss_s != book->loss_s ||
		p->overload_s != book->overload_s || p->relief_s != book->relief_s)
		note(o, "time", time_s, "s");
	note_max(o);
	if (p->wait_s != book->wait_s)
		note(o, "wait", p->wait_s, "s");
	if (p->learn_s != book->learn_s)
		note(o, "learn-wait", p->learn_s, "s");
	if (p->burst_s != book->burst_s)
		note(o, "burst-max", p->burst_s, "s");
	if (p->burst_step > 1)
		note(o, "burst-step", p->burst_step, "");
}

int rfc2544_options_parse(
	struct rfc2544_options *o, int argc, char **argv, uint64_t time_ns, struct err *e) {
	const struct preset *found;
	const char *v[PASSED] = {NULL}, *preset = "quick", *procedures = "throughput";
	uint64_t burst_ns = 0, burst_step = 0;
	bool both = false;
	const struct option_spec table[] = {
		{"preset", OPTION_TEXT, &preset},
		{"procedure", OPTION_TEXT, &procedures},
		{"max-rate", OPTION_TEXT, &v[RATE]},
		{"wait", OPTION_TEXT, &v[WAIT]},
		{"learn-wait", OPTION_TEXT, &v[LEARN_WAIT]},
		{passed[3] + 2, OPTION_TEXT, &v[3]},
		{passed[4] + 2, OPTION_TEXT, &v[4]},
		{passed[5] + 2, OPTION_TEXT, &v[5]},
		{passed[6] + 2, OPTION_TEXT, &v[6]},
		{passed[7] + 2, OPTION_TEXT, &v[7]},
		{"burst-max", OPTION_DURATION, &burst_ns, 1000000, 60000000000},
		{"burst-step", OPTION_COUNT, &burst_step, 1, 1000000},
		{"both", OPTION_FLAG, &both},
		{NULL},
	};
	int rc;

	*o = (struct rfc2544_options){.procedures = RFC2544_THROUGHPUT};
	rc = options_take(table, &argc, argv, e);
	if (rc == 0)
		rc = parse_frames(o, v, both, argc, argv, e);
	if (rc == 0)
		rc = parse_procedures(o, procedures, e);
	if (rc == 0)
		rc = check_sizes(o, e);
	if (rc < 0)
		return -EINVAL;
	found = search_preset(preset, e);
	if (found == NULL)
		return -EINVAL;
	o->preset = *found;
	if (time_ns > 0)
		set_time(&o->preset, (double)time_ns / 1e9);
	if (v[WAIT] != NULL)
		o->preset.wait_s = (double)o->frames.wait_ns / 1e9;
	if (v[LEARN_WAIT] != NULL)
		o->preset.learn_s = (double)o->frames.learn_ns / 1e9;
	if (burst_ns > 0)
		o->preset.burst_s = (double)burst_ns / 1e9;
	o->preset.burst_step = (double)burst_step;
	note_changes(o, found, (double)time_ns / 1e9);
	return 0;
}
