/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/frames/frame_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/cpus.h"
#include "base/err.h"
#include "base/file.h"
#include "base/units.h"
#include "bench/result.h"
#include "bench/tick.h"

static const double RATE_MAX = 1e9;

static int parse_number(
	const char *name, const char *text, uint64_t most, uint64_t *out, struct err *e) {
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || n < 1 || n > most)
		return err_set(e, EINVAL, "--%s wants a number of 1 to %llu, not '%.40s'", name,
			(unsigned long long)most, text);
	*out = n;
	return 0;
}

static int parse_unsigned(
	const char *name, const char *text, unsigned most, unsigned *out, struct err *e) {
	uint64_t v = 0;
	int rc = parse_number(name, text, most, &v, e);

	*out = (unsigned)v;
	return rc;
}

static int parse_duration(const char *name, const char *text, uint64_t *ns, struct err *e) {
	struct err why;

	if (units_duration(text, ns, &why) < 0)
		return err_set(e, EINVAL, "--%s: %s", name, why.text);
	return 0;
}

/* CPUs separated by commas. */
static int parse_cpus(
	const char *name, const char *text, int *cpus, unsigned most, unsigned *n, struct err *e) {
	char given[256];

	for (*n = 0; *n < most; text++) {
		char *end;
		long cpu = strtol(text, &end, 10);

		if (end == text || (*end != ',' && *end != '\0'))
			break;
		cpus_text(given, sizeof(given));
		if (!cpus_allowed(cpu))
			return err_set(e, EINVAL, "--%s: there is no CPU %ld here; there are %s",
				name, cpu, given);
		cpus[(*n)++] = (int)cpu;
		text = end;
		if (*end == '\0')
			return 0;
	}
	return err_set(e, EINVAL, "--%s wants up to %u CPUs as in '2,3'", name, most);
}

static int parse_rate(struct frame_options *o, const char *text, struct err *e) {
	double scale = 1;
	char *end;

	o->rate = text;
	o->rate_percent = false;
	o->rate_value = 0;
	if (strcmp(text, "max") == 0)
		return 0;
	o->rate_value = strtod(text, &end);
	if (strcmp(end, "%") == 0)
		o->rate_percent = true;
	else if (strcmp(end, "k") == 0)
		scale = 1e3;
	else if (strcmp(end, "M") == 0)
		scale = 1e6;
	else if (*end != '\0')
		scale = 0;
	o->rate_value *= scale;
	if (text[0] >= '0' && text[0] <= '9' && o->rate_value > 0 &&
		o->rate_value <= (o->rate_percent ? 100 : RATE_MAX))
		return 0;
	return err_set(e, EINVAL,
		"--rate wants frames/s (20000, 50k, 1.5M; up to 1000M), a percentage (40%%) or "
		"'max', "
		"not '%.40s'",
		text);
}

static int parse_sizes(struct frame_options *o, char *text, struct err *e) {
	o->nsizes = o->longest = 0;
	while (text != NULL) {
		const char *one = strsep(&text, ",");
		struct frame_shape s;

		if (o->nsizes == FRAME_OPTION_SIZES)
			return err_set(
				e, EINVAL, "--size takes up to %d sizes", FRAME_OPTION_SIZES);
		if (frame_shape_size(&s, one, e) < 0) {
			err_prefix(e, "--size: ");
			return -EINVAL;
		}
		if (frame_shape_longest(&s) > o->longest)
			o->longest = frame_shape_longest(&s);
		o->size[o->nsizes++] = one;
	}
	return 0;
}

enum { SIZE, RATE, FRAMES, BOTH, FLOWS, MACS, CPUS, SINK_CPUS, WAIT, LATE, LEARN_WAIT };
static const struct option known[] = {
	{"size", required_argument, NULL, SIZE},
	{"rate", required_argument, NULL, RATE},
	{"frames", required_argument, NULL, FRAMES},
	{"both", no_argument, NULL, BOTH},
	{"flows", required_argument, NULL, FLOWS},
	{"macs", required_argument, NULL, MACS},
	{"cpus", required_argument, NULL, CPUS},
	{"sink-cpus", required_argument, NULL, SINK_CPUS},
	{"wait", required_argument, NULL, WAIT},
	{"late", required_argument, NULL, LATE},
	{"learn-wait", required_argument, NULL, LEARN_WAIT},
	{NULL, 0, NULL, 0},
};

