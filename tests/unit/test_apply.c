/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "apply_bed.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Transactions that fail, that are refused, that are short of disk, in each other's way. Those that are cut
 * off are test_apply_cut.c's. */

static void a_list_is_made_true_and_taken_back(void **state) {
	struct changes l, dry = {0};
	unsigned id = 0;
	struct err e;

	fill(&l);
	good(apply_check(&with, &l, &e), &e);
	is(BEFORE);
	good(apply_changes(&with, &l, &id, &e), &e);
	assert_int_equal(id, 1);
	is(BEHIND);
	assert_false(pending());
	good(apply_undo(&with, 0, &dry, &e), &e);
	assert_int_equal(dry.n, 6);
	assert_int_equal(dry.c[5].attr, ATTR_OVERRIDE);
	is(BEHIND);
	good(apply_undo(&with, 0, NULL, &e), &e);
	is(BEFORE);
	assert_int_equal(apply_undo(&with, 0, NULL, &e), -ENOENT);
	assert_int_equal(apply_undo(&with, 1, NULL, &e), -ENOENT);
	says(&e, "taken back already");
	assert_int_equal(apply_resume(&with, &e), -ENOENT);
	changes_free(&dry);
	changes_free(&l);
}

static void what_stands_already_is_not_ours_to_take_back(void **state) {
	struct changes l = {0};
	struct err e;

	bed_file("0\n", DEVICES BED_PF "/sriov_drivers_autoprobe");
	add(&l, ATTR_AUTOPROBE, BED_PF, -1, "on", "off");
	add(&l, ATTR_OVERRIDE, BED_DISK, -1, "none", "vfio-pci");
	good(apply_changes(&with, &l, NULL, &e), &e);
	good(apply_undo(&with, 0, NULL, &e), &e);
	is("disk nvme , autoprobe 0, vfs 0, vf 1  none");
	changes_free(&l);
}

static void a_step_that_fails_takes_those_before_it_back(void **state) {
	struct changes l;
	struct err e;

	fill(&l);
	bed.refuses = "igbvf"; // the last step
	with.limit_ms = 1500; // for the one that refuses, and enough for the others
	assert_int_equal(apply_changes(&with, &l, NULL, &e), -ETIMEDOUT);
	says(&e, "nothing is changed: ");
	says(&e, "bind igbvf");
	is(BEFORE);
	assert_false(pending());
	changes_free(&l);
}

static void what_the_kernel_takes_without_effect_is_noticed(void **state) {
	struct changes l = {0};
	struct err e;

	bed_remove(DEVICES BED_PF "/sriov_drivers_autoprobe");
	bed_link("/dev/null", DEVICES BED_PF "/sriov_drivers_autoprobe");
	add(&l, ATTR_OVERRIDE, BED_DISK, -1, "none", "vfio-pci");
	add(&l, ATTR_AUTOPROBE, BED_PF, -1, "on", "off");
	assert_int_equal(apply_changes(&with, &l, NULL, &e), -EIO);
	says(&e, "the kernel took autoprobe 'off' without a word, but has 'on'");
	is("disk nvme , autoprobe , vfs 0, vf 1  none");
	changes_free(&l);
}

static void a_refusal_of_the_kernel_comes_with_its_remedy(void **state) {
	struct changes l;
	struct err e;

	fill(&l);
	bed_remove(DEVICES BED_PF "/sriov_numvfs");
	bed_link("/dev/full", DEVICES BED_PF "/sriov_numvfs");
	assert_int_equal(apply_changes(&with, &l, NULL, &e), -ENOSPC);
	says(&e, "pci=realloc");
	bed_remove(DEVICES BED_PF "/sriov_numvfs");
	bed_file("0\n", DEVICES BED_PF "/sriov_numvfs");
	is(BEFORE);
	changes_free(&l);
}

/* In a child, whose files may not grow; from the given step on. */
static void limit_files(void *ctx, unsigned i, const struct change *c, int status) {
	const struct rlimit none = {1, 1};

	signal(SIGXFSZ, SIG_IGN);
	if (i >= *(unsigned *)ctx && status == 1)
		setrlimit(RLIMIT_FSIZE, &none);
}

