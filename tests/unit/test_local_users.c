/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/lockfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/sock.h"
#include "host/change/journal.h"
#include "port/vhost.h"

/* What a local user without rights can hold, or put in the place of a file of ours: locks, links, folders.
 * As root; the user is nobody. */

enum { NOBODY = 65534, ROUNDS = 10, SWAPS = 3000 };

static char dir[64], path[96], victim[96], lock[160];

static int set_up(void **state) {
	strcpy(dir, "/tmp/weir-local-XXXXXX");
	if (mkdtemp(dir) == NULL || chmod(dir, 0755) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/s", dir);
	snprintf(victim, sizeof(victim), "%s/victim", dir);
	snprintf(lock, sizeof(lock), "%s/host/lock", dir);
	return 0;
}

static int tear_down(void **state) {
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) == 0 ? 0 : -1;
}

static void needs_root(void) {
	if (geteuid() != 0) {
		print_message("only root can be another user\n");
		skip();
	}
}

/* User nobody opens the path and locks it, until he is ended. 0 when he may not; *pid: his process. */
static int nobody_locks(const char *what, pid_t *pid) {
	int ready[2];
	char done = 0;

	assert_int_equal(pipe(ready), 0);
	*pid = fork();
	if (*pid == 0) {
		int fd;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
			_exit(1);
		fd = open(what, O_RDONLY);
		done = fd >= 0 && flock(fd, LOCK_EX) == 0;
		if (write(ready[1], &done, 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &done, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return done;
}

static void let_go(pid_t pid) {
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static double now(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void a_lock_on_the_folder_of_sockets_holds_nobody_up(void **state) {
	double least = 1e9;
	struct err e;
	pid_t pid;

	needs_root();
	assert_true(nobody_locks(dir, &pid));
	for (int i = 0; i < ROUNDS; i++) {
		double begin = now();
		int fd = sock_listen(path, 0600, &e);

		assert_true(fd >= 0);
		close(fd);
		least = now() - begin < least ? now() - begin : least;
	}
	let_go(pid);
	assert_true(least < 0.25); // it waited for half a second each time
	unlink(path);
	assert_int_equal(rmdir(dir), 0); // the lock is gone, too
	assert_int_equal(mkdir(dir, 0755), 0);
}

static void a_foreign_file_in_the_place_of_the_lock_holds_nobody_up(void **state) {
	double least = 1e9;
	char name[128];
	struct stat st;
	struct err e;
	pid_t pid;
	int fd;

	needs_root();
	snprintf(name, sizeof(name), "%s/.weir-lock", dir);
	fd = open(name, O_CREAT | O_WRONLY, 0666);
	assert_int_equal(fchown(fd, NOBODY, NOBODY), 0);
	close(fd);
	assert_true(nobody_locks(name, &pid));
	for (int i = 0; i < ROUNDS; i++) {
		double begin = now();

		fd = sock_listen(path, 0600, &e);
		assert_true(fd >= 0);
		close(fd);
		least = now() - begin < least ? now() - begin : least;
	}
	let_go(pid);
	assert_true(least < 0.25);
	assert_int_equal(stat(name, &st), 0); // not ours to remove
	assert_int_equal(st.st_uid, NOBODY);
}

static void a_stale_socket_of_another_user_stays(void **state) {
	struct err e;
	int fd;

	needs_root();
	fd = sock_listen(path, 0600, &e);
	close(fd);
	assert_int_equal(chown(path, NOBODY, NOBODY), 0);
	assert_int_equal(sock_claim(path, &e), -EEXIST);
	assert_non_null(strstr(e.text, "user id 65534"));
	assert_int_equal(access(path, F_OK), 0);
}

static mode_t mode_of(const char *file) {
	struct stat st;

	assert_int_equal(lstat(file, &st), 0);
	return st.st_mode & 07777;
}

static void make_victim(void) {
	int fd = open(victim, O_CREAT | O_WRONLY, 0600);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(chmod(victim, 0600), 0);
}

static atomic_bool swapping;

/* Puts a link to the victim at the path, again and again. */
static void *swap(void *arg) {
	char link[128];

	snprintf(link, sizeof(link), "%s/link", dir);
	while (atomic_load(&swapping))
		if (symlink(victim, link) == 0)
			(void)!rename(link, path);
	return NULL;
}

static void a_link_put_in_the_place_of_a_new_socket_is_not_followed(void **state) {
	mode_t was = umask(0077); // so that the mode has to be set
	pthread_t thread;
	unsigned bound = 0;
	struct err e;

	make_victim();
	atomic_store(&swapping, true);
	assert_int_equal(pthread_create(&thread, NULL, swap, NULL), 0);
	for (int i = 0; i < SWAPS && mode_of(victim) == 0600; i++) {
		int fd;

		unlink(path);
		fd = sock_listen(path, 0666, &e);
		bound += fd >= 0;
		if (fd >= 0)
			close(fd);
	}
	atomic_store(&swapping, false);
	pthread_join(thread, NULL);
	umask(was);
	print_message("%u of %d were bound\n", bound, SWAPS);
	assert_int_equal(mode_of(victim), 0600);
}

static void only_a_socket_of_ours_is_given_to_a_group_or_removed(void **state) {
	struct sock_file made;
	char second[128];
	struct stat st;
	struct err e;
	int fd;

	needs_root();
	make_victim();
	fd = sock_listen(path, 0600, &e);
	assert_true(fd >= 0);
	made = sock_file(path);
	assert_int_equal(sock_set_group(path, NOBODY, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_gid, NOBODY);
	snprintf(second, sizeof(second), "%s/second", dir);
	assert_int_equal(link(path, second), 0); // another socket of ours, by a second name
	assert_int_equal(sock_set_group(second, 0, &e), -EPERM);
	sock_remove(second, made);
	assert_int_equal(access(second, F_OK), 0);
	unlink(second);
	unlink(path);
	assert_int_equal(symlink(victim, path), 0);
	assert_int_equal(sock_set_group(path, NOBODY, &e), -EPERM);
	assert_non_null(strstr(e.text, "replaced"));
	assert_int_equal(stat(victim, &st), 0);
	assert_int_equal(st.st_gid, 0);
	sock_remove(path, made);
	assert_int_equal(lstat(path, &st), 0);
	close(fd);
}

static void a_lock_of_before_that_somebody_holds_is_replaced(void **state) {
	int at = open(dir, O_RDONLY | O_DIRECTORY), fd;
	char name[128];
	pid_t pid;

	needs_root();
	snprintf(name, sizeof(name), "%s/lock", dir);
	close(open(name, O_CREAT | O_WRONLY, 0644));
	assert_true(nobody_locks(name, &pid));
	fd = lockfile_open(at, "lock");
	assert_true(fd >= 0);
	assert_int_equal(lockfile_lock(fd, 0), 0);
	assert_int_equal(mode_of(name), 0600);
	let_go(pid);
	assert_false(nobody_locks(name, &pid)); // not even opened
	let_go(pid);
	close(fd);
	close(at);
}

static void a_lock_is_a_plain_file_of_ours_with_one_name(void **state) {
	int at = open(dir, O_RDONLY | O_DIRECTORY);
	char name[128];

	make_victim();
	snprintf(name, sizeof(name), "%s/lock", dir);
	assert_int_equal(symlink(victim, name), 0);
	assert_int_equal(lockfile_open(at, "lock"), -EPERM);
	unlink(name);
	assert_int_equal(link(victim, name), 0);
	assert_int_equal(lockfile_open(at, "lock"), -EPERM);
	unlink(name);
	assert_int_equal(mkfifo(name, 0600), 0);
	assert_int_equal(lockfile_open(at, "lock"), -EPERM);
	assert_int_equal(mode_of(victim), 0600);
	close(at);
}

static void nobody_stops_changes_of_the_host(void **state) {
	char host[128];
	struct err e;
	pid_t pid;
	int fd;

	needs_root();
	snprintf(host, sizeof(host), "%s/host", dir);
	fd = lock_take(host, "test", 0, &e);
	assert_true(fd >= 0);
	lock_drop(fd);
	assert_false(nobody_locks(lock, &pid));
	let_go(pid);
	assert_int_equal(chmod(lock, 0644), 0); // as it was made once
	assert_true(nobody_locks(lock, &pid));
	fd = lock_take(host, "test", 0, &e);
	assert_true(fd >= 0);
	lock_drop(fd);
	let_go(pid);
}

static void a_journal_that_others_can_write_is_not_acted_on(void **state) {
	char host[128], journal[160];
	struct err e;

	needs_root();
	snprintf(host, sizeof(host), "%s/host", dir);
	snprintf(journal, sizeof(journal), "%s/journal", host);
	assert_int_equal(mkdir(host, 0777), 0);
	assert_int_equal(chmod(host, 0777), 0);
	assert_int_equal(lock_take(host, "test", 0, &e), -EPERM);
	assert_non_null(strstr(e.text, "chmod go-w"));
	assert_int_equal(chmod(host, 0755), 0);
	assert_int_equal(chown(journal, NOBODY, NOBODY), 0);
	assert_int_equal(lock_take(host, "test", 0, &e), -EPERM);
	assert_non_null(strstr(e.text, "user id 65534"));
}

/* A folder of root whose name could be one of ours. */
static void make_foreign(char *folder, const char *like, const char *file) {
	char name[128];

	strcpy(folder, like);
	assert_non_null(mkdtemp(folder));
	if (file == NULL)
		return;
	snprintf(name, sizeof(name), "%s/%s", folder, file);
	close(open(name, O_CREAT | O_WRONLY, 0600));
}

static void remove_foreign(const char *folder, const char *file) {
	char name[128];

	snprintf(name, sizeof(name), "%s/%s", folder, file != NULL ? file : "");
	if (file != NULL)
		assert_int_equal(unlink(name), 0);
	assert_int_equal(rmdir(folder), 0);
}

static void folders_of_others_in_tmp_stay_and_those_of_a_killed_switch_go(void **state) {
	char thesis[32], empty[32], named[32], ours[64], mine[64], twin[96];
	struct err e;
	pid_t pid;
	int status, to[2], fd;

	make_foreign(thesis, "/tmp/weir.XXXXXX", "thesis.tex");
	make_foreign(empty, "/tmp/weir.XXXXXX", NULL);
	make_foreign(named, "/tmp/weir.vhost-XXXXXX", "7"); // a file, no socket
	assert_int_equal(pipe(to), 0);
	pid = fork();
	if (pid == 0) { // a switch that is killed with a socket in its folder
		const char *d = twin_dir_take(&e);

		snprintf(twin, sizeof(twin), "%s/7", d != NULL ? d : "");
		fd = sock_listen(twin, 0600, &e);
		_exit(d == NULL || fd < 0 || write(to[1], d, strlen(d) + 1) < 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(read(to[0], ours, sizeof(ours)) > 0);
	close(to[0]);
	close(to[1]);
	assert_int_equal(access(ours, F_OK), 0);
	strcpy(mine, twin_dir_take(&e));
	assert_int_equal(access(ours, F_OK), -1);
	assert_int_equal(access(mine, F_OK), 0);
	twin_dir_give();
	assert_int_equal(access(mine, F_OK), -1);
	remove_foreign(thesis, "thesis.tex");
	remove_foreign(empty, NULL);
	remove_foreign(named, "7");
}

static void write_results(const char *file, int want) {
	struct err e = {0};
	struct file_draft d;
	int rc = file_draft_open(&d, file, &e);

	if (rc == 0) {
		fputs("{}\n", d.f);
		rc = file_draft_close(&d, true, &e);
	}
	assert_int_equal(rc, want);
	if (want < 0)
		assert_non_null(strstr(e.text, "remove it or choose another place"));
}

static void a_file_of_results_is_never_written_through_a_link(void **state) {
	char file[128], to[128];
	FILE *f;

	make_victim();
	snprintf(file, sizeof(file), "%s/result.json", dir);
	assert_int_equal(symlink(victim, file), 0);
	write_results(file, -EEXIST);
	assert_true(readlink(file, to, sizeof(to)) > 0);
	f = fopen(victim, "r");
	assert_int_equal(fgetc(f), EOF);
	fclose(f);
	assert_int_equal(unlink(file), 0);
	write_results(file, 0);
	write_results(file, 0); // its own is replaced
}

static void a_file_of_results_replaces_nothing_that_is_not_ours(void **state) {
	struct err e = {0};
	char file[128];
	struct stat st;

	snprintf(file, sizeof(file), "%s/pipe", dir);
	assert_int_equal(mkfifo(file, 0600), 0);
	write_results(file, -EEXIST);
	assert_int_equal(file_remove(file, &e), -EEXIST);
	assert_true(lstat(file, &st) == 0 && S_ISFIFO(st.st_mode));
	snprintf(file, sizeof(file), "%s/theirs", dir);
	write_results(file, 0);
	assert_int_equal(chown(file, 65534, 65534), 0);
	write_results(file, -EPERM);
	assert_int_equal(file_remove(file, &e), -EPERM);
	assert_true(lstat(file, &st) == 0 && st.st_uid == 65534);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_lock_on_the_folder_of_sockets_holds_nobody_up),
		T(a_foreign_file_in_the_place_of_the_lock_holds_nobody_up),
		T(a_stale_socket_of_another_user_stays),
		T(a_link_put_in_the_place_of_a_new_socket_is_not_followed),
		T(only_a_socket_of_ours_is_given_to_a_group_or_removed),
		T(a_lock_of_before_that_somebody_holds_is_replaced),
		T(a_lock_is_a_plain_file_of_ours_with_one_name),
		T(nobody_stops_changes_of_the_host),
		T(a_journal_that_others_can_write_is_not_acted_on),
		T(folders_of_others_in_tmp_stay_and_those_of_a_killed_switch_go),
		T(a_file_of_results_is_never_written_through_a_link),
		T(a_file_of_results_replaces_nothing_that_is_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