static int take(struct frame_options *o, int which, char *v, struct err *e) {
	const char *name = known[which].name;

	switch (which) {
	case SIZE:
		return parse_sizes(o, v, e);
	case RATE:
		return parse_rate(o, v, e);
	case FRAMES:
		return parse_number(name, v, 1ull << 40, &o->frames, e);
	case BOTH:
		o->both = true;
		return 0;
	case FLOWS:
		return parse_unsigned(name, v, FRAME_FLOWS_MAX, &o->flows, e);
	case MACS:
		return parse_unsigned(name, v, FRAME_MACS_MAX, &o->macs, e);
	case CPUS:
		return parse_cpus(name, v, o->cpus, FRAME_QUEUES_MAX, &o->ncpus, e);
	case SINK_CPUS:
		return parse_cpus(name, v, o->sinks, 2, &o->nsinks, e);
	case WAIT:
		return parse_duration(name, v, &o->wait_ns, e);
	case LEARN_WAIT:
		return parse_duration(name, v, &o->learn_ns, e);
	default:
		return parse_duration(name, v, &o->late_ns, e);
	}
}

int frame_options_parse(struct frame_options *o, int argc, char **argv, struct err *e) {
	int which, index = 0;

	*o = (struct frame_options){
		.size = {"60"},
		.nsizes = 1,
		.longest = FRAME_MIN,
		.rate = "max",
		.wait_ns = 200 * 1000 * 1000,
		.late_ns = 100 * 1000 * 1000,
		.learn_ns = 5 * 1000 * 1000,
		.macs = 1,
	};
	opterr = 0;
	optind = 0; // begin anew, also when somebody has read a command line before
	while ((which = getopt_long(argc, argv, ":", known, &index)) != -1) {
		if (which == ':')
			return err_set(e, EINVAL, "%s wants a value", argv[optind - 1]);
		if (which == '?')
			return err_set(e, EINVAL, "no such option '%s'", argv[optind - 1]);
		if (take(o, which, optarg, e) < 0)
			return -EINVAL;
	}
	if (argc - optind != 2)
		return err_set(
			e, EINVAL, "frames go between two endpoints; %d were given", argc - optind);
	if (o->flows == 0)
		o->flows = o->macs;
	if (o->flows < o->macs)
		return err_set(e, EINVAL,
			"--macs %u wants as many flows: each is from one MAC to one; --flows is %u",
			o->macs, o->flows);
	o->name[0] = argv[optind];
	o->name[1] = argv[optind + 1];
	return 0;
}

static void warn_of_counter(json_t *doc) {
	char available[256] = "";

	file_line(available, sizeof(available),
		"/sys/devices/system/clocksource/clocksource0/available_clocksource");
	if (!tick_trusted(available))
		result_warn(doc,
			"frames are timed by the CPUs' time stamp counters, which the kernel does "
			"not "
			"trust here (it has only: %s): latencies between CPUs may be wrong by any "
			"amount",
			available);
}

void frame_options_warn_early(json_t *doc, const char *from, const struct frame_count *c) {
	if (c->early > 0)
		result_warn(doc,
			"%llu frames from %s arrived before they were sent, by up to %.3g us: the "
			"time "
			"stamp counters of two CPUs differ, and latencies are wrong by as much; "
			"these "
			"count as 0",
			(unsigned long long)c->early, from, c->early_max_s * 1e6);
}

int frame_options_open(const struct frame_options *o, const struct bench *b, struct frame_bed **bed,
	struct frame_shape *shape, struct err *e) {
	const struct frame_bed_want want = {
		.cpus = o->ncpus > 0 ? o->cpus : NULL,
		.threads = o->ncpus > 0 ? o->ncpus : 1,
		.sink_cpus = o->nsinks > 0 ? o->sinks : NULL,
		.sinks = o->nsinks > 0 ? o->nsinks : 1u + o->both,
		.both = o->both,
		.frame_max = o->longest,
	};
	static const uint8_t none[6];
	int rc;

	shape->flows = o->flows;
	shape->macs = o->macs;
	(void)!getrandom(&shape->who, sizeof(shape->who), 0);
	bench_progress(b, -1, "opening %s and %s", o->name[0], o->name[1]);
	warn_of_counter(b->doc);
	rc = frame_bed_open(bed, o->name[0], o->name[1], &want, e);
	for (unsigned i = 0; i < 2 && rc == 0; i++) {
		memcpy(shape->mac[i], frame_bed_mac(*bed, i), sizeof(shape->mac[i]));
		if (o->macs > 1 && memcmp(shape->mac[i], none, sizeof(none)) != 0)
			rc = err_set(e, EINVAL,
				"%s is a virtual function, which has one MAC; --macs is %u, leave "
				"it out",
				o->name[i], o->macs);
	}
	return rc;
}
