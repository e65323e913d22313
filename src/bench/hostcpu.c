/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/hostcpu.h"

#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "bench/proc.h"

/* Three sources, since none knows everything. /proc/stat knows all that the CPUs did, in ticks of 10 ms
 * and by kind, but not for whom. schedstat of a thread knows that to the nanosecond, but not the softirqs
 * it caused, and is gone with the thread. The CPU clock of a process also has its threads that ended:
 * what is in it and in none of the threads is told as "(ended)". */

struct thread {
	unsigned process; /* which of h->processes */
	pid_t tid;
	uint64_t ran, waited; /* ns */
	uint64_t user; /* ticks */
};

struct process {
	pid_t pid;
	char *role;
	uint64_t ran; /* ns, UINT64_MAX: was not there */
};

struct hostcpu {
	double start;
	struct proc_cpu *cpus;
	unsigned ncpus;
	struct process *processes;
	unsigned nprocesses;
	struct thread *threads;
	unsigned nthreads;
};

enum { STAT_MAX = 512 };

/* What is run now shows in schedstat a tick later, at either end of the interval. */
static const double LATE_S = 0.01;

/* Field 14 of stat (proc(5)); the second is a name in parentheses and may hold any character. */
static uint64_t user_ticks(pid_t pid, pid_t tid) {
	unsigned long long ticks = 0;
	char text[STAT_MAX], *at;

	if (file_line(text, sizeof(text), "/proc/%d/task/%d/stat", pid, tid) < 0)
		return 0;
	at = strrchr(text, ')');
	if (at == NULL ||
		sscanf(at, ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", &ticks) != 1)
		return 0;
	return ticks;
}

static int add_thread(struct thread **all, unsigned *n, unsigned process, pid_t pid, pid_t tid) {
	unsigned long long ran, waited;
	struct thread *more;
	char text[STAT_MAX];

	if (file_line(text, sizeof(text), "/proc/%d/task/%d/schedstat", pid, tid) < 0 ||
		sscanf(text, "%llu %llu", &ran, &waited) != 2)
		return 0; // it ended meanwhile
	more = reallocarray(*all, *n + 1, sizeof(**all));
	if (more == NULL)
		return -1;
	*all = more;
	more[(*n)++] = (struct thread){process, tid, ran, waited, user_ticks(pid, tid)};
	return 0;
}

/* All threads of the processes, as they are now; -1: no memory. */
static int look_at_threads(const struct hostcpu *h, struct thread **all, unsigned *n) {
	*all = NULL;
	*n = 0;
	for (unsigned i = 0; i < h->nprocesses; i++) {
		pid_t pid = h->processes[i].pid;
		struct dirent *entry;
		char path[64];
		DIR *dir;
		int ret = 0;

		snprintf(path, sizeof(path), "/proc/%d/task", pid);
		dir = opendir(path);
		while (dir != NULL && ret == 0 && (entry = readdir(dir)) != NULL)
			if (entry->d_name[0] != '.')
				ret = add_thread(
					all, n, i, pid, (pid_t)strtol(entry->d_name, NULL, 10));
		if (dir != NULL)
			closedir(dir);
		if (ret < 0)
			return -1;
	}
	return 0;
}

static void drop(struct hostcpu *h) {
	for (unsigned i = 0; i < h->nprocesses; i++)
		free(h->processes[i].role);
	free(h->processes);
	free(h->threads);
	free(h->cpus);
	free(h);
}

struct hostcpu *hostcpu_begin(const pid_t *pids, const char *const *roles, unsigned n) {
	struct hostcpu *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->processes = calloc(n + 1, sizeof(*h->processes));
	if (h->processes == NULL)
		goto fail;
	for (; h->nprocesses < n; h->nprocesses++) {
		struct process *p = &h->processes[h->nprocesses];

		p->pid = pids[h->nprocesses];
		p->role = strdup(roles[h->nprocesses]);
		if (p->role == NULL)
			goto fail;
	}
	if (look_at_threads(h, &h->threads, &h->nthreads) < 0)
		goto fail;
	for (unsigned i = 0; i < n; i++)
		h->processes[i].ran = proc_cpu_ns(pids[i]);
	h->cpus = proc_cpus(&h->ncpus);
	if (h->cpus == NULL)
		goto fail;
	h->start = proc_now();
	return h;
fail:
	drop(h);
	return NULL;
}

/* What a CPU did in the interval, by kind, in CPUs; returns the sum of what this host did, which stolen
 * time is not. Counters of the kernel can go back a little. */
static double difference(const struct proc_cpu *before, const struct proc_cpu *after,
	double seconds, double part[PROC_PARTS]) {
	double sum = 0;

	for (int i = 0; i < PROC_PARTS; i++) {
		double d = (after->part[i] - before->part[i]) / seconds;

		part[i] = d > 0 ? d : 0;
		sum += i == PROC_STEAL ? 0 : part[i];
	}
	return sum;
}

static void add_cpus(json_t *v, const struct hostcpu *h, double seconds) {
	static const char *const names[PROC_PARTS] = {
		"user", "nice", "system", "irq", "softirq", "steal", "guest"};
	unsigned n = 0, busiest = 0;
	struct proc_cpu *now = proc_cpus(&n);
	double part[PROC_PARTS], most = -1;
	json_t *parts = json_object();

	json_object_set_new(v, "cpus", json_integer(n > 0 ? n - 1 : 0));
	if (n > 0)
		json_object_set_new(
			v, "busy", json_real(difference(&h->cpus[0], &now[0], seconds, part)));
	for (int i = 0; n > 0 && i < PROC_PARTS; i++)
		json_object_set_new(parts, names[i], json_real(part[i]));
	json_object_set_new(v, "parts", parts);
	// A CPU that came or went meanwhile is in the sum, but compared with nothing.
	for (unsigned i = 1, k = 1; i < n && k < h->ncpus;) {
		if (now[i].cpu != h->cpus[k].cpu) {
			now[i].cpu < h->cpus[k].cpu ? i++ : k++;
			continue;
		}
		double busy = difference(&h->cpus[k++], &now[i], seconds, part);

		if (busy > most)
			most = busy, busiest = i;
		i++;
	}
	if (busiest > 0)
		json_object_set_new(v, "busiest",
			json_pack("{s:i, s:f}", "cpu", now[busiest].cpu, "busy",
				most > 1 ? 1 : most));
	free(now);
}

/* The thread at the start of the interval; zeros when it is new, also when it has the number of one
 * that ended. */
static struct thread before(const struct hostcpu *h, const struct thread *now) {
	for (unsigned i = 0; i < h->nthreads; i++)
		if (h->threads[i].process == now->process && h->threads[i].tid == now->tid &&
			h->threads[i].ran <= now->ran)
			return h->threads[i];
	return (struct thread){0};
}

/* What ran of process p beside the threads that are still there. */
static void add_ended(json_t *list, const struct process *p, uint64_t now, double of_threads,
	unsigned nthreads, double seconds) {
	double rest;

	if (now == UINT64_MAX || p->ran == UINT64_MAX)
		return;
	rest = (double)(now - p->ran) / 1e9 - of_threads;
	if (rest > LATE_S * (nthreads + 1))
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:i, s:n, s:f, s:n, s:n}", "role", p->role,
				      "name", "(ended)", "pid", p->pid, "tid", "busy",
				      rest / seconds, "waited", "user"));
}

