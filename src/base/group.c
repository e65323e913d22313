/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/group.h"

#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	ASKED_MAX = 8,
	STACK = 256 * 1024,
	ENTRY_MAX = 65536 /* bytes of a group with its members */
};

struct asked {
	char name[GROUP_NAME_MAX]; /* empty: free */
	bool done;
	int result;
	gid_t gid;
};

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; // of asked
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static struct asked asked[ASKED_MAX];

static bool in_file(const char *name, gid_t *gid) {
	FILE *f = fopen("/etc/group", "re");
	struct group *g;
	bool found = false;

	while (f != NULL && !found && (g = fgetgrent(f)) != NULL) {
		found = strcmp(g->gr_name, name) == 0;
		*gid = found ? g->gr_gid : *gid;
	}
	if (f != NULL)
		fclose(f);
	return found;
}

static void *ask(void *arg) {
	char room[ENTRY_MAX];
	struct asked *a = arg;
	struct group g, *found = NULL;
	int rc = getgrnam_r(a->name, &g, room, sizeof(room), &found);

	pthread_mutex_lock(&mu);
	a->result = rc == 0 && found != NULL ? 0 : -ENOENT;
	a->gid = found != NULL ? found->gr_gid : 0;
	a->done = true;
	pthread_cond_broadcast(&answered);
	pthread_mutex_unlock(&mu);
	return NULL;
}

/* With mu held: the question about that name, asked now if it was not; NULL: too many are open. *late: one
 * was asked before and is not answered. */
static struct asked *question(const char *name, bool *late) {
	struct asked *free_one = NULL;
	pthread_attr_t attr;
	pthread_t thread;

	for (struct asked *a = asked; a < asked + ASKED_MAX; a++) {
		*late |= a->name[0] != '\0' && !a->done;
		if (strcmp(a->name, name) == 0)
			return a;
		if (a->name[0] == '\0' || a->done) // an answer nobody came for
			free_one = a;
	}
	if (free_one == NULL)
		return NULL;
	*free_one = (struct asked){0};
	snprintf(free_one->name, sizeof(free_one->name), "%s", name);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK);
	if (pthread_create(&thread, &attr, ask, free_one) != 0) {
		free_one->name[0] = '\0';
		free_one = NULL;
	}
	pthread_attr_destroy(&attr);
	return free_one;
}

int group_find(const char *name, gid_t *gid) {
	struct timespec until;
	struct asked *a;
	bool late = false;
	int rc = -EINPROGRESS;

	if (in_file(name, gid))
		return 0;
	if (name[0] == '\0' || strlen(name) >= GROUP_NAME_MAX)
		return -ENOENT;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += GROUP_WAIT_MS * 1000000l;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&mu);
	a = question(name, &late);
	while (a != NULL && !a->done && !late)
		late = pthread_cond_timedwait(&answered, &mu, &until) == ETIMEDOUT;
	if (a != NULL && a->done) {
		rc = a->result;
		*gid = rc == 0 ? a->gid : *gid;
		a->name[0] = '\0'; // the next question is asked anew
	}
	pthread_mutex_unlock(&mu);
	return rc;
}
