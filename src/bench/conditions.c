/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/conditions.h"

#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <rte_version.h>

#include "base/file.h"
#include "bench/proc.h"

enum { OTHERS_MAX = 10, LOOK_MS = 200, LINE_SIZE = 256 };
static const double OTHER_LEAST = 0.02; // CPUs: below that it is nobody's business

/* The first line of a file as a string, else null. */
static json_t *line_of(const char *path) {
	char line[LINE_SIZE];
	json_t *v = file_line(line, sizeof(line), "%s", path) == 0 ? json_string(line) : NULL;

	return v != NULL ? v : json_null();
}

/* What stands behind "KEY: " of /proc/cpuinfo's first CPU; NULL: nothing. Points into text. */
static char *cpuinfo_at(char *text, const char *key) {
	char *at = strstr(text, key), *end;

	at = at != NULL ? strchr(at, ':') : NULL;
	if (at == NULL)
		return NULL;
	at += 1 + strspn(at + 1, " ");
	end = strchr(at, '\n');
	if (end != NULL)
		*end = '\0';
	return at;
}

static void add_cpu(json_t *v) {
	char text[4096], again[sizeof(text)], smt[LINE_SIZE], *model, *flags;
	bool known = file_read(text, sizeof(text), "/proc/cpuinfo") > 0;

	memcpy(again, text, sizeof(text));
	model = known ? cpuinfo_at(text, "\nmodel name") : NULL;
	flags = known ? cpuinfo_at(again, "\nflags") : NULL;
	json_object_set_new(v, "cpu", model != NULL ? json_string(model) : json_null());
	json_object_set_new(v, "cpus", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
	json_object_set_new(v, "virtualised",
		flags != NULL ? json_boolean(strstr(flags, " hypervisor") != NULL) : json_null());
	json_object_set_new(v, "isolated", line_of("/sys/devices/system/cpu/isolated"));
	json_object_set_new(v, "smt",
		file_line(smt, sizeof(smt), "/sys/devices/system/cpu/smt/active") == 0
			? json_boolean(strcmp(smt, "1") == 0)
			: json_null());
}

/* The governor of all CPUs, or those there are, with commas; null where the clock is not governed. */
static json_t *governor(void) {
	char all[LINE_SIZE] = "", one[32];
	glob_t g = {0};

	glob("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor", 0, NULL, &g);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		size_t n = strlen(all);

		if (file_line(one, sizeof(one), "%s", g.gl_pathv[i]) == 0 &&
			strstr(all, one) == NULL)
			snprintf(all + n, sizeof(all) - n, "%s%s", n > 0 ? "," : "", one);
	}
	globfree(&g);
	return all[0] != '\0' ? json_string(all) : json_null();
}

static json_t *numa_nodes(void) {
	glob_t g = {0};
	json_t *v;

	glob("/sys/devices/system/node/node[0-9]*", 0, NULL, &g);
	v = g.gl_pathc > 0 ? json_integer((json_int_t)g.gl_pathc) : json_null();
	globfree(&g);
	return v;
}

static json_t *integer_of(const char *dir, const char *file) {
	char line[LINE_SIZE];

	if (file_line(line, sizeof(line), "%s/%s", dir, file) < 0)
		return json_null();
	return json_integer(strtoll(line, NULL, 10));
}

static json_t *hugepages(void) {
	static const char sizes[] = "/sys/kernel/mm/hugepages/hugepages-";
	json_t *v = json_object();
	char line[LINE_SIZE], *open, *close;
	glob_t g = {0};

	// The one in use stands in brackets: "always [madvise] never".
	file_line(line, sizeof(line), "/sys/kernel/mm/transparent_hugepage/enabled");
	open = strchr(line, '[');
	close = open != NULL ? strchr(open, ']') : NULL;
	json_object_set_new(v, "transparent",
		close != NULL ? json_stringn(open + 1, (size_t)(close - open - 1)) : json_null());
	glob("/sys/kernel/mm/hugepages/hugepages-*", 0, NULL, &g);
	for (size_t i = 0; i < g.gl_pathc; i++)
		json_object_set_new(v, g.gl_pathv[i] + strlen(sizes),
			json_pack("{s:o, s:o}", "total", integer_of(g.gl_pathv[i], "nr_hugepages"),
				"free", integer_of(g.gl_pathv[i], "free_hugepages")));
	globfree(&g);
	return v;
}

/* The first line that `command --version` prints; null when there is no such command. */
static json_t *version_of(const char *command) {
	char line[LINE_SIZE] = "";
	FILE *f = popen(command, "re");

	if (f != NULL && fgets(line, sizeof(line), f) != NULL)
		line[strcspn(line, "\n")] = '\0';
	if (f != NULL)
		pclose(f);
	return line[0] != '\0' ? json_string(line) : json_null();
}

static json_t *versions(void) {
	return json_pack("{s:s, s:s, s:o, s:o}", "weir", WEIR_VERSION, "dpdk", rte_version(),
		"qemu", version_of("exec qemu-system-x86_64 --version 2>/dev/null"), "ovs",
		version_of("exec ovs-vswitchd --version 2>/dev/null"));
}

