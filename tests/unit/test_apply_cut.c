/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "apply_bed.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Transactions cut off at each of their steps, forth and back. */

/* A child is killed when `left` more callbacks came; `done_first`: it had done the step by then, but not
 * noted it. */
struct killer {
	int left;
	bool done_first;
};

static void kill_at(void *ctx, unsigned i, const struct change *c, int status) {
	struct killer *k = ctx;
	struct host h;
	struct err e;

	if (k->left-- > 0)
		return;
	if (k->done_first && status == 1 && host_read(&h, &root, &e) == 0) {
		const struct changes alone = {NULL, 0};

		h.state = state_dir;
		if ((c->attr == ATTR_OWNER ? owner_set(&h, c, &alone, &e) : attr_set(&h, c, &e)) <
			0)
			_exit(9);
	}
	kill(getpid(), SIGKILL);
}

enum deed { APPLY, UNDO, RESUME };

static int do_it(enum deed d, const struct apply *a, const struct changes *l, struct err *e) {
	if (d == APPLY)
		return apply_changes(a, l, NULL, e);
	return d == UNDO ? apply_undo(a, 0, NULL, e) : apply_resume(a, e);
}

/* Whether it was killed: false when it came to its end before. */
static bool killed(enum deed d, const struct changes *l, int left, bool done_first) {
	struct killer k = {left, done_first};
	struct apply a = with;
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct err e;

		a.step = kill_at;
		a.ctx = &k;
		_exit(do_it(d, &a, l, &e) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFSIGNALED(status))
		return true;
	assert_int_equal(WEXITSTATUS(status), 0);
	return false;
}

static void cut_off_at_each_step(bool done_first) {
	struct changes l;
	int cuts = 0;
	struct err e;

	fill(&l);
	for (int left = 0; killed(APPLY, &l, left, done_first); left++) {
		cuts++;
		assert_true(pending());
		assert_int_equal(apply_changes(&with, &l, NULL, &e), -EBUSY);
		says(&e, "(vf test) was cut off");
		good(apply_undo(&with, 0, NULL, &e), &e);
		is(BEFORE);
		assert_true(killed(APPLY, &l, left, done_first));
		good(apply_resume(&with, &e), &e);
		is(BEHIND);
		assert_false(pending());
		good(apply_undo(&with, 0, NULL, &e), &e);
		is(BEFORE);
	}
	assert_int_equal(cuts, 12); // begin and end of each
	is(BEHIND);
	changes_free(&l);
}

static void a_transaction_cut_off_anywhere_goes_on_or_back(void **state) {
	cut_off_at_each_step(false);
}

static void a_step_that_was_done_but_not_noted_goes_on_or_back(void **state) {
	cut_off_at_each_step(true);
}

static void an_undo_cut_off_anywhere_is_finished_by_the_next(void **state) {
	struct changes l;
	struct err e;
	int cuts = 0;

	fill(&l);
	good(apply_changes(&with, &l, NULL, &e), &e);
	for (int left = 0; killed(UNDO, &l, left, false); left++) {
		assert_true(pending());
		good(cuts++ % 2 == 0 ? apply_undo(&with, 0, NULL, &e) : apply_resume(&with, &e),
			&e);
		is(BEFORE);
		good(apply_changes(&with, &l, NULL, &e), &e);
	}
	assert_true(cuts >= 10);
	is(BEFORE);
	changes_free(&l);
}

static void a_line_that_was_cut_off_counts_as_not_written(void **state) {
	char path[256];
	struct changes l;
	struct err e;
	int fd;

	fill(&l);
	assert_true(killed(APPLY, &l, 3, false));
	snprintf(path, sizeof(path), "%s/journal/1.json", state_dir);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "{\"do", 4), 4);
	close(fd);
	assert_true(pending());
	good(apply_resume(&with, &e), &e);
	is(BEHIND);
	good(apply_undo(&with, 1, NULL, &e), &e);
	is(BEFORE);
	changes_free(&l);
}

static void a_restart_of_the_host_ends_what_was_cut_off(void **state) {
	struct changes l;
	struct err e;

	fill(&l);
	assert_true(killed(APPLY, &l, 2, false));
	bed_file("next-start\n", "proc/sys/kernel/random/boot_id");
	assert_int_equal(apply_undo(&with, 1, NULL, &e), -ENOENT);
	says(&e, "started anew");
	assert_false(pending());
	assert_int_equal(apply_undo(&with, 0, NULL, &e), -ENOENT);
	says(&e, "nothing to undo");
	changes_free(&l);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, up, bed_down)
	const struct CMUnitTest tests[] = {
		T(a_transaction_cut_off_anywhere_goes_on_or_back),
		T(a_step_that_was_done_but_not_noted_goes_on_or_back),
		T(an_undo_cut_off_anywhere_is_finished_by_the_next),
		T(a_line_that_was_cut_off_counts_as_not_written),
		T(a_restart_of_the_host_ends_what_was_cut_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
