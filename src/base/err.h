/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_ERR_H
#define WEIR_BASE_ERR_H

/* What a user will read about a failure: built once, where the failure is known, as one sentence
 * that names the value, the range and the remedy. Functions that can fail take a struct err * as
 * their last argument and return 0 or a negative errno; the text is set only when they fail. */

enum { ERR_TEXT_MAX = 512 };

struct err {
	char text[ERR_TEXT_MAX]; /* no trailing newline, no "weir: " in front */
};

/* Sets the text (printf format) and returns -code, so that `return err_set(e, EINVAL, ...)` reads
 * well. `e` may be NULL. `code` is a positive errno. A text that does not fit is cut. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts printf text in front of what stands in `e` ("port vm1: " and the like). */
void err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
