/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/report/compare.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "bench/hist.h"
#include "bench/stats.h"

/* First both documents become lists of figures in one form, {name, unit, better, labels, values}: what
 * the instrument wrote as such, and numbers that it wrote elsewhere, an entry a repeat. Then each figure
 * of A looks for its like in B by a key of its name, unit and labels. Last, what can be judged is judged:
 * Welch's t for each pair, Holm's correction over all. Each figure that is tested makes it harder to find
 * anything in the others; so those of which neither more nor less is better, which are there to keep the
 * books (what was offered, how many repeats of what), are shown and not tested. */

#define LEVEL 0.05 /* the chance of one or more false alarms in a comparison */
enum { TEXT_MAX = 1024 };

static const struct derived {
	const char *list, *member; /* the number in an entry of that list */
	const char *after; /* follows the entry's name in the figure's ... */
	const char *name; /* ... unless it has this one */
	const char *unit;
	double scale;
	const char *less; /* another member that is taken off, when it is there */
} derived[] = {
	{"cpu", "busy", NULL, "host CPUs busy", "", 1, "spun"},
	{"cpu", "per_gbit", NULL, "host CPU a Gbit", "s", 1, NULL},
	{"cpu", "per_mframes", NULL, "host CPU a million frames", "s", 1, NULL},
	{"endpoints", "skew", "skew", NULL, "", 1, NULL},
	{"endpoints", "cv", "cv", NULL, "", 1, NULL},
	{"latencies", "p50", "p50", NULL, "s", 1e-9, NULL},
	{"latencies", "p99", "p99", NULL, "s", 1e-9, NULL},
	{"latencies", "max", "max", NULL, "s", 1e-9, NULL},
};

/* Conditions that are never the same, and of which no figure depends but through warnings. */
static const char *const fleeting[] = {"load", "others", "counters", "free", NULL};

/* Labels that say how many share something. */
static const char *const counting_labels[] = {"endpoints", "pairs", "flows", NULL};

