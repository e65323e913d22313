/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/apart.h"
#include "bench/clock.h"
#include "bench/hostcpu.h"
#include "bench/paths/paths.h"
#include "bench/result.h"
#include "host/nic.h"

/* What is measured on a path: the instruments run as a user would run them, between the first two VMs
 * or between all pairs at once, into documents of their own, from which the figures are taken that tell
 * paths apart. The host's CPU is this host's, all of it, with QEMU and the switch told apart. */

enum { MEET_MS = 30000, AHEAD_MS = 20, LOOK_MS = 100 };
static const double LATE = 0.05; // of the time: then it is said
static const double HELD = 0.97; // of a rate: below that a path did not carry it

enum { VALUE_LEN = 24, ARGS_MAX = 12, ROLES_MAX = PATH_GUESTS_MAX + PATH_PROCESSES_MAX };

struct test {
	const char *name; /* label "test" */
	const struct instrument *with;
	const char *option, *value; /* and its option; value NULL: the rate of the plan */
	const char *figure; /* which of its figures counts */
	const char *unit;
	bool pairs; /* all pairs at once */
};

static const struct test tests[] = {
	{"stream", &bench_stream, "--mss", "1448", "throughput", "bit/s", false},
	{"stream", &bench_stream, "--mss", "100", "throughput", "bit/s", false},
	{"rr", &bench_rr, "--request", "1", "transactions", "1/s", false},
	{"stream at a rate", &bench_stream, "--rate", NULL, "throughput", "bit/s", false},
	{"all pairs", &bench_stream, "--mss", "1448", "throughput", "bit/s", true},
	{"all pairs", &bench_rr, "--request", "1", "transactions", "1/s", true},
};
enum { NTESTS = sizeof(tests) / sizeof(tests[0]) };

struct seen {
	struct series value, cpu, own, cost, skew, moving;
};

struct figures {
	const struct path *path;
	const struct paths_plan *plan;
	const struct path_bed *bed;
	struct guest *const *guests;
	char rate[VALUE_LEN];
	struct seen seen[NTESTS];
};

static const char *value_of(const struct figures *f, const struct test *t) {
	return t->value != NULL ? t->value : f->rate;
}

static bool wanted(const struct figures *f, const struct test *t) {
	return (t->value != NULL || f->plan->rate > 0) && (!t->pairs || f->plan->n > 2);
}

static json_t *labels(const struct figures *f, const struct test *t) {
	json_t *l = json_pack("{s:s, s:s, s:s}", "path", f->path->name, "test", t->name,
		t->option + 2, value_of(f, t));
	char n[16];

	if (t->pairs) {
		snprintf(n, sizeof(n), "%u", f->plan->n / 2);
		json_object_set_new(l, "pairs", json_string(n));
	}
	return l;
}

/* What is counted, from its beginning to its end: no set-up, no warm-up, and not what comes after. */
struct watch {
	const struct figures *f;
	struct hostcpu *cpu; // NULL: not begun, or no memory
	struct path_cycles before, after;
	bool polls;
	json_t *cost; // NULL: not ended, or nobody knows
};

static bool look_at_cycles(const struct figures *f, struct path_cycles *c) {
	struct err e;

	return f->path->cycles != NULL && f->path->cycles((struct path_bed *)f->bed, c, &e) == 0;
}

static void watch_begin(struct watch *w) {
	const struct figures *f = w->f;
	const char *roles[ROLES_MAX];
	pid_t pids[ROLES_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < f->plan->n && f->guests[i] != NULL; i++) {
		pids[n] = guest_pid(f->guests[i]);
		roles[n++] = "vm";
	}
	for (unsigned i = 0; i < f->bed->nprocesses; i++) {
		pids[n] = f->bed->process[i].pid;
		roles[n++] = f->bed->process[i].role;
	}
	w->cpu = hostcpu_begin(pids, roles, n);
	// The switch is asked last at the beginning and at the end, for its answer takes a while.
	w->polls = look_at_cycles(f, &w->before);
}

static void watch_end(struct watch *w) {
	double all, moved;

	if (w->cpu == NULL)
		return;
	w->cost = hostcpu_end(w->cpu);
	w->cpu = NULL;
	if (w->cost == NULL || !w->polls || !look_at_cycles(w->f, &w->after))
		return;
	all = w->after.all - w->before.all;
	moved = w->after.moved - w->before.moved;
	if (all > 0)
		hostcpu_polled(w->cost, "switch", w->after.threads, moved / all);
}

static void on_counting(void *arg, bool begins) {
	if (begins)
		watch_begin(arg);
	else
		watch_end(arg);
}

