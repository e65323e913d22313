/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/bench.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/result.h"

volatile sig_atomic_t bench_stopped;

static void stop(int no) {
	bench_stopped = 1;
}

void bench_catch(void) {
	// Without SA_RESTART: whoever waits in a system call comes back and looks.
	struct sigaction sa = {.sa_handler = stop};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

int bench_meet(struct bench_meeting *m, uint64_t now, uint64_t *begin, struct err *e) {
	ssize_t n;

	*begin = now;
	if (m == NULL || m->met)
		return 0;
	m->met = true;
	n = write(m->ready, "", 1) == 1 ? read(m->go, begin, sizeof(*begin)) : -1;
	if (n < 0 && errno == EINTR)
		return err_set(e, ECANCELED, "interrupted");
	return n == (ssize_t)sizeof(*begin) ? 0 : err_set(e, EPIPE, "the others did not begin");
}

int bench_repeat(struct bench *b,
	int (*once)(struct bench *b, unsigned i, void *arg, struct err *e),
	bool (*narrow)(void *arg, double fraction), void *arg, struct err *e) {
	unsigned most = b->until > 0 ? b->repeat_max : b->repeat;
	bool reached = b->until <= 0;

	if (b->until > 0 && narrow == NULL)
		return err_set(e, EINVAL, "--until has no meaning here; give --repeat");
	for (unsigned i = 0; i < most; i++) {
		int ret;

		if (bench_stopped)
			return err_set(e, ECANCELED, "interrupted");
		ret = once(b, i, arg, e);
		if (ret < 0)
			return ret;
		if (reached || i + 1 < b->repeat || !narrow(arg, b->until))
			continue;
		reached = true;
		if (most > i + 1 + UNTIL_MORE)
			most = i + 1 + UNTIL_MORE;
	}
	if (b->until > 0 && b->repeat < UNTIL_LEAST)
		result_warn(b->doc,
			"--until may end after fewer than %d repeats here, and so when their "
			"spread came "
			"out too small by chance: what is called a 95 %% interval holds the true "
			"mean in "
			"about 90 %% of cases",
			UNTIL_LEAST);
	if (!reached)
		result_warn(b->doc,
			"after %u repeats the 95 %% interval is still wider than %g %% of the mean",
			most, b->until * 100);
	return 0;
}

enum { LINE_MAX_LEN = 200 };

/* " (1 min 5 s left)"; nothing when it is not known. */
static void time_left(char *buf, size_t size, double left_s) {
	unsigned s = left_s > 0 ? (unsigned)(left_s + 0.5) : 0;

	if (left_s < 0)
		buf[0] = '\0';
	else if (s < 60)
		snprintf(buf, size, " (%u s left)", s);
	else if (s < 3600)
		snprintf(buf, size, " (%u min %u s left)", s / 60, s % 60);
	else
		snprintf(buf, size, " (%u h %u min left)", s / 3600, s / 60 % 60);
}

void bench_progress(const struct bench *b, double left_s, const char *fmt, ...) {
	char text[LINE_MAX_LEN], left[40];
	struct winsize size;
	int width = 80;
	va_list ap;

	if (b->quiet || !isatty(STDERR_FILENO))
		return;
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		width = size.ws_col;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	time_left(left, sizeof(left), text[0] != '\0' ? left_s : -1);
	width -= (int)strlen(left) + 1; // a line that fills the last column begins another
	fprintf(stderr, "\r%.*s%s\033[K", width > 0 ? width : 0, text, left);
	fflush(stderr);
}