static bool is_one_of(const char *word, const char *const *words) {
	for (; *words != NULL; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

/* ---- one document ---- */

static bool labels_are_strings(const json_t *one) {
	json_t *labels = json_object_get(one, "labels"), *v;
	const char *key;

	json_object_foreach (labels, key, v)
		if (!json_is_string(v))
			return false;
	return json_is_object(labels);
}

static int check_values(const json_t *values) {
	size_t i;
	json_t *v;

	json_array_foreach (values, i, v)
		if (!json_is_number(v) && !json_is_null(v))
			return -EINVAL;
	return i > 0 && i <= SERIES_MAX ? 0 : -EINVAL;
}

static int check_figure(const char *from, size_t i, const json_t *one, struct err *e) {
	if (!json_is_string(json_object_get(one, "name")) ||
		!json_is_string(json_object_get(one, "unit")) || !labels_are_strings(one))
		return err_set(e, EINVAL,
			"%s: figure %zu is none: it wants a name, a unit, and labels that are "
			"strings",
			from, i + 1);
	if (check_values(json_object_get(one, "values")) < 0)
		return err_set(e, EINVAL,
			"%s: figure %zu is none: it wants a list of 1 to %d numbers as its values",
			from, i + 1, SERIES_MAX);
	return 0;
}

static char *key_of(const json_t *figure, const json_t *labels) {
	json_t *all = json_pack("[O, O, O]", json_object_get(figure, "name"),
		json_object_get(figure, "unit"), labels);
	char *key = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);

	json_decref(all);
	return key;
}

/* The figure `one` belongs to by name, unit and labels; made when there is none like it. NULL when the
 * instrument itself has written it. */
static json_t *derived_figure(json_t *figures, json_t *known, json_t *one) {
	char *key = key_of(one, json_object_get(one, "labels"));
	json_t *have = json_object_get(known, key);

	if (have == NULL) {
		json_object_set(known, key, one);
		json_array_append(figures, one);
		have = one;
	}
	free(key);
	return json_object_get(have, "derived") != NULL ? have : NULL;
}

static void derive(json_t *figures, json_t *known, const struct derived *d, const json_t *entry) {
	const char *of = json_string_value(json_object_get(entry, "name"));
	const json_t *v = json_object_get(entry, d->member);
	bool beyond = hist_json_beyond(entry, d->member);
	char name[TEXT_MAX];
	double off = d->less != NULL ? json_number_value(json_object_get(entry, d->less)) : 0;
	json_t *one, *have, *to;

	if ((!json_is_number(v) && !beyond) || !labels_are_strings(entry) ||
		(d->name == NULL && of == NULL))
		return;
	snprintf(name, sizeof(name), "%s %s", of, d->after);
	one = json_pack("{s:s, s:s, s:s, s:o, s:[], s:b}", "name", d->name ? d->name : name, "unit",
		d->unit, "better", "less", "labels", json_copy(json_object_get(entry, "labels")),
		"values", "derived", true);
	json_object_del(json_object_get(one, "labels"), "repeat");
	have = derived_figure(figures, known, one);
	to = json_object_get(have, "values");
	if (to != NULL && json_array_size(to) < SERIES_MAX)
		json_array_append_new(to,
			beyond ? json_null() : json_real((json_number_value(v) - off) * d->scale));
	if (beyond)
		json_object_set_new(have, "above",
			json_real(json_number_value(json_object_get(entry, "timeout")) * d->scale));
	json_decref(one);
}

/* All figures of a document, the caller's; NULL with a sentence. */
static json_t *collect(const struct compare_side *side, struct err *e) {
	json_t *figures = json_array(), *known = json_object(), *one;
	size_t i;

	json_array_foreach (json_object_get(side->doc, "figures"), i, one) {
		char *key;

		if (check_figure(side->from, i, one, e) < 0) {
			json_decref(figures);
			json_decref(known);
			return NULL;
		}
		key = key_of(one, json_object_get(one, "labels"));
		json_object_set(known, key, one);
		json_array_append(figures, one);
		free(key);
	}
	for (unsigned d = 0; d < sizeof(derived) / sizeof(derived[0]); d++)
		json_array_foreach (json_object_get(side->doc, derived[d].list), i, one)
			derive(figures, known, &derived[d], one);
	json_decref(known);
	return figures;
}

/* ---- one figure of both ---- */

static json_t *number(double v) {
	return isfinite(v) ? json_real(v) : json_null();
}

/* What a figure says in one document. */
static json_t *told(const json_t *figure, struct series *s) {
	json_t *above = json_object_get(figure, "above"), *v, *one;
	size_t i;

	s->n = 0;
	json_array_foreach (json_object_get(figure, "values"), i, v)
		if (json_is_number(v))
			series_add(s, json_number_value(v));
		else if (above != NULL)
			series_add(s, INFINITY);
	if (figure == NULL)
		return json_null();
	one = json_pack("{s:i, s:o, s:o, s:o}", "repeats", (int)s->n, "median",
		number(s->n > 0 ? series_median(s) : NAN), "mean",
		number(s->n > 0 ? series_mean(s) : NAN), "sd",
		number(s->n > 1 ? series_sd(s) : NAN));
	json_object_set(one, "above", above);
	return one;
}

/* With how many there are the skew of equal endpoints grows: it says nothing across their numbers. It is the
 * last word of the figure's name, which may be "skew" or "throughput skew". */
static bool grows_with_number(const char *name, const json_t *across) {
	const char *last = strrchr(name, ' ');
	json_t *label;
	size_t i;

	json_array_foreach (across, i, label)
		if (is_one_of(json_string_value(label), counting_labels))
			return strcmp(last != NULL ? last + 1 : name, "skew") == 0;
	return false;
}

/* Is a difference in it one that somebody asked for? */
static bool matters(const json_t *figure, const json_t *across) {
	const char *better = json_string_value(json_object_get(figure, "better"));

	return better != NULL && *better != '\0' &&
	       !grows_with_number(json_string_value(json_object_get(figure, "name")), across);
}

/* The row of a figure of A, of B (NULL: not there), or of both; judged but for the verdict. What is not to
 * be tested has no p. */
static json_t *row_of(
	const json_t *a, const json_t *b, json_t *labels, const json_t *across, struct welch *to) {
	const json_t *any = a != NULL ? a : b, *better = json_object_get(any, "better");
	json_t *row = json_object();
	struct series sa, sb;
	struct welch w;

	json_object_set(row, "name", json_object_get(any, "name"));
	json_object_set(row, "unit", json_object_get(any, "unit"));
	json_object_set_new(row, "better",
		json_string(json_is_string(better) ? json_string_value(better) : ""));
	json_object_set(row, "labels", labels);
	json_object_set_new(row, "a", told(a, &sa));
	json_object_set_new(row, "b", told(b, &sb));
	w = series_welch(&sa, &sb);
	if (sa.n == 0 || sb.n == 0 || isinf(series_max(&sa)) || isinf(series_max(&sb)))
		w = (struct welch){.difference = NAN, .ci95 = NAN, .p = NAN};
	json_object_set_new(row, "difference", number(w.difference));
	json_object_set_new(row, "relative", number(w.difference / fabs(series_mean(&sa))));
	json_object_set_new(row, "ci95", number(w.ci95));
	if (!matters(any, across)) {
		w.p = NAN;
		w.se = 0;
		json_object_set_new(row, "tested", json_false());
	}
	json_object_set_new(row, "p", number(w.p));
	*to = w;
	return row;
}

/* ---- both documents ---- */

static json_t *without(json_t *labels, const json_t *across) {
	json_t *left = json_copy(labels), *name;
	size_t i;

	json_array_foreach (across, i, name)
		json_object_del(left, json_string_value(name));
	return left;
}

/* Figures by key, and labels they are known by: {"key": [figure, labels]}. Of those with one key the
 * second has a 2 behind it. */
static json_t *by_key(const json_t *figures, const json_t *across) {
	json_t *all = json_object(), *times = json_object(), *one;
	size_t i;

	json_array_foreach (figures, i, one) {
		json_t *labels = without(json_object_get(one, "labels"), across);
		char *key = key_of(one, labels), *numbered;
		json_int_t n = json_integer_value(json_object_get(times, key)) + 1;

		json_object_set_new(times, key, json_integer(n));
		if (asprintf(&numbered, "%s %lld", key, (long long)n) < 0)
			numbered = NULL;
		json_object_set_new(all, numbered, json_pack("[O, o]", one, labels));
		free(numbered);
		free(key);
	}
	json_decref(times);
	return all;
}

/* The rows: those of A in its order, then those only in B. w[] is theirs, too. Gives how many are in both. */
static size_t match(
	json_t *rows, const json_t *const figures[2], const json_t *across, struct welch *w) {
	json_t *a = by_key(figures[0], across), *b = by_key(figures[1], across), *one, *like;
	size_t both = 0;
	const char *key;

	json_object_foreach (a, key, one) {
		like = json_object_get(b, key);
		both += like != NULL;
		json_array_append_new(
			rows, row_of(json_array_get(one, 0), json_array_get(like, 0),
				      json_array_get(one, 1), across, &w[json_array_size(rows)]));
		json_object_del(b, key);
	}
	json_object_foreach (b, key, one)
		json_array_append_new(
			rows, row_of(NULL, json_array_get(one, 0), json_array_get(one, 1), across,
				      &w[json_array_size(rows)]));
	json_decref(a);
	json_decref(b);
	return both;
}

static const char *verdict(const json_t *row, double corrected) {
	double p = json_number_value(json_object_get(row, "p"));

	if (json_is_false(json_object_get(row, "tested")))
		return "untested";
	if (isnan(corrected))
		return "unknown";
	return corrected <= LEVEL ? "differs" : p <= LEVEL ? "perhaps" : "noise";
}

/* Which of the two has the better of a figure that differs. */
static const char *favours(const json_t *row) {
	const char *better = json_string_value(json_object_get(row, "better"));
	bool more = json_number_value(json_object_get(row, "difference")) > 0;

	if (strcmp(better, "more") == 0)
		return more ? "b" : "a";
	return strcmp(better, "less") == 0 ? more ? "a" : "b" : NULL;
}

/* Holm's correction over all figures that could be tested, and what follows from it. Gives how many. */
static unsigned judge(json_t *rows, struct welch *w) {
	double **tested = calloc(json_array_size(rows) + 1, sizeof(*tested));
	unsigned n = 0;
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row)
		if (!isnan(w[i].p))
			tested[n++] = &w[i].p;
	holm(tested, n);
	free(tested);
	json_array_foreach (rows, i, row) {
		bool both = !json_is_null(json_object_get(row, "a")) &&
			    !json_is_null(json_object_get(row, "b"));
		const char *said = verdict(row, w[i].p);

		// The first step of Holm's correction is the strictest.
		json_object_set_new(
			row, "findable", number(n > 0 ? welch_findable(&w[i], LEVEL / n) : NAN));
		json_object_set_new(row, "p_holm", number(w[i].p));
		json_object_del(row, "tested");
		json_object_set_new(row, "verdict", both ? json_string(said) : json_null());
		json_object_set_new(row, "favours",
			json_pack("s?", strcmp(said, "differs") == 0 ? favours(row) : NULL));
	}
	return n;
}

