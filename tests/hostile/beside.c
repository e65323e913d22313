/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "beside.h"

#include <stdio.h>
#include <stdlib.h>

#include "bed.h"
#include "neighbours.h"

enum {
	ASKED = 5, /* times, how long the switch takes to answer */
	ANSWER_MS = 200,
	MEDIAN_MS = 200,
};

#define ALONE     0.5 /* between two attacks nothing is left of the first */
#define KEPT      0.95
#define LONG_PART 0.25 /* of the turns, beyond the upper quartile: the worker may lose its CPU */

/* The best of some: a machine that is busy with others makes none faster. */
static uint64_t answer_ms(const char *of) {
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < ASKED; i++) {
		const uint64_t begin = bed_now_ms();
		uint64_t took;

		bed_count(of, "rx", "turns");
		took = bed_now_ms() - begin;
		best = took < best ? took : best;
	}
	return best;
}

void beside_hold(const char *sentence, const char *of, void (*attack)(void *), void *arg) {
	uint64_t turns = bed_count(of, "rx", "turns"), cycles = bed_count(of, "rx", "cycles"),
		 slow = bed_count(of, "rx", "long_turns"), ms;
	struct neighbours_share s;

	neighbours_beside(attack, arg, &s);
	ms = answer_ms(of);
	neighbours_alone();
	turns = bed_count(of, "rx", "turns") - turns;
	cycles = bed_count(of, "rx", "cycles") - cycles;
	slow = bed_count(of, "rx", "long_turns") - slow;
	print_message("# %s: of %.0f frames/s %.3f arrive alone, %.3f beside it; half within %.3f "
		      "ms; %llu turns of %llu cycles, %llu long; answer in %llu ms\n",
		sentence, s.rate, s.alone, s.beside, s.median_ms, (unsigned long long)turns,
		(unsigned long long)(cycles / (turns + 1)), (unsigned long long)slow,
		(unsigned long long)ms);
	if (s.alone < ALONE)
		fail_msg("the neighbour has %.3f of what it offers when the attack rests", s.alone);
	if (s.beside < KEPT * s.alone)
		fail_msg("the neighbour keeps %.3f of what it has alone", s.beside / s.alone);
	if (s.median_ms > MEDIAN_MS)
		fail_msg("half of the neighbour's frames take more than %.0f ms", s.median_ms);
	assert_true(turns > 0);
	// A sanitized switch takes more cycles for the same.
	if (bed_patience() == 1 && (double)slow > LONG_PART * (double)turns)
		fail_msg("%llu of %llu turns were too long", (unsigned long long)slow,
			(unsigned long long)turns);
	if (ms > ANSWER_MS * bed_patience())
		fail_msg("an answer took %llu ms", (unsigned long long)ms);
}

void beside_one_worker(void) {
	const char *cpus = getenv("WEIR_CPUS");
	char one[16];

	if (cpus != NULL && sscanf(cpus, "%15[0-9]", one) == 1)
		setenv("WEIR_CPUS", one, 1);
}
