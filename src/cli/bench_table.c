/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdbool.h>
#include <string.h>

#include "bench/hist.h"
#include "cli/bench.h"
#include "cli/output.h"

/* Each part of the document becomes rows in which the figures are words already, since every row has a
 * unit of its own. CELL_NUMBER prints words as they are, to the right. */

enum { LABELS_MAX = 256, WORD_MAX = 64 };

static const struct column figure_columns[] = {
	{"FIGURE", "name", CELL_TEXT},
	{"OF", "of", CELL_TEXT},
	{"MEDIAN", "median", CELL_NUMBER},
	{"MIN", "min", CELL_NUMBER},
	{"MAX", "max", CELL_NUMBER},
	{"MEAN", "mean", CELL_NUMBER}, // what the interval is of
	{"95 %", "ci95", CELL_NUMBER},
	{"SD", "sd", CELL_NUMBER},
	{"REPEATS", "repeats", CELL_NUMBER},
	{NULL},
};
static const struct column latency_columns[] = {
	{"LATENCY", "name", CELL_TEXT},
	{"OF", "of", CELL_TEXT},
	{"MODE", "mode", CELL_TEXT},
	{"COUNT", "count", CELL_NUMBER},
	{"MIN", "min", CELL_NUMBER},
	{"P50", "p50", CELL_NUMBER},
	{"P90", "p90", CELL_NUMBER},
	{"P99", "p99", CELL_NUMBER},
	{"P99.9", "p999", CELL_NUMBER},
	{"P99.99", "p9999", CELL_NUMBER},
	{"MAX", "max", CELL_NUMBER},
	{NULL},
};
static const struct column endpoint_columns[] = {
	{"ENDPOINTS", "name", CELL_TEXT},
	{"OF", "of", CELL_TEXT},
	{"NUMBER", "number", CELL_NUMBER},
	{"MEAN", "mean", CELL_NUMBER},
	{"LEAST", "least", CELL_TEXT},
	{"MOST", "most", CELL_TEXT},
	{"SKEW", "skew", CELL_NUMBER},
	{"CV", "cv", CELL_NUMBER},
	{"JAIN", "jain", CELL_NUMBER},
	{NULL},
};
static const struct column cpu_columns[] = {
	{"HOST CPU", "of", CELL_TEXT},
	{"BUSY", "busy", CELL_NUMBER},
	{"USER", "user", CELL_NUMBER},
	{"SYSTEM", "system", CELL_NUMBER},
	{"SOFTIRQ", "softirq", CELL_NUMBER},
	{"GUEST", "guest", CELL_NUMBER},
	{"STEAL", "steal", CELL_NUMBER},
	{"BUSIEST", "busiest", CELL_TEXT},
	{"S/GBIT", "per_gbit", CELL_NUMBER},
	{"S/MFRAME", "per_mframes", CELL_NUMBER},
	{NULL},
};

json_t *bench_labels_text(const json_t *labels, const json_t *known) {
	char text[LABELS_MAX] = "";
	size_t n = 0;
	const char *key;
	json_t *v;

	json_object_foreach ((json_t *)(uintptr_t)labels, key, v)
		if (n < sizeof(text) && json_object_get(known, key) == NULL)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s=%s",
				n > 0 ? ", " : "", key, json_string_value(v));
	return json_string(text);
}

json_t *bench_common_labels(const json_t *doc) {
	static const char *const lists[] = {"figures", "latencies", "endpoints"};
	json_t *common = NULL, *one, *v;
	const char *key;
	void *next;
	size_t i;

	for (unsigned l = 0; l < sizeof(lists) / sizeof(lists[0]); l++)
		json_array_foreach (json_object_get(doc, lists[l]), i, one) {
			const json_t *labels = json_object_get(one, "labels");

			if (common == NULL)
				common = json_copy((json_t *)(uintptr_t)labels);
			json_object_foreach_safe(common, next, key, v) {
				if (!json_equal(v, json_object_get(labels, key)))
					json_object_del(common, key);
			}
		}
	return common;
}

static json_t *with_unit(const json_t *v, const char *unit) {
	char buf[WORD_MAX];

	if (!json_is_number(v))
		return NULL;
	return json_string(output_unit(json_number_value(v), unit, buf, sizeof(buf)));
}

/* What is only known to be more: "> 1s". */
static json_t *more_than(double v, const char *unit) {
	char buf[WORD_MAX], text[WORD_MAX + 2];

	snprintf(text, sizeof(text), "> %s", output_unit(v, unit, buf, sizeof(buf)));
	return json_string(text);
}

