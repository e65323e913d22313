/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/cpus.h"

#include <stdio.h>

static cpu_set_t given;

/* Before main(), when nobody can have moved yet. When it fails there are none, and whoever asks for
 * one is told so. */
__attribute__((constructor)) static void capture(void) {
	sched_getaffinity(0, sizeof(given), &given);
}

const cpu_set_t *cpus_given(void) {
	return &given;
}

bool cpus_allowed(int64_t cpu) {
	return cpu >= 0 && cpu < CPU_SETSIZE && CPU_ISSET((int)cpu, &given);
}

int cpus_highest(void) {
	for (int i = CPU_SETSIZE - 1; i >= 0; i--)
		if (CPU_ISSET(i, &given))
			return i;
	return -1;
}

void cpus_text(char *buf, size_t size) {
	size_t n = 0;

	buf[0] = '\0';
	for (int i = 0; i < CPU_SETSIZE; i++) {
		int first = i;

		if (!CPU_ISSET(i, &given))
			continue;
		while (cpus_allowed(i + 1))
			i++;
		if (n + 16 > size)
			return;
		n += (size_t)snprintf(buf + n, size - n, "%s%d", n > 0 ? "," : "", first);
		if (i > first)
			n += (size_t)snprintf(buf + n, size - n, "-%d", i);
	}
}
