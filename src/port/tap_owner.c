/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "port/tap.h"

/* Who has a TAP device open. The kernel tells it nowhere but in the descriptors of the process itself:
 * /proc/PID/fdinfo/N of an attached one has a line "iff:<tab>NAME" (drivers/net/tun.c). Names are unique
 * in a network namespace only, and a process may have attached in another than it runs in; so one of
 * our namespace comes first, and one of another counts when it is the only one. Processes that we may not
 * look into are passed over. */

/* Reads a line of a small file that begins with `key`, what is behind it. */
static bool line_of(const char *path, const char *key, char *out, size_t size) {
	FILE *f = fopen(path, "re");
	char line[256];
	bool found = false;

	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL) {
		found = strncmp(line, key, strlen(key)) == 0;
		line[strcspn(line, "\n")] = '\0';
		if (found)
			snprintf(out, size, "%s", line + strlen(key));
	}
	if (f != NULL)
		fclose(f);
	return found;
}

static bool has_open(const char *pid, const char *ifname) {
	char path[512], name[64];
	struct dirent *fd;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.20s/fdinfo", pid);
	dir = opendir(path);
	while (dir != NULL && !found && (fd = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "/proc/%.20s/fdinfo/%.20s", pid, fd->d_name);
		found = line_of(path, "iff:\t", name, sizeof(name)) && strcmp(name, ifname) == 0;
	}
	if (dir != NULL)
		closedir(dir);
	return found;
}

static bool same_namespace(const char *pid) {
	struct stat ours, its;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%.20s/ns/net", pid);
	return stat("/proc/thread-self/ns/net", &ours) == 0 && stat(path, &its) == 0 &&
	       ours.st_ino == its.st_ino && ours.st_dev == its.st_dev;
}

char *tap_owner(const char *ifname, char *buf, size_t size) {
	struct dirent *p;
	char pid[32] = "", path[64], comm[32] = "?";
	unsigned n = 0;
	bool ours = false;
	DIR *dir = opendir("/proc");

	while (dir != NULL && !ours && (p = readdir(dir)) != NULL) {
		if (p->d_name[0] < '1' || p->d_name[0] > '9' || !has_open(p->d_name, ifname))
			continue;
		n++;
		// We are wherever we stepped into to ask.
		ours = atoi(p->d_name) != getpid() && same_namespace(p->d_name);
		snprintf(pid, sizeof(pid), "%.20s", p->d_name);
	}
	if (dir != NULL)
		closedir(dir);
	snprintf(buf, size, "another program");
	if (!ours && n != 1)
		return buf;
	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	line_of(path, "", comm, sizeof(comm));
	snprintf(buf, size, "pid %s (%s)", pid, comm);
	return buf;
}