static json_t *words(const char *list) {
	char copy[TEXT_MAX], *rest = copy, *word;
	json_t *all = json_array();

	snprintf(copy, sizeof(copy), "%s", list != NULL ? list : "");
	while ((word = strsep(&rest, ",")) != NULL)
		if (*word != '\0')
			json_array_append_new(all, json_string(word));
	return all;
}

/* ---- conditions ---- */

static void differ(json_t *list, const char *name, json_t *a, json_t *b) {
	char inner[TEXT_MAX];
	const char *key;
	json_t *v;

	if (json_equal(a, b))
		return;
	if (!json_is_object(a) || !json_is_object(b)) {
		json_array_append_new(
			list, json_pack("{s:s, s:O?, s:O?}", "name", name, "a", a, "b", b));
		return;
	}
	json_object_foreach (a, key, v)
		if (!is_one_of(key, fleeting)) {
			snprintf(inner, sizeof(inner), "%s%s%s", name, *name ? "." : "", key);
			differ(list, inner, v, json_object_get(b, key));
		}
	json_object_foreach (b, key, v)
		if (!is_one_of(key, fleeting) && json_object_get(a, key) == NULL) {
			snprintf(inner, sizeof(inner), "%s%s%s", name, *name ? "." : "", key);
			differ(list, inner, NULL, v);
		}
}