static double find_figure(const json_t *doc, const char *name) {
	json_t *one;
	size_t i;

	json_array_foreach (json_object_get(doc, "figures"), i, one)
		if (strcmp(json_string_value(json_object_get(one, "name")), name) == 0)
			return json_number_value(json_object_get(one, "median"));
	return NAN;
}

/* Runs the instrument once between two of the ends, numbered from 0. */
static int run_once(struct bench *b, const struct figures *f, const struct test *t, unsigned from,
	unsigned to, struct watch *w, json_t **doc, struct err *e) {
	const char *kind = f->path->nic != NULL ? "vm" : "ns";
	char a[32], z[32], option[32], value[VALUE_LEN];
	char *argv[] = {(char *)t->with->name, a, z, option, value, NULL};
	struct bench own = *b;
	int ret;

	snprintf(a, sizeof(a), "%s:vm%u", kind, from + 1);
	snprintf(z, sizeof(z), "%s:vm%u", kind, to + 1);
	snprintf(option, sizeof(option), "%s", t->option);
	snprintf(value, sizeof(value), "%s", value_of(f, t));
	own.doc = result_new(t->with->name, 5, argv);
	own.repeat = 1;
	own.until = 0;
	own.quiet = true;
	own.counting = w != NULL ? on_counting : NULL;
	own.counting_arg = w;
	ret = t->with->run(&own, 5, argv, e);
	*doc = own.doc;
	return ret;
}

/* The latencies of an instrument that has some, told apart by the path. */
static void keep_latencies(struct bench *b, const struct figures *f, const struct test *t,
	unsigned repeat, const json_t *doc) {
	char number[16];
	json_t *one;
	size_t i;

	snprintf(number, sizeof(number), "%u", repeat + 1);
	json_array_foreach (json_object_get(doc, "latencies"), i, one) {
		json_t *l = labels(f, t);

		json_object_set_new(l, "repeat", json_string(number));
		json_object_set_new(one, "labels", l);
		json_array_append(json_object_get(b->doc, "latencies"), one);
	}
}

/* What the instrument warns of holds for the test, too. */
static void keep_warnings(struct bench *b, const struct test *t, const json_t *warnings) {
	json_t *one;
	size_t i;

	json_array_foreach (warnings, i, one)
		apart_warn(b->doc, t->name, json_string_value(one));
}

static int run_two(struct bench *b, const struct figures *f, const struct test *t, unsigned repeat,
	double *value, struct watch *w, struct err *e) {
	json_t *doc;
	int ret = run_once(b, f, t, 0, 1, w, &doc, e);

	*value = find_figure(doc, t->figure);
	keep_latencies(b, f, t, repeat, doc);
	keep_warnings(b, t, json_object_get(doc, "warnings"));
	result_interfaces(b->doc, doc, "");
	json_decref(doc);
	return ret;
}

/* What QEMU and the switch took of it, without the kernel's part and without what else runs here; NaN
 * when there is neither. */
static double own_cpu(const json_t *cpu) {
	json_t *threads = json_object_get(cpu, "threads"), *one;
	double sum = 0;
	size_t i;

	json_array_foreach (threads, i, one)
		sum += json_number_value(json_object_get(one, "busy"));
	return json_array_size(threads) > 0 ? sum : NAN;
}

/* What could not be found out has no figure. */
static void add_known(struct series *to, const json_t *v, const char *key) {
	if (json_is_number(json_object_get(v, key)))
		series_add(to, json_number_value(json_object_get(v, key)));
}

static void keep_cpu(struct bench *b, const struct figures *f, const struct test *t,
	unsigned repeat, double value, json_t *cpu, struct seen *seen) {
	double own = own_cpu(cpu);
	char number[16];
	json_t *l = labels(f, t), *one;
	size_t i;

	if (strcmp(t->unit, "bit/s") == 0) {
		hostcpu_per(cpu, value * json_number_value(json_object_get(cpu, "seconds")), 0);
		add_known(&seen->cost, cpu, "per_gbit");
	}
	add_known(&seen->cpu, cpu, "busy");
	json_array_foreach (json_object_get(cpu, "polling"), i, one)
		add_known(&seen->moving, one, "moving");
	if (!isnan(own))
		series_add(&seen->own, own);
	snprintf(number, sizeof(number), "%u", repeat + 1);
	json_object_set_new(l, "repeat", json_string(number));
	result_cpu(b->doc, l, cpu);
}

struct told { /* through a pipe, by the process of a pair, in one piece (PIPE_BUF) */
	double value;
	char warnings[2048]; /* JSON; what does not fit is left out */
	uint64_t late;
	int status;
	struct err e;
};

