/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "cli/bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/units.h"
#include "bench/agent.h"
#include "bench/conditions.h"
#include "bench/report/report.h"
#include "bench/result.h"
#include "cli/output.h"

/* What `weir bench NAME` can be: instruments, which measure and fill a document, and tools beside them.
 * A new one adds a line to its table. */

static const struct instrument *const instruments[] = {
	&bench_stream,
	&bench_rr,
	&bench_frames,
	&bench_rfc2544,
	&bench_fair,
	&bench_paths,
	NULL,
};

static const struct command *const tools[] = {
	&cmd_bench_compare,
	&cmd_bench_report,
	&cmd_bench_serve,
	&cmd_bench_agent,
	NULL,
};

static const struct bench_face face = {instruments, tools, conditions_collect};

static const char common_help[] =
	"\n"
	"  --repeat N      measure N times, 1 to 1000 (5; at least so often with --until, there "
	"10)\n"
	"  --until 1%      repeat until the 95 % interval of the mean is within 1 % of it, and "
	"thrice more\n"
	"  --repeat-max N  with --until, at most N times (30)\n"
	"  --time 10s      how long one measurement takes\n"
	"  --omit 1s       warm-up before each, which is not counted\n"
	"  -j              print JSON, see docs/bench-result.md\n"
	"  -o DIR          write the result into a directory, which is made when missing\n"
	"  --secret-file FILE  the secret of `weir bench serve` on other hosts "
	"(WEIR_BENCH_SECRET)\n"
	"  --quiet         no progress on standard error\n"
	"\n"
	"SIGINT ends it early: what was measured so far is printed and written, marked incomplete, "
	"exit status 1.\n";

enum { REPEAT = 5, REPEAT_MAX = 30, TIME_MAX_H = 24 };
#define SECOND 1000000000ULL

struct options {
	bool json;
	const char *dir;
};

static int read_number(const char *name, const char *text, unsigned *out, struct err *e) {
	char *end;
	unsigned long n;

	if (text == NULL)
		return 0;
	n = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || n < 1 || n > SERIES_MAX)
		return err_set(e, EINVAL, "--%s wants a number of 1 to %d, not '%.40s'", name,
			SERIES_MAX, text);
	*out = (unsigned)n;
	return 0;
}

static int read_percent(const char *name, const char *text, double *out, struct err *e) {
	char *end;
	double v;

	if (text == NULL)
		return 0;
	v = strtod(text, &end);
	if (text[0] < '0' || text[0] > '9' || strcmp(end, "%") != 0 || !(v > 0 && v <= 50))
		return err_set(e, EINVAL, "--%s wants more than 0%% and up to 50%%, not '%.40s'",
			name, text);
	*out = v / 100;
	return 0;
}

static int read_time(
	const char *name, const char *text, uint64_t least, uint64_t *ns, struct err *e) {
	struct err why;
	uint64_t v;

	if (text == NULL)
		return 0;
	if (units_duration(text, &v, &why) < 0)
		return err_set(e, EINVAL, "--%s: %s", name, why.text);
	if (v < least || v > TIME_MAX_H * 3600 * SECOND)
		return err_set(e, EINVAL, "--%s wants %s to %dh, not '%.40s'", name,
			least > 0 ? "10ms" : "0s", TIME_MAX_H, text);
	*ns = v;
	return 0;
}

