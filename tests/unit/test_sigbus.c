/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Which SIGBUS is a guest's doing, and which ends the process. Each case is a process of its own. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "port/vhost.h"

enum { PAGE = 4096, PAGES = 4, TOUCHED = 7 /* a status of the child's */ };

static struct port port;
static struct vhost_dev dev = {.port = &port, .wake = -1};

/* Pages of a file that is then cut to nothing. The first `guest` of them are guest memory. */
static uint8_t *cut_pages(unsigned guest) {
	int fd = memfd_create("test", MFD_CLOEXEC);
	uint8_t *p;

	if (fd < 0 || ftruncate(fd, PAGES * PAGE) < 0)
		_exit(1);
	p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	memset(p, 0xaa, PAGES * PAGE);
	dev.mem.n = guest > 0 ? 1 : 0;
	dev.mem.r[0] = (struct gmem_region){.size = guest * PAGE, .hva = p};
	sigbus_install();
	sigbus_watch(&dev);
	return ftruncate(fd, 0) == 0 ? p : NULL;
}

/* What becomes of a process that touches page `at`, with `guest` pages of a guest's. */
static int touching(unsigned guest, unsigned at) {
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		volatile uint8_t *p = cut_pages(guest);
		const struct rlimit none = {0, 0};

		setrlimit(RLIMIT_CORE, &none);
		alarm(10);
		_exit(p[at * PAGE] == 0 && atomic_load(&dev.shrunk) ? TOUCHED : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void guest_memory_that_is_gone_reads_as_zeros_and_the_port_is_told(void **state) {
	for (unsigned at = 0; at < PAGES; at++) {
		int status = touching(PAGES, at);

		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), TOUCHED);
	}
}

static void memory_that_is_no_guests_ends_the_process(void **state) {
	int status = touching(0, 0);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

static void nor_is_what_lies_beside_a_guests_memory_replaced(void **state) {
	int status = touching(2, 2);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

static void a_sigbus_that_somebody_sends_ends_the_process(void **state) {
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		cut_pages(PAGES);
		raise(SIGBUS); // returns into the default action's way
		raise(SIGBUS);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guest_memory_that_is_gone_reads_as_zeros_and_the_port_is_told),
		cmocka_unit_test(memory_that_is_no_guests_ends_the_process),
		cmocka_unit_test(nor_is_what_lies_beside_a_guests_memory_replaced),
		cmocka_unit_test(a_sigbus_that_somebody_sends_ends_the_process),
	};

	return cmocka_run_group_tests_name("sigbus", tests, NULL, NULL);
}
