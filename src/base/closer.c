/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/closer.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/log.h"

/* One queue, one thread at a time that empties it, and a timer of the control thread that looks at what
 * the thread does while there is something to do. A thread that is asleep in the same close(2) at some
 * looks one after another hangs: it is given up, and ends by itself should the call return. One that
 * waits for its CPU, or frees gigabytes, is not asleep. */

enum {
	ROOM = 4096, /* descriptors in the queue; what is more stays open */
	HANDS = 64, /* threads that hang at most, and one that works */
	LOOK_US = 100 * 1000,
	LOOKS = 3, /* asleep at so many in the same call: it hangs */
	IDLE_S = 2, /* a thread without work ends */
	STACK = 128 * 1024,
	END_US = 200 * 1000, /* the last end waits so long at most */
	STEP_US = 2000,
};

struct closer_owner {
	char what[48];
	void (*hung)(void *arg);
	void *arg;
	unsigned waiting, stuck, hangs;
	bool gone;
};

struct item {
	struct closer_owner *owner; /* NULL: of nobody */
	int fd;
};

struct hand {
	bool used, busy, given_up;
	pid_t tid;
	unsigned looks;
	struct item item;
};

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; // of all below
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct item queue[ROOM];
static unsigned queued;
static struct hand hands[HANDS];
static struct hand *at_work; // NULL: none
static bool ending;

static sd_event_source *timer; // these are the control thread's own
static unsigned opens;

struct closer_owner *closer_owner_new(const char *what, void (*hung)(void *arg), void *arg) {
	struct closer_owner *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	snprintf(o->what, sizeof(o->what), "%s", what);
	o->hung = hung;
	o->arg = arg;
	return o;
}

void closer_owner_free(struct closer_owner *o) {
	bool now;

	if (o == NULL)
		return;
	pthread_mutex_lock(&mu);
	o->gone = true;
	now = o->waiting == 0;
	pthread_mutex_unlock(&mu);
	if (now)
		free(o);
}

/* The first of the queue whose owner has none that hangs. */
static bool take(struct item *out) {
	for (unsigned i = 0; i < queued; i++) {
		if (queue[i].owner != NULL && queue[i].owner->stuck > 0)
			continue;
		*out = queue[i];
		memmove(&queue[i], &queue[i + 1], (--queued - i) * sizeof(queue[0]));
		return true;
	}
	return false;
}

static void closed(struct hand *h) {
	struct closer_owner *o = h->item.owner;

	h->busy = false;
	if (o == NULL)
		return;
	if (h->given_up && --o->stuck == 0 && !o->gone)
		log_info("%s: what hung at close is closed", o->what);
	if (--o->waiting == 0 && o->gone)
		free(o);
}

static void *hand_main(void *arg) {
	struct hand *h = arg;
	struct timespec until;
	bool idle = false;

	pthread_setname_np(pthread_self(), "closer");
	pthread_mutex_lock(&mu);
	h->tid = gettid();
	while (!h->given_up && !idle) {
		if (take(&h->item)) {
			h->busy = true;
			h->looks = 0;
			pthread_mutex_unlock(&mu);
			close(h->item.fd);
			pthread_mutex_lock(&mu);
			closed(h);
			continue;
		}
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += IDLE_S;
		idle = ending || pthread_cond_timedwait(&more, &mu, &until) == ETIMEDOUT;
	}
	if (at_work == h)
		at_work = NULL;
	h->used = false;
	pthread_mutex_unlock(&mu);
	return NULL;
}

/* With mu held: somebody is at work, unless every thread hangs or none can be had. Who waits for work
 * is told that there is some. */
static void put_to_work(void) {
	struct hand *h = hands;
	pthread_attr_t attr;
	pthread_t thread;

	pthread_cond_signal(&more);
	if (at_work != NULL || queued == 0)
		return;
	while (h < hands + HANDS && h->used)
		h++;
	if (h == hands + HANDS)
		return;
	*h = (struct hand){.used = true};
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK);
	h->used = pthread_create(&thread, &attr, hand_main, h) == 0;
	at_work = h->used ? h : NULL;
	pthread_attr_destroy(&attr);
}