struct pair_process {
	pid_t pid;
	int tells;
};

static void pair_child(struct bench *b, const struct figures *f, const struct test *t,
	unsigned pair, struct bench_meeting *m, int out) {
	struct told told = {.value = NAN};
	json_t *doc;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	b->meeting = m;
	told.status = run_once(b, f, t, 2 * pair, 2 * pair + 1, NULL, &doc, &told.e);
	told.value = find_figure(doc, t->figure);
	told.late = m->late;
	json_dumpb(json_object_get(doc, "warnings"), told.warnings, sizeof(told.warnings) - 1, 0);
	// The others do not wait for one that failed.
	if (!m->met && write(m->ready, "", 1) < 0)
		_exit(1);
	_exit(write(out, &told, sizeof(told)) != (ssize_t)sizeof(told));
}

static void start_pair(struct bench *b, const struct figures *f, const struct test *t, unsigned i,
	struct bench_meeting *m, struct pair_process *p) {
	int tell[2];

	if (pipe(tell) < 0)
		tell[0] = tell[1] = -1;
	p->pid = fork();
	if (p->pid == 0)
		pair_child(b, f, t, i, m, tell[1]);
	close(tell[1]);
	p->tells = tell[0];
}

/* When all could begin, all are told the same moment; gives it. */
static uint64_t meet(int ready, int go, unsigned n) {
	uint64_t until = clock_ns() + MEET_MS * NS_PER_MS, begin;
	char byte[PATH_GUESTS_MAX];
	unsigned here = 0;

	while (here < n && clock_ns() < until && !bench_stopped) {
		struct pollfd p = {.fd = ready, .events = POLLIN};
		ssize_t got = poll(&p, 1, LOOK_MS) > 0 ? read(ready, byte, n - here) : 0;

		here += got > 0 ? (unsigned)got : 0;
	}
	begin = clock_ns() + AHEAD_MS * NS_PER_MS;
	for (unsigned i = 0; i < n; i++)
		if (write(go, &begin, sizeof(begin)) < 0)
			break; // seen by who reads
	return begin;
}

/* While the others count, who told them when. */
static void watch_meanwhile(const struct bench *b, uint64_t begin, struct watch *w) {
	uint64_t until = begin + b->omit_ns, now;

	for (int i = 0; i < 2; i++, until += b->time_ns) {
		while (!bench_stopped && (now = clock_ns()) < until)
			clock_sleep_until(now + LOOK_MS * NS_PER_MS < until
						  ? now + LOOK_MS * NS_PER_MS
						  : until);
		on_counting(w, i == 0);
	}
}

static struct told hear(const struct pair_process *p) {
	struct told told = {.value = NAN, .status = -EIO, .e = {"its process ended"}};
	ssize_t got;

	do
		got = read(p->tells, &told, sizeof(told));
	while (got < 0 && errno == EINTR);
	close(p->tells);
	while (p->pid > 0 && waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
		;
	return told;
}

/* All pairs at once, a process each. values[] of all; *sum of them. */
static int run_pairs(struct bench *b, const struct figures *f, const struct test *t, double *values,
	double *sum, struct watch *w, struct err *e) {
	unsigned n = f->plan->n / 2;
	struct pair_process pairs[PATH_GUESTS_MAX / 2];
	int ready[2], go[2], ret = 0;
	uint64_t late = 0;

	if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0)
		return err_set(e, errno, "pipe: %s", strerror(errno));
	for (unsigned i = 0; i < n; i++) {
		struct bench_meeting m = {.ready = ready[1], .go = go[0]};

		start_pair(b, f, t, i, &m, &pairs[i]);
	}
	watch_meanwhile(b, meet(ready[0], go[1], n), w);
	*sum = 0;
	for (unsigned i = 0; i < n; i++) {
		struct told told = hear(&pairs[i]);
		json_t *warnings = json_loads(told.warnings, 0, NULL);

		keep_warnings(b, t, warnings);
		json_decref(warnings);
		if (told.status < 0 && ret == 0) {
			ret = told.status;
			*e = told.e;
		}
		late = told.late > late ? told.late : late;
		values[i] = told.value;
		*sum += told.value;
	}
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(go[i]);
	}
	if ((double)late > LATE * (double)b->time_ns)
		result_warn(b->doc,
			"a pair may have begun up to %.0f ms after the others, of %.0f: their "
			"differences say less",
			(double)late / 1e6, (double)b->time_ns / 1e6);
	return ret;
}

