/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

#include <stdbool.h>

/* One line a message on stderr; under systemd (JOURNAL_STREAM set) with the <N> priority prefix,
 * else with a time of day. What a terminal would obey is made harmless (base/text.h). Safe from every thread;
 * never called by the datapath. */

enum log_level { LOG_L_ERROR, LOG_L_WARN, LOG_L_INFO, LOG_L_DEBUG };

/* Messages above `level` are dropped; the default is LOG_L_INFO. */
void log_set_level(enum log_level level);

void log_msg(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* For what others can bring about as often as they like: "SUBJECT: TEXT", at most a few of a subject and
 * reason (the text without its numbers) in ten seconds. Those held back are counted, and told by one line
 * when the ten seconds are over. */
void log_limited(enum log_level level, const char *subject, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Tells what was held back in windows that are over; all: in the others, too. To be called every second
 * by a program that goes on, and at its end. */
void log_flush(bool all);

#define log_error(...) log_msg(LOG_L_ERROR, __VA_ARGS__)
#define log_warn(...)  log_msg(LOG_L_WARN, __VA_ARGS__)
#define log_info(...)  log_msg(LOG_L_INFO, __VA_ARGS__)
#define log_debug(...) log_msg(LOG_L_DEBUG, __VA_ARGS__)

#endif