static void look_soon(void) {
	int on = SD_EVENT_ON;

	if (timer == NULL || (sd_event_source_get_enabled(timer, &on), on != SD_EVENT_OFF))
		return;
	sd_event_source_set_time_relative(timer, LOOK_US);
	sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

void closer_close(struct closer_owner *o, int fd) {
	bool full;

	if (fd < 0)
		return;
	pthread_mutex_lock(&mu);
	full = queued == ROOM;
	if (!full) {
		queue[queued++] = (struct item){o, fd};
		if (o != NULL)
			o->waiting++;
	}
	put_to_work();
	pthread_mutex_unlock(&mu);
	if (full)
		log_error("%s: %d descriptors wait to be closed; another stays open",
			o != NULL ? o->what : "a stranger", ROOM);
	look_soon();
}

void closer_hang_up(struct closer_owner *o, int fd) {
	if (fd >= 0)
		shutdown(fd, SHUT_RDWR);
	closer_close(o, fd);
}

bool closer_stuck(const struct closer_owner *o) {
	bool stuck;

	pthread_mutex_lock(&mu);
	stuck = o != NULL && o->stuck > 0;
	pthread_mutex_unlock(&mu);
	return stuck;
}

unsigned closer_waiting(const struct closer_owner *o) {
	unsigned n;

	pthread_mutex_lock(&mu);
	n = o->waiting;
	pthread_mutex_unlock(&mu);
	return n;
}

/* Neither running nor waiting for a CPU. A thread that cannot be asked is taken for one that sleeps. */
static bool asleep(pid_t tid) {
	char stat[256];
	const char *end;

	if (file_read(stat, sizeof(stat), "/proc/self/task/%d/stat", (int)tid) < 0)
		return true;
	end = strrchr(stat, ')');
	return end == NULL || end[1] == '\0' || end[2] != 'R';
}

/* With mu held: whose descriptor hangs since now; NULL: nothing does. */
static struct hand *look_at_work(void) {
	struct hand *h = at_work;

	if (h == NULL || !h->busy)
		return NULL;
	h->looks = asleep(h->tid) ? h->looks + 1 : 0;
	if (h->looks < LOOKS)
		return NULL;
	h->given_up = true;
	at_work = NULL;
	if (h->item.owner != NULL) {
		h->item.owner->stuck++;
		h->item.owner->hangs++;
	}
	return h;
}

static int on_look(sd_event_source *s, uint64_t usec, void *arg) {
	struct closer_owner *o = NULL;
	struct hand *hangs;
	char what[sizeof(o->what)] = "a stranger";
	unsigned hangs_so_far = 1;
	bool again;

	pthread_mutex_lock(&mu);
	hangs = look_at_work();
	if (hangs != NULL && hangs->item.owner != NULL) {
		o = hangs->item.owner;
		memcpy(what, o->what, sizeof(what));
		hangs_so_far = o->hangs;
		o = o->gone ? NULL : o; // who is not gone is freed by this thread only
	}
	put_to_work();
	again = queued > 0 || (at_work != NULL && at_work->busy);
	pthread_mutex_unlock(&mu);
	if (hangs != NULL)
		log_warn("%s: a descriptor from there hangs at close, %u so far; a thread of its "
			 "own "
			 "waits for it",
			what, hangs_so_far);
	if (o != NULL && o->hung != NULL)
		o->hung(o->arg);
	if (again)
		look_soon();
	return 0;
}

int closer_open(sd_event *loop, struct err *e) {
	int rc = 0;

	if (opens == 0) {
		ending = false;
		rc = sd_event_add_time(
			loop, &timer, CLOCK_MONOTONIC, UINT64_MAX, LOOK_US / 10, on_look, NULL);
		if (rc >= 0)
			rc = sd_event_source_set_enabled(timer, SD_EVENT_OFF);
	}
	if (rc < 0)
		return err_set(e, -rc, "the event loop takes no more timers: %s", strerror(-rc));
	opens++;
	return 0;
}

/* With mu held: is a thread busy that may come to its end? */
static bool waits(void) {
	return at_work != NULL && (queued > 0 || at_work->used);
}

void closer_end(void) {
	if (opens == 0 || --opens > 0)
		return;
	timer = sd_event_source_disable_unref(timer);
	pthread_mutex_lock(&mu);
	ending = true;
	pthread_cond_broadcast(&more);
	for (unsigned us = 0; waits() && us < END_US; us += STEP_US) {
		pthread_mutex_unlock(&mu);
		usleep(STEP_US);
		pthread_mutex_lock(&mu);
	}
	pthread_mutex_unlock(&mu);
}
