/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/conditions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void every_condition_has_its_key_even_when_it_is_not_known(void **state) {
	static const char *const keys[] = {"host", "kernel", "cpu", "cpus", "governor", "isolated",
		"smt", "clocksource", "numa_nodes", "hugepages", "virtualised", "versions", "load",
		"others", "counters"};
	static const char *const versions[] = {"weir", "dpdk", "qemu", "ovs"};
	static const char *const counters[] = {"seconds", "stolen", "throttled", "held_back"};
	json_t *c = conditions_collect(), *v;
	char host[256];

	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (json_object_get(c, keys[i]) == NULL)
			fail_msg("no '%s'", keys[i]);
	for (unsigned i = 0; i < 4; i++) {
		assert_non_null(json_object_get(json_object_get(c, "versions"), versions[i]));
		assert_non_null(json_object_get(json_object_get(c, "counters"), counters[i]));
	}
	gethostname(host, sizeof(host));
	assert_string_equal(json_string_value(json_object_get(c, "host")), host);
	assert_int_equal(
		json_integer_value(json_object_get(c, "cpus")), sysconf(_SC_NPROCESSORS_ONLN));
	v = json_object_get(json_object_get(c, "versions"), "weir");
	assert_string_equal(json_string_value(v), WEIR_VERSION);
	v = json_object_get(json_object_get(c, "versions"), "dpdk");
	assert_non_null(strstr(json_string_value(v), "DPDK"));
	json_decref(c);
}

/* What the entry of a process says of it in CPUs; -1: it has none. */
static double busy_of(const json_t *c, pid_t pid) {
	size_t i;
	json_t *one;

	json_array_foreach (json_object_get(c, "others"), i, one)
		if (json_integer_value(json_object_get(one, "pid")) == pid)
			return json_number_value(json_object_get(one, "busy"));
	return -1;
}

static void a_process_that_spins_is_found_and_we_are_not(void **state) {
	double busy = -1, load = 0;
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(20);
		for (;;)
			;
	}
	assert_true(pid > 0);
	// On a machine that is full it may get no turn in one look: it gets one in some.
	for (int i = 0; i < 10 && busy < 0.02; i++) {
		json_t *c = conditions_collect();

		busy = busy_of(c, pid);
		load = json_number_value(json_object_get(c, "load"));
		assert_true(busy_of(c, getpid()) < 0);
		json_decref(c);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_true(busy >= 0.02 && busy < 1.1);
	assert_true(load > 0);
}

static char said[2048];

static void note(void *arg, const char *sentence) {
	size_t n = strlen(said);

	snprintf(said + n, sizeof(said) - n, "%s\n", sentence);
}

static const char *judged(const char *before, const char *after) {
	json_t *b = json_loads(before, 0, NULL), *a = json_loads(after, 0, NULL);

	assert_non_null(b);
	assert_non_null(a);
	said[0] = '\0';
	conditions_judge(b, a, note, NULL);
	json_decref(a);
	json_decref(b);
	return said;
}

static void a_quiet_machine_is_not_spoken_of(void **state) {
	assert_string_equal(
		judged("{\"cpus\":4,\"load\":0.05,\"others\":[{\"pid\":7,\"name\":\"sshd\","
		       "\"busy\":0.05}],\"governor\":\"performance\",\"counters\":{\"seconds\":100."
		       "0,"
		       "\"stolen\":7.0,\"throttled\":3,\"held_back\":9}}",
			"{\"cpus\":4,\"load\":0.1,\"others\":[],\"governor\":\"performance\","
			"\"counters\":{\"seconds\":110.0,\"stolen\":7.1,\"throttled\":3,"
			"\"held_back\":9}}"),
		"");
	assert_string_equal(judged("{\"governor\":null,\"counters\":{\"throttled\":null}}",
				    "{\"counters\":{\"throttled\":null}}"),
		"");
}

static void each_disturbance_is_one_sentence_with_its_size(void **state) {
	assert_string_equal(
		judged("{\"cpus\":4,\"load\":1.31,\"others\":[{\"pid\":7,\"name\":\"cc1\",\"busy\":"
		       "0.98},{\"pid\":8,\"name\":\"ld\",\"busy\":0.31},{\"pid\":9,\"name\":\"sh\","
		       "\"busy\":0.02}],\"governor\":\"powersave\",\"counters\":{\"seconds\":100.0,"
		       "\"stolen\":7.0,\"throttled\":3,\"held_back\":9}}",
			"{\"cpus\":4,\"load\":0.5,\"others\":[],\"governor\":\"powersave\","
			"\"counters\":{\"seconds\":110.0,\"stolen\":9.5,\"throttled\":5,"
			"\"held_back\":10}}"),
		"others were busy before the measurement, 1.31 of 4 CPUs: cc1 (7) 0.98, ld (8) "
		"0.31\n"
		"others were busy after the measurement, 0.50 of 4 CPUs: no single process that "
		"can "
		"be seen from here\n"
		"the CPU governor is 'powersave', not 'performance': the clock follows the load\n"
		"a hypervisor took 0.25 CPUs away on average (steal)\n"
		"CPUs slowed down 2 times for heat during the measurement\n"
		"the control group's CPU quota ran out 1 times during the measurement\n");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_condition_has_its_key_even_when_it_is_not_known),
		cmocka_unit_test(a_process_that_spins_is_found_and_we_are_not),
		cmocka_unit_test(a_quiet_machine_is_not_spoken_of),
		cmocka_unit_test(each_disturbance_is_one_sentence_with_its_size),
	};

	return cmocka_run_group_tests_name("conditions", tests, NULL, NULL);
}
