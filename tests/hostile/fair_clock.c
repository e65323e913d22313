/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * The kernel says of each thread how long it was ready to run and did not (/proc/PID/schedstat, second
 * number), and of the machine how long its CPUs were given to others (steal in /proc/stat). A keeper
 * looks every 5 ms. The wait of a thread is told when it is over; one that is ready and has not run
 * since the last look is in it. Of a process the thread that waited longest counts, of the processes
 * the sum, for one waits for the other; but never more than the time that passed. When the keeper
 * itself comes late, the machine was standing still.
 */
#include "fair_clock.h"

#include <dirent.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	LOOK_US = 5000,
	SLACK_US = 1000, /* a sleep is that much longer on a machine with nothing to do */
	THREADS = 64, /* of a process; more are not looked at */
};

struct thread {
	int id;
	unsigned long long ran, waited; /* ns */
	uint64_t ahead_us; /* of the wait it is in: counted already */
};

static struct keeper {
	pthread_t thread;
	atomic_bool stop;
	int pid[FAIR_PROCESSES];
	struct thread was[FAIR_PROCESSES][THREADS];
	uint64_t stolen_us;
} keeper;

static uint64_t now_us(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static bool is_ready(int pid, int thread) {
	char path[64], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, thread);
	f = fopen(path, "r");
	if (f != NULL && fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	if (f != NULL)
		fclose(f);
	return state == 'R';
}

/* How long the thread waited for a CPU in the last `passed` us; `t` is what was last known of it. */
static uint64_t thread_waited_us(int pid, struct thread *t, uint64_t passed) {
	const struct thread was = *t;
	uint64_t waited;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", pid, t->id);
	f = fopen(path, "r");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%llu %llu", &t->ran, &t->waited) != 2)
		*t = was;
	fclose(f);
	waited = (t->waited - was.waited) / 1000;
	if (waited == 0 && t->ran == was.ran && is_ready(pid, t->id)) {
		t->ahead_us += passed;
		return passed;
	}
	if (waited == 0)
		return 0;
	waited = waited > t->ahead_us ? waited - t->ahead_us : 0;
	t->ahead_us = 0;
	return waited;
}

/* Of the thread that waited longest since the last look. */
static uint64_t process_waited_us(unsigned n, int pid, uint64_t passed) {
	struct thread now[THREADS] = {0};
	uint64_t most = 0;
	char path[64];
	unsigned k = 0;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = pid > 0 ? opendir(path) : NULL;
	while (d != NULL && k < THREADS && (e = readdir(d)) != NULL) {
		uint64_t waited;

		if (e->d_name[0] == '.')
			continue;
		now[k].id = atoi(e->d_name);
		for (unsigned i = 0; i < THREADS; i++)
			if (keeper.pid[n] == pid && keeper.was[n][i].id == now[k].id)
				now[k] = keeper.was[n][i];
		waited = thread_waited_us(pid, &now[k++], passed);
		most = waited > most ? waited : most;
	}
	if (d != NULL)
		closedir(d);
	memcpy(keeper.was[n], now, sizeof(now));
	keeper.pid[n] = pid;
	return most;
}

static uint64_t stolen_us(void) {
	unsigned long long steal = 0;
	FILE *f = fopen("/proc/stat", "r");

	if (f != NULL && fscanf(f, "cpu %*u %*u %*u %*u %*u %*u %*u %llu", &steal) != 1)
		steal = 0;
	if (f != NULL)
		fclose(f);
	return steal * (1000000 / (unsigned long long)sysconf(_SC_CLK_TCK));
}

static void *keep(void *arg) {
	struct fair_clock *c = arg;
	uint64_t last = now_us();

	keeper.stolen_us = stolen_us();
	while (!atomic_load(&keeper.stop)) {
		uint64_t now = now_us(), passed = now - last, stolen = stolen_us(), taken;

		last = now;
		taken = stolen - keeper.stolen_us;
		keeper.stolen_us = stolen;
		for (unsigned i = 0; i < FAIR_PROCESSES; i++)
			taken += process_waited_us(i, atomic_load(&c->process[i]), passed);
		if (passed > LOOK_US + SLACK_US && taken < passed - LOOK_US - SLACK_US)
			taken = passed - LOOK_US - SLACK_US;
		taken = taken < passed ? taken : passed;
		atomic_fetch_add(&c->taken_us, taken);
		atomic_fetch_add(&c->fair_us, passed - taken);
		nanosleep(&(struct timespec){.tv_nsec = LOOK_US * 1000L}, NULL);
	}
	return NULL;
}

int fair_start(struct fair_clock *c) {
	atomic_store(&keeper.stop, false);
	return -pthread_create(&keeper.thread, NULL, keep, c);
}

void fair_stop(struct fair_clock *c) {
	(void)c;
	if (keeper.thread == 0)
		return;
	atomic_store(&keeper.stop, true);
	pthread_join(keeper.thread, NULL);
	keeper.thread = 0;
}

uint64_t fair_ms(const struct fair_clock *c) {
	return atomic_load(&c->fair_us) / 1000;
}

uint64_t fair_taken_ms(const struct fair_clock *c) {
	return atomic_load(&c->taken_us) / 1000;
}
