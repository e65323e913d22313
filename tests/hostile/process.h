/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_PROCESS_H
#define WEIR_TESTS_PROCESS_H

#include <sys/types.h>

/* The process `weir switch`, as its tests see it from outside. */

/* The executable under test: WEIR, else the one that was built. */
const char *process_program(void);
/* Starts `weir switch -c config`, which ends with its parent; what it prints is added to `log`. Its pid, or
 * -1. */
pid_t process_start(const char *config, const char *log);
/* How many descriptors it has open. */
unsigned process_files(pid_t pid);
/* How often a worker of it was taken off its CPU while it had something to do. */
unsigned long process_preempted(pid_t pid);
/* Prints the log, each line as a comment of the test. */
void process_show_log(const char *log);
/* Removes the folder and all in it. */
int process_clean(const char *folder);

#endif
