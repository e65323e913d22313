/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_SEARCH_H
#define WEIR_BENCH_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The searches of RFC 2544 and its successors, on top of a function that makes one trial. Nothing here
 * knows of frames, devices or clocks, so that all of it can be proven against simulated devices. */

struct err;
struct hist;

/* One trial: frames of one kind offered at a constant rate for some time, and what became of them. */
struct trial {
	double rate; /* frames/s that were asked for */
	double seconds; /* for so long */
	uint64_t offered; /* rate * seconds, rounded */
	uint64_t sent; /* at most offered: what the generator did not get out counts as lost */
	uint64_t received; /* each frame once, duplicates not counted */
	uint64_t lost; /* offered - received */
	bool pass; /* lost no greater part than the goal allows; set by who asked for the trial */
};

/* Makes one trial, waiting before it until the device is quiet and after it until late frames are in
 * (RFC 2544 section 23), and fills `out` but for `pass`. `latency` may be NULL; else each frame's time
 * under way is added to it. 0; -ECANCELED when interrupted; another negative errno with a sentence. */
typedef int trial_fn(void *arg, double rate, double seconds, struct trial *out,
	struct hist *latency, struct err *e);

/* One trial whose rate falls from `high` to `low` after high_s, without a pause, and goes on for low_s.
 * *last_loss: seconds between the fall and the sending of the last frame that was lost; 0 when none was
 * lost after it; low_s when frames were still lost in the last tenth. */
typedef int fall_fn(void *arg, double high, double high_s, double low, double low_s,
	double *last_loss, struct err *e);

/* What counts as throughput: the "Search Goal" of RFC 9971. */
struct goal {
	double initial_s; /* trials get longer from here ... */
	double final_s; /* ... to here: no shorter trial can make a rate pass */
	double sum_s; /* so many seconds of trials decide about one rate */
	double loss; /* 0..1: a trial that lost a greater part is a bad one */
	double exceed; /* 0..1: so great a part of sum_s may be bad trials */
	/* 0..1: the search ends when (upper - lower) / upper is no more, or the bounds are 1 frame/s apart */
	double width;
};

/* Named sets of goals and of lengths of the other procedures; a table, see search_presets. */
struct preset {
	const char *name;
	struct goal goal;
	bool conditional; /* its throughput is what was delivered at the lower bound, not the bound */
	double latency_s; /* RFC 2544 section 26.2 */
	unsigned latency_times;
	double loss_s; /* section 26.3 */
	double burst_s; /* section 26.4: the longest burst tried */
	unsigned burst_times; /* at most BURST_TIMES */
	double burst_step; /* frames; 0: 1 */
	double overload_s, relief_s; /* section 26.5 */
	unsigned recovery_times;
	/* Before a trial for a switch to learn, after it for late frames, and then for the device
	 * (section 23). */
	double learn_s, wait_s, rest_s;
	/* What the search for one throughput comes to, from the easiest device (a sharp limit, no noise)
	 * to the hardest (proven in tests): for the user to know before. */
	unsigned trials_most;
	double seconds_most;
};

extern const struct preset search_presets[]; /* ends with a NULL name */
/* NULL with a sentence that lists the names. */
const struct preset *search_preset(const char *name, struct err *e);

enum search_end {
	SEARCH_FOUND, /* lower and upper are there and within the width */
	SEARCH_AT_MAX, /* the greatest rate passed: the limit is there or above */
	SEARCH_NONE, /* the least rate failed */
};

/* A search, from what is asked for to what was found. The caller fills the first part and zeroes the
 * rest; the trials are freed by search_fini. */
struct search {
	struct goal goal;
	double min,
		max; /* frames/s, 0 < min <= max; whole numbers, as all rates tried (rounded inwards) */
	trial_fn *fn;
	void *arg;

	enum search_end end;
	double lower; /* the greatest rate that passed below `upper`; 0: none */
	double upper; /* the least rate that failed; 0: none */
	/* What is delivered at `lower` ("Conditional Throughput", RFC 9971 appendix B); with no loss
	 * allowed that is `lower` itself in all but odd cases. 0 when there is no lower. */
	double throughput;
	bool generator; /* `upper` failed because the generator could not send that much */
	struct trial *trials; /* all, in order */
	unsigned n;
	double seconds; /* sum of their lengths */
};

/* Runs it. 0 also when nothing was found (see `end`); -ECANCELED or another error of fn, with the
 * trials made so far and the bounds as known by then; -EINVAL: a range that is none; -ENOMEM. */
int search_run(struct search *s, struct err *e);
void search_fini(struct search *s);
/* In one sentence what a reader must know besides the number; false: nothing. */
bool search_remark(const struct search *s, char *text, size_t size);

/* "Load Classification" of RFC 9971 appendix A: what the trials made at one rate say about it. */
enum bound { BOUND_UNDECIDED, BOUND_LOWER, BOUND_UPPER };
enum bound goal_classify(const struct goal *g, double rate, const struct trial *t, unsigned n);
/* The part of what was offered that was lost; 0 for a trial of nothing. */
double trial_loss(const struct trial *t);

/* RFC 2544 section 26.3: from `max` down in steps of a tenth of it, until two trials in a row lost
 * nothing or the steps are used up. Fills up to LOSS_TRIALS; *n says how many. */
enum { LOSS_TRIALS = 10 };
int search_loss(const struct preset *p, double max, trial_fn *fn, void *arg,
	struct trial trials[LOSS_TRIALS], unsigned *n, struct err *e);

/* RFC 2544 section 26.4 with the correction of RFC 9004. */
enum { BURST_TIMES = 50 };
struct burst {
	double values[BURST_TIMES]; /* each time: the longest burst that lost nothing, in frames */
	double longest, step; /* frames: the longest tried, and to how many it was found */
	unsigned times; /* how often the longest burst was sought */
	double frames; /* the longest burst that lost nothing, on average of the times */
	double least, most; /* among the times */
	double seconds; /* frames / max: "Implied DUT Buffer Time" */
	/* What the device forwarded while the burst came in was never buffered: seconds less the part
	 * throughput / max ("Corrected DUT Buffer Time"), and the frames that fit in it. */
	double corrected_s, corrected_frames;
	bool unbounded; /* the longest burst tried lost nothing: there is no result, only "at least" */
};

/* Implied and corrected buffer time of `out` at the rate at which frames came in. */
void search_burst_correct(struct burst *out, double rate, double throughput);

/* `max`: the rate of back-to-back frames; `throughput`: without any loss. Bursts are found to a
 * thousandth or the step. -EINVAL when throughput reaches max: then no buffer can fill (RFC 9004
 * section 5). */
int search_burst(const struct preset *p, double max, double throughput, trial_fn *fn, void *arg,
	struct burst *out, struct err *e);

/* RFC 2544 section 26.5: overload at 110 % of throughput (no more than `max`), then half of that.
 * `seconds`: one result a time, p->recovery_times of them, which is RECOVERY_TIMES at most. */
enum { RECOVERY_TIMES = 3 };
#define RECOVERY_OVERLOAD 1.1 /* of throughput */
int search_recovery(const struct preset *p, double max, double throughput, fall_fn *fn, void *arg,
	double *seconds, struct err *e);

#endif
