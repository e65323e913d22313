/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "forward/explain.h"

#include <stdarg.h>
#include <stdio.h>

void explain_step(struct explain *ex, const char *stage, const char *fmt, ...) {
	va_list ap;

	if (ex->n >= EXPLAIN_STEPS)
		return;
	snprintf(ex->step[ex->n].stage, sizeof(ex->step[ex->n].stage), "%s", stage);
	va_start(ap, fmt);
	vsnprintf(ex->step[ex->n].text, sizeof(ex->step[ex->n].text), fmt, ap);
	va_end(ap);
	ex->n++;
}
