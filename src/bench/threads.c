/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/threads.h"

#include <inttypes.h>
#include <stdio.h>

#include "bench/clock.h"

struct thread_time thread_time(int tid) {
	struct thread_time t = {0};
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/schedstat", tid);
	f = fopen(path, "re");
	if (f == NULL)
		return t;
	t.at = clock_ns();
	if (fscanf(f, "%" SCNu64 " %" SCNu64, &t.busy, &t.waited) != 2)
		t = (struct thread_time){0};
	fclose(f);
	return t;
}

struct thread_load thread_load(struct thread_time a, struct thread_time b) {
	double t = (double)(b.at - a.at);

	if (a.at == 0 || b.at <= a.at)
		return (struct thread_load){0};
	return (struct thread_load){
		(double)(b.busy - a.busy) / t, (double)(b.waited - a.waited) / t};
}
