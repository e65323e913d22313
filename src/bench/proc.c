/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/proc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"

/* A line of /proc/stat, from its first number on. In its order: user, nice, system, idle, iowait, irq,
 * softirq, steal, guest, guest_nice; the last two are counted in the first two as well. */
static void read_parts(struct proc_cpu *c, const char *numbers) {
	unsigned long long t[10] = {0};
	double hz = (double)sysconf(_SC_CLK_TCK);

	sscanf(numbers, "%llu %llu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1], &t[2],
		&t[3], &t[4], &t[5], &t[6], &t[7], &t[8], &t[9]);
	c->part[PROC_USER] = (double)(t[0] - t[8]) / hz;
	c->part[PROC_NICE] = (double)(t[1] - t[9]) / hz;
	c->part[PROC_SYSTEM] = (double)t[2] / hz;
	c->part[PROC_IRQ] = (double)t[5] / hz;
	c->part[PROC_SOFTIRQ] = (double)t[6] / hz;
	c->part[PROC_STEAL] = (double)t[7] / hz;
	c->part[PROC_GUEST] = (double)(t[8] + t[9]) / hz;
}

struct proc_cpu *proc_cpus(unsigned *n) {
	FILE *f = fopen("/proc/stat", "re");
	struct proc_cpu *all = NULL;
	size_t room = 0;
	char *line = NULL;

	*n = 0;
	while (f != NULL && getline(&line, &room, f) > 0 && strncmp(line, "cpu", 3) == 0) {
		struct proc_cpu *more = reallocarray(all, *n + 1, sizeof(*all));
		char *rest;

		if (more == NULL)
			break;
		all = more;
		all[*n].cpu = line[3] == ' ' ? -1 : (int)strtol(line + 3, NULL, 10);
		rest = strchr(line, ' ');
		read_parts(&all[(*n)++], rest != NULL ? rest : "");
	}
	free(line);
	if (f != NULL)
		fclose(f);
	return all;
}

uint64_t proc_cpu_ns(pid_t pid) {
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &ts) < 0)
		return UINT64_MAX;
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

char *proc_name(pid_t pid, pid_t tid, char buf[PROC_NAME]) {
	if (file_line(buf, PROC_NAME, "/proc/%d/task/%d/comm", pid, tid) < 0)
		snprintf(buf, PROC_NAME, "?");
	// Names are bytes, cut after 15 of them: what is left may be no UTF-8.
	for (char *p = buf; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return buf;
}

double proc_now(void) {
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}