/* Takes out of argv what all instruments have. */
static int take_common(int *argc, char **argv, struct bench *b, struct options *o, struct err *e) {
	enum { REPEATS, UNTIL, MOST, TIME, OMIT, DIRECTORY, SECRET, OPTIONS };
	static const char *const names[OPTIONS] = {
		"repeat", "until", "repeat-max", "time", "omit", "o", "secret-file"};
	const char *v[OPTIONS] = {NULL};

	o->json = cli_flag(argc, argv, "j") | cli_flag(argc, argv, "json");
	b->quiet = cli_flag(argc, argv, "quiet");
	for (int i = 0; i < OPTIONS; i++) {
		int bad = 0;

		v[i] = cli_option(argc, argv, names[i], &bad);
		if (bad)
			return err_set(e, EINVAL, "%s%s wants a value",
				names[i][1] != '\0' ? "--" : "-", names[i]);
	}
	if (v[MOST] != NULL && v[UNTIL] == NULL)
		return err_set(e, EINVAL, "--repeat-max goes with --until; give that too");
	b->repeat = v[UNTIL] != NULL ? UNTIL_LEAST : REPEAT;
	b->repeat_max = REPEAT_MAX;
	b->time_ns = 10 * SECOND;
	b->omit_ns = SECOND;
	b->time_given = v[TIME] != NULL;
	o->dir = v[DIRECTORY];
	if (read_number("repeat", v[REPEATS], &b->repeat, e) < 0 ||
		read_percent("until", v[UNTIL], &b->until, e) < 0 ||
		read_number("repeat-max", v[MOST], &b->repeat_max, e) < 0 ||
		read_time("time", v[TIME], SECOND / 100, &b->time_ns, e) < 0 ||
		read_time("omit", v[OMIT], 0, &b->omit_ns, e) < 0 ||
		agents_secret(v[SECRET], e) < 0)
		return -EINVAL;
	if (v[REPEATS] == NULL && v[MOST] != NULL && b->repeat > b->repeat_max)
		b->repeat = b->repeat_max;
	if (v[MOST] == NULL && b->repeat_max < b->repeat)
		b->repeat_max = b->repeat;
	if (b->until > 0 && b->repeat_max < b->repeat)
		return err_set(e, EINVAL, "--repeat-max %u is less than --repeat %u", b->repeat_max,
			b->repeat);
	return 0;
}

/* The directory is there, and can be written to, before an hour of measuring. */
static int prepare_directory(const char *dir, struct err *e) {
	struct stat st;
	int no = 0;

	if (mkdir(dir, 0777) < 0 && errno != EEXIST)
		no = errno;
	else if (stat(dir, &st) < 0)
		no = errno;
	else if (!S_ISDIR(st.st_mode))
		no = ENOTDIR;
	else if (access(dir, W_OK | X_OK) < 0)
		no = errno;
	return no == 0 ? 0 : err_set(e, no, "-o %s: %s", dir, strerror(no));
}

/* Did the instrument get far enough for a document to say something? */
static bool holds_something(const json_t *doc) {
	static const char *const lists[] = {
		"figures", "latencies", "endpoints", "intervals", "searches", NULL};

	for (int i = 0; lists[i] != NULL; i++)
		if (json_array_size(json_object_get(doc, lists[i])) > 0)
			return true;
	return false;
}

/* Prints and writes what there is. */
static int deliver(const struct bench *b, const struct options *o) {
	struct err e;

	if (o->json)
		output_json(stdout, b->doc);
	else
		bench_table(stdout, b->doc);
	if (o->dir != NULL &&
		(result_write(b->doc, o->dir, &e) < 0 || report_pages(b->doc, o->dir, &e) < 0))
		return cli_fail("%s", e.text);
	return STATUS_DONE;
}

static void warn(void *doc, const char *sentence) {
	result_warn(doc, "%s", sentence);
}

/* Runs the instrument between two looks at the machine. */
static int run_judged(const struct bench_face *f, const struct instrument *with, struct bench *b,
	int argc, char **argv, struct err *e) {
	json_t *before = f->conditions(), *after;
	int ret;

	json_object_set(b->doc, "conditions", before);
	ret = with->run(b, argc, argv, e);
	if (ret != -EINVAL) {
		after = f->conditions();
		conditions_judge(before, after, warn, b->doc);
		json_decref(after);
	}
	json_decref(before);
	return ret;
}

static int measure(const struct command *c, const struct bench_face *f,
	const struct instrument *with, struct bench *b, const struct options *o, int argc,
	char **argv) {
	struct err e = {.text = ""};
	int ret, status;

	bench_catch();
	ret = run_judged(f, with, b, argc, argv, &e);
	bench_progress(b, -1, "%s", "");
	if (ret == -EINVAL)
		return cli_usage(c, "%s", e.text);
	if (ret == -ECANCELED)
		result_incomplete(b->doc, "interrupted");
	else if (ret < 0)
		result_incomplete(b->doc, "%s", e.text);
	result_agreement(b->doc);
	result_finish(b->doc);
	if (ret < 0 && ret != -ECANCELED)
		cli_fail("%s: %s", c->name, e.text);
	if (ret < 0 && ret != -ECANCELED && !holds_something(b->doc))
		return STATUS_REFUSED;
	status = deliver(b, o);
	return json_is_true(json_object_get(b->doc, "complete")) ? status : STATUS_REFUSED;
}

