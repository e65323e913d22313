/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

static atomic_int limit = LOG_L_INFO;

void log_set_level(enum log_level level) {
	atomic_store(&limit, (int)level);
}

void log_msg(enum log_level level, const char *fmt, ...) {
	static const int syslog_priority[] = {3, 4, 6, 7};
	static const char *const words[] = {"error: ", "warning: ", "", "debug: "};
	char line[1024];
	size_t n;
	va_list ap;

	if ((int)level > atomic_load_explicit(&limit, memory_order_relaxed))
		return;
	if (getenv("JOURNAL_STREAM") != NULL) {
		n = (size_t)snprintf(line, sizeof(line), "<%d>", syslog_priority[level]);
	} else {
		struct timespec ts;
		struct tm tm;

		clock_gettime(CLOCK_REALTIME, &ts);
		localtime_r(&ts.tv_sec, &tm);
		n = strftime(line, sizeof(line), "%H:%M:%S", &tm);
		n += (size_t)snprintf(line + n, sizeof(line) - n, ".%03ld %s", ts.tv_nsec / 1000000,
			words[level]);
	}
	va_start(ap, fmt);
	int m = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	if (m > 0) {
		text_clean(line + n);
		n += strlen(line + n);
	}
	line[n++] = '\n';
	// One write, so that lines of several threads do not mix. Nothing can be done if it fails.
	(void)!write(STDERR_FILENO, line, n);
}