static void keep_pairs(struct bench *b, const struct figures *f, const struct test *t,
	unsigned repeat, const double *values, struct seen *seen) {
	char text[PATH_GUESTS_MAX / 2][40], number[16], *names[PATH_GUESTS_MAX / 2];
	unsigned n = f->plan->n / 2;
	json_t *l = labels(f, t);

	for (unsigned i = 0; i < n; i++) {
		snprintf(text[i], sizeof(text[i]), "vm%u to vm%u", 2 * i + 1, 2 * i + 2);
		names[i] = text[i];
	}
	snprintf(number, sizeof(number), "%u", repeat + 1);
	json_object_set_new(l, "repeat", json_string(number));
	result_endpoints(b->doc, t->figure, t->unit, l, names, values, n);
	if (!isnan(spread_skew(values, n)))
		series_add(&seen->skew, spread_skew(values, n));
}

/* All tests, once. */
static int measure(struct bench *b, struct figures *f, struct err *e) {
	unsigned repeat = b->round;

	for (int i = 0; i < NTESTS; i++) {
		const struct test *t = &tests[i];
		double value = NAN, values[PATH_GUESTS_MAX / 2];
		struct watch w = {.f = f};
		int ret;

		if (!wanted(f, t))
			continue;
		bench_progress(b, -1, "path %s: %s %s, repeat %u", f->path->name, t->name,
			value_of(f, t), repeat + 1);
		ret = t->pairs ? run_pairs(b, f, t, values, &value, &w, e)
			       : run_two(b, f, t, repeat, &value, &w, e);
		watch_end(&w); // had it ended early
		// What an interrupted measurement has found so far is a figure too.
		if (!isnan(value)) {
			series_add(&f->seen[i].value, value);
			if (t->pairs)
				keep_pairs(b, f, t, repeat, values, &f->seen[i]);
			if (w.cost != NULL)
				keep_cpu(b, f, t, repeat, value, json_incref(w.cost), &f->seen[i]);
		}
		json_decref(w.cost);
		if (ret < 0)
			return ret;
		if (isnan(value))
			return err_set(e, EIO, "%s found nothing", t->name);
	}
	return 0;
}

/* CPU at a rate compares only where the rate was held. */
static void judge_rate(struct bench *b, const struct figures *f) {
	for (int i = 0; i < NTESTS; i++) {
		double median = series_median(&f->seen[i].value);

		if (tests[i].value == NULL && f->seen[i].value.n > 0 &&
			median < HELD * (double)f->plan->rate)
			result_warn(b->doc,
				"it carried %.4g of the %.4g bit/s at which host CPU is compared; "
				"give a lower --rate",
				median, (double)f->plan->rate);
	}
}

/* Those of the host's side, which are all of this namespace. */
static void keep_interfaces(struct bench *b) {
	struct if_nameindex *all = if_nameindex();
	char name[IF_NAMESIZE + 8];

	for (struct if_nameindex *i = all; i != NULL && i->if_name != NULL; i++) {
		snprintf(name, sizeof(name), "host %s", i->if_name);
		if (strcmp(i->if_name, "lo") != 0)
			result_interface(b->doc, name, nic_json(i->if_name));
	}
	if (all != NULL)
		if_freenameindex(all);
}

int paths_figures(struct bench *b, const struct path *path, const struct paths_plan *plan,
	const struct path_bed *bed, struct guest *const *guests, struct err *e) {
	struct figures *f = calloc(1, sizeof(*f));
	int ret;

	if (f == NULL)
		return err_set(e, ENOMEM, "no memory");
	f->path = path;
	f->plan = plan;
	f->bed = bed;
	f->guests = guests;
	snprintf(f->rate, sizeof(f->rate), "%llubit", (unsigned long long)plan->rate);
	keep_interfaces(b);
	ret = measure(b, f, e);
	judge_rate(b, f);
	for (int i = 0; i < NTESTS; i++) {
		const struct test *t = &tests[i];
		struct seen *s = &f->seen[i];

		result_figure(b->doc, t->figure, t->unit, "more", labels(f, t), &s->value);
		result_figure(b->doc, "host CPUs busy", "", "less", labels(f, t), &s->cpu);
		result_figure(b->doc, "CPUs of VMs and switch", "", "less", labels(f, t), &s->own);
		result_figure(
			b->doc, "switch CPUs moving frames", "", "less", labels(f, t), &s->moving);
		result_figure(b->doc, "host CPU a Gbit", "s", "less", labels(f, t), &s->cost);
		result_figure(b->doc, "skew", "", "less", labels(f, t), &s->skew);
	}
	free(f);
	return ret;
}
