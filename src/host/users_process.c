/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* What DPDK's processes have open, whatever they are called: the runtime folder's files. Those that keep
 * everything in memory have none, and are told by their names. */
static bool has_runtime(const struct root *r, int pid, char **fds, int nfds) {
	char to[128];

	for (int i = 0; i < nfds; i++) {
		root_target(r, to, sizeof(to), "/proc/%d/fd/%s", pid, fds[i]);
		if (strstr(to, "/dpdk/") != NULL)
			return true;
	}
	return false;
}

static bool dpdk_by_name(const char *name) {
	static const char *const known[] = {"dpdk-", "testpmd", "ovs-vswitchd", "vpp", "weir"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strncmp(name, known[i], strlen(known[i])) == 0)
			return true;
	return false;
}

static void identify(const struct root *r, struct holder *p, char **fds, int nfds) {
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
		p->kind = dpdk_by_name(p->name) || has_runtime(r, p->pid, fds, nfds) ? USE_DPDK
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

static int look_at(const struct root *r, struct holders *l, int pid,
	bool (*wanted)(const char *file, const void *ctx), const void *ctx) {
	struct holder p = {.pid = pid};
	bool known = false;
	char **fds;
	int n = root_names(r, &fds, "/proc/%d/fd", pid), ret = 0;

	if (n < 0) {
		l->denied |= n == -EACCES || n == -EPERM;
		return n == -ENOMEM ? n : 0; // it may have ended meanwhile
	}
	for (int i = 0; i < n && ret == 0; i++) {
		char to[sizeof(p.file)];

		root_target(r, to, sizeof(to), "/proc/%d/fd/%s", pid, fds[i]);
		if (strncmp(to, "/dev/", 5) != 0 || !wanted(to, ctx))
			continue;
		if (!known)
			identify(r, &p, fds, n);
		known = true;
		ret = add(l, &p, to);
	}
	root_names_free(fds, n);
	return ret;
}

int holders_read(const struct root *r, struct holders *l,
	bool (*wanted)(const char *file, const void *ctx), const void *ctx) {
	char **names;
	int n = root_names(r, &names, "/proc"), ret = 0;

	*l = (struct holders){0};
	for (int i = 0; i < n && ret == 0; i++)
		if (isdigit((unsigned char)names[i][0]))
			ret = look_at(r, l, atoi(names[i]), wanted, ctx);
	if (n >= 0)
		root_names_free(names, n);
	if (ret < 0)
		holders_free(l);
	return n == -ENOMEM ? n : ret;
}

void holders_free(struct holders *l) {
	free(l->holder);
	*l = (struct holders){0};
}
