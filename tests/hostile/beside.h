/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_BESIDE_H
#define WEIR_TESTS_BESIDE_H

#include "bed.h"

/* A neighbour in another network offers a fifth of what its worker can carry, and must keep it beside an
 * attack (neighbours_beside). */
struct beside {
	const char *sentence;
	void (*attack)(
		void *arg); /* called again and again, from a thread that is not the test's */
	void *arg;
	bool waits; /* it may take longer than some us */
	const char
		*of; /* the port that the attack comes in by, whose turns are judged; NULL: none */
	/* What the attack must have come to: frames dropped for this reason at port `at`; `drop` NULL:
	 * delivered; `at` NULL: that is seen to elsewhere. */
	const char *at, *drop;
};

/* Fails the test when the neighbour does not keep its share, a turn takes longer than a turn may, the switch
 * does not answer, or the attack came to nothing. */
void beside_hold(const struct beside *b);
/* Fails the test when of the last five answers of the switch none came within 200 ms, longer under
 * sanitizers: a machine that is busy with others makes none faster. */
void beside_answered(uint64_t ms);
/* The attack is over, and nobody runs it any more; also when the test failed. */
void beside_end(void);

/* Makes a cmocka test of each of n cases, structs of `size` bytes that begin with their sentence, which
 * `test` gets as *state, and runs them, those that match WEIR_CASE when that is set; what main() returns. */
struct beside_cases {
	const char *name;
	const void *first;
	size_t size;
	unsigned n;
	CMUnitTestFunction test;
	CMFixtureFunction start, detach; /* of the switch, before all; behind each case */
};
int beside_run(const struct beside_cases *c);

/* Leaves one worker for all ports; before bed_start. */
void beside_one_worker(void);

#endif