/* The command line as a text, without what only says where the result goes. */
static json_t *command(const json_t *doc) {
	static const char *const output[] = {"-j", "--json", "--quiet", NULL};
	const json_t *all = json_object_get(doc, "command");
	char *text = NULL;
	json_t *said;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (size_t i = 0; f != NULL && i < json_array_size(all); i++) {
		const char *word = json_string_value(json_array_get(all, i));

		if (word == NULL || is_one_of(word, output))
			continue;
		if (strcmp(word, "-o") == 0)
			i++;
		else
			fprintf(f, "%s%s", ftell(f) > 0 ? " " : "", word);
	}
	if (f != NULL)
		fclose(f);
	said = json_string(text != NULL ? text : "");
	free(text);
	return said;
}

static json_t *side_of(const struct compare_side *s) {
	static const char *const kept[] = {
		"started", "complete", "why_incomplete", "warnings", NULL};
	json_t *one = json_object(), *v;

	json_object_set_new(one, "from", json_string(s->from));
	json_object_set_new(one, "command", command(s->doc));
	for (int i = 0; kept[i] != NULL; i++) {
		v = json_object_get(s->doc, kept[i]);
		json_object_set(one, kept[i], v != NULL ? v : json_null());
	}
	return one;
}

static json_t *conditions_apart(const struct compare_side sides[2]) {
	json_t *list = json_array(), *said[2];

	for (int i = 0; i < 2; i++)
		said[i] = command(sides[i].doc);
	differ(list, "command", said[0], said[1]);
	differ(list, "", json_object_get(sides[0].doc, "conditions"),
		json_object_get(sides[1].doc, "conditions"));
	json_decref(said[0]);
	json_decref(said[1]);
	return list;
}

static int same_instrument(const struct compare_side sides[2], struct err *e) {
	const char *name[2];

	for (int i = 0; i < 2; i++) {
		name[i] = json_string_value(json_object_get(sides[i].doc, "instrument"));
		if (name[i] == NULL)
			return err_set(e, EINVAL, "%s: the result does not say of what instrument",
				sides[i].from);
	}
	if (strcmp(name[0], name[1]) != 0)
		return err_set(e, EINVAL,
			"%s is a result of '%.40s', %s of '%.40s'; only results of one instrument "
			"can be compared",
			sides[0].from, name[0], sides[1].from, name[1]);
	return 0;
}

static json_t *compare(const struct compare_side sides[2], json_t *const figures[2],
	const char *across, struct err *e) {
	size_t all = json_array_size(figures[0]) + json_array_size(figures[1]), both;
	json_t *rows = json_array(), *labels = words(across), *doc = NULL;
	struct welch *w = calloc(all + 1, sizeof(*w));

	both = match(rows, (const json_t *const *)figures, labels, w);
	if (both > 0)
		doc = json_pack("{s:s, s:i, s:O, s:f, s:O, s:i, s:o, s:o, s:o, s:O}", "schema",
			"weir-bench-compare", "version", 1, "instrument",
			json_object_get(sides[0].doc, "instrument"), "level", LEVEL, "across",
			labels, "tested", (int)judge(rows, w), "a", side_of(&sides[0]), "b",
			side_of(&sides[1]), "conditions", conditions_apart(sides), "figures", rows);
	else
		err_set(e, EINVAL,
			"%s and %s have no figure in common; when only labels such as 'direction' "
			"tell them apart, --across direction passes over that",
			sides[0].from, sides[1].from);
	free(w);
	json_decref(rows);
	json_decref(labels);
	return doc;
}

json_t *compare_results(const struct compare_side sides[2], const char *across, struct err *e) {
	json_t *figures[2] = {NULL, NULL}, *doc = NULL;

	if (same_instrument(sides, e) < 0)
		return NULL;
	figures[0] = collect(&sides[0], e);
	figures[1] = figures[0] != NULL ? collect(&sides[1], e) : NULL;
	if (figures[1] != NULL)
		doc = compare(sides, figures, across, e);
	json_decref(figures[0]);
	json_decref(figures[1]);
	return doc;
}
