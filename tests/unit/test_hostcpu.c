/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/hostcpu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/threads.h"

/* The load is known by the CPU time it took, never by the time on the wall: the machine may be full. */

enum { SPIN_MS = 300, TICK_MS = 10 };

static double cpu_s(clockid_t clock) {
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void spin(clockid_t clock, double ms) {
	double until = cpu_s(clock) + ms / 1000;

	while (cpu_s(clock) < until)
		;
}

static double used_s(int who) {
	struct rusage u;

	getrusage(who, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double at(const json_t *v, const char *key) {
	assert_true(json_is_number(json_object_get(v, key)));
	return json_number_value(json_object_get(v, key));
}

/* CPU seconds of the entries that have this role and (unless NULL) name; how many in *n. */
static double seconds_of(const json_t *cpu, const char *role, const char *name, unsigned *n) {
	double sum = 0;
	size_t i;
	json_t *one;

	*n = 0;
	json_array_foreach (json_object_get(cpu, "threads"), i, one) {
		if (strcmp(json_string_value(json_object_get(one, "role")), role) != 0)
			continue;
		if (name != NULL &&
			strcmp(json_string_value(json_object_get(one, "name")), name) != 0)
			continue;
		sum += at(one, "busy") * at(cpu, "seconds");
		(*n)++;
	}
	return sum;
}

static void near(double got, double want, double within) {
	if (!(fabs(got - want) <= within))
		fail_msg("%.4f s of CPU, not %.4f within %.4f", got, want, within);
}

/* A process that spins, then waits to be killed, so that its threads are there to be read. */
static pid_t spinner(double ms) {
	int done[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(done), 0);
	pid = fork();
	if (pid == 0) {
		spin(CLOCK_PROCESS_CPUTIME_ID, ms);
		if (write(done[1], "x", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	assert_true(pid > 0);
	close(done[1]);
	assert_int_equal(read(done[0], &byte, 1), 1);
	close(done[0]);
	return pid;
}

static void end(pid_t pid) {
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_thread_that_spun_is_as_busy_as_the_kernel_charged_it(void **state) {
	pid_t self = getpid();
	const char *role = "sender";
	struct hostcpu *h;
	double before, mine;
	json_t *cpu;
	unsigned n;

	h = hostcpu_begin(&self, &role, 1);
	assert_non_null(h);
	before = used_s(RUSAGE_SELF);
	spin(CLOCK_PROCESS_CPUTIME_ID, SPIN_MS);
	mine = used_s(RUSAGE_SELF) - before;
	cpu = hostcpu_end(h);
	near(seconds_of(cpu, "sender", NULL, &n), mine, 0.05 * mine);
	assert_int_equal(n, 1);
	// All CPUs together did that and more; /proc/stat counts ticks, here on each CPU that was used.
	assert_true(at(cpu, "busy") * at(cpu, "seconds") >= mine - 4 * TICK_MS / 1000.0);
	json_decref(cpu);
}

static void processes_are_told_apart_by_role(void **state) {
	struct hostcpu *h;
	pid_t pids[3];
	const char *const roles[] = {"idle", "waiter", "none"};
	json_t *cpu;
	unsigned n;

	pids[0] = spinner(100); // before the interval: not counted
	pids[1] = getpid();
	pids[2] = 0x7ffffff0; // nobody
	h = hostcpu_begin(pids, roles, 3);
	assert_non_null(h);
	spin(CLOCK_PROCESS_CPUTIME_ID, 60);
	cpu = hostcpu_end(h);
	near(seconds_of(cpu, "idle", NULL, &n), 0, 0.02);
	assert_int_equal(n, 1);
	near(seconds_of(cpu, "waiter", NULL, &n), 0.06, 0.015);
	assert_int_equal(n, 1);
	seconds_of(cpu, "none", NULL, &n);
	assert_int_equal(n, 0);
	json_decref(cpu);
	end(pids[0]);
}

static void *work(void *arg) {
	pthread_setname_np(pthread_self(), "work\xc3"
					   "er");
	spin(CLOCK_THREAD_CPUTIME_ID, *(double *)arg);
	return NULL;
}

static pthread_barrier_t worked, may_end;

static void *work_and_stay(void *arg) {
	work(arg);
	pthread_barrier_wait(&worked);
	pthread_barrier_wait(&may_end);
	return NULL;
}

static void threads_that_began_or_ended_meanwhile_are_counted(void **state) {
	double ended_ms = 120, stays_ms = 60;
	pid_t self = getpid();
	const char *role = "sender";
	pthread_t ended, stays;
	struct hostcpu *h;
	json_t *cpu;
	unsigned n;

	pthread_barrier_init(&worked, NULL, 2);
	pthread_barrier_init(&may_end, NULL, 2);
	h = hostcpu_begin(&self, &role, 1);
	assert_non_null(h);
	assert_int_equal(pthread_create(&ended, NULL, work, &ended_ms), 0);
	pthread_join(ended, NULL);
	assert_int_equal(pthread_create(&stays, NULL, work_and_stay, &stays_ms), 0);
	pthread_barrier_wait(&worked);
	cpu = hostcpu_end(h);
	pthread_barrier_wait(&may_end);
	pthread_join(stays, NULL);
	near(seconds_of(cpu, "sender", "(ended)", &n), 0.12, 0.025);
	assert_int_equal(n, 1);
	// A name that is no UTF-8 is told all the same.
	near(seconds_of(cpu, "sender", "work?er", &n), 0.06, 0.015);
	assert_int_equal(n, 1);
	json_decref(cpu);
}

static void the_parts_but_steal_add_up_to_busy_and_none_is_more_than_all_cpus(void **state) {
	struct hostcpu *h = hostcpu_begin(NULL, NULL, 0);
	double sum = 0, cpus;
	const char *key;
	json_t *cpu, *v;

	assert_non_null(h);
	spin(CLOCK_PROCESS_CPUTIME_ID, 50);
	cpu = hostcpu_end(h);
	json_object_foreach (json_object_get(cpu, "parts"), key, v)
		sum += strcmp(key, "steal") == 0 ? 0 : json_number_value(v);
	cpus = at(cpu, "cpus");
	assert_int_equal(json_object_size(json_object_get(cpu, "parts")), 7);
	assert_int_equal((long)cpus, sysconf(_SC_NPROCESSORS_ONLN));
	near(sum, at(cpu, "busy"), 1e-6);
	// A tick of each CPU may be booked to either side of an end.
	assert_true(at(cpu, "busy") <= cpus * (1 + 2 * TICK_MS / 1000.0 / at(cpu, "seconds")));
	assert_true(at(json_object_get(cpu, "busiest"), "busy") <= 1);
	assert_true(at(json_object_get(cpu, "busiest"), "busy") * cpus >= at(cpu, "busy") * 0.5);
	assert_int_equal(json_array_size(json_object_get(cpu, "threads")), 0);
	json_decref(cpu);
}

static void write_stat(const char *path, unsigned user, unsigned steal) {
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	for (int i = -1; i < 1; i++)
		fprintf(f, "%s %u 0 0 1000 0 0 0 %u 0 0\n", i < 0 ? "cpu " : "cpu0", user, steal);
	fclose(f);
}

/* In a mount namespace of its own, where /proc/stat is a file that this test writes. */
static int look_at_stolen_time(void) {
	char path[] = "/tmp/weir-stat.XXXXXX";
	int fd = mkstemp(path);
	struct hostcpu *h;
	json_t *cpu;
	bool right;

	write_stat(path, 100, 100);
	if (fd < 0 || unshare(CLONE_NEWNS) < 0 ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount(path, "/proc/stat", NULL, MS_BIND, NULL) < 0)
		return 77;
	h = hostcpu_begin(NULL, NULL, 0);
	usleep(20000);
	write_stat(path, 101, 1100);
	cpu = hostcpu_end(h);
	unlink(path);
	right = fabs(at(cpu, "busy") * at(cpu, "seconds") - 0.01) < 1e-6 &&
		at(json_object_get(cpu, "parts"), "steal") * at(cpu, "seconds") > 9.99 &&
		at(json_object_get(cpu, "busiest"), "busy") < 1;
	json_decref(cpu);
	return right ? 0 : 1;
}

/* A tick of work, and a thousand that a hypervisor took. */
static void what_was_stolen_is_no_cost(void **state) {
	int status;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	pid = fork();
	if (pid == 0)
		_exit(look_at_stolen_time());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

static void what_the_tester_spun_away_is_no_cost(void **state) {
	json_t *cpu = json_pack("{s:f, s:f}", "seconds", 10.0, "busy", 2.5);

	hostcpu_spun(cpu, 1);
	hostcpu_spun(cpu, 0.5);
	near(at(cpu, "spun"), 1.5, 1e-12);
	near(at(cpu, "busy"), 2.5, 1e-12);
	hostcpu_per(cpu, 20e9, 0);
	near(at(cpu, "per_gbit"), 0.5, 1e-12);
	json_object_del(cpu, "per_gbit");
	hostcpu_spun(cpu, 1.1); // by another clock it is more than was busy
	hostcpu_per(cpu, 20e9, 1e6);
	assert_null(json_object_get(cpu, "per_gbit"));
	assert_null(json_object_get(cpu, "per_mframes"));
	json_decref(cpu);
	hostcpu_spun(NULL, 1);

	cpu = json_pack("{s:f}", "seconds", 10.0); // nobody knows
	hostcpu_per(cpu, 20e9, 1e6);
	assert_int_equal(json_object_size(cpu), 1);
	json_decref(cpu);
}

static void cost_is_cpu_seconds_by_what_was_moved(void **state) {
	json_t *cpu = json_pack("{s:f, s:f}", "seconds", 10.0, "busy", 1.5);

	hostcpu_per(cpu, 30e9, 2.5e6);
	near(at(cpu, "per_gbit"), 0.5, 1e-12);
	near(at(cpu, "per_mframes"), 6, 1e-12);
	json_decref(cpu);

	cpu = json_pack("{s:f, s:f}", "seconds", 10.0, "busy", 1.5);
	hostcpu_per(cpu, 0, 0);
	assert_int_equal(json_object_size(cpu), 2);
	json_decref(cpu);
}

/* It spins 60 of 100 ms, works 20, and waits for a CPU 10 of them; the second spun more than it ran. */
static void a_thread_that_spins_is_busy_with_nothing(void **state) {
	struct thread_time a = {.at = 1000000000}, b = a;
	struct thread_load l, unknown = thread_load((struct thread_time){0}, a);
	json_t *v = json_object();

	b.at += 100000000;
	b.busy = 80000000;
	b.spun = 60000000;
	b.waited = 10000000;
	l = thread_load(a, b);
	near(l.busy, 0.2, 1e-12);
	near(l.waited, 0.1, 1e-12);
	b.busy = 55000000;
	l = thread_load(a, b);
	near(l.busy, 0, 0);
	near(l.waited, 0.05, 1e-12);
	assert_true(isnan(unknown.busy));
	near(thread_busier(unknown, l).waited, 0.05, 1e-12);
	near(thread_busier(l, unknown).waited, 0.05, 1e-12);
	thread_load_tell(v, unknown);
	assert_true(json_is_null(json_object_get(v, "busy")));
	thread_load_tell(v, l);
	assert_true(json_is_real(json_object_get(v, "busy")));
	json_decref(v);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_that_spun_is_as_busy_as_the_kernel_charged_it),
		cmocka_unit_test(processes_are_told_apart_by_role),
		cmocka_unit_test(threads_that_began_or_ended_meanwhile_are_counted),
		cmocka_unit_test(the_parts_but_steal_add_up_to_busy_and_none_is_more_than_all_cpus),
		cmocka_unit_test(cost_is_cpu_seconds_by_what_was_moved),
		cmocka_unit_test(what_was_stolen_is_no_cost),
		cmocka_unit_test(what_the_tester_spun_away_is_no_cost),
		cmocka_unit_test(a_thread_that_spins_is_busy_with_nothing),
	};

	return cmocka_run_group_tests_name("hostcpu", tests, NULL, NULL);
}
