/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "beside.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "neighbours.h"

enum {
	TRIES = 3, /* a busy machine spoils a measurement now and then, an attack every one */
	ASKED = 5, /* times, how long the switch takes to answer */
	ANSWER_MS = 200,
	MEDIAN_MS = 200,
};

#define ALONE     0.5 /* between two attacks nothing is left of the first */
#define KEPT      0.95
#define LONG_PART 0.10 /* of the turns: a hypervisor tells nobody when it takes the CPU away */
#define LOST_PART 0.15 /* more, at the most, when the kernel gave it to others */

/* Runs an attack that waits, whenever the neighbours' thread, which must not, calls for it. */
static struct {
	pthread_t thread;
	atomic_bool on, wanted;
	const struct beside *b;
} runner;

static void *runner_main(void *arg) {
	while (atomic_load(&runner.on))
		if (atomic_exchange(&runner.wanted, false))
			runner.b->attack(runner.b->arg);
		else
			bed_rest_us(100);
	return arg;
}

static void runner_call(void *arg) {
	(void)arg;
	atomic_store(&runner.wanted, true);
}

static void runner_start(const struct beside *b) {
	runner.b = b;
	atomic_store(&runner.wanted, false);
	atomic_store(&runner.on, true);
	assert_int_equal(pthread_create(&runner.thread, NULL, runner_main, NULL), 0);
}

void beside_end(void) {
	neighbours_alone();
	if (atomic_exchange(&runner.on, false))
		pthread_join(runner.thread, NULL);
}

static uint64_t answer_ms(void) {
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < ASKED; i++) {
		const uint64_t begin = bed_now_ms();
		uint64_t took;

		bed_count("mate", "rx", "turns");
		took = bed_now_ms() - begin;
		best = took < best ? took : best;
	}
	return best;
}

static void judge_answer(uint64_t ms) {
	if (ms > ANSWER_MS * bed_patience())
		fail_msg("an answer took %llu ms", (unsigned long long)ms);
}

void beside_answered(uint64_t ms) {
	static uint64_t best = UINT64_MAX;
	static unsigned slow;

	slow = ms > ANSWER_MS * bed_patience() ? slow + 1 : 0;
	best = slow > 1 && best < ms ? best : ms;
	if (slow >= ASKED)
		judge_answer(best);
}

/* What the port did so far, and what the attack came to. */
struct done {
	uint64_t turns, cycles, slow, preempted, come_to;
};

static struct done done(const struct beside *b) {
	struct done d = {0};

	if (b->of != NULL) {
		d.turns = bed_count(b->of, "rx", "turns");
		d.cycles = bed_count(b->of, "rx", "cycles");
		d.slow = bed_count(b->of, "rx", "long_turns");
		d.preempted = bed_preempted();
	}
	if (b->at != NULL)
		d.come_to = b->drop != NULL ? bed_drops(b->at, b->drop)
					    : bed_count(b->at, "tx", "frames");
	return d;
}

static struct done done_since(const struct beside *b, const struct done *before) {
	struct done d = done(b);

	d.turns -= before->turns;
	d.cycles -= before->cycles;
	d.slow -= before->slow;
	d.preempted -= before->preempted;
	d.come_to -= before->come_to;
	return d;
}

static double kept(const struct neighbours_share *s) {
	// Where a worker comes late, what was sent before arrives in a round, too: more than all is all.
	return s->beside / (s->alone < 1 ? s->alone : 1);
}

/* One measurement; false: it is not as it should be, or the machine was busy with others. A sanitized switch
 * takes millions of cycles for a turn, and shares its CPUs with tests beside it: a fifth of what such a worker
 * can carry is a few frames a round, and whether they come in the round says nothing. There the neighbour must
 * go on, and lose nothing (bed_hold). */
static bool measure(const struct beside *b, struct neighbours_share *s, uint64_t *ms) {
	neighbours_beside(b->waits ? runner_call : b->attack, b->arg, s);
	*ms = answer_ms();
	return *ms <= ANSWER_MS * bed_patience() &&
	       (bed_patience() != 1 ||
		       (s->alone >= ALONE && kept(s) >= KEPT && s->median_ms <= MEDIAN_MS));
}

static void judge_share(const struct neighbours_share *s) {
	if (bed_patience() != 1)
		return;
	if (s->alone < ALONE)
		fail_msg(
			"the neighbour has %.3f of what it offers when the attack rests", s->alone);
	if (kept(s) < KEPT)
		fail_msg("the neighbour keeps %.3f of what it has alone", kept(s));
	if (s->median_ms > MEDIAN_MS)
		fail_msg("half of the neighbour's frames take more than %.0f ms", s->median_ms);
}

/* A turn in which the kernel gave the worker's CPU to others is long for that, but which turns those were is
 * not known. */
static void judge_attack(const struct beside *b, const struct done *d) {
	const double most = LOST_PART * (double)d->turns, lost = (double)d->preempted,
		     own = (double)d->slow - (lost < most ? lost : most);

	if (b->of != NULL && d->turns == 0)
		fail_msg("port %s has no turn", b->of);
	if (bed_patience() == 1 && own > LONG_PART * (double)d->turns)
		fail_msg("%llu of %llu turns were too long", (unsigned long long)d->slow,
			(unsigned long long)d->turns);
	if (b->at != NULL && d->come_to == 0)
		fail_msg(
			"nothing is %s at port %s", b->drop != NULL ? b->drop : "delivered", b->at);
}

void beside_hold(const struct beside *b) {
	const struct done before = done(b);
	struct neighbours_share s;
	struct done d;
	uint64_t ms;

	if (b->waits)
		runner_start(b);
	for (unsigned i = 0; i < TRIES && !measure(b, &s, &ms); i++)
		continue;
	bed_hold();
	beside_end();
	d = done_since(b, &before);
	print_message("# %s: of %.0f frames/s %.3f arrive alone, %.3f beside it; half within %.3f "
		      "ms; %llu turns of %llu cycles, %llu long, CPU lost %llu times; answer in "
		      "%llu ms\n",
		b->sentence, s.rate, s.alone, s.beside, s.median_ms, (unsigned long long)d.turns,
		(unsigned long long)(d.cycles / (d.turns + 1)), (unsigned long long)d.slow,
		(unsigned long long)d.preempted, (unsigned long long)ms);
	judge_share(&s);
	judge_attack(b, &d);
	judge_answer(ms);
	bed_hold();
}

int beside_run(const struct beside_cases *c) {
	struct CMUnitTest *t = calloc(c->n, sizeof(*t));
	int failed;

	if (t == NULL)
		return 1;
	for (unsigned i = 0; i < c->n; i++) {
		const void *one = (const char *)c->first + i * c->size;

		t[i] = (struct CMUnitTest){.name = *(const char *const *)one,
			.test_func = c->test,
			.teardown_func = c->detach,
			.initial_state = (void *)one};
	}
	cmocka_set_test_filter(getenv("WEIR_CASE"));
	failed = _cmocka_run_group_tests(c->name, t, c->n, c->start, bed_teardown);
	free(t);
	return failed;
}

void beside_one_worker(void) {
	const char *cpus = getenv("WEIR_CPUS");
	char one[16];

	if (cpus != NULL && sscanf(cpus, "%15[0-9]", one) == 1)
		setenv("WEIR_CPUS", one, 1);
}