static json_t *threads_of(const struct hostcpu *h, double seconds) {
	json_t *list = json_array();
	struct thread *now;
	unsigned n, i = 0;
	double hz = (double)sysconf(_SC_CLK_TCK);

	if (look_at_threads(h, &now, &n) < 0)
		n = 0;
	for (unsigned p = 0; p < h->nprocesses; p++) {
		const struct process *of = &h->processes[p];
		uint64_t total = proc_cpu_ns(of->pid);
		unsigned first = i;
		double sum = 0;

		for (; i < n && now[i].process == p; i++) {
			struct thread was = before(h, &now[i]);
			double ran = (double)(now[i].ran - was.ran) / 1e9;
			double waited = (double)(now[i].waited - was.waited) / 1e9;
			double user = (double)(now[i].user - was.user) / hz;
			char name[PROC_NAME];

			sum += ran;
			json_array_append_new(list,
				json_pack("{s:s, s:s, s:i, s:i, s:f, s:f, s:f}", "role", of->role,
					"name", proc_name(of->pid, now[i].tid, name), "pid",
					of->pid, "tid", now[i].tid, "busy", ran / seconds, "waited",
					waited / seconds, "user", fmin(user, ran) / seconds));
		}
		add_ended(list, of, total, sum, i - first, seconds);
	}
	free(now);
	return list;
}

json_t *hostcpu_end(struct hostcpu *h) {
	double seconds = proc_now() - h->start;
	json_t *v = json_object();

	if (seconds <= 0)
		seconds = 1e-9;
	json_object_set_new(v, "seconds", json_real(seconds));
	add_cpus(v, h, seconds);
	json_object_set_new(v, "threads", threads_of(h, seconds));
	drop(h);
	return v;
}

void hostcpu_polled(json_t *cpu, const char *role, unsigned threads, double share) {
	json_t *list = json_object_get(cpu, "polling");

	if (list == NULL) {
		list = json_array();
		json_object_set_new(cpu, "polling", list);
	}
	json_array_append_new(list, json_pack("{s:s, s:i, s:f}", "role", role, "threads",
					    (int)threads, "moving", share * threads));
}

void hostcpu_spun(json_t *cpu, double cpus) {
	if (cpu != NULL)
		json_object_set_new(cpu, "spun",
			json_real(json_number_value(json_object_get(cpu, "spun")) + cpus));
}

void hostcpu_spun_frames(json_t *cpu) {
	double sum = 0;
	size_t i;
	json_t *one;

	json_array_foreach (json_object_get(cpu, "threads"), i, one) {
		const char *name = json_string_value(json_object_get(one, "name"));
		bool sink = strcmp(name, "sink") == 0;

		if (sink || strcmp(name, "generator") == 0)
			sum += json_number_value(json_object_get(one, sink ? "busy" : "user"));
	}
	if (sum > 0)
		hostcpu_spun(cpu, sum);
}

void hostcpu_per(json_t *cpu, double bits, double frames) {
	double cpus = json_number_value(json_object_get(cpu, "busy")) -
		      json_number_value(json_object_get(cpu, "spun"));
	double used = cpus * json_number_value(json_object_get(cpu, "seconds"));

	// Two sources that differ: where nothing but the tester's own is left, nobody knows.
	if (cpus <= 0)
		return;
	if (bits > 0)
		json_object_set_new(cpu, "per_gbit", json_real(used / (bits / 1e9)));
	if (frames > 0)
		json_object_set_new(cpu, "per_mframes", json_real(used / (frames / 1e6)));
}