static void expect_full(const struct changes *l, unsigned from) {
	int status;
	pid_t child = fork();

	if (child == 0) {
		const struct rlimit none = {0, 0};
		struct apply a = with;
		struct err e;
		int rc;

		signal(SIGXFSZ, SIG_IGN);
		if (from == 0)
			setrlimit(RLIMIT_FSIZE, &none);
		a.step = limit_files;
		a.ctx = &from;
		rc = apply_changes(&a, l, NULL, &e);
		if (rc != -EFBIG || strstr(e.text, "journal") == NULL)
			fprintf(stderr, "%d %s\n", rc, e.text);
		_exit(rc == -EFBIG && strstr(e.text, "journal") != NULL ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void without_room_for_its_beginning_nothing_is_changed(void **state) {
	struct changes l;

	fill(&l);
	expect_full(&l, 0);
	is(BEFORE);
	assert_false(pending());
	assert_int_equal(journal_before(state_dir, 0), 0);
	changes_free(&l);
}

static void without_room_for_a_later_line_all_is_taken_back(void **state) {
	struct changes l = {0};
	struct err e;

	// Files of one byte are enough for the rest of this host.
	add(&l, ATTR_AUTOPROBE, BED_PF, -1, "on", "off");
	add(&l, ATTR_VFS, BED_PF, -1, "0", "3");
	expect_full(&l, 1);
	is(BEFORE);
	// Its end could not be noted.
	assert_true(pending());
	good(apply_undo(&with, 0, NULL, &e), &e);
	is(BEFORE);
	changes_free(&l);
}

static void one_weir_waits_for_another_or_says_who_it_is(void **state) {
	struct changes l;
	struct err e;
	char byte, who[64];
	int ready[2], status;
	pid_t child;

	fill(&l);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		int fd = lock_take(state_dir, "host apply web.yaml", 0, &e);

		if (fd < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		usleep(200000);
		lock_drop(fd);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(apply_changes(&with, &l, NULL, &e), -EBUSY);
	snprintf(who, sizeof(who), "weir %d (host apply web.yaml)", (int)child);
	says(&e, who);
	is(BEFORE);
	with.wait_ms = 20000;
	good(apply_changes(&with, &l, NULL, &e), &e);
	is(BEHIND);
	waitpid(child, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 0);
	close(ready[0]);
	close(ready[1]);
	changes_free(&l);
}

static void a_third_value_is_refused_before_anything_is_done(void **state) {
	struct changes l;
	struct err e;

	fill(&l);
	bed_file("uio\n", DEVICES BED_DISK "/driver_override");
	assert_int_equal(apply_changes(&with, &l, NULL, &e), -EEXIST);
	says(&e, "override is 'uio' now, neither 'none'");
	is("disk nvme uio, autoprobe 1, vfs 0, vf 1  none");
	with.force = true;
	good(apply_changes(&with, &l, NULL, &e), &e);
	is(BEHIND);
	with.force = false;
	good(apply_undo(&with, 0, NULL, &e), &e);
	is("disk nvme uio, autoprobe 1, vfs 0, vf 1  none");
	changes_free(&l);
}

static void an_undo_does_not_touch_what_others_changed_since(void **state) {
	struct changes l;
	struct err e;

	fill(&l);
	good(apply_changes(&with, &l, NULL, &e), &e);
	bed_file("uio\n", DEVICES BED_DISK "/driver_override");
	assert_int_equal(apply_undo(&with, 0, NULL, &e), -EEXIST);
	is("disk vfio-pci uio, autoprobe 0, vfs 3, vf 1 igbvf vm7");
	with.force = true;
	good(apply_undo(&with, 0, NULL, &e), &e);
	is(BEFORE);
	changes_free(&l);
}

static void pull_out(void *ctx, unsigned i, const struct change *c, int status) {
	if (i == *(unsigned *)ctx && status == 1)
		bed_remove(DEVICES BED_DISK);
}

static void a_device_pulled_out_in_the_middle_leaves_the_rest_as_it_was(void **state) {
	unsigned at = 1;
	struct changes l = {0};
	struct err e;

	add(&l, ATTR_AUTOPROBE, BED_PF, -1, "on", "off");
	add(&l, ATTR_OVERRIDE, BED_DISK, -1, "none", "vfio-pci");
	add(&l, ATTR_DRIVER, BED_DISK, -1, "nvme", "vfio-pci");
	with.step = pull_out;
	with.ctx = &at;
	assert_int_equal(apply_changes(&with, &l, NULL, &e), -ENODEV);
	says(&e, "nothing is changed: ");
	says(&e, "pulled out");
	is("disk  , autoprobe 1, vfs 0, vf 1  none");
	with.step = NULL;
	assert_false(pending());
	changes_free(&l);
}

static void a_write_that_hangs_is_given_up(void **state) {
	struct changes l;
	char path[256];
	struct err e;
	int fd;

	fill(&l);
	snprintf(path, sizeof(path), "%s/" DRIVERS "nvme/unbind", bed.dir);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0); // without a reader its writers wait
	with.limit_ms = 1500;
	assert_int_equal(apply_changes(&with, &l, NULL, &e), -ETIMEDOUT);
	says(&e, "still hangs in the kernel");
	is(BEFORE);
	assert_false(pending());
	fd = open(path, O_RDONLY | O_NONBLOCK); // lets the child go
	for (int i = 0; i < 100 && waitpid(-1, NULL, WNOHANG) == 0; i++)
		usleep(10000);
	close(fd);
	changes_free(&l);
}

static void only_the_newest_journals_are_kept(void **state) {
	char path[256];
	struct changes l = {0};
	struct err e;

	add(&l, ATTR_AUTOPROBE, BED_PF, -1, "on", "off");
	bed_folder("state/host/journal");
	for (unsigned i = 1; i <= 60; i++)
		bed_file("{\"end\":\"undone\"}\n", "state/host/journal/%u.json", i);
	bed_file("", "state/host/journal/notes");
	good(apply_changes(&with, &l, NULL, &e), &e);
	snprintf(path, sizeof(path), "%s/journal/61.json", state_dir);
	assert_int_equal(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/journal/12.json", state_dir);
	assert_int_equal(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/journal/11.json", state_dir);
	assert_int_equal(access(path, F_OK), -1);
	changes_free(&l);
}

static void nothing_is_taken_from_who_uses_it(void **state) {
	struct changes l, none = {0};
	char slot[16];
	struct err e;

	fill(&l);
	used_slot = BED_DISK;
	assert_int_equal(apply_changes(&with, &l, NULL, &e), -EBUSY);
	says(&e, "would lose its driver, but is in use: vm9");
	is(BEFORE);
	used_slot = NULL;
	good(apply_changes(&with, &l, NULL, &e), &e);
	add(&none, ATTR_VFS, BED_PF, -1, "3", "0");
	assert_int_equal(apply_changes(&with, &none, NULL, &e), -EBUSY);
	says(&e, "0000:01:10.2 (vf 1 of 0000:01:00.0) would go, but belongs to vm7");
	used_slot = bed_vf(2, slot);
	assert_int_equal(apply_undo(&with, 0, NULL, &e), -EBUSY);
	says(&e, "0000:01:10.4 would go, but is in use");
	is(BEHIND);
	with.force = true;
	good(apply_changes(&with, &none, NULL, &e), &e);
	changes_free(&none);
	changes_free(&l);
}

static void vfs_come_back_with_what_they_had(void **state) {
	struct changes l, gone = {0};
	struct host h;
	struct err e;

	fill(&l);
	good(apply_changes(&with, &l, NULL, &e), &e);
	assert_int_equal(host_read(&h, &root, &e), 0);
	h.state = state_dir;
	good(changes_vfs(&gone, &h, pci_at(&h.pci, BED_PF), 1, &e), &e);
	host_free(&h);
	with.force = true;
	good(apply_changes(&with, &gone, NULL, &e), &e);
	with.force = false;
	is("disk vfio-pci vfio-pci, autoprobe 0, vfs 1, vf 1  none");
	good(apply_undo(&with, 0, NULL, &e), &e);
	is(BEHIND); // driver and owner of VF 1
	changes_free(&gone);
	changes_free(&l);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, up, bed_down)
	const struct CMUnitTest tests[] = {
		T(a_list_is_made_true_and_taken_back),
		T(what_stands_already_is_not_ours_to_take_back),
		T(a_step_that_fails_takes_those_before_it_back),
		T(what_the_kernel_takes_without_effect_is_noticed),
		T(a_refusal_of_the_kernel_comes_with_its_remedy),
		T(without_room_for_its_beginning_nothing_is_changed),
		T(without_room_for_a_later_line_all_is_taken_back),
		T(one_weir_waits_for_another_or_says_who_it_is),
		T(a_third_value_is_refused_before_anything_is_done),
		T(an_undo_does_not_touch_what_others_changed_since),
		T(a_device_pulled_out_in_the_middle_leaves_the_rest_as_it_was),
		T(a_write_that_hangs_is_given_up),
		T(only_the_newest_journals_are_kept),
		T(nothing_is_taken_from_who_uses_it),
		T(vfs_come_back_with_what_they_had),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
