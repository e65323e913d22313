/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/apart.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "bench/paths/path.h"
#include "bench/result.h"

enum { LOOK_MS = 20, END_MS = 10000 };

static const char *const lists[] = {"figures", "latencies", "endpoints", "cpu"};
enum { NLISTS = sizeof(lists) / sizeof(lists[0]) };

int apart_enter(struct err *e) {
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("tmpfs", "/run", "tmpfs", MS_NOSUID, "mode=0755") < 0 ||
		mkdir("/run/netns", 0755) < 0 || mount("sysfs", "/sys", "sysfs", 0, NULL) < 0)
		return err_set(e, errno, "cannot make namespaces: %s", strerror(errno));
	return path_ip(e, "link set lo up\n");
}

struct bench apart_round(const struct bench *b, unsigned round) {
	struct bench own = *b;

	own.repeat = 1;
	own.until = 0;
	own.round = round;
	return own;
}

json_t *apart_doc(void) {
	return json_pack("{s:[], s:[], s:[], s:[], s:[], s:[], s:[]}", "figures", "latencies",
		"endpoints", "cpu", "intervals", "searches", "warnings");
}

/* The child's life. */
static int child(const struct bench *b, int (*run)(struct bench *own, void *arg, struct err *e),
	void *arg, int out) {
	struct err e = {.text = ""};
	struct bench own = *b;
	int ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	own.doc = apart_doc();
	ret = run(&own, arg, &e);
	json_object_set_new(own.doc, "status", json_integer(ret));
	json_object_set_new(own.doc, "text", json_string(e.text));
	return json_dumpfd(own.doc, out, 0);
}

/* Waits; when interrupted the child has some seconds to hand over what it has. */
static int wait_for(pid_t pid) {
	int status = 0, left = END_MS;
	bool told = false;
	pid_t got;

	while ((got = waitpid(pid, &status, WNOHANG)) == 0 || (got < 0 && errno == EINTR)) {
		usleep(LOOK_MS * 1000);
		if (!bench_stopped)
			continue;
		if (!told)
			kill(pid, SIGINT);
		told = true;
		left -= LOOK_MS;
		if (left <= 0)
			kill(pid, SIGKILL);
	}
	return status;
}

json_t *apart_run(struct bench *b, const char *name,
	int (*run)(struct bench *own, void *arg, struct err *e), void *arg, struct err *e) {
	int out = memfd_create("weir-apart", MFD_CLOEXEC), status;
	pid_t pid, self = getpid();
	json_t *doc = NULL;

	fflush(NULL); // else the child prints it too
	pid = out >= 0 ? fork() : -1;
	if (pid == 0)
		_exit(getppid() != self || child(b, run, arg, out) < 0);
	if (pid < 0) {
		err_set(e, errno, "%s: %s", name, strerror(errno));
	} else {
		status = wait_for(pid);
		lseek(out, 0, SEEK_SET);
		doc = json_loadfd(out, 0, NULL);
		if (doc == NULL)
			err_set(e, EIO, "%s: its process ended, %s %d", name,
				WIFSIGNALED(status) ? "signal" : "status",
				WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
	if (out >= 0)
		close(out);
	return doc;
}

/* The labels without those that are compared. */
static json_t *labels_but(const json_t *entry, const char *const *across) {
	json_t *labels = json_deep_copy(json_object_get(entry, "labels"));

	for (; *across != NULL; across++)
		json_object_del(labels, *across);
	return labels;
}

static bool same_kind(const json_t *a, const json_t *b, const char *const *across) {
	json_t *x = labels_but(a, across), *y = labels_but(b, across);
	bool same = json_equal(json_object_get(a, "name"), json_object_get(b, "name")) &&
		    json_equal(x, y);

	json_decref(x);
	json_decref(y);
	return same;
}

static void insert(json_t *list, json_t *one, const char *const *across) {
	size_t at = json_array_size(list);

	for (size_t i = json_array_size(list); i > 0; i--)
		if (same_kind(json_array_get(list, i - 1), one, across)) {
			at = i;
			break;
		}
	json_array_insert(list, at, one);
}

static bool same_member(const json_t *a, const json_t *b, const char *name) {
	const json_t *x = json_object_get(a, name), *y = json_object_get(b, name);

	return (x == NULL && y == NULL) || json_equal(x, y);
}

/* The entry of earlier rounds that this one is more of; NULL: none. */
static json_t *find_like(json_t *list, const json_t *one) {
	json_t *have;
	size_t i;

	json_array_foreach (list, i, have)
		if (same_member(have, one, "name") && same_member(have, one, "unit") &&
			same_member(have, one, "mode") && same_member(have, one, "labels"))
			return have;
	return NULL;
}

static void take_entry(json_t *list, const char *kind, json_t *one, const char *const *across) {
	json_t *have = find_like(list, one);

	if (have != NULL && strcmp(kind, "figures") == 0)
		result_more_values(have, one);
	else if (have != NULL && strcmp(kind, "latencies") == 0)
		result_more_latencies(have, one);
	else
		insert(list, one, across);
}

/* Do they say the same, but for numbers? */
static bool same_words(const char *a, const char *b) {
	static const char digits[] = "0123456789.e+-";

	for (;; a++, b++) {
		a += strspn(a, digits);
		b += strspn(b, digits);
		if (*a != *b)
			return false;
		if (*a == '\0')
			return true;
	}
}

/* "up to 3 %": 3 */
static double up_to(const char *text) {
	const char *at = strstr(text, "up to ");

	return at != NULL ? strtod(at + strlen("up to "), NULL) : 0;
}

void apart_warn(json_t *doc, const char *name, const char *said) {
	json_t *have;
	size_t i;
	char text[600];

	snprintf(text, sizeof(text), "%s%s%s", name != NULL ? name : "", name != NULL ? ": " : "",
		said);
	json_array_foreach (json_object_get(doc, "warnings"), i, have)
		if (same_words(json_string_value(have), text)) {
			if (up_to(text) > up_to(json_string_value(have)))
				json_string_set(have, text);
			return;
		}
	result_warn(doc, "%s", text);
}

int apart_take(struct bench *b, const char *name, const json_t *from, const char *const *across) {
	json_int_t status = json_integer_value(json_object_get(from, "status"));
	char before[100] = "";
	json_t *one;
	size_t i;

	for (int l = 0; l < NLISTS; l++)
		json_array_foreach (json_object_get(from, lists[l]), i, one)
			take_entry(json_object_get(b->doc, lists[l]), lists[l], one, across);
	json_array_foreach (json_object_get(from, "warnings"), i, one)
		apart_warn(b->doc, name, json_string_value(one));
	if (name != NULL)
		snprintf(before, sizeof(before), "%s: ", name);
	result_interfaces(b->doc, from, before);
	if (status < 0 && status != -ECANCELED)
		result_incomplete(
			b->doc, "%s%s", before, json_string_value(json_object_get(from, "text")));
	return (int)status;
}
