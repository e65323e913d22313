/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "bench/report/compare.h"
#include "bench/report/report.h"
#include "cli/bench.h"
#include "cli/output.h"

enum { WORD_MAX = 80, SENTENCE_MAX = 512 };

static const struct column columns[] = {
	{"FIGURE", "name", CELL_TEXT},
	{"OF", "of", CELL_TEXT},
	{"A", "a", CELL_NUMBER},
	{"SD", "a_sd", CELL_NUMBER},
	{"B", "b", CELL_NUMBER},
	{"SD", "b_sd", CELL_NUMBER},
	{"B - A", "difference", CELL_NUMBER},
	{"95 %", "interval", CELL_NUMBER},
	{"FINDS", "findable", CELL_NUMBER},
	{"VERDICT", "verdict", CELL_TEXT},
	{NULL},
};

static double at(const json_t *v, const char *path) {
	const json_t *n = output_at(v, path);

	return json_is_number(n) ? json_number_value(n) : NAN;
}

/* Mean and spread of one side, into the row under its name: what is compared are means. Where lost ones reach
 * down to half of the repeats, what they are above. */
static void put_side(json_t *row, const json_t *figure, const char *side) {
	const json_t *one = json_object_get(figure, side);
	const char *unit = json_string_value(json_object_get(figure, "unit"));
	char text[WORD_MAX], word[WORD_MAX + 2], name[8];
	double above = at(one, "above");
	double mean = at(one, "mean"), part = at(one, "sd") / fabs(mean);

	snprintf(name, sizeof(name), "%s_sd", side);
	if (!isnan(mean))
		json_object_set_new(
			row, side, json_string(output_unit(mean, unit, text, sizeof(text))));
	if (isnan(at(one, "median")) && !isnan(above)) {
		snprintf(word, sizeof(word), "> %s", output_unit(above, unit, text, sizeof(text)));
		json_object_set_new(row, side, json_string(word));
	}
	if (isfinite(part)) {
		snprintf(text, sizeof(text), "%.1f%%", part * 100);
		json_object_set_new(row, name, json_string(text));
	}
}

/* A difference: beside A's mean where that is one, else in the figure's unit. */
static void change(const json_t *figure, double v, char *text, size_t size) {
	const char *unit = json_string_value(json_object_get(figure, "unit"));
	double whole = fabs(at(figure, "a.mean"));
	char word[WORD_MAX];

	if (whole > 0)
		snprintf(text, size, "%+.1f%%", v / whole * 100);
	else
		snprintf(text, size, "%s%s", v > 0 ? "+" : "",
			output_unit(v, unit, word, sizeof(word)));
}

static void put_difference(json_t *row, const json_t *figure) {
	double d = at(figure, "difference"), half = at(figure, "ci95");
	char from[WORD_MAX], to[WORD_MAX], text[2 * WORD_MAX + 4];

	if (isnan(d))
		return;
	change(figure, d, text, sizeof(text));
	json_object_set_new(row, "difference", json_string(text));
	if (isnan(half))
		return;
	change(figure, d - half, from, sizeof(from));
	change(figure, d + half, to, sizeof(to));
	snprintf(text, sizeof(text), "%s to %s", from, to);
	json_object_set_new(row, "interval", json_string(text));
}

/* What would have been found, in the words of a difference. */
static void put_findable(json_t *row, const json_t *figure) {
	double v = at(figure, "findable");
	char text[WORD_MAX];

	if (isnan(v))
		return;
	change(figure, v, text, sizeof(text));
	json_object_set_new(row, "findable", json_string(text[0] == '+' ? text + 1 : text));
}

static const char *verdict(const json_t *figure) {
	static const char *const words[][2] = {{"perhaps", "perhaps"}, {"noise", "within noise"},
		{"unknown", "cannot tell"}, {"untested", "not tested"}};
	const char *said = json_string_value(json_object_get(figure, "verdict"));
	const char *best = json_string_value(json_object_get(figure, "favours"));

	if (said == NULL)
		return json_is_null(json_object_get(figure, "b")) ? "only in A" : "only in B";
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(said, words[i][0]) == 0)
			return words[i][1];
	if (best != NULL)
		return strcmp(best, "b") == 0 ? "B is better" : "A is better";
	return at(figure, "difference") > 0 ? "B is more" : "B is less";
}

static void print_figures(FILE *f, const json_t *doc) {
	json_t *common = bench_common_labels(doc), *rows = json_array(), *one, *row;
	size_t i;

	if (json_object_size(common) > 0) {
		row = bench_labels_text(common, NULL);
		bench_sentence(f, "of", row);
		json_decref(row);
	}
	json_array_foreach (json_object_get(doc, "figures"), i, one) {
		row = json_pack("{s:O, s:o, s:s}", "name", json_object_get(one, "name"), "of",
			bench_labels_text(json_object_get(one, "labels"), common), "verdict",
			verdict(one));
		put_side(row, one, "a");
		put_side(row, one, "b");
		put_difference(row, one);
		put_findable(row, one);
		json_array_append_new(rows, row);
	}
	fputc('\n', f);
	output_table(f, columns, rows);
	json_decref(rows);
	json_decref(common);
}

static unsigned count(const json_t *doc, const char *said) {
	unsigned n = 0;
	json_t *one;
	size_t i;

	json_array_foreach (json_object_get(doc, "figures"), i, one)
		n += json_is_string(json_object_get(one, "verdict")) &&
		     strcmp(json_string_value(json_object_get(one, "verdict")), said) == 0;
	return n;
}

