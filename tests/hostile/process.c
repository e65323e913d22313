/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "process.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

const char *process_program(void) {
	const char *program = getenv("WEIR");

	return program != NULL ? program : WEIR_PROGRAM;
}

pid_t process_start(const char *config, const char *log) {
	const char *program = process_program();
	pid_t pid = fork();

	if (pid == 0) {
		int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out, STDOUT_FILENO);
		dup2(out, STDERR_FILENO);
		close_range(3, ~0u, 0);
		execl(program, program, "switch", "-c", config, (char *)NULL);
		_exit(127);
	}
	return pid;
}

unsigned process_files(pid_t pid) {
	char path[64];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	if (d != NULL)
		closedir(d);
	return n;
}

/* Of one thread; 0 when it is no worker. */
static unsigned long preempted(pid_t pid, const char *thread) {
	char path[320], line[128];
	unsigned long n = 0;
	bool worker = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, thread);
	f = fopen(path, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		worker |= strncmp(line, "Name:\tworker", 12) == 0;
		sscanf(line, "nonvoluntary_ctxt_switches: %lu", &n);
	}
	if (f != NULL)
		fclose(f);
	return worker ? n : 0;
}

unsigned long process_preempted(pid_t pid) {
	unsigned long n = 0;
	char path[64];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			n += preempted(pid, e->d_name);
	if (d != NULL)
		closedir(d);
	return n;
}

void process_show_log(const char *log) {
	FILE *f = fopen(log, "r");
	char line[512];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		print_message("# weir: %s", line);
	if (f != NULL)
		fclose(f);
}

int process_clean(const char *folder) {
	char command[160];

	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}