static json_t *format(const char *fmt, double v) {
	char buf[WORD_MAX];

	snprintf(buf, sizeof(buf), fmt, v);
	return json_string(buf);
}

/* How far a value is from zero, beside the mean: "1.3%". Only then is it told by itself. */
static json_t *beside_mean(const json_t *one, const char *name) {
	double v = json_number_value(json_object_get(one, name));
	double mean = json_number_value(json_object_get(one, "mean"));

	if (!json_is_number(json_object_get(one, name)) || mean == 0)
		return NULL;
	return format("%.1f%%", v / (mean < 0 ? -mean : mean) * 100);
}

static json_t *row_of(const json_t *one, const json_t *known) {
	json_t *row = json_object();

	json_object_set(row, "name", json_object_get(one, "name"));
	json_object_set_new(row, "of", bench_labels_text(json_object_get(one, "labels"), known));
	return row;
}

static json_t *figure_row(const json_t *one, const json_t *known) {
	static const char *const names[] = {"median", "min", "max", "mean", NULL};
	const char *unit = json_string_value(json_object_get(one, "unit"));
	size_t n = json_array_size(json_object_get(one, "values"));
	json_t *row = row_of(one, known), *ci95 = beside_mean(one, "ci95");
	const json_t *above = json_object_get(one, "above");

	// One value has no spread: its least, greatest and mean would say what the median says. A mean of
	// repeats that are above something need not be above it.
	for (int i = 0; names[i] != NULL && (n > 1 || i == 0); i++) {
		const json_t *v = json_object_get(one, names[i]);
		bool beyond = json_is_null(v) && above != NULL && strcmp(names[i], "mean") != 0;

		json_object_set_new(row, names[i],
			beyond ? more_than(json_number_value(above), unit) : with_unit(v, unit));
	}
	if (n > 1)
		json_object_set_new(row, "sd", beside_mean(one, "sd"));
	if (ci95 != NULL) {
		char text[WORD_MAX];

		snprintf(text, sizeof(text), "\u00b1%s", json_string_value(ci95));
		json_object_set_new(row, "ci95", json_string(text));
		json_decref(ci95);
	}
	json_object_set_new(row, "repeats", json_integer((json_int_t)n));
	return row;
}

/* A quantile, "-" when too few values tell of it (hist_knows), or above the timeout (hist_beyond). */
static json_t *latency_point(const json_t *one, const char *name) {
	const json_t *v = json_object_get(one, name);
	char buf[WORD_MAX];

	if (hist_json_beyond(one, name))
		return more_than(json_number_value(json_object_get(one, "timeout")) / 1e9, "s");
	if (!json_is_number(v))
		return json_string("-");
	return json_string(output_unit(json_number_value(v) / 1e9, "s", buf, sizeof(buf)));
}

