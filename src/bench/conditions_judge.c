/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bench/conditions.h"

/* From which on a disturbance is worth a sentence, in CPUs: a process, all together, stolen time. */
static const double PROCESS_BUSY = 0.2, LOAD = 0.3, STOLEN = 0.05;

enum { SENTENCE_MAX = 400, NAMED_MAX = 4 };

struct judge {
	void (*say)(void *arg, const char *sentence);
	void *arg;
};

__attribute__((format(printf, 2, 3))) static void say(const struct judge *j, const char *fmt, ...) {
	char text[SENTENCE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	j->say(j->arg, text);
}

/* "cc1 (4711) 0.98, ld (4712) 0.31"; returns how many there are. */
static unsigned name_the_busy(const json_t *others, char *buf, size_t size) {
	unsigned named = 0;
	size_t i, n = 0;
	json_t *one;

	buf[0] = '\0';
	json_array_foreach (others, i, one) {
		double busy = json_number_value(json_object_get(one, "busy"));
		const char *name = json_string_value(json_object_get(one, "name"));

		if (busy < PROCESS_BUSY || name == NULL || named == NAMED_MAX || n >= size)
			continue;
		n += (size_t)snprintf(buf + n, size - n, "%s%s (%lld) %.2f", named > 0 ? ", " : "",
			name, (long long)json_integer_value(json_object_get(one, "pid")), busy);
		named++;
	}
	return named;
}

static void judge_others(const struct judge *j, const json_t *c, const char *when) {
	double load = json_number_value(json_object_get(c, "load"));
	char names[SENTENCE_MAX / 2];
	unsigned n = name_the_busy(json_object_get(c, "others"), names, sizeof(names));

	if (n == 0 && load < LOAD)
		return;
	say(j, "others were busy %s the measurement, %.2f of %lld CPUs: %s", when, load,
		(long long)json_integer_value(json_object_get(c, "cpus")),
		n > 0 ? names : "no single process that can be seen from here");
}

static void judge_governor(const struct judge *j, const json_t *c) {
	const char *governor = json_string_value(json_object_get(c, "governor"));

	if (governor != NULL && strcmp(governor, "performance") != 0)
		say(j, "the CPU governor is '%s', not 'performance': the clock follows the load",
			governor);
}

/* A counter's growth, 0 when either side does not know. */
static double growth(const json_t *before, const json_t *after, const char *name) {
	const json_t *from = json_object_get(json_object_get(before, "counters"), name);
	const json_t *to = json_object_get(json_object_get(after, "counters"), name);

	return json_is_number(from) && json_is_number(to)
		       ? json_number_value(to) - json_number_value(from)
		       : 0;
}

void conditions_judge(const json_t *before, const json_t *after,
	void (*to)(void *arg, const char *sentence), void *arg) {
	const struct judge j = {to, arg};
	double seconds = growth(before, after, "seconds");
	double stolen = growth(before, after, "stolen");
	double hot = growth(before, after, "throttled");
	double held = growth(before, after, "held_back");

	judge_others(&j, before, "before");
	judge_others(&j, after, "after");
	judge_governor(&j, before);
	if (seconds > 0 && stolen / seconds >= STOLEN)
		say(&j, "a hypervisor took %.2f CPUs away on average (steal)", stolen / seconds);
	if (hot > 0)
		say(&j, "CPUs slowed down %.0f times for heat during the measurement", hot);
	if (held > 0)
		say(&j, "the control group's CPU quota ran out %.0f times during the measurement",
			held);
}
