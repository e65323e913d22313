/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/cpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void only(int cpu) {
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
}

static void the_cpus_are_those_given_wherever_the_thread_went_since(void **state) {
	char before[200], after[200];
	cpu_set_t was;

	assert_int_equal(sched_getaffinity(0, sizeof(was), &was), 0);
	assert_true(CPU_EQUAL(&was, cpus_given()));
	cpus_text(before, sizeof(before));
	only(cpus_highest());
	cpus_text(after, sizeof(after));
	assert_true(CPU_EQUAL(&was, cpus_given()));
	assert_string_equal(after, before);
	assert_int_equal(sched_setaffinity(0, sizeof(was), &was), 0);
	for (int i = -1; i <= CPU_SETSIZE; i++)
		assert_int_equal(
			cpus_allowed(i), i >= 0 && i < CPU_SETSIZE && CPU_ISSET((size_t)i, &was));
	assert_false(cpus_allowed(INT64_MAX));
	assert_false(cpus_allowed((int64_t)cpus_highest() + (1ll << 32)));
}

static void a_process_given_one_cpu_has_that_one(void **state) {
	char want[16], got[200] = "";
	int pipes[2], status;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		only(cpus_highest());
		dup2(pipes[1], STDOUT_FILENO);
		execl("/proc/self/exe", "test_cpus", "--print", (char *)NULL);
		_exit(127);
	}
	close(pipes[1]);
	assert_true(read(pipes[0], got, sizeof(got) - 1) > 0);
	close(pipes[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	snprintf(want, sizeof(want), "%d", cpus_highest());
	assert_string_equal(got, want);
}

int main(int argc, char **argv) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_cpus_are_those_given_wherever_the_thread_went_since),
		cmocka_unit_test(a_process_given_one_cpu_has_that_one),
	};
	char text[200];

	if (argc > 1 && strcmp(argv[1], "--print") == 0) {
		cpus_text(text, sizeof(text));
		return write(STDOUT_FILENO, text, strlen(text)) < 0;
	}
	return cmocka_run_group_tests_name("cpus", tests, NULL, NULL);
}