static json_t *latency_row(const json_t *one, const json_t *known) {
	static const char *const points[][2] = {{"min", "min"}, {"p50", "p50"}, {"p90", "p90"},
		{"p99", "p99"}, {"p999", "p99.9"}, {"p9999", "p99.99"}, {"max", "max"}};
	json_t *row = row_of(one, known);
	double n = json_number_value(json_object_get(one, "count"));
	char buf[WORD_MAX];

	json_object_set(row, "mode", json_object_get(one, "mode"));
	json_object_set_new(row, "count", json_string(output_unit(n, "", buf, sizeof(buf))));
	for (unsigned i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		json_object_set_new(row, points[i][0], latency_point(one, points[i][1]));
	return row;
}

/* "vm3 9.41Gbit/s" */
static json_t *named_value(const char *name, double v, const char *unit) {
	char buf[WORD_MAX], text[LABELS_MAX];

	snprintf(text, sizeof(text), "%s %s", name, output_unit(v, unit, buf, sizeof(buf)));
	return json_string(text);
}

static json_t *endpoint_row(const json_t *one, const json_t *known) {
	const char *unit = json_string_value(json_object_get(one, "unit"));
	const char *name, *least = NULL, *most = NULL;
	double low = 0, high = 0, sum = 0;
	json_t *row = row_of(one, known), *values = json_object_get(one, "values"), *v;
	size_t n = json_object_size(values);
	char buf[WORD_MAX];

	json_object_foreach (values, name, v) {
		double x = json_number_value(v);

		if (least == NULL || x < low)
			least = name, low = x;
		if (most == NULL || x > high)
			most = name, high = x;
		sum += x;
	}
	json_object_set_new(row, "number", json_integer((json_int_t)n));
	if (n > 0) {
		json_object_set_new(row, "mean",
			json_string(output_unit(sum / (double)n, unit, buf, sizeof(buf))));
		json_object_set_new(row, "least", named_value(least, low, unit));
		json_object_set_new(row, "most", named_value(most, high, unit));
	}
	json_object_set_new(row, "skew",
		format("%.1f%%", 100 * json_number_value(json_object_get(one, "skew"))));
	json_object_set_new(
		row, "cv", format("%.1f%%", 100 * json_number_value(json_object_get(one, "cv"))));
	json_object_set_new(
		row, "jain", format("%.4f", json_number_value(json_object_get(one, "jain"))));
	return row;
}

static json_t *cpu_row(const json_t *one, const json_t *known) {
	static const char *const parts[] = {"user", "system", "softirq", "guest", "steal", NULL};
	static const char *const costs[] = {"per_gbit", "per_mframes", NULL};
	json_t *row = row_of(one, known), *busiest = json_object_get(one, "busiest");
	char text[WORD_MAX];

	if (json_string_length(json_object_get(row, "of")) == 0)
		json_object_set_new(row, "of", json_string("all"));
	snprintf(text, sizeof(text), "%.2f of %lld",
		json_number_value(json_object_get(one, "busy")),
		(long long)json_integer_value(json_object_get(one, "cpus")));
	json_object_set_new(row, "busy", json_string(text));
	for (int i = 0; parts[i] != NULL; i++) {
		double v =
			json_number_value(json_object_get(json_object_get(one, "parts"), parts[i]));

		// A CPU's hundredth is the least that is told.
		if (v >= 0.005)
			json_object_set_new(row, parts[i], format("%.2f", v));
	}
	for (int i = 0; costs[i] != NULL; i++)
		if (json_object_get(one, costs[i]) != NULL)
			json_object_set_new(row, costs[i],
				format("%.3g", json_number_value(json_object_get(one, costs[i]))));
	if (busiest != NULL) {
		snprintf(text, sizeof(text), "CPU %lld %.0f%%",
			(long long)json_integer_value(json_object_get(busiest, "cpu")),
			100 * json_number_value(json_object_get(busiest, "busy")));
		json_object_set_new(row, "busiest", json_string(text));
	}
	return row;
}

/* What the mean of several entries has; the rest of an entry is of one interval only. */
static const char *const cpu_means[] = {"busy", "per_gbit", "per_mframes", NULL};

/* Adds the numbers of `one` to those of `sum`; the busiest CPU is the busiest of both. */
static void add_cpu(json_t *sum, const json_t *one) {
	json_t *to = json_object_get(sum, "parts"), *of = json_object_get(sum, "of"), *v;
	const json_t *was = json_object_get(json_object_get(sum, "busiest"), "busy");
	json_t *busiest = json_object_get(one, "busiest");
	const char *key;

	for (int i = 0; cpu_means[i] != NULL; i++) {
		double a = json_number_value(json_object_get(sum, cpu_means[i]));
		double b = json_number_value(json_object_get(one, cpu_means[i]));

		if (json_object_get(one, cpu_means[i]) == NULL)
			continue;
		json_object_set_new(sum, cpu_means[i], json_real(a + b));
		b = json_number_value(json_object_get(of, cpu_means[i]));
		json_object_set_new(of, cpu_means[i], json_real(b + 1));
	}
	json_object_foreach (json_object_get(one, "parts"), key, v)
		json_object_set_new(to, key,
			json_real(json_number_value(json_object_get(to, key)) +
				  json_number_value(v)));
	if (json_number_value(json_object_get(busiest, "busy")) > json_number_value(was))
		json_object_set(sum, "busiest", busiest);
}

/* A cost that an entry does not have is not known, and no 0: each mean is of those that have it ("of"). */
static void divide_cpu(json_t *sum) {
	double n = json_number_value(json_object_get(sum, "repeats"));
	const json_t *of = json_object_get(sum, "of");
	json_t *v;
	const char *key;

	for (int i = 0; cpu_means[i] != NULL; i++) {
		v = json_object_get(sum, cpu_means[i]);
		json_real_set(v, json_number_value(v) /
					 json_number_value(json_object_get(of, cpu_means[i])));
	}
	json_object_foreach (json_object_get(sum, "parts"), key, v)
		json_real_set(v, json_number_value(v) / n);
}

/* The entry of `means` with these labels, made when it is missing. */
static json_t *mean_with(json_t *means, const json_t *labels, const json_t *cpus) {
	json_t *sum;
	size_t i;

	json_array_foreach (means, i, sum)
		if (json_equal(json_object_get(sum, "labels"), labels))
			return sum;
	sum = json_pack("{s:O, s:O*, s:i, s:{}, s:{}}", "labels", labels, "cpus", cpus, "repeats",
		0, "parts", "of");
	json_array_append_new(means, sum);
	return sum;
}

/* The document has the cost of each repeat, told apart by a label; a reader wants the mean. */
static json_t *mean_cpu(const json_t *list) {
	json_t *means = json_array(), *one, *sum;
	size_t i;

	json_array_foreach (list, i, one) {
		json_t *labels = json_copy(json_object_get(one, "labels")), *n;

		json_object_del(labels, "repeat");
		sum = mean_with(means, labels, json_object_get(one, "cpus"));
		json_decref(labels);
		n = json_object_get(sum, "repeats");
		json_integer_set(n, json_integer_value(n) + 1);
		add_cpu(sum, one);
	}
	json_array_foreach (means, i, sum)
		divide_cpu(sum);
	return means;
}

static const struct part {
	const char *name;
	const struct column *columns;
	json_t *(*row)(const json_t *one, const json_t *known);
} parts[] = {
	{"figures", figure_columns, figure_row},
	{"latencies", latency_columns, latency_row},
	{"endpoints", endpoint_columns, endpoint_row},
	{"cpu", cpu_columns, cpu_row},
};

void bench_sentence(FILE *f, const char *before, const json_t *v) {
	char text[512];

	fprintf(f, "%s: %s\n", before, output_cell(v, CELL_TEXT, text, sizeof(text)));
}

static double of_goal(const json_t *goal, const char *name) {
	return json_number_value(json_object_get(goal, name));
}

/* What was searched for, once for all searches that have the same goal. */
static void print_goals(FILE *f, const json_t *doc) {
	json_t *said = json_object(), *one;
	size_t i;

	json_array_foreach (json_object_get(doc, "searches"), i, one) {
		const json_t *g = json_object_get(one, "goal");
		const json_t *load = json_object_get(g, "load"),
			     *result = json_object_get(g, "result");
		char text[512];
		json_t *line;

		if (g == NULL)
			continue;
		snprintf(text, sizeof(text),
			"at most %.4g %% lost in all but %.4g %% of %.4g s of trials, %.4g to %.4g "
			"s "
			"each, within %.4g %%; load of %s; result: %s; waits %.4g s to learn, %.4g "
			"s "
			"after a trial, %.4g s to rest",
			of_goal(g, "loss_ratio") * 100, of_goal(g, "exceed_ratio") * 100,
			of_goal(g, "duration_sum"), of_goal(g, "initial_trial_duration"),
			of_goal(g, "final_trial_duration"), of_goal(g, "width") * 100,
			json_string_value(load), json_string_value(result),
			of_goal(g, "learn_wait"), of_goal(g, "wait"), of_goal(g, "rest"));
		line = json_string(text);
		if (json_object_get(said, text) == NULL)
			bench_sentence(f, "goal", line);
		json_object_set_new(said, text, json_true());
		json_decref(line);
	}
	json_decref(said);
}

void bench_table(FILE *f, const json_t *doc) {
	json_t *common = bench_common_labels(doc), *one;
	bool first = json_object_size(common) == 0;
	size_t i;

	if (!first) {
		json_t *text = bench_labels_text(common, NULL);

		bench_sentence(f, "of", text);
		json_decref(text);
	}
	for (unsigned p = 0; p < sizeof(parts) / sizeof(parts[0]); p++) {
		json_t *list = json_object_get(doc, parts[p].name), *rows = json_array();

		list = parts[p].row == cpu_row ? mean_cpu(list) : json_incref(list);
		json_array_foreach (list, i, one)
			json_array_append_new(rows, parts[p].row(one, common));
		if (json_array_size(rows) > 0) {
			fputs(first ? "" : "\n", f);
			output_table(f, parts[p].columns, rows);
			first = false;
		}
		json_decref(rows);
		json_decref(list);
	}
	json_decref(common);
	print_goals(f, doc);
	json_array_foreach (json_object_get(doc, "warnings"), i, one)
		bench_sentence(f, "warning", one);
	if (!json_is_true(json_object_get(doc, "complete")))
		bench_sentence(f, "incomplete", json_object_get(doc, "why_incomplete"));
}