static const struct instrument *find_instrument(const struct bench_face *f, const char *name) {
	for (const struct instrument *const *t = f->instruments; *t != NULL; t++)
		if (strcmp((*t)->name, name) == 0)
			return *t;
	return NULL;
}

/* What a tool is called behind "weir bench". */
static const char *short_name(const struct command *tool) {
	return tool->name + strlen("bench ");
}

static const struct command *find_tool(const struct bench_face *f, const char *name) {
	for (const struct command *const *t = f->tools; *t != NULL; t++)
		if (strcmp(short_name(*t), name) == 0)
			return *t;
	return NULL;
}

static int unknown(const struct command *c, const struct bench_face *f, const char *name) {
	char list[256] = "";
	size_t n = 0;

	for (const struct instrument *const *t = f->instruments; *t != NULL && n < sizeof(list);
		t++)
		n += (size_t)snprintf(
			list + n, sizeof(list) - n, "%s%s", n > 0 ? ", " : "", (*t)->name);
	for (const struct command *const *t = f->tools; *t != NULL && n < sizeof(list); t++)
		n += (size_t)snprintf(
			list + n, sizeof(list) - n, "%s%s", n > 0 ? ", " : "", short_name(*t));
	if (name == NULL)
		return cli_usage(c, "measure what? there are: %s", list);
	return cli_usage(c, "no such instrument '%s'; there are: %s", name, list);
}

int bench_command(const struct command *c, const struct bench_face *f, int argc, char **argv) {
	const struct command *tool = argc > 1 ? find_tool(f, argv[1]) : NULL;
	const struct instrument *with;
	struct options o = {0};
	struct bench b = {0};
	struct command as = *c;
	char name[64];
	struct err e;
	int status;

	if (tool != NULL)
		return tool->run(tool, argc - 1, argv + 1);
	b.doc = result_new("", argc, argv); // with the command as it was given
	status = take_common(&argc, argv, &b, &o, &e);
	with = argc > 1 ? find_instrument(f, argv[1]) : NULL;
	snprintf(name, sizeof(name), "bench %s", with != NULL ? with->name : "");
	as.name = name;
	if (with == NULL) {
		status = unknown(c, f, argc > 1 ? argv[1] : NULL);
	} else if (status < 0) {
		status = cli_usage(&as, "%s", e.text);
	} else if (o.dir != NULL && prepare_directory(o.dir, &e) < 0) {
		status = cli_fail("%s: %s", name, e.text);
	} else {
		json_object_set_new(b.doc, "instrument", json_string(with->name));
		status = measure(&as, f, with, &b, &o, argc - 1, argv + 1);
	}
	json_decref(b.doc);
	return status;
}

static int run(const struct command *c, int argc, char **argv) {
	return bench_command(c, &face, argc, argv);
}

/* Of `weir bench`, or of the one that argv[1] names. */
static int help(const struct command *c, int argc, char **argv) {
	const struct command *tool = argc > 1 ? find_tool(&face, argv[1]) : NULL;
	const struct instrument *with = argc > 1 ? find_instrument(&face, argv[1]) : NULL;

	if (tool != NULL) {
		cli_help(tool);
	} else if (with != NULL) {
		printf("usage: weir bench %s %s\n\n%s.\n%s%s", with->name, with->args, with->brief,
			with->help, common_help);
	} else if (argc > 1 && argv[1][0] != '-') {
		return unknown(c, &face, argv[1]);
	} else {
		cli_help(c);
		for (const struct instrument *const *t = instruments; *t != NULL; t++)
			printf("  %-9s %s\n", (*t)->name, (*t)->brief);
		for (const struct command *const *t = tools; *t != NULL; t++)
			printf("  %-9s %s\n", short_name(*t), (*t)->brief);
		fputs(common_help, stdout);
	}
	return STATUS_DONE;
}

const struct command cmd_bench = {
	"bench",
	"INSTRUMENT [OPTIONS]",
	"Measure a path between virtual machines, namespaces or hosts",
	"\n"
	"'weir bench INSTRUMENT --help' tells more of one:\n"
	"\n",
	run,
	help,
};
