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

	if (tid == 0)
		return (struct thread_time){.at = clock_ns()};
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
	double t = (double)(b.at - a.at), spun = (double)(b.spun - a.spun);
	struct thread_load l;

	if (a.at == 0 || b.at <= a.at)
		return THREAD_UNKNOWN;
	l.waited = (double)(b.waited - a.waited);
	l.busy = (double)(b.busy - a.busy) - spun;
	// Who spins is made to wait for a CPU, too.
	if (l.busy < 0)
		l.waited = fmax(0, l.waited + l.busy);
	return (struct thread_load){fmax(0, l.busy) / t, l.waited / t, spun / t};
}

struct thread_load thread_busier(struct thread_load a, struct thread_load b) {
	if (isnan(a.busy))
		return b;
	return b.busy + b.waited > a.busy + a.waited ? b : a;
}

void thread_load_tell(json_t *v, struct thread_load l) {
	json_object_set_new(v, "busy", isnan(l.busy) ? json_null() : json_real(l.busy));
	json_object_set_new(v, "waited", isnan(l.waited) ? json_null() : json_real(l.waited));
}