/* How often the control group ran out of its CPU quota; null where that is not counted. */
static json_t *held_back(void) {
	static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/cpu"};
	char groups[4096], stat[4096], *line, *rest = groups, *at;

	file_read(groups, sizeof(groups), "/proc/self/cgroup");
	while ((line = strsep(&rest, "\n")) != NULL) {
		// "0::PATH" is of version 2, "N:cpu:PATH" or "N:cpu,cpuacct:PATH" of version 1.
		char *list = strchr(line, ':'), *path = list != NULL ? strchr(list + 1, ':') : NULL;
		bool second = path != NULL && path == list + 1;

		if (path == NULL || (!second && strncmp(list, ":cpu:", 5) != 0 &&
					    strncmp(list, ":cpu,", 5) != 0))
			continue;
		if (file_read(stat, sizeof(stat), "%s%s/cpu.stat", roots[second ? 0 : 1],
			    path + 1) < 0)
			continue;
		at = strstr(stat, "nr_throttled ");
		if (at != NULL)
			return json_integer(strtoll(at + strlen("nr_throttled "), NULL, 10));
	}
	return json_null();
}

/* How often CPUs slowed down for heat, all together; null where that is not counted. */
static json_t *throttled(void) {
	json_int_t sum = 0;
	char line[LINE_SIZE];
	glob_t g = {0};
	json_t *v;

	glob("/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count", 0, NULL, &g);
	for (size_t i = 0; i < g.gl_pathc; i++)
		if (file_line(line, sizeof(line), "%s", g.gl_pathv[i]) == 0)
			sum += strtoll(line, NULL, 10);
	v = g.gl_pathc > 0 ? json_integer(sum) : json_null();
	globfree(&g);
	return v;
}

static json_t *counters(void) {
	unsigned n;
	struct proc_cpu *cpus = proc_cpus(&n);
	json_t *v = json_pack("{s:f, s:o, s:o, s:o}", "seconds", proc_now(), "stolen",
		n > 0 ? json_real(cpus[0].part[PROC_STEAL]) : json_null(), "throttled", throttled(),
		"held_back", held_back());

	free(cpus);
	return v;
}

struct other {
	pid_t pid;
	uint64_t ns;
	double busy;
};

/* All processes that can be seen, but for this one. */
static struct other *look_around(unsigned *n) {
	struct other *all = NULL, *more;
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	*n = 0;
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		uint64_t ns = pid > 0 && pid != getpid() ? proc_cpu_ns(pid) : UINT64_MAX;

		if (ns == UINT64_MAX)
			continue;
		more = reallocarray(all, *n + 1, sizeof(*all));
		if (more == NULL)
			break;
		all = more;
		all[(*n)++] = (struct other){pid, ns, 0};
	}
	if (dir != NULL)
		closedir(dir);
	return all;
}

static int busiest_first(const void *a, const void *b) {
	double x = ((const struct other *)a)->busy, y = ((const struct other *)b)->busy;

	return (x < y) - (x > y);
}

/* What ran in between, from what had run before and after. */
static json_t *others(const struct other *before, unsigned nbefore, struct other *after,
	unsigned nafter, double seconds) {
	json_t *list = json_array();

	for (unsigned i = 0; i < nafter; i++)
		for (unsigned k = 0; k < nbefore; k++)
			if (before[k].pid == after[i].pid && before[k].ns <= after[i].ns)
				after[i].busy =
					(double)(after[i].ns - before[k].ns) / 1e9 / seconds;
	if (nafter > 0)
		qsort(after, nafter, sizeof(*after), busiest_first);
	for (unsigned i = 0; i < nafter && i < OTHERS_MAX && after[i].busy >= OTHER_LEAST; i++) {
		char name[PROC_NAME];

		json_array_append_new(
			list, json_pack("{s:i, s:s, s:f}", "pid", after[i].pid, "name",
				      proc_name(after[i].pid, after[i].pid, name), "busy",
				      after[i].busy));
	}
	return list;
}

/* Of this host: what was stolen is others' work, and said by itself. NAN: the kernel does not say. */
static double busy_seconds(void) {
	unsigned n;
	struct proc_cpu *cpus = proc_cpus(&n);
	double sum = 0;

	for (int i = 0; i < PROC_PARTS; i++)
		sum += n > 0 && i != PROC_STEAL ? cpus[0].part[i] : 0;
	free(cpus);
	return n > 0 ? sum : NAN;
}

/* Sleeps, so that what runs meanwhile is others. */
static void add_load(json_t *v) {
	const struct timespec while_others_run = {.tv_nsec = LOOK_MS * 1000000L};
	unsigned nbefore, nafter;
	struct other *before = look_around(&nbefore), *after;
	double start = proc_now(), busy = busy_seconds(), seconds;

	nanosleep(&while_others_run, NULL);
	busy = busy_seconds() - busy;
	seconds = proc_now() - start;
	after = look_around(&nafter);
	json_object_set_new(
		v, "load", isnan(busy) ? json_null() : json_real(fmax(0, busy / seconds)));
	json_object_set_new(v, "others", others(before, nbefore, after, nafter, seconds));
	free(before);
	free(after);
}

json_t *conditions_collect(void) {
	json_t *v = json_object();
	struct utsname u;

	uname(&u);
	json_object_set_new(v, "host", json_string(u.nodename));
	json_object_set_new(v, "kernel", json_string(u.release));
	add_cpu(v);
	json_object_set_new(v, "governor", governor());
	json_object_set_new(v, "clocksource",
		line_of("/sys/devices/system/clocksource/clocksource0/current_clocksource"));
	json_object_set_new(v, "numa_nodes", numa_nodes());
	json_object_set_new(v, "hugepages", hugepages());
	json_object_set_new(v, "versions", versions());
	add_load(v);
	json_object_set_new(v, "counters", counters());
	return v;
}
