/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_TESTS_CHECK_BED_H
#define WEIR_TESTS_CHECK_BED_H

/* A host about which there is nothing to say (tests/host/trees/tidy.host), made once; each test changes what
 * was read of it, or puts files into it for its own time, and sees what the rules find. */

#include "host/check/check.h"
#include "host_tree.h"

#define PF0 \
	"0000:04:00.0" /* eth0: VFs 0 and 1 at VMs web1 (process 2100) and web2, 2 and 3 spare */
#define PF1 "0000:84:00.0" /* eth1: VFs 0 and 1 spare */

enum { PUTS = 16, DIRS = 32 };

static struct {
	struct root root;
	struct host host;
	struct users *users;
	char state[PATH_MAX];
	struct findings found;
	char put[PUTS][PATH_MAX], dir[DIRS][PATH_MAX];
	unsigned puts, dirs;
} bed;

static inline int bed_make(void **state) {
	tree_make(&bed.root, "tidy", "");
	return 0;
}

static inline int bed_unmake(void **state) {
	tree_gone(&bed.root);
	return 0;
}

static inline void bed_read(void) {
	struct err e = {""};

	if (host_read(&bed.host, &bed.root, &e) < 0)
		fail_msg("%s", e.text);
	snprintf(bed.state, sizeof(bed.state), "%.400s/var/lib/weir/host", bed.root.at);
	bed.host.state = bed.state;
	bed.users = users_read(&bed.host);
	assert_non_null(bed.users);
}

static inline void bed_forget(void) {
	findings_free(&bed.found);
	users_free(bed.users);
	host_free(&bed.host);
}

static inline int bed_open(void **state) {
	bed_read();
	return 0;
}

/* A file of this test alone; one that was there comes back at the end. Read again where it matters to what
 * was read. */
static inline void put(const char *path, const char *text) {
	char full[PATH_MAX], kept[PATH_MAX + 8];
	unsigned i = 0;
	FILE *f;

	snprintf(full, sizeof(full), "%.400s%s", bed.root.at, path);
	while (i < bed.puts && strcmp(bed.put[i], full) != 0)
		i++;
	if (i == bed.puts) {
		assert_true(bed.puts < PUTS);
		strcpy(bed.put[bed.puts++], full);
		for (char *p = strchr(full + strlen(bed.root.at) + 1, '/'); p != NULL;
			p = strchr(p + 1, '/')) {
			*p = '\0';
			assert_true(bed.dirs < DIRS);
			if (mkdir(full, 0755) == 0)
				strcpy(bed.dir[bed.dirs++], full);
			*p = '/';
		}
		snprintf(kept, sizeof(kept), "%s.kept", full);
		rename(full, kept); // not there for most
	}
	unlink(full);
	if (text == NULL)
		return; // not there for this test
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static inline int bed_close(void **state) {
	char kept[PATH_MAX + 8];

	bed_forget();
	while (bed.puts > 0) {
		const char *full = bed.put[--bed.puts];

		unlink(full);
		snprintf(kept, sizeof(kept), "%s.kept", full);
		rename(kept, full); // not there for most
	}
	while (bed.dirs > 0)
		rmdir(bed.dir[--bed.dirs]);
	return 0;
}

/* What was read, to be changed. */
static inline struct pci_function *fn(const char *slot) {
	const struct pci_function *f = pci_at(&bed.host.pci, slot);

	assert_non_null(f);
	return &bed.host.pci.fn[f - bed.host.pci.fn];
}

static inline struct pci_function *fn_vf(const char *pf, int vf) {
	const struct pci_function *f = pci_vf(&bed.host.pci, fn(pf), vf);

	assert_non_null(f);
	return &bed.host.pci.fn[f - bed.host.pci.fn];
}

static inline struct link *link_of(const char *name) {
	const struct link *l = links_name(&bed.host.links, name);

	assert_non_null(l);
	return &bed.host.links.link[l - bed.host.links.link];
}

static inline struct link_vf *vf_of(const char *name, unsigned vf) {
	struct link *l = link_of(name);

	assert_true(vf < l->nvfs);
	return &l->vf[vf];
}

static inline void check(void) {
	struct err e = {""};

	findings_free(&bed.found);
	if (check_run(&bed.found, &bed.host, bed.users, NULL, &e) < 0)
		fail_msg("%s", e.text);
}

static inline void show(void) {
	for (unsigned i = 0; i < bed.found.n; i++) {
		const struct finding *f = &bed.found.of[i];

		print_message("# %s %s %s: %s -> %s\n", severity_name(f->severity), f->rule,
			f->subject, f->evidence, f->remedy);
	}
}

/* No rule has anything to say. */
static inline void silent(void) {
	check();
	if (bed.found.n == 0)
		return;
	show();
	fail_msg("%u findings, none is due", bed.found.n);
}

/* That is the only finding; its evidence and remedy have these words. */
static inline void fires(const char *rule, enum severity s, const char *subject,
	const char *evidence, const char *remedy) {
	const struct finding *f;

	check();
	f = bed.found.of;
	if (bed.found.n == 1 && strcmp(f->rule, rule) == 0 && f->severity == s &&
		strcmp(f->subject, subject) == 0 && strstr(f->evidence, evidence) != NULL &&
		strstr(f->remedy, remedy) != NULL)
		return;
	show();
	fail_msg("due is one %s of %s about %s: ...%s... -> ...%s...", severity_name(s), rule,
		subject, evidence, remedy);
}

#define BED_TEST(f) cmocka_unit_test_setup_teardown(f, bed_open, bed_close)

#endif
