/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/users.h"

/* A process's arguments, as far as we look for a name in them. */
enum { ARGUMENTS_MAX = 16384 };

static const char *last_part(const char *path) {
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* libvirt writes down the process of each domain. */
static bool name_by_libvirt(const struct root *r, struct holder *p) {
	char **names;
	int n = root_names(r, &names, "/run/libvirt/qemu");

	for (int i = 0; i < n && !p->libvirt; i++) {
		char *end = strstr(names[i], ".pid");

		if (end == NULL || end[4] != '\0' ||
			root_number(r, -1, "/run/libvirt/qemu/%s", names[i]) != p->pid)
			continue;
		snprintf(p->name, sizeof(p->name), "%.*s", (int)(end - names[i]), names[i]);
		p->libvirt = true;
	}
	if (n >= 0)
		root_names_free(names, n);
	return p->libvirt;
}

/* "-name guest=vm7,debug-threads=on" or "-name vm7". */
static void name_by_qemu(struct holder *p, const char *arguments, size_t len) {
	const char *end = arguments + len;

	for (const char *a = arguments; a < end; a += strlen(a) + 1) {
		const char *name = a + strlen(a) + 1, *guest;

		if (strcmp(a, "-name") != 0 || name >= end)
			continue;
		guest = strstr(name, "guest=");
		if (guest != NULL)
			name = guest + strlen("guest=");
		snprintf(p->name, sizeof(p->name), "%.*s", (int)strcspn(name, ","), name);
	}
}

/* What each open file of a process is, until `see` returns other than 0, which is then returned; a negative
 * errno when they cannot be seen. There may be tens of thousands of them on a host: no list is made. */
static int each_file(
	const struct root *r, int pid, int (*see)(const char *to, void *ctx), void *ctx) {
	char path[PATH_MAX], to[128];
	struct dirent *entry;
	int ret = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/proc/%d/fd", r->at, pid);
	d = opendir(path);
	if (d == NULL)
		return -errno;
	while (ret == 0 && (entry = readdir(d)) != NULL) {
		ssize_t n = entry->d_name[0] != '.'
				    ? readlinkat(dirfd(d), entry->d_name, to, sizeof(to) - 1)
				    : 0;

		to[n > 0 ? n : 0] = '\0';
		if (n > 0)
			ret = see(to, ctx);
	}
	closedir(d);
	return ret;
}

/* What DPDK's processes have open, whatever they are called: the runtime folder's files. Those that keep
 * everything in memory have none, and are told by their names. */
static int of_runtime(const char *to, void *ctx) {
	return strstr(to, "/dpdk/") != NULL;
}

static bool dpdk_by_name(const char *name) {
	static const char *const known[] = {"dpdk-", "testpmd", "ovs-vswitchd", "vpp", "weir"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strncmp(name, known[i], strlen(known[i])) == 0)
			return true;
	return false;
}

static void identify(const struct root *r, struct holder *p) {
	char arguments[ARGUMENTS_MAX];
	ssize_t n = root_read(r, arguments, sizeof(arguments), "/proc/%d/cmdline", p->pid);
	const char *program = n > 0 ? last_part(arguments) : "";

	if (n <= 0 || program[0] == '\0')
		root_line(r, p->name, sizeof(p->name), "/proc/%d/comm", p->pid);
	else
		snprintf(p->name, sizeof(p->name), "%.63s", program);
	if (strncmp(p->name, "qemu", 4) == 0 || strcmp(p->name, "kvm") == 0) {
		p->kind = USE_VM;
		if (!name_by_libvirt(r, p) && n > 0)
			name_by_qemu(p, arguments, (size_t)n);
	} else {
		p->kind = dpdk_by_name(p->name) || each_file(r, p->pid, of_runtime, NULL) > 0
				  ? USE_DPDK
				  : USE_PROCESS;
	}
}

static int add(struct holders *l, const struct holder *p, const char *file) {
	struct holder *more = realloc(l->holder, (l->n + 1) * sizeof(*more));

	if (more == NULL)
		return -ENOMEM;
	l->holder = more;
	more[l->n] = *p;
	snprintf(more[l->n++].file, sizeof(more->file), "%s", file);
	return 0;
}

struct look {
	const struct root *root;
	struct holders *list;
	struct holder process; /* name[0] '\0': not looked at yet */
	bool (*wanted)(const char *file, const void *ctx);
	const void *ctx;
};

static int keep_wanted(const char *to, void *ctx) {
	struct look *k = ctx;

	if (strncmp(to, "/dev/", 5) != 0 || strlen(to) >= sizeof(k->process.file) ||
		!k->wanted(to, k->ctx))
		return 0;
	if (k->process.name[0] == '\0')
		identify(k->root, &k->process);
	return add(k->list, &k->process, to);
}

int holders_read(const struct root *r, struct holders *l,
	bool (*wanted)(const char *file, const void *ctx), const void *ctx) {
	struct look k = {.root = r, .list = l, .wanted = wanted, .ctx = ctx};
	char **names;
	int n = root_names(r, &names, "/proc"), ret = n == -ENOMEM ? n : 0;

	*l = (struct holders){0};
	for (int i = 0; i < n && ret != -ENOMEM; i++) {
		if (!isdigit((unsigned char)names[i][0]))
			continue;
		k.process = (struct holder){.pid = atoi(names[i])};
		ret = each_file(r, k.process.pid, keep_wanted, &k);
		l->denied |= ret == -EACCES || ret == -EPERM; // another's; others may have ended
	}
	if (n >= 0)
		root_names_free(names, n);
	if (ret == -ENOMEM)
		holders_free(l);
	return ret == -ENOMEM ? ret : 0;
}

void holders_free(struct holders *l) {
	free(l->holder);
	*l = (struct holders){0};
}
