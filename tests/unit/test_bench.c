/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/result.h"

/* Where progress goes: a terminal of this many columns in place of standard error. */
static int master = -1, was;

static void terminal(unsigned short columns) {
	struct winsize size = {.ws_row = 25, .ws_col = columns};
	int slave;

	master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0);
	ioctl(slave, TIOCSWINSZ, &size);
	fflush(stderr);
	was = dup(STDERR_FILENO);
	dup2(slave, STDERR_FILENO);
	close(slave);
}

/* Ends it; what was shown is in buf. */
static void shown(char *buf, size_t size) {
	size_t len = 0;
	ssize_t n;

	dup2(was, STDERR_FILENO); // the last descriptor of the other side: reading comes to an end
	close(was);
	while ((n = read(master, buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	close(master);
	buf[len] = '\0';
}

static void progress_replaces_its_line_and_says_what_time_is_left(void **state) {
	static const struct bench b;
	char text[1024];

	terminal(60);
	bench_progress(&b, 65.2, "stream: repeat %d", 2);
	bench_progress(&b, 3.4, "rr");
	bench_progress(&b, 7260, "rr");
	bench_progress(&b, -1, "rr");
	bench_progress(&b, 5, "%s", "");
	shown(text, sizeof(text));
	assert_string_equal(text, "\rstream: repeat 2 (1 min 5 s left)\033[K"
				  "\rrr (3 s left)\033[K"
				  "\rrr (2 h 1 min left)\033[K"
				  "\rrr\033[K"
				  "\r\033[K");
}

static void progress_never_fills_the_last_column(void **state) {
	static const struct bench b;
	char text[1024];

	terminal(20);
	bench_progress(&b, 3, "0123456789abcdef");
	bench_progress(&b, -1, "0123456789abcdefghijkl");
	shown(text, sizeof(text));
	// 19 of 20 columns: the time left stays whole, the text is cut.
	assert_string_equal(text, "\r01234567 (3 s left)\033[K"
				  "\r0123456789abcdefghi\033[K");
}

static void asked_to_be_quiet_there_is_no_progress(void **state) {
	static const struct bench b = {.quiet = true};
	char text[64];

	terminal(60);
	bench_progress(&b, 3, "rr");
	shown(text, sizeof(text));
	assert_string_equal(text, "");
}

static unsigned calls;

static int once(struct bench *b, unsigned i, void *arg, struct err *e) {
	assert_int_equal(i, calls);
	calls++;
	if (arg != NULL && i == 1)
		return err_set(e, EPIPE, "%s", (const char *)arg);
	return 0;
}

static void repeats_are_counted_from_zero_and_end_with_the_first_failure(void **state) {
	static char gone[] = "the endpoint went away";
	struct bench b = {.repeat = 4};
	struct err e;

	calls = 0;
	assert_int_equal(bench_repeat(&b, once, NULL, NULL, &e), 0);
	assert_int_equal(calls, 4);
	calls = 0;
	assert_int_equal(bench_repeat(&b, once, NULL, gone, &e), -EPIPE);
	assert_string_equal(e.text, gone);
	assert_int_equal(calls, 2);
}

static void until_is_refused_where_nothing_can_become_narrow(void **state) {
	struct bench b = {.repeat = 4, .until = 0.01, .repeat_max = 9};
	struct err e;

	calls = 0;
	assert_int_equal(bench_repeat(&b, once, NULL, NULL, &e), -EINVAL);
	assert_string_equal(e.text, "--until has no meaning here; give --repeat");
	assert_int_equal(calls, 0);
}

/* A path of mean 0 and standard deviation 1, of which is known what its repeats should say. */
static struct series noisy;
static unsigned short dice[3];

static int measure_noise(struct bench *b, unsigned i, void *arg, struct err *e) {
	double size = sqrt(-2 * log(1 - erand48(dice)));

	return series_add(&noisy, size * cos(2 * M_PI * erand48(dice)));
}

static bool within_width(void *width, double fraction) {
	return series_ci95(&noisy) <= *(double *)width;
}

/* Where it ends between the least number of repeats and the most, a third of a standard deviation and a
 * half, the choice of the moment does most harm. Without the three more 93.4 % of a great many intervals
 * hold the mean, with a first look at three repeats 90 %; of 8000 the share is exact to 0.25. */
static void who_stops_when_it_is_narrow_has_an_interval_that_holds_the_mean(void **state) {
	static double widths[] = {0.4, 0.45, 0.5, 0.55};
	enum { TIMES = 2000, WIDTHS = 4 };
	unsigned held = 0;
	uint64_t repeats = 0;

	memcpy(dice, (unsigned short[]){2026, 11, 28}, sizeof(dice));
	for (unsigned i = 0; i < TIMES * WIDTHS; i++) {
		struct bench b = {.doc = result_new("probe", 0, NULL),
			.repeat = UNTIL_LEAST,
			.repeat_max = 30,
			.until = 0.01};

		noisy.n = 0;
		bench_repeat(&b, measure_noise, within_width, &widths[i % WIDTHS], NULL);
		held += fabs(series_mean(&noisy)) <= series_ci95(&noisy);
		repeats += noisy.n;
		json_decref(b.doc);
	}
	if (held < 0.94 * TIMES * WIDTHS)
		fail_msg("%u of %d intervals held the mean", held, TIMES * WIDTHS);
	assert_in_range(repeats / (TIMES * WIDTHS), 15, 27); // neither the least nor the most
}

static void a_signal_ends_waiting_and_repeating(void **state) {
	const struct timespec long_time = {.tv_sec = 20};
	struct bench b = {.repeat = 4};
	struct itimerspec soon = {.it_value.tv_nsec = 20000000};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGTERM};
	timer_t timer;
	struct err e;

	bench_catch();
	bench_stopped = 0;
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	assert_int_equal(timer_settime(timer, 0, &soon, NULL), 0);
	assert_int_equal(nanosleep(&long_time, NULL), -1);
	assert_int_equal(errno, EINTR);
	timer_delete(timer);
	assert_int_equal(bench_stopped, 1);
	calls = 0;
	assert_int_equal(bench_repeat(&b, once, NULL, NULL, &e), -ECANCELED);
	assert_int_equal(calls, 0);
	bench_stopped = 0;
	raise(SIGINT);
	assert_int_equal(bench_stopped, 1);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(progress_replaces_its_line_and_says_what_time_is_left),
		cmocka_unit_test(progress_never_fills_the_last_column),
		cmocka_unit_test(asked_to_be_quiet_there_is_no_progress),
		cmocka_unit_test(repeats_are_counted_from_zero_and_end_with_the_first_failure),
		cmocka_unit_test(until_is_refused_where_nothing_can_become_narrow),
		cmocka_unit_test(who_stops_when_it_is_narrow_has_an_interval_that_holds_the_mean),
		cmocka_unit_test(a_signal_ends_waiting_and_repeating),
	};

	return cmocka_run_group_tests_name("bench", tests, NULL, NULL);
}