/* What the verdicts are worth. */
static void print_summary(FILE *f, const json_t *doc) {
	unsigned tested = (unsigned)json_integer_value(json_object_get(doc, "tested"));
	unsigned perhaps = count(doc, "perhaps"), unknown = count(doc, "unknown");
	unsigned untested = count(doc, "untested");
	double level = at(doc, "level");

	if (tested > 0)
		fprintf(f,
			"\n%u of %u figures differ by more than the noise of their repeats. If "
			"none did, the\n"
			"chance that one or more are said to would be %g %% at most (Welch's t "
			"of the means,\n"
			"Holm's correction for %u figures). What changes from one run to the next "
			"is not in\n"
			"that noise: before you trust a small difference, measure A once more. A "
			"true "
			"one as\n"
			"large as in column FINDS would have been found in four of five cases, "
			"with so "
			"many\n"
			"figures and repeats as noisy as these.\n",
			count(doc, "differs"), tested, level * 100, tested);
	if (perhaps > 0)
		fprintf(f,
			"perhaps (%u): would exceed the noise if it were the only figure; of %u, "
			"chance\n"
			"alone brings forth %.1f such.\n",
			perhaps, tested, tested * level);
	if (untested > 0)
		fprintf(f,
			"not tested (%u): neither more nor less is better of these, or it depends "
			"on how "
			"many\n"
			"shared it; each test more would hide differences in the others.\n",
			untested);
	if (unknown > 0)
		fprintf(f,
			"cannot tell (%u): no two repeats on each side; measure with --repeat 5.\n",
			unknown);
}

static const char *condition(const json_t *v, char *text, size_t size) {
	if (v == NULL || json_is_null(v))
		return "not known";
	if (json_is_false(v))
		return "no";
	output_cell(v, CELL_TEXT, text, size);
	return text[0] != '\0' ? text : "none";
}

static void print_sides(FILE *f, const json_t *doc) {
	static const char *const sides[] = {"a", "b"}, *const names[] = {"A", "B"};
	char text[SENTENCE_MAX], before[WORD_MAX];
	json_t *one;
	size_t i;

	for (int s = 0; s < 2; s++) {
		const json_t *side = json_object_get(doc, sides[s]);

		bench_sentence(f, names[s], json_object_get(side, "from"));
		if (!json_is_true(json_object_get(side, "complete"))) {
			snprintf(before, sizeof(before), "%s is incomplete", names[s]);
			bench_sentence(f, before, json_object_get(side, "why_incomplete"));
		}
		snprintf(before, sizeof(before), "%s warns", names[s]);
		json_array_foreach (json_object_get(side, "warnings"), i, one)
			bench_sentence(f, before, one);
	}
	json_array_foreach (json_object_get(doc, "conditions"), i, one) {
		output_cell(json_object_get(one, "name"), CELL_TEXT, text, sizeof(text));
		fprintf(f, "differs: %s: ", text);
		fprintf(f, "%s in A, ", condition(json_object_get(one, "a"), text, sizeof(text)));
		fprintf(f, "%s in B\n", condition(json_object_get(one, "b"), text, sizeof(text)));
	}
}

void bench_compared(FILE *f, const json_t *doc) {
	print_sides(f, doc);
	print_figures(f, doc);
	print_summary(f, doc);
}

static int run(const struct command *c, int argc, char **argv) {
	int json = cli_flag(&argc, argv, "j") | cli_flag(&argc, argv, "json"), bad = 0;
	const char *across = cli_option(&argc, argv, "across", &bad);
	json_t *docs[2] = {NULL, NULL}, *doc = NULL;
	struct err e;

	if (bad)
		return cli_usage(c, "--across wants names of labels");
	if (cli_stray(argc, argv) != NULL)
		return cli_usage(c, "no such option '%s'", cli_stray(argc, argv));
	if (argc != 3)
		return cli_usage(c, "give two results: directories, or their JSON files");
	if (report_load(argv[1], &docs[0], &e) == 0 && report_load(argv[2], &docs[1], &e) == 0) {
		const struct compare_side sides[2] = {{argv[1], docs[0]}, {argv[2], docs[1]}};

		doc = compare_results(sides, across, &e);
	}
	if (doc != NULL && json)
		output_json(stdout, doc);
	else if (doc != NULL)
		bench_compared(stdout, doc);
	bad = doc == NULL;
	json_decref(docs[0]);
	json_decref(docs[1]);
	json_decref(doc);
	return bad ? cli_fail("%s: %s", c->name, e.text) : STATUS_DONE;
}

const struct command cmd_bench_compare = {
	"bench compare",
	"A B [-j] [--across LABEL,...]",
	"Put two results side by side, and say which differences exceed the noise",
	"\n"
	"A and B are directories of -o, or JSON files of one instrument. Figures are the same "
	"when\n"
	"name, unit and labels are. B - A is the difference of the means, beside A's mean, with "
	"its\n"
	"95 % interval. The verdict is by Welch's t test, with Holm's correction for the number "
	"of\n"
	"figures. It needs two repeats on each side, and finds more with five or ten; FINDS says "
	"how\n"
	"large a difference had to be.\n"
	"\n"
	"  --across LABEL,...  pass over these labels: 'direction,endpoint' when A and B were\n"
	"                      measured between endpoints of other names\n"
	"  -j                  print JSON, see docs/bench-result.md\n"
	"\n"
	"Exit status: 0 compared, whatever came out; 1 a file is no result, or nothing is in "
	"both.\n",
	run,
};
